"""Measuring: some runs of each arm's fastest winner are trained again side by side, measured on the way, and the results stored."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from statistics import median
from typing import Any

from hpsearch.comparison.arms import reached
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.forecast import MEASURING
from hpsearch.comparison.instrumentation import measure_run, plan_measurements
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.comparison.replicates import Winner
from hpsearch.data.dataset import Data
from hpsearch.progress import PhaseProgress
from hpsearch.storage.writing import StudyWriter
from hpsearch.training.devices import begin_worker, device_of, one_thread, worker_threads
from hpsearch.training.network import DNN
from hpsearch.trial import Direction, History, TrialSpec

REFERENCE = 32  # the batch size nearest to it is where batches of all sizes are drawn


@dataclass(frozen=True, slots=True)
class _Job:
    """One run to measure: its specification and learning curve, and what is stored of its winner's runs so far, by seed."""

    spec: TrialSpec
    batch_size: int  # of the arm
    history: History
    writer: StudyWriter
    measured: dict[str, Any]

    @property
    def done(self) -> bool:
        """Whether there is nothing to measure, or it is stored already."""
        return str(self.spec.number) in self.measured or not len(self.history)

    def store(self, result: dict[str, Any]) -> None:
        """Store what was measured."""
        self.measured[str(self.spec.number)] = result
        self.writer.write_attribute("measured", self.measured)


def measure(context: ComparisonContext, winners: Sequence[Winner], target: float) -> None:
    """Measure the first runs of each winner, those that are not measured yet."""
    data = context.data
    jobs: list[_Job] = []
    for winner in winners:
        jobs += _jobs(winner, context)
    loss = _loss_at_target([job.history for job in jobs], target, context.direction)
    sizes = sorted({winner.spec.batch_size for winner in winners})
    reference = min(sizes, key=lambda size: abs(size - REFERENCE), default=0)

    def run(job: _Job) -> dict[str, Any] | None:
        if context.stopping:
            return None
        own = context.rows_of(job.spec)
        start = _initial_loss(job.spec, own)
        losses = (start, loss or start)
        plan = plan_measurements(job.spec, job.history, target, context.direction, losses, len(own.training))
        drawn_sizes = sizes if job.batch_size == reference else ()
        return measure_run(job.spec, own, plan, drawn_sizes, lambda: context.stopping)

    # a run of each batch size in turn
    todo = sorted((job for job in jobs if not job.done), key=lambda job: job.spec.number)
    done = len(jobs) - len(todo)
    context.observer.phase(PhaseProgress(MEASURING, done, len(jobs)))
    device = device_of(data)
    with (
        one_thread(device),
        ThreadPoolExecutor(worker_threads(data), initializer=begin_worker, initargs=(device,)) as pool,
    ):
        futures = {pool.submit(run, job): job for job in todo}
        for future in as_completed(futures):
            result = future.result()
            if result is not None:
                futures[future].store(result)
            done += 1
            context.observer.phase(PhaseProgress(MEASURING, done, len(jobs)))


def _jobs(winner: Winner, context: ComparisonContext) -> list[_Job]:
    measured = winner.writer.read_attribute("measured")
    trials = winner.writer.previous_trials()[: context.compare.measured]
    return [
        _Job(
            context.replicate(winner.spec, number),
            winner.spec.batch_size,
            history_of(trial.run),
            winner.writer,
            measured,
        )
        for number, trial in enumerate(trials)
        if trial.finished
    ]


def history_of(run: Mapping[str, Any]) -> History:
    """Return the learning curve of a stored run."""
    return History(**{name: tuple(column) for name, column in run["history"].items()})


def _loss_at_target(histories: Sequence[History], target: float, direction: Direction) -> float | None:
    """Return the validation loss that goes with the target: the median over the runs that reached it."""
    losses = []
    for history in histories:
        update = reached(history, target, direction)
        if update in history.update:
            losses.append(history.validation_loss[history.update.index(int(update))])
    return median(losses) if losses else None


def _initial_loss(spec: TrialSpec, data: Data) -> float:
    """Return the validation loss of a run's initial weights."""
    assert spec.architecture is not None, "a comparison trains dense networks"
    weights = DNN.initialized(spec.architecture, spec.seed).state_dict()
    state = State(spec.architecture, data.trained_task, weights)
    return mean_loss(spec.architecture, data.trained_task, state.vector(data.validation), data.validation)
