"""torch's `Dataset` and `DataLoader`, read once into memory: an epoch is then an index into two tensors.

Rows are read in the data set's own order, whatever order a loader draws: which rows are in a batch is decided by the study's seed. A
transform that draws at random (an augmentation) is therefore drawn once for each row, from a seed of its own; nothing else draws of it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    default_collate,
)

from hpsearch.data.cells import Array, is_missing
from hpsearch.data.memory import available
from hpsearch.errors import UserError, shown

COPIES = 4  # bytes in use for each byte of the arrays: themselves, batches on their way, float32 inputs
BATCH = 256  # rows read at a time
SEED = 0  # of transforms that draw


def read_set(given: Any) -> tuple[Array, Array]:
    """Return the inputs [N, …] and targets [N, …] of a `Dataset` or a `DataLoader`.

    Raises:
        UserError: its items are no (input, target), differ in shape, or are more than memory holds; the loader draws rows by weight.
    """
    if isinstance(given, DataLoader) and given.batch_sampler is None and _length(given.dataset) is None:
        given = given.dataset  # a stream that is not batched
    if isinstance(given, DataLoader):
        batches, count = _of_loader(given), _length(given.dataset)
    else:
        batches, count = _batched(given), _length(given)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return _collect(batches, count, type(given).__name__)


def _length(given: Any) -> int | None:
    """Return how many rows there are, None where they are not told before they are read."""
    try:
        return len(given)
    except TypeError:
        return None


def _batched(dataset: Any) -> Iterator[Any]:
    """Yield the items of a data set in batches; a batch is lists of inputs and of targets."""
    if _length(dataset) is None and not hasattr(dataset, "__iter__"):
        raise UserError(f"inputs: {type(dataset).__name__} has no length. Give a Dataset with __len__ and __getitem__.")
    inputs: list[Array] = []
    targets: list[Any] = []
    for item in _items(dataset):
        one, target = _pair(item)
        inputs.append(_array(one))
        targets.append(_array(target))
        if len(inputs) == BATCH:
            yield inputs, targets
            inputs, targets = [], []
    if inputs:
        yield inputs, targets


def _items(dataset: Any) -> Iterator[Any]:
    count = _length(dataset)
    if count is None or not hasattr(dataset, "__getitem__"):
        yield from dataset
        return
    for index in range(count):
        yield dataset[index]


def _of_loader(loader: Any) -> Iterator[Any]:
    """Yield the batches of a loader by its own collating, rows in the data set's order."""
    for batch in _in_order(loader):
        inputs, targets = _pair(batch)
        yield list(_array(inputs)), list(_array(targets))


def _in_order(loader: Any) -> Any:
    """Return a loader that gives the same rows in the data set's order."""
    if _length(loader.dataset) is None:
        return loader
    batched = loader.batch_sampler
    collate = default_collate if batched is None else loader.collate_fn
    options: dict[str, Any] = {"batch_size": loader.batch_size or BATCH, "collate_fn": collate}
    if type(batched) not in (BatchSampler, type(None)):
        raise UserError(f"inputs: a DataLoader with a {type(batched).__name__}. Give its data set (loader.dataset).")
    sampler = loader.sampler
    if type(sampler) is SubsetRandomSampler:
        options["sampler"] = sorted(int(index) for index in sampler.indices)
    elif type(sampler) not in (RandomSampler, SequentialSampler) or getattr(sampler, "replacement", False):
        raise UserError(
            f"inputs: a DataLoader whose {type(sampler).__name__} draws rows by a rule of its own. Give its data set (loader.dataset)."
        )
    return DataLoader(loader.dataset, generator=torch.Generator().manual_seed(SEED), **options)


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, list | tuple) and len(item) == 2:
        return item[0], item[1]
    content = type(item).__name__
    if isinstance(item, list | tuple):
        content = f"({', '.join(type(value).__name__ for value in item[:4])}{', …' * (len(item) > 4)})"
    elif isinstance(item, dict):
        content = f"a dict of {', '.join(shown(key) for key in list(item)[:5])}"
    raise UserError(f"inputs: a data set whose items are {content}, (input, target) expected. Give pairs.")


def _array(value: Any) -> Array:
    """Return an input or a target as an array; a coloured image with its channels first."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.dtype == torch.bfloat16:  # NumPy has none
            value = value.float()
        return np.asarray(value.numpy())
    array = np.asarray(value)
    has_colours = hasattr(value, "getbands") and array.ndim == 3  # PIL's
    return array.transpose(2, 0, 1) if has_colours else array


def _collect(batches: Iterator[Any], count: int | None, name: str) -> tuple[Array, Array]:
    inputs: list[Array] = []
    targets: list[Any] = []
    for more, labels in batches:
        if not inputs:
            _check_size(more[0].nbytes * (count or len(more)), count, name)
        inputs += more
        targets += labels
        if count is None:
            _check_size(inputs[0].nbytes * len(inputs), len(inputs), name)
    if not inputs:
        raise UserError(f"inputs: a {name} without rows. Give one with some.")
    _check_shapes(inputs, "inputs")
    _check_shapes(targets, "target")
    stacked = np.stack(inputs)
    flat = stacked.ndim > 4 or (stacked.ndim == 1)
    if flat:
        raise UserError(f"inputs: items of shape {stacked.shape[1:]}, [F], [H, W] or [C, H, W] expected. Reshape them.")
    return stacked, _labels(targets)


def _labels(targets: list[Any]) -> Array:
    """Return targets as one array, texts and missing ones as objects."""
    cells = [target[()] if target.ndim == 0 else target for target in targets]
    if any(isinstance(cell, str) or is_missing(cell) for cell in cells if np.ndim(cell) == 0):
        return np.array(cells, dtype=object)
    return np.stack(targets)


def _check_shapes(rows: list[Array], what: str) -> None:
    first = rows[0].shape
    for number, row in enumerate(rows):
        if row.shape != first:
            raise UserError(
                f"{what}: item {number} of the data set has shape {row.shape}, item 0 {first}. Give all items one shape (a Resize, say)."
            )


def _check_size(size: int, count: int | None, name: str) -> None:
    """Refuse a data set that would not fit into memory, with its bytes and the limit."""
    free = available()
    if free is not None and COPIES * size > free:
        rows = f" of {count:,} rows" if count else ""
        raise UserError(
            f"inputs: a {name}{rows} has {size:,} bytes, at most {free // COPIES:,} can be read into memory here. "
            "Give fewer rows (torch.utils.data.Subset) or smaller images."
        )
