"""What a sampler and a pruner see of a long study: enough of it to judge by, so that a proposal costs the same at trial 10,000 as at 250.

TPE's cost grows with every trial that it sees, and its good ones are the best tenth, 25 at most: 250 results give it all of them. So of
more than `MEMORY` results it is shown the best `LEADERS` and the latest. Which those are follows from the results alone, in the order of
their numbers: the study stays a function of (study, seed, lag), also after an interruption. This is the one place that knows by which of
its methods Optuna's samplers and pruners ask a study for its trials.
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
        losses = tuple(
            -value if direction == "maximize" else value
            for value, direction in zip(values, self.directions, strict=True)
        )
        if len(losses) == 1:
            insort(self.best, (losses, number))
            del self.best[LEADERS:]
        elif not any(_as_good(other, losses) for other, _ in self.best):
            better = [pair for pair in self.best if not _as_good(losses, pair[0])]
            self.best = [*better[1 - LEADERS :], (losses, number)]

    def recalled(self, revealed: int) -> list[int]:
        """Return the numbers of the results that a sampler sees when so many are revealed, in their order."""
        latest = range(max(0, revealed - MEMORY + LEADERS), revealed)
        return sorted({number for _, number in self.best} | {*latest})


def _as_good(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))


class SomeTrials:
    """A study that shows some of its trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._whole, self._some = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def get_trials(self, deepcopy: bool = True, states: Iterable[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials in these states."""
        wanted = None if states is None else {*states}
        return [trial for trial in self._some if wanted is None or trial.state in wanted]

    def _get_trials(
        self, deepcopy: bool = True, states: Iterable[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self.get_trials(deepcopy, states)


def seen(study: Study, trials: list[FrozenTrial]) -> Study:
    """Return a study as somebody may see it who is to see these trials only."""
    return SomeTrials(study, trials)  # type: ignore[return-value]


class WindowedSampler(BaseSampler):
    """A sampler that is asked about these trials only."""

    def __init__(self, sampler: BaseSampler, trials: list[FrozenTrial]) -> None:
        self.sampler, self.trials = sampler, trials

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Ask the sampler, by one trial for all that have the same parameters: the distribution of each is the space's in every trial."""
        told = {tuple(known.distributions): known for known in self.trials if known.state.is_finished()}
        return self.sampler.infer_relative_search_space(seen(study, [*told.values(), trial]), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the sampler."""
        return self.sampler.sample_relative(seen(study, [*self.trials, trial]), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the sampler."""
        return self.sampler.sample_independent(
            seen(study, [*self.trials, trial]), trial, param_name, param_distribution
        )
