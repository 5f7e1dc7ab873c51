"""The options that several commands have, and what becomes of them: a study's settings, and where and how it runs."""

import argparse
import re
from contextlib import suppress
from dataclasses import fields
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.data.options import COLUMN_SETTING
from hpsearch.errors import LONGEST_PLACE, UserError, shown
from hpsearch.files import folder_name
from hpsearch.locales import usual_language
from hpsearch.searching.stopping import GRACE
from hpsearch.storage.folders import STUDY_FILE

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.config.own import OwnCode
    from hpsearch.searching.run_options import RunOptions

REPORTS = "reports"  # the folder of all studies
SETTINGS = {  # option → the setting that it overrides
    "name": "study.name",
    "seed": "study.seed",
    "data_root": "data.root",
    "data": "data.file",
    "task": "data.task",
    "missing_values": "data.missing_values",
    "separator": "data.separator",
    "header": "data.header",
    "encoding": "data.encoding",
    "decimal": "data.decimal",
    "thousands": "data.thousands",
    "drop_rows": "data.drop_rows",
    "weight": "data.weight",
    "folds": "data.folds",
    "metric": "search.metric",
    "better": "search.better",
    "loss": "training.loss",
    "build": "training.model",
    "precision": "training.precision",
    "timeout": "search.timeout",
    "sampler": "search.sampler",
    "pruner": "search.pruner",
    "start": "search.start",
    "search_patience": "search.patience",
    "target_value": "search.target_value",
    "seeds": "compare.seeds",
    "batch_sizes": "compare.batch_sizes",
}
MARKS = {"tab": "\t", "\\t": "\t", "space": " ", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"}
SETTINGS_OF_RUN = {"trials": "search.trials", "target": "data.target"}
SETTINGS_OF_COMPARE = {"trials": "compare.trials", "target": "compare.target"}

Options = argparse._ActionsContainer  # a command's parser, or a group of its help


def add_reports(command: argparse.ArgumentParser) -> None:
    """Add the folder in which a command finds studies."""
    command.add_argument(
        "--reports", default=REPORTS, metavar="DIR", help=f"where studies are kept (default: {REPORTS})"
    )


def add_training(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that trains."""
    training = command.add_argument_group("training")
    add_device(training)
    add_engine(training)
    training.add_argument(
        "--parallel", type=int, metavar="N", help="trials in flight (default: chosen; no result changes)"
    )
    training.add_argument("--precision", help="float32, float64; on CUDA also tf32, bfloat16 (default: float32)")
    training.add_argument("-v", "--verbose", action="store_true", help="say which engine trains what, and why")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. learning_rate.high=0.3"
    )
    _add_storage(command.add_argument_group("files, storage and signals"))


def _add_storage(command: Options) -> None:
    """Add where data sets and results are kept, and what happens when a storage or this process goes away."""
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, e.g. DIR/MNIST/raw")
    command.add_argument(
        "--download", action="store_true", help="let torchvision download what is missing, to --data-root or a cache"
    )
    command.add_argument("--storage", metavar="URL", help="any Optuna storage (default: SQLite in the study's folder)")
    add_take_over(command)
    command.add_argument(
        "--storage-patience",
        dest="patience",
        type=float,
        default=600.0,
        metavar="S",
        help="how long a storage may be away before the run ends; results wait (default: 600 seconds)",
    )
    command.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE,
        metavar="S",
        help=f"SIGTERM ends the run within S seconds (default: {GRACE:g})",
    )


def add_device(command: Options) -> None:
    """Add the device that trains."""
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")


def add_engine(command: Options) -> None:
    """Add the engine that trains."""
    command.add_argument("--engine", default="auto", help="{engines}: who trains (default: auto)")


def add_take_over(command: Options) -> None:
    """Add the option to write a study that another process holds."""
    command.add_argument(
        "--take-over", action="store_true", help="write although another machine's process holds the study"
    )


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that trains in workers."""
    workers = command.add_argument_group("several devices or machines")
    workers.add_argument("--devices", metavar="LIST", help="a worker on each: cuda:0,cuda:1, all, cpu,cpu")
    workers.add_argument(
        "--ray", metavar="ADDRESS", help="workers in a Ray cluster: HOST:PORT of its head, auto, local"
    )
    workers.add_argument(
        "--worker-gpus",
        type=float,
        metavar="N",
        help="GPUs of a worker in a cluster, also 0.5 (default: 1 if there are)",
    )
    workers.add_argument("--worker-cpus", type=float, metavar="N", help="cores of a worker in a cluster (default: 1)")


def add_data(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that takes a table or images of the user's own."""
    data = command.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="FILE",
        help="your data: CSV, TSV, Parquet, NPZ, NPY, a folder of images by class; or a data set's name",
    )
    data.add_argument("--target", metavar="COLUMN", help="the column of --data that is predicted, or several: a,b")
    data.add_argument("--task", help="{tasks} (default: what the target looks like)")
    data.add_argument("--metric", help="what a trial is judged by: {metrics}; or your own function, FILE.py:NAME")
    data.add_argument("--better", help="maximize or minimize: what is better of a metric of your own")
    _add_networks(command.add_argument_group("networks of your own"))
    add_reading(command.add_argument_group("how the file is written (default: found in it)"))
    data.add_argument(
        "--drop-rows",
        action="append",
        dest="drop_rows",
        metavar="WHICH",
        help="drop rows: missing-target (no target), rare-classes (too few rows for every part); may be given several times",
    )
    data.add_argument(
        "--weight", metavar="COLUMN", help="the column that says how much a row counts in loss and metrics"
    )
    data.add_argument("--folds", type=int, metavar="K", help="cross-validate every trial on K folds")


def _add_networks(command: Options) -> None:
    """Add the options that name a network and a loss of the user's own."""
    command.add_argument(
        "--model", dest="build", metavar="FILE.py:NAME", help="a network of your own: build(trial, shape, outputs)"
    )
    command.add_argument("--loss", metavar="FILE.py:NAME", help="a loss of your own: loss(outputs, targets)")


def add_own_code(command: argparse.ArgumentParser) -> None:
    """Add the options that name the code of the user's own that a stored study was searched with: it names some, but holds none."""
    _add_networks(command)
    command.add_argument("--metric", metavar="FILE.py:NAME", help="a metric of your own: metric(y_true, y_pred)")


def add_reading(command: Options) -> None:
    """Add the options of how a table's file is read; each is found in the file where it is left out."""
    command.add_argument(
        "--missing-value",
        action="append",
        dest="missing_values",
        metavar="TEXT",
        help="a text that means a missing cell, besides the empty one and NA (may be given several times)",
    )
    add_layout(command)


def add_layout(command: Options) -> None:
    """Add the options of how a text file is written; each is found in the file where it is left out."""
    command.add_argument(
        "--separator",
        type=_mark,
        metavar="MARK",
        help="what separates cells: , ; | a tab, or a space for any number of them",
    )
    command.add_argument("--header", type=_yes_or_no, metavar="yes|no", help="whether the first line holds names")
    command.add_argument("--encoding", metavar="NAME", help="utf-8, utf-16, cp1252, cp1251, gbk, …")
    command.add_argument("--decimal", metavar="MARK", help="the decimal mark: . or ,")
    command.add_argument(
        "--thousands", type=_mark, metavar="MARK", help="what separates thousands: , . ' _ a space, or none"
    )


def add_search(command: argparse.ArgumentParser) -> None:
    """Add the options of how a search begins and when it ends."""
    search = command.add_argument_group("search")
    search.add_argument("--trials", type=int, metavar="N", help="trials in all, earlier runs of the study included")
    search.add_argument("--timeout", type=float, metavar="S", help="start no trial after S seconds")
    search.add_argument(
        "--patience", dest="search_patience", metavar="N", help="start no trial once N brought no better value"
    )
    search.add_argument("--target-value", metavar="V", help="start no trial once the metric has reached V")
    search.add_argument(
        "--start",
        action="append",
        metavar="SETTINGS",
        help="first trials: settings such as '{learning_rate = 0.01}' (may be given several times), or a study, whose best is tried",
    )
    search.add_argument("--seed", type=int, metavar="N", help="seed of everything random")
    search.add_argument("--sampler", help="{samplers}: who proposes trials")
    search.add_argument("--pruner", help="{pruners}: who ends trials early")


def add_language(command: argparse.ArgumentParser) -> None:
    """Add the option of the language of a report and of the screen."""
    command.add_argument(
        "--lang", default=usual_language(), metavar="CODE", help="language: en, ko (default: the locale's)"
    )


def add_stored_study(command: argparse.ArgumentParser) -> None:
    """Add the stored study that a command reads."""
    command.add_argument("study", metavar="STUDY", help="a study's name, its folder, or the URL of its storage")
    command.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")


def add_retraining(command: argparse.ArgumentParser) -> None:
    """Add the stored study, and the options of a command that trains a part of it again."""
    add_stored_study(command)
    add_engine(command)
    command.add_argument("--data", metavar="FILE", help="the study's data, where they have moved")
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, where it has moved")
    add_own_code(command)
    add_recorded_reading(command)
    add_device(command)


def add_recorded_reading(command: argparse.ArgumentParser) -> None:
    """Add the options that say how a recorded study's file is read, where this version cannot tell."""
    add_layout(command)
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a column's kind, e.g. data.columns.day=date:%%d/%%m/%%Y",
    )


def reading_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return how a recorded study's file is read, as keys of `[data]`, where the options say it.

    Raises:
        UserError: a --set of another kind, which would make another study.
    """
    keys = ("separator", "header", "encoding", "decimal", "thousands")
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    columns = {}
    for key, value in map(_setting, options.set):
        if not key.startswith(COLUMN_SETTING):
            raise UserError(
                f"--set {key}: {options.command} takes {COLUMN_SETTING}NAME=KIND alone; other settings are the study's."
            )
        columns[key.removeprefix(COLUMN_SETTING)] = value
    return {**given, "columns": columns} if columns else given


def check_output(path: Path, example: str, *, force: bool, option: str = "-o") -> None:
    """Refuse a file that cannot be made, or is there already and is not to be overwritten; `example` is a name for one.

    `option` is the one that gives the file.

    Raises:
        UserError: it is.
    """
    given = shown(str(path), LONGEST_PLACE)
    if path.is_dir():
        raise UserError(f"{given} is a folder. Give a file, e.g. {option} {path / example}.")
    if not path.parent.is_dir():
        raise UserError(f"{shown(str(path.parent), LONGEST_PLACE)}: no such folder. Make it, or give another {option}.")
    if path.exists() and not force:
        raise UserError(f"{given} is there already. Give another file ({option} FILE), or --force to overwrite it.")


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the study, and which of its models a command uses."""
    command.add_argument("study", metavar="STUDY", help="a study's name, or the folder that holds its model")
    command.add_argument(
        "--model",
        type=_model_name,
        default="best",
        metavar="NAME",
        help="best, single (one network where best is an ensemble), refit, or trial-N after `replay` (default: best)",
    )
    command.add_argument(
        "--build", metavar="FILE.py:NAME", help="what makes the network, where the study searched one of your own"
    )


def own_code(options: argparse.Namespace) -> "OwnCode":
    """Return the functions that the options of `add_own_code` name; their files are run.

    Raises:
        UserError: there is no such file or function.
    """
    from hpsearch.config.own import OwnCode, load_code

    named = {"--model": options.build, "--loss": options.loss, "--metric": options.metric}
    return OwnCode(*(load_code(name, option) if name else None for option, name in named.items()))


def own_metric_of(options: argparse.Namespace) -> Any:
    """Return the metric of the user's own by which predictions are judged, None where none is named.

    Raises:
        UserError: there is no such file or function.
    """
    from hpsearch.config.own import load_code

    if options.metric:
        return load_code(options.metric, "--metric")
    return None


def own_build(options: argparse.Namespace) -> Any:
    """Return the function that makes the networks of a model, None where none is named.

    Raises:
        UserError: there is no such file or function.
    """
    from hpsearch.config.own import load_code

    if not options.build:
        return None
    return load_code(options.build, "--build")


def read_study(options: argparse.Namespace) -> "StudyConfig":
    """Return the study that the options ask for, with the code that it names; that code's files are run.

    One that has begun goes on with the settings that hpsearch brought then.

    Raises:
        UserError: every problem, a line each.
    """
    config = _read_study(options)
    file = Path(options.reports) / folder_name(config.study.name) / STUDY_FILE
    if options.storage is not None or file.is_file():
        from hpsearch.searching.begun import as_begun
        from hpsearch.storage.urls import sqlite_url

        url = options.storage or sqlite_url(file.absolute())
        config = as_begun(config, url, partial(_read_study, options))
    return config.with_code(config.named_code())


def _read_study(options: argparse.Namespace, begun: dict[str, Any] | None = None) -> "StudyConfig":
    """Return the study that the options ask for: of a file, or `table` where only data are given, or else `digits`.

    Raises:
        UserError: every problem, a line each.
    """
    from hpsearch.config import find_study, read_config

    if not options.data and (data_set := _data_set_alone(options.study)) is not None:
        options.data = data_set  # run wine
        options.study = None
    if options.study is None and options.data:
        name = Path(options.data).name.split(".")[0]
        return read_config(find_study("table"), overrides(options), name, begun)
    study = "digits" if options.study is None else options.study
    return read_config(find_study(study), overrides(options), begun=begun)


def overrides(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Return the settings that override the file's, as (dotted key, value) pairs.

    Raises:
        UserError: a --set without key or value.
    """
    from hpsearch.config import parse_value

    settings = SETTINGS | SETTINGS_OF_RUN
    if options.command == "compare":
        settings = SETTINGS | SETTINGS_OF_COMPARE
    given = {setting: getattr(options, option, None) for option, setting in settings.items()}
    if (data_set := _data_set(given["data.file"])) is not None:
        del given["data.file"]
        given["data.name"] = data_set
    if given["data.drop_rows"] is not None:
        names = ",".join(given["data.drop_rows"]).split(",")
        given["data.drop_rows"] = [name.strip() for name in names]
    if given["compare.batch_sizes"] is not None:
        sizes = given["compare.batch_sizes"].split(",")
        given["compare.batch_sizes"] = [parse_value(size.strip()) for size in sizes]
    if given["search.start"] is not None:
        given["search.start"] = _start(given["search.start"])
    pairs = [(key, value) for key, value in given.items() if value is not None]
    return pairs + [_setting(text) for text in options.set]


def run_options_of(options: argparse.Namespace, name: str) -> "RunOptions":
    """Return where and how a study of this name runs."""
    from hpsearch.searching.run_options import RunOptions
    from hpsearch.storage.urls import sqlite_url

    folder = Path(options.reports) / folder_name(name)
    known = {field.name for field in fields(RunOptions)}
    given = {option: value for option, value in vars(options).items() if option in known}
    if options.storage is None:
        given["storage"] = sqlite_url(folder.absolute() / STUDY_FILE)
    return RunOptions(folder, **given)


def _data_set_alone(name: str | None) -> str | None:
    """Return the name of a data set that is given in place of a study, None where it is a study's."""
    from hpsearch.config import is_study

    with suppress(OSError):  # a name that is too long for a file is no study's
        if name is not None and is_study(name):
            return None
    return _data_set(name)


def _data_set(name: str | None) -> str | None:
    """Return the name of a data set as it is known, None where a name is that of a file, or of nothing."""
    from hpsearch.data.loaders.datasets import find_name

    with suppress(OSError):  # a name that is too long for a file is that of nothing
        if name is not None and not Path(name).exists():
            return find_name(name)
    return None


def _start(texts: list[str]) -> Any:
    """Return the settings of --start, or the name of a study.

    Raises:
        UserError: it is given several times, and one of them is no table of settings.
    """
    from hpsearch.config import parse_value

    values = [parse_value(text) for text in texts]
    settings = [value for value in values if isinstance(value, dict)]
    if len(settings) == len(values):
        return settings
    if len(values) == 1:
        return values[0] if isinstance(values[0], list) else texts[0]
    wrong = next(text for text, value in zip(texts, values, strict=True) if not isinstance(value, dict))
    raise UserError(
        f"--start {shown(wrong)}: beside others expected settings, for example --start '{{learning_rate = 0.01}}'."
    )


def _setting(text: str) -> tuple[str, Any]:
    from hpsearch.config import parse_value

    key, equals, value = text.partition("=")
    if text.startswith(COLUMN_SETTING):  # `a=b` may name a column
        key, equals, value = text.rpartition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected KEY=VALUE, for example --set learning_rate.high=0.3.")
    return key.strip(), parse_value(value)


def _model_name(text: str) -> str:
    """Read the name of a model."""
    if not re.fullmatch(r"best|single|refit|trial-\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{shown(text)}: best, single, refit or trial-N expected")
    return text


def _mark(text: str) -> str:
    """Read a separator; one that is hard to type has a name."""
    return MARKS.get(text, text)


def _yes_or_no(text: str) -> bool:
    """Read yes or no."""
    if text.lower() not in ("yes", "no", "true", "false"):
        raise argparse.ArgumentTypeError(f"{shown(text)}: yes or no expected")
    return text.lower() in ("yes", "true")


def _seconds(text: str) -> float:
    """Read a number of seconds from 0."""
    seconds = float(text)
    if not 0 <= seconds < inf:
        raise argparse.ArgumentTypeError(f"{text}: a number of seconds from 0 expected")
    return seconds
