"""The trials of a study as an engine gets them: from hyperparameters, and again on fresh seeds.

A replicate is a trial that is trained again with other initial weights and another order of the rows. Replicate k of every trial has the
same initial weights where the networks are equal, and the same order of rows where the batch sizes are, so that replicates are compared in
pairs. The best of n trials is an optimistic figure for its hyperparameters; replicates were selected by nobody.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.trial import TrialSpec, derive_seed


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


def recorded_specification(config: StudyConfig, params: Mapping[str, Any], number: int, data: Data) -> TrialSpec:
    """Return a recorded trial again; `params` are the hyperparameters that vary in the study's space."""
    return specification(config, config.space.suggest(FixedTrial(dict(params))), number, data)


def replicate(spec: TrialSpec, study_seed: int, number: int) -> TrialSpec:
    """Return replicate `number` of a trial: its initial weights and its order of rows are functions of (study seed, number) alone."""
    return replace(
        spec,
        number=number,
        seed=initial_seed(study_seed, number),
        order_seed=derive_seed(study_seed, "fresh order", number) % 2**32,
    )


def initial_seed(study_seed: int, number: int) -> int:
    """Return the seed of the initial weights of replicate `number`, of whatever trial."""
    return derive_seed(study_seed, "fresh", number)
