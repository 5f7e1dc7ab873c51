"""The one writer of a study: a trial is written when it begins and when it has ended, in few transactions, by `writer_thread`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.errors import StorageError
from hpsearch.platforms import steady_time
from hpsearch.storage.attributes import (
    CHECKSUM,
    PREFIX,
    RUN,
    checksum_of,
    contents_of,
    read_runs,
    read_table,
    trial_facts,
    trials_table,
    with_checksum,
)
from hpsearch.storage.failures import StorageRetry, reading_errors
from hpsearch.storage.fingerprint import Fingerprint, check_fingerprint, find_or_create, write_fingerprint
from hpsearch.storage.lease import join_lease, settings_checksum, take_lease
from hpsearch.storage.opening import close_storage, creation_lock, open_storage
from hpsearch.storage.optuna_internals import TrialRow, quiet_optuna
from hpsearch.storage.trial_records import history_of
from hpsearch.storage.trial_writing import (
    CURVE_LENGTH,
    FinishedTrial,
    begin_trial,
    finish_trial,
    intermediate_values,
    rung_values,
)
from hpsearch.storage.writer_thread import WriterThread
from hpsearch.trial import Outcome, TrainingRun

RUN_TYPES: dict[str, Any] = {  # what is stored of a finished trial, and of which type it may be
    "detail": str,
    "best": int,
    "value": float | int | None,
    "validation_loss": float | int | None,
    "parameters": int | None,
    "repeats": int | None,
}


@dataclass(frozen=True, slots=True)
class PreviousTrial:
    """A trial that an earlier run of the study left: its parameters and, if it has ended, its result."""

    params: Mapping[str, Any]
    state: TrialState
    values: tuple[float, ...]  # in each objective; none before the trial has ended
    rungs: Mapping[int, float]
    run: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether it has a result; if not, it is trained again."""
        return self.state.is_finished()


class StudyWriter:
    """A study open for writing; the parts of a comparison share the `thread` of the comparison's own study.

    `curve_length` is the most evaluations of a learning curve to store. `complete` is to be set once the study is, so that processes
    that wait for its lease end.

    Raises:
        StorageError: of every method, if the storage cannot be used, is damaged, or a write failed.
    """

    def __init__(self, thread: WriterThread, study_id: int, curve_length: int = CURVE_LENGTH) -> None:
        self.thread = thread
        self.storage = thread.storage
        self.study_id = study_id
        self.curve_length = curve_length
        self.complete = False
        self._clock_zero = datetime.now().timestamp() - steady_time()  # a clock that is set later moves no trial
        self._ids: dict[int, int] = {}  # a trial's number → the storage's id
        self._params: dict[int, Mapping[str, Any]] = {}  # of the running trials, by number
        self._checksums: dict[int, Any] = {}  # of the trials that have ended, by number
        self._parts: list[StudyWriter] = []

    @classmethod
    @quiet_optuna()
    def open(
        cls,
        url: str,
        study: Fingerprint,
        *,
        alone: bool = False,
        take_over: bool = False,
        join: bool = False,
        retry: StorageRetry | None = None,
    ) -> "StudyWriter":
        """Open a study, created where it is missing, and take its lease; with `join` wait while another process runs the study.

        `alone`: the storage is one study's, in the folder that has its report and models.

        Raises:
            UserError: the study is another one under the same name, or another process runs it, or it is not `alone`.
            CompletedElsewhere: another process completed the very study while this one waited.
        """
        retry = retry or StorageRetry()
        with creation_lock(url), reading_errors(url):
            storage = open_storage(url)
            study_id = retry.call(lambda: find_or_create(storage, study, alone=alone))
        try:
            with reading_errors(url):
                retry.call(lambda: check_fingerprint(storage, study_id, study))
                retry.call(lambda: _check_trials(storage, study.name))  # before anything is written
                if join and not take_over:
                    held = join_lease(storage, study_id, study, retry)
                    retry.call(lambda: check_fingerprint(storage, study_id, study))  # it may be another now
                else:
                    held = take_lease(storage, study.name, retry, take_over=take_over)
                retry.call(lambda: write_fingerprint(storage, study_id, study))
        except BaseException:
            close_storage(storage)
            raise
        return cls(WriterThread(url, storage, retry, held), study_id)

    @classmethod
    def in_memory(cls, study: Fingerprint) -> "StudyWriter":
        """Return a new study that no other process can see and that ends with this one, so that it needs no lease."""
        storage = InMemoryStorage()
        study_id = find_or_create(storage, study)
        write_fingerprint(storage, study_id, study)
        return cls(WriterThread("memory", storage), study_id)

    def open_part(self, part: Fingerprint, *, curve_length: int) -> "StudyWriter":
        """Open a part of this comparison, a study in the same storage and under the same lease.

        Raises:
            UserError: the part is another study under the same name.
        """
        storage = self.storage
        retry = self.thread.retry
        with reading_errors(self.thread.url):
            study_id = retry.call(lambda: find_or_create(storage, part))
            retry.call(lambda: check_fingerprint(storage, study_id, part))
            retry.call(lambda: write_fingerprint(storage, study_id, part))
        writer = StudyWriter(self.thread, study_id, curve_length)
        self._parts.append(writer)
        return writer

    def previous_trials(self) -> list[PreviousTrial]:
        """Return the trials of earlier runs, in the order of their numbers."""
        with reading_errors(self.thread.url):
            runs = self.thread.retry.call(lambda: read_runs(self.storage, self.study_id, self._attributes()))
            rows = [row for row, _ in runs]
            self._ids = {row.number: row.id for row in rows}
            self._params = {row.number: row.params for row in rows if not row.state.is_finished()}
            self._checksums = {row.number: checksum_of(row) for row in rows if row.state.is_finished()}
            return [_previous_trial(row, run) for row, run in runs]

    def read_attribute(self, key: str) -> dict[str, Any]:
        """Return the table that is stored with the study under a key, empty where there is none."""
        with reading_errors(self.thread.url):
            return read_table(self._attributes(), key)

    def write_attribute(self, key: str, table: Mapping[str, Any]) -> None:
        """Store a table with the study: the result of a search, the measurements of a comparison."""
        value = with_checksum(table, key)
        self.thread.submit(lambda: self.storage.set_study_user_attr(self.study_id, PREFIX + key, value))

    def write_contents(self) -> None:
        """Store which tables this comparison, now whole, and each of its parts have, so that one that is lost is noticed."""
        self._write_all_trials()
        self.flush()
        with reading_errors(self.thread.url):
            contents = self.thread.retry.call(lambda: contents_of(self.storage, self.study_id))
        self.write_attribute("contents", contents)

    def begin(self, number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> None:
        """Write a trial as running."""
        trial = create_trial(state=TrialState.RUNNING, params=dict(params), distributions=dict(distributions))
        trial.datetime_start = datetime.fromtimestamp(self._clock_zero + steady_time())
        self._params[number] = trial.params
        self.thread.submit(lambda: self._begin(number, trial))

    def finish(
        self,
        run: TrainingRun,
        value: float,
        rungs: Mapping[int, float],
        seconds: float,
        repeats: int | None = None,
        more: Mapping[str, Any] = MappingProxyType({}),
        others: Sequence[float] = (),
    ) -> None:
        """Write a trial's result.

        Args:
            run: the trial's training run.
            value: what the sampler learns; a failed trial has the metric's worst value.
            rungs: what the pruner learned, by evaluation.
            seconds: the trial's wall time.
            repeats: the number of the trial whose result was taken over, if any.
            more: what is stored beside.
            others: the values in the objectives after the first.
        """
        history = run.history.thinned(self.curve_length)
        details = {**run_details(replace(run, history=history), rungs, seconds, repeats), **more}
        curve = intermediate_values(history, rungs)
        trial = _finished_trial(run, self._params.pop(run.number), details, [value, *others], curve)
        self.thread.submit(lambda: self._finish(run.number, trial))

    def flush(self) -> None:
        """Wait until all is written."""
        self.thread.flush()

    def close(self) -> None:
        """Write what is left, give the lease back and close the storage."""
        lease = self.thread.lease
        try:
            self._write_all_trials()
            if self.complete and lease is not None:
                self.flush()
                settings = settings_checksum(self.read_attribute("settings"))
                self.write_attribute("complete", {"by": lease.ticket.who, "settings": settings})
        finally:
            self.thread.close()

    def _write_all_trials(self) -> None:
        """Store the counts of this study's and its parts' trials, once these are written and have their checksums."""
        self.flush()
        for writer in (self, *self._parts):
            writer._write_trials()

    def _write_trials(self) -> None:
        """Store how many trials have ended, from the first on, with the checksums of all, where these are more than are stored."""
        ended: list[Any] = []
        while len(ended) in self._checksums:
            ended.append(self._checksums[len(ended)])
        if ended and len(ended) > self.read_attribute("trials").get("count", 0):
            self.write_attribute("trials", trials_table(ended))

    def _attributes(self) -> Mapping[str, Any]:
        return self.thread.retry.call(lambda: self.storage.get_study_user_attrs(self.study_id))

    def _finish(self, number: int, trial: FinishedTrial) -> None:
        stored = finish_trial(self.storage, self._ids[number], trial)
        self._checksums[number] = stored[RUN][CHECKSUM]

    def _begin(self, number: int, trial: FrozenTrial) -> None:
        self._ids[number] = begin_trial(self.storage, self.study_id, number, trial)


def run_details(
    run: TrainingRun, rungs: Mapping[int, float], seconds: float, repeats: int | None = None
) -> dict[str, Any]:
    """Return what is stored of a trial's run beside Optuna's own values; its history as it is."""
    details: dict[str, Any] = {
        "outcome": str(run.outcome),
        "detail": run.detail,
        "best": run.best,
        "value": run.value,
        "validation_loss": run.loss,
        "parameters": run.parameters,
        "seconds": round(seconds, 4),
        "repeats": repeats,
        "rungs": sorted(rungs),
        "history": run.history.columns(),
    }
    if run.folds:
        details["folds"] = list(run.folds)
    return details


def _finished_trial(
    run: TrainingRun,
    params: Mapping[str, Any],
    details: Mapping[str, Any],
    values: Sequence[float],
    curve: Mapping[int, float],
) -> FinishedTrial:
    state = TrialState.COMPLETE
    if run.outcome is Outcome.PRUNED:
        state = TrialState.PRUNED
    attributes = {
        RUN: with_checksum(details, trial_facts(params, state.name, values, curve)),
        "outcome": str(run.outcome),  # this and the next are for people who look into Optuna's dashboard
        "parameters": run.parameters,
    }
    constraint = {"constraints:failed": 1.0 if run.outcome.failed else -1.0}
    return FinishedTrial(state, values, curve, attributes, constraint)


def _check_trials(storage: BaseStorage, name: str) -> None:
    """Refuse a study, or a comparison with a part, whose trials are damaged.

    Raises:
        StorageError: they are.
    """
    for study in storage.get_all_studies():
        if study.study_name == name or study.study_name.startswith(f"{name}/"):
            study_id = storage.get_study_id_from_name(study.study_name)
            for row, run in read_runs(storage, study_id, study.user_attrs):
                _previous_trial(row, run)


def _previous_trial(row: TrialRow, run: Mapping[str, Any]) -> PreviousTrial:
    """Return a trial, with its verified details, as the search goes on with it.

    Raises:
        StorageError: it has ended, and its details are not hpsearch's.
    """
    if row.state.is_finished() and not _is_result(row, run):
        raise StorageError(
            f"storage damaged: trial {row.number} has ended without a result of hpsearch's. Restore a copy."
        )
    return PreviousTrial(row.params, row.state, row.values, rung_values(row.intermediate_values, run), run)


def _is_result(row: TrialRow, run: Mapping[str, Any]) -> bool:
    if not row.values or str(run.get("outcome")) not in {str(outcome) for outcome in Outcome}:
        return False
    if history_of(run.get("history")) is None:
        return False
    return all(isinstance(run.get(name), types) for name, types in RUN_TYPES.items())
