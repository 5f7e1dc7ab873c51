"""What sampler and pruner see: an Optuna study in memory whose results are revealed in the order of trial numbers.

Trial k is proposed knowing exactly the results of trials 0 … k - lag, and that those between are pending, however fast anyone trained
them. So a search is a function of (study, seed, lag), and resuming is the same walk with stored answers in place of the engine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hpsearch.searching.pruners import Pruner
from hpsearch.searching.samplers import Sampler
from hpsearch.space import SearchSpace
from hpsearch.trial import Budget, Direction, derive_seed

IDLE = RandomSampler(seed=0)  # in charge where nothing is sampled


@dataclass(frozen=True, slots=True)
class Told:
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
class View:
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
    told: dict[int, Told] = field(default_factory=dict)
    revealed: int = 0  # trials 0 … revealed - 1 are known to sampler and pruner

    def __post_init__(self) -> None:
        self.study = optuna.create_study(study_name=self.name, directions=[self.direction, *self.others])
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
            self.study.sampler = self.sampler.make(self.seed, derive_seed(self.seed, "sampler", number) % 2**32)
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
        bracket = self._bracket(number)
        seen = _Seen(self.study, lambda other: other == number or self._comparable(other, number, bracket))
        frozen = self.study._storage.get_trial(trial._trial_id)
        return self.pruners[bracket].prune(seen, frozen)  # type: ignore[arg-type]

    def tell(self, number: int, told: Told) -> None:
        """Take a result, in any order; it is revealed when its number's turn has come."""
        self.told[number] = told

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
            self.revealed += 1

    def _bracket(self, number: int) -> int:
        return self.pruner.bracket(self.seed, number, self.budget)

    def _comparable(self, other: int, number: int, bracket: int) -> bool:
        return other <= number - self.lag and self._bracket(other) == bracket


class _Seen:
    """A study as a pruner may see it: the trials of some numbers only."""

    def __init__(self, study: Study, visible: Callable[[int], bool]) -> None:
        self._study, self._visible = study, visible

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(self, deepcopy: bool = True, states: Iterable[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the visible trials."""
        trials = self._study.get_trials(deepcopy=deepcopy, states=tuple(states) if states else None)
        return [trial for trial in trials if self._visible(trial.number)]
