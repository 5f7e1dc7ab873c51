"""The study as sampler and pruner see it: an Optuna study in memory whose results are revealed in the order of trial numbers.

Trial k is proposed with exactly the results of trials 0 … k - lag known and those between pending, however fast they were trained. So a
search is a function of (study, seed, lag). A resumed search makes the same proposals again, with stored results in place of the engine's.

Of a long study sampler and pruner see a window, so that a proposal costs the same at trial 10,000 as at 250. TPE's cost grows with every
trial that it sees, and its good ones are the best tenth, 25 at most: 250 results give it all of them. So of more than `MEMORY` results it
sees the best `LEADERS` and the latest. Which those are follows from the results alone, in the order of their numbers. This file alone
knows by which of its methods Optuna's samplers and pruners ask a study for its trials.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hpsearch.searching.pruners import Pruner
from hpsearch.searching.samplers import Sampler
from hpsearch.searching.specifications import OWN, known_values
from hpsearch.space import SearchSpace
from hpsearch.storage.optuna_internals import quiet_optuna, quiet_study, storage_of, trial_id
from hpsearch.trial import Budget, Direction, derive_seed

MEMORY = 250  # results that a sampler sees
LEADERS = 50  # of them the best, however old
COMPARED = 1000  # latest trials that a pruner compares with
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
class Leaders:
    """The numbers of the best results so far; with several objectives of the latest that no other is better than in all of them."""

    directions: Sequence[Direction]
    best: list[tuple[tuple[float, ...], int]] = field(default_factory=list)  # (losses, number), best first

    def add(self, number: int, values: Sequence[float]) -> None:
        """Take a result, in the order of numbers."""
        pairs = zip(values, self.directions, strict=True)
        losses = tuple(-value if direction == "maximize" else value for value, direction in pairs)
        if len(losses) == 1:
            insort(self.best, (losses, number))
            del self.best[LEADERS:]
        elif not any(_as_good(other, losses) for other, _ in self.best):
            better = [pair for pair in self.best if not _as_good(losses, pair[0])]
            self.best = [*better[1 - LEADERS :], (losses, number)]

    def window(self, revealed: int) -> list[int]:
        """Return the numbers of the results that a sampler sees when so many are revealed, in order: all of a short study."""
        if revealed <= MEMORY:
            return list(range(revealed))
        latest = range(max(0, revealed - MEMORY + LEADERS), revealed)
        return sorted({number for _, number in self.best} | {*latest})


def _as_good(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))


class PartialStudy:
    """A study that shows some of its trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(self, deepcopy: bool = True, states: Iterable[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials in these states."""
        wanted = None if states is None else {*states}
        return [trial for trial in self._trials if wanted is None or trial.state in wanted]

    def _get_trials(
        self, deepcopy: bool = True, states: Iterable[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self.get_trials(deepcopy, states)


def partial_study(study: Study, trials: list[FrozenTrial]) -> Study:
    """Return a study of which only these trials are visible."""
    return PartialStudy(study, trials)  # type: ignore[return-value]


class WindowedSampler(BaseSampler):
    """A sampler that sees these trials only."""

    def __init__(self, sampler: BaseSampler, trials: list[FrozenTrial]) -> None:
        self.sampler = sampler
        self.trials = trials

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask the sampler, with one trial for all of the same parameters: the distribution of each is the space's in every trial."""
        finished = {tuple(known.distributions): known for known in self.trials if known.state.is_finished()}
        visible = partial_study(study, [*finished.values(), trial])
        return self.sampler.infer_relative_search_space(visible, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the sampler."""
        return self.sampler.sample_relative(partial_study(study, [*self.trials, trial]), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the sampler."""
        visible = partial_study(study, [*self.trials, trial])
        return self.sampler.sample_independent(visible, trial, param_name, param_distribution)


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
    ask_network: Callable[[Trial], None] | None = None  # asks a trial for the hyperparameters of the user's own network
    starts: Sequence[Mapping[str, Any]] = ()  # parameters of the first trials; none: of the known-good one
    study: Study = field(init=False)
    trials: dict[int, Trial] = field(default_factory=dict)
    results: dict[int, TrialResult] = field(default_factory=dict)
    brackets: dict[int, int] = field(default_factory=dict)
    revealed: int = 0  # trials 0 … revealed - 1 are known to sampler and pruner

    def __post_init__(self) -> None:
        self.study = quiet_study(self.direction, *self.others, name=self.name)
        self.starts = self.starts or [self.space.defaults()]
        self.leaders = Leaders((self.direction, *self.others))
        self.points = None
        if self.sampler.points is not None:
            self.points = list(self.sampler.points(self.space))
        brackets = range(self.pruner.brackets(self.budget))
        self.pruners = [self.pruner.make(self.budget, bracket) for bracket in brackets]

    @property
    def limit(self) -> int | None:
        """How many trials there are to propose, where the sampler has an end (a grid)."""
        return None if self.points is None else len(self.points)

    def ready(self, number: int) -> bool:
        """Whether all results that a trial's proposal depends on are known."""
        return all(known in self.results for known in range(self.revealed, number - self.lag + 1))

    @quiet_optuna()
    def propose(self, number: int, stored: Mapping[str, Any] | None = None) -> Proposal:
        """Return trial `number`; `stored` are its parameters where an earlier process proposed it already."""
        self._reveal(number - self.lag + 1)
        fixed = stored if stored is not None else self._fixed(number)
        replayed = stored is not None and number >= len(self.starts) and self.sampler.replayed
        if fixed is None or replayed:
            self.study.sampler = self._sampler(number)
        else:
            self.study.sampler = NO_SAMPLER
            self.study.enqueue_trial(dict(fixed))
        trial = self.study.ask()
        self.trials[number] = trial
        values = self.space.suggest(trial, custom_network=self.ask_network is not None)
        if self.ask_network is not None:
            self.ask_network(trial)
            values[OWN] = trial.params
        return Proposal(number, trial.params, trial.distributions, values)

    def values_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all hyperparameters of a trial with these parameters."""
        return known_values(self.space, params, custom_network=self.ask_network is not None)

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
        """Return the sampler of a trial; TPE sees a window of the results."""
        sampler = self.sampler.make(self.seed, derive_seed(self.seed, "sampler", number) % 2**32)
        if not self.sampler.windowed:
            return sampler
        pending = range(self.revealed, number)
        window = [*self.leaders.window(self.revealed), *pending]
        return WindowedSampler(sampler, self._frozen(window))

    def _frozen(self, numbers: Iterable[int]) -> list[FrozenTrial]:
        storage = storage_of(self.study)
        return [storage.get_trial(trial_id(self.trials[number])) for number in numbers]

    def _fixed(self, number: int) -> Mapping[str, Any] | None:
        """Return the parameters of a trial that no sampler proposes: a grid's, and those of the first trials."""
        if self.points is not None:
            return self.points[number]
        return self.starts[number] if number < len(self.starts) else None

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
