"""Confirmation: the best trials of a search are trained again on fresh seeds, and the best mean over these replicates wins.

The best value of a search is partly the luck of one seed on these validation rows, the more so the more trials there are (the winner's
curse). Replicates were selected by nobody, so their mean is an honest figure for the hyperparameters, but for the selection among the
few that are confirmed. Of the winner's runs, the one in the search included, the network with the best validation value is kept: that
value is once more the best of several, hence optimistic; the mean is what to expect of the next run.

Every replicate is stored as it ends. Only seeds that all confirmed trials have are compared, so that a confirmation that was cut short is
fair; one that goes on, with more seeds or trials, trains the missing replicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import inf
from typing import Any

import torch

from hpsearch.data.metrics import Metric
from hpsearch.errors import Stopped, counted
from hpsearch.progress import SILENT, Observer, PhaseProgress
from hpsearch.searching.specifications import initial_seed, replicate
from hpsearch.searching.stopping import stopping
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import bounded_mean, finite
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, TrialQueue
from hpsearch.trial import Direction, TrainingRun, TrialSpec, ranking_key

KEY = "confirmed:"  # and a trial's number: its runs on fresh seeds, in the storage

StoredRun = Mapping[str, Any]  # a replicate as the storage has it: outcome, value, loss, best evaluation, detail
Weights = Mapping[str, torch.Tensor]
NetworkKey = tuple[int, int]  # a trial, and the seed of a run's initial weights


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A run with a usable network: of a trial, on a fresh seed (None: the trial's own run in the search).

    `value` is the best on the validation rows, at the evaluation `best` (from 1).
    """

    trial: int
    seed: int | None
    spec: TrialSpec
    value: float
    best: int

    @property
    def key(self) -> NetworkKey:
        """The trial and the seed of the initial weights, which identify the network."""
        return self.trial, self.spec.seed


@dataclass(frozen=True, slots=True)
class ConfirmedTrial:
    """A trial with its run in the search, its replicates by fresh seed and their mean; no replicates where nothing was confirmed."""

    spec: TrialSpec
    search_run: TrainingRun
    runs: Mapping[int, StoredRun]
    mean: Estimate | None

    def rank(self, direction: Direction) -> tuple[float, float, float]:
        """Return the key that sorts the best mean first."""
        assert self.mean is not None, "several trials are confirmed by their means"
        return ranking_key(direction, self.mean.value, 0.0, 0)

    def best(self, study_seed: int, direction: Direction) -> TrainedNetwork:
        """Return the run with the best validation value; of equals the one of the lowest loss, then of the lowest seed."""
        assert self.search_run.value is not None, "a leader of the search has a value"
        own = TrainedNetwork(self.search_run.number, None, self.spec, self.search_run.value, self.search_run.best)
        ranked = [(ranking_key(direction, own.value, self.search_run.loss, inf), own)]
        for seed, run in self.runs.items():
            if run["value"] is not None:
                spec = replicate(self.spec, study_seed, seed)
                network = TrainedNetwork(own.trial, seed, spec, run["value"], int(run["best"]))
                ranked.append((ranking_key(direction, run["value"], run["loss"], seed), network))
        _, best = min(ranked, key=lambda pair: pair[0])
        return best


class Replicates:
    """The runs of some trials on fresh seeds: seed 0 of each, then seed 1 of each, ...

    `source` gives an engine those that are missing; none is pruned, and none begins after the `deadline`. `results` has the results by
    trial and seed, of earlier processes too; `best` each trial's best run of this process with its weights, its seed as its number.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        seeds: int,
        study_seed: int,
        writer: StudyWriter,
        direction: Direction,
        deadline: float = inf,
        observer: Observer = SILENT,
        *,
        further: int = 0,
    ) -> None:
        self.further = further
        self.study_seed = study_seed
        self.writer = writer
        self.direction = direction
        self.observer = observer
        self.results = {spec.number: _stored(writer, spec.number) for spec in specs}
        self.best: dict[int, TrainingRun] = {}
        pairs = list(product(range(seeds), specs))
        self.runs = [(spec.number, seed) for seed, spec in pairs]  # by a run's number: its trial and its seed
        missing = [number for number, (trial, seed) in enumerate(self.runs) if seed not in self.results[trial]]
        self.done = len(pairs) - len(missing)
        queue = [self._run(number, *pairs[number]) for number in missing]
        self.source = TrialQueue(queue, on_finish=self._finish, wanted=self._wanted, deadline=deadline)

    @property
    def progress(self) -> PhaseProgress:
        """How many of the runs are done."""
        return PhaseProgress("training the best trials again on fresh seeds", self.done, len(self.runs), self.further)

    def weights(self) -> dict[NetworkKey, Weights]:
        """Return the weights of each trial's best run of this process."""
        return {
            (trial, initial_seed(self.study_seed, run.number)): run.weights
            for trial, run in self.best.items()
            if run.weights is not None
        }

    def _run(self, number: int, seed: int, spec: TrialSpec) -> TrialSpec:
        """Return the run `number` of the queue: a trial on a fresh seed, which no pruner ends."""
        return replace(replicate(spec, self.study_seed, seed), number=number, rungs=())

    def _wanted(self, run: TrainingRun) -> bool:
        """Whether a run is the best of its trial so far."""
        trial, seed = self.runs[run.number]
        return self._leads(trial, replace(run, number=seed))

    def _finish(self, run: TrainingRun) -> None:
        """Store a run, and keep its weights where it is the best of its trial."""
        trial, seed = self.runs[run.number]
        self.results[trial][seed] = {
            "outcome": str(run.outcome),
            "value": run.value,
            "loss": run.loss,
            "best": run.best,
            "detail": run.detail,
        }
        stored = {str(number): result for number, result in sorted(self.results[trial].items())}
        self.writer.write_attribute(f"{KEY}{trial}", stored)
        if run.weights is not None and self._leads(trial, replace(run, number=seed)):
            weights = {name: tensor.cpu() for name, tensor in run.weights.items()}
            self.best[trial] = replace(run, number=seed, weights=weights)
        self.done += 1
        self.observer.phase(self.progress)

    def _leads(self, trial: int, run: TrainingRun) -> bool:
        """Whether no run of the trial in this process was better."""
        return _rank(run, self.direction) <= _rank(self.best.get(trial, run), self.direction)


def confirm(replicates: Replicates, engine: Engine, observer: Observer = SILENT) -> None:
    """Train the missing replicates, as far as the time goes.

    Raises:
        Stopped: a signal ended it; every result is stored.
    """
    source = replicates.source
    if not source.waiting:
        return
    total = len(replicates.runs)
    before = ""
    if replicates.done:
        before = f" ({replicates.done} of {total} are stored)"
    count = len(replicates.results)
    trials = "trial" if count == 1 else f"{count} trials"
    observer.announce(f"training the best {trials} again on fresh seeds: {counted(len(source.waiting), 'run')}{before}")
    observer.phase(replicates.progress)
    with stopping(source, observer) as status:
        engine.run(source)
    replicates.writer.flush()
    if status():
        raise Stopped(f"stopped: {replicates.done} of {counted(total, 'run')} on fresh seeds saved", status())
    if replicates.done < total:
        observer.announce(
            f"time is up: {replicates.done} of {counted(total, 'run')} on fresh seeds saved; the same command goes on"
        )


def rank_confirmed(
    leaders: Sequence[tuple[TrainingRun, TrialSpec]], replicates: Replicates, metric: Metric, worst: float
) -> list[ConfirmedTrial]:
    """Return the confirmed trials, the best mean first, of equal ones the one that ranked higher in the search.

    A failed run counts with the metric's `worst` value, as in the search; one that is worse still counts as it is. Where no seed is
    complete, the search's best is the only one.
    """
    asked = sorted({seed for _, seed in replicates.runs})
    seeds = [seed for seed in asked if all(seed in runs for runs in replicates.results.values())]
    if not seeds:
        best_run, best_spec = leaders[0]
        return [ConfirmedTrial(best_spec, best_run, {}, None)]
    confirmed = []
    for search_run, spec in leaders:
        runs = {seed: replicates.results[spec.number][seed] for seed in seeds}
        values = [worst if run["value"] is None else run["value"] for run in runs.values()]
        confirmed.append(ConfirmedTrial(spec, search_run, runs, metric_mean(values, metric, worst)))
    return sorted(confirmed, key=lambda trial: trial.rank(metric.direction))


def metric_mean(values: Sequence[float], metric: Metric, worst: float) -> Estimate:
    """Return the mean of a metric's values; its interval ends at the metric's best value, and at the `worst` or one that was worse."""
    return bounded_mean(values, metric.direction == "maximize", worst, metric.perfect)


def plain_estimate(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as plain values; an end that is not bounded is None."""
    return {name: finite(value) for name, value in asdict(estimate).items()}


def _rank(run: TrainingRun, direction: Direction) -> tuple[float, float, float]:
    assert run.value is not None, "a run without a value is no network to keep"
    return ranking_key(direction, run.value, run.loss, run.number)


def _stored(writer: StudyWriter, trial: int) -> dict[int, StoredRun]:
    return {int(seed): kept for seed, kept in writer.read_attribute(f"{KEY}{trial}").items()}
