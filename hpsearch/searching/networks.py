"""The networks that a search leaves: at hand where this process or an earlier one kept their weights, else trained again exactly.

A cross-validated run has a network for each fold and none for the study. There the chosen run is trained once more, on all rows that
are not test rows, for as many passes over them as its best evaluation was late; the learning rate's schedule spans that budget.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed, Stopped, StorageError
from hpsearch.model import Member, load_model, model_of, save_model
from hpsearch.model.provenance import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.replicates import Network, Start, Weights
from hpsearch.searching.stopping import stopping
from hpsearch.training import Engine, TrialQueue
from hpsearch.trial import TrainingRun, TrialSpec

NAME = "best"  # of the model's files in the study's folder


def kept_weights(folder: Path, data: Data, study: str) -> dict[Start, Weights]:
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
    networks: Sequence[Network],
    at_hand: Mapping[Start, Weights],
    data: Data,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> list[Member]:
    """Return the networks with their weights; those that are not at hand are trained again, all at once.

    Raises:
        SearchFailed: a run on all rows gave no usable network.
        Stopped: a signal ended the training.
    """
    missing = [network for network in networks if network.start not in at_hand]
    whole = _whole(data) if data.folds else data
    specs = [longer(network, data, whole) if data.folds else network.spec for network in missing]
    source = TrialQueue([replace(spec, number=number, rungs=()) for number, spec in enumerate(specs)])
    if missing:
        with stopping(source, observer) as status:
            engine_for(whole).run(source)
        if status():
            raise Stopped("stopped before the chosen network was trained; every result is told", status())
    again = {network.start: _weights(network, source.runs[number]) for number, network in enumerate(missing)}
    return [member(network, {**at_hand, **again}[network.start]) for network in networks]


def _whole(data: Data) -> Data:
    """Return data that train on all rows but the test rows, scaled as the first fold is, whose preprocessing goes with the model."""
    first, second = data.training, data.validation
    rows = Rows(torch.cat([first.inputs, second.inputs]), torch.cat([first.targets, second.targets]))
    return replace(data, training=rows, folds=())


def longer(network: Network, data: Data, other: Data) -> TrialSpec:
    """Return a run on other rows, for as many passes over them as the run took to its best evaluation; the last weights are kept."""
    spec, rows = network.spec, len(other.training)
    batch_size = rows if spec.batch_size == len(data.training) else min(spec.batch_size, rows)
    passes = spec.evaluate_at[network.best - 1] * spec.batch_size / len(data.training)
    updates = max(1, round(passes * rows / batch_size))
    return replace(spec, batch_size=batch_size, evaluate_at=(updates,), patience=None)


def member(network: Network, weights: Weights) -> Member:
    """Return a network with its weights as a member of a model."""
    assert network.spec.architecture is not None, "a search trains dense networks"
    return Member(network.spec.architecture, weights, network.trial, network.spec.seed)


def keep(
    folder: Path, data: Data, members: Sequence[Member], *, study: str, seed: int, metrics: Mapping[str, Any]
) -> None:
    """Write `best.safetensors` and `best.json`: the networks with all that it takes to predict, and where they come from."""
    provenance = provenance_of(data, study=study, seed=seed, trials=[member.trial for member in members])
    save_model(folder, NAME, model_of(data, members, metrics=metrics, provenance=provenance))


def _weights(network: Network, run: TrainingRun) -> Weights:
    if run.weights is None:
        raise SearchFailed(f"trial {network.trial}, trained once more: {run.detail or run.outcome}. Search on.")
    return run.weights
