"""What stands around the cells of a text table and is none of it: Excel's first line, a title, aligning spaces, separators at a line's end.

Each is left out only where one reading is possible, and is said; what remains is refused by `csv_bytes` as it is.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpsearch.data.loaders.csv_bytes import Rows, check_lengths, find_rows
from hpsearch.errors import UserError, counted, shown

DIRECTIVE = re.compile(rb'\A\s*"?sep=(.)"?[;,\t ]*\n', re.IGNORECASE)
MOST_TITLES = 20  # rows above the names
SPACES = " "  # the separator of cells that spaces align, one or more
TAB = "\t"
QUOTED = re.compile(rb'"(?:[^"]|"")*"')
RUN = re.compile(rb'("(?:[^"\n]|"")*")|[ \t]+')


@dataclass(frozen=True, slots=True)
class Layout:
    """A text whose rows are equally long: the bytes, what separates cells in them, its rows, and what was left out, as sentences."""

    content: bytes
    separator: str
    rows: Rows
    notes: tuple[str, ...] = ()


def take_directive(content: bytes) -> tuple[bytes, str | None]:
    """Return the bytes with Excel's line `sep=;` emptied, so that lines count on, and the separator that it names."""
    found = DIRECTIVE.match(content)
    if found is None:
        return content, None
    return b"\n" + content[found.end() :], found[1].decode(errors="replace")


def find_layout(
    content: bytes, separator: str, expected: Collection[str], is_names: Callable[[Sequence[str]], bool]
) -> Layout:
    """Return a text's rows, equally long, without what is none of the table.

    Args:
        content: UTF-8 text that ends in a line end.
        separator: what separates its cells.
        expected: names of columns that are asked for; a row with one is no title.
        is_names: whether cells can be a line of names.

    Raises:
        UserError: quotes are wrong, or rows have different lengths.
    """
    if separator == SPACES:
        content, separator = _without_runs(content)
    notes = []
    try:
        rows = find_rows(content, separator)
    except UserError:
        content, rows = _without_spaces(content, separator)
        notes.append("spaces beside a quote: left out")
    layout = _without_titles(Layout(content, separator, rows, tuple(notes)), expected, is_names)
    layout = _with_equal_header(layout, is_names)
    check_lengths(layout.rows, separator)
    return layout


def splits_by_spaces(lines: Sequence[str]) -> bool:
    """Whether spaces separate the same number of cells in all lines, two at least."""
    counts = {len(line.split()) for line in lines}
    return len(counts) == 1 and counts.pop() > 1


def _without_runs(content: bytes) -> tuple[bytes, str]:
    """Return text with a tab in place of one or more spaces; with single spaces where only these give rows of equal length."""
    lines = [line.strip(b" \t") for line in content.split(b"\n")]
    with_tabs = RUN.sub(lambda found: found[1] or b"\t", b"\n".join(lines))
    if _is_even(content, SPACES) and not _is_even(with_tabs, TAB):
        return content, SPACES
    return with_tabs, TAB


def _is_even(content: bytes, separator: str) -> bool:
    """Whether all rows have the same number of cells, two at least."""
    try:
        cells = find_rows(content, separator).cells
    except UserError:
        return False
    return bool(len(cells)) and bool(cells[0] > 1) and bool((cells == cells[0]).all())


def _without_spaces(content: bytes, separator: str) -> tuple[bytes, Rows]:
    """Return text without the spaces around quoted cells, and its rows; the first error where that does not mend it."""
    mark = re.escape(separator.encode())
    before = re.sub(rb"(^|" + mark + rb')[ ]+(?=")', rb"\1", content, flags=re.MULTILINE)
    plain = re.sub(rb'(?<=")[ ]+(' + mark + rb"|$)", rb"\1", before, flags=re.MULTILINE)
    try:
        return plain, find_rows(plain, separator)
    except UserError:
        return content, find_rows(content, separator)


def _without_titles(layout: Layout, expected: Collection[str], is_names: Callable[[Sequence[str]], bool]) -> Layout:
    """Return a text without the lines above the names that have fewer cells than all others: a title, a note, a date."""
    rows = layout.rows
    filled = [_filled(cells) for cells in _first_cells(layout, MOST_TITLES + 1)]
    if not filled or len(rows) < 3:
        return layout
    width = int(np.bincount(rows.cells).argmax())
    first = filled.index(max(filled))
    titles = _first_cells(layout, first)
    if first == 0 or width < 2 or not (rows.cells[first:] == width).all():
        return layout
    is_title = all(_is_title(cells, width, expected) for cells in titles)
    if not is_title or not is_names(_cells(layout, first)[: filled[first]]):
        return layout
    note = f"{counted(first, 'line')} above the names: left out, the first {shown(titles[0][0], 60)}"
    return replace(layout, rows=_without_first(rows, first), notes=(*layout.notes, note))


def _is_title(cells: Sequence[str], width: int, expected: Collection[str]) -> bool:
    """Whether a row is no part of a table of so many cells: it has fewer, or only the first of them is filled."""
    shorter = len(cells) < width - 1 or (len(cells) < width and len(cells) == 1)
    return (shorter or _filled(cells) <= 1) and not set(cells) & set(expected)


def _with_equal_header(layout: Layout, is_names: Callable[[Sequence[str]], bool]) -> Layout:
    """Return a text whose line of names is as long as its rows, where it has one cell more or less for a reason that shows."""
    rows = layout.rows
    if len(rows) < 2 or not (rows.cells[1:] == rows.cells[1]).all() or rows.cells[0] == rows.cells[1]:
        return layout
    names = _cells(layout, 0)
    width = int(rows.cells[1])
    if len(names) == width + 1 and not names[-1]:
        return _with_first(layout, names[:-1], "a separator behind the names: left out")
    if len(names) != width - 1 or not is_names(names):
        return layout
    ends = [layout.content[end - 1 : end] for end in rows.ends[1:]]
    if set(ends) == {layout.separator.encode()}:
        return _with_first(layout, [*names, ""], "a separator at the end of each row: left out")
    if is_names(_cells(layout, 1)):  # then the line above may as well be a title
        return layout
    firsts = [layout.content[start:end].split(layout.separator.encode(), 1)[0] for start, end in _bounds(rows)[1:]]
    if len(set(firsts)) == len(firsts):
        return _with_first(layout, ["", *names], "the first cell of each row: its name, as R writes it")
    return layout


def _with_first(layout: Layout, names: Sequence[str], note: str) -> Layout:
    """Return a text with another line of names."""
    rows = layout.rows
    cells = ['"' + name.replace('"', '""') + '"' if name else "" for name in names]
    line = layout.separator.join(cells).encode()
    start, end = _bounds(rows)[0]
    content = layout.content[:start] + line + layout.content[end:]
    found = find_rows(content, layout.separator)
    skipped = len(found) - len(rows)
    return replace(layout, content=content, rows=_without_first(found, skipped), notes=(*layout.notes, note))


def _without_first(rows: Rows, count: int) -> Rows:
    return Rows(rows.cells[count:], rows.lines[count:], rows.starts[count:], rows.ends[count:])


def _bounds(rows: Rows) -> list[tuple[int, int]]:
    return list(zip(rows.starts.tolist(), rows.ends.tolist(), strict=True))


def _first_cells(layout: Layout, count: int) -> list[list[str]]:
    return [_cells(layout, row) for row in range(min(count, len(layout.rows)))]


def _cells(layout: Layout, row: int) -> list[str]:
    """Return the cells of a row as text, without quotes and spaces around them."""
    start, end = int(layout.rows.starts[row]), int(layout.rows.ends[row])
    text = layout.content[start:end]
    quoted: list[bytes] = QUOTED.findall(text)
    parts = QUOTED.sub(b"\0", text).split(layout.separator.encode())
    texts = iter(quoted)
    cells = [re.sub(b"\0", lambda _: next(texts)[1:-1].replace(b'""', b'"'), part) for part in parts]
    return [cell.decode(errors="replace").strip() for cell in cells]


def _filled(cells: Sequence[str]) -> int:
    """Return how many cells there are up to the last that is filled."""
    return max((place + 1 for place, cell in enumerate(cells) if cell), default=0)
