"""The writer's books: which trial is with which worker, what is known of it, and what each worker is to be told.

Nothing here knows of processes: a crew's events go in, orders come out.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from hpsearch.training import Several, TrialSource
from hpsearch.training.progress import Progress
from hpsearch.training.workers.messages import Ended, Event, Lost, Orders, Ready, Reported, Sent
from hpsearch.training.workers.serialization import tensors_of
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

DEATHS = 3  # of a trial's workers, the last of them with this trial alone, after which it is not trained again


@dataclass(eq=False)
class Assigned:
    """A trial that a source gave: its answers at rungs so far, and how many of its workers died."""

    spec: TrialSpec
    answers: dict[int, bool] = field(default_factory=dict)  # evaluation → whether the trial ends there
    deaths: int = 0
    run: TrainingRun | None = None  # finished; its weights are on their way

    @property
    def suspect(self) -> bool:
        """Whether it is to be trained alone."""
        return self.deaths >= DEATHS - 1

    @property
    def end(self) -> int | None:
        """The evaluation at which the search ended it."""
        return next((evaluation for evaluation, ends in self.answers.items() if ends), None)


@dataclass(eq=False)
class Seat:
    """A worker that is ready: its places, its trials, how many of its messages were heard, and what it is to be told next."""

    places: int
    trials: dict[int, Assigned] = field(default_factory=dict)
    heard: int = 0
    train: list[TrialSpec] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    send: list[int] = field(default_factory=list)
    forget: list[int] = field(default_factory=list)
    news: bool = False  # whether it waits for an answer
    silent: float = 0.0  # seconds since its last sign of life, while it held trials

    @property
    def free(self) -> int:
        """Room for more trials; none beside a suspect."""
        return 0 if any(trial.suspect for trial in self.trials.values()) else self.places - len(self.trials)

    def orders(self) -> Orders:
        """Return what it is to be told, once."""
        orders = Orders(tuple(self.train), tuple(self.end), tuple(self.send), tuple(self.forget), self.heard)
        self.train, self.end, self.send, self.forget, self.news = [], [], [], [], False
        return orders


class Desk:
    """The books of one engine's run; `seats` are its workers, which outlive it."""

    def __init__(self, source: TrialSource, seats: dict[int, Seat], maximize: bool, device: torch.device) -> None:
        self.source, self.seats, self.maximize, self.device = source, seats, maximize, device
        self.again: deque[Assigned] = deque()  # taken and with nobody: lost ones, and the first
        self.suspects: deque[Assigned] = deque()

    @property
    def idle(self) -> bool:
        """Whether no trial is known that has not ended."""
        return not (self.again or self.suspects or any(seat.trials for seat in self.seats.values()))

    def fill(self) -> bool:
        """Give out trials as far as there is room; False where all has ended and the source has nothing more."""
        self._give_suspects()
        free = {worker: seat.free for worker, seat in self.seats.items() if worker != self._draining()}
        room = max(sum(free.values()), int(self.idle)) - len(self.again)
        if room > 0:
            self.again += [Assigned(spec) for spec in self.source.take(room)]
        while self.again and (open_ := [worker for worker, places in free.items() if places > 0]):
            worker = min(open_, key=lambda w: len(self.seats[w].trials) / self.seats[w].places)
            free[worker] -= 1
            self._give(self.seats[worker], self.again.popleft())
        return not self.idle

    def orders(self) -> dict[int, Orders]:
        """Return what workers are to be told, by worker."""
        return {worker: seat.orders() for worker, seat in self.seats.items() if seat.news}

    def hung(self, seconds: float, silence: float) -> list[int]:
        """Return the workers that hold trials and were silent for too long; `seconds` have gone since the last look."""
        for seat in self.seats.values():
            seat.silent = seat.silent + seconds if seat.trials else 0.0
        return [worker for worker, seat in self.seats.items() if seat.silent > silence]

    def hear(self, worker: int, event: Event) -> list[int]:
        """Take an event; return the trials that are to be trained again because of it."""
        if worker in self.seats:
            self.seats[worker].silent = 0.0
        if isinstance(event, Ready):
            self.seats[worker] = Seat(event.places)
        elif isinstance(event, Lost):
            return self._lost(self.seats.pop(worker, Seat(0)), event)
        elif isinstance(event, Reported | Ended | Sent):
            seat = self.seats[worker]
            seat.heard, seat.news = seat.heard + 1, True
            self._answered(seat, event)
        return []

    def _answered(self, seat: Seat, event: Reported | Ended | Sent) -> None:
        if isinstance(event, Reported):
            self._report(seat, event)
        elif isinstance(event, Ended):
            self._end(seat, event.run)
        else:
            run = seat.trials.pop(event.number).run
            assert run is not None, "weights were asked for"
            self.source.finish(replace(run, weights=tensors_of(event.weights, self.device)))

    def _report(self, seat: Seat, event: Reported) -> None:
        """Ask the search, once: a trial that is trained again walks through what was told."""
        trial, evaluation = seat.trials[event.number], event.evaluation
        if evaluation not in trial.answers:
            if trial.end is not None:
                return  # it trained on
            trial.answers[evaluation] = self.source.prune(event.number, evaluation, event.metric)
        if trial.answers[evaluation]:
            seat.end.append(event.number)

    def _end(self, seat: Seat, run: TrainingRun) -> None:
        """Finish a run at once, or with the weights where somebody wants them."""
        trial = seat.trials[run.number]
        run = run if trial.end is None else truncated(run, trial.spec, trial.end, self.maximize)
        if run.value is not None and run.outcome is not Outcome.PRUNED and self.source.wants(run):
            trial.run = run
            seat.send.append(run.number)
            return
        del seat.trials[run.number]
        seat.forget.append(run.number)
        self.source.finish(run)

    def _lost(self, seat: Seat, lost: Lost) -> list[int]:
        """Take a worker's trials back; one that has been the end of three workers ends itself."""
        trials = list(seat.trials.values())
        for trial in trials:
            trial.run = None
            trial.deaths += lost.charged
        ended = [trial for trial in trials if trial.deaths >= DEATHS]
        left = [trial for trial in trials if trial.deaths < DEATHS]
        self.suspects += [trial for trial in left if trial.suspect]
        self.again.extendleft(trial for trial in reversed(left) if not trial.suspect)
        for trial in ended:
            self.source.finish(killed(trial.spec, lost.reason))
        return [trial.spec.number for trial in left]

    def _give_suspects(self) -> None:
        for seat in self.seats.values():
            if self.suspects and not seat.trials:
                self._give(seat, self.suspects.popleft())

    def _draining(self) -> int | None:
        """Return the worker that gets no more trials, so that a suspect finds one empty."""
        if not self.suspects:
            return None
        waiting = [worker for worker, seat in self.seats.items() if seat.free or not seat.trials]
        return min(waiting or self.seats, key=lambda worker: len(self.seats[worker].trials), default=None)

    def _give(self, seat: Seat, trial: Assigned) -> None:
        seat.trials[trial.spec.number] = trial
        seat.train.append(trial.spec)
        seat.news = True


def truncated(run: TrainingRun, spec: TrialSpec, end: int, maximize: bool) -> TrainingRun:
    """Return a run as it was when the search ended it at an evaluation, whatever the worker did after it."""
    progress = Progress(spec, maximize, run.parameters)
    source = Several(ask=lambda evaluation, metric: evaluation == end)
    for entry in _entries(run.history):
        losses = torch.tensor([entry["training_loss"]], dtype=torch.float64)
        score = (entry["validation_loss"], entry["metric"])
        pruned = progress.record(losses, score, entry["seconds"], dict, source)
        if pruned is not None:
            return replace(pruned, weights=None)
    raise AssertionError("a trial reports an evaluation before it is ended there")


def killed(spec: TrialSpec, reason: str) -> TrainingRun:
    """Return the run of a trial whose workers died."""
    parameters = spec.architecture.parameters if spec.architecture else 0
    detail = f"{DEATHS} workers died training it, the last one nothing else: {reason}"
    return TrainingRun(spec.number, Outcome.KILLED, History(), detail=detail, parameters=parameters)


def _entries(history: History) -> Iterable[dict[str, float]]:
    columns = history.columns()
    return (dict(zip(columns, entry, strict=True)) for entry in zip(*columns.values(), strict=True))
