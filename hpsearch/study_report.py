"""`report`: the page of any Optuna study, in one call, from the study that a program has in its hands."""

from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import UserError, shown
from hpsearch.files import folder_name, make_folder, write_file
from hpsearch.reporting import page, write_report
from hpsearch.reporting.tables import frames
from hpsearch.storage import ComparisonRecord
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE
from hpsearch.storage.optuna_internals import database_of, study_id_of, url_of_database
from hpsearch.storage.reading import any_record
from hpsearch.storage.urls import check_location, location_note

if TYPE_CHECKING:
    import optuna

IN_MEMORY = "the memory of a program"  # where a study is whose storage has no URL


def report(study: "optuna.Study", path: str | Path | None = None) -> Path:
    """Write the page of an Optuna study, whoever made it, and return the page's path.

        study = optuna.create_study()
        study.optimize(objective, n_trials=100)
        hpsearch.report(study)

    The page has the study's history, hyperparameters, importance, outcomes and times, the Pareto front of several objectives, and what the
    trials reported on the way. What a study run with `Objective` or by hpsearch keeps besides is shown too. The study is only read; it
    may be running, empty, or without a usable trial.

    Args:
        study: an Optuna study, in any storage.
        path: a folder, which gets `report.html` and `tables/`, or a file that ends in .html; `reports/NAME` by default.

    Raises:
        UserError: it is no Optuna study, or the folder is that of a study in another storage.
        StorageError: the storage is damaged, or the page cannot be written.
    """
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
