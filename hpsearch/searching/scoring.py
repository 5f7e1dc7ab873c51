"""The metric of networks on rows, and its interval; several networks predict together, by the mean of their predictions."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.dataset import Data
from hpsearch.model import Member
from hpsearch.model.pipeline import network_of
from hpsearch.statistics.estimates import wilson
from hpsearch.trial import derive_seed

RESAMPLES = 1_000
CHUNK = 8192  # rows at a time


def score_test(data: Data, members: Sequence[Member], known: Sequence[Tensor] = ()) -> dict[str, Any]:
    """Return the metric on the test rows with its 95 % interval, of one network the loss too; nothing where there are no test rows.

    `known` are the networks' outputs for these rows, where they were computed before.
    """
    if not len(data.test):
        return {}
    outputs = known or [outputs_of(member, data.test.inputs) for member in members]
    predictions = mean_prediction(data, outputs)
    metric = data.metric_of(predictions, data.test.targets)
    low, high = interval(data, predictions, metric)
    scored = {
        "metric": data.metric.name,
        "value": finite(metric),
        "low": finite(low),
        "high": finite(high),
        "rows": len(data.test),
    }
    if len(outputs) == 1:
        scored["loss"] = data.score(outputs[0], data.test)[0]
    return scored


def finite(value: float | None) -> float | None:
    """Return a number, None for one that is not finite: the area under a curve of one class, say."""
    return value if value is not None and isfinite(value) else None


def outputs_of(member: Member, inputs: Tensor) -> Tensor:
    """Return a network's raw outputs [N, K] for inputs [N, F], on their device and in their type."""
    network = network_of(member).to(inputs.device, inputs.dtype)
    with torch.no_grad():
        return torch.cat([network(chunk) for chunk in torch.split(inputs, CHUNK)])


def mean_prediction(data: Data, outputs: Sequence[Tensor]) -> Tensor:
    """Return the mean of the predictions that the outputs [N, K] of several networks make."""
    return torch.stack([data.predict(one) for one in outputs]).mean(dim=0)


def interval(data: Data, predictions: Tensor, metric: float) -> tuple[float, float]:
    """Return a 95 % interval of a metric over the test rows: Wilson's (1927) for a share, the percentile bootstrap for the rest.

    Where the metric is by class, each class's rows are drawn again among themselves, so that no sample lacks one. Resamples whose metric
    is NaN do not count; if all are, so is the interval.
    """
    rows = len(predictions)
    if data.metric.is_share and not data.metric.by_class:
        share = wilson(round(metric * rows), rows)
        return share.low, share.high
    generator = np.random.default_rng(derive_seed("bootstrap", rows) % 2**32)
    values = []
    for _ in range(RESAMPLES):
        chosen = _resample(data, generator).to(predictions.device)
        values.append(data.metric_of(predictions[chosen], data.test.targets[chosen]))
    if np.isnan(values).all():
        return np.nan, np.nan
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _resample(data: Data, generator: np.random.Generator) -> Tensor:
    """Return the numbers [N] of test rows drawn with replacement; if the metric is by class, as many of each class as there are."""
    rows = len(data.test)
    if not data.metric.by_class:
        return torch.from_numpy(generator.integers(0, rows, rows))
    codes = data.test.targets.flatten().long().cpu().numpy()
    order, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return torch.from_numpy(order[starts + generator.integers(0, np.repeat(counts, counts))])
