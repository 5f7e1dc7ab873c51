"""Signals: the first one ends a search cleanly, a second Ctrl-C at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stops(Protocol):
    """A search, or whatever else looks at `stopping` as it goes."""

    stopping: bool


@contextmanager
def stopping(search: Stops, announce: Callable[[str], None]) -> Iterator[Callable[[], int]]:
    """Turn the first signal into a clean stop and a second Ctrl-C into an immediate one; yield the exit status so far."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)
        search.stopping = True
        announce("stopping: keeping what was told; trials in training start again next time (Ctrl-C again: at once)")

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in SIGNALS} if main else {}
    try:
        yield lambda: 128 + received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
