"""The file that a network was trained on, as far as a file of new rows is read alike: separator, encoding, marks, names and width."""

from collections.abc import Sequence

from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.loaders.csv_dialect import SEPARATORS
from hpsearch.data.loaders.csv_layout import SPACES
from hpsearch.errors import UserError, listed

LOOKED_AT = 65_536  # bytes, for the line of names


def separator_of(trained: TrainedTable, content: bytes) -> str | None:
    """Return the separator with which the first line has most of the columns' names, None where none has one.

    Of equals it is the study's. One column needs none: then it is one that does not occur. Without names the width decides.
    """
    first = next(filter(None, content[:LOOKED_AT].decode(errors="replace").split("\n")), "")
    marks = list(dict.fromkeys((trained.reading.get("separator") or ",", *SEPARATORS, SPACES)))
    if trained.reading.get("header") is False:
        widths = [len(names) for names in _by_number(trained)]
        return next((mark for mark in marks if len(_names(first, mark)) in widths), None)
    known = {*trained.columns, *trained.targets}
    found = {mark: len(known & set(_names(first, mark))) for mark in marks}
    best = max(marks, key=lambda mark: found[mark])
    if not found[best]:
        return None
    if len(_names(first, best)) > 1:
        return best
    return next((mark for mark in marks if mark.encode() not in content), best)


def names_of(trained: TrainedTable, names: Sequence[str], *, header: bool) -> tuple[str, ...]:
    """Return the names of new rows' columns; those without a line of names are the study's, by their number.

    Raises:
        UserError: the study's file had names and these have none, or there are more or fewer columns than it had.
    """
    if not trained.reading or (
        header and (trained.reading.get("header") is not False or set(names) & set(trained.columns))
    ):
        return tuple(names)
    if trained.reading.get("header") is not False:
        raise UserError("no line of names, which the study's file had. Write the columns' names into the first line.")
    known, without = _by_number(trained)
    for expected in (known, without):
        if len(names) == len(expected):
            return tuple(expected)
    raise UserError(
        f"{len(names):,} columns without names; {len(known):,} expected, as in the study's file, or {len(without):,}: "
        f"all but the target {listed(trained.targets)}. Give one of these."
    )


def _by_number(trained: TrainedTable) -> tuple[list[str], list[str]]:
    """Return the names of columns that are called by their numbers: all, and all but the target."""
    known = sorted({*trained.columns, *trained.targets}, key=int)
    return known, [name for name in known if name not in trained.targets]


def _names(line: str, separator: str) -> list[str]:
    parts = line.split() if separator == SPACES else line.split(separator)
    return [part.strip().strip('"').strip() for part in parts]
