"""Mutated study files: every problem is told in a line, or the study has the values that the file has."""

import json
import random
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hpsearch.config import STUDIES, read_comparison, read_config
from hpsearch.config.sections import MinimaConfig, StudyConfig
from hpsearch.space.hyperparameters import as_number
from tests.support.fuzzing import Fuzz
from tests.support.mutants import NOT_JSON, OF_TEXT, VALUES, mutated, mutated_values

EVERYTHING = """
[study]
name = "all"
question = "Which?"
seed = 3
[data]
file = "sales.csv"
target = ["price", "cost"]
validation = "last:0.2"
test = 0.1
columns = { a = "number", "b.c" = "date:%d.%m.%Y" }
missing = "mean"
missing_values = ["?", "n/a"]
separator = ";"
header = true
decimal = ","
drop_rows = ["missing-target"]
[space]
depth = { low = 1, high = 4 }
width = { low = 8, high = 256, log = true, per_layer = true }
optimizer = ["sgd", "adam", "momentum"]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
momentum = [0.9, 0.95]
batch_size = [16, 64, "full"]
activation = "relu"
dropout = 0.1
[training]
updates = 500
evaluations = 20
patience = 5
precision = "float64"
[search]
trials = 20
timeout = 100.5
sampler = "tpe"
pruner = "median"
lag = 4
metric = "rmse"
start = [{ depth = 2, learning_rate = 0.01, optimizer = "sgd" }]
target_value = 0.5
[confirm]
trials = 2
seeds = 3
ensemble = 2
refit = false
"""
PIECES_OF_TOML = [
    *("= ", "[[", "]]", "'''", '"""', "#", "1979-05-27", "0x1F", "1e400", "1e-400", "nan", "-inf", "true", "{ low = 1 }", "\n"),
    *("[space.learning_rate]\n", "[compare]\n", "[minima]\n", "[data]\n", "..", "= {", "9" * 5_000, "[" * 2_000, "a.b.c = 1\n"),
    *('"\\uD800"', "\\u0000", "1_0"),
]  # fmt: skip
BROUGHT = [file.read_text() for file in sorted(STUDIES.glob("*.toml"))]
SOURCES = [EVERYTHING, *(text.replace('folds = "auto"', 'file = "mine.csv"', 1) for text in BROUGHT)]
TOML_VALUES = [value for value in (*VALUES, *NOT_JSON, date(2026, 1, 1)) if value is not None]


def toml_of(tables: dict[str, Any]) -> str:
    """Return plain values as TOML, tables in one line each."""
    return "\n".join(f"{json.dumps(name)} = {_value(value)}" for name, value in tables.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(name))} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value)
    return str(value).lower()


def insert_toml(data: bytearray, draw: random.Random) -> None:
    """Insert a piece of TOML."""
    place = draw.randrange(len(data) + 1)
    data[place:place] = draw.choice(PIECES_OF_TOML).encode()


DEFAULTS = [("log", False), ("step", 1), ("grid", 0), ("per_layer", False)]  # of a range
OF_TOML = (*OF_TEXT, *[insert_toml] * 4)


def write(file: Path, draw: random.Random) -> None:
    """Write a study's file whose text or values are mutants."""
    source = draw.choice(SOURCES)
    if draw.random() < 0.4:
        file.write_bytes(mutated(source.encode(), draw, OF_TOML))
    else:
        file.write_text(toml_of(mutated_values(tomllib.loads(source), draw, TOML_VALUES)))


def assert_says(settings: Any, given: Any, key: str) -> None:
    """Check that settings have all that a file gives, a text that is a number as this number."""
    if isinstance(given, dict) and isinstance(settings, dict):
        for name, value in given.items():
            if name not in settings:  # a range does not say what is left at its default
                assert (name, value) in DEFAULTS, f"{key}.{name}"
                continue
            assert_says(settings[name], value, f"{key}.{name}")
    elif isinstance(given, list) and isinstance(settings, list):
        assert len(given) == len(settings), key
        for number, (one, other) in enumerate(zip(settings, given, strict=True)):
            assert_says(one, other, f"{key}[{number}]")
    elif isinstance(given, list) and len(given) == 1:  # a list of one is a constant
        assert_says(settings, given[0], key)
    elif isinstance(given, dict) and given.get("low") == given.get("high", ""):  # and a range without width
        assert_says(settings, given["low"], key)
    else:
        assert type(settings) is type(given) or not isinstance(given, bool), (key, settings, given)
        assert settings == given or settings == as_number(given), (key, settings, given)


def left_out(notices: Sequence[str]) -> list[str]:
    """Return the keys of a search's file that a comparison says that it left out."""
    told = [notice for notice in notices if notice.startswith("left out, ")]
    return [key for notice in told for key in notice.rpartition(": ")[2].split(", ")]


def dotted(columns: Any) -> Any:
    """Return the table of columns with the names that have dots, which TOML reads as tables in each other."""
    if not isinstance(columns, dict):
        return columns
    names: dict[str, Any] = {}
    for name, value in columns.items():
        inner = dotted(value)
        if isinstance(inner, dict) and inner:
            names |= {f"{name}.{rest}": kind for rest, kind in inner.items()}
        else:
            names[name] = value
    return names


def read_alike(file: Path) -> bool:
    """Read a study's file, a search's or a comparison's, and compare it with what tomllib reads."""
    content = file.read_bytes()
    is_search = b"compare" not in content and b"minima" not in content
    notices: list[str] = []
    if is_search:
        config: StudyConfig | MinimaConfig = read_config(file)
    else:
        config, notices = read_comparison(str(file))
    plain = tomllib.loads(content.decode("utf-8-sig"))
    settings = config.settings()
    for key in left_out(notices):
        section, name = key.split(".")
        del plain[section][name]
    if "columns" in plain.get("data", {}):
        plain["data"]["columns"] = dotted(plain["data"]["columns"])
    if isinstance(config, StudyConfig) and config.compare:
        plain.pop("confirm", None)
        plain.pop("search", None)  # a comparison decides the most of it
    assert_says(settings, plain, "file")
    return True


def test_mutated_study_files(fuzz: Fuzz, tmp_path: Path) -> None:
    """Every mutated study file is refused, each problem in a line, or its settings are what the file says."""
    file = tmp_path / "study.toml"

    def attempt(draw: random.Random) -> bool:
        write(file, draw)
        return read_alike(file)

    fuzz.run("study files", attempt, most_lines=100)


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
def test_the_studies_are_sound(source: str, tmp_path: Path) -> None:
    """Each study that is mutated is valid, and its values can be written as TOML and read again."""
    file = tmp_path / "study.toml"
    file.write_text(toml_of(tomllib.loads(source)))
    assert read_alike(file)
