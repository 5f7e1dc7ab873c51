"""The trials of a study as an engine gets them: from hyperparameters, and again on fresh seeds.

A replicate is a trial that is trained again with other initial weights and another order of the rows. Replicate k of every trial has the
same initial weights where the networks are equal, and the same order of rows where the batch sizes are, so that replicates are compared in
pairs. The best of n trials is an optimistic figure for its hyperparameters; replicates were selected by nobody.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.space import SearchSpace
from hpsearch.training.devices import device_of
from hpsearch.training.own import ERRORS, Build, OwnNetwork, own_random_state
from hpsearch.trial import TrialSpec, derive_seed

FRESH = "fresh"  # the stream of seeds of replicates
OWN = "network"  # key, among a trial's values, of the parameters that a network of the user's own gets


def specification(config: StudyConfig, values: Mapping[str, Any], number: int, data: Data) -> TrialSpec:
    """Return the trial of these hyperparameters, all of them, as `known_values` gives them.

    Raises:
        UserError: the study has a network of the user's own, and the function that makes it is not at hand.
    """
    spec = config.space.specification(
        values,
        number=number,
        seed=config.study.seed,
        budget=config.budget,
        inputs=data.inputs,
        outputs=data.outputs,
        rows=len(data.training),
        pieces=data.piece_counts if data.pieces else None,
    )
    if OWN not in values:
        return spec
    network = OwnNetwork.of(build_of(config), FixedTrial(dict(values[OWN]), number), data)
    return replace(spec, network=network)


def build_of(config: StudyConfig) -> Build:
    """Return the function that makes the networks of a study.

    Raises:
        UserError: it is not at hand.
    """
    if config.code.build is None:
        raise UserError(
            f"study '{config.study.name}' trains a network of your own ({config.training.model}), and a stored study's code is never run. "
            "Open it in Python, with search(..., build=...) or load(..., build=...)."
        )
    return config.code.build


def known_values(space: SearchSpace, params: Mapping[str, Any], *, custom_network: bool = False) -> dict[str, Any]:
    """Return all hyperparameters of a trial with these parameters."""
    values = space.suggest(FixedTrial(dict(params)), custom_network)
    if custom_network:
        values[OWN] = dict(params)
    return values


def ask_network(config: StudyConfig, trial: Any, data: Data) -> None:
    """Ask a trial for the hyperparameters of a network of the user's own: the network is made and dropped.

    An error that hyperparameters cause is that of the run to come.
    """
    with suppress(*ERRORS), own_random_state(config.study.seed, device_of(data)):
        build_of(config)(trial, data.shape, data.outputs)


def recorded_specification(config: StudyConfig, params: Mapping[str, Any], number: int, data: Data) -> TrialSpec:
    """Return a recorded trial again; `params` are the hyperparameters that vary in the study's space."""
    is_own = config.training.model is not None
    return specification(config, known_values(config.space, params, custom_network=is_own), number, data)


def replicate(spec: TrialSpec, study_seed: int, number: int, stream: str = FRESH) -> TrialSpec:
    """Return replicate `number` of a trial: its initial weights and its order of rows are functions of (study seed, number) alone.

    Replicates of another `stream` have other seeds.
    """
    return replace(
        spec,
        number=number,
        seed=initial_seed(study_seed, number, stream),
        order_seed=derive_seed(study_seed, f"{stream} order", number) % 2**32,
    )


def initial_seed(study_seed: int, number: int, stream: str = FRESH) -> int:
    """Return the seed of the initial weights of replicate `number`, of whatever trial."""
    return derive_seed(study_seed, stream, number)
