"""The pruners, which end trials early: one row each, over Optuna's. All are asked at the rungs of the budget, the same for every trial."""

from collections.abc import Callable
from dataclasses import dataclass

from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from hpsearch.trial import Budget, derive_seed


@dataclass(frozen=True, slots=True)
class Pruner:
    """A row of `PRUNERS`: `make` returns the pruner of a bracket; trials of one bracket are compared among themselves only."""

    description: str
    make: Callable[[Budget, int], BasePruner]
    brackets: Callable[[Budget], int] = lambda budget: 1

    def bracket(self, seed: int, number: int, budget: Budget) -> int:
        """Return the bracket of a trial, a function of its number alone."""
        weights = self.weights(budget)
        point = derive_seed(seed, "bracket", number) % sum(weights)
        return next(b for b in range(len(weights)) if point < sum(weights[: b + 1]))

    def weights(self, budget: Budget) -> list[int]:
        """Return how many trials each bracket gets relative to the others (Li et al. 2018, algorithm 1)."""
        count = self.brackets(budget)
        factor = budget.reduction_factor or 1
        return [-(-count * factor**s // (s + 1)) for s in reversed(range(count))]


def _halving(budget: Budget, bracket: int) -> BasePruner:
    return SuccessiveHalvingPruner(
        min_resource=min(budget.rungs, default=1),
        reduction_factor=budget.reduction_factor or 3,
        min_early_stopping_rate=bracket,
    )


PRUNERS: dict[str, Pruner] = {
    "none": Pruner("no pruning", lambda budget, bracket: NopPruner()),
    "median": Pruner("worse than the median at a rung", lambda budget, bracket: MedianPruner()),
    "halving": Pruner("successive halving, asynchronous", _halving),
    "hyperband": Pruner("hyperband", _halving, brackets=lambda budget: len(budget.rungs) + 1),
}
