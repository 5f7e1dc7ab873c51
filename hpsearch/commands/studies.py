"""What commands on a finished search share: which study is meant, where its folder and its storage are, what trains it again."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError, shown
from hpsearch.storage.folders import folder_of, study_file
from hpsearch.training.engine_names import ENGINES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpsearch.model import Model
    from hpsearch.reporting.screen import Screen
    from hpsearch.storage import StudyRecord


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the study, and which of its models is meant."""
    command.add_argument("study", metavar="STUDY", help="a study's name, or the folder that holds its model")
    command.add_argument(
        "--model",
        default="best",
        metavar="NAME",
        help="best, single (one network where best is an ensemble), refit, or trial-N after `replay` (default: best)",
    )


def add_again(command: argparse.ArgumentParser) -> None:
    """Add the study, and the options of a command that trains a part of it again."""
    command.add_argument("study", metavar="STUDY", help="a study's name, its folder, or the URL of its storage")
    command.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")
    command.add_argument("--engine", default="auto", help=f"{', '.join(ENGINES)}: who trains (default: auto)")
    command.add_argument("--data", metavar="FILE", help="the study's data, where they have moved")
    command.add_argument("--data-root", metavar="DIR", help="folder of the data set's files, where it has moved")
    command.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")


def url_of(source: str, reports: Path) -> str:
    """Return the URL of a study's storage.

    Raises:
        UserError: there is no such study (which there are).
    """
    from hpsearch.storage.urls import sqlite_url

    return source if "://" in source else sqlite_url(study_file(source, reports))


def search_of(options: argparse.Namespace) -> "tuple[StudyRecord, Path]":
    """Read a search, and say where its folder is.

    Raises:
        UserError: there is none (which there are), or it is a comparison.
        StorageError: the storage cannot be read.
    """
    from hpsearch.files import folder_name
    from hpsearch.storage import ComparisonRecord
    from hpsearch.storage.reading import read

    reports = Path(options.reports)
    record = read(url_of(options.study, reports), options.name)
    if isinstance(record, ComparisonRecord):
        raise UserError(f"'{record.name}' is a comparison, which has no best network. Give a search's name.")
    by_url = "://" in options.study
    return record, reports / folder_name(record.name) if by_url else folder_of(options.study, reports)


def model_of(options: argparse.Namespace) -> str:
    """Return the name of the model that is asked for.

    Raises:
        UserError: it is no name of a model's files.
    """
    if not re.fullmatch(r"best|single|refit|trial-\d{1,9}", options.model):
        raise UserError(f"--model {shown(options.model)}: best, single, refit or trial-N expected.")
    return str(options.model)


def loaded(options: argparse.Namespace) -> "Model":
    """Load the model that is asked for.

    Raises:
        UserError: there is no such study or model (which there are).
        StorageError: a file is missing or damaged.
    """
    from hpsearch.model.single_member import model_named

    return model_named(options.study, Path(options.reports), model_of(options))


def tell_model(screen: "Screen", head: str, text: str, model: "Model") -> None:
    """Print a line that ends with which networks predict, and why these where several were judged against one."""
    from hpsearch.reporting.selection import of_trials

    screen.row(head, f"{text} {of_trials([member.trial for member in model.members])}")
    if said := _why(model.metrics):
        screen.row("", said)


def _why(figures: "Mapping[str, Any]") -> str:
    """Say why these networks predict; of one that was taken from an ensemble that it was; "" where nothing was judged."""
    from hpsearch.reporting.formatting import MetricFormat
    from hpsearch.reporting.selection import single, why

    if networks := figures.get("single_of"):
        return single(networks)
    choice = figures.get("choice")
    if not isinstance(choice, dict):
        return ""
    return why(choice, MetricFormat.named(str(figures.get("metric")), figures.get("direction") == "maximize").plain)
