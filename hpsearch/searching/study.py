"""One study from its configuration to its result: data, storage, search, the best network."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, Stopped, look_up, shown
from hpsearch.files import make_folder, write_file
from hpsearch.searching.confirm import load_weights, save_weights, score_test
from hpsearch.searching.loop import Search, Standing
from hpsearch.searching.place import Place
from hpsearch.searching.pruners import PRUNERS
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.stopping import stopping
from hpsearch.searching.view import View
from hpsearch.storage.opening import DEFAULT, HOME, check_home, home
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, Several
from hpsearch.training.engines import compiles
from hpsearch.trial import Direction, TrainingRun, TrialSpec

NOTABLE = 0.05  # share of idle places that is worth a line
Show = Callable[[Standing], None]


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that nothing stands in the way of: its configuration, place and data, the sampler's view, the storage under its lease."""

    config: StudyConfig
    place: Place
    data: Data
    view: View
    writer: StudyWriter


@contextmanager
def open_study(config: StudyConfig, place: Place, data: Data) -> Iterator[OpenStudy]:
    """Open a study, or make it; whatever can be refused is refused here, before anything is shown or trained.

    Raises:
        UserError, StorageError: it cannot start.
    """
    view = make_view(config, data.metric.direction)
    with open_writer(place, config.study.name, data.metric.direction, config.settings(), data.summary) as writer:
        yield OpenStudy(config, place, data, view, writer)


@contextmanager
def open_in_memory(config: StudyConfig, place: Place, data: Data) -> Iterator[OpenStudy]:
    """Open a study whose storage nobody keeps; the best network still goes into the place's folder.

    Raises:
        UserError: it cannot start.
    """
    view = make_view(config, data.metric.direction)
    with closing(
        StudyWriter.in_memory(config.study.name, data.metric.direction, config.settings(), data.summary)
    ) as writer:
        yield OpenStudy(config, place, data, view, writer)


@contextmanager
def open_writer(
    place: Place, name: str, direction: str, settings: Mapping[str, Any], data: Mapping[str, Any]
) -> Iterator[StudyWriter]:
    """Open the storage of a study under its lease, and the study's folder, whose report and best network are this study's alone.

    Raises:
        UserError, StorageError: they cannot be had.
    """
    own = home(place.folder, place.storage)
    check_home(place.folder, place.storage)
    if own == DEFAULT:
        make_folder(place.folder)
    writer = StudyWriter.open(place.storage, name, direction, settings, data, take_over=place.take_over)
    with closing(writer):
        write_file(make_folder(place.folder) / HOME, own)
        yield writer


def run_study(study: OpenStudy, engine: Engine, show: Show, announce: Callable[[str], None]) -> dict[str, Any]:
    """Run or continue a study and return its result, which the storage keeps too.

    Raises:
        SearchFailed: no trial gave a usable network.
        Stopped: a signal ended it; everything told is kept.
    """
    config, folder, data = study.config, study.place.folder, study.data
    search = make_search(config, study.view, study.writer, data, config.search.trials, show)
    for note in _notes(config, study.place, search, data):
        announce(note)
    with stopping(search, announce) as status:
        engine.run(search)
    study.writer.flush()
    key = str(data.summary["hash"])
    _keep_best(search, folder, key)
    if status():
        left = search.total - search.standing.done
        raise Stopped(f"stopped with {search.standing.done} trials told, {left} to go", status())
    announce(_ended(search))
    if (idle := search.idle.share) > NOTABLE:
        announce(
            f"waiting for results that search.lag = {config.search.lag} asks for left {idle:.0%} of the places idle"
        )
    return _confirm(search, folder, key, data, engine)


def make_view(config: StudyConfig, direction: Direction) -> View:
    """Return the sampler's side of a study."""
    return View(
        name=config.study.name,
        direction=direction,
        space=config.space,
        budget=config.budget,
        seed=config.study.seed,
        lag=config.search.lag,
        sampler=look_up(SAMPLERS, config.search.sampler, "sampler"),
        pruner=look_up(PRUNERS, config.search.pruner, "pruner"),
    )


def specification(config: StudyConfig, values: Mapping[str, Any], number: int, data: Data) -> TrialSpec:
    """Return the trial of these hyperparameters, all of them, as `SearchSpace.suggest` gives them."""
    return config.space.specification(
        values,
        number=number,
        seed=config.study.seed,
        budget=config.budget,
        inputs=data.inputs,
        outputs=data.outputs,
        rows=len(data.training),
    )


def make_search(config: StudyConfig, view: View, writer: StudyWriter, data: Data, trials: int, show: Show) -> Search:
    """Return the search of a study that is open."""

    def specify(values: Mapping[str, Any], number: int) -> TrialSpec:
        return specification(config, values, number, data)

    worst = float(data.summary["worst"])
    return Search(view, writer, specify, trials=trials, timeout=config.search.timeout, worst=worst, show=show)


def _notes(config: StudyConfig, place: Place, search: Search, data: Data) -> Iterator[str]:
    """Yield what the user should know before the first trial."""
    if place.folder.name != config.study.name:
        yield f"study {shown(config.study.name)} is kept in {place.folder}: a folder's name is of a-z, 0-9, _ and -, at most 64 of them"
    rows = len(data.training.inputs)
    large = [b for b in config.space.domain("batch_size").points() if not isinstance(b, str) and b > rows]
    if large:
        yield f"batch size {', '.join(map(str, large))} is above the {rows:,} training rows: trained as the full batch"
    if place.parallel is not None and place.parallel > config.search.lag:
        yield (
            f"at most {config.search.lag} of {place.parallel} places can be in use: a trial is proposed knowing all results up to "
            f"search.lag = {config.search.lag} before it (a study begun with a larger lag fills more)"
        )
    yield from _before_training(place, search, data)


def _before_training(place: Place, search: Search, data: Data) -> Iterator[str]:
    if search.retrained:
        trials = ", ".join(f"#{n}" for n in search.retrained)
        yield f"training {len(search.retrained)} interrupted trial{'s' * (len(search.retrained) > 1)} ({trials}) again"
    if not search.left:
        yield f"all {search.total:,} trials were told before: nothing is trained"
    elif compiles(place.engine, data):
        yield "compiling kernels for this machine (once; ~10 s)"


def _ended(search: Search) -> str:
    """Return in a sentence why the search ended."""
    done, total = search.standing.done, search.total
    if not search.complete:
        return f"time is up: {done:,} of {total:,} trials told; the same command goes on"
    what = "grid" if search.view.limit == total else "search"
    return f"{what} complete {done:,}/{total:,}"


def _keep_best(search: Search, folder: Path, key: str) -> None:
    """Write the best network's weights where this run trained it; those of an earlier run are in the file, or trained again."""
    if search.best is not None and search.best.weights is not None:
        save_weights(folder, search.best, key)


def _confirm(search: Search, folder: Path, key: str, data: Data, engine: Engine) -> dict[str, Any]:
    """Return the result: as an earlier run confirmed it if nothing has changed, else scored on the test rows now."""
    best, spec = search.best, search.best_spec
    if not search.standing.done:
        raise SearchFailed("the time was up before the first trial ended. Give a longer --timeout.")
    if best is None or spec is None:
        raise SearchFailed(
            f"none of {search.standing.done} trials gave a usable network ({search.standing.failed} diverged or ran out "
            "of memory). Lower the upper end of learning_rate, or give a longer budget."
        )
    known = search.writer.kept()
    if known.get("trial") == best.number:
        return known
    weights = load_weights(folder, best.number, key)
    if weights is None:
        run = _trained_again(spec, engine)
        assert run.weights is not None, "the trial was the best of the search, and a run repeats"
        weights = dict(run.weights)
        save_weights(folder, run, key)
    result = score_test(best, spec, data, weights)
    result["scorings"] = known.get("scorings", 0) + 1  # a study that was extended has looked at the test rows before
    search.writer.keep(result)
    return result


def _trained_again(spec: TrialSpec, engine: Engine) -> TrainingRun:
    source = Several([spec])
    engine.run(source)
    return source.runs[spec.number]
