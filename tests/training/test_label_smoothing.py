"""Label smoothing: the loss is torch's own, or that of labels between 0 and 1; every engine trains on it (see `varied_spec`)."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from hpsearch.data.tasks import TASKS, mean_loss
from hpsearch.errors import UserError
from hpsearch.objective import Objective
from hpsearch.searching.run_options import check_labels
from hpsearch.space import Choice, SearchSpace
from hpsearch.training.fused.network import LOSSES
from tests.support.cohorts import plan_of, train_with, varied_spec
from tests.support.small import small_data

SHARE = 0.3


def expected_loss(task: str, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The smoothed loss of outputs [N, K] as torch has it."""
    if task == "multiclass":
        return F.cross_entropy(outputs, targets, label_smoothing=SHARE)
    return F.binary_cross_entropy_with_logits(outputs, targets * (1 - SHARE) + SHARE / 2)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_loss_is_torchs(task: str) -> None:
    """The reference's smoothed loss and the fused engine's, with its gradient, are torch's; no smoothing leaves them as they were."""
    data = small_data(task)
    targets = data.training.targets
    outputs = torch.randn(len(targets), data.outputs, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    outputs = (5 * outputs).requires_grad_()
    expected = expected_loss(task, outputs, targets)
    (slopes,) = torch.autograd.grad(expected, outputs)
    torch.testing.assert_close(mean_loss(TASKS[task], outputs, targets, None, SHARE), expected)
    both = outputs.detach().mT.expand(2, -1, -1)  # of two trials, one of them smoothed
    smoothing = torch.tensor([SHARE, 0.0], dtype=torch.float64).view(-1, 1, 1)
    losses, errors = LOSSES[task](both.clone(), targets, len(targets), None, smoothing)
    plain, plain_errors = LOSSES[task](both.clone(), targets, len(targets), None, None)
    torch.testing.assert_close(losses[0], expected.detach())
    torch.testing.assert_close(errors[0].T, slopes)
    assert torch.equal(losses[1], plain[1])
    assert torch.equal(errors[1], plain_errors[1])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_smoothing_is_used(task: str, batch_size: int) -> None:
    """A smoothed run is another than the same run without, and validation's loss is the one without smoothing."""
    data = small_data(task)
    spec = varied_spec(data, 0, batch_size=batch_size, dropout=0.0, label_smoothing=SHARE, learning_rate=1e-12)
    plain = replace(spec, number=1, label_smoothing=0.0)
    runs = train_with(plan_of("compiled", 1), [spec, plain], data)
    assert runs[0].history.training_loss != pytest.approx(runs[1].history.training_loss, rel=1e-3)
    assert runs[0].history.validation_loss == pytest.approx(runs[1].history.validation_loss, rel=1e-6)


def test_where_there_are_no_labels_it_is_refused() -> None:
    """A regression, and a loss of the user's own, refuse smoothing in one line; without it they train."""
    smoothed = SearchSpace({"label_smoothing": Choice((0.0, 0.1))})
    check_labels(small_data("binary"), smoothed)
    check_labels(small_data("regression"), SearchSpace({"label_smoothing": Choice((0.0,))}))
    with pytest.raises(UserError, match=r"space\.label_smoothing: a regression has no labels to smooth\. Remove it\."):
        Objective("diabetes", space={"label_smoothing": 0.1})
    own = small_data("binary").with_loss(F.binary_cross_entropy_with_logits)
    with pytest.raises(UserError, match=r"label_smoothing: the loss \S+ of your own takes labels as they are\. Remove"):
        check_labels(own, smoothed)
