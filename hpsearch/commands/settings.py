"""From the options of a command to a study's settings, and to where and how it runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.searching.run_options import RunOptions

SETTINGS = {  # option → the setting that it overrides
    "name": "study.name",
    "seed": "study.seed",
    "data_root": "data.root",
    "data": "data.file",
    "task": "data.task",
    "missing_values": "data.missing_values",
    "folds": "data.folds",
    "metric": "search.metric",
    "precision": "training.precision",
    "timeout": "search.timeout",
    "sampler": "search.sampler",
    "pruner": "search.pruner",
    "seeds": "compare.seeds",
    "batch_sizes": "compare.batch_sizes",
}
SETTINGS_OF_RUN = {"trials": "search.trials", "target": "data.target"}
SETTINGS_OF_COMPARE = {"trials": "compare.trials", "target": "compare.target"}


def read_study(options: argparse.Namespace) -> "StudyConfig":
    """Return the study that the options ask for: of a file, or `table` where only data are given, or else `digits`.

    Raises:
        UserError: every problem, a line each.
    """
    from hpsearch.config import find_study, read_config

    if options.study is not None:
        return read_config(find_study(options.study), overrides(options))
    if options.data:
        name = Path(options.data).name.split(".")[0]
        return read_config(find_study("table"), overrides(options), name)
    return read_config(find_study("digits"), overrides(options))


def overrides(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Return the settings that override the file's, as (dotted key, value) pairs.

    Raises:
        UserError: a --set without key or value.
    """
    from hpsearch.config import parse_value

    names = SETTINGS | (SETTINGS_OF_COMPARE if options.command == "compare" else SETTINGS_OF_RUN)
    given = {setting: getattr(options, option, None) for option, setting in names.items()}
    if _is_data_set(given["data.file"]):
        given["data.name"] = given.pop("data.file")
    if given["compare.batch_sizes"] is not None:
        sizes = given["compare.batch_sizes"].split(",")
        given["compare.batch_sizes"] = [parse_value(size.strip()) for size in sizes]
    pairs = [(key, value) for key, value in given.items() if value is not None]
    return pairs + [_setting(text) for text in options.set]


def run_options_of(options: argparse.Namespace, name: str) -> "RunOptions":
    """Return where and how a study of this name runs."""
    from hpsearch.files import folder_name
    from hpsearch.searching.run_options import RunOptions
    from hpsearch.storage.folders import STUDY_FILE
    from hpsearch.storage.urls import sqlite_url

    folder = Path(options.reports) / folder_name(name)
    default = sqlite_url(folder.absolute() / STUDY_FILE)
    return RunOptions(
        folder=folder,
        storage=default if options.storage is None else options.storage,
        device=options.device,
        download=options.download,
        take_over=options.take_over,
        engine=options.engine,
        parallel=options.parallel,
        devices=getattr(options, "devices", None),
        ray=getattr(options, "ray", None),
        worker_gpus=getattr(options, "worker_gpus", None),
        worker_cpus=getattr(options, "worker_cpus", None),
        join=getattr(options, "join", False),
        patience=options.storage_patience,
    )


def _is_data_set(name: str | None) -> bool:
    """Whether a name is that of a data set, and of no file."""
    from hpsearch.data.loaders.datasets import DATASETS

    return name in DATASETS and not Path(str(name)).exists()


def _setting(text: str) -> tuple[str, Any]:
    from hpsearch.config import parse_value

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected KEY=VALUE, for example --set learning_rate.high=0.3.")
    return key.strip(), parse_value(value)
