"""`report`: the page of a study, any Optuna study, or a comparison, made from its storage alone."""

import argparse
import gc
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports
from hpsearch.commands.recorded import read_any, url_of, write_page_of
from hpsearch.files import folder_name, write_file
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE, folder_of


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument(
        "source", metavar="NAME_OR_STORAGE", help="a study's name or folder, or the URL of any Optuna storage"
    )
    command.add_argument("--study", metavar="NAME", help="the study, where the storage has several")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Make the report, in a folder that is this study's alone."""
    from hpsearch.reporting.locales import Texts
    from hpsearch.storage.urls import check_location, location_note

    Texts(options.lang)
    reports = Path(options.reports)
    url = url_of(options.source, reports)
    record = read_any(url, options.study)
    gc.freeze()  # the record stays to the end of the process; looking for cycles in it again and again takes a third of the time
    folder = folder_of(options.source, reports)
    if "://" in options.source:
        folder = reports / folder_name(record.name)
    own = location_note(folder, url)
    check_location(folder, own, "Give the report another folder (--reports DIR).")
    page = write_page_of(record, folder, options.lang)
    if own != STUDY_FILE:
        write_file(folder / LOCATION_FILE, own)
    print(f"report {page}")
