"""Weights of rows: the loss against torch's own, and every engine against the reference."""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from torch.nn import functional as F

from hpsearch.data import Data
from hpsearch.training import TrialQueue
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.training.reference import train
from hpsearch.training.workers.messages import deserialize, serialize
from hpsearch.trial import TrainingRun, TrialSpec
from tests.support.cohorts import TASKS, assert_equal, cohort, plan_of
from tests.support.small import small_data, small_spec


def _weights(rows: int, seed: int) -> torch.Tensor:
    """Weights from 0, some of them 0, some large."""
    generator = torch.Generator().manual_seed(seed)
    weights = 3 * torch.rand(rows, generator=generator, dtype=torch.float64)
    return weights * (weights > 0.5)


@cache
def weighted_data(task: str, *, classes: bool = False) -> Data:
    """The small data with a weight for each row, and for each class where that is asked for."""
    data = small_data(task)
    training = replace(data.training, weights=_weights(len(data.training), 1))
    validation = replace(data.validation, weights=_weights(len(data.validation), 2))
    weights = torch.linspace(0.5, 2, len(data.classes), dtype=torch.float64) if classes else None
    return replace(data, training=training, validation=validation, class_weights=weights)


def torchs(task: str, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Each row's loss [N], by torch's own losses."""
    if task == "multiclass":
        return F.cross_entropy(outputs, targets, reduction="none")
    if task == "regression":
        return F.mse_loss(outputs, targets, reduction="none").mean(dim=1)
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(dim=1)


@pytest.mark.parametrize("task", TASKS)
def test_loss_is_the_mean_of_weight_times_loss(task: str) -> None:
    """The validation loss is the mean over rows of weight times torch's loss."""
    data = weighted_data(task)
    rows = data.validation
    assert rows.weights is not None
    outputs = torch.randn(len(rows), data.outputs, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = (rows.weights * torchs(task, outputs, rows.targets)).mean()
    assert data.score(outputs, rows)[0] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_an_update_is_descent_on_the_weighted_loss(task: str) -> None:
    """With a full batch the reference's first loss is that of the initial network, weighted, and weights of 0 take a row out."""
    data = weighted_data(task)
    size = len(data.training)
    assert data.training.weights is not None
    kept = data.training.weights > 0
    alone = replace(data, training=data.training.take(kept))
    run = train(small_spec(data, batch_size=size, evaluate_at=(2,)), data, TrialQueue())
    other = train(
        small_spec(
            alone, batch_size=int(kept.sum()), evaluate_at=(2,), learning_rate=0.1 * float(kept.double().mean())
        ),
        alone,
        TrialQueue(),
    )
    assert run is not None
    assert other is not None
    assert run.weights is not None
    assert other.weights is not None
    for name, expected in other.weights.items():
        torch.testing.assert_close(run.weights[name], expected, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("engine", ["fused", "compiled"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_equals_the_reference(engine: str, task: str, batch_size: int | str) -> None:
    """Weighted runs of every engine are the reference's, and not those without weights."""
    _compare(engine, task, batch_size, weighted_data(task))


@pytest.mark.parametrize("engine", ["fused", "compiled"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_weights_of_rows_and_classes_multiply(engine: str, task: str) -> None:
    """With weights of rows and of classes every engine's run is the reference's, whose weights are the products."""
    both = weighted_data(task, classes=True)
    _compare(engine, task, 7, both)
    products = replace(both.training, weights=both.row_weights)
    same = replace(
        both, training=products, validation=replace(both.validation, weights=both.weights_of(both.validation))
    )
    one, other = _reference(both), _reference(replace(same, class_weights=None))
    assert one.history.training_loss == other.history.training_loss
    assert one.history.validation_loss == other.history.validation_loss


def _compare(engine: str, task: str, batch_size: int | str, data: Data) -> None:
    size = len(data.training) if batch_size == "full" else int(batch_size)
    specs, plan = cohort(task, batch_size=size), plan_of(engine, 9)
    source = TrialQueue(list(specs))
    ConcurrentEngine(data, lambda spec: plan, max_concurrency=len(specs), threads=1).run(source)
    for spec in specs:
        expected = train(spec, data, TrialQueue())
        assert expected is not None
        assert_equal(source.runs[spec.number], expected)
    plain = train(specs[0], small_data(task), TrialQueue())
    assert plain is not None
    assert plain.history.training_loss[0] != source.runs[specs[0].number].history.training_loss[0]


def _reference(data: Data) -> TrainingRun:
    run = train(small_spec(data, batch_size=7), data, TrialQueue())
    assert run is not None
    return run


@pytest.mark.parametrize("engine", ["reference", "fused", "compiled"])
@pytest.mark.parametrize("task", TASKS)
def test_equal_weights_change_nothing(engine: str, task: str) -> None:
    """With a weight of 1 for every row a run is the run without weights."""
    data = small_data(task)
    parts = {
        part: replace(getattr(data, part), weights=torch.ones(len(getattr(data, part))).double())
        for part in ("training", "validation")
    }
    runs = []
    for each in (data, replace(data, **parts)):
        spec = small_spec(each)
        source, plan = TrialQueue([spec]), plan_of(engine, 1) if engine != "reference" else None
        if plan is None:
            run = train(spec, each, source)
        else:
            ConcurrentEngine(each, partial(_same, plan), max_concurrency=1, threads=1).run(source)
            run = source.runs[spec.number]
        assert run is not None
        runs.append(run)
    assert_equal(*runs)


def _same(plan: Plan, spec: TrialSpec) -> Plan:
    return plan


def test_workers_get_them() -> None:
    """Data that travel to a worker keep the weights of their rows; those without keep none."""
    data = weighted_data("binary")
    got = deserialize(serialize(data))
    assert data.training.weights is not None
    assert got.training.weights is not None
    assert torch.equal(got.training.weights, data.training.weights)
    assert deserialize(serialize(small_data("multilabel"))).training.weights is None
