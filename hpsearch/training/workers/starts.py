"""Workers that die before they are ready: tried again, a little later each time, and given up after the third."""

import time
from dataclasses import dataclass

TRIES = 3
PAUSE = 1.0  # seconds before the second try, twice as long before the third


@dataclass(eq=False)
class Starts:
    """What became of the starts in one place since the last worker there was ready."""

    failed: int = 0
    reason: str = ""
    after: float = 0.0  # when the next one may be tried

    @property
    def over(self) -> bool:
        """Whether it is no use to try again."""
        return self.failed >= TRIES

    @property
    def due(self) -> bool:
        """Whether a worker may be started now."""
        return not self.over and time.monotonic() >= self.after

    def fail(self, reason: str) -> None:
        """Take down that a worker died before it was ready."""
        self.failed, self.reason = self.failed + 1, reason
        self.after = time.monotonic() + PAUSE * self.failed

    def succeed(self) -> None:
        """Take down that a worker is ready."""
        self.failed = 0
