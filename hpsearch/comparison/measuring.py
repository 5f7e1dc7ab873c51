"""Measuring: some runs of each arm's fastest winner are trained again in slow motion, side by side, and what is seen is kept."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from statistics import median
from typing import Any

from hpsearch.comparison.instrumentation import look
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.comparison.moments import moments
from hpsearch.comparison.winners import reached
from hpsearch.data.dataset import Data
from hpsearch.progress import Observer, PhaseProgress
from hpsearch.searching.replicate_seeds import fresh
from hpsearch.storage.writing import StudyWriter
from hpsearch.training.devices import begin_worker, one_thread, worker_threads
from hpsearch.training.network import DNN
from hpsearch.trial import Direction, History, TrialSpec

REFERENCE = 32  # the batch size nearest to it is where batches of all sizes are drawn

MEASURING = "measuring runs update by update"


@dataclass(frozen=True, slots=True)
class Measured:
    """An arm whose runs are measured: the winner's name, its specification and the study of its runs."""

    name: str
    spec: TrialSpec
    writer: StudyWriter


def measure(
    arms: Sequence[Measured],
    data: Data,
    *,
    seed: int,
    runs: int,
    target: float,
    observer: Observer,
    stopping: Callable[[], bool],
) -> None:
    """Measure the first `runs` runs of each arm, those that are not measured yet."""
    jobs = [job for arm in arms for job in _jobs(arm, seed, runs)]
    loss = _typical_loss([job.history for job in jobs], target, data.metric.direction)
    sizes = sorted({arm.spec.batch_size for arm in arms})
    reference = min(sizes, key=lambda size: abs(size - REFERENCE), default=0)
    todo = [job for job in jobs if str(job.spec.number) not in job.kept and len(job.history)]
    done = len(jobs) - len(todo)
    observer.phase(PhaseProgress(MEASURING, done, len(jobs)))
    with one_thread(data), ThreadPoolExecutor(worker_threads(data), initializer=begin_worker, initargs=(data,)) as pool:
        futures = {
            pool.submit(
                _looked, job, data, target, loss, sizes if job.spec.batch_size == reference else (), stopping
            ): job
            for job in todo
        }
        for future in as_completed(futures):
            job, found = futures[future], future.result()
            if found is not None:
                job.kept[str(job.spec.number)] = found
                job.writer.write_attribute("measured", job.kept)
            done += 1
            observer.phase(PhaseProgress(MEASURING, done, len(jobs)))


@dataclass(frozen=True, slots=True)
class _Job:
    """One run to measure: as it is specified, as it went, and what is kept of its arm's runs so far."""

    spec: TrialSpec
    history: History
    writer: StudyWriter
    kept: dict[str, Any]


def _jobs(arm: Measured, seed: int, runs: int) -> list[_Job]:
    kept, stored = arm.writer.read_attribute("measured"), arm.writer.previous_trials()[:runs]
    return [
        _Job(fresh(arm.spec, seed, number), history_of(trial.run), arm.writer, kept)
        for number, trial in enumerate(stored)
        if trial.finished
    ]


def history_of(run: Mapping[str, Any]) -> History:
    """Return the learning curve of a stored run."""
    return History(**{name: tuple(column) for name, column in run["history"].items()})


def _typical_loss(histories: Sequence[History], target: float, direction: Direction) -> float | None:
    """Return the validation loss that goes with the target: the median over the runs that reached it."""
    found = []
    for history in histories:
        hit = reached(history, target, direction)
        found += [loss for update, loss in zip(history.update, history.validation_loss, strict=True) if update == hit]
    return median(found) if found else None


def _looked(
    job: _Job, data: Data, target: float, loss: float | None, sizes: Sequence[int], stopping: Callable[[], bool]
) -> dict[str, Any] | None:
    if stopping():
        return None
    start = _initial_loss(job.spec, data)
    when = moments(job.spec, job.history, target, data.metric.direction, (start, loss or start), len(data.training))
    return look(job.spec, data, when, sizes, stopping)


def _initial_loss(spec: TrialSpec, data: Data) -> float:
    assert spec.architecture is not None, "a comparison trains dense networks"
    weights = DNN.initialized(spec.architecture, spec.seed).state_dict()
    state = State(spec.architecture, data.trained_task, weights)
    return mean_loss(spec.architecture, data.trained_task, state.vector(data.validation), data.validation)
