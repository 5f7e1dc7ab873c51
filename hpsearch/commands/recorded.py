"""What commands on a stored study share: the study that is meant, its record, its page, its model in words.

A study that is not there is a UserError, which has those that there are; a storage that cannot be read is a StorageError.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.commands.options import REPORTS, own_code, reading_of
from hpsearch.errors import UserError, masked
from hpsearch.files import folder_name
from hpsearch.storage import ComparisonRecord, StudyRecord
from hpsearch.storage.folders import folder_of

if TYPE_CHECKING:
    from hpsearch.locales import Texts
    from hpsearch.model import Model
    from hpsearch.reporting.screen import Screen
    from hpsearch.searching.replay import RecordedStudy


def url_of(source: str, reports: Path) -> str:
    """Return the URL of a study's storage, given its URL, its name or its folder."""
    from hpsearch.storage.urls import storage_url

    return storage_url(source, reports)


def folder_words(source: str, name: str, reports: Path) -> list[str]:
    """Return the words that name a study's folder on the command line: its name where its storage's URL was given."""
    study = name if "://" in source else source
    return [study, *_reports_words(reports)]


def storage_words(source: str, name: str | None, reports: Path) -> list[str]:
    """Return the words that name a study's storage on the command line, a password left out."""
    study = ["--study", name] if name else []
    return [masked(source), *study, *_reports_words(reports)]


def _reports_words(reports: Path) -> list[str]:
    if reports == Path(REPORTS):
        return []
    return ["--reports", str(reports)]


def show_next_commands(
    screen: "Screen", options: argparse.Namespace, name: str, folder: Path, first: str = "show"
) -> None:
    """Print the commands that go on from a study that has just ended; `first` is one besides `open`, or ""."""
    from hpsearch.reporting.overview import show_next

    reports = Path(options.reports)
    words = folder_words(name, name, reports)
    stored = words
    if options.storage:
        stored = storage_words(options.storage, name, reports)
    screen.announce("")
    show_next(screen, words, stored, folder, first)


def read_record(source: str, name: str | None, reports: Path) -> StudyRecord | ComparisonRecord:
    """Read a study or a comparison, given the URL of its storage, its name or its folder."""
    from hpsearch.storage.reading import read

    return read(url_of(source, reports), name)


def read_any(url: str, name: str | None) -> StudyRecord | ComparisonRecord:
    """Read a study or a comparison, or a study that any other program made with Optuna."""
    from hpsearch.storage.reading import read

    return read(url, name, foreign=True)


def read_search(options: argparse.Namespace) -> tuple[StudyRecord, Path]:
    """Read a search, and return its folder too; a comparison is refused."""
    reports = Path(options.reports)
    record = read_record(options.study, options.name, reports)
    if isinstance(record, ComparisonRecord):
        raise UserError(f"'{record.name}' is a comparison, which has no best network. Give a search's name.")
    if "://" in options.study:
        return record, reports / folder_name(record.name)
    return record, folder_of(options.study, reports)


def recorded_study(record: StudyRecord, options: argparse.Namespace, engine: str | None = None) -> "RecordedStudy":
    """Return a recorded study that can be trained again, its data and code as the options of a command say (see `replay.prepare`)."""
    from hpsearch.searching.replay import prepare

    return prepare(
        record,
        root=options.data_root,
        device=options.device,
        engine=engine,
        file=getattr(options, "data", None),
        code=own_code(options),
        reading=reading_of(options),
    )


def show_changed_code(screen: "Screen", options: argparse.Namespace, record: StudyRecord) -> None:
    """Print a line for each file of the user's own code that is not as it was when the study began."""
    from hpsearch.searching.own_code import code_changes

    names = {"--model": options.build, "--loss": options.loss, "--metric": options.metric}
    for sentence in code_changes(url_of(options.study, Path(options.reports)), record.name, names):
        screen.row("notice", sentence)


def write_page(
    url: str, name: str | None, folder: Path, language: str = "en", patience: float = 0
) -> tuple[StudyRecord | ComparisonRecord, Path]:
    """Write the page of a search or a comparison from its storage alone; return what was read, and the page's path.

    A storage that is away is waited for, at most `patience` seconds: none after a signal.
    """
    from hpsearch.storage.failures import StorageRetry
    from hpsearch.storage.reading import read

    record = StorageRetry(patience).call(lambda: read(url, name))
    return record, write_page_of(record, folder, language)


def write_page_of(record: StudyRecord | ComparisonRecord, folder: Path, language: str) -> Path:
    """Write the page of what was read, and return its path."""
    if isinstance(record, ComparisonRecord):
        from hpsearch.comparison.page import write_comparison

        return write_comparison(record, folder, language)
    from hpsearch.reporting import write_report

    return write_report(record, folder, language)


def page_of(record: StudyRecord | ComparisonRecord, language: str) -> str:
    """Return the page of what was read as text."""
    from hpsearch.locales import Texts
    from hpsearch.reporting.rendering import reading_record

    texts = Texts(language)
    with reading_record(record.name):
        if isinstance(record, ComparisonRecord):
            from hpsearch.comparison.page import page as comparison_page

            return comparison_page(record, texts)
        from hpsearch.reporting import page
        from hpsearch.reporting.tables import frames

        return page(record, frames(record), texts)


def show_model(screen: "Screen", head: str, text: str, model: "Model") -> None:
    """Print a line that ends with the networks that predict, and one that says why these, where they were chosen among several."""
    from hpsearch.reporting.selection import of_trials

    screen.row(head, f"{text} {of_trials([member.trial for member in model.members], screen.texts)}")
    if reason := _reason(model.metrics, screen.texts):
        screen.row("", reason)


def _reason(figures: Mapping[str, Any], texts: "Texts") -> str:
    """Return why these networks predict, or that one was taken from an ensemble; "" where there was no choice."""
    from hpsearch.reporting.formatting import MetricFormat
    from hpsearch.reporting.selection import first_of, why

    if networks := figures.get("single_of"):
        return first_of(networks, texts)
    choice = figures.get("choice")
    if not isinstance(choice, dict):
        return ""
    metric = MetricFormat.named(str(figures.get("metric")), figures.get("direction") == "maximize", texts=texts)
    return why(choice, metric, texts)
