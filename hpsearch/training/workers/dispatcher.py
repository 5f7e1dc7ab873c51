"""The coordinator's books: which trial is with which worker, what is known of it, and what each worker is to be told.

Nothing here knows of processes: a pool's events go in, commands come out.
"""

from collections import deque
from dataclasses import dataclass, field

import torch

from hpsearch.training import TrialQueue, TrialSource
from hpsearch.training.progress import Progress, recorded_window
from hpsearch.training.workers.messages import (
    Commands,
    Event,
    Lost,
    Ready,
    RunFinished,
    RungReported,
    WeightsSent,
    with_weights,
    without_weights,
)
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

MAX_DEATHS = 3  # of a trial's workers, the last of them with this trial only, after which it is not trained again


@dataclass(eq=False)
class Assigned:
    """A trial that the source gave: the pruner's answers at rungs so far, and how many of its workers died."""

    spec: TrialSpec
    answers: dict[int, bool] = field(default_factory=dict)  # evaluation → whether the trial ends there
    deaths: int = 0
    run: TrainingRun | None = None  # finished; its weights are on their way

    @property
    def suspect(self) -> bool:
        """Whether it is to be trained without others beside it."""
        return self.deaths >= MAX_DEATHS - 1

    @property
    def end(self) -> int | None:
        """The evaluation at which the search ended it."""
        return next((evaluation for evaluation, ends in self.answers.items() if ends), None)


@dataclass(eq=False)
class WorkerState:
    """A worker that is ready: its slots, its trials, how many of its messages were taken, and what it is to be told next."""

    slots: int
    trials: dict[int, Assigned] = field(default_factory=dict)
    acknowledged: int = 0
    train: list[TrialSpec] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    send_weights: list[int] = field(default_factory=list)
    drop_weights: list[int] = field(default_factory=list)
    to_answer: bool = False
    silent: float = 0.0  # seconds since its last sign of life, while it held trials

    @property
    def free(self) -> int:
        """Room for more trials; none beside a suspect."""
        if any(trial.suspect for trial in self.trials.values()):
            return 0
        return self.slots - len(self.trials)

    def give(self, trial: Assigned) -> None:
        """Have the worker train a trial."""
        self.trials[trial.spec.number] = trial
        self.train.append(trial.spec)
        self.to_answer = True

    def commands(self) -> Commands:
        """Return what it is to be told, once."""
        commands = Commands(
            tuple(self.train), tuple(self.end), tuple(self.send_weights), tuple(self.drop_weights), self.acknowledged
        )
        for waiting in (self.train, self.end, self.send_weights, self.drop_weights):
            waiting.clear()
        self.to_answer = False
        return commands


class Dispatcher:
    """The books of one engine's run; `workers` outlive it."""

    def __init__(
        self, source: TrialSource, workers: dict[int, WorkerState], maximize: bool, device: torch.device
    ) -> None:
        self.source = source
        self.workers = workers
        self.maximize = maximize
        self.device = device
        self.unassigned: deque[Assigned] = deque()  # lost trials, then new ones
        self.suspects: deque[Assigned] = deque()

    @property
    def idle(self) -> bool:
        """Whether no trial is known that has not ended."""
        in_training = any(worker.trials for worker in self.workers.values())
        return not (self.unassigned or self.suspects or in_training)

    def assign(self) -> bool:
        """Give trials to workers as far as there is room; False where all have ended and the source has nothing more."""
        self._assign_suspects()
        draining = self._draining()
        free = {number: worker.free for number, worker in self.workers.items() if number != draining}
        room = max(sum(free.values()), int(self.idle)) - len(self.unassigned)
        if room > 0:
            self.unassigned += [Assigned(spec) for spec in self.source.take(room)]
        while self.unassigned:
            open_workers = [number for number, slots in free.items() if slots > 0]
            if not open_workers:
                break
            number = min(open_workers, key=self._load)
            free[number] -= 1
            self.workers[number].give(self.unassigned.popleft())
        return not self.idle

    def commands(self) -> dict[int, Commands]:
        """Return what workers are to be told, by worker."""
        return {number: worker.commands() for number, worker in self.workers.items() if worker.to_answer}

    def hung(self, seconds: float, silence: float) -> list[int]:
        """Return the workers that hold trials and were silent for too long; `seconds` have passed since the last call."""
        for worker in self.workers.values():
            worker.silent = worker.silent + seconds if worker.trials else 0.0
        return [number for number, worker in self.workers.items() if worker.silent > silence]

    def handle(self, number: int, event: Event) -> list[int]:
        """Take a worker's event; return the trials that are to be trained again because of it."""
        if number in self.workers:
            self.workers[number].silent = 0.0
        if isinstance(event, Ready):
            self.workers[number] = WorkerState(event.slots)
        elif isinstance(event, Lost):
            return self._take_back(self.workers.pop(number, WorkerState(0)), event)
        elif isinstance(event, RungReported | RunFinished | WeightsSent):
            worker = self.workers[number]
            worker.acknowledged += 1
            worker.to_answer = True
            self._handle_progress(worker, event)
        return []

    def _handle_progress(self, worker: WorkerState, event: RungReported | RunFinished | WeightsSent) -> None:
        if isinstance(event, RungReported):
            self._report(worker, event)
        elif isinstance(event, RunFinished):
            self._finish(worker, event.run)
        else:
            run = worker.trials.pop(event.number).run
            assert run is not None, "weights were asked for"
            self.source.finish(with_weights(run, event, self.device))

    def _report(self, worker: WorkerState, event: RungReported) -> None:
        """Ask the search, once: a trial that is trained again passes over what was reported."""
        trial = worker.trials[event.number]
        evaluation = event.evaluation
        if evaluation not in trial.answers:
            if trial.end is not None:
                return  # it trained on
            trial.answers[evaluation] = self.source.prune(event.number, evaluation, event.metric)
        if trial.answers[evaluation]:
            worker.end.append(event.number)

    def _finish(self, worker: WorkerState, run: TrainingRun) -> None:
        """Finish a run at once, or with its weights where the source wants them."""
        trial = worker.trials[run.number]
        if trial.end is not None:
            run = truncated(run, trial.spec, trial.end, self.maximize)
        usable = run.value is not None and run.outcome is not Outcome.PRUNED
        if usable and self.source.wants(run):
            trial.run = run
            worker.send_weights.append(run.number)
            return
        del worker.trials[run.number]
        worker.drop_weights.append(run.number)
        self.source.finish(run)

    def _take_back(self, worker: WorkerState, lost: Lost) -> list[int]:
        """Take a lost worker's trials back; one that has ended three workers ends itself."""
        trials = list(worker.trials.values())
        for trial in trials:
            trial.run = None
            trial.deaths += lost.charged
        again = [trial for trial in trials if trial.deaths < MAX_DEATHS]
        self.suspects += [trial for trial in again if trial.suspect]
        self.unassigned.extendleft(trial for trial in reversed(again) if not trial.suspect)
        for trial in trials:
            if trial.deaths >= MAX_DEATHS:
                self.source.finish(killed(trial.spec, lost.reason))
        return [trial.spec.number for trial in again]

    def _assign_suspects(self) -> None:
        for worker in self.workers.values():
            if self.suspects and not worker.trials:
                worker.give(self.suspects.popleft())

    def _draining(self) -> int | None:
        """Return the worker that gets no more trials, so that a suspect finds one empty."""
        if not self.suspects:
            return None
        waiting = [number for number, worker in self.workers.items() if worker.free or not worker.trials]
        return min(waiting or self.workers, key=lambda number: len(self.workers[number].trials), default=None)

    def _load(self, number: int) -> float:
        """Return the share of a worker's slots that are in use."""
        worker = self.workers[number]
        return len(worker.trials) / worker.slots


def truncated(run: TrainingRun, spec: TrialSpec, end: int, maximize: bool) -> TrainingRun:
    """Return a run as it was when the search ended it at an evaluation, whatever the worker did after it."""
    progress = Progress(spec, maximize, run.parameters)
    source = TrialQueue(prunes=lambda evaluation, metric: evaluation == end)
    for index in range(len(run.history)):
        pruned = progress.record(recorded_window(run.history, index), dict, source)
        if pruned is not None:
            return without_weights(pruned)
    raise AssertionError("a trial reports an evaluation before it is ended there")


def killed(spec: TrialSpec, reason: str) -> TrainingRun:
    """Return the run of a trial whose workers died."""
    parameters = spec.architecture.parameters if spec.architecture else 0
    detail = f"{MAX_DEATHS} workers died training it, the last one nothing else: {reason}"
    return TrainingRun(spec.number, Outcome.KILLED, History(), detail=detail, parameters=parameters)
