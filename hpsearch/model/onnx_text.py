"""Texts in an ONNX file: a column of them becomes codes, read as a table's cells are, with blanks at both ends left out.

ONNX can look a text up (`ai.onnx.ml.LabelEncoder`) but not trim it. So each text is first looked up as it stands, which is fast and enough
for most; those that are not found are compared with a regular expression for each known text (`RegexFullMatch`), which allows blanks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.columns.parsing import truth_words
from hpsearch.model.signature import known_texts

if TYPE_CHECKING:
    from onnx import NodeProto

ML = "ai.onnx.ml"
OPSET = 20  # of ONNX itself: the first with RegexFullMatch
BLANKS = (  # what Arrow trims
    r"[\t-\r\x1c-\x1f \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]*"
)
ANYTHING = "(?s).*"
NOT_FOUND = -1.0
Array = npt.NDArray[Any]


def code_nodes(
    name: str, column: Mapping[str, Any], empty: Sequence[str], code: str, prefix: str
) -> Iterator["NodeProto"]:
    """Yield what turns the texts `name` [N, 1] of a column into `code` [N, 1] float64.

    `empty` texts are NaN, an unseen category is one more than the last, an unseen truth value NaN. The names of all values between begin
    with `prefix`.
    """
    from onnx import helper

    groups = _groups(column, empty)
    exact: dict[str, float] = {}
    for texts, value in reversed(groups):  # a missing one before all
        exact |= dict.fromkeys(texts, value)
    at_once, odd, places, cells = (f"{prefix}/{what}" for what in ("at once", "odd", "places", "cells"))
    yield encoder(name, at_once, list(exact), np.array([*exact.values()]), np.array([NOT_FOUND]))
    yield _constant(f"{prefix}/not found", np.array(NOT_FOUND))
    yield helper.make_node("Equal", [at_once, f"{prefix}/not found"], [f"{prefix}/is odd"])
    yield helper.make_node("NonZero", [f"{prefix}/is odd"], [odd])  # [2, n]
    yield helper.make_node("Transpose", [odd], [places])  # [n, 2]
    yield helper.make_node("GatherND", [name, places], [cells])  # [n]
    yield from _matched(column, groups, cells, prefix)
    yield helper.make_node("ScatterND", [at_once, places, f"{prefix}/matched"], [code])


def _matched(
    column: Mapping[str, Any], groups: Sequence[tuple[Sequence[str], float]], cells: str, prefix: str
) -> Iterator["NodeProto"]:
    """Yield what compares the `cells` [n] with the texts of each group: the value of the first that fits."""
    from onnx import TensorProto, helper

    column_of_cells = f"{prefix}/column"
    yield _constant(f"{prefix}/axis", np.array([1]))
    yield helper.make_node("Unsqueeze", [cells, f"{prefix}/axis"], [column_of_cells])  # [n, 1]
    patterns = [_pattern(texts, any_case=column["kind"] == "boolean") for texts, _ in groups]
    fits = []
    for place, pattern in enumerate([*patterns, ANYTHING]):
        fits.append(f"{prefix}/fits {place}")
        yield helper.make_node("RegexFullMatch", [column_of_cells], [fits[-1]], pattern=pattern)
    every, number, first = (f"{prefix}/{what}" for what in ("every", "number", "first"))
    yield helper.make_node("Concat", fits, [every], axis=1)  # [n, groups + 1]
    yield helper.make_node("Cast", [every], [number], to=TensorProto.INT32)
    yield helper.make_node("ArgMax", [number], [first], axis=1, keepdims=0)  # [n]
    values = np.array([value for _, value in groups])
    yield encoder(first, f"{prefix}/matched", np.arange(len(values)), values, np.array([_unseen(column)]))


def _groups(column: Mapping[str, Any], empty: Sequence[str]) -> list[tuple[Sequence[str], float]]:
    """Return the texts that have one code each, and the code."""
    known: list[Sequence[str]] = [[text] for text in known_texts(column)]
    if column["kind"] == "boolean":
        known = [*truth_words(column)]
    codes = [float(code) for code in range(len(known))]
    return [(list(dict.fromkeys(empty)), float("nan")), *zip(known, codes, strict=True)]


def _unseen(column: Mapping[str, Any]) -> float:
    if column["kind"] == "boolean":
        return float("nan")
    return float(len(known_texts(column)))


def _pattern(texts: Sequence[str], *, any_case: bool) -> str:
    """Return the expression that one of the texts fits, with blanks at its ends."""
    flags = "(?i)" * any_case
    return f"{flags}{BLANKS}(?:{'|'.join(map(re.escape, texts))}){BLANKS}"


def encoder(given: str, answer: str, keys: Any, values: Array, default: Array) -> "NodeProto":
    """Return the node that looks keys up."""
    from onnx import helper, numpy_helper

    tensors = {"keys_tensor": np.array(keys), "values_tensor": values, "default_tensor": default}
    attributes = {name: numpy_helper.from_array(as_objects(array), name) for name, array in tensors.items()}
    return helper.make_node("LabelEncoder", [given], [answer], domain=ML, **attributes)


def _constant(name: str, value: Array) -> "NodeProto":
    from onnx import helper, numpy_helper

    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def as_objects(array: Array) -> Array:
    """Return text as objects, which is how onnx takes it; numbers as they are."""
    return array.astype(object) if array.dtype.kind == "U" else array
