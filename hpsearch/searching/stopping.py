"""Signals: the first one ends a search cleanly, a second Ctrl-C at once; SIGTERM within the grace period, whatever happens."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import NoReturn, Protocol

from hpsearch.errors import Stopped
from hpsearch.progress import Observer
from hpsearch.training import Engine, Several
from hpsearch.trial import TrainingRun, TrialSpec

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDING = (signal.SIGTERM, signal.SIGHUP)  # a scheduler's, who kills what does not end
GRACE = 25.0  # seconds that a command has to end once it is asked to
SOON = 0.01  # seconds until a signal that was swallowed comes again


class _Command:
    """A command that runs: the seconds that it has to end once it is asked to, whether it has, and whether it knows that it is to."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self.over = threading.Event()
        self.told = False


_commands: list[_Command] = []  # that run in this process: one, if any


class Stops(Protocol):
    """A search, or whatever else looks at `stopping` as it goes."""

    stopping: bool


@contextmanager
def stopping(search: Stops, observer: Observer) -> Iterator[Callable[[], int]]:
    """Turn the first signal into a clean stop and a second Ctrl-C into an immediate one; yield the exit status so far."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if received.count(signal.SIGINT) > 1:
            raise KeyboardInterrupt
        _end_in_time(number)
        search.stopping = True
        again = " (Ctrl-C again: at once)" if number == signal.SIGINT else ""
        observer.announce(f"stopping: unfinished trials will be trained again{again}")

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in SIGNALS} if main else {}
    try:
        with _signals_again():
            yield lambda: 128 + received[0] if received else 0
            if received.count(signal.SIGINT) > 1:
                raise KeyboardInterrupt  # one that came in a callback, where Python swallows what is raised
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
    source = Several([replace(spec, number=index) for index, spec in enumerate(specs)])
    with stopping(source, observer) as status:
        engine.run(source)
    if status():
        raise Stopped(reason, status())
    return [source.runs[index] for index in range(len(specs))]


@contextmanager
def _signals_again() -> Iterator[None]:
    """Send a signal again that came in a callback of the interpreter's (a weak reference's, a `__del__`), where Python swallows it."""
    before, sent = sys.unraisablehook, []

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        lost = unraisable.exc_value
        if not isinstance(lost, KeyboardInterrupt | Stopped):
            before(unraisable)
            return
        number = lost.status - 128 if isinstance(lost, Stopped) else signal.SIGINT
        for command in _commands:
            command.told = False
        again = threading.Timer(SOON, signal.pthread_kill, (threading.main_thread().ident, number))
        sent.append(again)
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for again in sent:
            again.cancel()


@contextmanager
def ending(grace: float) -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command within `grace` seconds: cleanly where `stopping` looks out, else where it stands.

    Raises:
        Stopped: such a signal came outside `stopping`.
    """
    command = _Command(grace)

    def stop(number: int, frame: FrameType | None) -> None:
        if command.told:
            return
        command.told = True
        _end_in_time(number)
        raise Stopped("stopped; every result so far is saved", 128 + number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in ENDING} if main else {}
    _commands.append(command)
    try:
        with _signals_again():
            yield
    except Exception as error:
        if (signalled := _behind(error)) is not None:
            raise signalled from None
        raise
    finally:
        command.over.set()
        _commands.remove(command)
        for number, handler in before.items():
            signal.signal(number, handler)


def _behind(error: BaseException | None) -> BaseException | None:
    """Return the signal's exception that an error came of: one that is raised in the midst of a transaction breaks that."""
    while error is not None and not isinstance(error, Stopped | KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _end_in_time(number: int) -> None:
    """End this process when the grace period is over and the command is not: what is told is written, or trained again."""
    if number not in ENDING or not _commands:
        return
    command = _commands[-1]

    def end() -> None:
        if not command.over.wait(command.grace):
            print("stopped at the end of the grace period; the same command goes on", file=sys.stderr, flush=True)
            os._exit(128 + number)

    threading.Thread(target=end, daemon=True).start()


def leave(status: int) -> NoReturn:
    """End the process; once a signal has ended its command, without a thread that still compiles a kernel (see `training.lanes`)."""
    if status > 128 and any(not thread.daemon for thread in threading.enumerate() if thread != threading.main_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise SystemExit(status)
