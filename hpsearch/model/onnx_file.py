"""A model as one ONNX file, raw columns in and labels out.

torch exports the part that computes, numbers [N, P] → predictions; `onnx_ends` puts columns of text before it, and labels behind it.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.errors import HpsearchError, UserError
from hpsearch.files import write_file
from hpsearch.model.models import Model, labels_of
from hpsearch.model.onnx_ends import add_back, add_front, feed, has_text
from hpsearch.model.pipeline import InferencePipeline, plausible
from hpsearch.model.saved import describe
from hpsearch.model.signature import Signature, of_answers, of_columns, of_numbers

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST = 2_000_000_000  # bytes: what one file can hold (protobuf's limit)


def write_onnx(model: Model, path: Path) -> Signature:
    """Write the model as one file, and return what it takes and gives, which its metadata and documentation say too.

    Raises:
        UserError: it is larger than one file can be.
    """
    from onnx import helper

    proto = _core(model)
    if has_text(model):
        add_front(proto, model)
    if model.classes:
        add_back(proto, model)
    signature = _documented(proto, model)
    described = {**describe(model), **signature.plain()}
    helper.set_model_props(proto, {name: json.dumps(value) for name, value in described.items()})
    if proto.ByteSize() > LARGEST:
        raise UserError(
            f"{path}: {proto.ByteSize():,} bytes, {LARGEST:,} at most in one ONNX file. Choose --format pt2."
        )
    write_file(path, proto.SerializeToString(deterministic=True))
    return signature


def _documented(proto: "ModelProto", model: Model) -> Signature:
    """Write into a file what its inputs and outputs hold, and return it."""
    names = [given.name for given in proto.graph.input]
    inputs = of_columns(model, names) if has_text(model) else of_numbers(model, names[0])
    signature = Signature(inputs, of_answers(model, labelled=True))
    holds = {port.name: port.holds for port in (*signature.inputs, *signature.outputs)}
    for value in (*proto.graph.input, *proto.graph.output):
        value.doc_string = holds[value.name]
    proto.doc_string = signature.text()
    return signature


def ask_onnx(model: Model, path: Path, rows: Tensor) -> Tensor:
    """Return the predictions of a file for a source's numbers, fed as a user would: texts for categories, nothing for missing ones.

    Raises:
        HpsearchError: its labels are not those of its probabilities.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    answers = dict(
        zip((o.name for o in session.get_outputs()), session.run(None, feed(model, names, rows)), strict=True)
    )
    if not model.classes:
        return torch.from_numpy(answers["prediction"])
    labels = labels_of(model)[answers["probabilities"].argmax(axis=1)]
    if not np.array_equal(answers["prediction"], labels):
        raise HpsearchError(f"{path}: its labels are not those of its probabilities. Please report this study.")
    return torch.from_numpy(answers["probabilities"])


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
            output_names=["probabilities" if model.classes else "prediction"],
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
