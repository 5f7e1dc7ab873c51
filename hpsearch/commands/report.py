"""`report`: the page of a study or a comparison, made again from its storage alone."""

import argparse
import gc
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports
from hpsearch.commands.recorded import read_record, write_page_of
from hpsearch.files import folder_name


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("source", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    command.add_argument("--study", metavar="NAME", help="the study, where the storage has several")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Make the report."""
    from hpsearch.reporting.locales import Texts

    Texts(options.lang)
    reports = Path(options.reports)
    record = read_record(options.source, options.study, reports)
    gc.freeze()  # the record stays to the end of the process; looking for cycles in it again and again takes a third of the time
    folder = reports / folder_name(record.name if "://" in options.source else options.source)
    print(f"report {write_page_of(record, folder, options.lang)}")
