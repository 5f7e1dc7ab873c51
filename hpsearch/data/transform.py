"""The preprocessing as one torch module, built from its JSON: training, `predict` and exported files all use it.

Every input of a table is of one of a few kinds (`INPUT_KINDS`): a number of a column with missing ones filled, whether it was missing,
the sine or cosine of a date's place in a year, week or day, whether a column's code is a certain one. So the whole transform is a selection
of columns for each of these and one standardising, whatever the number of columns; `torch.export` and ONNX can carry it.

N rows, P columns of the source, F inputs, p inputs of one kind. Numbers are as reading gives them: 0 or 1 for a boolean, a code for a
category, days since 1970 for a date, NaN where a cell is missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import isfinite, prod, tau
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.errors import StorageError, shown

PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}  # days: a date's season, day of the week, and hour
MISSING = -1.0  # the code of a missing category, since NaN equals nothing

# What an input can be: (filled [N, p], missing [N, p], value [p]) → [N, p], float64.
INPUT_KINDS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "number": lambda filled, missing, value: filled,
    "missing": lambda filled, missing, value: missing.double(),
    "sin": lambda filled, missing, value: torch.sin(_angle(filled, value)),
    "cos": lambda filled, missing, value: torch.cos(_angle(filled, value)),
    "code": lambda filled, missing, value: (filled == value).double(),
}

TAU = torch.tensor(tau, dtype=torch.float64)  # a tensor, since a number of the graph is a float32 in ONNX


@dataclass(frozen=True, slots=True)
class Input:
    """One input: a kind (of `INPUT_KINDS`) of a column, the value that the kind takes, and the standardising (x - mean) / scale."""

    column: int
    kind: str
    value: float = 0.0
    mean: float = 0.0
    scale: float = 1.0


class TableTransform(nn.Module):
    """A table's numbers [N, P] → inputs [N, F], float32."""

    fills: Tensor
    places: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, preprocessing: Mapping[str, Any]) -> None:
        super().__init__()
        columns = preprocessing["columns"]
        if not columns:
            raise ValueError("no columns")
        inputs = list(chain.from_iterable(_inputs_of(index, column) for index, column in enumerate(columns)))
        kinds = {input_.kind for input_ in inputs}
        self.inputs = len(inputs)
        self.names = [columns[input_.column]["name"] for input_ in inputs]  # of each input's column
        self.kinds = [kind for kind in INPUT_KINDS if kind in kinds]
        self.register_buffer("fills", _numbers(map(_fill, columns)))  # [P]
        self.register_buffer("mean", _numbers(input_.mean for input_ in inputs))  # [F]
        self.register_buffer("scale", _numbers(input_.scale for input_ in inputs))  # [F]
        order: list[int] = []  # of the inputs when those of one kind follow those of another
        for kind in self.kinds:
            alike = [index for index, input_ in enumerate(inputs) if input_.kind == kind]
            order += alike
            self.register_buffer(f"{kind}_columns", torch.tensor([inputs[index].column for index in alike]))  # [p]
            self.register_buffer(f"{kind}_values", _numbers(inputs[index].value for index in alike))  # [p]
        self.register_buffer("places", torch.tensor(order).argsort())  # [F]: where in that order each input lies

    def forward(self, numbers: Tensor) -> Tensor:
        """Return inputs [N, F] of numbers [N, P]."""
        numbers = numbers.double()
        missing = numbers.isnan()  # [N, P]
        filled = torch.where(missing, self.fills, numbers)  # [N, P]
        blocks = []
        for kind in self.kinds:
            columns = self.get_buffer(f"{kind}_columns")  # [p]
            values = self.get_buffer(f"{kind}_values")  # [p]
            compute = INPUT_KINDS[kind]
            blocks.append(compute(filled.index_select(1, columns), missing.index_select(1, columns), values))  # [N, p]
        inputs = torch.cat(blocks, dim=1).index_select(1, self.places)  # [N, F]
        return ((inputs - self.mean) / self.scale).float()


class ImageTransform(nn.Module):
    """Images [N, C, H, W], on the scale of those that were trained on → inputs [N, C·H·W], float32: standardised by channel, flat."""

    mean: Tensor
    scale: Tensor

    def __init__(self, preprocessing: Mapping[str, Any]) -> None:
        super().__init__()
        self.inputs = prod(map(int, preprocessing["shape"]))
        self.register_buffer("mean", _numbers(preprocessing["mean"])[:, None, None])  # [C, 1, 1]
        self.register_buffer("scale", _numbers(preprocessing["scale"])[:, None, None])  # [C, 1, 1]

    def forward(self, images: Tensor) -> Tensor:
        """Return inputs [N, C·H·W] of images [N, C, H, W]."""
        return ((images.double() - self.mean) / self.scale).flatten(1).float()


TRANSFORMS: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {"table": TableTransform, "images": ImageTransform}


def transform_of(preprocessing: Mapping[str, Any]) -> nn.Module:
    """Return the module that turns a source's numbers (or images) into inputs.

    Raises:
        StorageError: the preprocessing is not of this version, or damaged.
    """
    kind = preprocessing.get("kind")
    version = preprocessing.get("version")
    if kind not in TRANSFORMS or version != 1:
        what = "no preprocessing"
        if preprocessing:
            what = f"preprocessing of kind {shown(kind)}, version {shown(version)}"
        raise StorageError(f"the model carries {what}, so it cannot read rows. Run its study again with this version.")
    try:
        return TRANSFORMS[kind](preprocessing)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise StorageError(f"the model's preprocessing is damaged: {error!r}. Copy its files again.") from None


def check_preprocessing(preprocessing: Mapping[str, Any], inputs: int) -> None:
    """Refuse a preprocessing that does not make so many inputs, each of a number by a scale above 0.

    Raises:
        StorageError, ValueError, TypeError, KeyError: what is wrong with it.
    """
    if preprocessing["kind"] == "images":
        shape = [*preprocessing["shape"]]
        if len(shape) < 2 or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"images of shape {shown(shape)}")
        if len(preprocessing["mean"]) != shape[0]:
            raise ValueError(f"means of {len(preprocessing['mean'])} channels, images have {shape[0]}")
        check_scale("images", preprocessing["mean"], preprocessing["scale"])
        check_scale("images", [0], [preprocessing.get("divisor", 1)])
    else:
        for column in preprocessing["columns"]:
            _check_column(column)
        names = [column["name"] for column in preprocessing["columns"]]
        if len(set(names)) < len(names):
            raise ValueError("two columns of one name")
        _check_source(preprocessing)
    made = transform_of(preprocessing).inputs
    if made != inputs:
        raise ValueError(f"its preprocessing gives {made} inputs, its network takes {inputs}")


def _check_column(column: Mapping[str, Any]) -> None:
    name = column["name"]
    if not isinstance(name, str):
        raise ValueError(f"a column called {shown(name)}")
    if column["kind"] == "category":
        categories = column["categories"]
        if not all(isinstance(text, str) for text in categories) or len(set(categories)) < len(categories):
            raise ValueError(f"categories of column {shown(name)} that are none")
        return
    if column["kind"] not in ("number", "boolean", "date"):
        raise ValueError(f"column {shown(name)} is of an unknown kind {shown(column['kind'])}")
    check_scale(f"column {shown(name)}", column["mean"], column["scale"])
    if column["fill"] is not None:
        check_scale(f"column {shown(name)}", [column["fill"]], [1])
    needed = {"boolean": ("false", "true"), "date": ("format",)}.get(column["kind"], ())
    for key in needed:
        if not isinstance(column[key], str):
            raise ValueError(f"column {shown(name)} has no {key}")


def _check_source(preprocessing: Mapping[str, Any]) -> None:
    """Refuse what a table's preprocessing says of how its source was read, where it is not of the kinds that it should be."""
    reading = preprocessing.get("reading")
    reading = {} if reading is None else reading
    if not isinstance(reading, Mapping):
        raise ValueError(f"a reading that is {shown(reading)}")
    target = preprocessing.get("target")
    targets = [target] if isinstance(target, str) else _list_of([] if target is None else target, "target")
    marks = [reading.get(key) for key in ("separator", "encoding", "decimal", "thousands")]
    names = [*(entry["name"] for entry in preprocessing.get("dropped", ())), *targets]
    called = [*(column["name"] for column in preprocessing["columns"]), *names]
    for key in ("names", "missing_values"):
        names += _list_of(reading.get(key, []), key)
    for name, own in reading.get("numbers", {}).items():
        names.append(name)
        marks += [own["decimal"], own["thousands"]]
    if not all(isinstance(name, str) for name in names) or not all(
        mark is None or isinstance(mark, str) for mark in marks
    ):
        raise ValueError("its source was read by names or marks that are no text")
    if reading.get("header") not in (None, True, False):
        raise ValueError(f"a header that is {shown(reading['header'])}")
    if reading.get("header") is False and not all(name.isdecimal() for name in called):
        raise ValueError("columns with names, of a file without a line of names")


def _list_of(given: object, what: str) -> list[Any]:
    if not isinstance(given, list | tuple):
        raise ValueError(f"{what} that are {shown(given)}, a list expected")
    return [*given]


def check_scale(what: str, mean: Iterable[Any], scale: Iterable[Any]) -> None:
    """Refuse means and scales of two lengths, or that are no finite numbers, the scales above 0.

    Raises:
        ValueError: they are.
    """
    for center, spread in zip(mean, scale, strict=True):
        for number in (center, spread):
            if type(number) not in (int, float) or not isfinite(number):
                raise ValueError(f"{what} standardised by {shown(number)}")
        if spread <= 0:
            raise ValueError(f"{what} divided by {shown(spread)}")


def width(column: Mapping[str, Any]) -> int:
    """Return how many inputs a column becomes."""
    if column["kind"] == "category":
        return len(column["categories"]) + int(column["other"]) + int(column["missing"])
    return len(column.get("parts", ["days"])) + int(column["indicator"])


def _fill(column: Mapping[str, Any]) -> float:
    """Return the number that takes the place of a missing cell."""
    if column["kind"] == "category":
        return MISSING
    return column["fill"] or 0.0


def _inputs_of(index: int, column: Mapping[str, Any]) -> Iterator[Input]:
    """Yield a column's inputs in order."""
    if column["kind"] == "category":
        codes = len(column["categories"]) + bool(column.get("other"))
        yield from (Input(index, "code", code) for code in range(codes))
        if column.get("missing"):
            yield Input(index, "code", MISSING)
        return
    kinds = [_date_part(name) for name in column.get("parts", ["days"])]
    if column.get("indicator"):
        kinds.append(("missing", 0.0))
    for (kind, value), mean, scale in zip(kinds, column["mean"], column["scale"], strict=True):
        yield Input(index, kind, value, mean, scale)


def _angle(days: Tensor, period: Tensor) -> Tensor:
    """Return where in their period days are, as an angle: small, so that its sine is exact whatever the year."""
    turns = days / period
    return TAU * (turns - turns.floor())


def _date_part(name: str) -> tuple[str, float]:
    """Return the kind of input that a part of a date is, and its period: of "week_sin" ("sin", 7.0)."""
    if name == "days":
        return "number", 0.0
    period, wave = name.rsplit("_", 1)
    return wave, PERIODS[period]


def _numbers(values: Iterable[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)
