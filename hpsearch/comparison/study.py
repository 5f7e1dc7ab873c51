"""A comparison from its configuration to its storage: tune every arm, train the winners again, measure. Each step resumes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from hpsearch.comparison.arms import Arm, make_arms
from hpsearch.comparison.contours import two_weights
from hpsearch.comparison.course import Course
from hpsearch.comparison.measuring import Measured, measure
from hpsearch.comparison.sharing import share
from hpsearch.comparison.stages import budgeted, choose, train_again, tune
from hpsearch.config import MinimaConfig, MinimaSection, StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import Stopped
from hpsearch.minima import run_all, sized
from hpsearch.searching.place import Place
from hpsearch.searching.stage import Stage
from hpsearch.searching.stopping import stopping
from hpsearch.searching.study import open_writer
from hpsearch.storage.retrying import say_aside
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine

ESCAPES, TESTS = "testing the escape from minima", 4


@dataclass(frozen=True, slots=True)
class Opened:
    """A comparison that may begin: its storage is open under its lease."""

    config: StudyConfig
    place: Place
    data: Data
    arms: list[Arm]
    writer: StudyWriter


@contextmanager
def open_comparison(
    config: StudyConfig, place: Place, data: Data, announce: Callable[[str], None] = say_aside
) -> Iterator[Opened]:
    """Open a comparison's storage and folder, after everything that can be refused is.

    Raises:
        UserError, StorageError: it cannot start.
    """
    arms = make_arms(config, len(data.training))
    named = (config.study.name, data.metric.direction)
    with open_writer(place, *named, config.settings(), data.summary, announce=announce) as writer:
        yield Opened(config, place, data, arms, writer)


def run_comparison(
    opened: Opened, engine: Engine, show: Callable[[Stage], None], announce: Callable[[str], None]
) -> None:
    """Run or continue a comparison; its storage keeps everything.

    Raises:
        SearchFailed: no trial of any batch size gave a usable network.
        Stopped: a signal ended it; everything told is kept.
    """
    course = Course(opened.config, opened.place, opened.data, engine, opened.writer, show)
    with stopping(course, announce) as status:
        for _ in _stages(course, opened.arms):
            course.writer.flush()
            if status():
                raise Stopped("stopped; what was told is kept", status())


def _stages(course: Course, arms: list[Arm]) -> Iterator[None]:
    """Go through the stages, one at each step."""
    arms = budgeted(course, arms)
    yield
    searches = tune(course, arms)
    yield
    plan = choose(course, arms, searches)
    yield
    winners = train_again(course, arms, searches, plan)
    yield
    _measure(course, winners, plan["target"])
    yield
    _share(course, winners, plan["target"])
    yield
    if not course.writer.kept("textbook"):
        course.writer.keep(two_weights(course.data, course.config.study.seed), "textbook")
    yield
    _escape(course.writer, course.config.minima, course.show)
    yield


def _measure(course: Course, winners: list[Measured], target: float) -> None:
    """Look at some of the fastest winners' runs, update by update."""
    compare = course.compare
    measure(
        winners,
        course.data,
        seed=course.config.study.seed,
        runs=compare.measured,
        target=target,
        show=lambda done, total: course.show(Stage("measuring runs update by update", done, total)),
        stopping=lambda: course.stopping,
    )


def _share(course: Course, winners: list[Measured], target: float) -> None:
    """Compare runs of different batch sizes with each other, once the winners are those that they were."""
    compare = course.compare
    names = [winner.name for winner in winners]
    if not compare.measured or course.writer.kept("shared_of").get("winners") == names:
        return
    course.show(Stage("comparing paths", 0, 1))
    seed = course.config.study.seed
    found = share(winners, course.data, seed=seed, target=target, stopping=lambda: course.stopping)
    if found is not None:
        course.writer.keep(found, "shared")
        course.writer.keep({"winners": names}, "shared_of")
        course.show(Stage("comparing paths", 1, 1))


def _escape(writer: StudyWriter, minima: MinimaSection | None, show: Callable[[Stage], None]) -> None:
    """Run the escape tests, where they are asked for and not kept yet."""
    if minima is None or writer.kept("minima").get("asked") == minima.model_dump():
        return
    done = count()
    settings = sized(minima.seeds, minima.starts)
    show(Stage(ESCAPES, next(done), TESTS))
    answers = run_all(settings, lambda line: show(Stage(ESCAPES, next(done), TESTS)))
    writer.keep({**answers, "asked": minima.model_dump()}, "minima")


def run_minima(config: MinimaConfig, place: Place, show: Callable[[Stage], None]) -> None:
    """Run the escape tests as a study of their own.

    Raises:
        UserError, StorageError: it cannot start.
    """
    with open_writer(place, config.study.name, "minimize", config.settings(), {}) as writer:
        _escape(writer, config.minima, show)
