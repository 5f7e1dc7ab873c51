"""What a test changes in a forked process before its command runs (see `forked`): its clock, or the machine that it is on."""

import socket
import sys
import time
from datetime import datetime, tzinfo
from typing import Any

from hpsearch.storage import lease

JUMP = 0.1  # seconds between two jumps of the clock
OFFSETS = (0.0, 3_600.0, -86_400.0, 3e8, -3e8)  # seconds by which the clock is wrong in turn: hours, days and ten years


def jumping_clock() -> None:
    """Let the clock jump forwards and backwards, for whatever asks `time` or `datetime`."""
    true_time = time.time
    true_strftime = time.strftime

    def jumping_time() -> float:
        return true_time() + OFFSETS[int(time.monotonic() / JUMP) % len(OFFSETS)]

    class AnyDatetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class JumpingDatetime(datetime, metaclass=AnyDatetime):
        def __new__(cls, *arguments: Any, **more: Any) -> Any:
            return datetime(*arguments, **more)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(jumping_time(), tz)

    time.time = jumping_time
    time.strftime = lambda form, moment=None: true_strftime(form, moment or time.localtime(jumping_time()))
    for module in list(sys.modules.values()):
        names = [name for name, value in vars(module).items() if value is datetime]
        for name in names:
            if module.__name__ != __name__:
                setattr(module, name, JumpingDatetime)


def short_lease() -> None:
    """Let a holder be gone after five seconds of silence, not a minute."""
    lease.BEAT = 0.5
    assert lease.wait_for_lease.__kwdefaults__ is not None
    lease.wait_for_lease.__kwdefaults__.update(timeout=5.0, poll=0.5)


def elsewhere() -> None:
    """Let this process be one of another machine."""
    socket.gethostname = lambda: "elsewhere"
