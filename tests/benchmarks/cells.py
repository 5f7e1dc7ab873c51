"""The cells: every combination that is timed, contestants of one setting beside each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from hpsearch.data import Data
from hpsearch.trial import Architecture, TrialSpec
from tests.benchmarks.contestants import CONTESTANTS, REFERENCE, USUAL
from tests.benchmarks.scope import Scope
from tests.benchmarks.workload import COHORTS

LEARNING_RATE = 1e-3  # speed does not depend on it; small enough that nothing diverges


@dataclass(frozen=True, slots=True)
class Cell:
    """What is timed: a contestant that trains a cohort of trials, each for so many updates."""

    data: str
    batch_size: int
    optimizer: str
    cohort: str
    trials: int
    engine: str
    updates: int = 1

    def networks(self, data: Data) -> list[Architecture]:
        """Return the network of each trial."""
        return COHORTS[self.cohort].draw(data.inputs, data.outputs, self.trials)

    def specifications(self, data: Data, updates: int) -> list[TrialSpec]:
        """Return the trials, with so many updates each and an evaluation at the end."""
        return [
            TrialSpec(
                number=number,
                seed=number,
                order_seed=0,
                architecture=architecture,
                optimizer=self.optimizer,
                learning_rate=LEARNING_RATE,
                batch_size=self.batch_size,
                evaluate_at=(updates,),
            )
            for number, architecture in enumerate(self.networks(data))
        ]

    def run(self, data: Data, updates: int) -> float:
        """Return the seconds that the contestant takes for so many updates of every trial, what it prepares included."""
        return CONTESTANTS[self.engine].train(self.specifications(data, updates), data)


def bench_cells(scope: Scope, data: Mapping[str, Data]) -> list[Cell]:
    """Return every cell once."""
    return [
        cell
        for name, part in data.items()
        for size, optimizer, cohort in product(scope.sizes(len(part.training)), scope.optimizers, scope.cohorts)
        for cell in _contest(Cell(name, size, optimizer, cohort, 1, REFERENCE), scope, size == len(part.training))
    ]


def _contest(setting: Cell, scope: Scope, full: bool) -> list[Cell]:
    """Return the cells of one setting, by the number of trials."""
    names = dict.fromkeys((USUAL, REFERENCE, *scope.engines, *scope.rivals))
    return sorted((cell for name in names for cell in _entries(setting, name, scope, full)), key=lambda c: c.trials)


def _entries(setting: Cell, name: str, scope: Scope, full: bool) -> Iterator[Cell]:
    """Yield a contestant's cells: of equal trials one where it trains them one by one, of mixed ones always the whole cohort."""
    contestant, mixed = CONTESTANTS[name], setting.cohort == "mixed"
    if (mixed and not contestant.mixed) or (full and not contestant.full):
        return
    for trials in scope.trials if mixed or contestant.together else (1,):
        yield replace(setting, trials=trials, engine=name)
