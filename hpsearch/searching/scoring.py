"""The metric of networks on rows, and its interval; several networks predict together, see `Combination`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import mistakes
from hpsearch.model import Member
from hpsearch.model.combination import Combination
from hpsearch.model.pipeline import network_of
from hpsearch.statistics.estimates import finite, wilson
from hpsearch.statistics.rows import RESAMPLES, mean_interval
from hpsearch.training.own import OwnNetwork, own_random_state
from hpsearch.trial import TrialSpec, derive_seed

CHUNK = 8192  # rows at a time


def score_test(
    data: Data, members: Sequence[Member], combination: Combination, known: Sequence[Tensor] = ()
) -> dict[str, Any]:
    """Return the metric on the test rows with its 95 % interval, of one network the loss too; nothing where there are no test rows.

    `known` are the networks' outputs for these rows, where they were computed before.
    """
    if not len(data.test):
        return {}
    outputs = known or [outputs_of(member, data.test.inputs) for member in members]
    predictions = combined_prediction(data, outputs, combination)
    metric = data.metric_of(predictions, data.test)
    low, high = interval(data, data.test, predictions)
    scored: dict[str, Any] = {
        "metric": data.metric.name,
        "value": finite(metric),
        "low": finite(low),
        "high": finite(high),
        "rows": len(data.test),
    }
    if len(outputs) == 1:
        with mistakes("a loss or metric of your own", data.has_own_functions):
            scored["loss"] = data.score(outputs[0] / combination.temperature, data.test)[0]
    return scored


def member_of_spec(spec: TrialSpec, weights: Mapping[str, Tensor], trial: int) -> Member:
    """Return a trial's network with its weights as a member of a model."""
    own = None
    if isinstance(spec.network, OwnNetwork):
        own = spec.network
    return Member(spec.architecture, weights, trial, spec.seed, own)


def parameters_of(spec: TrialSpec) -> int:
    """Return the trainable numbers of a trial's network."""
    if spec.architecture is not None:
        return spec.architecture.parameters
    return sum(parameter.numel() for parameter in made(spec).parameters())


def made(spec: TrialSpec) -> nn.Module:
    """Return a trial's network of the user's own, untrained."""
    assert spec.network is not None, "a network without an architecture is of the user's own"
    with own_random_state(spec.seed, torch.device("cpu")):
        network: nn.Module = spec.network()
    return network


def outputs_of(member: Member, inputs: Tensor) -> Tensor:
    """Return a network's raw outputs [N, K] for inputs [N, F], on their device and in their type."""
    network = network_of(member).to(inputs.device, inputs.dtype)
    with torch.no_grad():
        return torch.cat([network(chunk) for chunk in torch.split(inputs, CHUNK)])


def combined_prediction(data: Data, outputs: Sequence[Tensor], combination: Combination) -> Tensor:
    """Return what several networks predict together, by the raw outputs [N, K] of each."""
    each = [data.task.head(one) for one in outputs]
    return data.predicted(combination.predict(data.task, each))


def parts_of(data: Data) -> list[Data]:
    """Return the data of each fold; data that are divided once are their own only part."""
    return [data.fold(number) for number in range(max(1, len(data.folds)))]


def interval(data: Data, rows: Rows, predictions: Tensor) -> tuple[float, float]:
    """Return a 95 % interval of the metric of predictions over rows; see `interval_over_parts`."""
    return interval_over_parts([(data, rows, predictions)])


def interval_over_parts(parts: Sequence[tuple[Data, Rows, Tensor]]) -> tuple[float, float]:
    """Return a 95 % interval over rows of a metric that is the mean over parts: each has its data, rows, and predictions of them.

    It is Wilson's (1927) for a share of rows, the studentised bootstrap for a mean over rows (see `statistics.rows`), the percentile
    bootstrap for the rest. There, where the metric is by class, each class's rows are drawn again among themselves, so that no sample
    lacks one. Resamples whose metric is NaN do not count; if all are, so is the interval.
    """
    metric = parts[0][0].metric
    count = sum(len(rows) for _, rows, _ in parts)
    value = _mean_metric(parts)
    is_weighted = parts[0][1].weights is not None
    if metric.counts_rows and not is_weighted:
        share = wilson(round(value * count), count)
        return share.low, share.high
    if metric.row_values is not None:
        each = [metric.row_values(found, data.original(rows.targets)) for data, rows, found in parts]
        weights = torch.cat([_weights(rows) for _, rows, _ in parts])
        return mean_interval(_array(torch.cat(each)), _array(weights), root=metric.is_root)
    generator = np.random.default_rng(derive_seed("bootstrap", count) % 2**32)
    on_host = [_on_host(*part) for part in parts]
    draws = [_mean_metric([_resample(*part, generator) for part in on_host]) for _ in range(RESAMPLES)]
    if np.isnan(draws).all():
        return np.nan, np.nan
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _mean_metric(parts: Sequence[tuple[Data, Rows, Tensor]]) -> float:
    values = [data.metric_of(predictions, rows) for data, rows, predictions in parts]
    return sum(values) / len(values)


def _weights(rows: Rows) -> Tensor:
    if rows.weights is None:
        return torch.ones(len(rows))
    return rows.weights.cpu()


def _array(tensor: Tensor) -> npt.NDArray[np.float64]:
    return tensor.double().cpu().numpy()


def _on_host(data: Data, rows: Rows, predictions: Tensor) -> tuple[Data, Rows, Tensor]:
    """Return a part on the host, where no draw waits for a device, and without the inputs, which no metric needs."""
    here = replace(data, target_mean=data.target_mean.cpu(), target_scale=data.target_scale.cpu())
    bare = replace(rows, inputs=rows.inputs[:, :0]).to("cpu", rows.inputs.dtype)
    return here, bare, predictions.cpu()


def _resample(data: Data, rows: Rows, predictions: Tensor, generator: np.random.Generator) -> tuple[Data, Rows, Tensor]:
    """Return a part with rows drawn with replacement; if the metric is by class, as many of each class as there are."""
    chosen = _drawn(data, rows, generator).to(predictions.device)
    return data, rows.take(chosen), predictions[chosen]


def _drawn(data: Data, rows: Rows, generator: np.random.Generator) -> Tensor:
    """Return the numbers [N] of the rows drawn."""
    if not data.metric.by_class:
        return torch.from_numpy(generator.integers(0, len(rows), len(rows)))
    codes = rows.targets.flatten().long().cpu().numpy()
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return torch.from_numpy(order[starts + generator.integers(0, np.repeat(counts, counts))])
