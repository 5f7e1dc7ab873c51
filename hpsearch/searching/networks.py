"""The networks that a search selected: their weights are at hand where this process or an earlier one stored them, else trained again.

Once nothing is left to be selected on the validation rows, a network can train on all rows but the test rows. Nothing is held out then to
tell when to stop, so such a run is as long as its best evaluation was late: as many passes over the rows, which are more now, and so more
updates. The schedule of the learning rate spans this budget, and the last weights are kept.

It happens at the end of a study (`[confirm] refit`), for all networks of the selected model; always after a cross-validation, whose runs
have a network for each fold and none for the study; and in the command `refit`, for the best trial. What the search measured on validation
rows stays what it is, that of networks that did not train on them, and nothing is selected any more.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed, StorageError, UserError, rows_text
from hpsearch.model import Member, Model, load_model, model_of
from hpsearch.model.combination import Combination
from hpsearch.model.models import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.replicates import NetworkKey, TrainedNetwork, Weights
from hpsearch.searching.scoring import member_of_spec, score_test
from hpsearch.searching.specifications import recorded_specification
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.storage import StudyRecord
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.folders import BEST
from hpsearch.storage.records import TrialRecord
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, train_all
from hpsearch.training.own import Build
from hpsearch.trial import TrialSpec


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """The weights in a study's folder; `all_rows`: they come from training and validation rows."""

    weights: Mapping[NetworkKey, Weights]
    all_rows: bool


def stored_weights(folder: Path, data: Data, study: str, build: Build | None = None) -> StoredWeights:
    """Return the weights in the study's folder; none where the files are missing, damaged, or of other data or another study."""
    nothing = StoredWeights({}, all_rows=False)
    try:
        model = load_model(folder, BEST, build)
    except StorageError:
        return nothing
    source = model.provenance.get("data") or {}
    if model.provenance.get("study") != study or source.get("hash") != data.summary.get("hash"):
        return nothing
    weights = {(member.trial, member.seed): member.weights for member in model.members}
    return StoredWeights(weights, bool(data.folds) or bool(model.metrics.get("refitted")))


def members_of(
    networks: Sequence[TrainedNetwork],
    at_hand: Mapping[NetworkKey, Weights],
    data: Data,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
    *,
    all_rows: bool = False,
) -> list[Member]:
    """Return the networks with their weights; those that are not at hand are trained again, all at once.

    With `all_rows` they train on training and validation rows; after a cross-validation they always do.

    Raises:
        SearchFailed: a run on all rows gave no usable network.
        Stopped: a signal ended the training.
    """
    weights = dict(at_hand)
    missing = [network for network in networks if network.key not in at_hand]
    if missing:
        rows = with_all_rows(data) if all_rows or data.folds else data
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

    Where `other` are the very rows that the network trained on, the run is its own.
    """
    spec = network.spec
    if other is data and not data.folds:
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


# ------------------------------------------------------------------ the command refit


@dataclass(frozen=True, slots=True)
class FullRun:
    """A network that trained on all rows, for `passes` over them, which are `updates`."""

    spec: TrialSpec
    member: Member
    passes: float
    updates: int


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
    before = recorded_specification(config, trial.params, trial.number, searched)
    passes = passes_of(before, trial.best_evaluation, len(searched.training))
    run = _train_on_all_rows(recorded_specification(config, trial.params, trial.number, full), passes, full, engine)
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


def _train_on_all_rows(spec: TrialSpec, passes: float, full: Data, engine: Engine) -> FullRun:
    rows = len(full.training)
    (run,) = train_all(engine, [for_passes(spec, passes, rows)])
    if run.weights is None:
        reason = run.detail or run.outcome
        raise SearchFailed(f"trial {spec.number} on {rows_text(rows)}: {reason}. Refit another.")
    member = member_of_spec(spec, run.weights, spec.number)
    return FullRun(spec, member, passes, run.history.update[-1])


def single_of(record: StudyRecord) -> Combination:
    """Return how the selected single network of a study predicts: its temperature, and its errors on held-out rows."""
    key = "single" if record.selected.is_ensemble else "combination"
    return Combination.of(record.result.get(key), 1)


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
