"""A comparison from its configuration to its storage: tune every arm, train the winners again, measure. Each stage resumes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hpsearch.comparison.arms import Arm, make_arms
from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.escape import TESTS, is_kept, run_all, sized
from hpsearch.comparison.escape.cells import Halted
from hpsearch.comparison.forecast import PATHS, Forecast, comparison_stages, escape_phase, escape_stages
from hpsearch.comparison.measurements.descent import two_weights
from hpsearch.comparison.measuring import measure
from hpsearch.comparison.refinement import refine
from hpsearch.comparison.replicates import Winner, train_replicates
from hpsearch.comparison.shared_plane import compare_paths
from hpsearch.comparison.stages import choose, set_budgets, tune
from hpsearch.comparison.timing import time_plain_loop
from hpsearch.config import MinimaConfig, MinimaSection, StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import Stopped, UserError
from hpsearch.progress import SILENT, Observer, PhaseProgress
from hpsearch.searching.opening import open_writer
from hpsearch.searching.run_options import RunOptions
from hpsearch.searching.stopping import stopping
from hpsearch.storage.failures import StorageRetry
from hpsearch.storage.fingerprint import BEFORE, Fingerprint
from hpsearch.storage.reading import read_attribute
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine

PROTOCOL = ("refine", "divisions")  # settings that a comparison keeps as it was begun


@dataclass(frozen=True, slots=True)
class OpenComparison:
    """A comparison that may begin: its storage is open under its lease."""

    config: StudyConfig
    data: Data
    arms: list[Arm]
    writer: StudyWriter


def with_recorded_protocol(config: StudyConfig, run_options: RunOptions) -> StudyConfig:
    """Return a comparison with the second stage and the divisions that it was begun with, where its file does not name them.

    One that was begun before there were any goes on without them.
    """
    compare = config.compare
    assert compare is not None, "a comparison has a table [compare]"
    stored: Mapping[str, Any] = {}
    with suppress(UserError):  # there is none yet
        retry = StorageRetry(run_options.patience)
        stored = retry.call(lambda: read_attribute(run_options.storage, config.study.name, "settings"))
    if "compare" not in stored:
        return config
    recorded = {key.removeprefix("compare."): value for key, value in BEFORE.items()} | stored["compare"]
    kept = {name: recorded[name] for name in PROTOCOL if name not in compare.model_fields_set}
    return config.model_copy(update={"compare": compare.model_copy(update=kept)})


@contextmanager
def open_comparison(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenComparison]:
    """Open a comparison's storage and folder, once everything that could be refused was checked.

    Raises:
        UserError, StorageError: it cannot start.
    """
    arms = make_arms(config, len(data.training))
    study = Fingerprint(config.study.name, (data.metric.direction,), config.settings(), data.summary)
    with open_writer(run_options, study) as writer:
        yield OpenComparison(config, data, arms, writer)


def run_comparison(comparison: OpenComparison, engine: Engine, observer: Observer = SILENT) -> None:
    """Run or continue a comparison; everything goes into its storage.

    Raises:
        SearchFailed: no trial of any batch size gave a usable network.
        Stopped: a signal ended it; every finished trial is stored.
    """
    config = comparison.config
    context = ComparisonContext(config, comparison.data, engine, comparison.writer, observer)
    stages = comparison_stages(context.compare, config.minima, comparison.arms, comparison.data, context.pace)
    context.observer = Forecast(observer, stages, context.pace)
    with stopping(context, observer) as status:
        for _ in _stages(context, comparison.arms):
            context.writer.flush()
            if status():
                raise Stopped("stopped; every result so far is saved", status())
        context.writer.write_contents()


def _stages(context: ComparisonContext, arms: list[Arm]) -> Iterator[None]:
    """Go through the stages, one at each step."""
    arms = set_budgets(context, arms)
    yield
    searches = tune(context, arms)
    yield
    plan = choose(context, arms, searches)
    yield
    plan = refine(context, arms, searches, plan)
    yield
    context.writer.write_attribute("plan", plan)
    winners = train_replicates(context, arms, searches, plan)
    yield
    measure(context, winners, plan["target"])
    yield
    if context.compare.measured:
        time_plain_loop(context, winners)
    yield
    _compare_paths(context, winners, plan["target"])
    yield
    if not context.writer.read_attribute("textbook"):
        context.writer.write_attribute("textbook", two_weights(context.data, context.config.study.seed))
    yield
    with suppress(Halted):  # by a signal
        _test_escapes(context.writer, context.config.minima, context.observer, lambda: context.stopping)
    yield


def _compare_paths(context: ComparisonContext, winners: list[Winner], target: float) -> None:
    """Compare runs of different batch sizes with each other, unless that is done for these winners."""
    names = [winner.name for winner in winners]
    if not context.compare.measured or context.writer.read_attribute("shared_of").get("winners") == names:
        return
    context.observer.phase(PhaseProgress(PATHS, 0, 1))
    planes = compare_paths(context, winners, target)
    if planes is not None:
        context.writer.write_attribute("shared", planes)
        context.writer.write_attribute("shared_of", {"winners": names})
        context.observer.phase(PhaseProgress(PATHS, 1, 1))


def _test_escapes(
    writer: StudyWriter,
    minima: MinimaSection | None,
    observer: Observer,
    stops: Callable[[], bool] = lambda: False,
) -> None:
    """Run the escape tests that are asked for and not stored already; each is stored when it is done.

    Raises:
        Halted: `stops` said so.
    """
    if minima is None:
        return
    settings = sized(minima.seeds, minima.starts)
    stored = writer.read_attribute("minima")
    if all(is_kept(name, settings, stored) for name in TESTS):
        return
    numbers = {name: number for number, name in enumerate(TESTS, start=1)}

    def show(name: str, done: int, total: int) -> None:
        observer.phase(PhaseProgress(escape_phase(numbers[name]), done, total))

    def keep(results: Mapping[str, Any]) -> None:
        writer.write_attribute("minima", {**results, "asked": minima.model_dump()})

    run_all(settings, show, stored, keep, stops)


def run_minima(config: MinimaConfig, run_options: RunOptions, observer: Observer) -> None:
    """Run the escape tests as a study of their own.

    Raises:
        UserError, StorageError: it cannot start.
    """
    with open_writer(run_options, Fingerprint(config.study.name, ("minimize",), config.settings(), {})) as writer:
        _test_escapes(writer, config.minima, Forecast(observer, escape_stages(config.minima)))
        writer.write_contents()
