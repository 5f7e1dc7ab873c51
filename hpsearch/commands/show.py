"""`show`: a study on the screen: its result, its best trials, the batch sizes that it sampled, and what to type next."""

import argparse
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports, add_stored_study
from hpsearch.commands.recorded import folder_words, storage_words, url_of
from hpsearch.files import folder_name
from hpsearch.storage import ComparisonRecord
from hpsearch.storage.folders import folder_of


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_stored_study(command)
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Print what a search found, or a comparison's verdicts."""
    from hpsearch.comparison.screen import show_verdicts
    from hpsearch.locales import Texts
    from hpsearch.reporting.overview import show_next, show_study
    from hpsearch.reporting.screen import Screen
    from hpsearch.storage.reading import read_stored

    texts = Texts(options.lang)
    reports = Path(options.reports)
    stored = read_stored(url_of(options.study, reports), options.name)
    record = stored.record
    folder = folder_of(options.study, reports)
    if "://" in options.study:
        folder = reports / folder_name(record.name)
    screen = Screen("", texts)
    if isinstance(record, ComparisonRecord):
        show_verdicts(screen, record)
    else:
        show_study(screen, stored)
    screen.announce("")
    words = folder_words(options.study, record.name, reports)
    show_next(screen, words, storage_words(options.study, options.name, reports), folder, first="report")
