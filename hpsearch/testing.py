"""A scripted engine, so that search, storage and report are tested in milliseconds, by hpsearch's own tests and by yours.

It trains nothing: a function says which metric a trial has at each evaluation. Its trials end in a random but seeded order, as if many
devices of unequal speed trained them.
"""

import random
from collections.abc import Callable

import torch

from hpsearch.training import TrialSource
from hpsearch.training.progress import Progress, Window
from hpsearch.trial import Direction, TrainingRun, TrialSpec

Script = Callable[[TrialSpec, int], float]


class ScriptedEngine:
    """An engine with `room` trials in flight; `script(spec, evaluation)` is the metric, not finite where the trial diverges.

    `seed` decides whose evaluation comes next. `crash_after` evaluations in all the engine raises `CrashError`, as a killed process would
    end.
    """

    def __init__(
        self, script: Script, direction: Direction, *, room: int = 1, seed: int = 0, crash_after: int | None = None
    ) -> None:
        self.script = script
        self.direction = direction
        self.room = room
        self.crash_after = crash_after
        self.random = random.Random(seed)  # noqa: S311

    def run(self, source: TrialSource) -> None:
        """Play trials until the source has nothing left."""
        in_flight: dict[int, Progress] = {}
        evaluations = 0
        while not source.stopping:
            for spec in source.take(self.room - len(in_flight)):
                parameters = spec.architecture.parameters if spec.architecture else 1
                in_flight[spec.number] = Progress(spec, self.direction == "maximize", parameters)
            if not in_flight:
                return
            if evaluations == self.crash_after:
                raise CrashError
            evaluations += 1
            progress = in_flight[self.random.choice(sorted(in_flight))]
            if (run := self._advance(progress, source)) is not None:
                del in_flight[run.number]
                source.finish(run)

    def _advance(self, progress: Progress, source: TrialSource) -> TrainingRun | None:
        metric = self.script(progress.spec, len(progress.history) + 1)
        return progress.record(Window(torch.zeros(1), (metric, metric), 0.0), dict, source)


class CrashError(Exception):
    """The scripted end of a process."""
