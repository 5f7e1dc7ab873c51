"""`open`: a study's report in the browser, made first where it is missing or older than the study."""

import argparse
import webbrowser
from pathlib import Path

from hpsearch.commands.options import add_language, add_reports
from hpsearch.commands.recorded import url_of, write_page
from hpsearch.errors import UserError
from hpsearch.storage.folders import STUDY_FILE, study_folder

COPIED = 10.0  # seconds by which files of one copy may differ in age


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("study", metavar="STUDY", help="a study's name or folder")
    command.add_argument(
        "--no-browser", action="store_true", help="only make the report where that is due, and print its path"
    )
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Make the report where that is due, print its path, and open it."""
    if "://" in options.study:
        raise UserError("open takes a study's name or folder. Of a storage's URL make the report first (report URL).")
    from hpsearch.locales import Texts
    from hpsearch.reporting.formatting import printable

    reports = Path(options.reports)
    folder = study_folder(options.study, reports)
    texts = Texts(options.lang)
    page = folder / texts.page_name
    if _is_due(folder, page):
        _, page = write_page(url_of(options.study, reports), None, folder, options.lang)
    print(printable(f"{texts('screen.head.report')} {page}"))
    if options.no_browser:
        return
    if not webbrowser.open(page.absolute().as_uri()):
        print(texts("screen.next.no_browser"))


def _is_due(folder: Path, page: Path) -> bool:
    """Whether the report is missing, or its study was written after it; a study that is kept elsewhere does not tell."""
    if not page.is_file():
        return True
    study = folder / STUDY_FILE
    return study.is_file() and study.stat().st_mtime > page.stat().st_mtime + COPIED
