"""Class weights: the loss against torch's own weighted losses, and every engine against the reference."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hpsearch.comparison.measurements.noise import example_squared_norms
from hpsearch.comparison.measurements.state import State, mean_loss
from hpsearch.config import check_config
from hpsearch.data import Data
from hpsearch.errors import UserError
from hpsearch.training import TrialQueue
from hpsearch.training.fused.network import LOSSES
from hpsearch.training.groups import ConcurrentEngine
from hpsearch.training.network import DNN
from hpsearch.training.recording import TorchRecorder
from hpsearch.training.reference import train
from hpsearch.trial import TrainingRun
from tests.support.cohorts import assert_equal, cohort, plan_of
from tests.support.small import small_data, small_spec

TASKS = ["binary", "multiclass"]
WEIGHTS = {"binary": (0.4, 1.7), "multiclass": (0.5, 2.5, 0.25)}


@cache
def weighted_data(task: str) -> Data:
    """The small data with a weight for each class."""
    return replace(small_data(task), class_weights=torch.tensor(WEIGHTS[task], dtype=torch.float64))


def torchs(outputs: torch.Tensor, targets: torch.Tensor, task: str) -> torch.Tensor:
    """The sum over rows of weight times loss, by torch's own weighted losses."""
    weights = torch.tensor(WEIGHTS[task], dtype=torch.float64)
    if task == "multiclass":
        return F.cross_entropy(outputs, targets, weight=weights, reduction="sum")
    own = torch.where(targets > 0.5, weights[1], weights[0])
    return F.binary_cross_entropy_with_logits(outputs, targets, weight=own, reduction="sum")


def outputs_for(task: str, rows: int, trials: int = 1) -> torch.Tensor:
    """Raw outputs [T, N, C], some of them large."""
    generator = torch.Generator().manual_seed(8)
    return 9 * torch.randn(trials, rows, {"binary": 1, "multiclass": 3}[task], generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("task", TASKS)
def test_loss_is_torchs(task: str) -> None:
    """The loss is torch's weighted sum over the number of rows, its gradient autograd's; validation reports the same loss."""
    data, rows = weighted_data(task), weighted_data(task).validation
    outputs = outputs_for(task, len(rows))[0].requires_grad_()
    expected = torchs(outputs, rows.targets, task) / len(rows)
    (slopes,) = torch.autograd.grad(data.trained_task.loss(outputs, rows.targets), outputs)
    torch.testing.assert_close(slopes, torch.autograd.grad(expected, outputs)[0], atol=1e-14, rtol=1e-12)
    loss, metric = data.score(outputs, rows)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-12)
    assert metric == small_data(task).score(outputs, rows)[1]


@pytest.mark.parametrize("task", TASKS)
def test_fused_gradient_is_autograds(task: str) -> None:
    """The fused engine's losses and errors of a part of a batch are those of torch's weighted loss, for each trial."""
    data = weighted_data(task)
    targets = data.training.targets[:9]
    outputs = outputs_for(task, 9, trials=4)
    weights = data.weights_of(data.training.take(slice(9)))
    losses, errors = LOSSES[task](outputs.mT.clone(), targets, 21, weights, None)  # [T], [T, C, B]
    for trial, own in enumerate(outputs):
        known = own.clone().requires_grad_()
        expected = torchs(known, targets, task) / 21
        assert float(losses[trial]) == pytest.approx(float(expected.detach()), rel=1e-12)
        torch.testing.assert_close(errors[trial].T, torch.autograd.grad(expected, known)[0], atol=1e-14, rtol=1e-12)


def by_hand(task: str, batch_size: int) -> dict[str, torch.Tensor]:
    """A network after 12 updates of plain descent on torch's weighted loss, the batches being the engines'."""
    data = weighted_data(task)
    spec = small_spec(data, batch_size=batch_size)
    assert spec.architecture is not None
    network, recorder = DNN.initialized(spec.architecture, spec.seed).double(), TorchRecorder(spec, data)
    for update in range(spec.updates):
        inputs, targets = recorder.trial.batches[update]
        gradients = torch.autograd.grad(torchs(network(inputs), targets, task) / batch_size, list(network.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.sub_(spec.learning_rate * gradient)
    return dict(network.state_dict())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_training_is_descent_on_the_weighted_loss(task: str, batch_size: int) -> None:
    """The reference's and the recorder's last weights are those of descent written out on torch's weighted loss."""
    spec = small_spec(weighted_data(task), batch_size=batch_size, evaluate_at=(12,))
    run, recorder = train(spec, weighted_data(task), TrialQueue()), TorchRecorder(spec, weighted_data(task))
    recorder.advance(12)
    assert run is not None
    assert run.weights is not None
    for name, expected in by_hand(task, batch_size).items():
        torch.testing.assert_close(run.weights[name], expected, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(recorder.weights()[name], expected, atol=1e-12, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fused", "compiled"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_equals_the_reference(engine: str, task: str, batch_size: int | str) -> None:
    """Weighted runs of every engine are the reference's, and not those without weights."""
    data = weighted_data(task)
    size = len(data.training) if batch_size == "full" else int(batch_size)
    specs, plan = cohort(task, batch_size=size), plan_of(engine, 9)
    source = TrialQueue(list(specs))
    ConcurrentEngine(data, lambda spec: plan, max_concurrency=len(specs), threads=1).run(source)
    for spec in specs:
        expected = train(spec, data, TrialQueue())
        assert expected is not None
        assert_equal(source.runs[spec.number], expected)
    assert _first_loss(train(specs[0], small_data(task), TrialQueue())) != _first_loss(source.runs[0])


def _first_loss(run: TrainingRun | None) -> float:
    assert run is not None
    return run.history.training_loss[0]


@pytest.mark.parametrize("engine", ["reference", "fused", "compiled"])
@pytest.mark.parametrize("task", TASKS)
def test_equal_weights_change_nothing(engine: str, task: str) -> None:
    """With a weight of 1 for every class a run is the run without weights."""
    data = small_data(task)
    ones = replace(data, class_weights=torch.ones(len(data.classes), dtype=torch.float64))
    runs = [_trained(engine, each) for each in (data, ones)]
    assert_equal(*runs)


def _trained(engine: str, data: Data) -> TrainingRun:
    spec = small_spec(data)
    if engine == "reference":
        run = train(spec, data, TrialQueue())
        assert run is not None
        return run
    source, plan = TrialQueue([spec]), plan_of(engine, 1)
    ConcurrentEngine(data, lambda spec: plan, max_concurrency=1, threads=1).run(source)
    return source.runs[spec.number]


@pytest.mark.parametrize("task", TASKS)
def test_diagnostics_measure_the_weighted_loss(task: str) -> None:
    """Loss and gradients by row of a comparison's measurements are those of the weighted loss; parts of rows add up."""
    data = weighted_data(task)
    spec = small_spec(data)
    assert spec.architecture is not None
    network = DNN.initialized(spec.architecture, 3).double()
    state, rows = State(spec.architecture, data.trained_task, network.state_dict()), data.training
    loss = mean_loss(spec.architecture, state.task, state.vector(rows), rows)
    assert loss == pytest.approx(float(torchs(network(rows.inputs), rows.targets, task).detach()) / len(rows))
    norms = []
    for row in range(len(rows)):
        alone = torchs(network(rows.inputs[row : row + 1]), rows.targets[row : row + 1], task)
        gradients = torch.autograd.grad(alone, list(network.parameters()))
        norms.append(sum(float(part.square().sum()) for part in gradients))
    np.testing.assert_allclose(example_squared_norms(state, rows).detach().numpy(), norms, rtol=1e-10)


def test_a_regression_has_no_classes() -> None:
    """Class weights of a regression, and of another number of classes, are refused, in the study's words where the task is asked for."""
    with pytest.raises(UserError, match=r"training\.class_weights: a regression has no classes to weigh\. Remove it\."):
        replace(small_data("regression"), class_weights=torch.ones(2))
    with pytest.raises(ValueError, match=r"class weights of shape \(2,\): \[3\] expected"):
        replace(small_data("multiclass"), class_weights=torch.ones(2))
    raw = {"data": {"name": "diabetes", "task": "regression"}, "space": {"learning_rate": 0.1}}
    with pytest.raises(UserError, match=r"training\.class_weights: a regression has no classes to weigh\. Remove it\."):
        check_config({**raw, "training": {"class_weights": "balanced"}}, "study.toml")
