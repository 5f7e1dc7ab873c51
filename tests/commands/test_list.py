"""The command `list`, and the help texts that are made from its tables."""

from pathlib import Path

import pytest

from hpsearch.cli import main, parser
from hpsearch.commands.list import TABLES, descriptions_of


def test_the_kinds_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a kind the command says which kinds there are, also where there is no study."""
    assert main(["list", "--reports", str(tmp_path)]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"No studies in {tmp_path}. To run the first one: python -m hpsearch run"
    assert f"KIND one of {', '.join(TABLES)}." in last


@pytest.mark.parametrize("kind", TABLES)
def test_each_row_has_a_line(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A kind's table is printed with a name and a description in each line, the descriptions below each other."""
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = list(descriptions_of(kind))
    assert [line.split()[0] for line in lines] == names
    start = max(len(name) for name in names) + 2
    assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines)


def test_figures_of_one_name_are_both_listed() -> None:
    """Search and comparison each have a figure `curves`: its line says what either shows."""
    shown = descriptions_of("figures")["curves"]
    assert shown.startswith("learning curves of the best trials")
    assert shown.endswith("; of a comparison: the metric by updates, epochs and seconds")


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A kind that does not exist is told with the nearest that does."""
    assert main(["list", "sampler"]) == 2
    assert "Did you mean 'samplers'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "kinds"), [("run", ["samplers", "pruners", "engines", "metrics", "tasks"]), ("compare", ["engines"])]
)
def test_help_names_the_rows(command: str, kinds: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The help of an option that takes a name lists the names of its table."""
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for kind in kinds:
        assert ", ".join(descriptions_of(kind)) in shown
