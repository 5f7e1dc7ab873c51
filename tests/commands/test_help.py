"""`help`: the topics of the documentation, and a page of each."""

import subprocess
import sys

import pytest

from hpsearch.cli import main
from tests.support.pages import DOCS, PAGES, read

HEAVY = {"torch", "optuna", "pandas", "numpy", "plotly", "sklearn", "pydantic", "rich"}


def test_help_lists_the_topics(capsys: pytest.CaptureFixture[str]) -> None:
    """`help` alone prints a line for each page: its topic and the sentence that opens it."""
    assert main(["help"]) == 0
    topics = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert [line.split(maxsplit=1) for line in topics] == [[page.stem, read(page).splitlines()[2]] for page in PAGES]


@pytest.mark.parametrize("topic", [page.stem for page in PAGES])
def test_help_shows_a_page(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On a pipe a page is its Markdown, without the comments that mark code for the tests."""
    assert main(["help", topic]) == 0
    shown, page = capsys.readouterr().out.splitlines(), read(DOCS / f"{topic}.md").splitlines()
    assert shown == [line for line in page if not line.startswith("<!--")]


def test_a_terminal_gets_formatted_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal headings and code have no marks of Markdown left."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["help", "tasks"]) == 0
    shown = capsys.readouterr().out
    assert "Tasks and metrics" in shown
    assert "#" not in shown
    assert "`" not in shown


def test_an_unknown_topic_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown topic is refused with what may have been meant, and status 2."""
    assert main(["help", "engine"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unknown topic 'engine'. Did you mean 'engines'? Known: commands, ")


def test_help_waits_for_nothing() -> None:
    """A page is shown without importing any of the heavy packages."""
    script = "import sys; from hpsearch.cli import main; main(['help', 'data']); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert not HEAVY & set(shown.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "entered"), [(["--help"], set()), (["help"], {"help"}), (["rum"], set())])
def test_a_command_imports_no_other(arguments: list[str], entered: set[str]) -> None:
    """Of the commands only the module of the one that is asked for is imported; the list of commands needs none."""
    script = f"""
import atexit, sys
from hpsearch.cli import main
atexit.register(lambda: print(*sys.modules))
main({arguments})
"""
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    modules = shown.splitlines()[-1].split()
    assert {name.split(".")[2] for name in modules if name.startswith("hpsearch.commands.")} == entered
