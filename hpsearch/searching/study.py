"""One study from its configuration to its result: data, storage, search, the model that is kept."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, Stopped, UserError, look_up, shown
from hpsearch.files import make_folder, write_file
from hpsearch.model import Member
from hpsearch.progress import SILENT, Observer
from hpsearch.searching.ensemble import Choice, judge_candidates, known_choice
from hpsearch.searching.finish import result_of, scored
from hpsearch.searching.loop import Search
from hpsearch.searching.networks import keep, kept_weights, member, members_of
from hpsearch.searching.pruners import PRUNERS
from hpsearch.searching.replicates import Confirmed, Network, Replicates, compare, confirm
from hpsearch.searching.run_options import RunOptions, prepare_engine
from hpsearch.searching.sampler_view import SamplerView
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.secondary_objectives import SecondaryObjectives, judge_of
from hpsearch.searching.stopping import stopping
from hpsearch.storage.failures import StorageRetry
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE
from hpsearch.storage.urls import check_location, location_note
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine
from hpsearch.training.engines import will_compile
from hpsearch.trial import Direction, TrialSpec

NOTABLE = 0.05  # share of idle places that is worth a line
FIGURES = ("validation", "search", "fresh", "choice", "test", "baseline")  # of the result, that go with the model


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that nothing stands in the way of: its configuration, place and data, the sampler's view, the storage under its lease."""

    config: StudyConfig
    run_options: RunOptions
    data: Data
    view: SamplerView
    writer: StudyWriter
    judge: SecondaryObjectives | None = None  # of the objectives after the first


@contextmanager
def open_study(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study, or make it; whatever can be refused is refused here, before anything is shown or trained.

    Raises:
        UserError, StorageError: it cannot start.
        CompletedElsewhere: another process completed it while this one waited.
    """
    judge = judge_of(config, data)
    others = judge.directions if judge else ()
    view, named = make_view(config, data.metric.direction, others), (config.study.name, data.metric.direction)
    with open_writer(run_options, *named, config.settings(), data.summary, others) as writer:
        yield OpenStudy(config, run_options, data, view, writer, judge)


@contextmanager
def open_in_memory(config: StudyConfig, run_options: RunOptions, data: Data) -> Iterator[OpenStudy]:
    """Open a study whose storage nobody keeps; the best network still goes into the place's folder.

    Raises:
        UserError: it cannot start.
    """
    judge = judge_of(config, data)
    others = judge.directions if judge else ()
    view, named = make_view(config, data.metric.direction, others), (config.study.name, data.metric.direction)
    with closing(StudyWriter.in_memory(*named, config.settings(), data.summary, others=others)) as writer:
        yield OpenStudy(config, run_options, data, view, writer, judge)


@contextmanager
def open_writer(
    run_options: RunOptions,
    name: str,
    direction: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    others: Sequence[str] = (),
) -> Iterator[StudyWriter]:
    """Open the storage of a study under its lease, and the study's folder, whose report and best network are this study's alone.

    Raises:
        UserError, StorageError: they cannot be had.
        CompletedElsewhere: another process completed the study while this one waited.
    """
    own = location_note(run_options.folder, run_options.storage)
    check_location(run_options.folder, run_options.storage)
    if own == STUDY_FILE:
        make_folder(run_options.folder)
    retry = StorageRetry(run_options.patience)
    writer = StudyWriter.open(
        run_options.storage,
        name,
        direction,
        settings,
        data,
        take_over=run_options.take_over,
        join=run_options.join,
        others=others,
        retry=retry,
    )
    with closing(writer):
        write_file(make_folder(run_options.folder) / LOCATION_FILE, own)
        try:
            yield writer
        except KeyboardInterrupt:
            retry.deadline = time.monotonic()  # a second Ctrl-C waits for no storage
            raise


def run_study(study: OpenStudy, engine: Engine, observer: Observer = SILENT) -> dict[str, Any]:
    """Run or continue a study and return its result, which the storage keeps too.

    Raises:
        SearchFailed: no trial gave a usable network.
        Stopped: a signal ended it; everything told is kept.
    """
    config, data = study.config, study.data
    search = make_search(config, study.view, study.writer, data, config.search.trials, observer, study.judge)
    search.keep_told()
    for note in _notes(config, study.run_options, search, data):
        observer.announce(note)
    with stopping(search, observer) as status:
        engine.run(search)
    study.writer.flush()
    _keep_best(study, search)
    if status():
        left = search.total - search.status.done
        raise Stopped(f"stopped with {search.status.done} trials told, {left} to go", status())
    observer.announce(_ended(search))
    if (idle := search.idle.share) > NOTABLE:
        observer.announce(
            f"waiting for results that search.lag = {config.search.lag} asks for left {idle:.0%} of the places idle"
        )
    result = _conclude(study, search, engine, observer)
    study.writer.complete = search.complete
    return result


def make_view(config: StudyConfig, direction: Direction, others: tuple[Direction, ...] = ()) -> SamplerView:
    """Return the sampler's side of a study; `others` are the directions of the objectives after the first.

    Raises:
        UserError: no such sampler or pruner, or a sampler of one objective where there are several.
    """
    sampler = look_up(SAMPLERS, config.search.sampler, "sampler")
    if others and not sampler.several:
        able = ", ".join(name for name, row in SAMPLERS.items() if row.several)
        raise UserError(
            f"sampler '{config.search.sampler}' makes one objective better, search.objectives names {len(others) + 1}. "
            f"Choose one of: {able}."
        )
    return SamplerView(
        name=config.study.name,
        direction=direction,
        space=config.space,
        budget=config.budget,
        seed=config.study.seed,
        lag=config.search.lag,
        sampler=sampler,
        pruner=look_up(PRUNERS, config.search.pruner, "pruner"),
        others=others,
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


def make_search(
    config: StudyConfig,
    view: SamplerView,
    writer: StudyWriter,
    data: Data,
    trials: int,
    observer: Observer = SILENT,
    judge: SecondaryObjectives | None = None,
) -> Search:
    """Return the search of a study that is open."""

    def specify(values: Mapping[str, Any], number: int) -> TrialSpec:
        return specification(config, values, number, data)

    worst = float(data.summary["worst"])
    timeout = config.search.timeout
    return Search(view, writer, specify, trials=trials, timeout=timeout, worst=worst, observer=observer, judge=judge)


def _notes(config: StudyConfig, run_options: RunOptions, search: Search, data: Data) -> Iterator[str]:
    """Yield what the user should know before the first trial."""
    if run_options.folder.name != config.study.name:
        yield (
            f"study {shown(config.study.name)} is kept in {run_options.folder}: a folder's name is of a-z, 0-9, _ and -, "
            "at most 64 of them"
        )
    rows = len(data.training.inputs)
    large = [b for b in config.space.domain("batch_size").points() if not isinstance(b, str) and b > rows]
    if large:
        yield f"batch size {', '.join(map(str, large))} is above the {rows:,} training rows: trained as the full batch"
    folds = max(1, len(data.folds))
    if data.folds:
        yield (
            f"every trial trains on {folds} folds, and its value is their mean; epochs are passes over a fold's training rows, "
            "the updates those of the first fold"
        )
    if run_options.parallel is not None and run_options.parallel > config.search.lag * folds:
        yield (
            f"at most {config.search.lag * folds} of {run_options.parallel} places can be in use: a trial is proposed knowing all "
            f"results up to search.lag = {config.search.lag} before it (a study begun with a larger lag fills more)"
        )
    yield from _before_training(config, run_options, search, data)


def _before_training(config: StudyConfig, run_options: RunOptions, search: Search, data: Data) -> Iterator[str]:
    if search.total > config.search.trials:
        yield f"the study has {search.total:,} trials, more than the {config.search.trials:,} asked for: all of them stay and count"
    if search.retrained:
        trials = ", ".join(f"#{n}" for n in search.retrained)
        yield f"training {len(search.retrained)} interrupted trial{'s' * (len(search.retrained) > 1)} ({trials}) again"
    if not search.left:
        yield f"all {search.total:,} trials were told before: nothing is trained"
    elif will_compile(run_options.engine, data):
        yield "compiling kernels for this machine (once; ~10 s)"


def _ended(search: Search) -> str:
    """Return in a sentence why the search ended."""
    done, total = search.status.done, search.total
    if not search.complete:
        return f"time is up: {done:,} of {total:,} trials told; the same command goes on"
    what = "grid" if search.view.limit == total else "search"
    return f"{what} complete {done:,}/{total:,}"


def _keep_best(study: OpenStudy, search: Search) -> None:
    """Keep the search's best network, where this run trained it, until it is confirmed; an earlier run's is in its file."""
    best, spec = search.best, search.best_spec
    if best is None or spec is None or best.weights is None or best.value is None:
        return
    network = Network(best.number, None, spec, best.value, best.best)
    _keep(study, [member(network, best.weights)], {"validation": best.value})


def _keep(study: OpenStudy, members: Sequence[Member], figures: Mapping[str, Any]) -> None:
    config, data = study.config, study.data
    metrics = {"metric": data.metric.name, "direction": data.metric.direction, **figures}
    keep(study.run_options.folder, data, members, study=config.study.name, seed=config.study.seed, metrics=metrics)


def _conclude(study: OpenStudy, search: Search, engine: Engine, observer: Observer) -> dict[str, Any]:
    """Confirm the best trials, keep the winner's network and return the result; only what is not known yet is trained or scored."""
    _refuse_nothing(search)
    config, data, writer = study.config, study.data, study.writer

    def engine_for(rows: Data) -> Engine:
        return engine if rows is data else prepare_engine(config, study.run_options.own, rows)

    replicates, confirmed = _confirm(study, search, engine, observer)
    candidates = [
        trial.best(config.study.seed, data.metric.direction) for trial in confirmed[: config.confirm.ensemble]
    ]
    known = writer.read_attribute("result")
    choice = _choice(study, search, candidates, known, engine_for, observer)
    networks = candidates if choice and choice["kept"] == "ensemble" else candidates[:1]
    kept = kept_weights(study.run_options.folder, data, config.study.name)
    members = members_of(networks, {**kept, **replicates.weights()}, data, engine_for, observer)
    best = next(trial for trial in confirmed if search.best and trial.found.number == search.best.number)
    scores = scored(known, data, networks, members)
    result = result_of(confirmed, best, config.confirm.seeds, networks, choice, data, scores)
    if result != known or [*kept] != [network.start for network in networks]:
        _keep(study, members, {key: result[key] for key in FIGURES if key in result})
        writer.write_attribute("result", result)
    return result


def _choice(
    study: OpenStudy,
    search: Search,
    candidates: Sequence[Network],
    known: Mapping[str, Any],
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Choice | None:
    """SecondaryObjectives one network against several where several were asked for, unless an earlier run did or the time is up."""
    if len(candidates) == 1:
        return None
    if before := known_choice(known, candidates):
        return before
    if time.monotonic() >= _until(search):
        observer.announce(
            "time is up: one network is kept, since no ensemble was judged against it; the same command goes on"
        )
        return None
    return judge_candidates(candidates, study.data, study.config.study.seed, engine_for, observer)


def _until(search: Search) -> float:
    """Return the moment after which nothing new begins."""
    return inf if search.timeout is None else search.started + search.timeout


def _confirm(
    study: OpenStudy, search: Search, engine: Engine, observer: Observer
) -> tuple[Replicates, list[Confirmed]]:
    asked, direction = study.config.confirm, study.data.metric.direction
    leaders = search.leaders(max(1, asked.trials))
    seeds = asked.seeds if asked.trials else 0
    specs = [spec for _, spec in leaders]
    replicates = Replicates(specs, seeds, study.config.study.seed, study.writer, direction, _until(search), observer)
    confirm(replicates, engine, observer)
    confirmed = compare(leaders, replicates, direction, search.worst)
    if (few := len(confirmed)) < asked.ensemble:
        observer.announce(f"confirm.ensemble = {asked.ensemble}, but {few} confirmed: an ensemble is of so many")
    return replicates, confirmed


def _refuse_nothing(search: Search) -> None:
    """Raise where no trial gave a network."""
    if not search.status.done:
        raise SearchFailed("the time was up before the first trial ended. Give a longer --timeout.")
    if search.best is None:
        raise SearchFailed(
            f"none of {search.status.done} trials gave a usable network ({search.status.failed} diverged, ran out "
            "of memory or killed their workers). Lower the upper end of learning_rate, or give a longer budget."
        )
