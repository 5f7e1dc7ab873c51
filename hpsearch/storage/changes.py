"""What changed in the data of a study since it began, in words: a hash says that something did, its rows and columns may say what."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from hpsearch.errors import shown

MOST = 3  # names that are told


def data_change(before: Mapping[str, Any], now: Mapping[str, Any], file: str | None) -> str:
    """Return the sentence on two summaries of data whose hashes differ; `file` is where the data come from, if anywhere."""
    counts = [f"{what} were {a:,}, now {b:,}" for what, a, b in _counts(before, now) if a != b]
    names = [_names(summary) for summary in (before, now)]
    gone, new = ([name for name in names[i] if name not in names[1 - i]] for i in (0, 1))
    told = counts + [f"{what} {_listed(some)}" for what, some in (("gone:", gone), ("new:", new)) if some]
    known = "; ".join(told) or "as many rows and the same columns, but other cells or another order"
    return f"the data changed since the study began ({known}{_written(file)})"


def _counts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    rows = [
        sum(int((s.get("rows") or {}).get(part, 0)) for part in ("training", "validation", "test"))
        for s in (before, now)
    ]
    columns = [len(_names(s)) or int(s.get("inputs") or 0) for s in (before, now)]
    return [("rows", rows[0], rows[1]), ("columns", columns[0], columns[1])]


def _names(summary: Mapping[str, Any]) -> list[str]:
    return [str(column.get("name")) for column in summary.get("columns") or ()]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return ", ".join(map(shown, names[:MOST])) + more


def _written(file: str | None) -> str:
    """Return when the file was last written, where it is there."""
    with suppress(OSError, ValueError):
        if file is not None:
            return f"; {shown(Path(file).name)} was last written {datetime.fromtimestamp(Path(file).stat().st_mtime):%Y-%m-%d %H:%M}"
    return ""
