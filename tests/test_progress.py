"""The time that is left: said once there is evidence, for all that is still trained."""

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from hpsearch.progress import COMPILER, Compiler, Pace, PhaseProgress, SearchStatus, StepPace
from hpsearch.reporting.screen import Screen


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_no_time_left_is_said_before_there_is_evidence() -> None:
    """The first round, whose trials end together, is no pace: as many trials more are."""
    clock = Clock()
    pace = Pace(Compiler(clock))
    clock.now += 30.0
    for _ in range(4):
        pace.end(30.0, whole=True, in_flight=4)
        assert pace.left(60, 0) is None
    for number in range(4):
        clock.now += 0.5
        pace.end(2.0, whole=True, in_flight=4)
        assert (pace.left(56, 0) is None) == (number < 3)
    assert pace.left(56, 0) == pytest.approx(28.0)
    assert pace.left(0, 0) == 0.0


def test_seconds_of_the_compiler_are_no_pace() -> None:
    """Whenever something was compiled the pace is measured anew, also where a kernel is first needed in the midst of a search."""
    clock = Clock()
    compiler = Compiler(clock)
    pace = Pace(compiler)

    def train(trials: int) -> None:
        for _ in range(trials):
            clock.now += 0.5
            pace.end(1.0, whole=True, in_flight=2)

    train(5)
    assert pace.left(10, 0) == pytest.approx(5.0)
    compiler.begin()
    clock.now += 60.0
    pace.end(1.0, whole=True, in_flight=2)  # another thread trained meanwhile
    assert pace.left(10, 0) is None
    clock.now += 5.0
    compiler.end()
    pace.end(60.0, whole=True, in_flight=2)  # the trial that waited
    train(3)
    assert pace.left(10, 0) is None
    train(1)
    assert pace.left(10, 0) == pytest.approx(5.0)
    assert pace.left(10, 15) == pytest.approx(12.5)  # the trial that waited makes no later one longer


def test_numba_says_when_it_compiles() -> None:
    """The clock of the compiler moves when a kernel is compiled, and not when it runs again."""
    numba = pytest.importorskip("numba")
    import hpsearch.training.compiled.jit  # noqa: F401 - it listens to numba

    before = COMPILER.until
    double = numba.njit(lambda number: 2 * number)
    assert double(2) == 4
    compiled = COMPILER.until
    assert compiled > before
    assert double(3) == 6
    assert COMPILER.until == compiled


def test_what_follows_the_search_is_counted() -> None:
    """Trainings that follow run to their end: each takes as long as the trials that no pruner ended."""
    clock = Clock()
    pace = Pace(Compiler(clock))
    for number in range(9):
        clock.now += 1.0
        pace.end(4.0 if number % 2 else 1.0, whole=number % 2 == 1, in_flight=1)
    mean = (4 * 4.0 + 4 * 1.0) / 8  # the first round, of one trial, aside
    assert pace.left(10, 0) == pytest.approx(10.0)
    assert pace.left(10, 15) == pytest.approx(10.0 + 15 * 4.0 / mean)


def status(left: float | None) -> SearchStatus:
    return SearchStatus(
        9, 64, 0.5, 1, pruned=0, diverged=0, out_of_memory=0, repeated=0, seconds=1.0, trained=9, left=left
    )


def test_the_line_of_a_search_has_the_time_left_for_all() -> None:
    """A line of progress has the time left in all, and none where it is not known or nothing is left."""
    screen = Screen("accuracy")
    assert screen.line(status(75.0)).endswith("trials/s, 1 min 15 s left in all")
    assert screen.line(status(None)).endswith("trials/s")
    assert screen.line(status(0.0)).endswith("trials/s")
    slow = replace(status(None), seconds=300.0)
    assert screen.line(slow).endswith(", 1.8 trials/min")


def timed_screen(monkeypatch: pytest.MonkeyPatch) -> tuple[Screen, io.StringIO, Clock]:
    """Return a screen, what it prints, and the clock by which it measures."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    screen = Screen("accuracy")
    screen._steps = StepPace(Compiler(clock))
    printed = io.StringIO()
    screen.console = Console(file=printed, width=200)
    return screen, printed, clock


def test_what_an_earlier_process_did_says_nothing_about_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a resumed phase the time left follows from the steps of this process: 3 in 30 s, 7 to go, beside 90 that were recalled."""
    screen, printed, clock = timed_screen(monkeypatch)
    for done, recalled in ((0, 0), (91, 90), (92, 90), (93, 90)):
        screen.phase(PhaseProgress("part", done, 100, recalled=recalled))
        clock.now += 10.0
    assert printed.getvalue().splitlines()[-1] == "part: 93/100, 1 min 10 s left in all"


def test_a_phase_has_its_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three steps a phase says how long it still takes, with the later steps that are like its own; each phase begins anew."""
    screen, printed, clock = timed_screen(monkeypatch)
    for further in (0, 10):
        for done in (0, 2, 3, 5):
            screen.phase(PhaseProgress(f"part {further}", done, 5, further))
            clock.now += 10.0
    lines = printed.getvalue().splitlines()
    assert lines == [
        "part 0: 0/5",
        "part 0: 2/5",
        "part 0: 3/5, 13 s left in all",
        "part 0: 5/5",
        "part 10: 0/5",
        "part 10: 2/5",
        "part 10: 3/5, 1 min 20 s left in all",
        "part 10: 5/5",
    ]


def test_a_time_that_is_known_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a comparison knows of the time left is shown as it is, at the end of a stage too; where nothing is left, nothing is said."""
    screen, printed, _ = timed_screen(monkeypatch)
    for done, left in ((0, 200.0), (5, 120.0), (6, 0.0)):
        screen.phase(PhaseProgress("part", done, max(5, done), left=left))
    assert printed.getvalue().splitlines() == [
        "part: 0/5, 3 min 20 s left in all",
        "part: 5/5, 2 min left in all",
        "part: 6/6",
    ]
