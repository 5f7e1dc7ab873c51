"""`report`: the page of a study or a comparison, made again from its storage alone."""

import argparse
import gc
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports
from hpsearch.commands.recorded import read_record
from hpsearch.errors import UserError
from hpsearch.files import folder_name
from hpsearch.storage import ComparisonRecord


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("source", metavar="NAME_OR_STORAGE", help="a study's name, or the URL of its storage")
    command.add_argument("--study", metavar="NAME", help="the study, where the storage has several")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Make the report."""
    from hpsearch.comparison.page import write_comparison
    from hpsearch.reporting import write_report
    from hpsearch.reporting.locales import Texts

    Texts(options.lang)
    reports = Path(options.reports)
    record = read_record(options.source, options.study, reports)
    gc.freeze()  # the record stays to the end of the process; looking for cycles in it again and again takes a third of the time
    folder = reports / folder_name(record.name if "://" in options.source else options.source)
    if isinstance(record, ComparisonRecord):
        page = write_comparison(record, folder, options.lang)
    elif options.lang == "en":
        page = write_report(record, folder)
    else:
        raise UserError(
            f"--lang {options.lang}: a search's report is in English; a comparison's comes in other languages."
        )
    print(f"report {page}")
