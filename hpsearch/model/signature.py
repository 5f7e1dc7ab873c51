"""What an exported model takes and gives, in words for whoever runs it without hpsearch: name, type, shape and content of each.

ONNX files of tables with text take a column each, as texts and numbers; all other files take the numbers of all columns in one tensor,
whose columns are listed one by one. The same rows stand on the screen and in the file's metadata.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.errors import listed, shown
from hpsearch.model.models import Model, labels_of

MOST = 8  # categories that are listed in words; the model's description has them all
LABELS = {"U": "string", "i": "int64", "f": "double"}  # their type by the kind of their array


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
        rows = {"inputs": self.inputs, "outputs": self.outputs}
        return {
            side: [{"name": p.name, "type": p.type, "shape": p.shape, "holds": p.holds} for p in ports]
            for side, ports in rows.items()
        }

    def text(self) -> str:
        """Return both as text, a line each."""
        sides = (("input", self.inputs), ("output", self.outputs))
        return "\n".join(f"{side} {p.name}: {p.type} {p.shape}, {p.holds}" for side, ports in sides for p in ports)


def of_columns(model: Model, names: Sequence[str]) -> tuple[Port, ...]:
    """Return the inputs of a file that takes each column by itself, texts as texts; `names` are its inputs'."""
    columns = model.preprocessing["columns"]
    return tuple(_column(name, column) for name, column in zip(names, columns, strict=True))


def of_numbers(model: Model, name: str) -> tuple[Port, ...]:
    """Return the input of a file that takes all columns in one tensor of numbers, or images; a table's columns follow, one by one."""
    given = model.preprocessing
    if given["kind"] == "images":
        return (Port(name, "double", _shape("rows", *given["shape"]), _pixels(given)),)
    columns = given["columns"]
    whole = Port(name, "double", _shape("rows", len(columns)), "the columns of a row in this order")
    return (whole, *(_number(f"{name}[:, {place}]", column) for place, column in enumerate(columns)))


def of_answers(model: Model, *, labelled: bool) -> tuple[Port, ...]:
    """Return the outputs; `labelled` files give the most probable label beside the probabilities."""
    if not model.classes:
        units = "the predicted numbers, in the target's units"
        return (Port("prediction", "double", _shape("rows", len(model.target_mean)), units),)
    order = f"a probability for each class, in this order: {listed(model.classes, MOST)}"
    kind = "double" if _double(model) else "float"
    label = Port("prediction", LABELS[labels_of(model).dtype.kind], "[rows]", "the most probable class")
    return (*([label] if labelled else []), Port("probabilities", kind, _shape("rows", len(model.classes)), order))


def _column(name: str, column: Mapping[str, Any]) -> Port:
    """Return a column as an input of its own."""
    kind = "string" if column["kind"] in ("category", "boolean") else "double"
    return Port(
        name, kind, "[rows, 1]", f"{_own(name, column)}{AS_TEXT[column['kind']](column)}{_missing(column, kind)}"
    )


def _number(name: str, column: Mapping[str, Any]) -> Port:
    """Return a column of a tensor of numbers."""
    holds = f"column {shown(column['name'])}: {AS_NUMBER[column['kind']](column)}{_missing(column, 'double')}"
    return Port(name, "double", "[rows]", holds)


def _own(name: str, column: Mapping[str, Any]) -> str:
    """Return whose column it is where the input could not have its name."""
    return "" if name == column["name"] else f"column {shown(column['name'])}: "


def _missing(column: Mapping[str, Any], kind: str) -> str:
    if column.get("fill", 0) is None:
        return "; must be there"
    return "; empty text where missing" if kind == "string" else "; NaN where missing"


def _days(column: Mapping[str, Any]) -> str:
    timed = any(name.startswith("day_") for name in column.get("parts", ()))
    hours = ", the time of day as its fraction (UTC)" if timed else ""
    return f"a date as days since 1970-01-01{hours}: 2024-03-01 is 19783"


def _texts(column: Mapping[str, Any]) -> str:
    return f"a text, seen in training: {listed(column['categories'], MOST)}"


def _codes(column: Mapping[str, Any]) -> str:
    known = column["categories"]
    places = _coded(known[:MOST]) + (f" … {len(known) - 1}" if len(known) > MOST else "")
    return f"the place of its category: {places}; {len(known)} for any other"


def _coded(texts: Sequence[str]) -> str:
    return ", ".join(f"{place} {shown(text)}" for place, text in enumerate(texts))


AS_TEXT: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "number": lambda column: "a number",
    "date": _days,
    "boolean": lambda column: f"{shown(column['false'])} or {shown(column['true'])}",
    "category": _texts,
}
AS_NUMBER: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "number": lambda column: "a number",
    "date": _days,
    "boolean": lambda column: _coded([column["false"], column["true"]]),
    "category": _codes,
}


def _pixels(given: Mapping[str, Any]) -> str:
    if given.get("source", "arrays") == "arrays":
        unit = given["divisor"] != 1
        return f"channels, rows and columns of pixels, on the scale of the images of the search{' (0 to 1)' * unit}"
    return "channels, rows and columns of pixels, from 0 to 255"


def _double(model: Model) -> bool:
    return any(str(tensor.dtype) == "torch.float64" for tensor in model.members[0].weights.values())


def _shape(*sides: object) -> str:
    return f"[{', '.join(map(str, sides))}]"


def lines(ports: Sequence[Port], most: int) -> Iterator[str]:
    """Yield a table's lines for the screen: the first ports, and how many more there are."""
    shown_ports = ports if len(ports) <= most else ports[: most - 1]
    wide = [max(len(getattr(port, side)) for port in shown_ports) for side in ("name", "type", "shape")]
    for port in shown_ports:
        yield f"{port.name:<{wide[0]}}  {port.type:<{wide[1]}}  {port.shape:<{wide[2]}}  {port.holds}"
    if len(shown_ports) < len(ports):
        yield f"… {len(ports) - len(shown_ports):,} more, which the file's metadata describe"
