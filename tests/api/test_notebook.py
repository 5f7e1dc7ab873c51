"""Results in a notebook: every figure by its name, a card in place of a text, one line while a search runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import plotly.graph_objects as go
import pytest
from sklearn.datasets import load_iris

import hpsearch
from hpsearch.comparison.figures import COMPARISON_FIGURES
from hpsearch.errors import UserError
from hpsearch.progress import PhaseProgress, SearchStatus
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.notebook import NotebookLine, fragment, in_notebook
from hpsearch.reporting.plotting import figure_names, figure_of
from tests.support.comparisons import comparison
from tests.support.prose import prose
from tests.support.records import confirmed, study, unfinished

RECORD = confirmed(study(30))
COMPARED = hpsearch.ComparisonResult(comparison(), Path("reports/made"))


@pytest.mark.parametrize("name", [name for name in FIGURES if name in figure_names(RECORD)])
def test_a_figure_has_its_name(name: str) -> None:
    """Each figure of a search's report is a figure of plotly's with traces and a title."""
    figure = figure_of(RECORD, name)
    assert isinstance(figure, go.Figure)
    assert len(figure.data)
    assert figure.layout.title.text


def test_the_horizontal_axis_is_exchanged_by_buttons() -> None:
    """The history's axes (trials, examples, time) are buttons that give each trace its own positions."""
    figure = figure_of(RECORD, "history")
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["trials", "examples", "time"]
    for button in menu.buttons:
        assert [len(x) for x in button.args[0]["x"]] == [len(y) for y in button.args[0]["y"]]
        assert len(button.args[0]["x"]) == len(figure.data)


def test_figures_of_a_comparison_have_their_names() -> None:
    """Without a name the names that there are come back; each draws."""
    names = COMPARED.plot()
    assert list(names) == [row.name for row in COMPARISON_FIGURES if not row.name.startswith("escape_")]
    for name in ["steps", "rates", "quality", "tuning"]:
        assert len(COMPARED.plot(name).data)


def test_a_wrong_name_is_told_with_the_names() -> None:
    """A name that there is not is one line with a suggestion and the names; one with too little to draw says why."""
    with pytest.raises(UserError, match=r"unknown figure 'curve'\. Did you mean 'curves'"):
        figure_of(RECORD, "curve")
    with pytest.raises(UserError, match=r"unknown figure 'step'\. Did you mean 'steps'"):
        COMPARED.plot("step")
    with pytest.raises(UserError, match=r"^figure 'confirmed': [^\n]+$"):
        figure_of(unfinished(), "confirmed")


def test_the_card_begins_with_the_answer() -> None:
    """The answer stands first, no script; a comparison's card has a verdict for each claim."""
    card = fragment(RECORD)
    text = prose(card)
    assert "97.4 % accuracy on new data" in text
    assert text.index("on new data") < text.index("hidden layers")
    assert "<script" not in card + COMPARED._repr_html_()
    assert len(COMPARED.verdicts) == 7
    for claim, judgement in COMPARED.verdicts.items():
        assert f"{claim} {judgement}" in prose(COMPARED._repr_html_())
        assert f"{judgement}: {claim}" in repr(COMPARED)


def test_the_card_of_a_long_study_draws_some_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many trials the card draws so many that dots stay dots, and the ring of the selected one."""
    monkeypatch.setattr("hpsearch.reporting.notebook.DOTS", 12)
    assert sum(trial.usable for trial in RECORD.trials) > 12
    assert fragment(RECORD).count("<circle") == 12 + 1


# ------------------------------------------------------------------ the line


class Cell:
    """A cell's output as a notebook has it: what was displayed, state after state."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def display(self, shown: Any, *, display_id: bool) -> "Cell":
        assert display_id
        self.states.append(shown.data)
        return self

    def update(self, shown: Any) -> None:
        self.states.append(shown.data)


@contextmanager
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """A process that runs the cells of a notebook, as IPython shows it to a program."""
    cell = Cell()
    package: Any = ModuleType("IPython")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())
    package.display = ModuleType("IPython.display")
    package.display.HTML = lambda data: SimpleNamespace(data=data)
    package.display.display = cell.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", package.display)
    yield cell


def test_a_notebook_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells run under a kernel; IPython in a terminal, or a program that only imports it, has none."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    with notebook(monkeypatch):
        assert in_notebook()
        monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
        assert not in_notebook()


def status(done: int) -> SearchStatus:
    counts = dict.fromkeys(("pruned", "diverged", "out_of_memory", "repeated"), 0)
    return SearchStatus(done, 9, 0.5, 1, seconds=1.0, trained=done, **counts)


def test_the_line_is_brought_up_to_date_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials and phases move one line, texts escaped; what comes too fast is left out, and the search's last state stays."""
    with notebook(monkeypatch) as cell:
        line = NotebookLine("accuracy")
        with line.live():
            for done in range(1, 9):
                line.status(status(done))
            line.announce("a < b")
            line.phase(PhaseProgress("runs", 0, 15))
        assert "training the first trials" in cell.states[0]
        assert len(cell.states) < 8
        assert "a &lt; b" in cell.states[-3]
        assert 'value="0" max="15"' in cell.states[-2]
        assert "runs: 0/15" in cell.states[-2]
        assert "8/9 trials" in cell.states[-1]


@pytest.mark.parametrize(("verbose", "shown"), [(None, True), (False, False)])
def test_a_search_in_a_notebook_shows_its_line(
    verbose: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default a cell has the line and prints nothing; verbose=False shows nothing at all; the result has its figures."""
    rows, targets = load_iris(return_X_y=True)
    with notebook(monkeypatch) as cell:
        result = hpsearch.search(
            rows,
            targets,
            trials=3,
            space={"depth": 1, "width": [8, 16]},
            training={"epochs": 2},
            confirm=0,
            verbose=verbose,
        )
    assert bool(cell.states) == shown
    if shown:
        assert "3/3 trials, best accuracy" in cell.states[-1]
    assert capsys.readouterr().out == ""
    assert result.plot() == figure_names(result.record)
    assert isinstance(result.plot("history"), go.Figure)


def test_a_comparison_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` returns a comparison as it returns a search, and its page is written where it is asked for."""
    record = comparison()
    (tmp_path / "made").mkdir()
    monkeypatch.setattr("hpsearch.interactive.study_file", lambda study, reports: tmp_path / "made" / "study.db")
    monkeypatch.setattr("hpsearch.interactive.read", lambda url, name: record)
    loaded = hpsearch.load("made", reports=tmp_path)
    assert isinstance(loaded, hpsearch.ComparisonResult)
    assert loaded.folder == tmp_path / "made"
    assert loaded.report(tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert loaded.report() == tmp_path / "made" / "report.html"
