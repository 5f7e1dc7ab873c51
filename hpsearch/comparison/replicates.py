"""A winner's runs on fresh seeds, each kept as a trial of its own study with what its network scores."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import IntDistribution

from hpsearch.searching.replicate_seeds import fresh
from hpsearch.storage.writing import StudyWriter
from hpsearch.trial import TrainingRun, TrialSpec

SEEDS = IntDistribution(0, 1_000_000)
Score = Callable[[TrialSpec, TrainingRun], Mapping[str, Any]]


class Fresh:
    """The source of a winner's runs (a `TrialSource`); `score` looks at a finished run's network, and what it says is kept."""

    def __init__(
        self, spec: TrialSpec, study_seed: int, seeds: int, writer: StudyWriter, score: Score, worst: float
    ) -> None:
        stored = writer.previous_trials()
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

    def wants(self, run: TrainingRun) -> bool:
        """Want all: each network is scored (see `TrialSource`)."""
        return True

    def finish(self, run: TrainingRun) -> None:
        """Keep a run with what its network scores (see `TrialSource`)."""
        spec, seconds = self.specs.pop(run.number), time.monotonic() - self.started.pop(run.number)
        more = self.score(spec, run)
        self.writer.finish(run, self.worst if run.value is None else run.value, {}, seconds, None, more)
        self.done += 1
