"""What several commands share: their options, where a study is kept, and what takes the place of its file's settings."""

import argparse
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.searching.stopping import GRACE
from hpsearch.training.engine_names import ENGINES

if TYPE_CHECKING:
    from hpsearch.config import StudyConfig
    from hpsearch.searching.run_options import RunOptions
    from hpsearch.storage import ComparisonRecord, StudyRecord


def add_training(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that trains."""
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")
    command.add_argument("--engine", default="auto", help=f"{', '.join(ENGINES)}: who trains (default: auto)")
    command.add_argument(
        "--parallel", type=int, metavar="N", help="trials in flight (default: chosen; no result changes)"
    )
    command.add_argument("--precision", help="float32, float64; on CUDA also tf32, bfloat16 (default: float32)")
    command.add_argument("-v", "--verbose", action="store_true", help="say which engine trains what, and why")
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, e.g. DIR/MNIST/raw")
    command.add_argument("--download", action="store_true", help="let torchvision download what is missing")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, e.g. learning_rate.high=0.3"
    )
    command.add_argument("--storage", metavar="URL", help="any Optuna storage (default: SQLite in the study's folder)")
    command.add_argument(
        "--take-over", action="store_true", help="write although another machine's process holds the study"
    )
    command.add_argument(
        "--storage-patience",
        type=float,
        default=600.0,
        metavar="S",
        help="how long a storage may be away before the run ends; results wait (default: 600 seconds)",
    )
    command.add_argument(
        "--grace",
        type=seconds,
        default=GRACE,
        metavar="S",
        help=f"SIGTERM ends the run within S seconds (default: {GRACE:g})",
    )


def seconds(text: str) -> float:
    """Read a number of seconds from 0."""
    if not 0 <= (read := float(text)) < inf:
        raise argparse.ArgumentTypeError(f"{text}: a number of seconds from 0 expected")
    return read


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that trains in workers."""
    command.add_argument("--devices", metavar="LIST", help="a worker on each: cuda:0,cuda:1, all, cpu,cpu")
    command.add_argument(
        "--ray", metavar="ADDRESS", help="workers in a Ray cluster: HOST:PORT of its head, auto, local"
    )
    command.add_argument(
        "--worker-gpus",
        type=float,
        metavar="N",
        help="GPUs of a worker in a cluster, also 0.5 (default: 1 if there are)",
    )
    command.add_argument("--worker-cpus", type=float, metavar="N", help="cores of a worker in a cluster (default: 1)")


def add_language(command: argparse.ArgumentParser) -> None:
    """Add the option of a report's language."""
    command.add_argument(
        "--lang", default="en", metavar="CODE", help="language of a comparison's report: en, ko (default: en)"
    )


def add_common(command: argparse.ArgumentParser) -> None:
    """Add the options that every command on a study has."""
    command.add_argument(
        "--reports", default="reports", metavar="DIR", help="where studies are kept (default: reports)"
    )
    command.add_argument("--debug", action="store_true", help="show tracebacks")


def run_options_of(options: argparse.Namespace, name: str) -> "RunOptions":
    """Return where a study of this name runs and is kept."""
    from hpsearch.files import folder_name
    from hpsearch.searching.run_options import RunOptions
    from hpsearch.storage.urls import sqlite_url

    folder = Path(options.reports) / folder_name(name)
    url = sqlite_url(folder.absolute() / "study.db") if options.storage is None else options.storage
    workers = {name: getattr(options, name, None) for name in ("devices", "ray", "worker_gpus", "worker_cpus")}
    return RunOptions(
        folder,
        url,
        options.device,
        options.download,
        options.take_over,
        options.engine,
        options.parallel,
        workers["devices"],
        workers["ray"],
        workers["worker_gpus"],
        workers["worker_cpus"],
        join=getattr(options, "join", False),
        patience=options.storage_patience,
    )


def add_data(command: argparse.ArgumentParser) -> None:
    """Add the options of a command that takes a table or images of the user's own."""
    command.add_argument(
        "--data",
        metavar="FILE",
        help="your data: CSV, TSV, Parquet, NPZ, NPY, a folder of images by class; or a data set's name",
    )
    command.add_argument("--target", metavar="COLUMN", help="the column of --data that is predicted")
    command.add_argument("--task", help="regression, binary, multiclass (default: what the target looks like)")
    command.add_argument("--metric", help="what a trial is judged by, e.g. accuracy, f1, roc_auc, rmse, mae, r2")
    command.add_argument(
        "--missing-value",
        action="append",
        dest="missing_values",
        metavar="TEXT",
        help="a text that means a missing cell, besides the empty one and NA (may be given several times)",
    )
    command.add_argument("--folds", type=int, metavar="K", help="cross-validate every trial on K folds")


def study_of(options: argparse.Namespace) -> "StudyConfig":
    """Return the study that the options ask for: its file's, that of a table where only data are given, or the default one.

    Raises:
        UserError: every problem, a line each.
    """
    from hpsearch.config import find_study, read_config

    name = options.study if options.study is not None else "table" if options.data else "digits"
    called = Path(options.data).name.split(".")[0] if options.data and options.study is None else None
    return read_config(find_study(name), overrides(options), called)


SETTINGS = {  # flag → the setting whose place it takes
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


def overrides(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Return the settings that take the place of the file's, as (dotted key, value) pairs.

    Raises:
        UserError: a --set without key or value.
    """
    from hpsearch.config import parse_value
    from hpsearch.data.loaders.datasets import DATASETS

    flags = {setting: getattr(options, flag, None) for flag, setting in SETTINGS.items()}
    if flags["data.file"] in DATASETS and not Path(str(flags["data.file"])).exists():  # the name of a data set
        flags["data.name"] = flags.pop("data.file")
    compared = options.command == "compare"
    flags["compare.trials" if compared else "search.trials"] = getattr(options, "trials", None)
    flags["compare.target" if compared else "data.target"] = options.target
    if sizes := flags["compare.batch_sizes"]:
        flags["compare.batch_sizes"] = [parse_value(size.strip()) for size in sizes.split(",")]
    overrides = [(key, value) for key, value in flags.items() if value is not None]
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: expected KEY=VALUE, for example --set learning_rate.high=0.3.")
        overrides.append((key.strip(), parse_value(value)))
    return overrides


def record_of(source: str, name: str | None, reports: Path) -> "StudyRecord | ComparisonRecord":
    """Read a study or a comparison by the URL of its storage, or by its name."""
    from hpsearch.storage.folders import study_file
    from hpsearch.storage.reading import read
    from hpsearch.storage.urls import sqlite_url

    if "://" in source:
        return read(source, name)
    return read(sqlite_url(study_file(source, reports)), name)


def write_page(url: str, name: str | None, folder: Path) -> "tuple[StudyRecord, Path]":
    """Make the report of a search from its storage alone; return what was read, and the page."""
    from hpsearch.reporting import write_report
    from hpsearch.storage.reading import read_study

    record = read_study(url, name)
    return record, write_report(record, folder)
