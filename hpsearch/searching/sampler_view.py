"""What sampler and pruner see: an Optuna study in memory whose results are revealed in the order of trial numbers.

Trial k is proposed knowing exactly the results of trials 0 … k - lag, and that those between are pending, however fast anyone trained
them. So a search is a function of (study, seed, lag), and resuming is the same walk with stored answers in place of the engine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hpsearch.searching.pruners import Pruner
from hpsearch.searching.samplers import Sampler
from hpsearch.searching.windowed_sampler import COMPARED, MEMORY, Leaders, WindowedSampler, seen
from hpsearch.space import SearchSpace
from hpsearch.storage.optuna_internals import storage_of, trial_id
from hpsearch.trial import Budget, Direction, derive_seed

IDLE = RandomSampler(seed=0)  # in charge where nothing is sampled


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A trial's result as the sampler learns it: a finite value, `others` in further objectives; `pruned`, `failed`: how it ended."""

    value: float
    others: tuple[float, ...] = ()
    pruned: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial as proposed: `params` vary in the space, `values` are all hyperparameters, constants included."""

    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    values: Mapping[str, Any]


@dataclass
class SamplerView:
    """The sampler's side of a study."""

    name: str
    direction: Direction
    space: SearchSpace
    budget: Budget
    seed: int
    lag: int
    sampler: Sampler
    pruner: Pruner
    others: tuple[Direction, ...] = ()  # of the objectives after the first
    study: Study = field(init=False)
    trials: dict[int, Trial] = field(default_factory=dict)
    told: dict[int, TrialResult] = field(default_factory=dict)
    brackets: dict[int, int] = field(default_factory=dict)
    revealed: int = 0  # trials 0 … revealed - 1 are known to sampler and pruner

    def __post_init__(self) -> None:
        self.study = optuna.create_study(study_name=self.name, directions=[self.direction, *self.others])
        self.leaders = Leaders((self.direction, *self.others))
        self.points = list(self.sampler.points(self.space)) if self.sampler.points else None
        self.pruners = [self.pruner.make(self.budget, b) for b in range(self.pruner.brackets(self.budget))]

    @property
    def limit(self) -> int | None:
        """Trials that there are to propose, where the sampler has an end (a grid)."""
        return None if self.points is None else len(self.points)

    def ready(self, number: int) -> bool:
        """Whether all results that a trial's proposal depends on are told."""
        return all(known in self.told for known in range(self.revealed, number - self.lag + 1))

    def propose(self, number: int, stored: Mapping[str, Any] | None = None) -> Proposal:
        """Return trial `number`; `stored` are its parameters where an earlier run proposed it already."""
        self._reveal(number - self.lag + 1)
        given = stored if stored is not None else self._given(number)
        if given is None or (stored is not None and number > 0 and self.sampler.replayed):
            self.study.sampler = self._sampler(number)
        else:
            self.study.sampler = IDLE
            self.study.enqueue_trial(dict(given))
        trial = self.trials[number] = self.study.ask()
        values = self.space.suggest(trial)
        return Proposal(number, trial.params, trial.distributions, values)

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Whether the pruner ends a trial at a rung, comparing it with what was known when it was proposed."""
        trial = self.trials[number]
        trial.report(metric, evaluation)
        bracket, until = self._bracket(number), number - self.lag + 1
        compared = [k for k in range(max(0, until - COMPARED), until) if self._bracket(k) == bracket]
        *others, own = self._frozen([*compared, number])
        return self.pruners[bracket].prune(seen(self.study, [*others, own]), own)

    def tell(self, number: int, told: TrialResult) -> None:
        """Take a result, in any order; it is revealed when its number's turn has come."""
        self.told[number] = told

    def _sampler(self, number: int) -> BaseSampler:
        """Return the sampler of a trial, which in a long study sees what it is to remember."""
        sampler = self.sampler.make(self.seed, derive_seed(self.seed, "sampler", number) % 2**32)
        if not self.sampler.forgets or self.revealed <= MEMORY:
            return sampler
        pending = range(self.revealed, number)
        return WindowedSampler(sampler, self._frozen([*self.leaders.recalled(self.revealed), *pending]))

    def _frozen(self, numbers: Iterable[int]) -> list[FrozenTrial]:
        storage = storage_of(self.study)
        return [storage.get_trial(trial_id(self.trials[number])) for number in numbers]

    def _given(self, number: int) -> Mapping[str, Any] | None:
        """Return parameters that no sampler chooses: a grid's, and the known-good ones of the first trial."""
        if self.points is not None:
            return self.points[number]
        return self.space.defaults() if number == 0 else None

    def _reveal(self, until: int) -> None:
        self.study.sampler = IDLE  # a sampler learns from the study's trials, not from the telling
        while self.revealed < until:
            told, trial = self.told[self.revealed], self.trials[self.revealed]
            trial.set_constraint("failed", 1.0 if told.failed else -1.0)
            state = TrialState.PRUNED if told.pruned else TrialState.COMPLETE
            self.study.tell(trial, None if told.pruned else [told.value, *told.others], state=state)
            if not told.pruned and not told.failed:
                self.leaders.add(self.revealed, (told.value, *told.others))
            self.revealed += 1

    def _bracket(self, number: int) -> int:
        if number not in self.brackets:
            self.brackets[number] = self.pruner.bracket(self.seed, number, self.budget)
        return self.brackets[number]
