"""The two ends of an ONNX file: columns of text at its front, labels at its back.

Where a table has text, each column becomes an input [N, 1] of its own name: a text is looked up (`ai.onnx.ml.LabelEncoder`) and becomes
the column's code, then all columns are joined to the numbers [N, P] that the core takes. Behind the core the number of the most
probable class becomes its label. `feed` gives a source's numbers back as such inputs, so that a file can be asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hpsearch.model.models import Model, labels_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

ML = "ai.onnx.ml"
ML_VERSION = 4  # the first in which LabelEncoder takes tensors
TEXTS = ("category", "boolean")
NUMBER = "class number"  # the value between the probabilities and their label
RESERVED = {"", NUMBER, "prediction", "probabilities"}
Array = npt.NDArray[Any]


def has_text(model: Model) -> bool:
    """Whether a column of the source holds text."""
    return any(column["kind"] in TEXTS for column in model.preprocessing.get("columns", ()))


def add_front(proto: "ModelProto", model: Model) -> None:
    """Put named columns [N, 1] in the place of the core's numbers [N, P]."""
    from onnx import TensorProto, helper

    columns = model.preprocessing["columns"]
    names = _input_names(columns, {name for node in proto.graph.node for name in (*node.input, *node.output)})
    empty = ["", *model.preprocessing.get("reading", {}).get("missing_values", ())]
    texts = [(name, column) for name, column in zip(names, columns, strict=True) if column["kind"] in TEXTS]
    looked_up = [_lookup(name, column, empty) for name, column in texts]
    joined = [_code(name) if column["kind"] in TEXTS else name for name, column in zip(names, columns, strict=True)]
    kinds = [TensorProto.STRING if column["kind"] in TEXTS else TensorProto.DOUBLE for column in columns]
    nodes = [*looked_up, helper.make_node("Concat", joined, ["numbers"], axis=1), *proto.graph.node]
    inputs = [helper.make_tensor_value_info(name, kind, ["rows", 1]) for name, kind in zip(names, kinds, strict=True)]
    _replace(proto.graph.input, inputs)
    _replace(proto.graph.node, nodes)
    _import_ml(proto)


def add_back(proto: "ModelProto", model: Model) -> None:
    """Put the label of the largest probability [N] beside the probabilities."""
    from onnx import helper

    labels = labels_of(model)
    most = helper.make_node("ArgMax", ["probabilities"], [NUMBER], axis=1, keepdims=0)
    encoder = _encoder(NUMBER, "prediction", np.arange(len(labels)), labels, labels[:1])
    kind = helper.np_dtype_to_tensor_dtype(_plain(labels).dtype)
    proto.graph.node.extend([most, encoder])
    proto.graph.output.insert(0, helper.make_tensor_value_info("prediction", kind, ["rows"]))
    _import_ml(proto)


def feed(model: Model, names: Sequence[str], rows: Tensor) -> dict[str, Array]:
    """Return a source's numbers as a file's inputs of these names: codes as texts, nothing for what is missing."""
    if not has_text(model):
        return {names[0]: rows.numpy()}
    columns = model.preprocessing["columns"]
    return {
        name: _texts(column, values) if column["kind"] in TEXTS else values[:, None]
        for name, column, values in zip(names, columns, rows.numpy().T, strict=True)
    }


def _texts(column: Mapping[str, Any], codes: Array) -> Array:
    """Return a column's texts [N, 1] of its codes [N]."""
    known = _known(column)
    unseen = max(known, key=len) + "?"
    texts = [("" if np.isnan(code) else [*known, unseen][int(code)]) for code in codes]
    return np.array(texts, dtype=object)[:, None]


def _known(column: Mapping[str, Any]) -> list[str]:
    """Return a column's texts, that of code 0 first."""
    return list(column["categories"]) if column["kind"] == "category" else [column["false"], column["true"]]


def _lookup(name: str, column: Mapping[str, Any], empty: Sequence[str]) -> "NodeProto":
    """Return what turns texts into codes: `empty` ones are NaN, an unseen category is one more than the last, an unseen boolean NaN."""
    known = _known(column)
    codes = dict.fromkeys(empty, np.nan) | {text: float(code) for code, text in enumerate(known)}
    if column["kind"] == "boolean":  # in any case of letters
        codes |= {form(text): codes[text] for text in known for form in (str.lower, str.upper, str.capitalize)}
    unseen = len(known) if column["kind"] == "category" else np.nan
    return _encoder(name, _code(name), list(codes), np.array([*codes.values()]), np.array([unseen], dtype=np.float64))


def _encoder(given: str, answer: str, keys: Any, values: Array, default: Array) -> "NodeProto":
    from onnx import helper, numpy_helper

    tensors = {
        "keys_tensor": np.array(keys),
        "values_tensor": values,
        "default_tensor": default,
    }
    attributes = {name: numpy_helper.from_array(_plain(array), name) for name, array in tensors.items()}
    return helper.make_node("LabelEncoder", [given], [answer], domain=ML, **attributes)


def _plain(array: Array) -> Array:
    """Return text as objects, which is how onnx takes it."""
    return array.astype(object) if array.dtype.kind == "U" else array


def _code(name: str) -> str:
    return f"{name}/code"


def _input_names(columns: Iterable[Mapping[str, Any]], taken: set[str]) -> list[str]:
    """Return the columns' names, each with a `_` or more behind it where the name means something else to the graph."""
    names: list[str] = []
    taken = taken | RESERVED
    for column in columns:
        name = column["name"]
        while name in taken or _code(name) in taken:
            name += "_"
        names.append(name)
        taken |= {name, _code(name)}
    return names


def _import_ml(proto: "ModelProto") -> None:
    from onnx import helper

    if ML not in {used.domain for used in proto.opset_import}:
        proto.opset_import.append(helper.make_opsetid(ML, ML_VERSION))


def _replace(repeated: Any, items: Sequence[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del repeated[:]
    repeated.extend(copies)
