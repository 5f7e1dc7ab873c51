"""Scores of a run's best network on the rows that its training did not report."""

from typing import Any

import torch

from hpsearch.data.dataset import Data, Rows
from hpsearch.training.network import DNN
from hpsearch.trial import TrainingRun, TrialSpec

CHUNK = 8192  # rows that are predicted at a time


def scores(spec: TrialSpec, run: TrainingRun, data: Data) -> dict[str, Any]:
    """Return loss and metric on training and test rows of a run's best network: the only look at the test rows."""
    if run.weights is None or spec.architecture is None:
        return {}
    network = DNN(spec.architecture).to(data.test.inputs.device, data.test.inputs.dtype)
    network.load_state_dict(dict(run.weights))
    parts = {"training": data.training, "test": data.test}
    return {
        name: dict(zip(("loss", "metric"), _score(network, rows, data), strict=True)) for name, rows in parts.items()
    }


@torch.no_grad()
def _score(network: DNN, rows: Rows, data: Data) -> tuple[float, float]:
    return data.score(torch.cat([network(part) for part in torch.split(rows.inputs, CHUNK)]), rows)
