"""A winner's runs on fresh seeds, each stored as a trial of its own study with the scores of its network."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import IntDistribution

from hpsearch.searching.specifications import replicate
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import TrialQueue
from hpsearch.trial import TrainingRun, TrialSpec

SEEDS = IntDistribution(0, 1_000_000)
Score = Callable[[TrialSpec, TrainingRun], Mapping[str, Any]]


class WinnerReplicates:
    """A winner's runs on fresh seeds; `source` gives an engine those that are missing, `score` looks at each finished run's network."""

    def __init__(
        self, spec: TrialSpec, study_seed: int, seeds: int, writer: StudyWriter, score: Score, worst: float
    ) -> None:
        stored = writer.previous_trials()
        finished = {number for number, trial in enumerate(stored) if trial.finished}
        missing = [replicate(spec, study_seed, number) for number in range(seeds) if number not in finished]
        self.writer = writer
        self.score = score
        self.worst = worst
        self.stored = len(stored)
        self.done = seeds - len(missing)
        self.training: dict[int, tuple[TrialSpec, float]] = {}  # by number, with the time of its begin
        self.source = TrialQueue(missing, on_begin=self._begin, on_finish=self._finish)

    def _begin(self, spec: TrialSpec) -> None:
        if spec.number >= self.stored:
            self.writer.begin(spec.number, {"seed": spec.number}, {"seed": SEEDS})
        self.training[spec.number] = (spec, time.monotonic())

    def _finish(self, run: TrainingRun) -> None:
        """Store a run with what its network scores."""
        spec, started = self.training.pop(run.number)
        seconds = time.monotonic() - started
        value = self.worst if run.value is None else run.value
        self.writer.finish(run, value, {}, seconds, None, self.score(spec, run))
        self.done += 1
