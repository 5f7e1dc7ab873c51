"""`report`: the page of a study, any Optuna study, or a comparison, made from its storage alone; of several one page side by side."""

import argparse
import gc
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports, check_output
from hpsearch.commands.recorded import page_of, read_any, url_of, write_page_of
from hpsearch.errors import LONGEST_PLACE, UserError, shown
from hpsearch.files import folder_name, write_file
from hpsearch.storage import ComparisonRecord, StudyRecord
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE, folder_of


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument(
        "sources",
        metavar="NAME_OR_STORAGE",
        nargs="+",
        help="a study's name or folder, or the URL of any Optuna storage; several make one page side by side",
    )
    command.add_argument(
        "--study",
        metavar="NAME",
        action="append",
        help="the study, where the storage has several; given more than once, these studies side by side",
    )
    command.add_argument(
        "--output",
        metavar="FILE.html",
        help="write the page alone (default: the study's folder; of several studies REPORTS/NAME-and-NAME.html)",
    )
    command.add_argument("--force", action="store_true", help="overwrite --output where it is there")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Make the report: of one study in a folder that is its alone, of several as one page."""
    from hpsearch.locales import Texts
    from hpsearch.reporting.formatting import printable

    texts = Texts(options.lang)
    output = _output(options)
    reports = Path(options.reports)
    sources = [(source, name) for source in options.sources for name in options.study or [None]]
    _refuse_repeated(sources, reports)
    records = [read_any(url_of(source, reports), name) for source, name in sources]
    gc.freeze()  # the records stay to the end of the process; looking for cycles in them again and again takes a third of the time
    if len(records) > 1:
        from hpsearch.study_report import write_several

        page = write_several(records, output, options.lang, reports)
    elif output:
        write_file(output, page_of(records[0], options.lang))
        page = output
    else:
        page = _in_folder(options.sources[0], records[0], options)
    print(printable(f"{texts('screen.head.report')} {page}"))


def _in_folder(source: str, record: StudyRecord | ComparisonRecord, options: argparse.Namespace) -> Path:
    """Write the report of one study into its folder, and return the page's path."""
    from hpsearch.storage.urls import check_location, location_note

    reports = Path(options.reports)
    folder = folder_of(source, reports)
    if "://" in source:
        folder = reports / folder_name(record.name)
    own = location_note(folder, url_of(source, reports))
    check_location(folder, own, "Give the report another folder (--reports DIR).")
    page = write_page_of(record, folder, options.lang)
    if own != STUDY_FILE:
        write_file(folder / LOCATION_FILE, own)
    return page


def _output(options: argparse.Namespace) -> Path | None:
    """Return the file of the page, None where it goes to its usual place; one that cannot be is refused before anything is read."""
    if options.output is None:
        return None
    path = Path(options.output)
    if path.suffix != ".html":
        raise UserError(
            f"{shown(str(path), LONGEST_PLACE)}: a file's name that ends with .html expected, e.g. --output report.html."
        )
    check_output(path, "report.html", force=options.force, option="--output")
    return path


def _refuse_repeated(sources: list[tuple[str, str | None]], reports: Path) -> None:
    """Refuse a study that is given twice, however it is spelled."""
    seen: dict[tuple[str, str | None], str] = {}
    for source, name in sources:
        key = (url_of(source, reports), name)
        if key in seen:
            raise UserError(f"{shown(source)} and {shown(seen[key])} are one study. Give each study once.")
        seen[key] = source
