"""The time that is left: said once there is evidence, for all that is still trained."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from statistics import fmean

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


@dataclass(frozen=True)
class Course:
    """A made search: its trials in the order of their beginnings, how many train beside each other, and when code is compiled."""

    trials: Sequence[tuple[float, bool]]  # seconds of training, and whether to the end
    slots: int = 2
    compiled: Sequence[tuple[float, float]] = ((0.0, 20.0),)  # from when to when; nothing is trained meanwhile
    further: int = 15  # runs after the search, as long as the mean of the whole trials


def mixed(count: int, whole: float, pruned: float, every: int) -> list[tuple[float, bool]]:
    """Return trials of which every so many trains to its end; they take from two thirds to four thirds of the seconds given."""
    found = []
    for number in range(count):
        share = 2 / 3 + 2 / 3 * (number * 0.618034 % 1)
        is_whole = number % every == 0
        found.append((share * (whole if is_whole else pruned), is_whole))
    return found


COURSES = {
    "even": Course(mixed(60, 10.0, 10.0, every=1)),
    "pruned trials in a burst after the compiler": Course(
        [(30.0, True), (40.0, True), *[(1.0, False)] * 14, *mixed(120, 30.0, 2.0, every=3)]
    ),
    "most are pruned": Course(mixed(200, 60.0, 3.0, every=5), slots=4),
    "a few take twenty times as long": Course(
        mixed(150, 2.0, 40.0, every=7) + mixed(50, 40.0, 2.0, every=1), slots=3, further=0
    ),
    "compiled again in the midst": Course(
        mixed(90, 12.0, 3.0, every=2), compiled=((0.0, 30.0), (60.0, 90.0), (130.0, 150.0))
    ),
    "many beside each other": Course(mixed(400, 20.0, 4.0, every=2), slots=32, further=0),
}


def said(course: Course) -> tuple[list[tuple[float, float | None]], float]:
    """Return when which time left was said, after each trial of a made search, and when all was over."""
    clock = Clock()
    compiler = Compiler(clock)
    pace = Pace(compiler)
    start = clock.now
    changes = sorted((start + at, end) for span in course.compiled for at, end in zip(span, (False, True), strict=True))
    waiting = list(enumerate(course.trials))
    ends: list[tuple[float, int]] = []
    found = []

    def after(began: float, seconds: float) -> float:
        """Return when a trial ends that cannot train while code is compiled."""
        for first, last in course.compiled:
            if began + seconds > start + first and began < start + last:
                seconds += start + last - max(began, start + first)
        return began + seconds

    def compile_until(now: float) -> None:
        while changes and changes[0][0] <= now:
            clock.now, is_end = changes.pop(0)
            compiler.end() if is_end else compiler.begin()

    compile_until(start)
    while waiting or ends:
        while waiting and len(ends) < course.slots:
            number, (seconds, _) = waiting.pop(0)
            pace.begin(number)
            heappush(ends, (after(clock.now, seconds), number))
        now, number = heappop(ends)
        compile_until(now)
        clock.now = now
        pace.end(number, whole=course.trials[number][1])
        found.append((now - start, pace.left(len(waiting) + len(ends), course.further)))
    wholes = [seconds for seconds, is_whole in course.trials if is_whole]
    return found, clock.now - start + course.further * fmean(wholes) / course.slots


@pytest.mark.parametrize("name", COURSES)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_time_left_is_near_the_true_one(name: str, share: float) -> None:
    """At a quarter, half and three quarters of made searches the time left is right to a factor of 1.5, whatever their shape."""
    times, total = said(COURSES[name])
    now, left = next(((now, left) for now, left in times if now >= share * total), times[-1])
    assert left is not None
    assert 1 / 1.5 < left / (total - now) < 1.5, (left, total - now)


@pytest.mark.parametrize("name", COURSES)
def test_whatever_is_said_is_of_the_right_size(name: str) -> None:
    """From the first time that is said on to nine tenths of a made search, the time left is right to a factor of 2."""
    times, total = said(COURSES[name])
    ratios = [left / (total - now) for now, left in times if left is not None and now < 0.9 * total]
    assert ratios
    assert min(ratios) > 1 / 2
    assert max(ratios) < 2


def test_no_time_left_is_said_before_there_is_evidence() -> None:
    """The first round, whose trials end together, is no pace: as many trials more are, three of them trained to their end."""
    clock = Clock()
    pace = Pace(Compiler(clock))
    for number in range(4):
        pace.begin(number)
    clock.now += 30.0
    for number in range(4):
        pace.end(number, whole=True)
        assert pace.left(60, 0) is None
    for number in range(4, 8):
        pace.begin(number)
    clock.now += 2.0
    for number in range(4, 8):
        pace.end(number, whole=number != 5)
        assert (pace.left(56, 0) is None) == (number < 7)
    assert pace.left(56, 0) == pytest.approx(28.0, rel=0.05)
    assert pace.left(0, 0) == 0.0


def test_seconds_of_the_compiler_are_no_pace() -> None:
    """A trial that waited for the compiler says nothing, also where a kernel is first needed in the midst of a search."""
    clock = Clock()
    compiler = Compiler(clock)
    pace = Pace(compiler)

    def train(numbers: range) -> None:
        for number in numbers:
            pace.begin(number)
            clock.now += 0.5
            pace.end(number, whole=True)

    train(range(5))
    assert pace.left(10, 0) == pytest.approx(5.0)
    pace.begin(5)
    compiler.begin()
    clock.now += 60.0
    assert pace.left(10, 0) == pytest.approx(5.0)
    compiler.end()
    clock.now += 0.5
    pace.end(5, whole=True)
    assert pace.left(10, 0) == pytest.approx(5.0)
    train(range(6, 9))
    assert pace.left(10, 15) == pytest.approx(12.5)


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
        pace.begin(number)
        clock.now += 4.0 if number % 2 else 1.0
        pace.end(number, whole=number % 2 == 1)
    mean = (4 * 4.0 + 4 * 1.0) / 8  # the first round, of one trial, aside
    assert pace.left(10, 0) == pytest.approx(10 * mean)
    assert pace.left(10, 15) == pytest.approx(10 * mean + 15 * 4.0)


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
