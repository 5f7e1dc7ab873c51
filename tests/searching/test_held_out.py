"""What is fitted to predictions of held-out rows: shares, a temperature, errors; each against what made the rows."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from hpsearch.data import Data, from_arrays
from hpsearch.data.options import TaskOptions
from hpsearch.data.target_form import TargetForm
from hpsearch.model.intervals import HeldOutErrors
from hpsearch.searching.held_out import (
    FEWEST_ROWS,
    HeldOut,
    absolute_errors,
    fitted,
    greedy_counts,
    metric_values,
    shares_of,
    standard_error,
    temperature,
)
from hpsearch.searching.loop import unlike_first
from hpsearch.trial import Architecture, Outcome, TrainingRun, TrialSpec
from tests.support.stand_in_device import stand_in_device


def made(task: str, rows: int, seed: int = 0) -> tuple[Data, Tensor]:
    """Data whose validation rows are so many, and the logits or values [rows, K] that their targets were drawn from."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(2 * rows, 3))
    signal = 2 * inputs[:, 0] + inputs[:, 1]
    if task == "regression":
        targets = 50 + 10 * (signal + generator.normal(size=2 * rows))
    elif task == "binary":
        targets = (generator.random(2 * rows) < 1 / (1 + np.exp(-signal))).astype(int)
    else:
        chances = np.exp(np.stack([signal, 0 * signal, -signal], axis=1))
        chances /= chances.sum(axis=1, keepdims=True)
        targets = (generator.random((2 * rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    data = from_arrays(inputs, targets, task=TaskOptions(task=task)).to("cpu", torch.float64)
    every = torch.from_numpy(inputs)
    scaled = data.validation.inputs * every.std(dim=0, unbiased=False) + every.mean(dim=0)
    truth = 2 * scaled[:, 0] + scaled[:, 1]
    if task == "regression":
        return data, ((50 + 10 * truth)[:, None] - data.target_mean) / data.target_scale
    if task == "binary":
        return data, truth[:, None]
    return data, torch.stack([truth, 0 * truth, -truth], dim=1)


def held(data: Data, *candidates: Tensor) -> HeldOut:
    """Held-out predictions of one seed, of the outputs [N, K] of each candidate."""
    predictions = torch.stack([data.task.head(outputs) for outputs in candidates])[None]
    return HeldOut(data, predictions, data.validation, None, ((data, len(data.validation)),))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_temperature_undoes_overconfidence(task: str) -> None:
    """Logits three times too large get a temperature near 3; the loss falls on rows that did not fit it, no row changes its class."""
    data, truth = made(task, 3_000)
    sure = held(data, 3 * truth)
    found = fitted(sure, 0, several=False)
    assert found.temperature == pytest.approx(3, rel=0.25)
    assert found.loss < found.plain_loss - 0.05
    before = sure.predictions[0, 0]
    assert torch.equal(found.predictions[0].argmax(dim=1), before.argmax(dim=1))
    if task == "binary":
        assert torch.equal(found.predictions[0] >= 0.5, before >= 0.5)


def test_no_temperature_is_fitted_to_few_rows_or_without_gain() -> None:
    """Below `FEWEST_ROWS` rows probabilities stay as they are, however sure; so do predicted numbers."""
    data, truth = made("binary", 3_000)
    few = replace(data, validation=data.validation.take(slice(FEWEST_ROWS - 1)))
    assert fitted(held(few, 3 * truth[: FEWEST_ROWS - 1]), 0, several=False).temperature == 1
    numbers, values = made("regression", 400)
    assert fitted(held(numbers, values), 0, several=False).temperature == 1


def test_the_error_of_a_temperature_s_logarithm_is_two_over_the_root_of_the_rows() -> None:
    """Of probabilities that are right, the fitted temperature's logarithm scatters by about 2 / √rows around 0."""
    data, truth = made("binary", 4_000)
    right = held(data, truth)
    size = 200
    chosen = torch.arange(len(right)).split(size)
    found = [log(temperature(right, right.predictions[:, 0, rows], rows)) for rows in chosen if len(rows) == size]
    assert 1 / size**0.5 < np.std(found) < 4 / size**0.5


def test_greedy_selection_finds_the_shares_of_two_that_err_apart() -> None:
    """Of two candidates with independent errors of one size each gets half, one that errs ten times as much next to nothing."""
    data, truth = made("regression", 2_000)
    generator = torch.Generator().manual_seed(1)
    errors = (
        torch.randn(3, *truth.shape, generator=generator, dtype=torch.float64)
        * torch.tensor([1.0, 1.0, 10.0])[:, None, None]
    )
    candidates = held(data, *(truth + errors))
    shares = shares_of(greedy_counts(candidates, torch.arange(len(candidates))))
    assert shares[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.1)
    assert shares[2] <= 0.05
    together, alone = (fitted(candidates, 0, several=several) for several in (True, False))
    assert together.loss < 0.7 * alone.loss


def test_an_unsure_winner_is_not_mixed_with_worse_networks_that_are_sure() -> None:
    """Logits of a sixth need a temperature and no other network, though the mean with a worse and surer one has a lower loss."""
    data, truth = made("multiclass", 3_000)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    candidates = held(data, truth / 6, truth + noise)
    chosen = torch.arange(len(candidates))
    mixed = candidates.together([0.5, 0.5])
    assert candidates.loss(mixed, chosen) < candidates.loss(candidates.predictions[:, 0], chosen)
    assert shares_of(greedy_counts(candidates, chosen))[0] > 0.9
    together, alone = (fitted(candidates, 0, several=several) for several in (True, False))
    assert together.loss <= alone.loss * 1.01


def test_shares_and_temperature_are_fitted_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss of the fit is computed on one thread, and afterwards there are as many as before."""
    data, truth = made("multiclass", 300)
    candidates = held(data, truth, 3 * truth)
    loss = HeldOut.loss
    threads = []

    def counted_loss(self: HeldOut, predictions: Tensor, chosen: Tensor) -> Tensor:
        threads.append(torch.get_num_threads())
        return loss(self, predictions, chosen)

    monkeypatch.setattr(HeldOut, "loss", counted_loss)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fitted(candidates, 0, several=True)
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert set(threads) == {1}
    assert after == 2


def test_the_winner_alone_is_kept_where_others_only_add_errors() -> None:
    """A candidate that is the winner plus noise gets no share, and the ensemble's cross-fitted loss is the winner's."""
    data, truth = made("regression", 500)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    candidates = held(data, truth, truth + 5 * noise)
    together = fitted(candidates, 0, several=True)
    assert together.shares.tolist() == [1, 0]
    assert together.loss == fitted(candidates, 0, several=False).loss


def test_the_standard_error_is_that_of_the_paired_losses_of_rows() -> None:
    """Written out with NumPy it is the same number; two that predict alike have none, a loss of the user's own has no losses of rows."""
    data, truth = made("regression", 400)
    noise = torch.randn(2, *truth.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    candidates = held(data, *(truth + noise))
    together, alone = (fitted(candidates, 0, several=several) for several in (True, False))
    known = data.validation.targets.numpy()
    squares = [(fit.predictions[0].numpy() - known)[:, 0] ** 2 for fit in (together, alone)]
    expected = np.std(squares[0] - squares[1], ddof=1) / np.sqrt(len(known))
    assert standard_error(candidates, together, alone) == pytest.approx(expected)
    assert standard_error(candidates, alone, alone) == 0
    own = replace(candidates, data=data.with_loss(torch.nn.functional.l1_loss))
    assert standard_error(own, together, alone) == 0


def test_errors_are_in_the_target_s_units_and_give_conformal_half_widths() -> None:
    """The half width at a level is the error of rank ⌈(n + 1) · level⌉ in the target's units; a thinned list never gives a lower one."""
    data, truth = made("regression", 1_700)
    rows = len(data.validation)
    one = held(data, truth)
    (kept,) = absolute_errors(one, one.predictions[:, 0])
    by_hand = (data.original(truth) - data.original(data.validation.targets)).abs().flatten().sort().values.tolist()
    errors = HeldOutErrors(rows, (tuple(kept),))
    for level in (0.5, 0.9, 0.99):
        exact = by_hand[int(np.ceil((rows + 1) * level)) - 1]
        (half,) = errors.half_widths(level)
        assert exact - 1e-9 <= half <= exact * 1.02
    assert max(kept) == pytest.approx(by_hand[-1])


def test_errors_are_of_predictions_within_the_range() -> None:
    """A prediction beyond what is possible counts as the end of the range, as `predict` gives it, in errors and in the metric."""
    data, truth = made("regression", 300)
    data = replace(data, target_form=TargetForm((40.0,), (60.0,)))
    far = held(data, 100 * truth)
    predictions = far.predictions[:, 0]
    (errors,) = absolute_errors(far, predictions)
    known = data.original(data.validation.targets)
    by_hand = (data.original(100 * truth).clamp(40, 60) - known).abs().flatten().sort().values
    assert errors == pytest.approx(by_hand.tolist())
    assert metric_values(far, predictions) == [pytest.approx(data.metric.of(data.predict(100 * truth), known))]


def test_leaders_are_unlike_before_they_are_twins() -> None:
    """The best stays; a worse trial of another kind comes before a twin of it, and twins fill up; the order is by rank."""

    def leader(number: int, optimizer: str, activation: str, depth: int) -> tuple[TrainingRun, TrialSpec]:
        architecture = Architecture(4, (8,) * depth, 2, activation)
        spec = TrialSpec(number, 0, 0, architecture, optimizer, 0.1, 16, (1,))
        return TrainingRun(number, Outcome.FINISHED, None), spec  # type: ignore[arg-type]

    ranked = [
        leader(0, "adam", "relu", 2),
        leader(1, "adam", "relu", 2),
        leader(2, "adam", "relu", 1),
        leader(3, "adam", "relu", 2),
        leader(4, "momentum", "relu", 2),
    ]
    assert [spec.number for _, spec in unlike_first(ranked, 3)] == [0, 2, 4]
    assert [spec.number for _, spec in unlike_first(ranked, 4)] == [0, 1, 2, 4]


def on_device(here: HeldOut) -> HeldOut:
    """The same on the stand-in device."""
    data = here.data.to("cuda", here.predictions.dtype)
    return HeldOut(data, here.predictions.to("cuda"), data.validation, None, ((data, len(data.validation)),))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_device_is_waited_for_a_few_times(task: str) -> None:
    """Shares and temperature come from a device with the same loss, and with as many waits however many losses were compared."""
    data, truth = made(task, 600)
    noise = torch.randn(4, *truth.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here = held(data, *(scale * truth + own for scale, own in zip((1, 1, 2, 0.5), noise, strict=True)))
    expected = fitted(here, 0, several=True)
    with stand_in_device() as waits:
        there = on_device(here)
        waits.all.clear()
        found = fitted(there, 0, several=True)
        assert waits.all.total() <= 4
        assert found.loss == pytest.approx(expected.loss, rel=5e-3)
        assert found.shares.tolist() == pytest.approx(expected.shares.tolist(), abs=0.05)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_temperature_of_a_device_is_the_host_s(task: str) -> None:
    """The lowest loss is found at the same temperature by comparing points on a device, at both ends of the range too."""
    data, truth = made(task, 600)
    chosen = torch.arange(len(data.validation))
    for scale in (0.01, 0.5, 1, 4, 50):
        here = held(data, scale * truth)
        expected = float(temperature(here, here.predictions[:, 0], chosen))
        with stand_in_device():
            there = on_device(here)
            found = float(temperature(there, there.predictions[:, 0], chosen.to("cuda")))
        assert found == pytest.approx(expected, rel=2e-3)
