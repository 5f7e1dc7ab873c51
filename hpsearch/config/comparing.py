"""The settings of a comparison: from a file of its own, from a search's study, or from a data set's name alone."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.config.problems import findings, line_of, told
from hpsearch.config.reading import (
    STUDIES,
    find_study,
    is_data,
    overridden,
    parse,
    take_places,
)
from hpsearch.config.sections import MinimaConfig, StudyConfig
from hpsearch.data.loaders.datasets import DATASETS
from hpsearch.errors import UserError, shown, suggestion

LEFT_OUT = (  # of a search's study, when it is compared
    *("search.sampler", "search.pruner", "search.trials", "search.timeout", "search.reduction_factor", "search.lag"),
    "data.folds",
    *("training.patience", "training.evaluations"),  # patience counts evaluations, which lie closer together here
)
PLAIN: dict[str, Any] = {  # what is compared on a data set of which only the name is given
    "depth": 2,
    "width": 64,
    "optimizer": "sgd",
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
}


def read_comparison(
    name: str, overrides: Sequence[tuple[str, Any]] = ()
) -> tuple[StudyConfig | MinimaConfig, list[str]]:
    """Read and check a comparison: a file, one of hpsearch's own (with or without its `compare-`), or a data set's name.

    A search's study is compared too; what a comparison decides itself is left out of it. Returned with it: a line on what was.
    A file with a table [minima] and no data is a study of the escape tests alone.

    Raises:
        UserError: every problem, a line each.
    """
    path = _find_comparison(name)
    raw = parse(path) if path else {"data": {"name": name}, "space": dict(PLAIN)}
    called = path.stem if path else f"compare-{name}"
    notices: list[str] = []
    if "minima" in raw and "data" not in raw:
        return _check_minima(raw, str(path), take_places(raw, called, overrides)), notices
    if "compare" not in raw:
        raw["compare"] = {}
        if gone := [key for key in LEFT_OUT if _drop(raw, key)]:
            notices.append(f"left out, since every run of a comparison trains alike and to its end: {', '.join(gone)}")
        called = called if called.startswith("compare-") else f"compare-{called}"
    return overridden(raw, called, str(path or f"data set '{name}'"), overrides), notices


def _check_minima(raw: Mapping[str, Any], where: str, overridden: Sequence[str]) -> MinimaConfig:
    try:
        return MinimaConfig.model_validate(raw)
    except ValidationError as error:
        problems = dict.fromkeys(map(line_of, findings(error.errors())))
        raise UserError("\n".join(told(problem, where, overridden) for problem in problems)) from None


def _find_comparison(name: str) -> Path | None:
    """Return the file of a comparison, None for a data set's name."""
    known = {file.stem for file in STUDIES.glob("*.toml")}
    if f"compare-{name}" in known:
        return find_study(f"compare-{name}")
    if is_data(name):
        raise UserError(
            f"{shown(name)} is a data file, not a comparison. Name it in a study's file (data.file, data.target), and compare that."
        )
    with suppress(OSError):
        if name in known or Path(name).is_file():
            return find_study(name)
    if name in DATASETS:
        return None
    names = {*known, *DATASETS}
    raise UserError(
        f"nothing to compare is called {shown(name)}: no file, study or data set. {suggestion(name, names)}"
    )


def _drop(raw: dict[str, Any], key: str) -> bool:
    section, name = key.split(".")
    table = raw.get(section)
    return isinstance(table, dict) and table.pop(name, None) is not None
