"""`report`: the page of any Optuna study, in one call, from the study that a program has in its hands; of several, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hpsearch.errors import LONGEST_PLACE, UserError, shown
from hpsearch.files import folder_name, make_folder, write_file
from hpsearch.locales import Texts
from hpsearch.reporting import page, write_report
from hpsearch.reporting.rendering import reading_record
from hpsearch.reporting.several import several_page
from hpsearch.reporting.tables import frames
from hpsearch.storage import ComparisonRecord, StudyRecord
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE
from hpsearch.storage.optuna_internals import database_of, study_id_of, url_of_database
from hpsearch.storage.reading import any_record, read
from hpsearch.storage.urls import check_location, location_note, storage_url

if TYPE_CHECKING:
    import optuna

    from hpsearch.comparison.result import ComparisonResult
    from hpsearch.interactive import SearchResult

    Source: TypeAlias = optuna.Study | SearchResult | ComparisonResult | str | Path

NAMED = 3  # studies in a file's name
IN_MEMORY = "the memory of a program"  # where a study is whose storage has no URL


def report(study: "Source | Sequence[Source]", path: str | Path | None = None) -> Path:
    """Write the page of an Optuna study, whoever made it, and return the page's path; of several studies one page side by side.

        study = optuna.create_study()
        study.optimize(objective, n_trials=100)
        hpsearch.report(study)
        hpsearch.report([result, "sales", "reports/other"])

    The page has the study's history, hyperparameters, importance, outcomes and times, the Pareto front of several objectives, and what the
    trials reported on the way. What a study run with `Objective` or by hpsearch keeps besides is shown too. The study is only read; it
    may be running, empty, or without a usable trial.

    Args:
        study: an Optuna study, in any storage. Or a list of two or more, each an Optuna study, a result of `search` or `load`, or a
            study's name, folder or storage URL; either searches or comparisons.
        path: a folder, which gets `report.html` and `tables/`, or a file that ends in .html; `reports/NAME` by default. Of several studies
            a file that ends in .html; `reports/NAME-and-NAME.html` by default.

    Raises:
        UserError: it is no Optuna study, or the folder is that of a study in another storage; or searches and comparisons are mixed.
        StorageError: the storage is damaged, or the page cannot be written.
    """
    if isinstance(study, list | tuple):
        return write_several([_record_of(one) for one in study], None if path is None else Path(path))
    import optuna

    if not isinstance(study, optuna.Study):
        raise UserError(
            f"report: {shown(study)} is no Optuna study. Give one (optuna.load_study(...)), or run: python -m hpsearch report URL."
        )
    record = any_record(database_of(study), study_id_of(study))
    if isinstance(record, ComparisonRecord):
        raise UserError(
            f"{record.name!r} is a comparison. Its report: python -m hpsearch report URL --study {record.name}."
        )
    target = Path("reports") / folder_name(record.name)
    if path is not None:
        target = Path(path)
    if target.suffix == ".html":
        write_file(target, page(record, frames(record)))
        return target
    url = url_of_database(study)
    own = location_note(target, url) if url else IN_MEMORY
    check_location(target, own, "Give another folder: report(study, FOLDER).")
    written = write_report(record, make_folder(target))
    if path is None and own != STUDY_FILE:
        write_file(target / LOCATION_FILE, own)
    return written


# ------------------------------------------------------------------ several studies


def write_several(
    records: Sequence[StudyRecord | ComparisonRecord],
    path: Path | None = None,
    language: str = "en",
    reports: Path = Path("reports"),
) -> Path:
    """Write one page of several studies side by side and return its path: `path`, or a file in `reports` with their names.

    Raises:
        UserError: fewer than two studies, one of them twice, searches beside comparisons, or a path that is no .html file.
        StorageError: the page cannot be written, or a record is not as hpsearch writes it.
    """
    texts = Texts(language)
    names = [record.name for record in records]
    if len(records) < 2:
        raise UserError("a report side by side needs two studies or more.")
    compared = [record for record in records if isinstance(record, ComparisonRecord)]
    searched = [record for record in records if isinstance(record, StudyRecord)]
    if compared and searched:
        raise UserError(
            f"{shown(compared[0].name)} is a comparison and {shown(searched[0].name)} a search: these cannot stand side by side. "
            "Give searches, or comparisons."
        )
    if path is not None and path.suffix != ".html":
        raise UserError(
            f"{shown(str(path), LONGEST_PLACE)}: a file's name that ends with .html expected, as several studies have one page."
        )
    with reading_record(", ".join(names)):
        html = _side_by_side(compared, searched, texts)
    target = path or make_folder(reports) / several_file(names)
    write_file(target, html)
    return target


def _side_by_side(compared: Sequence[ComparisonRecord], searched: Sequence[StudyRecord], texts: Texts) -> str:
    if not compared:
        return several_page(searched, texts)
    from hpsearch.comparison.page.several import several_comparisons

    return several_comparisons(compared, texts)


def several_file(names: Sequence[str]) -> str:
    """Return the file's name of a page of several studies: the first names, and how many more there are."""
    listed = [folder_name(name) for name in names[:NAMED]]
    if len(names) > NAMED:
        listed.append(f"{len(names) - NAMED}-more")
    return f"{'-and-'.join(listed)}.html"


def _record_of(source: "Source") -> StudyRecord | ComparisonRecord:
    """Return the record of a study however it is given.

    Raises:
        UserError: it is nothing of the kind.
    """
    import optuna

    if isinstance(source, optuna.Study):
        return any_record(database_of(source), study_id_of(source))
    if isinstance(source, str | Path):
        return read(storage_url(str(source), Path("reports")), None, foreign=True)
    record = getattr(source, "record", None)  # a result's: its class would bring torch
    if isinstance(record, StudyRecord | ComparisonRecord):
        return record
    raise UserError(
        f"report: {shown(source)} is no study. Give an Optuna study, a result of search or load, or a study's name, folder or URL."
    )
