"""A new figure of either page is one row of a table: it is on the page, with its numbers, whatever the locales say of it."""

import plotly.graph_objects as go
import pytest

from hpsearch.comparison import page as comparison_page
from hpsearch.comparison import plotting
from hpsearch.comparison.figures import FigureChapter
from hpsearch.comparison.figures.figure import ComparisonFigure
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES, Figure
from hpsearch.reporting.tables import Frames, frames
from hpsearch.storage import ComparisonRecord, StudyRecord
from tests.support.comparisons import comparison
from tests.support.prose import prose
from tests.support.records import study

DESCRIPTION = "validation loss of every trial"
HEADING = "Validation loss of every trial"


def draw(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> go.Figure | None:
    return go.Figure(go.Scatter(y=frames["trials"]["validation_loss"].dropna()))


def read(frames: Frames, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    return f"{len(record.trials)} losses are drawn."


def test_a_figure_of_a_search_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has its description as heading, what it reads, the drawing, its table, and a link to it."""
    monkeypatch.setitem(FIGURES, "loss", Figure("loss", DESCRIPTION, "trials", draw, read))
    record = study(3)
    html = page(record, frames(record))
    assert f'<section id="about-loss"><h2>{HEADING}</h2><p id="reading-loss">3 losses are drawn.</p>' in html
    assert f'<a href="#about-loss">{HEADING}</a>' in html
    assert 'id="figure-loss"' in html
    assert '"loss":{"data":[{' in html
    assert "tables/trials.csv" in html[html.index('id="about-loss"') :]


def test_a_figure_without_a_table_is_refused() -> None:
    """A row whose table does not exist says which tables there are."""
    with pytest.raises(ValueError, match=r"no table 'losses'. Known: trials, leaderboard, curves"):
        Figure("loss", DESCRIPTION, "losses", draw, read)


def test_a_figure_of_a_comparison_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise: heading, reading, drawing, and its numbers as a table."""
    row = ComparisonFigure(
        "sizes",
        "the batch sizes",
        lambda record, texts: go.Figure(go.Scatter(y=[arm.batch_size for arm in record.arms])),
        lambda record, texts: "Every batch size is drawn.",
        lambda record: [{"batch_size": arm.batch_size} for arm in record.arms],
    )
    monkeypatch.setattr(comparison_page, "CHAPTERS", (FigureChapter("speed", (row,), ()),))
    for module in (comparison_page, plotting):
        monkeypatch.setattr(module, "COMPARISON_FIGURES", (row,))
    record: ComparisonRecord = comparison(measured=0)
    html = comparison_page.page(record, ENGLISH)
    assert (
        '<section id="about-sizes"><h3>The batch sizes</h3><p id="reading-sizes">Every batch size is drawn.</p>' in html
    )
    assert '"sizes":{"data":[{' in html
    assert "The numbers batch_size" in prose(html)
