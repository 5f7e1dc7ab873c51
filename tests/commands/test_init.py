"""`init`: a study's file for a table, which gives the search that `run --data` gives, and whose comments are settings."""

import re
import tomllib
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.config import find_study, read_config
from hpsearch.config.template import toml, toml_key
from hpsearch.data import load_file
from hpsearch.searching.run_options import RunOptions, prepare_data

ROWS = 80
COMMENTED = re.compile(r"# ([A-Za-z0-9_\"-][^=#]* = .*)")  # a setting behind a #


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the command runs, with a table of every kind of column."""
    lines = ["id,odd name.x,when,region,same,price"]
    for row in range(ROWS):
        region = ["north", "south"][row % 2]
        lines.append(
            f"{row + 1},{row * 0.5 + 0.25},2023-{row % 12 + 1:02}-{row % 28 + 1:02},{region},c,{row * 7.5 + 0.1}"
        )
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_gives_the_search_of_the_command_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file as it is written is the study that `run --data` makes of these data, save its question and name."""
    assert main(["init", "sales.csv", "--target", "price"]) == 0
    assert capsys.readouterr().out.endswith("next       python -m hpsearch run sales.toml\n")
    made = read_config(place / "sales.toml")
    direct = read_config(find_study("table"), [("data.file", "sales.csv"), ("data.target", "price")], "sales")
    for section in ("data", "space", "training", "search", "confirm"):
        assert getattr(made, section) == getattr(direct, section)
    assert made.study.name == "sales"
    assert made.study.question == "Which dense network predicts price best?"


def test_the_file_says_what_was_found(place: Path) -> None:
    """Comments have the rows, the task, and each column with its kind, those that are not used included."""
    assert main(["init", "sales.csv", "--target", "price"]) == 0
    text = (place / "sales.toml").read_text()
    for line in (
        '# "odd name.x" = "number"',
        '# when = "date"',
        '# region = "category"',
        '# id = "drop"',
        '# same = "drop"',
    ):
        assert f"\n{line} " in text
    assert "# Task: regression. " in text


def test_each_comment_is_a_setting(place: Path) -> None:
    """Each setting that stands as a comment is one: without its # the file is still a study's; all columns so give the same inputs."""
    assert main(["init", "sales.csv", "--target", "price"]) == 0
    file = place / "sales.toml"
    lines = file.read_text().splitlines()
    commented = [number for number, line in enumerate(lines) if COMMENTED.fullmatch(line)]
    assert len(commented) > 15
    for number in commented:
        changed = [*lines]
        changed[number] = changed[number].removeprefix("# ")
        file.write_text("\n".join(changed))
        read_config(file)
    columns = slice(lines.index("[data.columns]"), lines.index("[space]"))
    lines[columns] = [line.removeprefix("# ") for line in lines[columns]]
    file.write_text("\n".join(lines))
    config = read_config(file)
    data = prepare_data(config, RunOptions(place, "", "cpu"))
    assert data.summary["inputs"] == load_file("sales.csv", "price").summary["inputs"]


def test_what_was_given_is_in_the_file(place: Path) -> None:
    """Options on how the data are read, and forced kinds, are settings of the file that are in force."""
    given = ["--decimal", ".", "--missing-value", "none", "--set", "data.columns.id=number", "--set", "data.test=0.2"]
    assert main(["init", "sales.csv", "--target", "price", *given, "-o", "mine.toml"]) == 0
    data = tomllib.loads((place / "mine.toml").read_text())["data"]
    assert data["columns"] == {"id": "number"}
    assert (data["decimal"], data["missing_values"], data["test"]) == (".", ["none"], 0.2)
    assert read_config(place / "mine.toml").study.name == "mine"


def test_a_file_that_is_there_stays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is overwritten only where that is asked for."""
    (place / "sales.toml").write_text("mine")
    command = ["init", "sales.csv", "--target", "price"]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "error: 'sales.toml' is there already. Give another file (-o FILE), or --force to overwrite it.\n"
    )
    assert (place / "sales.toml").read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert "[space]" in (place / "sales.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["-o", "nowhere/x.toml"], "no such folder"),
        (["-o", "."], "is a folder. Give a file"),
        (["--set", "search.trials=3"], "init takes settings of [data] alone"),
        (["--set", "data.nonsense=3"], "data.nonsense"),
    ],
)
def test_what_cannot_be(arguments: list[str], fragment: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that cannot be written and a setting that is none of the data's are a line, and nothing is written."""
    assert main(["init", "sales.csv", "--target", "price", *arguments]) == 2
    assert fragment in capsys.readouterr().err
    assert [file.name for file in place.iterdir()] == ["sales.csv"]


def test_a_data_set_by_name(place: Path) -> None:
    """A data set that hpsearch knows is named in the file, which is then a study's."""
    assert main(["init", "wine"]) == 0
    assert read_config(place / "wine.toml").data.name == "wine"


@pytest.mark.parametrize("value", ['a"b\\c\n\x7f é', [1, 2.5, True], {"a b": 1e-6, "c": ["x"]}, 1e300, -3, ""])
def test_values_are_read_as_they_were_written(value: object) -> None:
    """What is written as TOML is read as the same value, under any key."""
    key = 'odd "key".x'
    assert tomllib.loads(f"{toml_key(key)} = {toml(value)}") == {key: value}


def test_hostile_names_stay_in_their_line(place: Path) -> None:
    """A column's name with a line end, an escape code and quotes is a key of the file, and makes no line of its own."""
    text = (place / "sales.csv").read_text().replace("odd name.x", '"\x1b[2J""\n[search]\ntrials = 9"', 1)
    (place / "odd.csv").write_text(text)
    assert main(["init", "odd.csv", "--target", "price"]) == 0
    made = (place / "odd.toml").read_text()
    assert "\x1b" not in made
    assert read_config(place / "odd.toml").search.trials == 64
