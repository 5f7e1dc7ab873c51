"""The preprocessing as one torch module, built from its JSON: training, `predict` and exported files all use it.

Every input of a table is one of a few things (`PARTS`): a number of a column with missing ones filled, whether it was missing, the sine
or cosine of a date's place in a year, week or day, whether a column's code is a certain one. So the whole transform is a selection
of columns for each of these and one standardising, whatever the number of columns; `torch.export` and ONNX can carry it.

N rows, P columns of the source, F inputs, p inputs of one part. Numbers are as reading gives them: 0 or 1 for a boolean, a code for a
category, days since 1970 for a date, NaN where a cell is missing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod, tau
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.errors import StorageError, shown

PERIODS = {"year": 365.2425, "week": 7.0, "day": 1.0}  # days: a date's season, day of the week, and hour
MISSING = -1.0  # the code of a missing category, since NaN equals nothing

# What an input can be: (filled [N, p], missing [N, p], value [p]) → [N, p], float64.
PARTS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "number": lambda filled, missing, value: filled,
    "missing": lambda filled, missing, value: missing.double(),
    "sin": lambda filled, missing, value: torch.sin(_angle(filled, value)),
    "cos": lambda filled, missing, value: torch.cos(_angle(filled, value)),
    "code": lambda filled, missing, value: (filled == value).double(),
}

TAU = torch.tensor(tau, dtype=torch.float64)  # a tensor, since a number of the graph is a float32 in ONNX


@dataclass(frozen=True, slots=True)
class InputPart:
    """One input: a part (of `PARTS`) of a column, the value that the part takes, and the standardising (x - mean) / scale."""

    column: int
    part: str
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
        entries = [entry for index, column in enumerate(columns) for entry in _parts_of(index, column)]
        fills = [MISSING if column["kind"] == "category" else column["fill"] or 0.0 for column in columns]
        chosen = {part: [i for i, entry in enumerate(entries) if entry.part == part] for part in PARTS}
        self.inputs = len(entries)
        self.names = [columns[entry.column]["name"] for entry in entries]  # of each input's column
        self.parts = [part for part in PARTS if chosen[part]]
        order = torch.tensor(
            [place for part in self.parts for place in chosen[part]]
        )  # the parts' inputs, one after another
        self.register_buffer("fills", _numbers(fills))  # [P]
        self.register_buffer("places", order.argsort())  # [F]: where among them each input lies
        self.register_buffer("mean", _numbers(entry.mean for entry in entries))  # [F]
        self.register_buffer("scale", _numbers(entry.scale for entry in entries))  # [F]
        for part in self.parts:
            self.register_buffer(f"{part}_columns", torch.tensor([entries[i].column for i in chosen[part]]))  # [p]
            self.register_buffer(f"{part}_values", _numbers(entries[i].value for i in chosen[part]))  # [p]

    def forward(self, numbers: Tensor) -> Tensor:
        """Return inputs [N, F] of numbers [N, P]."""
        numbers = numbers.double()
        missing = numbers.isnan()  # [N, P]
        filled = torch.where(missing, self.fills, numbers)  # [N, P]
        found = []
        for part in self.parts:
            columns, values = self.get_buffer(f"{part}_columns"), self.get_buffer(f"{part}_values")
            chosen = filled.index_select(1, columns), missing.index_select(1, columns)  # [N, p] each
            found.append(PARTS[part](*chosen, values))  # [N, p]
        inputs = torch.cat(found, dim=1).index_select(1, self.places)  # [N, F]
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
    kind, version = preprocessing.get("kind"), preprocessing.get("version")
    if kind not in TRANSFORMS or version != 1:
        what = f"preprocessing of kind {shown(kind)}, version {shown(version)}" if preprocessing else "no preprocessing"
        raise StorageError(f"the model carries {what}, so it cannot read rows. Run its study again with this version.")
    try:
        return TRANSFORMS[kind](preprocessing)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise StorageError(f"the model's preprocessing is damaged: {error!r}. Copy its files again.") from None


def _parts_of(index: int, column: Mapping[str, Any]) -> Iterator[InputPart]:
    """Yield a column's inputs in order."""
    if column["kind"] == "category":
        count = len(column["categories"])
        yield from (InputPart(index, "code", code) for code in range(count + bool(column.get("other"))))
        if column.get("missing"):
            yield InputPart(index, "code", MISSING)
        return
    parts = [_part(name) for name in column.get("parts", ["days"])]
    if column.get("indicator"):
        parts.append(("missing", 0.0))
    for (part, value), mean, scale in zip(parts, column["mean"], column["scale"], strict=True):
        yield InputPart(index, part, value, mean, scale)


def _angle(days: Tensor, period: Tensor) -> Tensor:
    """Return where in their period days are, as an angle: small, so that its sine is exact whatever the year."""
    turns = days / period
    return TAU * (turns - turns.floor())


def _part(name: str) -> tuple[str, float]:
    """Return the part that a date's JSON names, and its period."""
    if name == "days":
        return "number", 0.0
    period, turn = name.rsplit("_", 1)
    return turn, PERIODS[period]


def _numbers(values: Sequence[float] | Iterator[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)
