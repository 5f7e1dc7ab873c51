"""A table as it was read: names, columns and where each row stands in its source. Nothing of it is interpreted yet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.errors import UserError, listed, shown

# One column: a NumPy array of numbers or datetime64[us] (missing: NaN, NaT), or a pyarrow array of text (missing: null or empty).
Cells = Any


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, in the source's order.

    Attributes:
        names: of the columns.
        columns: their cells.
        source: what people read of where the table comes from.
        row_numbers: where each row stands in the source: the number of its line in a text file, of its row in another.
        row_name: what such a number is called: "line" or "row".
        reading: how a file was read: `separator`, `header`, `encoding`, `decimal`.
        sentences: the same in words, with the reasons.
        notices: sentences for the reader of a report.
        kinds: types of columns that the source itself states (a pandas category), which no rule overrules.
        origin: what can be done about a cell: "file" (it can be read otherwise), "frame" (pandas can change it), "new" (rows for a network,
            which reads them as its own).
    """

    names: tuple[str, ...]
    columns: tuple[Cells, ...]
    source: str
    row_numbers: Sequence[int]
    row_name: str = "row"
    reading: Mapping[str, Any] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    origin: str = "frame"

    def __len__(self) -> int:
        return len(self.row_numbers)

    @property
    def decimal(self) -> str:
        """The decimal mark of numbers in text."""
        return str(self.reading.get("decimal", "."))

    def column(self, name: str, what: str = "column") -> Cells:
        """Return a column by its name.

        Raises:
            UserError: there is none.
        """
        if name not in self.names:
            numbered = self.reading.get("header") is False
            why = (
                " The first line holds values, so columns are called by their numbers (header = true: it holds names)."
            )
            raise UserError(f"no {what} {shown(name)}.{why * numbered} {meant(name, self.names)}")
        return self.columns[self.names.index(name)]

    def where(self, row: int) -> str:
        """Return how errors call a row, counted from 0 here."""
        return f"{self.row_name} {self.row_numbers[row]:,}"

    def without(self, names: Iterable[str]) -> "Table":
        """Return the table without some of its columns."""
        removed = set(names)
        columns = {n: cells for n, cells in zip(self.names, self.columns, strict=True) if n not in removed}
        return replace(self, names=tuple(columns), columns=tuple(columns.values()))

    def digest(self) -> str:
        """Return the sha256 of names and cells, however they lie in memory, in hexadecimal."""
        total = sha256()
        for name, cells in zip(self.names, self.columns, strict=True):
            total.update(f"{name!r} {len(cells)}\n".encode(errors="surrogatepass"))
            for part in _bytes(cells):
                total.update(part)
        return total.hexdigest()


def meant(name: str, names: Sequence[str]) -> str:
    """Return which of the names may have been meant, and the first and the last of them (a target is often the last)."""
    return f"{nearest(name, names)} Columns: {ends(names)}.".lstrip()


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the question which of the names is meant, if one is near: equal but for capitals, alike, or one that begins alike."""
    known = [known for known in names[:1000] if len(known) <= 200]
    lower = name.lower()
    near = [candidate for candidate in known if candidate.lower() == lower]
    near = near or get_close_matches(name[:200], known, n=1)
    near = near or [candidate for candidate in known if lower and _begin_alike(candidate.lower(), lower)]
    return f"Did you mean {shown(near[0])}?" if near else ""


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def ends(names: Sequence[str], most: int = 10) -> str:
    """Return the names, of many the first ones and the last."""
    if len(names) <= most + 1:
        return listed(names, most + 1)
    return f"{', '.join(map(shown, names[: most - 1]))} … {shown(names[-1])} ({len(names):,} in all)"


def _bytes(cells: Cells) -> Iterable[bytes]:
    if isinstance(cells, np.ndarray):
        yield cells.dtype.str.encode()
        yield cells.tobytes()
        return
    import pyarrow.compute as pc

    full = pc.fill_null(cells, "")
    _, offsets, letters = full.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[full.offset : full.offset + len(full) + 1]
    yield np.diff(ends).tobytes()
    yield b"" if letters is None else letters.slice(ends[0], ends[-1] - ends[0]).to_pybytes()


def take(cells: Cells, rows: Array) -> Cells:
    """Return the cells of some rows."""
    if isinstance(cells, np.ndarray):
        return cells[rows]
    import pyarrow as pa

    return cells.take(pa.array(rows))


def absent(cells: Array) -> Array:
    """Return which cells [N] of numbers or dates are missing."""
    if cells.dtype.kind == "M":
        return np.asarray(np.isnat(cells))
    if cells.dtype.kind == "f":
        return np.asarray(np.isnan(cells))
    return np.zeros(len(cells), dtype=bool)
