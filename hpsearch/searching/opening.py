"""Opening a study: whatever can be refused is refused here, before anything is shown or trained."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, look_up
from hpsearch.files import make_folder, write_file
from hpsearch.searching.pruners import PRUNERS
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.sampler_view import SamplerView
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.secondary_objectives import SecondaryObjectives, secondary_objectives
from hpsearch.storage.failures import StorageRetry
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
    view: SamplerView
    writer: StudyWriter
    secondary: SecondaryObjectives | None = None


@contextmanager
def open_study(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study, or make it.

    Raises:
        UserError, StorageError: it cannot start.
        CompletedElsewhere: another process completed it while this one waited.
    """
    secondary = secondary_objectives(config, data)
    others = secondary.directions if secondary else ()
    direction = data.metric.direction
    view = make_view(config, direction, others)
    with open_writer(
        run_options, config.study.name, direction, config.settings(), data.summary, others
    ) as writer:
        yield OpenStudy(config, run_options, data, view, writer, secondary)


@contextmanager
def open_in_memory(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study whose storage ends with it; the selected model still goes into the folder of the run options.

    Raises:
        UserError: it cannot start.
    """
    secondary = secondary_objectives(config, data)
    others = secondary.directions if secondary else ()
    direction = data.metric.direction
    view = make_view(config, direction, others)
    writer = StudyWriter.in_memory(config.study.name, direction, config.settings(), data.summary, others=others)
    with closing(writer):
        yield OpenStudy(config, run_options, data, view, writer, secondary)


@contextmanager
def open_writer(
    run_options: RunOptions,
    name: str,
    direction: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    others: Sequence[str] = (),
) -> Iterator[StudyWriter]:
    """Open the storage of a study under its lease, and the study's folder, whose report and models are this study's alone.

    Raises:
        UserError, StorageError: they cannot be opened.
        CompletedElsewhere: another process completed the study while this one waited.
    """
    own = location_note(run_options.folder, run_options.storage)
    check_location(run_options.folder, run_options.storage)
    if own == STUDY_FILE:
        make_folder(run_options.folder)
    retry = StorageRetry(run_options.patience)
    writer = StudyWriter.open(
        run_options.storage,
        name,
        direction,
        settings,
        data,
        take_over=run_options.take_over,
        join=run_options.join,
        others=others,
        retry=retry,
    )
    with closing(writer):
        write_file(make_folder(run_options.folder) / LOCATION_FILE, own)
        try:
            yield writer
        except KeyboardInterrupt:
            retry.deadline = time.monotonic()  # a second Ctrl-C waits for no storage
            raise


def make_view(config: StudyConfig, direction: Direction, others: tuple[Direction, ...] = ()) -> SamplerView:
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
