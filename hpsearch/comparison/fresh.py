"""Fresh seeds: a winner trained again, each run with other initial weights and another order of the rows.

Run k of every arm has the same initial weights where the networks are equal, so that runs are compared in pairs. The best of n trials is
an optimistic figure for its hyperparameters; these runs were chosen by nobody.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from optuna.distributions import IntDistribution

from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import TrainingRun, TrialSpec, derive_seed

SEEDS = IntDistribution(0, 1_000_000)
Score = Callable[[TrialSpec, TrainingRun], Mapping[str, Any]]


def fresh(spec: TrialSpec, study_seed: int, number: int) -> TrialSpec:
    """Return run `number` of a winner: its initial weights and its order of rows are functions of (study seed, number) alone."""
    return replace(
        spec,
        number=number,
        seed=derive_seed(study_seed, "fresh", number),
        order_seed=derive_seed(study_seed, "fresh order", number) % 2**32,
    )


class Fresh:
    """The source of a winner's runs (a `TrialSource`); `score` looks at a finished run's network, and what it says is kept."""

    def __init__(
        self, spec: TrialSpec, study_seed: int, seeds: int, writer: StudyWriter, score: Score, worst: float
    ) -> None:
        stored = writer.stored()
        self.writer, self.score, self.worst = writer, score, worst
        self.begun = set(range(len(stored)))
        self.waiting = [fresh(spec, study_seed, n) for n in range(seeds) if n >= len(stored) or not stored[n].finished]
        self.specs: dict[int, TrialSpec] = {}
        self.started: dict[int, float] = {}
        self.total, self.done = seeds, seeds - len(self.waiting)
        self.stopping = False

    def take(self, room: int) -> list[TrialSpec]:
        """Return the next runs (see `TrialSource`)."""
        if self.stopping:
            return []
        taken, self.waiting = self.waiting[:room], self.waiting[room:]
        for spec in taken:
            if spec.number not in self.begun:
                self.writer.begin(spec.number, {"seed": spec.number}, {"seed": SEEDS})
            self.specs[spec.number], self.started[spec.number] = spec, time.monotonic()
        return taken

    def prune(self, number: int, evaluation: int, metric: float) -> bool:
        """Let every run go on (see `TrialSource`)."""
        return False

    def finish(self, run: TrainingRun) -> None:
        """Keep a run with what its network scores (see `TrialSource`)."""
        spec, seconds = self.specs.pop(run.number), time.monotonic() - self.started.pop(run.number)
        more = self.score(spec, run)
        self.writer.finish(run, self.worst if run.value is None else run.value, {}, seconds, None, more)
        self.done += 1
