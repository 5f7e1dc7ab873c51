"""A study of arrays, as Python gives them: the settings of a study that hpsearch brings, with Python's in their places."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from signal import SIGINT
from typing import Any, Protocol

from hpsearch.config import StudyConfig, check_config, find_study
from hpsearch.config.reading import leave_out_starts, parse
from hpsearch.data import Data, from_arrays
from hpsearch.data.splits import Split
from hpsearch.errors import Stopped
from hpsearch.model import Model, load_model
from hpsearch.progress import Observer
from hpsearch.searching.opening import OpenStudy, open_in_memory
from hpsearch.searching.run_options import (
    RunOptions,
    on_device,
    prepare_engine,
    read_options,
    split_options,
    task_options,
)
from hpsearch.searching.study import run_study
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import record_of
from hpsearch.trial import BUDGET_UNITS

Tables = Mapping[str, Mapping[str, Any] | None]  # a study's tables by name; a key that is None is left as it is


def array_config(default: str, given: Tables, where: str, begun: Mapping[str, Any] | None = None) -> StudyConfig:
    """Return the settings of a study that hpsearch brings, the keys of the given tables in their places; None leaves a key as it is.

    A given space replaces the space. `where` stands before each error message. `begun` are the settings that the study of this name began
    with, in the place of those that hpsearch brings.

    Raises:
        UserError: the settings are wrong; it lists every error, a line each.
    """
    raw = deepcopy(dict(begun or _settings(default)))
    for name, table in given.items():
        keys = {key: value for key, value in (table or {}).items() if value is not None}
        if name == "space":
            raw["space"] = keys or raw["space"]
            continue
        if any(unit in keys for unit in BUDGET_UNITS):  # the file's budget may be in another unit
            raw[name] = {key: value for key, value in raw[name].items() if key not in (*BUDGET_UNITS, "max_examples")}
        raw[name] = {**raw.get(name, {}), **keys}
    if not (given.get("search") or {}).get("start"):
        leave_out_starts(raw)
    return check_config(raw, where, in_memory=True)


def default_space(images: bool) -> dict[str, Any]:
    """Return the space of the study that arrays are searched by, as a table."""
    return dict(_settings("digits" if images else "table")["space"])


def array_data(
    config: StudyConfig,
    run_options: RunOptions,
    inputs: Any,
    targets: Any,
    split: Split | None = None,
    *,
    weights: Any = None,
    validation: Any = None,
) -> Data:
    """Return arrays as the data of a study, on its device; with a `split` the settings do not decide which rows go where.

    `validation` are validation rows of their own, see `from_arrays`.

    Raises:
        UserError: they cannot be used, see `from_arrays`.
    """
    data = from_arrays(
        inputs,
        targets,
        validation=validation,
        name=config.data.name or "arrays",
        task=task_options(config),
        split=split_options(config, split=split),
        read=read_options(config),
        weights=weights,
    )
    return on_device(config, run_options, data)


class Display(Observer, Protocol):
    """An observer that shows a study from its settings on: the screen."""

    def introduce(self, config: StudyConfig, data: Mapping[str, Any], device: str, folder: object) -> None:
        """Show what is searched."""
        ...

    def live(self) -> AbstractContextManager[None]:
        """Show that the search runs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class MemorySearch:
    """A search in memory: the study as its storage has it, and the selected model."""

    record: StudyRecord
    model: Model


def search_in_memory(config: StudyConfig, run_options: RunOptions, data: Data) -> MemorySearch:
    """Run a study whose storage ends with it and return its record and model; the folder of the run options is used on the way.

    Raises:
        SearchFailed: no trial gave a usable network.
        KeyboardInterrupt, SystemExit: see `run_interruptibly`.
    """
    with open_in_memory(config, run_options, data) as study:
        run_interruptibly(study, None)
        study.writer.flush()
        record = record_of(study.writer.storage, study.writer.study_id)
    return MemorySearch(record, load_model(run_options.folder))


def run_interruptibly(study: OpenStudy, display: Display | None) -> None:
    """Run a study as the command does; a signal ends it as Python's own handlers do, past callers that catch errors to go on.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: SIGTERM or SIGHUP.
    """
    engine = prepare_engine(study.config, study.run_options, study.data)
    try:
        if display is None:
            run_study(study, engine)
            return
        device = str(study.data.training.inputs.device)
        display.introduce(study.config, study.data.summary, device, study.run_options.folder)
        with display.live():
            run_study(study, engine, display)
    except Stopped as stopped:
        if stopped.status == 128 + SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(stopped.status) from None


@cache
def _settings(study: str) -> dict[str, Any]:
    return parse(find_study(study))
