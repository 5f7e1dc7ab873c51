"""What waiting for the lag costs: places for trials that stood empty because a result that the next proposal needs was not there."""

import time


class SlotUtilisation:
    """Adds up place-seconds, from one look at the places to the next."""

    def __init__(self) -> None:
        self.at, self.idle, self.places = time.monotonic(), 0, 0
        self.waited = self.total = 0.0

    def look(self, idle: int, places: int) -> None:
        """Take down how many places stand empty from now on, of how many."""
        now = time.monotonic()
        self.waited += self.idle * (now - self.at)
        self.total += self.places * (now - self.at)
        self.at, self.idle, self.places = now, idle, places

    @property
    def share(self) -> float:
        """Idle place-seconds of all, up to the last look."""
        return self.waited / self.total if self.total else 0.0
