"""A study's file for data of the user's own, to be edited: what was found in the data, the settings that `run` takes, others as comments.

The settings are those of the study `table`, which `run --data` takes too: the file as it is written gives the same search.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.config.reading import STUDIES, parse
from hpsearch.errors import counted
from hpsearch.space.hyperparameters import HYPERPARAMETERS

WIDTH = 100  # characters of a line of comments
WIDEST = 60  # characters before a comment that stands beside a setting
COLUMNS = 500  # of a table that have a line
DROPPED = "dropped"  # the kind of a column that is not used, in a summary of data
SECTIONS = ("space", "training", "search", "confirm")
MEANINGS = {  # of settings that stand in the file
    "file": "a path from the folder in which hpsearch is started",
    "target": "the column that is predicted; several: a list",
    "name": "a data set that hpsearch knows",
    "folds": "cross-validation: 'auto' has 5 folds up to 2,000 rows and one division beyond; or a number",
    "epochs": "passes over the training rows, at most; or updates = 5000",
    "max_examples": "rows that a trial sees at most: fewer passes over many rows",
    "patience": "evaluations without a better value after which a trial ends",
    "trials": "how many settings are tried in all",
    "start": "the first trials; what is left out is known-good",
    "pruner": "ends trials early that do worse than others: none, median, halving, hyperband",
}
CONFIRM = {
    "trials": "the best trials of the search, trained again on fresh seeds",
    "ensemble": "networks that predict together at most, unless one is clearly better",
}
FURTHER: dict[str, tuple[tuple[str, Any, str], ...]] = {  # defaults and examples, as comments: key, value, meaning
    "study": (("seed", 0, "of everything random"),),
    "data": (
        ("validation", 0.15, "share or number of rows that choose among trials"),
        ("test", 0.15, "share or number of rows that judge the selected network alone; 0: none"),
        ("missing", "median", "what takes the place of a missing number: median, mean; or refuse"),
        ("missing_values", ["unknown"], "texts that mean a missing cell, besides the usual ones"),
    ),
    "space": (
        ("momentum", {"low": 0.5, "high": 0.99}, "searched only where the optimizer has it"),
        ("taper", 0.5, "width of a layer relative to the one before"),
    ),
    "training": (
        ("class_weights", "balanced", "the same weight in the loss for each class, however rare"),
        ("max_seconds", 60.0, "ends a trial by the clock; such a study cannot be repeated exactly"),
    ),
    "search": (
        ("sampler", "tpe", "who proposes trials: random, grid, qmc, tpe, gp, nsga2, cmaes"),
        ("timeout", 3600.0, "seconds after which no trial begins"),
        ("patience", 20, "trials without a better value after which no further one begins"),
        ("lag", 8, "trial k knows the results of trials 0 … k - lag; the most that train at once"),
    ),
    "confirm": (
        ("seeds", 5, "on which each of them is trained"),
        ("refit", True, "the selected networks train once more, on training and validation rows"),
    ),
}


class Setting(NamedTuple):
    """A line of the file: a key and its value, what it means, and whether it is in force or a comment."""

    key: str
    value: Any
    meaning: str = ""
    in_force: bool = True

    @property
    def text(self) -> str:
        """The setting without its meaning."""
        mark = "" if self.in_force else "# "
        value = toml(self.value)
        if isinstance(self.value, list) and any(isinstance(each, Mapping) for each in self.value):
            value = "\n".join(["[", *(f"    {toml(each)}," for each in self.value), "]"])
        return f"{mark}{toml_key(self.key)} = {value}"


def study_text(name: str, data: Mapping[str, Any], summary: Mapping[str, Any], command: str) -> str:
    """Return a study's file.

    Args:
        name: the file's name, for the command that runs it.
        data: the settings of `[data]`.
        summary: what the data room says of these data.
        command: the command that makes this file.
    """
    lines = [
        *_comment(f"A study of {data.get('file', data.get('name'))}, made by: {command}"),
        *_comment(f"Run it: python -m hpsearch run {name}"),
        *_comment("Settings behind a # are defaults and examples: take the # away to set them."),
        *_comment("All settings: python -m hpsearch help studies"),
        "",
        "[study]",
        *_aligned([Setting("question", _question(data)), *_further("study")]),
        "",
        *_data_lines(data, summary),
    ]
    defaults = parse(STUDIES / "table.toml")
    for section in SECTIONS:
        lines += ["", f"[{section}]", *_aligned(_settings(section, defaults[section]))]
    return "\n".join([*lines, ""])


def toml(value: Any) -> str:
    """Return a plain value as TOML writes it in one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml_key(key)} = {toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """Return a key as TOML writes it: in quotes where it has more than letters, digits, _ and -."""
    is_bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
    return name if is_bare else toml(name)


def _question(data: Mapping[str, Any]) -> str:
    target = data.get("target", data.get("name"))
    names = ", ".join(target) if isinstance(target, list) else target
    return f"Which dense network predicts {names or 'the class'} best?"


def _data_lines(data: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield `[data]` and `[data.columns]`, with what was found before each."""
    rows = ", ".join(f"{count:,} {part}" for part, count in summary["rows"].items())
    yield from _comment(f"{summary['title']}: {rows}.")
    yield from _comment(f"Task: {summary['task']}. {summary['task_reason']}")
    yield from _comment(f"Metric: {summary['metric']} ([search] metric).")
    for sentence in summary.get("reading", ()):
        yield from _comment(f"- {sentence}")
    for notice in summary.get("notices", ()):
        yield from _comment(f"- {notice}")
    folds = {}
    if "name" not in data:
        folds["folds"] = parse(STUDIES / "table.toml")["data"]["folds"]
    settings = [
        Setting(key, value, MEANINGS.get(key, "")) for key, value in {**data, **folds}.items() if key != "columns"
    ]
    if "task" not in data:
        settings.append(Setting("task", summary["task"], "regression, binary, multiclass, multilabel", in_force=False))
    further = [each for each in _further("data") if each.key not in data]
    yield from ("[data]", *_aligned([*settings, *further]))
    columns: Sequence[Mapping[str, Any]] = summary.get("columns", ())
    if columns:
        yield from (
            "",
            *_comment("Columns and their kinds, as they were found; drop leaves a column out."),
            "[data.columns]",
        )
        yield from _aligned(_columns(columns[:COLUMNS], data.get("columns", {})))
    if len(columns) > COLUMNS:
        yield from _comment(f"and {len(columns) - COLUMNS:,} columns more")


def _columns(columns: Iterable[Mapping[str, Any]], given: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield a column's kind, in force where it was given."""
    for column in columns:
        name = column["name"]
        yield Setting(name, given.get(name, _kind(column)), _column_note(column), in_force=name in given)


def _kind(column: Mapping[str, Any]) -> str:
    """Return the kind of a column as a study's file has it."""
    return "drop" if column["kind"] == DROPPED else str(column["kind"])


def _column_note(column: Mapping[str, Any]) -> str:
    """Return how many inputs a column gives, how many of its cells are missing, and a note on it."""
    parts = []
    if column["inputs"]:
        parts.append(counted(column["inputs"], "input"))
    if column.get("missing"):
        parts.append(f"{column['missing']:,} missing")
    if column.get("note"):
        parts.append(str(column["note"]))
    return ", ".join(parts)


def _settings(section: str, values: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield the settings of a section, those of `table` in force and further ones as comments."""
    for key, value in values.items():
        meaning = MEANINGS.get(key, "")
        if section == "space":
            meaning = HYPERPARAMETERS[key].meaning
        elif section == "confirm":
            meaning = CONFIRM[key]
        yield Setting(key, value, meaning)
    yield from _further(section)


def _further(section: str) -> Iterator[Setting]:
    for key, value, meaning in FURTHER[section]:
        yield Setting(key, value, meaning, in_force=False)


def _aligned(settings: Iterable[Setting]) -> list[str]:
    """Return settings with their meanings below each other, but behind the few long ones."""
    settings = list(settings)
    width = max((len(setting.text) for setting in settings if len(setting.text) <= WIDEST), default=0)
    lines = []
    for setting in settings:
        meaning = _one_line(setting.meaning)
        line = setting.text
        if meaning:
            line = f"{line:<{width}}  # {meaning}"
        lines.append(line)
    return lines


def _comment(text: str) -> list[str]:
    """Return a sentence as comments."""
    indent = "  " if text.startswith("- ") else ""
    return [f"# {line}" for line in textwrap.wrap(_one_line(text), WIDTH, subsequent_indent=indent)]


def _one_line(text: str) -> str:
    """Return text in one line; a character that does not print, which no comment of TOML may have, is a question mark."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
