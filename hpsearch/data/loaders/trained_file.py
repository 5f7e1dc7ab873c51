"""The file that a network was trained on, as far as a file of new rows is read alike: separator, encoding, marks, names and width."""

from collections.abc import Sequence

from hpsearch.data.columns.trained_table import TrainedTable
from hpsearch.data.loaders.csv_dialect import SEPARATORS
from hpsearch.data.loaders.csv_layout import SPACES
from hpsearch.errors import UserError, listed

LOOKED_AT = 65_536  # bytes, for the line of names


def separator_of(trained: TrainedTable, content: bytes, *, header: bool | None = None) -> str | None:
    """Return the separator with which the first line has most of the columns' names, None where none has one.

    Of equals it is the study's. One column needs none: then it is one that does not occur. Without names, as the `header` or else the
    study's file says, the width decides.
    """
    first = next(filter(None, content[:LOOKED_AT].decode(errors="replace").split("\n")), "")
    marks = list(dict.fromkeys((trained.reading.get("separator") or ",", *SEPARATORS, SPACES)))
    if header is False or trained.reading.get("header") is False:
        widths = [len(names) for names in _by_place(trained)]
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
    """Return the names of new rows' columns; those without a line of names are the study's, by their place.

    Raises:
        UserError: there are more or fewer columns than the study's file had, or their places are not known.
    """
    has_numbers = trained.reading.get("header") is False
    if not trained.reading or (header and not (has_numbers and not set(names) & set(trained.columns))):
        return tuple(names)
    known, without = _by_place(trained)
    for expected in (known, without):
        if expected and len(names) == len(expected):
            return tuple(expected)
    if not without:
        raise UserError(
            "no line of names, and the model of an earlier version does not keep in which order the columns came. "
            "Write the columns' names into the first line."
        )
    but_target = f"all but the target {listed(trained.targets)}"
    widths = f"{len(without):,} expected, {but_target}"
    if known:
        widths = f"{len(known):,} expected, as in the study's file, or {len(without):,}: {but_target}"
    raise UserError(f"{len(names):,} columns without names; {widths}. Give one of these.")


def _by_place(trained: TrainedTable) -> tuple[list[str], list[str]]:
    """Return the names of columns in the order of the study's file: all, and all but the target; none where the order is not known.

    Columns that are called by their numbers have their order in them. An earlier version kept the order of the inputs alone.
    """
    if trained.reading.get("header") is False:
        known = sorted({*trained.columns, *trained.targets}, key=int)
    else:
        known = list(trained.reading.get("names", ()))
    if known:
        return known, [name for name in known if name not in trained.targets]
    return [], [] if trained.has_dropped else list(trained.columns)


def _names(line: str, separator: str) -> list[str]:
    parts = line.split(None if separator == SPACES else separator)
    return [part.strip().strip('"').strip() for part in parts]
