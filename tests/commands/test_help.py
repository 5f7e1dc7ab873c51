"""`help`: the topics of the documentation, and a page of each."""

import subprocess
import sys
from itertools import groupby

import pytest

from hpsearch.cli import main, parser
from hpsearch.commands import COMMANDS
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


def test_a_bare_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments the whole help is printed, with status 0: it names every command and fits 80 columns."""
    assert main([]) == 0
    shown = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in shown if line.startswith("  ") and line.split()[0] in COMMANDS]
    assert listed == list(COMMANDS)
    assert max(len(line) for line in shown if line.startswith("  ")) <= 80


def test_the_commands_of_a_group_stand_together() -> None:
    """Each group has one heading in the help: its commands are neighbours in the table."""
    groups = [group for group, _ in groupby(row.group for row in COMMANDS.values())]
    assert len(groups) == len(set(groups)) > 3


EXAMPLES = [example for row in COMMANDS.values() for example in row.examples]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_parse(example: str) -> None:
    """Every example of a help is a command line that its parser takes."""
    command, *rest = example.split()
    assert parser(command).parse_args([command, *rest]).command == command


def test_a_commands_help_has_groups_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a command with many options has them in groups, a usage of one line, and the examples at its end."""
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python -m hpsearch run [STUDY] [options]\n")
    heads = ["data:", "search:", "training:", "files, storage and signals:", "examples:"]
    places = [shown.index(f"\n{head}\n") for head in heads]
    assert places == sorted(places)
