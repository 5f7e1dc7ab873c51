"""The settings of a comparison: from a file of its own, from a search's study, or from a data set's name alone."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.config.messages import error_of, lines_of
from hpsearch.config.reading import (
    STUDIES,
    Overrides,
    check_overridden,
    find_study,
    is_data,
    override,
    parse,
)
from hpsearch.config.sections import MinimaConfig, StudyConfig
from hpsearch.data.loaders.datasets import DATASETS
from hpsearch.errors import UserError, shown, suggestion

LEFT_OUT = (  # of a search's study, when it is compared
    "search.sampler",
    "search.pruner",
    "search.trials",
    "search.timeout",
    "search.reduction_factor",
    "search.lag",
    "data.folds",
    "training.patience",  # it counts evaluations, which lie closer together in a comparison
    "training.evaluations",
)
DEFAULT_SPACE: dict[str, Any] = {  # of a comparison on a data set of which only the name is given
    "depth": 2,
    "width": 64,
    "optimizer": "sgd",
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
}


def read_comparison(name: str, overrides: Overrides = ()) -> tuple[StudyConfig | MinimaConfig, list[str]]:
    """Read and check a comparison: a file, one of hpsearch's own (with or without its `compare-`), or a data set's name.

    A search's study is compared too: what a comparison decides itself is left out of it, and a notice says what. A file with a
    table [minima] and no data is a study of the escape tests alone.

    Raises:
        UserError: every problem, a line each.
    """
    path = _find_comparison(name)
    if path is None:
        raw: dict[str, Any] = {"data": {"name": name}, "space": dict(DEFAULT_SPACE)}
        default_name = f"compare-{name}"
        where = f"data set '{name}'"
    else:
        raw = parse(path)
        default_name = path.stem
        where = str(path)
    if "minima" in raw and "data" not in raw:
        return _check_minima(raw, where, override(raw, default_name, overrides)), []
    notices = []
    if "compare" not in raw:
        raw["compare"] = {}
        dropped = [key for key in LEFT_OUT if _drop(raw, key)]
        if dropped:
            notices.append(
                f"left out, since every run of a comparison trains alike and to its end: {', '.join(dropped)}"
            )
        default_name = f"compare-{default_name.removeprefix('compare-')}"
    return check_overridden(raw, default_name, where, overrides), notices


def _check_minima(raw: Mapping[str, Any], where: str, overridden: Sequence[str]) -> MinimaConfig:
    try:
        return MinimaConfig.model_validate(raw)
    except ValidationError as error:
        raise error_of(lines_of(error), where, overridden) from None


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
