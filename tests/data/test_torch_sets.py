"""torch's data sets and loaders: read once, in their own order, to the arrays that they hold; or refused with what is wrong."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from hpsearch.data import from_arrays
from hpsearch.data.cells import Array
from hpsearch.data.loaders import torch_sets
from hpsearch.data.loaders.torch_sets import read_set
from hpsearch.data.options import SplitOptions
from hpsearch.errors import UserError

X = torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
PAIRS = TensorDataset(X, Y)


class Items(Dataset[Any]):
    """A data set of a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        """Return an item; an IndexError ends other ways of reading."""
        return self.items[index]


class Endless(IterableDataset[Any]):
    """A stream of pairs without a length."""

    def __iter__(self) -> Iterator[Any]:
        return zip(X, Y, strict=True)


class Noisy(Dataset[Any]):
    """Pairs with a transform that draws."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Any:
        return X[index] + torch.randn(3), Y[index]


def reverse(rows: list[Any]) -> Any:
    """Collate pairs with the inputs negated."""
    return torch.stack([-x for x, _ in rows]), torch.stack([y for _, y in rows])


SETS: dict[str, Any] = {
    "tensors": PAIRS,
    "items": Items([(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)]),
    "lists": Items([[x.tolist(), y] for x, y in zip(X.double(), Y, strict=True)]),
    "subset": Subset(PAIRS, range(600)),
    "stream": Endless(),
    "loader": DataLoader(PAIRS, batch_size=7),
    "shuffled": DataLoader(PAIRS, batch_size=64, shuffle=True, drop_last=True),
    "one by one": DataLoader(PAIRS, batch_size=None),
    "stream one by one": DataLoader(Endless(), batch_size=None),
    "loader of a stream": DataLoader(Endless(), batch_size=50),
    "subset in any order": DataLoader(PAIRS, sampler=SubsetRandomSampler(range(599, -1, -1))),
}


@pytest.mark.parametrize("name", SETS)
def test_rows_are_read_in_order(name: str) -> None:
    """Whatever gives the rows, and in whatever order a loader draws them, they are the arrays, row by row."""
    inputs, targets = read_set(SETS[name])
    assert np.allclose(inputs, X.numpy(), atol=1e-7)
    assert np.array_equal(targets, Y.numpy())


def test_the_same_data_as_arrays() -> None:
    """A data set is the same data as its arrays, to the last bit; one of validation rows alone validates."""
    split = SplitOptions(test=60)
    data = from_arrays(DataLoader(PAIRS, batch_size=32, shuffle=True), split=split)
    plain = from_arrays(X, Y, split=split)
    assert data.summary["hash"] == plain.summary["hash"]
    assert torch.equal(data.training.inputs, plain.training.inputs)
    own = from_arrays(PAIRS, validation=Subset(PAIRS, range(40)), split=split)
    assert own.summary["rows"] == {"training": 540, "validation": 40, "test": 60}
    assert own.validation.targets[:, 0].tolist() == Y[:40].tolist()


def test_a_loaders_own_collating() -> None:
    """A loader's collating is used."""
    inputs, targets = read_set(DataLoader(PAIRS, batch_size=30, shuffle=True, collate_fn=reverse))
    assert np.array_equal(inputs, -X.numpy())
    assert np.array_equal(targets, Y.numpy())


def test_reading_draws_nothing_of_others() -> None:
    """A transform that draws gives the same rows each time, and torch's global random state stays as it was."""
    state = torch.get_rng_state()
    first, _ = read_set(Noisy())
    again, _ = read_set(DataLoader(Noisy(), batch_size=5, shuffle=True))
    assert np.array_equal(first, read_set(Noisy())[0])
    assert np.array_equal(again, read_set(DataLoader(Noisy(), batch_size=5, shuffle=True))[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_images() -> None:
    """Images of PIL have their channels first; texts are classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    items = [(Image.fromarray(one), "ab"[row % 2]) for row, one in enumerate(pixels)]
    inputs, targets = read_set(Items(items))
    assert np.array_equal(inputs, pixels.transpose(0, 3, 1, 2))
    assert targets.tolist() == ["a", "b"] * 10
    assert from_arrays(Items(items), split=SplitOptions(test=0)).shape == (3, 5, 4)


WRONG: dict[str, tuple[Any, str]] = {
    "inputs alone": (TensorDataset(X), r"items are \(Tensor\), \(input, target\) expected"),
    "dicts": (Items([{"x": 1, "y": 2}]), "items are a dict of 'x', 'y'"),
    "three": (TensorDataset(X, Y, Y), r"items are \(Tensor, Tensor, Tensor\)"),
    "none": (Items([]), "an? Items without rows"),
    "sizes": (Items([(X[0], 1), (X[0, :2], 1)]), r"item 1 of the data set has shape \(2,\), item 0 \(3,\)"),
    "numbers": (Items([(1.0, 1)] * 9), r"items of shape \(\), \[F\]"),
    "weighted": (
        DataLoader(PAIRS, sampler=WeightedRandomSampler([1.0] * 600, 600)),
        "WeightedRandomSampler draws rows by a rule",
    ),
    "drawn twice": (
        DataLoader(PAIRS, sampler=RandomSampler(PAIRS, replacement=True)),
        "RandomSampler draws rows by a rule",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str) -> None:
    """What gives no pairs, or rows by a rule of its own, is refused in one line that says what to give."""
    given, message = WRONG[name]
    with pytest.raises(UserError, match=message) as caught:
        read_set(given)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("given", [PAIRS, DataLoader(PAIRS), Endless()], ids=["set", "loader", "stream"])
def test_memory(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than memory holds are refused with their bytes and the limit, before all of them are read."""
    read = 0
    original = torch_sets._array

    def counted(value: Any) -> Array:
        nonlocal read
        read += 1
        return original(value)

    monkeypatch.setattr(torch_sets, "_array", counted)
    monkeypatch.setattr(torch_sets, "available", lambda: 4 * 1000)
    with pytest.raises(UserError, match=r"has \d,\d\d\d bytes, at most 1,000 can be read into memory"):
        read_set(given)
    assert read < 600


def test_targets_beside_a_set_are_refused() -> None:
    """A data set has its targets itself."""
    with pytest.raises(UserError, match=r"target: a torch Dataset gives \(input, target\) itself"):
        from_arrays(PAIRS, Y)
