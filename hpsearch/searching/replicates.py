"""Confirmation: the best trials of a search are trained again on fresh seeds, and the best mean over them wins.

The best value of a search is partly the luck of one seed on these validation rows, and the more trials there are the more of it (the
winner's curse). Fresh runs were chosen by nobody, so their mean is an honest figure for the hyperparameters, but for the choice
among the few that are confirmed. Of the winner's runs, the one in the search among them, the network with the best validation value is
kept: that value is once more the best of several, hence optimistic; the mean is what to expect of the next run.

Every run is told to the storage as it ends. Only seeds that all confirmed trials have are compared, so that a confirmation that was cut
short is fair; one that goes on, with more seeds or trials, trains what is missing.
"""

import time
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
from hpsearch.statistics.means import student_mean
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine
from hpsearch.trial import Direction, TrainingRun, TrialSpec

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
        known: dict[int | None, tuple[float, float]] = {None: _value_of(self.found)}
        known |= {seed: (run["value"], run["loss"]) for seed, run in self.runs.items() if run["value"] is not None}
        seed = min(known, key=lambda s: (*_ranked(known[s], direction), inf if s is None else s))
        spec = self.spec if seed is None else fresh(self.spec, study_seed, seed)
        best = self.found.best if seed is None else int(self.runs[seed]["best"])
        return Network(self.found.number, seed, spec, known[seed][0], best)


class FreshRuns:
    """The runs of some trials on fresh seeds (a `TrialSource`): seed 0 of each, then seed 1 of each, ...

    None is pruned, and none begins after the time `until`. `told` has their results by trial and seed, earlier ones too; `best` each
    trial's best run here with its weights, its seed as its number.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        seeds: int,
        study_seed: int,
        writer: StudyWriter,
        direction: Direction,
        until: float = inf,
        observer: Observer = SILENT,
    ) -> None:
        self.study_seed, self.writer, self.direction = study_seed, writer, direction
        self.until, self.observer = until, observer
        self.told = {spec.number: _told(writer, spec.number) for spec in specs}
        pairs = [(spec, seed) for seed in range(seeds) for spec in specs]
        self.runs = [(spec.number, seed) for spec, seed in pairs]  # a run's number is its place in this list
        self.waiting = [
            replace(fresh(spec, study_seed, seed), number=number, rungs=())
            for number, (spec, seed) in enumerate(pairs)
            if seed not in self.told[spec.number]
        ]
        self.best: dict[int, TrainingRun] = {}
        self.done, self.stopping = len(pairs) - len(self.waiting), False

    @property
    def progress(self) -> PhaseProgress:
        """Where the confirmation stands."""
        return PhaseProgress("training the best trials again on fresh seeds", self.done, len(self.runs))

    def take(self, room: int) -> list[TrialSpec]:
        """Return the next runs (see `TrialSource`)."""
        if self.stopping or time.monotonic() >= self.until:
            return []
        taken, self.waiting = self.waiting[:room], self.waiting[room:]
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Let every run go on (see `TrialSource`)."""
        return False

    def wants(self, run: TrainingRun) -> bool:
        """Want those of each trial's best run (see `TrialSource`)."""
        trial, seed = self.runs[run.number]
        return self._leads(trial, replace(run, number=seed))

    def finish(self, run: TrainingRun) -> None:
        """Tell a run (see `TrialSource`)."""
        trial, seed = self.runs[run.number]
        kept = {"outcome": str(run.outcome), "value": run.value, "loss": run.loss, "best": run.best}
        self.told[trial][seed] = {**kept, "detail": run.detail}
        self.writer.write_attribute(f"{KEY}{trial}", {str(s): told for s, told in sorted(self.told[trial].items())})
        self._keep_weights(trial, replace(run, number=seed))
        self.done += 1
        self.observer.phase(self.progress)

    def weights(self) -> dict[Start, Weights]:
        """Return the weights of each trial's best run here."""
        return {
            (trial, initial_seed(self.study_seed, run.number)): run.weights
            for trial, run in self.best.items()
            if run.weights is not None
        }

    def _keep_weights(self, trial: int, run: TrainingRun) -> None:
        if run.weights is not None and self._leads(trial, run):
            self.best[trial] = replace(run, weights={name: tensor.cpu() for name, tensor in run.weights.items()})

    def _leads(self, trial: int, run: TrainingRun) -> bool:
        """Whether no run here of the trial was better."""
        ranks = [(*_ranked(_value_of(r), self.direction), r.number) for r in (run, self.best.get(trial, run))]
        return ranks[0] <= ranks[1]


def confirm(source: FreshRuns, engine: Engine, observer: Observer = SILENT) -> None:
    """Train the runs that are missing, as far as the time goes.

    Raises:
        Stopped: a signal ended it; everything told is kept.
    """
    if not source.waiting:
        return
    before = f" ({source.done} of {len(source.runs)} were told before)" if source.done else ""
    trials = "trial" if len(source.told) == 1 else f"{len(source.told)} trials"
    observer.announce(f"training the best {trials} again on fresh seeds: {len(source.waiting)} runs{before}")
    observer.phase(source.progress)
    with stopping(source, observer) as status:
        engine.run(source)
    source.writer.flush()
    if status():
        raise Stopped(f"stopped with {source.done} of {len(source.runs)} runs on fresh seeds told", status())
    if source.done < len(source.runs):
        observer.announce(
            f"time is up: {source.done} of {len(source.runs)} runs on fresh seeds told; the same command goes on"
        )


def compare(
    leaders: Sequence[tuple[TrainingRun, TrialSpec]], source: FreshRuns, direction: Direction, worst: float
) -> list[Confirmed]:
    """Return the confirmed trials, the best mean first, of equals the one that ranked higher in the search.

    A failed run counts with the metric's `worst` value, as in the search. Where no seed is whole, the search's best stands alone.
    """
    seeds = [seed for seed in sorted({s for _, s in source.runs}) if all(seed in runs for runs in source.told.values())]
    if not seeds:
        (found, spec), *_ = leaders
        return [Confirmed(spec, found, {}, None)]
    made = []
    for found, spec in leaders:
        runs = {seed: source.told[spec.number][seed] for seed in seeds}
        values = [counted(run["value"], direction, worst) for run in runs.values()]
        made.append(Confirmed(spec, found, runs, student_mean(values, *sorted((worst, PERFECT[direction])))))
    return sorted(made, key=lambda trial: _ranked((trial.mean.value if trial.mean else worst, 0.0), direction))


def counted(value: float | None, direction: Direction, worst: float) -> float:
    """Return what a run counts: no value worse than the metric's worst, which would dwarf all other differences."""
    return worst if value is None else (max if direction == "maximize" else min)(value, worst)


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as plain values; an end that is not bounded is None."""
    return {name: value if isfinite(value) else None for name, value in asdict(estimate).items()}


def _ranked(value: tuple[float, float], direction: Direction) -> tuple[float, float]:
    """Return a run's value and loss so that the lowest is the best."""
    return (-value[0] if direction == "maximize" else value[0]), value[1]


def _value_of(run: TrainingRun) -> tuple[float, float]:
    assert run.value is not None, "a run without a value is no network to keep"
    return run.value, run.loss or 0.0


def _told(writer: StudyWriter, trial: int) -> dict[int, Kept]:
    return {int(seed): kept for seed, kept in writer.read_attribute(f"{KEY}{trial}").items()}
