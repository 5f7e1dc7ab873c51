"""The report of a study: tables as CSV and one self-contained page that answers its question in plain language.

`write_report` needs nothing but a `StudyRecord`: no network, no torch, no storage. It can be made again at any time, also while the
search runs. `study_page` puts the page together from `pieces`, `rendering` makes HTML of it, as it does of a comparison's page.
"""

from pathlib import Path

from hpsearch.files import write_file
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.rendering import reading_record
from hpsearch.reporting.study_page import page
from hpsearch.reporting.tables import frames
from hpsearch.reporting.tables.writing import write
from hpsearch.storage import StudyRecord

__all__ = ["page", "write_report"]


def write_report(record: StudyRecord, folder: Path, language: str = "en") -> Path:
    """Write `folder/tables/*.csv` and the page, `report.html` (in another language `report.LANGUAGE.html`), and return its path.

    Args:
        record: the study as it was read from its storage; it may be running, empty or without a usable trial.
        folder: the study's folder, made where it is missing. Files in it with these names are replaced, each in one step.
        language: a row of `hpsearch.locales.LANGUAGES`; the files are in English.

    Raises:
        UserError: no such language.
        StorageError: a file cannot be written, or the record is not as hpsearch writes it.

    """
    texts = Texts(language)
    with reading_record(record.name):
        tables = frames(record)
        html = page(record, tables, texts, folder)
        english = ENGLISH.of("foreign") if record.foreign else ENGLISH
        write(tables, folder / "tables", MetricFormat.of(record), english)
    path = folder / texts.page_name
    write_file(path, html)
    return path
