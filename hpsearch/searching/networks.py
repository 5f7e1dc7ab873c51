"""The networks that a search selected: their weights are at hand where this process or an earlier one stored them, else trained again.

Once nothing is left to be selected on the validation rows, a network can train on all rows but the test rows. Nothing is held out then to
tell when to stop, so such a run is as long as its best evaluation was late: as many passes over the rows, which are more now, and so more
updates. The schedule of the learning rate spans this budget, and the last weights are kept.

It happens after a cross-validation, whose runs have a network for each fold and none for the study; in the command `refit`, for the best
trial; and in scikit-learn's estimators, for all networks of the selected model.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed, StorageError, UserError, rows_text
from hpsearch.model import Member, Model, load_model, model_of
from hpsearch.model.combination import Combination
from hpsearch.model.models import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.replicates import NetworkKey, TrainedNetwork, Weights
from hpsearch.searching.scoring import member_of_spec, outputs_of, score_test
from hpsearch.searching.specifications import recorded_specification, replicate
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.storage import StudyRecord
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.folders import BEST
from hpsearch.storage.records import Network, TrialRecord
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, train_all
from hpsearch.training.own import Build
from hpsearch.trial import TrialSpec


def stored_weights(folder: Path, data: Data, study: str, build: Build | None = None) -> dict[NetworkKey, Weights]:
    """Return the weights in the study's folder; none where the files are missing, damaged, or of other data or another study."""
    try:
        model = load_model(folder, BEST, build)
    except StorageError:
        return {}
    source = model.provenance.get("data") or {}
    if model.provenance.get("study") != study or source.get("hash") != data.summary.get("hash"):
        return {}
    return {(member.trial, member.seed): member.weights for member in model.members}


def members_of(
    networks: Sequence[TrainedNetwork],
    at_hand: Mapping[NetworkKey, Weights],
    data: Data,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> list[Member]:
    """Return the networks with their weights; those that are not at hand are trained again, all at once.

    Raises:
        SearchFailed: a run on all rows gave no usable network.
        Stopped: a signal ended the training.
    """
    weights = dict(at_hand)
    missing = [network for network in networks if network.key not in at_hand]
    if missing:
        rows = with_all_rows(data) if data.folds else data
        specs = [replace(on_other_rows(network, data, rows), rungs=()) for network in missing]
        reason = "stopped before the selected network was trained; every result is stored"
        runs = train_until_stopped(engine_for(rows), specs, observer, reason)
        for network, run in zip(missing, runs, strict=True):
            if run.weights is None:
                raise SearchFailed(f"trial {network.trial}, trained once more: {run.detail or run.outcome}. Search on.")
            weights[network.key] = run.weights
    return [member_of(network, weights[network.key]) for network in networks]


def member_of(network: TrainedNetwork, weights: Weights) -> Member:
    """Return a network with its weights as a member of a model."""
    return member_of_spec(network.spec, weights, network.trial)


def passes_of(spec: TrialSpec, evaluation: int, rows: int) -> float:
    """Return the passes of a trial over its training rows up to an evaluation (from 1)."""
    return spec.evaluate_at[evaluation - 1] * spec.batch_size / rows


def for_passes(spec: TrialSpec, passes: float, rows: int) -> TrialSpec:
    """Return a trial that makes so many passes over its training rows and is evaluated once, at the end, so that nothing ends it early."""
    updates = max(1, round(passes * rows / spec.batch_size))
    return replace(spec, evaluate_at=(updates,), rungs=(), patience=None, target=None, max_seconds=None)


def on_other_rows(network: TrainedNetwork, data: Data, other: Data) -> TrialSpec:
    """Return a network's run on other rows, for as many passes as it took to its best evaluation; a full batch is a full batch again.

    Where the data were divided once, `other` are the very rows that the network trained on, and so the run is its own.
    """
    spec = network.spec
    if not data.folds:
        return spec
    rows = len(other.training)
    full_batch = spec.batch_size == len(data.training)
    batch_size = rows if full_batch else min(spec.batch_size, rows)
    passes = passes_of(spec, network.best, len(data.training))
    return for_passes(replace(spec, batch_size=batch_size), passes, rows)


def with_all_rows(data: Data) -> Data:
    """Return data that train on all rows but the test rows, scaled as the first fold is, whose preprocessing goes with the model."""
    return replace(data, training=joined(data.training, data.validation), folds=())


def joined(*parts: Rows) -> Rows:
    """Return the rows of several parts as one."""
    weights = [part.weights for part in parts if part.weights is not None]
    inputs = torch.cat([part.inputs for part in parts])
    return Rows(inputs, torch.cat([part.targets for part in parts]), torch.cat(weights) if weights else None)


@dataclass(frozen=True, slots=True)
class FullRun:
    """A network that trained on all rows, for `passes` over them, which are `updates`."""

    spec: TrialSpec
    member: Member
    passes: float
    updates: int


def train_on_all_rows(
    record: StudyRecord,
    config: StudyConfig,
    searched: Data,
    full: Data,
    engine: Engine,
    network: Network,
) -> FullRun:
    """Train a network of a study (trial, fresh seed; None: the trial's own run) on the `full` data; `searched` are the search's.

    Raises:
        SearchFailed: the run gave no usable network.
    """
    trial, seed = network
    params = record.trials[trial].params
    before = recorded_specification(config, params, trial, searched)
    spec = recorded_specification(config, params, trial, full)
    if seed is not None:
        spec = replace(replicate(spec, config.study.seed, seed), number=trial)
    passes = passes_of(before, _best_evaluation(record, trial, seed), len(searched.training))
    (run,) = train_all(engine, [for_passes(spec, passes, len(full.training))])
    if run.weights is None:
        reason = run.detail or run.outcome
        raise SearchFailed(f"trial {trial} on {rows_text(len(full.training))}: {reason}. Refit another.")
    member = member_of_spec(spec, run.weights, trial)
    return FullRun(spec, member, passes, run.history.update[-1])


def _best_evaluation(record: StudyRecord, trial: int, seed: int | None) -> int:
    if seed is None:
        return record.trials[trial].best_evaluation
    (confirmed,) = [entry for entry in record.result["confirmed"] if entry["trial"] == trial]
    return int(next(run["best"] for run in confirmed["runs"] if run["seed"] == seed))


# ------------------------------------------------------------------ the command refit


@dataclass(frozen=True, slots=True)
class Refitted:
    """The best trial's run on training and validation rows, and its model, whose metrics have the figures on the test rows, if any."""

    run: FullRun
    model: Model


def best_trial(record: StudyRecord) -> TrialRecord:
    """Return the trial that a finished study selected.

    Raises:
        UserError: the study has no result yet.
    """
    number = record.result.get("trial")
    if not isinstance(number, int) or number >= len(record.trials):
        raise UserError(f"study '{record.name}' has no result yet. Run it to its end first.")
    return record.trials[number]


def refit_best(record: StudyRecord, config: StudyConfig, searched: Data, full: Data, engine: Engine) -> Refitted:
    """Train the best trial on the `full` data (training and validation rows), and score the test rows; `searched` are the search's.

    Raises:
        UserError: the study has no result yet.
        SearchFailed: the run gave no usable network.
    """
    trial = best_trial(record)
    run = train_on_all_rows(record, config, searched, full, engine, (trial.number, None))
    combination = single_of(record)
    metrics = {
        "test": score_test(full, [run.member], combination),
        "rows": len(full.training),
        "passes": run.passes,
        "updates": run.updates,
    }
    provenance = provenance_of(full, study=record.name, seed=config.study.seed, trials=[trial.number])
    model = model_of(
        full, [run.member], metrics=metrics, provenance={**provenance, "made_by": "refit"}, combination=combination
    )
    return Refitted(run, model)


def single_of(record: StudyRecord) -> Combination:
    """Return how the selected single network of a study predicts: its temperature, and its errors on held-out rows."""
    result = record.result
    stored = result.get("single") if record.selected.is_ensemble else result.get("combination")
    return Combination.of(stored, 1)


def count_scoring(url: str, record: StudyRecord, refitted: Refitted, take_over: bool) -> int:
    """Store in the study's result that its test rows were scored once more; return how often they were in all.

    Raises:
        UserError, StorageError: the study cannot be written.
    """
    metrics = dict(refitted.model.metrics)
    count = record.selected.looks + bool(metrics["test"])
    study = Fingerprint(record.name, (record.direction,), record.settings, record.data)
    with closing(StudyWriter.open(url, study, take_over=take_over)) as writer:
        result = writer.read_attribute("result")
        writer.write_attribute("result", {**result, "refit": metrics, "looks": count})
    return count


# ------------------------------------------------------------------ the estimators


def refit_model(
    model: Model, record: StudyRecord, config: StudyConfig, searched: Data, full: Data, engine: Engine
) -> Model:
    """Return a model whose networks trained on the `full` data; `searched` are the search's.

    These runs were not selected, so one of them may be bad, its last weights above all where the learning rate is high to the end. The
    model itself comes back where one of them diverges, or where together they fit the rows that they trained on worse than the model
    does, which has not trained on all of them.
    """
    try:
        networks = record.selected.networks
        runs = [train_on_all_rows(record, config, searched, full, engine, network) for network in networks]
    except SearchFailed:
        return model
    members = [run.member for run in runs]
    error = _error(members, full, full.training)
    if error > _error(model.members, searched, joined(searched.training, searched.validation)):
        return model
    provenance = {**model.provenance, "made_by": "refit"}
    again = model_of(full, members, metrics=model.metrics, provenance=provenance, class_kind=model.class_kind or None)
    return replace(again, combination=model.combination, single=model.single)


def _error(members: Sequence[Member], data: Data, rows: Rows) -> float:
    """Return the networks' mean loss on rows, in the target's own units."""
    losses = [data.score(outputs_of(member, rows.inputs), rows)[0] for member in members]
    return fmean(losses) * float(data.target_scale.square().mean())
