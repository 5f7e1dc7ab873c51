"""Small data sets and trials for the tests of training."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from hpsearch.data import Data, from_arrays
from hpsearch.data.options import TaskOptions
from hpsearch.trial import Architecture, TrialSpec


@cache
def small_data(task: str = "multiclass", dtype: torch.dtype = torch.float64) -> Data:
    """60 rows of 5 numbers with a target that a small network can learn."""
    generator = np.random.default_rng(7)
    inputs = generator.normal(size=(60, 5))
    score = inputs[:, 0] + inputs[:, 1] * inputs[:, 2]
    targets: Any = {
        "regression": score,
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.digitize(score, [-0.5, 0.5]),
        "multilabel": np.stack([score > 0, inputs[:, 3] > 0.5, inputs[:, 4] > 0], axis=1).astype(int),
    }[task]
    return from_arrays(inputs, targets, name=task, task=TaskOptions(task=task)).to("cpu", dtype)


def small_spec(data: Data, **changes: Any) -> TrialSpec:
    """A trial of 12 updates in 4 evaluations; `changes` to the trial or, by their names, to its architecture."""
    architecture = Architecture(data.inputs, (8, 6), data.outputs, "tanh")
    inner = {name: changes.pop(name) for name in list(changes) if hasattr(architecture, name)}
    spec = TrialSpec(
        number=3,
        seed=11,
        order_seed=5,
        architecture=replace(architecture, **inner),
        optimizer="sgd",
        learning_rate=0.1,
        batch_size=10,
        evaluate_at=(3, 6, 9, 12),
    )
    return replace(spec, **changes)
