"""The networks that a search selected: their weights are at hand where this process or an earlier one stored them, else trained again.

A cross-validated run has a network for each fold and none for the study. There the selected run is trained once more, on all rows but
the test rows (see `full_training`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, StorageError
from hpsearch.model import Member, load_model, model_of, save_model
from hpsearch.model.models import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.full_training import on_other_rows, with_all_rows
from hpsearch.searching.replicates import NetworkKey, TrainedNetwork, Weights
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.training import Engine
from hpsearch.trial import TrainingRun

NAME = "best"  # of the model's files in the study's folder


def stored_weights(folder: Path, data: Data, study: str) -> dict[NetworkKey, Weights]:
    """Return the weights in the study's folder; none where the files are missing, damaged, or of other data or another study."""
    try:
        model = load_model(folder, NAME)
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
        specs = [on_other_rows(network, data, rows) if data.folds else network.spec for network in missing]
        unpruned = [replace(spec, rungs=()) for spec in specs]
        reason = "stopped before the selected network was trained; every result is stored"
        runs = train_until_stopped(engine_for(rows), unpruned, observer, reason)
        weights |= {network.key: _weights(network, run) for network, run in zip(missing, runs, strict=True)}
    return [member_of(network, weights[network.key]) for network in networks]


def member_of(network: TrainedNetwork, weights: Weights) -> Member:
    """Return a network with its weights as a member of a model."""
    assert network.spec.architecture is not None, "a search trains dense networks"
    return Member(network.spec.architecture, weights, network.trial, network.spec.seed)


def save_selected(
    folder: Path, data: Data, members: Sequence[Member], *, study: str, seed: int, metrics: Mapping[str, Any]
) -> None:
    """Write `best.safetensors` and `best.json`: the selected model with all that it takes to predict, and where it comes from."""
    provenance = provenance_of(data, study=study, seed=seed, trials=[member.trial for member in members])
    save_model(folder, NAME, model_of(data, members, metrics=metrics, provenance=provenance))


def _weights(network: TrainedNetwork, run: TrainingRun) -> Weights:
    if run.weights is None:
        raise SearchFailed(f"trial {network.trial}, trained once more: {run.detail or run.outcome}. Search on.")
    return run.weights
