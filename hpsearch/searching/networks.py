"""The networks that a search leaves: at hand where this process or an earlier one kept their weights, else trained again exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import Stopped, StorageError
from hpsearch.model import Member, load_model, model_of, save_model
from hpsearch.model.provenance import provenance_of
from hpsearch.searching.confirm import Network, Start, Weights
from hpsearch.searching.stopping import stopping
from hpsearch.training import Engine, Several
from hpsearch.trial import TrainingRun

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
    networks: Sequence[Network], at_hand: Mapping[Start, Weights], engine: Engine, announce: Callable[[str], None]
) -> list[Member]:
    """Return the networks with their weights; those that are not at hand are trained again, all at once.

    Raises:
        Stopped: a signal ended the training.
    """
    missing = [network for network in networks if network.start not in at_hand]
    source = Several([replace(network.spec, number=number, rungs=()) for number, network in enumerate(missing)])
    if missing:
        with stopping(source, announce) as status:
            engine.run(source)
        if status():
            raise Stopped("stopped before the chosen network was trained again; every result is told", status())
    again = {network.start: _weights(source.runs[number]) for number, network in enumerate(missing)}
    return [member(network, {**at_hand, **again}[network.start]) for network in networks]


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


def _weights(run: TrainingRun) -> Weights:
    assert run.weights is not None, "the run gave a network before, and a run repeats"
    return run.weights
