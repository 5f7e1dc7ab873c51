"""What `load` returns of a comparison: its verdicts in words, its figures, its page."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, overload

from hpsearch.comparison.analysis.verdicts import verdicts
from hpsearch.comparison.page import page, write_comparison
from hpsearch.comparison.plotting import comparison_figure, comparison_figures
from hpsearch.files import write_file
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import visible
from hpsearch.reporting.notebook import card
from hpsearch.reporting.pieces import Value
from hpsearch.storage import ComparisonRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ComparisonResult:
    """A comparison of GD, SGD and mini-batches as its storage has it, which may be running; `folder` is its own."""

    record: ComparisonRecord
    folder: Path

    @property
    def verdicts(self) -> dict[str, str]:
        """What is judged of each claim: the claim, and in a word or two what the runs say of it."""
        return dict(self._verdicts())

    @overload
    def plot(self) -> dict[str, str]: ...
    @overload
    def plot(self, name: str) -> "go.Figure": ...
    def plot(self, name: str | None = None) -> "go.Figure | dict[str, str]":
        """Return a figure of the report, `result.plot("steps")`, as a figure of plotly's; without a name the names that there are.

        Raises:
            UserError: the comparison has no such figure (it lists those that there are), or too little to draw it.
        """
        if name is None:
            return {row.name: row.description for row in comparison_figures(self.record).values()}
        return comparison_figure(self.record, name)

    def report(self, path: str | Path | None = None, language: str = "en") -> Path:
        """Write the report and return the page's path: into the folder `path`, or the page alone into a `path` that ends in .html.

        Raises:
            UserError: no such language.
        """
        target = self.folder if path is None else Path(path)
        if path is None or target.suffix != ".html":
            return write_comparison(self.record, target, language)
        write_file(target, page(self.record, Texts(language)))
        return target

    def _verdicts(self) -> Iterator[tuple[str, str]]:
        for verdict in verdicts(self.record):
            yield ENGLISH(f"claim.{verdict.claim}"), ENGLISH(f"judgement.{verdict.judgement}")

    def __repr__(self) -> str:
        lines = [f"{judgement}: {claim}" for claim, judgement in self._verdicts()]
        return "\n  ".join([f"ComparisonResult: {visible(self.record.name, 100)}", *lines, f"in {self.folder}"])

    def _repr_html_(self) -> str:
        heading = ENGLISH("page.window", name=visible(self.record.name, 100))
        rows = [Value(claim, judgement) for claim, judgement in self._verdicts()]
        return f"{card(heading, [], rows=rows)}<p><small>In {escape(str(self.folder))}</small></p>"
