"""Signals: the first one ends a search cleanly, a second Ctrl-C at once; SIGTERM within the grace period, whatever happens."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, NoReturn, Protocol

from hpsearch.errors import Stopped
from hpsearch.platforms import ENDING_SIGNALS, STOPPING_SIGNALS, signal_main_thread
from hpsearch.progress import Observer
from hpsearch.training import Engine, TrialQueue
from hpsearch.trial import TrainingRun, TrialSpec

GRACE = 25.0  # seconds that a command has to end once it is asked to
AGAIN = {int(signal.SIGINT): " (Ctrl-C again: at once)"}
RESEND = 0.01  # seconds until a signal that was swallowed is sent again


@dataclass(frozen=True, slots=True)
class Ending:
    """What is left of a command that a signal ends, "" where there is nothing to say, and what giving it once more does: "go on"."""

    left: str = "every result so far is saved"
    again: str = "go on"

    @property
    def sentence(self) -> str:
        """That the command was stopped, and what is left."""
        return f"stopped; {self.left}" if self.left else "stopped"


RESUMES = Ending()


class _Command:
    """A running command: its seconds of grace, what a signal leaves of it, whether it has ended, and whether one has interrupted it."""

    def __init__(self, grace: float, left: Ending) -> None:
        self.grace = grace
        self.left = left
        self.ended = threading.Event()
        self.interrupted = False


_commands: list[_Command] = []  # that run in this process: one, if any


class Stoppable(Protocol):
    """A search, or whatever else looks at `stopping` while it runs."""

    stopping: bool


@contextmanager
def stopping(search: Stoppable, observer: Observer) -> Iterator[Callable[[], int]]:
    """Turn the first signal into a clean stop and a second Ctrl-C into an immediate one; yield the exit status so far."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if received.count(signal.SIGINT) > 1:
            raise KeyboardInterrupt
        _exit_after_grace(number)
        search.stopping = True
        observer.announce("stopping: unfinished trials will be trained again" + AGAIN.get(number, ""))

    before = _handle(STOPPING_SIGNALS, stop)
    try:
        with _resent_signals():
            yield lambda: 128 + received[0] if received else 0
            if received.count(signal.SIGINT) > 1:
                raise KeyboardInterrupt  # the second came in a callback, where Python swallows exceptions
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train_until_stopped(
    engine: Engine, specs: Sequence[TrialSpec], observer: Observer, reason: str
) -> list[TrainingRun]:
    """Train listed trials outside a search, whatever their numbers; return their runs in the order of the list.

    Raises:
        Stopped: a signal ended the training; `reason` is its message.
    """
    source = TrialQueue([replace(spec, number=index) for index, spec in enumerate(specs)])
    with stopping(source, observer) as status:
        engine.run(source)
    if status():
        raise Stopped(reason, status())
    return [source.runs[index] for index in range(len(specs))]


@contextmanager
def _resent_signals() -> Iterator[None]:
    """Send a signal again whose exception Python swallowed, in a callback of the interpreter (a weak reference's, a `__del__`)."""
    before = sys.unraisablehook
    timers: list[threading.Timer] = []

    def send_again(lost: KeyboardInterrupt | Stopped, seconds: float) -> None:
        number = int(signal.SIGINT)
        if isinstance(lost, Stopped):
            number = lost.status - 128
        for command in _commands:
            command.interrupted = False
        timer = threading.Timer(seconds, signal_main_thread, (number,))
        timers.append(timer)
        timer.start()

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        lost = unraisable.exc_value
        seconds = RESEND
        while isinstance(lost, KeyboardInterrupt | Stopped):
            try:
                return send_again(lost, seconds)
            except (KeyboardInterrupt, Stopped) as again:  # it came before this callback had ended
                lost = again
                seconds *= 2
        before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


@contextmanager
def ending(grace: float, left: Ending = RESUMES) -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command within `grace` seconds: cleanly inside `stopping`, elsewhere by an exception.

    Raises:
        Stopped: such a signal came outside `stopping`.
    """
    command = _Command(grace, left)

    def stop(number: int, frame: FrameType | None) -> None:
        if command.interrupted:
            return
        command.interrupted = True
        _exit_after_grace(number)
        raise Stopped(left.sentence, 128 + number)

    before = _handle(ENDING_SIGNALS, stop)
    _commands.append(command)
    try:
        with _resent_signals():
            yield
    except Exception as error:
        signalled = _signal_behind(error)
        if signalled is not None:
            raise signalled from None
        raise
    finally:
        command.ended.set()
        _commands.remove(command)
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_behind(error: BaseException | None) -> BaseException | None:
    """Return the signal's exception that caused an error: raised inside a transaction, it breaks that."""
    while error is not None and not isinstance(error, Stopped | KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _exit_after_grace(number: int) -> None:
    """End this process when the grace period is over and the command still runs; what is not stored is trained again."""
    if number not in ENDING_SIGNALS or not _commands:
        return
    command = _commands[-1]

    def end() -> None:
        if not command.ended.wait(command.grace):
            again = f"to {command.left.again}, give the same command"
            print(f"stopped at the end of the grace period; {again}", file=sys.stderr, flush=True)
            os._exit(128 + number)

    threading.Thread(target=end, daemon=True).start()


def _handle(numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Handle signals, and return the handlers before; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in numbers}


def leave(status: int) -> NoReturn:
    """End the process; after a signal without waiting for other threads, one of which may still compile a kernel."""
    others = [thread for thread in threading.enumerate() if thread != threading.main_thread()]
    if status > 128 and any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise SystemExit(status)
