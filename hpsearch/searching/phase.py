"""Where a run of several stages stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """Where a stage stands: runs done of its total."""

    name: str
    done: int
    total: int
