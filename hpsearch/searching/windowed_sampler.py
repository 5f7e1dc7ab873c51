"""The window of a long study that a sampler and a pruner see, so that a proposal costs the same at trial 10,000 as at 250.

TPE's cost grows with every trial that it sees, and its good ones are the best tenth, 25 at most: 250 results give it all of them. So of
more than `MEMORY` results it sees the best `LEADERS` and the latest. Which those are follows from the results alone, in the order of their
numbers, so a search stays a function of (study, seed, lag), also after an interruption. This file alone knows by which of its methods
Optuna's samplers and pruners ask a study for its trials.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from hpsearch.trial import Direction

MEMORY = 250  # results that a sampler sees
LEADERS = 50  # of them the best, however old
COMPARED = 1000  # latest trials that a pruner compares with


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
        """Return the numbers of the results that a sampler sees when so many are revealed, in order."""
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
