"""A few mutants of each kind through the command line: a status of its own, lines that begin with `error:`, no traceback."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.storage.urls import sqlite_url
from tests.support.mutants import OF_TABLES, mutated
from tests.support.stored import write_study
from tests.system.fuzz.test_arrays_and_images import write_npz
from tests.system.fuzz.test_storages import RESULT, change_rows
from tests.system.fuzz.test_study_files import write as write_study_file
from tests.system.fuzz.test_tables import SOURCES

CASES = 5  # of each kind


def check_table(folder: Path, draw: random.Random) -> list[str]:
    """Write a table and return the command that looks at it."""
    content, target = SOURCES["plain"]
    (folder / "table.csv").write_bytes(mutated(content, draw, OF_TABLES))
    return ["check", str(folder / "table.csv"), "--target", target]


def check_arrays(folder: Path, draw: random.Random) -> list[str]:
    """Write arrays and return the command that looks at them."""
    write_npz(folder / "arrays.npz", draw)
    return ["check", str(folder / "arrays.npz")]


def check_study(folder: Path, draw: random.Random) -> list[str]:
    """Write a study's file that is refused, most of the time, and return the command that looks at it."""
    write_study_file(folder / "study.toml", draw)
    with (folder / "study.toml").open("a") as file:
        file.write("\n[data]\nfile = 'none.csv'\n")  # whatever is right in it, nothing is downloaded
    return ["check", str(folder / "study.toml")]


def report(folder: Path, draw: random.Random) -> list[str]:
    """Write a study's database and return the command that reports it."""
    file = write_study(folder / "study.db", 3, RESULT, complete=True)
    change_rows(file, draw)
    return ["report", sqlite_url(file), "--study", "s", "--reports", str(folder / "reports")]


COMMANDS = {"table": check_table, "arrays": check_arrays, "study": check_study, "report": report}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_mutants_through_the_command_line(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mutant ends a command with status 0, 2 or 3, and every line on standard error that ends it begins with `error:`."""
    command: Callable[[Path, random.Random], list[str]] = COMMANDS[kind]
    for number in range(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        arguments = command(folder, random.Random(number))  # noqa: S311
        status = main(arguments)
        told = capsys.readouterr().err
        assert status in (0, 2, 3), (number, told)
        assert "Traceback" not in told
        lines = told.splitlines()
        assert bool(lines and lines[-1].startswith("error: ")) == (status != 0), (number, told)
