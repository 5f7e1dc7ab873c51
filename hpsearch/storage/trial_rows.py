"""A trial as a storage has it: only what hpsearch reads, unchecked."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from hpsearch.errors import StorageError, UserError


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as it is stored: `id` is the storage's own, `attributes` has the one that hpsearch writes, whatever its value is."""

    id: int
    number: int
    state: TrialState
    started: float | None  # seconds since 1970
    params: dict[str, Any] = field(default_factory=dict)
    values_by_objective: dict[int, float] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)  # by evaluation
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> tuple[float, ...]:
        """The values in the order of the objectives; none before the trial has ended."""
        return tuple(self.values_by_objective[objective] for objective in sorted(self.values_by_objective))


def check_numbers(rows: Sequence[TrialRow]) -> None:
    """Refuse trials of which one is missing.

    Raises:
        StorageError: the numbers are not 0, 1, 2, ….
    """
    if [row.number for row in rows] != list(range(len(rows))):
        raise StorageError(
            "storage damaged: there are gaps in the trials' numbers. It was not changed; restore a copy."
        )


def foreign_trial(number: int) -> UserError:
    """Return the error of a trial that is not the one that hpsearch would write under its number."""
    return UserError(f"another program wrote trial {number} into this study. Give hpsearch a study of its own.")


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause Python's search for cycles of objects: a study has none, and the search takes half the time of reading one."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
