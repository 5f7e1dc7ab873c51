"""The first trials of a study: the known-good one, its own first settings (`[search] start`), or the best of another study.

The best of another study is looked up once, when the study begins, and kept with it: a resumed study begins as it did, whatever became of
the other one.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.errors import StorageError, UserError, shown
from hpsearch.searching.run_options import RunOptions
from hpsearch.space import row_of
from hpsearch.space.hyperparameters import NETWORK
from hpsearch.space.reading import read_space
from hpsearch.space.starting import settings_of_trial, starting_parameters
from hpsearch.storage.folders import study_file
from hpsearch.storage.reading import read_attribute, read_study
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import StudyWriter

ATTRIBUTE = "start"  # of a study: the settings that it began with, where they come from another one

Settings = Mapping[str, Any]


def first_settings(config: StudyConfig, run_options: RunOptions | None = None) -> list[Settings]:
    """Return the settings of a study's first trials; those that are not given are known-good ones.

    Raises:
        UserError: there is no such other study, or its best trial lies outside the space.
    """
    start = config.search.start
    if start is None:
        return [{}]
    if not isinstance(start, str):
        return list(start)
    if run_options is None:
        raise UserError("search.start names a study, and here there are no studies. Give settings.")
    known = _known_settings(config, run_options)
    if known:
        return known
    return [_best_of(start, config, run_options)]


def first_trials(config: StudyConfig, settings: Sequence[Settings]) -> list[dict[str, Any]]:
    """Return the parameters of a study's first trials; a network of the user's own asks for those of its layers itself."""
    trials = [starting_parameters(config.space, given)[0] for given in settings]
    if config.training.model is None:
        return trials
    return [{name: value for name, value in trial.items() if row_of(name) not in NETWORK} for trial in trials]


def keep_settings(config: StudyConfig, settings: Sequence[Settings], writer: StudyWriter) -> Sequence[Settings]:
    """Keep with a study what it begins with, where another study decides that; return what was kept before, if anything was."""
    if not isinstance(config.search.start, str):
        return settings
    kept = writer.read_attribute(ATTRIBUTE).get("settings")
    if kept:
        return list(kept)
    writer.write_attribute(ATTRIBUTE, {"study": config.search.start, "settings": list(settings)})
    return settings


def _known_settings(config: StudyConfig, run_options: RunOptions) -> list[Settings]:
    """Return what the study began with, where it has begun."""
    with suppress(UserError, StorageError):  # there is no such study yet, or opening it will say what is wrong
        return list(read_attribute(run_options.storage, config.study.name, ATTRIBUTE).get("settings", []))
    return []


def _best_of(name: str, config: StudyConfig, run_options: RunOptions) -> Settings:
    """Return the settings of the best trial of another study."""
    try:
        record = _find(name, run_options)
    except UserError as error:
        raise UserError(f"search.start: {error}") from None
    number = record.best_trial
    if number is None:
        raise UserError(f"search.start: study {shown(name)} has no usable trial yet. Run it first.")
    space, problems = read_space(record.settings["space"])
    if problems:
        raise UserError(f"search.start: the space of study {shown(name)} cannot be read: {problems[0]}.")
    settings = settings_of_trial(space, record.trials[number].params)
    wrong = starting_parameters(config.space, settings)[1]
    if wrong:
        where = f"trial {number} of study {shown(name)}"
        raise UserError("\n".join(f"search.start: {where}: {problem.lstrip(' .')}." for problem in wrong))
    return settings


def _find(name: str, run_options: RunOptions) -> StudyRecord:
    """Return another study: of a storage's URL, of the study's own storage, or of a folder."""
    if "://" in name:
        return read_study(name)
    with suppress(UserError, StorageError):  # a study of this storage that is not there yet
        return read_study(run_options.storage, name)
    return read_study(sqlite_url(study_file(name, Path(run_options.reports))))
