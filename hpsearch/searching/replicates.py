"""Confirmation: the best trials of a search are trained again on fresh seeds, and the best mean over them wins.

The best value of a search is partly the luck of one seed on these validation rows, and the more trials there are the more of it (the
winner's curse). Fresh runs were chosen by nobody, so their mean is an honest figure for the hyperparameters, but for the choice
among the few that are confirmed. Of the winner's runs, the one in the search among them, the network with the best validation value is
kept: that value is once more the best of several, hence optimistic; the mean is what to expect of the next run.

Every run is told to the storage as it ends. Only seeds that all confirmed trials have are compared, so that a confirmation that was cut
short is fair; one that goes on, with more seeds or trials, trains what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from typing import Any

import torch

from hpsearch.errors import Stopped
from hpsearch.progress import SILENT, Observer, PhaseProgress
from hpsearch.searching.replicate_seeds import fresh, initial_seed
from hpsearch.searching.stopping import stopping
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import student_mean
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, Several
from hpsearch.trial import Direction, TrainingRun, TrialSpec, ranking_key

KEY = "confirmed:"  # and a trial's number: its runs on fresh seeds, in the storage
PERFECT = {"maximize": 1.0, "minimize": 0.0}  # no metric has a better value

Kept = Mapping[str, Any]  # what the storage has of a run: outcome, value, loss, best evaluation, detail
Weights = Mapping[str, torch.Tensor]
Start = tuple[int, int]  # a trial, and the seed of a run's initial weights: which network it is


@dataclass(frozen=True, slots=True)
class Network:
    """A run that gave a network: of which trial, on which fresh seed (None: the trial's own run in the search).

    `value` is the best on the validation rows, at the evaluation `best` (from 1).
    """

    trial: int
    seed: int | None
    spec: TrialSpec
    value: float
    best: int

    @property
    def start(self) -> Start:
        """Which network it is."""
        return self.trial, self.spec.seed


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A trial, its run in the search, its runs by fresh seed and their mean; neither of these where nothing was confirmed."""

    spec: TrialSpec
    found: TrainingRun
    runs: Mapping[int, Kept]
    mean: Estimate | None

    def best(self, study_seed: int, direction: Direction) -> Network:
        """Return the run with the best validation value; of equals the one of the lowest loss, then of the lowest seed."""
        assert self.found.value is not None, "a leader of the search has a value"
        own = Network(self.found.number, None, self.spec, self.found.value, self.found.best)
        ranks: dict[int | None, tuple[float, float, float]] = {
            None: ranking_key(direction, own.value, self.found.loss, inf)
        }
        networks: dict[int | None, Network] = {None: own}
        for seed, run in self.runs.items():
            if run["value"] is not None:
                spec = fresh(self.spec, study_seed, seed)
                networks[seed] = Network(own.trial, seed, spec, run["value"], int(run["best"]))
                ranks[seed] = ranking_key(direction, run["value"], run["loss"], seed)
        return networks[min(ranks, key=ranks.__getitem__)]


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
    ) -> None:
        self.study_seed = study_seed
        self.writer = writer
        self.direction = direction
        self.observer = observer
        self.results = {spec.number: _stored(writer, spec.number) for spec in specs}
        self.best: dict[int, TrainingRun] = {}
        pairs = [(spec, seed) for seed in range(seeds) for spec in specs]
        self.runs = [(spec.number, seed) for spec, seed in pairs]  # by a run's number: its trial and its seed
        missing = [
            replace(fresh(spec, study_seed, seed), number=number, rungs=())
            for number, (spec, seed) in enumerate(pairs)
            if seed not in self.results[spec.number]
        ]
        self.done = len(pairs) - len(missing)
        self.source = Several(missing, on_finish=self._finish, wanted=self._wanted, deadline=deadline)

    @property
    def progress(self) -> PhaseProgress:
        """How many of the runs are done."""
        return PhaseProgress("training the best trials again on fresh seeds", self.done, len(self.runs))

    def weights(self) -> dict[Start, Weights]:
        """Return the weights of each trial's best run of this process."""
        return {
            (trial, initial_seed(self.study_seed, run.number)): run.weights
            for trial, run in self.best.items()
            if run.weights is not None
        }

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
        self._keep_weights(trial, replace(run, number=seed))
        self.done += 1
        self.observer.phase(self.progress)

    def _keep_weights(self, trial: int, run: TrainingRun) -> None:
        if run.weights is not None and self._leads(trial, run):
            self.best[trial] = replace(run, weights={name: tensor.cpu() for name, tensor in run.weights.items()})

    def _leads(self, trial: int, run: TrainingRun) -> bool:
        """Whether no run of the trial in this process was better."""
        return _rank(run, self.direction) <= _rank(self.best.get(trial, run), self.direction)


def confirm(replicates: Replicates, engine: Engine, observer: Observer = SILENT) -> None:
    """Train the runs that are missing, as far as the time goes.

    Raises:
        Stopped: a signal ended it; everything told is kept.
    """
    if not replicates.source.waiting:
        return
    before = f" ({replicates.done} of {len(replicates.runs)} were told before)" if replicates.done else ""
    trials = "trial" if len(replicates.results) == 1 else f"{len(replicates.results)} trials"
    observer.announce(f"training the best {trials} again on fresh seeds: {len(replicates.source.waiting)} runs{before}")
    observer.phase(replicates.progress)
    with stopping(replicates.source, observer) as status:
        engine.run(replicates.source)
    replicates.writer.flush()
    if status():
        raise Stopped(f"stopped with {replicates.done} of {len(replicates.runs)} runs on fresh seeds told", status())
    if replicates.done < len(replicates.runs):
        observer.announce(
            f"time is up: {replicates.done} of {len(replicates.runs)} runs on fresh seeds told; the same command goes on"
        )


def compare(
    leaders: Sequence[tuple[TrainingRun, TrialSpec]], replicates: Replicates, direction: Direction, worst: float
) -> list[Confirmed]:
    """Return the confirmed trials, the best mean first, of equals the one that ranked higher in the search.

    A failed run counts with the metric's `worst` value, as in the search. Where no seed is whole, the search's best stands alone.
    """
    seeds = [
        seed
        for seed in sorted({s for _, s in replicates.runs})
        if all(seed in runs for runs in replicates.results.values())
    ]
    if not seeds:
        (found, spec), *_ = leaders
        return [Confirmed(spec, found, {}, None)]
    made = []
    for found, spec in leaders:
        runs = {seed: replicates.results[spec.number][seed] for seed in seeds}
        values = [counted(run["value"], direction, worst) for run in runs.values()]
        made.append(Confirmed(spec, found, runs, student_mean(values, *sorted((worst, PERFECT[direction])))))
    return sorted(made, key=lambda trial: ranking_key(direction, trial.mean.value if trial.mean else worst, 0.0, 0))


def counted(value: float | None, direction: Direction, worst: float) -> float:
    """Return what a run counts: no value worse than the metric's worst, which would dwarf all other differences."""
    return worst if value is None else (max if direction == "maximize" else min)(value, worst)


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as plain values; an end that is not bounded is None."""
    return {name: value if isfinite(value) else None for name, value in asdict(estimate).items()}


def _rank(run: TrainingRun, direction: Direction) -> tuple[float, float, float]:
    assert run.value is not None, "a run without a value is no network to keep"
    return ranking_key(direction, run.value, run.loss, run.number)


def _stored(writer: StudyWriter, trial: int) -> dict[int, Kept]:
    return {int(seed): kept for seed, kept in writer.read_attribute(f"{KEY}{trial}").items()}
