"""A comparison from its configuration to its storage: tune every arm, train the winners again, measure. Each step resumes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import torch

from hpsearch.comparison.arms import Arm, make_arms
from hpsearch.comparison.contours import two_weights
from hpsearch.comparison.fresh import Fresh
from hpsearch.comparison.measuring import Measured, measure
from hpsearch.comparison.probing import updates_in
from hpsearch.comparison.sharing import share
from hpsearch.comparison.tuning import Together
from hpsearch.comparison.winners import best, common_target, fastest
from hpsearch.config import MinimaConfig, MinimaSection, StudyConfig
from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed, Stopped
from hpsearch.minima import run_all, sized
from hpsearch.search.confirm import versions
from hpsearch.search.loop import Search
from hpsearch.search.place import Place
from hpsearch.search.stopping import stopping
from hpsearch.search.study import make_search, make_view, open_writer, specification
from hpsearch.space.answers import fixed
from hpsearch.storage.reading import WINNER
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine
from hpsearch.training.devices import workers
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction, TrainingRun, TrialSpec

WHOLE = 100_000  # evaluations of a learning curve that are kept: all, since the time to a target is read from them
ESCAPES, TESTS = "testing the escape from minima", 4
CHUNK = 8192  # rows that are predicted at a time


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a comparison stands: runs done of a stage's total."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A comparison that may begin: its storage is open under its lease."""

    config: StudyConfig
    place: Place
    data: Data
    arms: list[Arm]
    writer: StudyWriter


@dataclass(eq=False)
class Course:
    """What every stage of a comparison works with; `stopping` is set by a signal."""

    config: StudyConfig
    place: Place
    data: Data
    engine: Engine
    writer: StudyWriter
    show: Callable[[Stage], None]
    stopping: bool = False

    @property
    def direction(self) -> Direction:
        """Whether the metric is to be high or low."""
        return self.data.metric.direction

    def open(self, name: str, settings: Mapping[str, Any]) -> StudyWriter:
        """Open a part of the comparison, under the whole's lease."""
        part = {**settings, "part_of": self.config.study.name}
        return StudyWriter.open(
            self.place.storage, name, self.direction, part, self.data.summary, under=self.writer, curve=WHOLE
        )


@contextmanager
def open_comparison(config: StudyConfig, place: Place, data: Data) -> Iterator[Opened]:
    """Open a comparison's storage and folder, after everything that can be refused is.

    Raises:
        UserError, StorageError: it cannot start.
    """
    arms = make_arms(config, len(data.training))
    with open_writer(place, config.study.name, data.metric.direction, config.settings(), data.summary) as writer:
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
    arms = _budgeted(course, arms)
    yield
    searches = _tune(course, arms)
    yield
    plan = _choose(course, arms, searches)
    yield
    winners = _train_again(course, arms, searches, plan)
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


def _budgeted(course: Course, arms: list[Arm]) -> list[Arm]:
    """Return the arms with their budgets; one in seconds is turned into updates, once."""
    compare = course.config.compare
    assert compare is not None
    if compare.seconds is None:
        return arms
    known = course.writer.kept("updates")
    for number, arm in enumerate(arms):
        course.show(Stage("timing updates", number, len(arms)))
        if arm.name not in known:
            known[arm.name] = updates_in(compare.seconds, arm, course.data, course.engine)
    course.writer.keep(known, "updates")
    return [arm.within(known[arm.name]) for arm in arms]


def _tune(course: Course, arms: list[Arm]) -> list[Search]:
    """Try every arm's hyperparameters."""
    compare = course.config.compare
    assert compare is not None
    course.show(Stage("tuning", 0, len(arms) * compare.trials))
    searches = []
    for arm in arms:
        writer = course.open(arm.name, arm.config.settings())
        view = make_view(arm.config, course.direction)
        searches.append(make_search(arm.config, view, writer, course.data, compare.trials, lambda standing: None))
    target = compare.target if compare.tune_until == "target" else None
    _run(course, "tuning", searches, lambda: sum(s.standing.done for s in searches), len(arms) * compare.trials, target)
    return searches


def _run(
    course: Course, name: str, sources: list[Any], done: Callable[[], int], total: int, target: float | None
) -> None:
    together = Together(sources, course, target, lambda: course.show(Stage(name, done(), total)))
    course.engine.run(together)
    course.show(Stage(name, done(), total))


def _choose(course: Course, arms: list[Arm], searches: list[Search]) -> dict[str, Any]:
    """Return the target and each arm's winners: `fastest` to the target and `best` of the metric, by trial number, or None."""
    compare = course.config.compare
    assert compare is not None
    runs = [search.answers for search in searches]
    target = compare.target if compare.target is not None else common_target(runs, course.direction)
    if target is None or all(best(answers, course.direction) is None for answers in runs):
        raise SearchFailed("no trial of any batch size gave a usable network. Lower the learning rates.")
    plan: dict[str, Any] = {"target": target, "given": compare.target is not None, "arms": {}}
    for arm, answers in zip(arms, runs, strict=True):
        quick, good = fastest(answers, target, course.direction), best(answers, course.direction)
        complete = compare.tune_until == "budget"  # else the best metric is only that of the first to pass the target
        plan["arms"][arm.name] = {"fastest": quick, "best": good if complete or quick is None else quick}
    course.writer.keep(plan, "plan")
    course.writer.keep(_made(course, arms, searches, plan), "made")
    return plan


def _made(course: Course, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return with what it was made, and what torch registers of the network of the first arm that has a winner."""
    specs = (
        search.specify(search.view.space.suggest(fixed(search.view.trials[number].params)), number)
        for arm, search in zip(arms, searches, strict=True)
        if (number := plan["arms"][arm.name]["best"]) is not None
    )
    architecture = next(specs).architecture
    assert architecture is not None, "a comparison trains dense networks"
    return {
        "device": str(course.data.training.inputs.device),
        "places": workers(course.data),
        "versions": versions(),
        "architecture": asdict(architecture) | {"widths": list(architecture.widths)},
        "parameters": architecture.parameters,
        "registered": registration(architecture),
    }


def _train_again(course: Course, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]) -> list[Measured]:
    """Train the winners on fresh seeds; return the fastest of each arm."""
    compare, seed = course.config.compare, course.config.study.seed
    assert compare is not None
    winners: list[Measured] = []
    sources = []
    for arm, search in zip(arms, searches, strict=True):
        chosen = plan["arms"][arm.name]
        for number in sorted({n for n in chosen.values() if n is not None}):
            params = search.view.trials[number].params
            spec = specification(arm.config, arm.config.space.suggest(fixed(params)), number, course.data)
            settings = {**arm.config.settings(), "winner": {"trial": number, "params": dict(params)}}
            writer = course.open(f"{arm.name}{WINNER}{number}", settings)
            winners += [Measured(f"{arm.name}{WINNER}{number}", spec, writer)] if number == chosen["fastest"] else []
            worst = float(course.data.summary["worst"])
            sources.append(Fresh(spec, seed, compare.seeds, writer, lambda s, run: _scores(s, run, course.data), worst))
    target = plan["target"] if compare.train_until == "target" else None
    total = len(sources) * compare.seeds
    _run(course, "training the winners on fresh seeds", sources, lambda: sum(s.done for s in sources), total, target)
    return winners


def _measure(course: Course, winners: list[Measured], target: float) -> None:
    """Look at some of the fastest winners' runs, update by update."""
    compare = course.config.compare
    assert compare is not None
    measure(
        winners,
        course.data,
        seed=course.config.study.seed,
        runs=compare.measured,
        target=target,
        show=lambda done, total: course.show(Stage("measuring runs update by update", done, total)),
        stopping=lambda: course.stopping,
    )


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


def _share(course: Course, winners: list[Measured], target: float) -> None:
    """Compare runs of different batch sizes with each other, once the winners are those that they were."""
    compare = course.config.compare
    assert compare is not None
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


def _scores(spec: TrialSpec, run: TrainingRun, data: Data) -> dict[str, Any]:
    """Return loss and metric on training and test rows of a run's best network: the only look at the test rows."""
    if run.weights is None or spec.architecture is None:
        return {}
    network = DNN(spec.architecture).to(data.test.inputs.device, data.test.inputs.dtype)
    network.load_state_dict(dict(run.weights))
    parts = {"training": data.training, "test": data.test}
    return {
        name: dict(zip(("loss", "metric"), _score(network, rows, data), strict=True)) for name, rows in parts.items()
    }


@torch.no_grad()
def _score(network: DNN, rows: Rows, data: Data) -> tuple[float, float]:
    return data.score(torch.cat([network(part) for part in torch.split(rows.inputs, CHUNK)]), rows)
