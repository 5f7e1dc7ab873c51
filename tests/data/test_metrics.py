"""Metrics by class against scikit-learn, on random, tied and degenerate predictions, and their intervals."""

import warnings
from dataclasses import replace
from math import isfinite, isnan, log

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor

from hpsearch.data import Data, Rows, from_arrays
from hpsearch.data.metrics import METRICS, confusion, total
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.data.tasks import TASKS
from hpsearch.searching.scoring import interval
from hpsearch.training import TrialQueue
from hpsearch.training.progress import Progress, Window
from tests.support.launches import Launches
from tests.support.small import small_data, small_spec
from tests.support.stand_in_device import stand_in_device

BY_CLASS = [name for name, metric in METRICS.items() if metric.by_class]
DTYPES = [torch.float32, torch.float64]
KINDS = ["random", "tied", "constant", "sure", "a class never predicted"]


def chances(kind: str, columns: int, dtype: torch.dtype, rows: int = 200) -> Tensor:
    """Probabilities [rows, columns] of classes, or [rows, 1] of the second of two."""
    logits = torch.randn(rows, max(columns, 2), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    logits = {
        "random": logits,
        "tied": logits.round(),
        "constant": logits * 0 + torch.arange(max(columns, 2)),
        "sure": logits * 1e4,
        "a class never predicted": logits - 50 * (torch.arange(max(columns, 2)) == 1),
    }[kind]
    found = logits.to(dtype).softmax(1)
    return found[:, 1:] if columns == 1 else found


def labels(classes: int, rows: int = 200) -> Tensor:
    """Class numbers [rows], the higher the rarer."""
    draws = torch.rand(rows, generator=torch.Generator().manual_seed(4))
    return (draws.square() * classes).long()


def scikit_learns(name: str, predictions: Tensor, targets: Tensor) -> float:
    """The same metric by scikit-learn."""
    known, given = targets.flatten().long().numpy(), predictions.numpy()
    several = targets.dim() == 1
    taken = given.argmax(1) if several else (given[:, 0] >= 0.5).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "balanced_accuracy":
            return float(sklearn.metrics.balanced_accuracy_score(known, taken))
        if name == "f1":
            average = "macro" if several else "binary"
            return float(sklearn.metrics.f1_score(known, taken, average=average, zero_division=0))
        if name == "mcc":
            return float(sklearn.metrics.matthews_corrcoef(known, taken))
        assert name == "roc_auc"
        if not several:
            return float(sklearn.metrics.roc_auc_score(known, given[:, 0]))
        present = np.unique(known)
        return float(np.mean([sklearn.metrics.roc_auc_score(known == c, given[:, c]) for c in present]))


@pytest.mark.parametrize("name", BY_CLASS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_scikit_learns(name: str, kind: str, dtype: torch.dtype) -> None:
    """Each metric is scikit-learn's for two and for five classes, with ties, one prediction for all, and classes never predicted."""
    compute = METRICS[name].of
    several, known = chances(kind, 5, dtype), labels(5)
    assert compute(several, known) == pytest.approx(scikit_learns(name, several, known), rel=1e-12)
    two, truths = chances(kind, 1, dtype), labels(2)[:, None].to(dtype)
    assert compute(two, truths) == pytest.approx(scikit_learns(name, two, truths), rel=1e-12)


def test_area_is_scikit_learns_one_against_the_rest() -> None:
    """With all classes present the area of several is scikit-learn's own macro average of one class against the rest."""
    given, known = chances("tied", 5, torch.float64), labels(5)
    expected = sklearn.metrics.roc_auc_score(known, given, multi_class="ovr", average="macro")
    assert METRICS["roc_auc"].of(given, known) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", BY_CLASS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_missing_class(name: str, dtype: torch.dtype) -> None:
    """Rows without one of the classes are measured on those that they have (macro F1: and those that are predicted)."""
    given, known = chances("random", 5, dtype), labels(4)
    assert METRICS[name].of(given, known) == pytest.approx(scikit_learns(name, given, known), rel=1e-12)


@pytest.mark.parametrize(("columns", "targets"), [(1, torch.ones(200, 1)), (5, torch.ones(200).long())])
def test_one_class_only(columns: int, targets: Tensor) -> None:
    """Of rows that are all of one class the area is NaN, without an error or a warning; the others are scikit-learn's."""
    given = chances("random", columns, torch.float32)
    assert isnan(METRICS["roc_auc"].of(given, targets))
    for name in ("balanced_accuracy", "f1", "mcc"):
        expected = scikit_learns(name, given, targets)
        assert METRICS[name].of(given, targets) == pytest.approx(expected, rel=1e-12)


def test_neither_known_nor_predicted() -> None:
    """F1 of a second class that is in no row and predicted for none is 0, as scikit-learn's with zero_division=0."""
    assert METRICS["f1"].of(torch.zeros(9, 1), torch.zeros(9, 1)) == 0


def test_nan_predictions_have_no_area() -> None:
    """Of NaN predictions, which can be sorted all the same, the area is NaN."""
    given = chances("random", 5, torch.float64)
    given[7, 2] = torch.nan
    assert isnan(METRICS["roc_auc"].of(given, labels(5)))


def test_area_against_counted_pairs() -> None:
    """The area is the share of pairs in the right order, counted one by one with ties as halves."""
    generator = np.random.default_rng(5)
    scores, known = generator.integers(0, 6, 40) / 6, generator.integers(0, 2, 40)
    pairs = [(a, b) for a in scores[known == 1] for b in scores[known == 0]]
    counted = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
    found = METRICS["roc_auc"].of(torch.tensor(scores)[:, None], torch.tensor(known)[:, None].double())
    assert found == pytest.approx(counted, rel=1e-14)


def test_area_is_quick() -> None:
    """The area, measured at every evaluation, takes as few operations of the device for 5,000 rows and 10 classes as for 50 and 3."""
    counts = []
    for rows, classes in ((50, 3), (5000, 10)):
        given, known = torch.rand(rows, classes).softmax(1), torch.arange(rows) % classes
        with Launches() as launches:
            METRICS["roc_auc"].of(given, known)
        counts.append(launches.count)
    assert counts[0] == counts[1] < 50


def classified(task: str, metric: str, rows: int = 300) -> tuple[Data, Tensor]:
    """Data whose test rows are a third of `rows`, and outputs for those that are often right."""
    generator = np.random.default_rng(6)
    known = (generator.random(rows) ** 2 * (2 if task == "binary" else 3)).astype(int)
    data = from_arrays(
        generator.normal(size=(rows, 3)),
        known,
        task=TaskOptions(task=task, metric=metric),
        split=SplitOptions(test=1 / 3),
    )
    data = data.to("cpu", torch.float64)
    noise = torch.from_numpy(generator.normal(size=(len(data.test), data.outputs)))
    if task == "binary":
        return data, 2 * data.test.targets - 1 + noise
    return data, 1.5 * torch.nn.functional.one_hot(data.test.targets) + noise


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", [*BY_CLASS, "log_loss"])
def test_interval(task: str, name: str) -> None:
    """The interval is scikit-learn's metric over a bootstrap of its own (within its noise), and holds the value."""
    data, outputs = classified(task, name)
    value = data.score(outputs, data.test)[1]
    low, high = interval(data, data.test, data.predict(outputs))
    known, given = data.test.targets, data.predict(outputs)
    groups = [np.flatnonzero(known.flatten().numpy() == c) for c in range(len(data.classes))]
    generator, found = np.random.default_rng(1), []
    for _ in range(150):
        whole = generator.integers(0, len(known), len(known))
        rows = (
            whole if name == "log_loss" else np.concatenate([generator.choice(group, len(group)) for group in groups])
        )
        sklearn_log_loss = name == "log_loss" and sklearn.metrics.log_loss(
            known[rows].flatten(), given[rows] if task == "multiclass" else given[rows, 0], labels=range(len(groups))
        )
        found.append(sklearn_log_loss or scikit_learns(name, given[rows], known[rows]))
    assert low < value < high
    assert (low, high) == pytest.approx(tuple(np.percentile(found, [2.5, 97.5])), abs=0.25 * (high - low))


def test_interval_of_rare_classes() -> None:
    """A class of one test row is in every resample; of test rows of one class alone the area's interval is NaN, without a warning."""
    data, outputs = classified("multiclass", "roc_auc")
    rare = data.test.targets.clone()
    rare[rare == 2] = 0
    rare[0] = 2
    narrow = replace(data, test=Rows(data.test.inputs, rare))
    assert all(map(isfinite, interval(narrow, narrow.test, data.predict(outputs))))
    alone = replace(data, test=Rows(data.test.inputs, rare * 0))
    assert all(map(isnan, interval(alone, alone.test, data.predict(outputs))))


def test_worst_is_finite() -> None:
    """What is told for a failed trial is the lowest that each of them can be: -1 for the correlation, else 0."""
    assert {name: METRICS[name].worst(labels(5)) for name in BY_CLASS} == dict.fromkeys(BY_CLASS, 0.0) | {"mcc": -1.0}


def test_no_value_is_better_than_perfect() -> None:
    """Every metric names its best value, at which intervals end: that of predictions which are all right."""
    for metric in METRICS.values():
        known = {"values": torch.rand(50, 2).double(), "classes": labels(3), "labels": torch.eye(3).double()}[
            metric.predicts
        ]
        said = torch.nn.functional.one_hot(known, 3).double() if metric.predicts == "classes" else known
        assert metric.perfect == pytest.approx(metric.of(said, known), abs=1e-9), metric.name


def test_a_metric_without_a_value() -> None:
    """A run whose loss is finite but whose metric is NaN fails and says so, not that its loss was at fault."""
    spec = small_spec(small_data(), evaluate_at=(1,))
    run = Progress(spec, True, 1).record(Window(torch.tensor([0.5]), (0.5, torch.nan), 0.0), dict, TrialQueue())
    assert run is not None
    assert run.detail == "diverged by update 1 (validation metric = nan)"


def test_tasks_offer_them() -> None:
    """Both tasks of classes have these metrics, and accuracy stays the first; guessing has the log loss that is stated."""
    for task in ("binary", "multiclass"):
        assert set(BY_CLASS) < set(TASKS[task].metrics)
        assert TASKS[task].metrics[0] == "accuracy"
    assert METRICS["log_loss"].worst(labels(5)) == 10 * log(5)


# ------------------------------------------------------------------ several networks at once


def outputs_of_networks(data: Data, networks: int) -> Tensor:
    """Random outputs [T, N, K] for the validation rows."""
    size = (networks, len(data.validation), data.outputs)
    return torch.randn(size, generator=torch.Generator().manual_seed(5)).to(data.training.inputs.dtype)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("task", TASKS)
def test_several_networks_have_the_metric_of_each(task: str, name: str) -> None:
    """The metrics of several networks are those of each, with and without weights of rows, one with NaN among them."""
    data = small_data(task)
    if name not in data.task.metrics:
        return
    metric, rows = METRICS[name], data.validation
    predictions = data.predict(outputs_of_networks(data, 4))
    predictions[2, 3] = float("nan")
    for weights in (None, torch.rand(len(rows), generator=torch.Generator().manual_seed(6), dtype=torch.float64)):
        found = metric.unread(predictions, data.original(rows.targets), weights)
        assert isinstance(found, Tensor)
        each = [metric.of(own, data.original(rows.targets), weights) for own in predictions]
        assert found.tolist() == pytest.approx(each, rel=1e-12, nan_ok=True)


def test_sums_on_a_device_are_those_of_torch() -> None:
    """Sums over rows or columns of any number are torch's up to rounding, and whole numbers' exactly."""
    with stand_in_device():
        for count in (1, 2, 3, 9, 10, 101, 4_000):
            values = torch.randn(5, count, 3, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
            for dim in (-1, -2):
                found = total(values.to("cuda"), dim).cpu()
                torch.testing.assert_close(found, values.sum(dim), atol=1e-12, rtol=1e-12)
                assert torch.equal(total(values.round().to("cuda"), dim).cpu(), values.round().sum(dim))


@pytest.mark.parametrize("name", BY_CLASS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_by_class_wait_for_a_device_as_often_for_many(name: str, weighted: bool) -> None:
    """Those that are computed on the host copy what they need of all networks at once."""
    here = small_data("multiclass").judged_by(METRICS[name])
    if weighted:
        here = replace(here, validation=replace(here.validation, weights=torch.ones(len(here.validation)).double()))
    found: list[int] = []
    with stand_in_device() as waits:
        there = here.to("cuda", torch.float64)
        for networks in (1, 8):
            outputs = outputs_of_networks(here, networks)
            moved = outputs.to("cuda")
            waits.all.clear()
            scores = there.scores(moved, there.validation)
            found.append(waits.all.total())
            for pair, own in zip(scores, outputs, strict=True):
                assert pair == pytest.approx(here.score(own, here.validation), rel=1e-12)
    assert found[0] == found[1] <= 4


ON_THE_HOST = ("balanced_accuracy", "f1", "mcc")  # from a small table of each network, which the device counts


@pytest.mark.parametrize("task", TASKS)
def test_many_networks_take_as_many_launches_as_few(task: str) -> None:
    """Scores of 8 and of 64 networks take the same number of operations, with and without weights of classes or rows."""
    data = small_data(task, torch.float32)
    weighted = replace(data, validation=replace(data.validation, weights=torch.ones(len(data.validation))))
    for name in set(data.task.metrics).difference(ON_THE_HOST):
        for asked in [data.judged_by(METRICS[name])] + [weighted.judged_by(METRICS[name])] * (name != "roc_auc"):
            counts = []
            for networks in (1, 8, 64):
                outputs = outputs_of_networks(asked, networks)
                with Launches() as launches:
                    asked.scores(outputs, asked.validation)
                counts.append(launches.count)
            assert counts[1] == counts[2] <= counts[0] + 2, (name, counts)
            assert counts[2] < 60, (name, counts)
    if data.classes:
        rows = data.validation
        counts = []
        for networks in (8, 64):
            predictions = data.predict(outputs_of_networks(data, networks))
            with Launches() as launches:
                confusion(predictions, rows.targets)
            counts.append(launches.count)
        assert counts[0] == counts[1] < 20


def test_an_interval_waits_for_a_device_a_few_times() -> None:
    """The bootstrap of a metric draws on the host, and has the interval of data that lie there."""
    data = small_data("multiclass").judged_by(METRICS["f1"])
    predictions = data.predict(outputs_of_networks(data, 1)[0])
    expected = interval(data, data.validation, predictions)
    with stand_in_device() as waits:
        there = data.to("cuda", torch.float64)
        on_device = predictions.to("cuda")
        waits.all.clear()
        assert interval(there, there.validation, on_device) == expected
        assert waits.all.total() <= 8
