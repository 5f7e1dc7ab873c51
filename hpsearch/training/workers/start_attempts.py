"""Workers that die before they are ready: started again, a little later each time, and given up after the third."""

import time
from dataclasses import dataclass

MAX_ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt, twice as long before the third


@dataclass(eq=False)
class StartAttempts:
    """The failed starts of a worker since one was ready last."""

    failed: int = 0
    reason: str = ""
    retry_at: float = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether there is no further attempt."""
        return self.failed >= MAX_ATTEMPTS

    @property
    def due(self) -> bool:
        """Whether a worker may be started now."""
        return not self.exhausted and time.monotonic() >= self.retry_at

    def fail(self, reason: str) -> None:
        """Record that a worker died before it was ready."""
        self.failed += 1
        self.reason = reason
        self.retry_at = time.monotonic() + PAUSE * self.failed

    def succeed(self) -> None:
        """Record that a worker is ready."""
        self.failed = 0
