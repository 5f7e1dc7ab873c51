"""The way from arrays to `Data`: shapes, splits, standardising, seeds, hash, summary."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from hpsearch.data import DATASETS, METRICS, TASKS, Data, from_arrays, load
from hpsearch.data.options import SplitOptions, TaskOptions
from tests.support.options import flat

MNIST_ROOT = Path(__file__).parents[3] / "shared/data"
with_mnist = pytest.mark.skipif(not (MNIST_ROOT / "MNIST/raw").is_dir(), reason=f"no MNIST in {MNIST_ROOT}")
EMBEDDED = [name for name, row in DATASETS.items() if row.kind == "embedded"]


def table(rows: int = 200, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).normal(5, 2, (rows, columns))


def labels(rows: int = 200, classes: int = 3) -> np.ndarray:
    return np.arange(rows) % classes


def same(one: Data, other: Data) -> bool:
    return all(
        torch.equal(getattr(one, part).inputs, getattr(other, part).inputs)
        and torch.equal(getattr(one, part).targets, getattr(other, part).targets)
        for part in ("training", "validation", "test")
    )


def test_import_needs_no_heavy_library() -> None:
    """The tables of names are there without torch, torchvision, scikit-learn or pandas."""
    code = (
        "import sys, hpsearch.data as d; assert d.DATASETS and d.TASKS and d.METRICS and callable(d.load); "
        "print([m for m in ('torch', 'torchvision', 'sklearn', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names() -> None:
    """The package shows its public names and refuses others by name."""
    import hpsearch.data

    names = {"DATASETS", "METRICS", "TASKS", "Data", "Rows", "from_arrays", "from_frame", "load", "load_file"}
    assert set(dir(hpsearch.data)) == names
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hpsearch.data.nothing  # noqa: B018


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded(name: str) -> None:
    """Every embedded data set loads without a folder, and its summary is JSON that agrees with its tensors."""
    data = load(name)
    summary = json.loads(json.dumps(data.summary))
    assert summary["rows"] == {p: len(getattr(data, p)) for p in ("training", "validation", "test")}
    assert summary["inputs"] == data.inputs == np.prod(data.shape)
    assert (summary["outputs"], summary["classes"]) == (data.outputs, list(data.classes))
    assert (summary["task"], summary["metric"], summary["direction"]) == (
        data.task.name,
        data.metric.name,
        data.metric.direction,
    )
    assert data.training.inputs.dtype == torch.float32
    assert np.isfinite(summary["worst"])
    assert len(summary["hash"]) == 64
    assert set(summary) == {
        *("name", "title", "source", "task", "task_reason", "metric", "direction", "head", "loss", "inputs", "shape"),
        *("outputs", "classes", "rows", "hash", "notices", "doubts", "worst"),
        *["reading"] * (data.task.name == "regression"),  # how far predictions go
    }


def test_embedded_tasks() -> None:
    """Each embedded data set is taken for what it is."""
    assert {name: load(name).task.name for name in EMBEDDED} == {
        "digits": "multiclass",
        "breast_cancer": "binary",
        "iris": "multiclass",
        "wine": "multiclass",
        "diabetes": "regression",
    }
    assert load("digits").shape == (1, 8, 8)
    assert load("iris").classes == ("setosa", "versicolor", "virginica")


@pytest.mark.parametrize(
    ("targets", "task", "shape", "dtype"),
    [
        (labels(200, 2), "binary", (1,), torch.float32),
        (labels(200, 3), "multiclass", (), torch.int64),
        (table(200, 1)[:, 0], "regression", (1,), torch.float32),
        (table(200, 2), "regression", (2,), torch.float32),
    ],
)
def test_targets_as_the_loss_takes_them(
    targets: np.ndarray, task: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Targets have the task's shape and type, and the loss of zero outputs is finite."""
    data = from_arrays(table(), targets)
    rows = data.validation
    assert data.task is TASKS[task]
    assert rows.targets.shape == (len(rows), *shape)
    assert rows.targets.dtype == dtype
    loss, value = data.score(torch.zeros(len(rows), data.outputs), rows)
    assert np.isfinite([loss, value]).all()


def test_parts_are_disjoint_and_complete() -> None:
    """Every row is in exactly one part, with the sizes that were asked."""
    split = from_arrays(np.arange(200.0)[:, None] ** 2, labels(), split=SplitOptions(validation=0.1, test=50))
    assert [len(split.training), len(split.validation), len(split.test)] == [130, 20, 50]
    seen = torch.cat((split.training.inputs, split.validation.inputs, split.test.inputs))
    assert len(seen.unique()) == 200


def test_stratified() -> None:
    """Each class has its share of each part within one row, and a rare one is missing nowhere."""
    targets = np.array([0] * 700 + [1] * 297 + [2] * 3)
    data = from_arrays(table(1000), targets)
    for rows, expected in ((data.training, 700), (data.validation, 150), (data.test, 150)):
        counts = rows.targets.bincount()
        assert len(rows) == expected
        assert counts[2] == 1
        assert abs(int(counts[0]) - 0.7 * expected) <= 1


def test_statistics_of_training_rows_only() -> None:
    """Training inputs and targets have mean 0 and deviation 1; changing other rows does not change them."""
    inputs, targets = table(), table(columns=1, seed=1)[:, 0]
    data = from_arrays(inputs, targets)
    rows = data.training
    assert torch.allclose(rows.inputs.mean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(rows.inputs.std(0, correction=0), torch.ones(3), atol=1e-6)
    assert torch.allclose(rows.targets.mean(), torch.zeros(()), atol=1e-6)
    shifted = inputs.copy()
    known = {float(x) for x in rows.inputs[:, 0]}
    scaled = (inputs[:, 0] - inputs[:, 0].mean()) / inputs[:, 0].std()
    order = np.argsort(np.argsort(scaled))
    everything = torch.cat((data.training.inputs, data.validation.inputs, data.test.inputs))[:, 0].sort().values
    for row, rank in enumerate(order):
        if float(everything[rank]) not in known:
            shifted[row] += 1000
    changed = from_arrays(shifted, targets)
    assert torch.equal(changed.training.inputs, rows.inputs)
    assert float(changed.validation.inputs.min()) > 100


def test_images_are_scaled_by_channel() -> None:
    """Images keep their shape, lie flat, and each channel, not each pixel, has mean 0 and deviation 1."""
    pixels = np.random.RandomState(0).randint(0, 256, (120, 3, 4, 5)).astype(np.uint8)
    pixels[:, 1] //= 16
    data = from_arrays(pixels, labels(120))
    assert data.shape == (3, 4, 5)
    assert data.training.inputs.shape == (84, 60)
    channels = data.training.inputs.reshape(-1, 3, 20)
    assert torch.allclose(channels.mean(dim=(0, 2)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(channels.std(dim=(0, 2), correction=0), torch.ones(3), atol=1e-5)
    assert not torch.allclose(channels[:, 0].mean(0), torch.zeros(20), atol=1e-2)
    assert from_arrays(pixels[:, 0], labels(120)).shape == (1, 4, 5)


def test_large_offsets_survive() -> None:
    """A column and a target with a mean of 1e9 and a deviation of 1 lose nothing to float32."""
    inputs, targets = table() + 1e9, table(columns=1, seed=1)[:, 0] + 1e9
    data, plain = from_arrays(inputs, targets), from_arrays(inputs - 1e9, targets - 1e9)
    assert torch.allclose(data.training.inputs, plain.training.inputs, atol=1e-5)
    outputs = torch.zeros(len(data.validation), 1)
    assert data.score(outputs, data.validation) == pytest.approx(plain.score(outputs, plain.validation), rel=1e-5)


def test_predictions_are_in_original_units() -> None:
    """A perfect network's outputs are predicted in the target's own units, and its error is 0 there."""
    targets = table(columns=2, seed=1) * 100
    data = from_arrays(table(), targets)
    predictions = data.predict(data.test.targets)
    nearest = (predictions[:, None] - torch.from_numpy(targets)[None]).abs().amax(2).amin(1)
    assert float(nearest.max()) < 1e-4
    assert data.score(data.test.targets, data.test) == (0, 0)


def test_seed_decides_the_split() -> None:
    """One seed gives one split; another gives another; the test rows depend on neither validation size nor cap."""

    def make(**options: Any) -> Data:
        return from_arrays(table(), labels(), **flat(**options))

    def raw(data: Data) -> torch.Tensor:
        return data.test.inputs[:, 0] - data.test.inputs[0, 0]

    assert same(make(seed=3), make(seed=3))
    assert not same(make(seed=3), make(seed=4))
    few, many = raw(make(validation=10)), raw(make(validation=60, rows=50))
    assert torch.allclose(few / few[1], many / many[1], atol=1e-4)


def test_cap_is_stratified() -> None:
    """`rows` keeps so many training rows, classes in equal shares, and says so."""
    data = from_arrays(table(), labels(), split=SplitOptions(rows=30))
    assert data.training.targets.bincount().tolist() == [10, 10, 10]
    assert data.summary["notices"] == ["Training rows capped at 30."]
    assert "all 140 used" in from_arrays(table(), labels(), split=SplitOptions(rows=9999)).summary["notices"][0]


def test_hash() -> None:
    """The hash changes with one cell, one label, the type and the split, and with nothing else."""
    inputs, targets = table(), labels()
    base = from_arrays(inputs, targets).summary["hash"]
    cell, label = inputs.copy(), targets.copy()
    cell[0, 0] += 1e-9
    label[0] = 1
    others = [
        from_arrays(cell, targets),
        from_arrays(inputs, label),
        from_arrays(inputs.astype(np.float32), targets),
        from_arrays(inputs, targets, split=SplitOptions(seed=1)),
        from_arrays(inputs, targets, split=SplitOptions(rows=50)),
        from_arrays(inputs, targets.astype(str)),
    ]
    assert len({base, *(data.summary["hash"] for data in others)}) == 7
    assert from_arrays(np.asfortranarray(inputs), targets, name="other").summary["hash"] == base
    assert from_arrays(inputs.astype(">f8"), targets).summary["hash"] == base


def test_labels_are_mapped() -> None:
    """Labels of any kind become 0 … C-1 in natural order and are kept as text."""
    cases = {
        ("item10", "item2", "item1"): ("item1", "item2", "item10"),
        (7, -100, 3): ("-100", "3", "7"),
        (10**30, 10**30 + 1, 4): ("4", str(10**30), str(10**30 + 1)),
        (1.0, 2.0, 5.0): ("1", "2", "5"),
        ("é\n<b>", "x", "9" * 5000): ("9" * 5000, "x", "é\n<b>"),
    }
    for given, expected in cases.items():
        data = from_arrays(table(30), np.array(given * 10, dtype=object))
        assert data.classes == expected
        assert data.training.targets.unique().tolist() == [0, 1, 2]
    assert from_arrays(table(30), np.arange(30) % 2 == 0).classes == ("False", "True")


def test_kinds_of_arrays() -> None:
    """Arrays, tensors, lists and frames with the same numbers give the same data."""
    inputs, targets = table().astype(np.float32), labels()
    base = from_arrays(inputs, targets)
    frame = pd.DataFrame(inputs, columns=["a", "b", "c"])
    for x, y in (
        (torch.tensor(inputs, requires_grad=True), torch.tensor(targets)),
        (inputs.tolist(), targets.tolist()),
        (frame, pd.Series(targets)),
        (frame.astype(object), pd.DataFrame({"y": targets})),
        (frame.convert_dtypes(), pd.Series(targets).astype("category")),
        (np.ma.masked_array(inputs), targets[:, None]),
    ):
        assert same(from_arrays(x, y), base)
    whole = np.ma.masked_array((inputs * 100).astype(int))
    assert same(from_arrays(whole, targets), from_arrays(whole.data, targets))
    half = from_arrays(torch.tensor(inputs).bfloat16(), targets)
    assert torch.allclose(half.training.inputs, base.training.inputs, atol=0.05)


def test_constant_columns_are_dropped() -> None:
    """Columns that are constant in the training rows go, with a notice that names them."""
    frame = pd.DataFrame(table(), columns=["a", "b", "c"]).assign(flat=1.0, zero=0)
    data = from_arrays(frame, labels())
    assert data.shape == (3,)
    assert data.summary["notices"] == [
        "Dropped 2 of 5 columns, constant in the training rows: 'flat', 'zero'.",
    ]
    dark = np.zeros((60, 2, 2, 2))
    dark[:, 0] = np.random.RandomState(0).rand(60, 2, 2)
    assert from_arrays(dark, labels(60)).summary["notices"] == ["Constant channels, left as zeros: 1."]


def test_to() -> None:
    """`to` casts floating tensors, leaves class numbers int64 and target statistics float64."""
    data = from_arrays(table(), labels()).to("cpu", torch.float64)
    assert data.training.inputs.dtype == torch.float64
    assert data.training.targets.dtype == torch.int64
    values = from_arrays(table(), table()).to("cpu", torch.float64)
    assert {values.test.targets.dtype, values.target_mean.dtype} == {torch.float64}
    halves = from_arrays(table(), table()).to("cpu", torch.bfloat16)
    assert halves.target_scale.dtype == torch.float64
    assert np.isfinite(halves.score(halves.test.targets, halves.test)).all()


def test_worst_is_worse_than_a_constant() -> None:
    """The value told for a failed trial is no better than that of a network which always gives zeros."""
    for targets in (labels(200, 2), labels(), table(columns=2, seed=1)):
        for name in from_arrays(table(), targets).task.metrics:
            data = from_arrays(table(), targets, task=TaskOptions(metric=name))
            value = data.score(torch.zeros(len(data.validation), data.outputs), data.validation)[1]
            worst = data.summary["worst"]
            assert worst < value if METRICS[name].direction == "maximize" else worst > value


@with_mnist
def test_mnist() -> None:
    """MNIST has 55,000 / 5,000 / 10,000 rows, stratified, its own test rows, and one mean and scale for all pixels."""
    data = load("mnist", root=MNIST_ROOT)
    assert [len(rows) for rows in (data.training, data.validation, data.test)] == [55_000, 5_000, 10_000]
    assert (data.shape, data.outputs, data.classes) == ((1, 28, 28), 10, tuple("0123456789"))
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.validation.targets.bincount().tolist() == [494, 562, 496, 511, 487, 452, 493, 522, 487, 496]
    assert abs(float(data.training.inputs.mean())) < 1e-5
    assert abs(float(data.training.inputs.std()) - 1) < 1e-5
    assert float(data.training.inputs.min()) == pytest.approx(-0.1307 / 0.3081, rel=0.01)
