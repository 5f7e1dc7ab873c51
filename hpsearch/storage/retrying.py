"""The one place through which a writer calls its storage: one that is away is waited for, within a budget of seconds.

The pauses grow exponentially and are drawn at random, so that many processes do not come back at one moment (exponential back-off
with jitter; Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015). A call may have been done although its answer
was lost: whatever is called here may be called twice (see `telling` and `lease`).
"""

import errno
import logging
import random
import re
import time
from collections.abc import Callable
from math import inf
from typing import TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

Answer = TypeVar("Answer")
LOGGER = logging.getLogger(__name__)

SECONDS = 600.0  # the budget: how long a storage may be away
FIRST, LONGEST = 0.25, 10.0  # seconds between tries
LOOK = 0.1  # seconds after which a pause looks whether it is cut short

AWAY = {errno.ESTALE, errno.EAGAIN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH}
REDIS = {"ConnectionError", "TimeoutError", "BusyLoadingError", "ReadOnlyError", "TryAgainError"}
GRPC = {
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "CANCELLED",
    "UNKNOWN",
}  # unknown: the proxy's own database is away
LASTING = (
    r"disk|space left|no such|malformed|readonly|authentication|denied|does not exist|unknown database|unable to open"
)


class Patience:
    """How long one process waits for its storage; `until` (monotonic seconds) cuts all waiting short."""

    def __init__(self, seconds: float = SECONDS, say: Callable[[str], None] = LOGGER.warning) -> None:
        self.seconds, self.say, self.until = seconds, say, inf

    def call(self, call: Callable[[], Answer]) -> Answer:
        """Return what a call answers, called again while the storage is away; what may be done twice alone is called here.

        Raises:
            Exception: the call's own, where it is not the storage's absence, or that lasts longer than the patience.
        """
        began, pause, waited = time.monotonic(), FIRST, False
        while True:
            try:
                answer = call()
            except Exception as error:
                away = time.monotonic() - began
                if not transient(error) or away >= self.seconds or time.monotonic() >= self.until:
                    raise
                self.say(f"storage unreachable, retrying ({away:.0f} s)")
                self._sleep(min(pause * random.uniform(0.5, 1), self.seconds - away))  # noqa: S311
                pause, waited = min(2 * pause, LONGEST), True
                continue
            if waited:
                self.say(f"storage answers again (after {time.monotonic() - began:.0f} s)")
            return answer

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < min(end, self.until):
            time.sleep(min(LOOK, end - now))


def transient(error: BaseException) -> bool:
    """Whether an error says that the storage is away or busy, so that the same call may succeed later."""
    cause = cause_of(error)
    if isinstance(cause, DBAPIError):
        return _away(cause)
    if isinstance(cause, OSError):
        return isinstance(cause, ConnectionError | TimeoutError) or cause.errno in AWAY
    return isinstance(cause, PoolTimeout) or _remote(cause, REDIS, GRPC)


def cause_of(error: BaseException) -> BaseException:
    """Return what lies behind an error of Optuna's own."""
    wrapped = isinstance(error, optuna.exceptions.StorageInternalError)
    return error.__cause__ if wrapped and error.__cause__ is not None else error


def remote(error: BaseException) -> bool:
    """Whether an error comes from a Redis server or a gRPC proxy."""
    return _remote(error, None, None)


def _away(error: DBAPIError) -> bool:
    text = str(error.orig)
    if type(error.orig).__module__.partition(".")[0] == "sqlite3":
        return isinstance(error, OperationalError) and "locked" in text
    lasting = re.search(LASTING, text, re.IGNORECASE)
    return error.connection_invalidated or (isinstance(error, OperationalError | InterfaceError) and not lasting)


def _remote(error: BaseException, redis: set[str] | None, grpc: set[str] | None) -> bool:
    """Look at an error of a client that may not be installed: its classes' names (Redis), its code's name (gRPC)."""
    kinds = {kind.__name__: kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if kinds.get("RpcError") == "grpc":
        code = getattr(error, "code", None)
        return grpc is None or (callable(code) and code().name in grpc)
    if kinds.get("RedisError") == "redis":
        return redis is None or bool(redis & kinds.keys())
    return False
