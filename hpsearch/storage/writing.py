"""The one writer of a study: trials are written whole as RUNNING, then finished, in few transactions, off the training thread.

What was handed over is written in order by one thread; `flush` waits for it. While the storage is away it waits there, and training
goes on. A write that fails is raised to the caller at its next call, and nothing is written after it, so that the storage always
holds a beginning of what was told. The same thread keeps the lease, and looks at it before it writes where it was silent for long.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import StorageError
from hpsearch.storage import lease
from hpsearch.storage.attributes import PREFIX, RUN, check_numbers, read_run, read_table
from hpsearch.storage.checksums import sealed, trial_facts
from hpsearch.storage.curves import CURVE, reported, shown_curve
from hpsearch.storage.explaining import explained, read_whole
from hpsearch.storage.fingerprint import describe, find_or_create, refuse_another
from hpsearch.storage.opening import alone, close_storage, open_storage
from hpsearch.storage.reading import history_of
from hpsearch.storage.retrying import Patience
from hpsearch.storage.rows import Row, read_rows
from hpsearch.storage.telling import begin_trial, finish_trial
from hpsearch.storage.turns import Turn, take_turn
from hpsearch.trial import Outcome, TrainingRun

Answer = TypeVar("Answer")

KEPT: dict[str, Any] = {  # what a trial that has ended has kept, and the types that it may have
    "detail": str,
    "best": int,
    "value": float | int | None,
    "validation_loss": float | int | None,
    "parameters": int | None,
    "repeats": int | None,
}


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
        self,
        url: str,
        storage: BaseStorage,
        study_id: int,
        *,
        under: "StudyWriter | None" = None,
        curve: int = CURVE,
        patience: Patience | None = None,
        turn: Turn | None = None,
    ) -> None:
        self.url, self.storage, self.study_id, self.curve = url, storage, study_id, curve
        self.ids: dict[int, int] = {}  # our number → the storage's id
        self._params: dict[int, Mapping[str, Any]] = {}  # of the trials that run
        self.root = under or self
        self.patience: Patience = under.root.patience if under else patience or Patience()
        self.complete = False  # whether the study is, so that nobody who waits needs to go on
        if under is not None:
            return
        self._turn = turn
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
        join: bool = False,
        under: "StudyWriter | None" = None,
        curve: int = CURVE,
        others: Sequence[str] = (),
        patience: Patience | None = None,
    ) -> "StudyWriter":
        """Open a study, or make it, and take its lease; a part of a comparison is open under the whole's.

        `curve` is the most evaluations of a learning curve to keep, `others` the directions of the objectives after the first. With
        `join` this waits while another process runs the study.

        Raises:
            UserError: the study is another one under the same name, or another process runs it.
            StorageError: the storage cannot be used.
            CompletedElsewhere: another process completed the very study while this one waited.
        """
        patience = under.root.patience if under else patience or Patience()
        with alone(url), read_whole(url):
            storage = under.storage if under else open_storage(url)
            study_id = patience.call(lambda: find_or_create(storage, name, [direction, *others]))
        try:
            with read_whole(url):
                patience.call(lambda: refuse_another(storage, study_id, name, settings, data))
                turn = (
                    None
                    if under
                    else take_turn(storage, study_id, name, settings, patience, take_over=take_over, join=join)
                )
                if join:  # the study may be another one since
                    patience.call(lambda: refuse_another(storage, study_id, name, settings, data))
                patience.call(lambda: describe(storage, study_id, settings, data))
        except BaseException:
            if under is None:
                close_storage(storage)
            raise
        return cls(url, storage, study_id, under=under, curve=curve, patience=patience, turn=turn)

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
        study_id = find_or_create(storage, name, [direction, *others])
        describe(storage, study_id, settings, data)
        return cls("memory", storage, study_id)

    def stored(self) -> list[Stored]:
        """Return the trials that are there already, in the order of their numbers."""
        with read_whole(self.url):
            rows = self.patience.call(lambda: [*read_rows(self.storage, self.study_id, RUN)])
            attributes = self.patience.call(lambda: self.storage.get_study_user_attrs(self.study_id))
            check_numbers(rows)
            self.ids = {row.number: row.id for row in rows}
            self._params = {row.number: row.params for row in rows if not row.state.is_finished()}
            return [_stored(row, attributes) for row in rows]

    def kept(self, key: str = "result") -> dict[str, Any]:
        """Return what an earlier run kept about the whole study under a key, if anything."""
        with read_whole(self.url):
            return read_table(self.patience.call(lambda: self.storage.get_study_user_attrs(self.study_id)), key)

    def begin(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Write a trial whole, as RUNNING."""
        trial = create_trial(state=TrialState.RUNNING, params=dict(params), distributions=dict(distributions))
        trial.datetime_start = datetime.now()
        self._params[number] = trial.params
        self._put(lambda: self._begin(number, trial))

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
        params = self._params.pop(run.number)
        self._put(lambda: self._finish(run, params, kept, [value, *others], curve))

    def keep(self, value: Mapping[str, Any], key: str = "result") -> None:
        """Write what is known about the whole study under a key: the confirmed best network's figures, a comparison's measurements."""
        seal = sealed(value, key)
        self._put(lambda: self.storage.set_study_user_attr(self.study_id, PREFIX + key, seal))

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
            if self._turn is not None and self.complete:
                self.keep({"by": self._turn.ticket.who, "settings": self._turn.settings}, "complete")
            self.flush()
            if self._turn is not None:
                turn = self._turn
                self._ask(lambda: lease.release(self.storage, turn.tickets, turn.ticket))
        finally:
            self._tasks.put(None)
            self._thread.join(5)
            close_storage(self.storage)

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        with explained(self.url):
            return self.patience.call(call)

    def _put(self, task: Callable[[], None]) -> None:
        self.root._raise()
        self.root._tasks.put(task)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=lease.BEAT)
            except queue.Empty:
                task = _nothing
            if task is None:
                return
            try:
                self._ask(lambda task=task: self._write(task))  # type: ignore[misc]
            except BaseException as error:  # handed to the training thread
                self._error = error
                return

    def _write(self, task: Callable[[], None]) -> None:
        if self._turn is not None:
            self._turn.keep(self.storage)
        task()

    def _begin(self, number: int, trial: FrozenTrial) -> None:
        self.ids[number] = begin_trial(self.storage, self.study_id, number, trial)

    def _finish(
        self,
        run: TrainingRun,
        params: Mapping[str, Any],
        kept: Mapping[str, Any],
        values: Sequence[float],
        curve: Mapping[int, float],
    ) -> None:
        """Write details first, the state last: a trial is told by that one transaction, or trained again."""
        failed = run.outcome.failed
        state = TrialState.PRUNED if run.outcome is Outcome.PRUNED else TrialState.COMPLETE
        attributes = {
            RUN: sealed(kept, trial_facts(params, state.name, values, curve)),
            "outcome": str(run.outcome),
            "parameters": run.parameters,
        }  # the last two are what a person looks for in Optuna's dashboard
        constraint = {"constraints:failed": 1.0 if failed else -1.0}
        finish_trial(self.storage, self.ids[run.number], state, values, curve, attributes, constraint)


def _nothing() -> None:
    """Write nothing: it is time to beat."""


def _stored(row: Row, attributes: Mapping[str, Any]) -> Stored:
    """Return a trial as the search goes on with it.

    Raises:
        StorageError: it has ended, and what is kept of it is damaged or not what hpsearch writes.
    """
    run = read_run(row, attributes)
    if row.state.is_finished() and not _whole(row, run):
        raise StorageError(
            f"storage damaged: trial {row.number} has ended without a result of hpsearch's. Restore a copy."
        )
    return Stored(row.params, row.state, row.told, reported(row.reported, run), run)


def _whole(row: Row, run: Mapping[str, Any]) -> bool:
    known = str(run.get("outcome")) in {*map(str, Outcome)} and history_of(run.get("history")) is not None
    return bool(row.values) and known and all(isinstance(run.get(name), kinds) for name, kinds in KEPT.items())
