"""Metrics against scikit-learn, losses and heads against their formulas, and the task that targets are taken for."""

from math import inf, log, nan

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor

from hpsearch.data.baseline import LABEL_STRATEGIES
from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS, choose_metric, infer_task
from hpsearch.errors import UserError

generator = torch.Generator().manual_seed(0)
VALUES = torch.randn(50, 2, generator=generator, dtype=torch.float64)
GUESSES = VALUES + 0.3 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
LABELS = torch.arange(50) % 4
CHANCES = torch.randn(50, 4, generator=generator, dtype=torch.float64).softmax(1)
TRUTHS = (torch.arange(50) % 2).double()[:, None]
CHANCE = torch.rand(50, 1, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "predictions", "targets", "expected"),
    [
        ("accuracy", CHANCES, LABELS, sklearn.metrics.accuracy_score(LABELS, CHANCES.argmax(1))),
        ("accuracy", CHANCE, TRUTHS, sklearn.metrics.accuracy_score(TRUTHS, CHANCE >= 0.5)),
        ("log_loss", CHANCES, LABELS, sklearn.metrics.log_loss(LABELS, CHANCES)),
        ("log_loss", CHANCE, TRUTHS, sklearn.metrics.log_loss(TRUTHS, CHANCE)),
        ("rmse", GUESSES, VALUES, sklearn.metrics.root_mean_squared_error(VALUES, GUESSES)),
        ("mae", GUESSES, VALUES, sklearn.metrics.mean_absolute_error(VALUES, GUESSES)),
        ("r2", GUESSES, VALUES, sklearn.metrics.r2_score(VALUES, GUESSES)),
        ("r2", GUESSES, VALUES * 0, sklearn.metrics.r2_score(VALUES * 0, GUESSES)),
        ("r2", VALUES * 0, VALUES * 0, sklearn.metrics.r2_score(VALUES * 0, VALUES * 0)),
    ],
)
def test_metric_equals_scikit_learns(name: str, predictions: Tensor, targets: Tensor, expected: float) -> None:
    """Each metric is scikit-learn's, for one and for several columns."""
    assert METRICS[name].of(predictions, targets) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "targets", "expected"),
    [
        ("accuracy", LABELS, 0),
        ("log_loss", LABELS, 10 * log(4)),
        ("log_loss", TRUTHS, 10 * log(2)),
        ("rmse", VALUES[:, :1], 10 * float(VALUES[:, 0].std(correction=0))),
        ("mae", VALUES[:, :1], 10 * float((VALUES[:, 0] - VALUES[:, 0].median()).abs().mean())),
        ("r2", VALUES, -1),
    ],
)
def test_worst(name: str, targets: Tensor, expected: float) -> None:
    """The worst value is the stated multiple of the best constant's."""
    assert METRICS[name].worst(targets) == pytest.approx(expected)


def test_certain_and_wrong_is_finite() -> None:
    """The log loss of a probability of 0 is finite, as scikit-learn's; NaN predictions stay NaN."""
    sure = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    value = METRICS["log_loss"].of(sure, torch.tensor([1, 1]))
    assert value == pytest.approx(sklearn.metrics.log_loss([1, 1], sure.numpy(), labels=[0, 1]), rel=1e-6)
    for name, targets in (("log_loss", TRUTHS), ("rmse", VALUES), ("mae", VALUES), ("r2", VALUES), ("r2", VALUES * 0)):
        assert np.isnan(METRICS[name].of(targets * nan, targets))


@pytest.mark.parametrize(
    ("task", "outputs", "targets", "expected"),
    [
        ("regression", GUESSES, VALUES, (GUESSES - VALUES).square().mean()),
        ("binary", GUESSES[:, :1], TRUTHS, sklearn.metrics.log_loss(TRUTHS, GUESSES[:, :1].sigmoid())),
        ("multiclass", CHANCES.log() + 3, LABELS, sklearn.metrics.log_loss(LABELS, CHANCES)),
    ],
)
def test_loss(task: str, outputs: Tensor, targets: Tensor, expected: float) -> None:
    """Each loss is the mean over rows of its formula, on raw outputs."""
    assert float(TASKS[task].loss(outputs, targets)) == pytest.approx(float(expected), rel=1e-12)


def test_losses_are_stable() -> None:
    """Logits of ±1,000 give the exact loss and gradient, where probabilities would give infinity."""
    logit = torch.tensor([[1000.0]], requires_grad=True)
    loss = TASKS["binary"].loss(logit, torch.zeros(1, 1))
    loss.backward()
    assert logit.grad is not None
    assert (float(loss.detach()), float(logit.grad)) == (1000, 1)
    assert float(TASKS["multiclass"].loss(torch.tensor([[1000.0, -1000.0]]), torch.tensor([1]))) == 2000


def test_heads() -> None:
    """Heads give values, one probability, probabilities that sum to 1; and each task knows its outputs."""
    assert TASKS["regression"].head(GUESSES) is GUESSES
    assert torch.equal(TASKS["binary"].head(GUESSES), GUESSES.sigmoid())
    assert torch.allclose(TASKS["multiclass"].head(GUESSES).sum(1), torch.ones(50, dtype=torch.float64))
    assert TASKS["regression"].outputs(2, 0) == 2
    assert TASKS["binary"].outputs(1, 2) == 1
    assert TASKS["multiclass"].outputs(1, 4) == 4


def test_rows_are_complete() -> None:
    """Every task has metrics, and one sentence on why its head and loss belong together; every metric has a trivial predictor."""
    for name, task in TASKS.items():
        assert task.name == name
        assert task.metrics
        assert task.reason.endswith(".")
        assert task.description
    strategies = {
        "classes": {"most_frequent", "prior", "constant"},
        "values": {"mean", "median"},
        "labels": set(LABEL_STRATEGIES),
    }
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.direction in ("maximize", "minimize")
        assert metric.baseline in strategies[metric.predicts]
        assert metric.description


def test_decoding_can_be_undone() -> None:
    """Decoded predictions of classes have a column for each class, and go back to what the head gave."""
    for name, predictions in (("binary", CHANCE), ("multiclass", CHANCES), ("regression", GUESSES)):
        decoded = TASKS[name].decode(predictions)
        assert torch.equal(TASKS[name].undo_decode(decoded), predictions)
        if TASKS[name].has_classes:
            assert torch.allclose(decoded.sum(1), torch.ones(50, dtype=torch.float64))


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (np.array(["a", "b"] * 10, dtype=object), "binary"),
        (np.array([True, False] * 10), "binary"),
        (np.array([3, 8] * 10), "binary"),
        (np.array([0.0, 1.0] * 10), "binary"),
        (np.array([0.5, 1.5] * 10), "regression"),
        (np.array(["a", "b", "c"] * 10, dtype=object), "multiclass"),
        (np.array([f"{i}" for i in range(100)], dtype=object), "multiclass"),
        (np.arange(1000) % 20, "multiclass"),
        (np.arange(100) % 20, "multiclass"),
        (np.arange(100) % 21, "regression"),
        (np.arange(420) % 21, "regression"),
        (np.arange(3132) % 29 + 1.0, "regression"),
        (np.arange(100_000) % 20, "multiclass"),
        (np.arange(100_000) % 21, "regression"),
        (np.array([f"{i % 21}" for i in range(420)], dtype=object), "multiclass"),
        (np.arange(100.0), "regression"),
        (np.full((20, 2), 0.5), "regression"),
        (np.array([[0, 1], [1, 1]] * 10), "multilabel"),
        (np.array([[True, False], [False, False]] * 10), "multilabel"),
    ],
)
def test_inference(targets: np.ndarray, task: str) -> None:
    """The stated rule picks the task, and gives a sentence."""
    found, reason = infer_task(targets)
    assert found.name == task
    assert reason.startswith("The target holds ")
    assert reason.endswith(".")


def test_many_whole_numbers_say_how_they_become_classes() -> None:
    """Whole numbers that are a regression for being many say which task takes them as classes, and that task takes them."""
    ages = np.arange(3132) % 29 + 1
    reason = infer_task(ages)[1]
    assert reason == (
        "The target holds whole numbers with 29 distinct values, so a number is predicted "
        "(task 'multiclass' predicts one of them as a class instead)."
    )
    assert infer_task(ages, "multiclass")[0].name == "multiclass"


def test_named_classes_are_classes() -> None:
    """A data set that names its classes has them, however few rows there are of each; an override still counts."""
    assert infer_task(np.arange(47), named_classes=47)[0].name == "multiclass"
    assert infer_task(np.arange(20) % 2, named_classes=2) == (TASKS["binary"], "The data set names its 2 classes.")
    assert infer_task(np.arange(47), "regression", named_classes=47)[0].name == "regression"


def test_override() -> None:
    """A task can be named where the targets allow it."""
    assert infer_task(np.arange(20) % 2, "multiclass")[0].name == "multiclass"
    assert infer_task(np.arange(20) % 2, "regression")[1].startswith("Asked for by name")


@pytest.mark.parametrize(
    ("targets", "task", "message"),
    [
        (
            np.arange(20) % 3,
            "binary",
            "task 'binary' needs 2 classes, but the target holds whole numbers with 3 distinct",
        ),
        (np.array(["a", "b"], dtype=object), "regression", "needs numbers, but the target holds text"),
        (np.array([0.5, 1]), "multiclass", "needs one column of classes .* holds numbers with fractions"),
        (np.zeros((3, 2)), "binary", "needs one column of classes .* several columns"),
        (np.arange(3), "multi", "unknown task 'multi'. Did you mean 'multiclass'"),
    ],
)
def test_override_that_cannot_work(targets: np.ndarray, task: str, message: str) -> None:
    """A task that these targets cannot have is refused in one line that says what it needs."""
    with pytest.raises(UserError, match=message):
        infer_task(targets, task)


def test_metric_fits_the_task() -> None:
    """The first metric is the default; one of another task or an unknown one is refused."""
    assert choose_metric(TASKS["regression"], None).name == "rmse"
    with pytest.raises(
        UserError, match=r"metric 'rmse' does not fit a binary task\. Choose one of: accuracy, balanced_accuracy, f1"
    ):
        choose_metric(TASKS["binary"], "rmse")
    with pytest.raises(UserError, match=r"unknown metric 'acuracy'\. Did you mean 'accuracy'"):
        choose_metric(TASKS["binary"], "acuracy")


def test_infinite_outputs_are_not_hidden() -> None:
    """An infinite prediction gives an infinite error, never a finite one."""
    assert METRICS["rmse"].of(VALUES * inf, VALUES) == inf
