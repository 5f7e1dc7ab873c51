"""One study from its settings to its result: search, confirmation, the selected model, its score on the test rows."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, Stopped, counted, percent_text, shown
from hpsearch.model import Member, model_of, save_model
from hpsearch.model.models import provenance_of
from hpsearch.progress import SILENT, Observer
from hpsearch.searching.early_end import EarlyEnd
from hpsearch.searching.ensemble import Selection, judge_candidates, judging_runs, known_selection
from hpsearch.searching.loop import Leader, Search
from hpsearch.searching.networks import member_of, stored_weights
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.opening import OpenStudy
from hpsearch.searching.refitting import final_networks
from hpsearch.searching.replicates import ConfirmedTrial, Replicates, TrainedNetwork, confirm, rank_confirmed
from hpsearch.searching.result import make_result, test_scores
from hpsearch.searching.run_options import prepare_engine
from hpsearch.searching.sampler_view import SamplerView
from hpsearch.searching.specifications import specification
from hpsearch.searching.stopping import stopping
from hpsearch.space.hyperparameters import NETWORK
from hpsearch.storage.folders import BEST
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, train_all
from hpsearch.training.devices import device_of
from hpsearch.training.engines import will_compile
from hpsearch.trial import Outcome, TrainingRun, TrialSpec

NOTABLE_IDLE_SHARE = 0.05  # of the slots, that is worth a line
# of the result, that go with the model
MODEL_METRICS = ("validation", "search", "fresh", "choice", "refitted", "rows", "test", "baseline")


def run_study(study: OpenStudy, engine: Engine, observer: Observer = SILENT) -> dict[str, Any]:
    """Run or continue a study and return its result, which the storage keeps too.

    Raises:
        SearchFailed: no trial gave a usable network.
        Stopped: a signal ended it; every result so far is stored.
    """
    config = study.config
    search = make_search(config, study.view, study.writer, study.objectives, config.search.trials, observer)
    search.include_previous_trials()
    for notice in _notices(study, search):
        observer.announce(notice)
    if search.remaining and config.training.max_seconds:
        _warm_up(study, engine)
    with stopping(search, observer) as status:
        engine.run(search)
    study.writer.flush()
    _save_best(study, search)
    if status():
        done = search.status.done
        raise Stopped(f"stopped: {done:,} of {counted(search.total, 'trial')} saved", status())
    observer.announce(_reason_of_end(search))
    idle = search.utilisation.idle_share
    if idle > NOTABLE_IDLE_SHARE:
        observer.announce(
            f"{percent_text(idle)} of the slots were idle, waiting for results as search.lag = {config.search.lag} asks"
        )
    result = _conclude(study, search, engine, observer)
    study.writer.complete = search.complete
    return result


def _warm_up(study: OpenStudy, engine: Engine) -> None:
    """Have the engine load what it loads when it first trains, so that no trial's seconds go by with it."""
    values = study.config.space.defaults()
    spec = specification(study.config, values, 0, study.data)
    train_all(engine, [replace(spec, evaluate_at=(1,), rungs=(), patience=None, max_seconds=None)])


def make_search(
    config: StudyConfig,
    view: SamplerView,
    writer: StudyWriter,
    objectives: Objectives,
    trials: int,
    observer: Observer = SILENT,
) -> Search:
    """Return the search of a study that is open."""

    def specify(values: Mapping[str, Any], number: int) -> TrialSpec:
        return specification(config, values, number, objectives.data)

    settings = config.search
    return Search(
        view,
        writer,
        specify,
        objectives=objectives,
        trials=trials,
        timeout=settings.timeout,
        early_end=EarlyEnd(view.direction, view.lag, settings.patience, settings.target_value),
        observer=observer,
        further=confirming_runs(config),
    )


def confirming_runs(config: StudyConfig) -> int:
    """Return how many trainings follow a search.

    The best trials train on fresh seeds, the candidates for an ensemble on further ones, the selected networks on more rows.
    """
    asked = config.confirm
    networks = min(asked.ensemble, max(1, asked.trials))
    judging = judging_runs(networks) if asked.trials else 0
    return asked.trials * asked.seeds + judging + networks * asked.refit


def _notices(study: OpenStudy, search: Search) -> Iterator[str]:
    """Yield what the user should know before the first trial."""
    config = study.config
    run_options = study.run_options
    if run_options.folder.name != config.study.name:
        yield (
            f"study {shown(config.study.name)} is kept in {run_options.folder}: a folder's name is of a-z, 0-9, _ and -, "
            "at most 64 of them"
        )
    rows = len(study.data.training.inputs)
    sizes = [size for size in config.space.domain("batch_size").points() if size != "full"]
    large = [size for size in sizes if int(size) > rows]
    if large:
        several = f"batch sizes {', '.join(map(str, large))} are"
        which = several if len(large) > 1 else f"batch size {large[0]} is"
        yield f"{which} above the {rows:,} training rows: trained as the full batch"
    folds = max(1, len(study.data.folds))
    if study.data.folds:
        yield (
            f"every trial trains on {folds} folds, and its value is their mean; epochs are passes over a fold's training rows, "
            "the updates those of the first fold"
        )
    if run_options.parallel is not None and run_options.parallel > config.search.lag * folds:
        yield (
            f"at most {config.search.lag * folds} of {run_options.parallel} slots can be in use: a trial is proposed once all "
            f"results up to search.lag = {config.search.lag} before it are known (a study begun with a larger lag fills more)"
        )
    if device_of(study.data).type == "cuda":
        yield _together(config, folds)
    if config.search.trials <= config.search.lag and config.search.pruner != "none":
        yield (
            f"the pruner {shown(config.search.pruner)} ends no trial: it compares one with the results up to search.lag before it, and "
            "there are none (a smaller search.lag gives it some)"
        )
    if config.training.model is not None:
        yield (
            f"a network of your own ({config.training.model}) trains in plain torch, one at a time; of the space it has the "
            f"optimizer's hyperparameters, not {', '.join(sorted(NETWORK))}"
        )
    yield from _before_training(study, search)


def _together(config: StudyConfig, folds: int) -> str:
    """Return how many trials a GPU trains at once, and what each of them knows."""
    lag = config.search.lag
    what = "trials" if folds == 1 else "folds of trials"
    known = f"trial k is proposed from the results of trials 0 to k − {lag}"
    if lag >= config.search.trials:
        known = "none waits for the result of another"
    return f"up to {lag * folds} {what} train at once: {known} (search.lag = {lag})"


def _before_training(study: OpenStudy, search: Search) -> Iterator[str]:
    asked = study.config.search.trials
    if search.total > asked:
        yield f"the study has {counted(search.total, 'trial')}, more than the {asked:,} asked for: all of them stay and count"
    if interrupted := search.interrupted:
        trials = ", ".join(f"#{number}" for number in interrupted)
        yield f"training {counted(len(interrupted), 'interrupted trial')} ({trials}) again"
    if not search.remaining:
        stored = f"all {search.total:,} trials are"
        if search.total == 1:
            stored = "the one trial is"
        yield f"{stored} stored: nothing is trained"
    elif will_compile(study.run_options.engine, study.data):
        yield "compiling kernels for this machine (once; ~10 s)"


def _reason_of_end(search: Search) -> str:
    """Return a sentence: why the search ended."""
    done = search.status.done
    total = search.total
    if not search.complete:
        return f"time is up: {done:,} of {counted(total, 'trial')} saved; the same command goes on"
    if search.early_end and total < search.asked:
        return f"stopped early, {done:,} of {counted(search.asked, 'trial')}: {search.early_end.reason}"
    what = "grid" if search.view.limit == total else "search"
    return f"{what} complete {done:,}/{total:,}"


def _save_best(study: OpenStudy, search: Search) -> None:
    """Save the search's best network until it is confirmed, where this process trained it; an earlier one's is in its file."""
    best = search.best
    if best is None or best.weights is None or best.value is None:
        return
    network = TrainedNetwork(best.number, None, search.spec_of(best.number), best.value, best.best)
    _save_selected(study, [member_of(network, best.weights)], {"validation": best.value}, Selection([network]))


def _save_selected(
    study: OpenStudy, members: Sequence[Member], metrics: Mapping[str, Any], selection: Selection
) -> None:
    """Write `best.safetensors` and `best.json`: the model with all that it takes to predict, and where it comes from."""
    section = study.config.study
    data = study.data
    trials = [member.trial for member in members]
    provenance = provenance_of(data, study=section.name, seed=section.seed, trials=trials)
    metrics = {"metric": data.metric.name, "direction": data.metric.direction, **metrics}
    model = model_of(
        data,
        members,
        metrics=metrics,
        provenance=provenance,
        combination=selection.combination,
        single=selection.single,
    )
    save_model(study.run_options.folder, BEST, model)


def _conclude(study: OpenStudy, search: Search, engine: Engine, observer: Observer) -> dict[str, Any]:
    """Confirm the best trials, select the model, and return the result; only what is not known yet is trained or scored."""
    _refuse_no_network(search)
    config = study.config
    data = study.data

    def engine_for(rows: Data) -> Engine:
        if rows is data:
            return engine
        return prepare_engine(config, study.run_options.own, rows)

    replicates, confirmed = _confirm(study, search, engine, observer)
    candidates = [
        trial.best(config.study.seed, data.metric.direction) for trial in confirmed[: config.confirm.ensemble]
    ]
    known = study.writer.read_attribute("result")
    selection = _select(study, search, candidates, known, engine_for, observer)
    networks = selection.networks
    stored = stored_weights(study.run_options.folder, data, config.study.name, config.code.build)
    final = final_networks(
        networks,
        replicates.weights(),
        stored,
        known,
        data,
        config.confirm.refit,
        engine_for,
        observer,
        search.deadline,
    )
    scores = test_scores(known, data, selection, final)
    assert search.best is not None, "without a best trial the search has failed"
    best_number = search.best.number
    best = next(trial for trial in confirmed if trial.search_run.number == best_number)
    result = make_result(confirmed, best, config.confirm.seeds, selection, data, final, scores)
    is_stored = [*stored.weights] == [network.key for network in networks] and stored.all_rows == final.refitted
    if result != known or not is_stored:
        figures = {key: result[key] for key in MODEL_METRICS if key in result}
        _save_selected(study, final.members, figures, selection)
        study.writer.write_attribute("result", result)
    return result


def _select(
    study: OpenStudy,
    search: Search,
    candidates: Sequence[TrainedNetwork],
    known: Mapping[str, Any],
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Selection:
    """Select one network or several by rows that chose nothing, unless an earlier process did.

    The winner it is, and nothing is said of its certainty, where nothing was to be trained again, or the time is up.
    """
    if not study.config.confirm.trials:
        return Selection(candidates[:1])
    if before := known_selection(known, candidates):
        return before
    if time.monotonic() >= search.deadline:
        reason = "one network is kept, since no ensemble was judged against it"
        if len(candidates) == 1:
            reason = "no run predicted held-out rows, so nothing is calibrated"
        observer.announce(f"time is up: {reason}; the same command goes on")
        return Selection(candidates[:1])
    return judge_candidates(candidates, study.data, study.config.study.seed, engine_for, observer)


def _leaders(study: OpenStudy, search: Search) -> list[Leader]:
    """Return the trials to confirm: the best, for an ensemble unlike ones; those that an earlier process confirmed stay."""
    asked = study.config.confirm
    count = max(1, asked.trials)
    best = search.leaders(count)
    confirmed = study.writer.read_attribute("result").get("confirmed") or ()
    before = {row["trial"] for row in confirmed}
    is_begun = bool(before) and before <= {run.number for run, _ in best}
    if asked.ensemble == 1 or is_begun:
        return best
    return search.leaders(count, unlike=True)


def _confirm(
    study: OpenStudy, search: Search, engine: Engine, observer: Observer
) -> tuple[Replicates, list[ConfirmedTrial]]:
    asked = study.config.confirm
    direction = study.data.metric.direction
    leaders = _leaders(study, search)
    seeds = asked.seeds if asked.trials else 0
    specs = [spec for _, spec in leaders]
    replicates = Replicates(
        specs,
        seeds,
        study.config.study.seed,
        study.writer,
        direction,
        search.deadline,
        observer,
        further=judging_runs(min(asked.ensemble, len(leaders))),
    )
    confirm(replicates, engine, observer)
    confirmed = rank_confirmed(leaders, replicates, study.data.metric, search.objectives.worst)
    count = len(confirmed)
    if count < asked.ensemble:
        networks = "network" if count == 1 else "networks"
        observer.announce(f"ensemble reduced to the {count} confirmed {networks} (confirm.ensemble = {asked.ensemble})")
    return replicates, confirmed


def _refuse_no_network(search: Search) -> None:
    """Raise SearchFailed where no trial gave a network."""
    done = search.status.done
    if not done:
        raise SearchFailed("the time was up before the first trial ended. Give a longer --timeout.")
    if search.status.errors == done:
        _, first = min((run.number, run.detail) for run in search.runs.values() if run.outcome is Outcome.ERROR)
        raise SearchFailed(f"code of your own raised an error in all of {done} trials, first: {first}. Mend it.")
    if search.best is None:
        raise SearchFailed(f"none of {done} trials gave a usable network{failure_cause(search.runs.values())}")


REMEDIES = {  # against the most frequent outcome
    Outcome.DIVERGED: "Lower the upper end of the learning rate (--set learning_rate.high=…).",
    Outcome.OUT_OF_MEMORY: "Give smaller networks or batches (--set width.high=… --set depth.high=…).",
    Outcome.KILLED: "Give smaller networks, or fewer workers: the machine may have run out of memory.",
    Outcome.ERROR: "Mend the study's own code.",
    Outcome.OUT_OF_TIME: "Give trials more time (--set training.max_seconds=…), or smaller networks.",
    Outcome.PRUNED: "Give more trials, or no pruner (--set search.pruner=none).",
}


def failure_cause(runs: Iterable[TrainingRun]) -> str:
    """Return how runs without a usable network ended, and what to do against the most frequent cause."""
    outcomes = Counter(run.outcome for run in runs if run.outcome in REMEDIES)
    if not outcomes:
        return ". Give a longer budget."
    (main, _), *_ = outcomes.most_common()
    endings = ", ".join(f"{amount} {outcome}" for outcome, amount in outcomes.most_common())
    return f": {endings}. {REMEDIES[main]}"
