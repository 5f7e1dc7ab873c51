"""The study as sampler and pruner see it: an Optuna study in memory whose results are revealed in the order of trial numbers.

Trial k is proposed with exactly the results of trials 0 … k - lag known and those between pending, however fast they were trained. So a
search is a function of (study, seed, lag). A resumed search makes the same proposals again, with stored results in place of the engine's.
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
from hpsearch.searching.windowed_sampler import COMPARED, MEMORY, Leaders, WindowedSampler, partial_study
from hpsearch.space import SearchSpace
from hpsearch.storage.optuna_internals import storage_of, trial_id
from hpsearch.trial import Budget, Direction, derive_seed

NO_SAMPLER = RandomSampler(seed=0)  # of the study while no sampler is asked


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A trial's result for the sampler: a finite value, `others` in the objectives after the first, whether it was pruned or failed."""

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
    """A study as its sampler and its pruner see it."""

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
    results: dict[int, TrialResult] = field(default_factory=dict)
    brackets: dict[int, int] = field(default_factory=dict)
    revealed: int = 0  # trials 0 … revealed - 1 are known to sampler and pruner

    def __post_init__(self) -> None:
        self.study = optuna.create_study(study_name=self.name, directions=[self.direction, *self.others])
        self.leaders = Leaders((self.direction, *self.others))
        self.points = list(self.sampler.points(self.space)) if self.sampler.points else None
        brackets = range(self.pruner.brackets(self.budget))
        self.pruners = [self.pruner.make(self.budget, bracket) for bracket in brackets]

    @property
    def limit(self) -> int | None:
        """How many trials there are to propose, where the sampler has an end (a grid)."""
        return None if self.points is None else len(self.points)

    def ready(self, number: int) -> bool:
        """Whether all results that a trial's proposal depends on are known."""
        return all(known in self.results for known in range(self.revealed, number - self.lag + 1))

    def propose(self, number: int, stored: Mapping[str, Any] | None = None) -> Proposal:
        """Return trial `number`; `stored` are its parameters where an earlier process proposed it already."""
        self._reveal(number - self.lag + 1)
        fixed = stored if stored is not None else self._fixed(number)
        replayed = stored is not None and number > 0 and self.sampler.replayed
        if fixed is None or replayed:
            self.study.sampler = self._sampler(number)
        else:
            self.study.sampler = NO_SAMPLER
            self.study.enqueue_trial(dict(fixed))
        trial = self.study.ask()
        self.trials[number] = trial
        values = self.space.suggest(trial)
        return Proposal(number, trial.params, trial.distributions, values)

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Whether the pruner ends a trial at a rung, comparing it with what was known when it was proposed."""
        trial = self.trials[number]
        trial.report(metric, evaluation)
        bracket = self._bracket(number)
        known = number - self.lag + 1  # results, when the trial was proposed
        compared = [k for k in range(max(0, known - COMPARED), known) if self._bracket(k) == bracket]
        trials = self._frozen([*compared, number])
        return self.pruners[bracket].prune(partial_study(self.study, trials), trials[-1])

    def tell(self, number: int, result: TrialResult) -> None:
        """Take a result, in any order of numbers; it is revealed in its turn."""
        self.results[number] = result

    def _sampler(self, number: int) -> BaseSampler:
        """Return the sampler of a trial; in a long study it sees a window of the results."""
        sampler = self.sampler.make(self.seed, derive_seed(self.seed, "sampler", number) % 2**32)
        if not self.sampler.windowed or self.revealed <= MEMORY:
            return sampler
        pending = range(self.revealed, number)
        window = [*self.leaders.window(self.revealed), *pending]
        return WindowedSampler(sampler, self._frozen(window))

    def _frozen(self, numbers: Iterable[int]) -> list[FrozenTrial]:
        storage = storage_of(self.study)
        return [storage.get_trial(trial_id(self.trials[number])) for number in numbers]

    def _fixed(self, number: int) -> Mapping[str, Any] | None:
        """Return the parameters of a trial that no sampler proposes: a grid's, and the known-good ones of the first trial."""
        if self.points is not None:
            return self.points[number]
        return self.space.defaults() if number == 0 else None

    def _reveal(self, until: int) -> None:
        self.study.sampler = NO_SAMPLER  # samplers learn from the study's trials, not from `tell`
        while self.revealed < until:
            trial = self.trials[self.revealed]
            result = self.results[self.revealed]
            values = (result.value, *result.others)
            trial.set_constraint("failed", 1.0 if result.failed else -1.0)
            if result.pruned:
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, values, state=TrialState.COMPLETE)
            if not result.pruned and not result.failed:
                self.leaders.add(self.revealed, values)
            self.revealed += 1

    def _bracket(self, number: int) -> int:
        if number not in self.brackets:
            self.brackets[number] = self.pruner.bracket(self.seed, number, self.budget)
        return self.brackets[number]
