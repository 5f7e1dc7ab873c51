"""What is asked of one record again and again, by figures, readings and verdicts of one report, is computed once."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from hpsearch.storage import ComparisonRecord

Item = TypeVar("Item")


def remembered(function: Callable[[ComparisonRecord], list[Item]]) -> Callable[[ComparisonRecord], list[Item]]:
    """Return the function with its answer about the latest record kept; the record itself, not an equal one."""
    latest: list[tuple[ComparisonRecord, list[Item]]] = []

    @wraps(function)
    def remembering(record: ComparisonRecord) -> list[Item]:
        if not latest or latest[0][0] is not record:
            latest[:] = [(record, function(record))]
        return list(latest[0][1])

    return remembering
