"""The best network: kept as a file, and scored on the test rows, which nothing before has seen."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from hpsearch.data.dataset import Data, Rows
from hpsearch.files import write_file
from hpsearch.statistics.shares import wilson
from hpsearch.training.network import DNN, registration
from hpsearch.trial import TrainingRun, TrialSpec, derive_seed

RESAMPLES = 1_000
PACKAGES = ("hpsearch", "torch", "optuna", "numpy")


def save_weights(folder: Path, run: TrainingRun, key: str) -> None:
    """Write `best.safetensors`: the weights with the trial they are of and the study's key."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in (run.weights or {}).items()}
    write_file(folder / "best.safetensors", save(tensors, _label(run.number, key)))


def load_weights(folder: Path, number: int, key: str) -> dict[str, torch.Tensor] | None:
    """Return the weights of a trial, or None where the file is missing, damaged or of another trial."""
    try:
        content = (folder / "best.safetensors").read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if header.get("__metadata__") != _label(number, key):
            return None
        return load(content)
    except (OSError, ValueError, RuntimeError):
        return None
    except Exception as error:  # safetensors raises its own type
        if type(error).__name__ == "SafetensorError":
            return None
        raise


def _label(number: int, key: str) -> dict[str, str]:
    """Return the file's metadata; one entry, since safetensors writes several in a random order."""
    return {"hpsearch": json.dumps({"study": key, "trial": number})}


def score_test(run: TrainingRun, spec: TrialSpec, data: Data, weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return the result of a search: the best network's figures, its metric on the test rows with a 95 % interval."""
    assert spec.architecture is not None
    network = DNN(spec.architecture).to(data.test.inputs.device, data.test.inputs.dtype)
    network.load_state_dict(dict(weights))
    return {
        "trial": run.number,
        "validation": run.value,
        "test": _scored(network, data) if len(data.test) else None,
        "parameters": run.parameters,
        "architecture": asdict(spec.architecture) | {"widths": list(spec.architecture.widths)},
        "layers": [{"name": n, "shape": list(w.shape), "count": w.numel()} for n, w in network.state_dict().items()],
        "registered": registration(spec.architecture),
        "device": str(data.test.inputs.device),
        "versions": versions(),
    }


def _scored(network: DNN, data: Data) -> dict[str, Any]:
    with torch.no_grad():
        outputs = network(data.test.inputs)
    loss, metric = data.score(outputs, data.test)
    low, high = interval(data, outputs, metric)
    return {
        "metric": data.metric.name,
        "value": metric,
        "low": low,
        "high": high,
        "loss": loss,
        "rows": len(outputs),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a result."""
    return {package: version(package) for package in PACKAGES}


def interval(data: Data, outputs: torch.Tensor, metric: float) -> tuple[float, float]:
    """Return a 95 % interval of a metric over the rows: Wilson's (1927) for a share, the percentile bootstrap for the rest."""
    rows = len(outputs)
    if data.metric.name == "accuracy":
        share = wilson(round(metric * rows), rows)
        return share.low, share.high
    generator = np.random.default_rng(derive_seed("bootstrap", rows) % 2**32)
    values = []
    for _ in range(RESAMPLES):
        chosen = torch.from_numpy(generator.integers(0, rows, rows)).to(outputs.device)
        values.append(data.score(outputs[chosen], Rows(data.test.inputs[chosen], data.test.targets[chosen]))[1])
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
