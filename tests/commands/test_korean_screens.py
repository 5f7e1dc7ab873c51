"""The screens of every command that reads a study, in Korean: no English sentence is left."""

import re
from pathlib import Path
from random import Random

import pytest

from hpsearch.cli import main
from tests.reporting.test_korean import left_in_english

SETTINGS = ["--trials", "3", "--set", "training.epochs=2", "--set", "confirm.seeds=2", "--set", "width=4"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and the study that was run on it."""
    folder = tmp_path_factory.mktemp("korean")
    random = Random(1)  # noqa: S311 - no secret is drawn
    lines = ["age,city,kind"]
    for row in range(160):
        age = "" if row % 9 == 0 else f"{random.gauss(40, 10):.1f}"
        city = random.choice(["Aachen", "Berlin", "Celle"])
        kind = "high" if (city == "Berlin") != (random.random() < 0.2) else "low"
        lines.append(f"{age},{city},{kind}")
    (folder / "sales.csv").write_text("\n".join(lines) + "\n")
    command = ["run", "--data", str(folder / "sales.csv"), "--target", "kind", "--reports", str(folder), *SETTINGS]
    assert main([*command, "--lang", "ko"]) == 0
    return folder


def printed(capsys: pytest.CaptureFixture[str], *command: str) -> list[str]:
    """Return what a command prints in Korean, its commands to paste and the paths aside."""
    assert main([*command, "--lang", "ko"]) == 0
    out, err = capsys.readouterr()
    lines = [re.sub(r"\S*/\S*", "", line) for line in (out + err).splitlines()]
    return [line for line in lines if "python -m hpsearch" not in line]


@pytest.mark.slow
def test_every_screen_is_korean(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command prints Korean letters and no English sentence, after a search on a table with a missing cell."""
    monkeypatch.chdir(place)
    reports = ["--reports", str(place)]
    data = ["--data", "sales.csv"]
    capsys.readouterr()
    commands = [
        ["check", "sales.csv", "--target", "kind"],
        ["init", "sales.csv", "--target", "kind", "-o", "mine.toml"],
        ["list", *reports],
        ["show", "sales", *reports],
        ["open", "sales", "--no-browser", *reports],
        ["report", "sales", *reports],
        ["predict", "sales", "sales.csv", "-o", "out.csv", *reports],
        ["export", "sales", "-o", "sales.onnx", *reports],
        ["export", "sales", "--format", "safetensors", "-o", "sales.safetensors", *reports],
        ["refit", "sales", *data, *reports],
        ["replay", "sales", "0", *data, *reports],
        ["verify", "sales", "--trials", "1", "--float64", *data, *reports],
    ]
    for command in commands:
        lines = printed(capsys, *command)
        assert any(re.search("[가-힣]", line) for line in lines), command
        assert left_in_english(lines) == [], command


def test_an_error_is_announced_in_korean(capsys: pytest.CaptureFixture[str]) -> None:
    """The frame of an error is Korean; an unknown language is refused in English, since there is nothing else to say it in."""
    assert main(["show", "nothing", "--lang", "ko"]) == 2
    assert capsys.readouterr().err.startswith("오류: ")
    assert main(["show", "nothing", "--lang", "xx"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
