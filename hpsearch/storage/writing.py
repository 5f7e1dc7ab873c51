"""The one writer of a study: trials are written whole as RUNNING, then finished, in few transactions, off the training thread.

What was handed over is written in order by one thread; `flush` waits for it. A write that fails is raised to the caller at its next
call, and nothing is written after it, so that the storage always holds a beginning of what was told.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import StorageError, UserError
from hpsearch.storage import lease
from hpsearch.storage.changes import data_change
from hpsearch.storage.curves import CURVE, reported, shown_curve, write_details
from hpsearch.storage.opening import alone, explained, open_storage
from hpsearch.storage.reading import PREFIX, RUN, SCHEMA, history_of
from hpsearch.storage.rows import Row, read_rows
from hpsearch.trial import Outcome, TrainingRun

KEPT: dict[str, Any] = {  # what a trial that has ended has kept, and the types that it may have
    "detail": str,
    "best": int,
    "value": float | int | None,
    "validation_loss": float | int | None,
    "parameters": int | None,
    "repeats": int | None,
}
FREE = {  # settings that may change from run to run
    *("study.question", "data.root", "data.file", "search.trials", "search.timeout"),
    *("confirm.trials", "confirm.seeds", "confirm.ensemble"),
    *("compare.batch_sizes", "compare.trials", "compare.seeds", "compare.measured"),
}

UNSET: tuple[Any, ...] = (
    None,
    [],
    "none",
    False,
)  # of a setting that the version which made a study did not have: nothing is changed by it


@dataclass(frozen=True, slots=True)
class Stored:
    """A trial that an earlier run of the study left: its parameters and, where it was told, its result."""

    params: Mapping[str, Any]
    state: TrialState
    values: tuple[float, ...]  # in each objective; none before the trial was told
    rungs: Mapping[int, float]
    run: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the result was told; if not, the trial is trained again."""
        return self.state.is_finished()


class StudyWriter:
    """A study open for writing, under its lease, or `under` another writer's: then that one's thread writes for both."""

    def __init__(
        self, url: str, storage: BaseStorage, study_id: int, *, under: "StudyWriter | None" = None, curve: int = CURVE
    ) -> None:
        self.url, self.storage, self.study_id, self.curve = url, storage, study_id, curve
        self.ids: dict[int, int] = {}  # our number → the storage's id
        self.root = under or self
        if under is not None:
            return
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        url: str,
        name: str,
        direction: str,
        settings: Mapping[str, Any],
        data: Mapping[str, Any],
        *,
        take_over: bool = False,
        under: "StudyWriter | None" = None,
        curve: int = CURVE,
        others: Sequence[str] = (),
    ) -> "StudyWriter":
        """Open a study, or make it, and take its lease; a part of a comparison is open under the whole's.

        `curve` is the most evaluations of a learning curve to keep, `others` the directions of the objectives after the first.

        Raises:
            UserError: the study is another one under the same name, or another process runs it.
            StorageError: the storage cannot be used.
        """
        with alone(url), explained(url):
            storage = under.storage if under else open_storage(url)
            study_id = _find_or_create(storage, name, [direction, *others])
            attributes = storage.get_study_user_attrs(study_id)
            _refuse_changes(name, attributes, settings, data)
            _refuse_foreign_trials(name, storage, study_id, attributes)
            if under is None:
                lease.acquire(storage, study_id, take_over=take_over)
            for key, value in (("data", data), ("schema", SCHEMA), ("settings", settings)):  # settings make it a study
                if attributes.get(PREFIX + key) != value:
                    storage.set_study_user_attr(study_id, PREFIX + key, value)
        return cls(url, storage, study_id, under=under, curve=curve)

    @classmethod
    def in_memory(
        cls,
        name: str,
        direction: str,
        settings: Mapping[str, Any],
        data: Mapping[str, Any],
        *,
        others: Sequence[str] = (),
    ) -> "StudyWriter":
        """Return a new study that no other process can see and that ends with this one, so that it needs no lease."""
        storage = InMemoryStorage()
        study_id = _find_or_create(storage, name, [direction, *others])
        for key, value in (("data", data), ("schema", SCHEMA), ("settings", settings)):
            storage.set_study_user_attr(study_id, PREFIX + key, value)
        return cls("memory", storage, study_id)

    def stored(self) -> list[Stored]:
        """Return the trials that are there already, in the order of their numbers."""
        with explained(self.url):
            rows = [*read_rows(self.storage, self.study_id, RUN)]
        self.ids = {row.number: row.id for row in rows}
        return [
            Stored(row.params, row.state, row.told, reported(row.reported, row.attributes.get(RUN)), _run_of(row))
            for row in rows
        ]

    def kept(self, key: str = "result") -> dict[str, Any]:
        """Return what an earlier run kept about the whole study under a key, if anything."""
        with explained(self.url):
            return dict(self.storage.get_study_user_attrs(self.study_id).get(PREFIX + key, {}))

    def begin(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Write a trial whole, as RUNNING."""
        trial = create_trial(state=TrialState.RUNNING, params=dict(params), distributions=dict(distributions))
        trial.datetime_start = datetime.now()
        self._put(lambda: self._create(number, trial))

    def finish(
        self,
        run: TrainingRun,
        value: float,
        rungs: Mapping[int, float],
        seconds: float,
        repeats: int | None,
        more: Mapping[str, Any] = MappingProxyType({}),
        others: Sequence[float] = (),
    ) -> None:
        """Write a trial's result; `value` is what is told, a failed trial's being the metric's worst; `more` is kept with it.

        `others` are the values in the objectives after the first.
        """
        kept = {
            "outcome": str(run.outcome),
            "detail": run.detail,
            "best": run.best,
            "value": run.value,
            "validation_loss": run.loss,
            "parameters": run.parameters,
            "seconds": round(seconds, 4),
            "repeats": repeats,
            "rungs": sorted(rungs),
            "history": run.history.thinned(self.curve).columns(),
            **more,
        }
        curve = shown_curve(run.history.thinned(self.curve), rungs)
        self._put(lambda: self._finish(run, kept, [value, *others], curve))

    def keep(self, value: Mapping[str, Any], key: str = "result") -> None:
        """Write what is known about the whole study under a key: the confirmed best network's figures, a comparison's measurements."""
        self._put(lambda: self.storage.set_study_user_attr(self.study_id, PREFIX + key, dict(value)))

    def flush(self) -> None:
        """Wait until all that was handed over is written.

        Raises:
            StorageError: a write failed.
        """
        done = threading.Event()
        self.root._tasks.put(done.set)
        while not done.wait(0.2) and self.root._error is None:
            pass
        self.root._raise()

    def close(self) -> None:
        """Write what is left, give the lease back and end the thread."""
        try:
            self.flush()
            with explained(self.url):
                lease.release(self.storage, self.study_id)
        finally:
            self._tasks.put(None)
            self._thread.join(5)

    def _put(self, task: Callable[[], None]) -> None:
        self.root._raise()
        self.root._tasks.put(task)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                with explained(self.url):
                    task()
            except BaseException as error:  # handed to the training thread
                self._error = error
                return

    def _create(self, number: int, trial: FrozenTrial) -> None:
        trial_id = self.storage.create_new_trial(self.study_id, template_trial=trial)
        if (got := self.storage.get_trial(trial_id).number) != number:
            raise UserError(f"another program wrote trial {got - 1} into this study. Give hpsearch a study of its own.")
        self.ids[number] = trial_id

    def _finish(
        self, run: TrainingRun, kept: Mapping[str, Any], values: Sequence[float], curve: Mapping[int, float]
    ) -> None:
        """Write details first, the state last: a trial is told by that one transaction, or trained again."""
        trial_id, failed = self.ids[run.number], run.outcome.failed
        plain = {
            "outcome": str(run.outcome),
            "parameters": run.parameters,
        }  # what a person looks for in Optuna's dashboard
        write_details(
            self.storage, trial_id, curve, {RUN: kept, **plain}, {"constraints:failed": 1.0 if failed else -1.0}
        )
        state = TrialState.PRUNED if run.outcome is Outcome.PRUNED else TrialState.COMPLETE
        self.storage.set_trial_state_values(trial_id, state, values)


def _find_or_create(storage: BaseStorage, name: str, directions: Sequence[str]) -> int:
    try:
        return storage.get_study_id_from_name(name)
    except KeyError:
        return storage.create_new_study([StudyDirection[direction.upper()] for direction in directions], name)


def _run_of(row: Row) -> Mapping[str, Any]:
    """Return what is kept of a trial that has ended, none of one that has not.

    Raises:
        StorageError: it is not what hpsearch writes.
    """
    if not row.state.is_finished():
        return {}
    run = row.attributes.get(RUN)
    if (
        not isinstance(run, dict)
        or not row.values
        or str(run.get("outcome")) not in {*map(str, Outcome)}
        or history_of(run.get("history")) is None
        or any(not isinstance(run.get(name), kinds) for name, kinds in KEPT.items())
    ):
        raise StorageError(
            f"storage damaged: trial {row.number} has ended without a result of hpsearch's. Restore a copy."
        )
    return run


def _refuse_foreign_trials(name: str, storage: BaseStorage, study_id: int, attributes: Mapping[str, Any]) -> None:
    foreign = f"{PREFIX}settings" not in attributes and storage.get_all_trials(study_id, deepcopy=False)
    if foreign or storage.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,)):
        raise UserError(f"study '{name}' has trials that hpsearch did not make. Give the study another name (--name).")


def _refuse_changes(
    name: str, attributes: Mapping[str, Any], settings: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Compare the fingerprint: a study keeps its space, data, metric, budget, sampler and seed.

    Raises:
        UserError: shows each difference.
    """
    before = attributes.get(f"{PREFIX}settings")
    if before is None:
        return
    old = {**_flat(before), "data.hash": attributes.get(f"{PREFIX}data", {}).get("hash")}
    new = {**_flat(settings), "data.hash": data.get("hash")}
    newer = {key for key, value in new.items() if key not in old and value in UNSET}
    keys = sorted((old.keys() | new.keys()) - FREE - newer)
    changes = [key for key in keys if old.get(key) != new.get(key)]
    if changes == ["data.hash"]:
        said = data_change(attributes.get(f"{PREFIX}data", {}), data, new.get("data.file"))
        raise UserError(
            f"study '{name}': {said}. Give the study another name (--name) for the new data, or the old data back to go on."
        )
    changes = [key for key in changes if key != "data.hash"]  # other settings divide the rows otherwise
    if changes:
        shown = "; ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in changes)
        raise UserError(
            f"study '{name}' exists and differs: {shown}. Give it another name (--name) or the old settings."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, dict)
        flat |= _flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
