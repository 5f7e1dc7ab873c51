"""What waiting for the lag costs: slots that stand empty because a result that the next proposal needs is not there yet."""

import time


class SlotUtilisation:
    """Adds up slot-seconds, from one record to the next."""

    def __init__(self) -> None:
        self.time = time.monotonic()
        self.idle = 0
        self.slots = 0
        self.idle_seconds = 0.0
        self.total_seconds = 0.0

    def record(self, idle: int, slots: int) -> None:
        """Record how many of how many slots stand empty from now on."""
        now = time.monotonic()
        self.idle_seconds += self.idle * (now - self.time)
        self.total_seconds += self.slots * (now - self.time)
        self.time = now
        self.idle = idle
        self.slots = slots

    @property
    def idle_share(self) -> float:
        """Share of the slot-seconds that were idle, up to the last record."""
        return self.idle_seconds / self.total_seconds if self.total_seconds else 0.0
