"""Observers that record what a run reports, in place of the screen."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hpsearch.progress import PhaseProgress, SearchStatus


class RecordingObserver:
    """Records sentences, states and phases; `after_phase` is called with each phase."""

    def __init__(self, after_phase: Callable[[PhaseProgress], None] = lambda progress: None) -> None:
        self.sentences: list[str] = []
        self.states: list[SearchStatus] = []
        self.phases: list[PhaseProgress] = []
        self.after_phase = after_phase

    def announce(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def status(self, status: SearchStatus) -> None:
        self.states.append(status)

    def phase(self, progress: PhaseProgress) -> None:
        self.phases.append(progress)
        self.after_phase(progress)


class _Listener(logging.Handler):
    def __init__(self, listen: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self.listen = listen

    def emit(self, record: logging.LogRecord) -> None:
        self.listen(record.getMessage())


@contextmanager
def logged(listen: Callable[[str], None], level: int = logging.WARNING) -> Iterator[None]:
    """Call `listen` with each message that hpsearch logs at this level or above; what it raises reaches whoever logs."""
    logger = logging.getLogger("hpsearch")
    listener = _Listener(listen, level)
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
