"""The pieces that a report's page is made of, as plain values.

Each piece is drawn by the macro of `templates/pieces.html` that has its name. All of a piece's text is plain: the templates escape it and
spell out hidden characters, so nobody who builds a page handles HTML. Where a builder has nothing to show, it returns None.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `kind` is its class in the style sheet: kind, question, ask, note, best, pointer (of no use on paper) or none."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are; pairs without a value are left out."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Link:
    """A sentence that ends in a link to a file of the report's folder or to a section of the page.

    Raises:
        ValueError: the address could leave the report's folder.
    """

    title: str
    address: str
    before: str = ""
    after: str = ""

    def __post_init__(self) -> None:
        if ":" in self.address or self.address.startswith(("/", "\\")) or ".." in self.address:
            raise ValueError(f"a report links only to its own folder, not to '{self.address}'")


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table that scrolls by itself.

    Attributes:
        head: the headings [columns].
        rows: the cells [rows][columns].
        numeric: headings of the columns that hold numbers; they are aligned right.
        chosen: the row that stands out, -1 for none.
        pinned: the first two columns stay where they are while the others scroll.
        name: a plain name, where the table has more rows.
        more: the rows that a button adds.
        more_text: what the button says.
        label: what the table is called where it is not seen.
        trial: the column with the trials' numbers, by which the page links tables and figures; -1 for none.
        kept_text: how many rows a filter keeps, `{kept}` for their number; "" for a table without a filter.
        example: what may be typed into the filter.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[str] = ()
    chosen: int = -1
    pinned: bool = False
    name: str = ""
    more: Sequence[Sequence[str]] = ()
    more_text: str = ""
    label: str = ""
    trial: int = -1
    kept_text: str = ""
    example: str = ""

    @property
    def kinds(self) -> list[str]:
        """The style of each column: numbers, long text or short text."""
        return [self._kind(place, name) for place, name in enumerate(self.head)]

    def _kind(self, place: int, name: str) -> str:
        if name in self.numeric:
            return "number"
        long = any(len(row[place]) > 40 for row in self.rows)
        return "long" if long else "text"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What stands behind a figure, folded: remarks, the table's first rows, the file that has all of them, what its columns mean."""

    title: str
    table: PageTable
    file: Link
    meanings: Facts
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FigureSection:
    """A figure under the question that it answers, with sentences that read it; without `plot` the sentences stand alone.

    Attributes:
        name: a plain name; the section's anchor is `about-NAME`.
        title: the section's heading.
        question: what the figure answers.
        reading: the sentences that say what it shows.
        plot: the figure's data and layout as JSON values.
        numbers: the table behind it.
        above: pieces between the sentences and the figure.
        level: of the heading; 3 within a chapter.
        folded: whether it opens only when the reader asks for it.
    """

    name: str
    title: str
    question: str
    reading: Sequence[str]
    plot: Mapping[str, Any] | None = None
    numbers: Numbers | None = None
    above: Sequence[Any] = ()
    level: int = 2
    folded: bool = False

    @property
    def anchor(self) -> str:
        """The name by which the page links to it."""
        return f"about-{self.name}"

    @property
    def notes(self) -> list[str]:
        """The remarks below the figure."""
        meta = (self.plot or {}).get("layout", {}).get("meta") or {}
        return [meta[key] for key in ("thinned", "note") if meta.get(key)]

    @property
    def edge(self) -> str:
        """The remark on what is drawn at the edge of the metric's axis; the page exchanges it with the axis."""
        meta = (self.plot or {}).get("layout", {}).get("meta") or {}
        return str(meta.get("edge") or "")


@dataclass(frozen=True, slots=True)
class Part:
    """A titled table beside another one."""

    title: str
    table: PageTable


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Tables beside each other where the page is wide enough."""

    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page with a heading; its `level` is 3 within a chapter."""

    anchor: str
    title: str
    contents: Sequence[Any]
    level: int = 2


@dataclass(frozen=True, slots=True)
class Folded:
    """Pieces that open when the reader asks for them; figures in it are drawn then. On paper they are open."""

    title: str
    contents: Sequence[Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the page under a heading of its own: pieces that are open, and folded ones at its end."""

    anchor: str
    title: str
    contents: Sequence[Any]
    folded: Folded | None = None


@dataclass(frozen=True, slots=True)
class RankedCell:
    """What a method needs or reaches: lines of a value and its interval, its rank, and that in words.

    `rank` is "ahead", "between", "behind", or "" where nobody can be told apart.
    """

    lines: Sequence[tuple[str, str]]
    rank: str = ""
    rank_text: str = ""


@dataclass(frozen=True, slots=True)
class RankedTable:
    """Methods by criteria, coloured by rank; on a narrow page criteria run down and methods across.

    Attributes:
        title: what the table shows, for those who cannot see it.
        head: the criteria, the heading of the methods first [columns].
        rows: a method's name, what it is, and its cells [columns - 1].
    """

    title: str
    head: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[RankedCell]]]


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a result, large, with its name above and a remark below."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in one line, with the remark that belongs to it, and what no model at all reaches."""

    text: str
    remark: str
    baseline: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type, after the words that say what it does."""

    text: str
    before: str


@dataclass(frozen=True, slots=True)
class Result:
    """The box with the result of a search: the answer, what was selected, its numbers, the next command, how far to trust them."""

    title: str
    summary: Sequence[Any] = ()
    values: Sequence[Value] = ()
    note: str = ""
    headline: Headline | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim with its verdict, its main sentence, what limits it, further sentences (`details`, folded), and links to its figures."""

    text: str
    judgement: str
    judgement_text: str
    sentence: str
    figures: Sequence[Link]
    limits: str = ""
    details: str = ""
    details_title: str = ""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The box with the verdicts of a comparison."""

    title: str
    note: str
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Warnings:
    """The box of warnings; `compact`: in small letters."""

    title: str
    items: Sequence[str]
    compact: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """Links to the page's sections."""

    links: Sequence[Link]


@dataclass(frozen=True, slots=True)
class Footer:
    """The last line of the page."""

    text: str
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        window: the title of the browser's window.
        language: the code of its language.
        kind: the line above the heading: which kind of report it is, and as of when.
        heading: the study's name.
        question: what the study asks, in its author's words.
        introduction: paragraphs about what was done.
        pieces: everything else in order; None is left out.
        script_texts: the sentences of the page's scripts.
        linked: whether points of figures and rows of tables are trials, which the reader can choose.
    """

    window: str
    language: str
    kind: str
    heading: str
    question: str
    introduction: Sequence[str]
    pieces: Sequence[Any]
    script_texts: Mapping[str, str] = field(default_factory=dict)
    linked: bool = False

    @property
    def plots(self) -> dict[str, Mapping[str, Any]]:
        """Every figure's data and layout by its name."""
        sections = [piece for piece in _all_of(self.pieces) if isinstance(piece, FigureSection)]
        return {section.name: section.plot for section in sections if section.plot}

    @property
    def rows(self) -> dict[str, Sequence[Sequence[str]]]:
        """The rows that buttons add, by the name of their table."""
        tables = [piece for piece in _all_of(self.pieces) if isinstance(piece, PageTable)]
        return {table.name: table.more for table in tables if table.more}


def _all_of(pieces: Iterable[Any]) -> Iterator[Any]:
    """Return pieces and all that is in them."""
    for piece in pieces:
        if piece is not None:
            yield piece
            yield from _all_of(getattr(piece, "contents", ()))
            yield from _all_of([getattr(piece, "folded", None)])
