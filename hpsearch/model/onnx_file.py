"""A model as one ONNX file, raw columns in and labels out.

torch exports the part that computes: numbers [N, P] → predictions. Where a table has text, each column becomes an input [N, 1] of its own
name. A text becomes the column's code (`onnx_text`), then all columns are joined to the numbers. After the predictions the number of the
most probable class becomes its label.
"""

import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.errors import HpsearchError, UserError
from hpsearch.files import write_file
from hpsearch.model.models import Model, labels_of
from hpsearch.model.onnx_text import ML, OPSET, as_objects, code_nodes, encoder
from hpsearch.model.pipeline import InferencePipeline, plausible
from hpsearch.model.saved import describe
from hpsearch.model.signature import TEXT_KINDS, Signature, known_texts, of_answers, of_columns, of_numbers

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

LARGEST = 2_000_000_000  # bytes: what one file can hold (protobuf's limit)
ML_VERSION = 4  # the first in which LabelEncoder takes tensors
NUMBER = "class number"  # the value between the probabilities and their label
PADDED = ("{}", " {}", "{}\t ")  # how texts are fed to a file that is checked
RESERVED = {"", NUMBER, "prediction", "probabilities"}
Array = npt.NDArray[Any]


def write_onnx(model: Model, path: Path) -> Signature:
    """Write the model as one file, and return what it takes and gives, which its metadata and documentation say too.

    Raises:
        UserError: it is larger than one file can be.
    """
    from onnx import helper

    proto = _core(model)
    if _has_text(model):
        _add_columns(proto, model)
    if model.classes:
        _add_labels(proto, model)
    if _has_text(model) or model.classes:
        proto.opset_import.append(helper.make_opsetid(ML, ML_VERSION))
    signature = _documented(proto, model)
    described = {**describe(model), **signature.plain()}
    helper.set_model_props(proto, {name: json.dumps(value) for name, value in described.items()})
    size = proto.ByteSize()
    if size > LARGEST:
        raise UserError(f"{path}: {size:,} bytes, {LARGEST:,} at most in one ONNX file. Choose --format pt2.")
    write_file(path, proto.SerializeToString(deterministic=True))
    return signature


def ask_onnx(model: Model, path: Path, rows: Tensor) -> Tensor:
    """Return the predictions of a file for a source's numbers, fed as a user would: texts for categories, nothing for missing ones.

    Raises:
        HpsearchError: its labels are not those of its probabilities.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = [given.name for given in session.get_inputs()]
    outputs = [given.name for given in session.get_outputs()]
    answers = dict(zip(outputs, session.run(None, _feed(model, inputs, rows)), strict=True))
    if not model.classes:
        return torch.from_numpy(answers[_answer(model)])
    labels = labels_of(model)[answers["probabilities"].argmax(axis=1)]
    if not np.array_equal(answers["prediction"], labels):
        raise HpsearchError(f"{path}: its labels are not those of its probabilities. Please report this study.")
    return torch.from_numpy(answers["probabilities"])


def _answer(model: Model) -> str:
    """Return the name of the output that the part which computes has."""
    if model.classes or model.labels:
        return "probabilities"
    return "prediction"


def _has_text(model: Model) -> bool:
    """Whether a column of the source holds text."""
    return any(column["kind"] in TEXT_KINDS for column in model.preprocessing.get("columns", ()))


def _core(model: Model) -> "ModelProto":
    """Return the part that computes, as torch exports it, without the paths of this machine that torch puts into it."""
    image = model.preprocessing["kind"] == "images"
    with _quiet():
        program = torch.onnx.export(
            InferencePipeline(model).eval(),
            (plausible(model, 2),),
            dynamo=True,
            verbose=False,
            input_names=["images" if image else "numbers"],
            output_names=[_answer(model)],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            custom_translation_table={torch.ops.aten.cos.default: _cosine},
        )
    assert program is not None
    proto: ModelProto = program.model_proto
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto.graph):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return proto


def _cosine(angle: Any) -> Any:
    """Write the cosine of a float64 as a sine a quarter later: onnxruntime has `Cos` for float64 from 1.30 on only."""
    from onnx import numpy_helper
    from onnxscript import opset18

    quarter = opset18.Constant(value=numpy_helper.from_array(np.array(pi / 2)))
    return opset18.Sin(opset18.Add(angle, quarter))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and its advice to its own developers off the screen."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _add_columns(proto: "ModelProto", model: Model) -> None:
    """Put named columns [N, 1] in the place of the numbers [N, P]."""
    from onnx import TensorProto, helper

    columns = model.preprocessing["columns"]
    empty = ["", *model.preprocessing.get("reading", {}).get("missing_values", ())]
    inputs = []
    lookups: list[NodeProto] = []
    joined = []
    names = _input_names(proto, columns)
    prefix = _prefix(names)
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        if column["kind"] in TEXT_KINDS:
            inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", 1]))
            joined.append(f"{prefix} {place}")
            lookups += code_nodes(name, column, empty, joined[-1], joined[-1])
        else:
            inputs.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", 1]))
            joined.append(name)
    join = helper.make_node("Concat", joined, ["numbers"], axis=1)
    _replace(proto.graph.input, inputs)
    _replace(proto.graph.node, [*lookups, join, *proto.graph.node])
    for opset in proto.opset_import:
        if not opset.domain:
            opset.version = max(opset.version, OPSET)


def _input_names(proto: "ModelProto", columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns' names, each with a `_` or more behind it where the name means something else to the graph."""
    taken = set(RESERVED)
    for node in proto.graph.node:
        taken.update(node.input, node.output)
    names: list[str] = []
    for column in columns:
        name = column["name"]
        while name in taken:
            name += "_"
        names.append(name)
        taken.add(name)
    return names


def _prefix(names: Iterable[str]) -> str:
    """Return what the names of the values between texts and codes begin with, and no input's."""
    prefix = "code"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix


def _add_labels(proto: "ModelProto", model: Model) -> None:
    """Put the label of the largest probability [N] beside the probabilities."""
    from onnx import helper

    labels = labels_of(model)
    most = helper.make_node("ArgMax", ["probabilities"], [NUMBER], axis=1, keepdims=0)
    label = encoder(NUMBER, "prediction", np.arange(len(labels)), labels, labels[:1])
    kind = helper.np_dtype_to_tensor_dtype(as_objects(labels).dtype)
    proto.graph.node.extend([most, label])
    proto.graph.output.insert(0, helper.make_tensor_value_info("prediction", kind, ["rows"]))


def _replace(repeated: Any, items: Sequence[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del repeated[:]
    repeated.extend(copies)


def _documented(proto: "ModelProto", model: Model) -> Signature:
    """Write into a file what its inputs and outputs hold, and return it."""
    names = [given.name for given in proto.graph.input]
    if _has_text(model):
        inputs = of_columns(model, names)
    else:
        inputs = of_numbers(model, names[0])
    signature = Signature(inputs, of_answers(model, labelled=True))
    holds = {port.name: port.holds for port in (*signature.inputs, *signature.outputs)}
    for value in (*proto.graph.input, *proto.graph.output):
        value.doc_string = holds[value.name]
    proto.doc_string = signature.text()
    return signature


def _feed(model: Model, names: Sequence[str], rows: Tensor) -> dict[str, Array]:
    """Return a source's numbers as a file's inputs of these names: codes as texts, nothing for what is missing."""
    if not _has_text(model):
        return {names[0]: rows.numpy()}
    columns = model.preprocessing["columns"]
    cells = [_cells(column, numbers) for column, numbers in zip(columns, rows.numpy().T, strict=True)]
    return {name: column[:, None] for name, column in zip(names, cells, strict=True)}


def _cells(column: Mapping[str, Any], numbers: Array) -> Array:
    """Return a column's cells [N]: of one of text the texts of its codes, some of them with blanks as a file may have."""
    if column["kind"] not in TEXT_KINDS:
        return numbers
    known = known_texts(column)
    unseen = max(known, key=len) + "?"
    texts = [*known, unseen]
    cells = ["" if np.isnan(code) else texts[int(code)] for code in numbers]
    return np.array([PADDED[place % len(PADDED)].format(cell) for place, cell in enumerate(cells)], dtype=object)
