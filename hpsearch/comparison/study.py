"""A comparison from its configuration to its storage: tune every arm, train the winners again, measure. Each step resumes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from hpsearch.comparison.arms import Arm, make_arms
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.contours import two_weights
from hpsearch.comparison.escape import run_all, sized
from hpsearch.comparison.measuring import Measured, measure
from hpsearch.comparison.sharing import share
from hpsearch.comparison.stages import budgeted, choose, train_again, tune
from hpsearch.config import MinimaConfig, MinimaSection, StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import Stopped
from hpsearch.progress import SILENT, Observer, PhaseProgress
from hpsearch.searching.opening import open_writer
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.stopping import stopping
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine

ESCAPES, TESTS = "testing the escape from minima", 4


@dataclass(frozen=True, slots=True)
class Opened:
    """A comparison that may begin: its storage is open under its lease."""

    config: StudyConfig
    run_options: RunOptions
    data: Data
    arms: list[Arm]
    writer: StudyWriter


@contextmanager
def open_comparison(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[Opened]:
    """Open a comparison's storage and folder, after everything that can be refused is.

    Raises:
        UserError, StorageError: it cannot start.
    """
    arms = make_arms(config, len(data.training))
    named = (config.study.name, data.metric.direction)
    with open_writer(run_options, *named, config.settings(), data.summary) as writer:
        yield Opened(config, run_options, data, arms, writer)


def run_comparison(opened: Opened, engine: Engine, observer: Observer = SILENT) -> None:
    """Run or continue a comparison; its storage keeps everything.

    Raises:
        SearchFailed: no trial of any batch size gave a usable network.
        Stopped: a signal ended it; everything told is kept.
    """
    context = ComparisonContext(opened.config, opened.run_options, opened.data, engine, opened.writer, observer)
    with stopping(context, observer) as status:
        for _ in _stages(context, opened.arms):
            context.writer.flush()
            if status():
                raise Stopped("stopped; every result so far is saved", status())


def _stages(context: ComparisonContext, arms: list[Arm]) -> Iterator[None]:
    """Go through the stages, one at each step."""
    arms = budgeted(context, arms)
    yield
    searches = tune(context, arms)
    yield
    plan = choose(context, arms, searches)
    yield
    winners = train_again(context, arms, searches, plan)
    yield
    _measure(context, winners, plan["target"])
    yield
    _share(context, winners, plan["target"])
    yield
    if not context.writer.read_attribute("textbook"):
        context.writer.write_attribute("textbook", two_weights(context.data, context.config.study.seed))
    yield
    _escape(context.writer, context.config.minima, context.observer)
    yield


def _measure(context: ComparisonContext, winners: list[Measured], target: float) -> None:
    """Look at some of the fastest winners' runs, update by update."""
    compare = context.compare
    measure(
        winners,
        context.data,
        seed=context.config.study.seed,
        runs=compare.measured,
        target=target,
        observer=context.observer,
        stopping=lambda: context.stopping,
    )


def _share(context: ComparisonContext, winners: list[Measured], target: float) -> None:
    """Compare runs of different batch sizes with each other, once the winners are those that they were."""
    compare = context.compare
    names = [winner.name for winner in winners]
    if not compare.measured or context.writer.read_attribute("shared_of").get("winners") == names:
        return
    context.observer.phase(PhaseProgress("comparing paths", 0, 1))
    seed = context.config.study.seed
    found = share(winners, context.data, seed=seed, target=target, stopping=lambda: context.stopping)
    if found is not None:
        context.writer.write_attribute("shared", found)
        context.writer.write_attribute("shared_of", {"winners": names})
        context.observer.phase(PhaseProgress("comparing paths", 1, 1))


def _escape(writer: StudyWriter, minima: MinimaSection | None, observer: Observer) -> None:
    """Run the escape tests, where they are asked for and not kept yet."""
    if minima is None or writer.read_attribute("minima").get("asked") == minima.model_dump():
        return
    done = count()
    settings = sized(minima.seeds, minima.starts)
    observer.phase(PhaseProgress(ESCAPES, next(done), TESTS))
    answers = run_all(settings, lambda line: observer.phase(PhaseProgress(ESCAPES, next(done), TESTS)))
    writer.write_attribute("minima", {**answers, "asked": minima.model_dump()})


def run_minima(config: MinimaConfig, run_options: RunOptions, observer: Observer) -> None:
    """Run the escape tests as a study of their own.

    Raises:
        UserError, StorageError: it cannot start.
    """
    with open_writer(run_options, config.study.name, "minimize", config.settings(), {}) as writer:
        _escape(writer, config.minima, observer)
