"""Opening a study: whatever can be refused is refused here, before anything is shown or trained."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, look_up
from hpsearch.files import make_folder, write_file
from hpsearch.searching.first_trials import first_settings, first_trials, keep_settings
from hpsearch.searching.objectives import Objectives, study_objectives
from hpsearch.searching.own_code import keep_checksums
from hpsearch.searching.pruners import PRUNERS
from hpsearch.searching.run_options import RunOptions, with_lag
from hpsearch.searching.sampler_view import SamplerView
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.specifications import ask_network, build_of
from hpsearch.storage.failures import StorageRetry
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE
from hpsearch.storage.urls import check_location, location_note
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import Direction


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that can be run: its settings and data, the sampler's view of it, its storage under its lease."""

    config: StudyConfig
    run_options: RunOptions
    data: Data
    objectives: Objectives
    view: SamplerView
    writer: StudyWriter


@contextmanager
def open_study(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study, or make it.

    Raises:
        UserError, StorageError: it cannot start.
        CompletedElsewhere: another process completed it while this one waited.
    """
    config = with_lag(config, run_options, data)
    objectives = study_objectives(config, data)
    _refuse_unreachable(config, data)
    view = _view(config, data, objectives)
    settings = first_settings(config, run_options)
    with open_writer(run_options, _fingerprint(config, data, objectives)) as writer:
        view.starts = first_trials(config, keep_settings(config, settings, writer))
        keep_checksums(config, writer)
        yield OpenStudy(config, run_options, data, objectives, view, writer)


@contextmanager
def open_in_memory(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study whose storage ends with it; the selected model still goes into the folder of the run options.

    Raises:
        UserError: it cannot start.
    """
    config = with_lag(config, run_options, data)
    objectives = study_objectives(config, data)
    _refuse_unreachable(config, data)
    view = _view(config, data, objectives)
    view.starts = first_trials(config, first_settings(config))
    with closing(StudyWriter.in_memory(_fingerprint(config, data, objectives))) as writer:
        yield OpenStudy(config, run_options, data, objectives, view, writer)


def _view(config: StudyConfig, data: Data, objectives: Objectives) -> SamplerView:
    """Return the sampler's view; of a network of the user's own it learns the hyperparameters by making one."""
    view = make_view(config, *objectives.directions)
    if config.training.model is not None:
        build_of(config)
        if view.points is not None:
            raise UserError(
                "sampler 'grid': a network of your own asks for hyperparameters that no grid knows. Give another."
            )
        view.ask_network = partial(ask_network, config, data=data)
    return view


def _refuse_unreachable(config: StudyConfig, data: Data) -> None:
    """Refuse a target value that the metric cannot have."""
    value = config.search.target_value
    if value is not None and data.metric.is_share and not 0 <= value <= 1:
        advice = "Give another value"
        if 1 < value <= 100:
            advice = f"Give {value / 100:g}"
        raise UserError(f"search.target_value is {value:g}; {data.metric.name} lies between 0 and 1. {advice}.")


def _fingerprint(config: StudyConfig, data: Data, objectives: Objectives) -> Fingerprint:
    return Fingerprint(config.study.name, objectives.directions, config.settings(), data.summary)


@contextmanager
def open_writer(run_options: RunOptions, study: Fingerprint) -> Iterator[StudyWriter]:
    """Open the storage of a study under its lease, and the study's folder, whose report and models are this study's alone.

    Raises:
        UserError, StorageError: they cannot be opened.
        CompletedElsewhere: another process completed the study while this one waited.
    """
    folder = run_options.folder
    url = run_options.storage
    own = location_note(folder, url)
    check_location(folder, own)
    if own == STUDY_FILE:
        make_folder(folder)
    retry = StorageRetry(run_options.patience)
    writer = StudyWriter.open(
        url, study, alone=own == STUDY_FILE, take_over=run_options.take_over, join=run_options.join, retry=retry
    )
    with closing(writer):
        write_file(make_folder(folder) / LOCATION_FILE, own)
        try:
            yield writer
        except KeyboardInterrupt:
            retry.deadline = time.monotonic()  # a second Ctrl-C waits for no storage
            raise


def make_view(config: StudyConfig, direction: Direction, *others: Direction) -> SamplerView:
    """Return the sampler's view of a study; `others` are the directions of the objectives after the first.

    Raises:
        UserError: no such sampler or pruner, or a sampler of one objective where there are several.
    """
    sampler = look_up(SAMPLERS, config.search.sampler, "sampler")
    if others and not sampler.multi_objective:
        able = ", ".join(name for name, row in SAMPLERS.items() if row.multi_objective)
        raise UserError(
            f"sampler '{config.search.sampler}' takes one objective, search.objectives names {len(others) + 1}. "
            f"Choose one of: {able}."
        )
    return SamplerView(
        name=config.study.name,
        direction=direction,
        space=config.space,
        budget=config.budget,
        seed=config.study.seed,
        lag=config.search.lag,
        sampler=sampler,
        pruner=look_up(PRUNERS, config.search.pruner, "pruner"),
        others=others,
    )
