"""What an exported model takes and gives, in words for whoever runs it without hpsearch: name, type, shape and content of each.

ONNX files of tables with text take a column each, as texts and numbers; all other files take the numbers of all columns in one tensor,
whose columns are listed one by one. The same rows stand on the screen and in the file's metadata.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hpsearch.errors import listed, shown
from hpsearch.model.models import Model, labels_of

MOST = 8  # categories that are listed in words; the model's description has them all
LABEL_TYPES = {"U": "string", "i": "int64", "f": "double"}  # by the kind of the labels' array
TEXT_KINDS = ("category", "boolean")  # of columns


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a file, or one column of it: `name`, element `type`, `shape` in words, and what it `holds`."""

    name: str
    type: str
    shape: str
    holds: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a file takes and gives."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def plain(self) -> dict[str, list[dict[str, str]]]:
        """Return both as plain values."""
        return {
            "inputs": [asdict(port) for port in self.inputs],
            "outputs": [asdict(port) for port in self.outputs],
        }

    def text(self) -> str:
        """Return both as text, a line each."""
        sides = [("input", port) for port in self.inputs] + [("output", port) for port in self.outputs]
        return "\n".join(f"{side} {port.name}: {port.type} {port.shape}, {port.holds}" for side, port in sides)


def of_columns(model: Model, names: Sequence[str]) -> tuple[Port, ...]:
    """Return the inputs of a file that takes each column by itself, texts as texts; `names` are its inputs'."""
    columns = model.preprocessing["columns"]
    return tuple(_input(name, column) for name, column in zip(names, columns, strict=True))


def of_numbers(model: Model, name: str) -> tuple[Port, ...]:
    """Return the input of a file that takes all columns in one tensor of numbers, or images; a table's columns follow, one by one."""
    given = model.preprocessing
    if given["kind"] == "images":
        return (Port(name, "double", _shape("rows", *given["shape"]), _pixels(given)),)
    columns = given["columns"]
    every = Port(name, "double", _shape("rows", len(columns)), "the columns of a row in this order")
    return (every, *(_number(f"{name}[:, {place}]", column) for place, column in enumerate(columns)))


def of_answers(model: Model, *, labelled: bool) -> tuple[Port, ...]:
    """Return the outputs; `labelled` files give the most probable label beside the probabilities."""
    if model.labels:
        order = f"a probability for each label, in this order: {listed(model.labels, MOST)}; from 0.5 on a row has it"
        return (Port("probabilities", "double", _shape("rows", len(model.labels)), order),)
    if not model.classes:
        units = "the predicted numbers, in the target's units"
        return (Port("prediction", "double", _shape("rows", len(model.target_mean)), units),)
    order = f"a probability for each class, in this order: {listed(model.classes, MOST)}"
    dtypes = {weight.dtype for weight in model.members[0].weights.values()}
    kind = "double" if torch.float64 in dtypes else "float"
    probabilities = Port("probabilities", kind, _shape("rows", len(model.classes)), order)
    if not labelled:
        return (probabilities,)
    label = LABEL_TYPES[labels_of(model).dtype.kind]
    return (Port("prediction", label, "[rows]", "the most probable class"), probabilities)


def _input(name: str, column: Mapping[str, Any]) -> Port:
    """Return a column as an input of its own; its name is told where the input could not have it."""
    holds = _text(column)
    if name != column["name"]:
        holds = f"column {shown(column['name'])}: {holds}"
    if column["kind"] in TEXT_KINDS:
        return Port(name, "string", "[rows, 1]", holds + _missing(column, "empty text"))
    return Port(name, "double", "[rows, 1]", holds + _missing(column, "NaN"))


def _number(name: str, column: Mapping[str, Any]) -> Port:
    """Return a column of a tensor of numbers."""
    holds = f"column {shown(column['name'])}: {_coded(column)}"
    return Port(name, "double", "[rows]", holds + _missing(column, "NaN"))


def _missing(column: Mapping[str, Any], mark: str) -> str:
    if column.get("fill", 0) is None:
        return "; must be there"
    return f"; {mark} where missing"


def _text(column: Mapping[str, Any]) -> str:
    """Return what a column holds whose texts are given as texts."""
    if column["kind"] == "category":
        return f"a text, seen in training: {listed(column['categories'], MOST)}"
    if column["kind"] == "boolean":
        return f"{shown(column['false'])} or {shown(column['true'])}"
    return _plain_number(column)


def _coded(column: Mapping[str, Any]) -> str:
    """Return what a column holds whose texts are given as numbers."""
    if column["kind"] not in TEXT_KINDS:
        return _plain_number(column)
    known = known_texts(column)
    codes = ", ".join(f"{place} {shown(text)}" for place, text in enumerate(known[:MOST]))
    if column["kind"] == "boolean":
        return codes
    if len(known) > MOST:
        codes += f" … {len(known) - 1}"
    return f"the place of its category: {codes}; {len(known)} for any other"


def _plain_number(column: Mapping[str, Any]) -> str:
    """Return what a column of numbers or dates holds."""
    if column["kind"] == "number":
        return "a number"
    hours = ""
    if any(name.startswith("day_") for name in column.get("parts", ())):
        hours = ", the time of day as its fraction (UTC)"
    return f"a date as days since 1970-01-01{hours}: 2024-03-01 is 19783"


def known_texts(column: Mapping[str, Any]) -> list[str]:
    """Return the texts of a column of text, that of code 0 first."""
    if column["kind"] == "category":
        return list(column["categories"])
    return [column["false"], column["true"]]


def _pixels(given: Mapping[str, Any]) -> str:
    pixels = "channels, rows and columns of pixels"
    if given.get("source", "arrays") != "arrays":
        return f"{pixels}, from 0 to {65_535 if given.get('bits') == 16 else 255}"
    unit = " (0 to 1)" if given["divisor"] != 1 else ""
    return f"{pixels}, on the scale of the images of the search{unit}"


def _shape(*sides: object) -> str:
    return f"[{', '.join(map(str, sides))}]"


def lines(ports: Sequence[Port], most: int, word: Callable[[str], str] = str) -> Iterator[str]:
    """Yield a table's lines for the screen: the first ports, and how many more there are; `word` says an English text in its language."""
    first = ports if len(ports) <= most else ports[: most - 1]
    names, types, shapes = (max(len(getattr(port, side)) for port in first) for side in ("name", "type", "shape"))
    for port in first:
        yield f"{port.name:<{names}}  {port.type:<{types}}  {port.shape:<{shapes}}  {word(port.holds)}"
    if len(first) < len(ports):
        yield word(f"… {len(ports) - len(first):,} more, which the file's metadata describe")
