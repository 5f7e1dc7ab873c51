"""A model in formats that others read, its preprocessing inside where they can carry it; a file is left only if it answers as torch does.

| format | what it carries | its input |
|---|---|---|
| onnx | preprocessing, networks, labels | a named input for each column where there is text, else `numbers` [N, P]; or `images` |
| pt2 | preprocessing, networks; labels in its extra file `hpsearch.json` | numbers [N, P] or images [N, C, H, W], float64 |
| safetensors | weights, and beside them everything else as JSON | none: hpsearch reads it |
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from hpsearch.errors import LONGEST_PLACE, HpsearchError, UserError, look_up, shown
from hpsearch.files import write_file
from hpsearch.model.models import Model
from hpsearch.model.onnx_file import ask_onnx, write_onnx
from hpsearch.model.pipeline import InferencePipeline, plausible
from hpsearch.model.saved import describe, load_model, save_model
from hpsearch.model.signature import Signature, of_answers, of_numbers

CHECKED = 512  # plausible rows on which the written file is asked
TOLERANCE = 1e-4  # of a probability; of a value, in standard deviations of the target
EXTRA = "hpsearch.json"  # in a pt2 file


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and the largest difference between its answers and torch's on `rows` rows (see `TOLERANCE`).

    `signature` says what the file takes and gives; None where only hpsearch reads it.
    """

    path: Path
    difference: float
    rows: int
    signature: Signature | None


def export(model: Model, name: str, path: Path) -> Exported:
    """Write a model in the format of a name of `FORMATS`; the file takes its place once its answers on plausible rows are torch's.

    Raises:
        UserError: no such format, a package is missing, or no such file can be there.
        StorageError: the model's preprocessing is missing or damaged.
        HpsearchError: the file's answers differ from torch's; it is not left behind.
    """
    row = look_up(FORMATS, name, "format")
    check_place(name, path)
    pipeline = InferencePipeline(model)  # first: it refuses a model without preprocessing
    rows = plausible(model, CHECKED)
    with TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        beside = Path(folder) / path.name
        signature = row.write(model, beside)
        with torch.no_grad():
            difference = _largest_difference(model, pipeline(rows), row.ask(model, beside, rows))
        if not difference <= TOLERANCE:  # NaN neither
            raise HpsearchError(
                f"{path}: its predictions differ from torch's by {difference:.2g}. Please report this study."
            )
        for file in sorted(Path(folder).iterdir(), reverse=True):  # weights before the JSON that has their hash
            write_file(path.parent / file.name, file.read_bytes())
    return Exported(path, difference, len(rows), signature)


def check_place(name: str, path: Path) -> None:
    """Refuse a format whose packages are missing, and a path where its file cannot be.

    Raises:
        UserError: says what is missing.
    """
    row = look_up(FORMATS, name, "format")
    missing = [package for package in row.packages if find_spec(package) is None]
    if missing:
        raise UserError(f"format '{name}' needs {', '.join(missing)}. Install: pip install {' '.join(row.packages)}")
    if path.suffix != row.suffix:
        raise UserError(
            f"{shown(str(path), LONGEST_PLACE)}: a file's name that ends with {row.suffix} expected. Give another -o."
        )
    if not path.parent.is_dir():
        raise UserError(f"{shown(str(path.parent), LONGEST_PLACE)}: no such folder. Make it, or give another -o.")


def _largest_difference(model: Model, expected: Tensor, found: Tensor) -> float:
    """Return the largest difference of two predictions: of probabilities, or of values in standard deviations of the target.

    Where networks learned another scale than the target's, both are compared on that.
    """
    if expected.shape != found.shape:
        return float("inf")
    if model.target_form is not None:
        expected, found = model.target_form.learned(expected), model.target_form.learned(found)
    scale = torch.tensor(model.target_scale, dtype=torch.float64)  # 1 for classes
    return float(((expected.double() - found.double()).abs() / scale).max())


def _write_program(model: Model, path: Path) -> Signature:
    """Write torch's own program of the model, traced for any number of rows."""
    signature = Signature(of_numbers(model, "numbers"), of_answers(model, labelled=False))
    described = {**describe(model), **signature.plain()}
    dynamic = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(InferencePipeline(model), (plausible(model, 2),), dynamic_shapes=dynamic)
    torch.export.save(program, path, extra_files={EXTRA: json.dumps(described)})
    return signature


def _ask_program(model: Model, path: Path, rows: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")  # said by torch 2.11 of its own reading
        program = torch.export.load(path)
    answers: Tensor = program.module()(rows)
    return answers


def _write_files(model: Model, path: Path) -> None:
    save_model(path.parent, path.stem, model)


def _ask_files(model: Model, path: Path, rows: Tensor) -> Tensor:
    answers: Tensor = InferencePipeline(load_model(path.parent, path.stem))(rows)
    return answers


@dataclass(frozen=True, slots=True)
class Format:
    """A row of `FORMATS`: the end of a file's name, who writes it and says what it takes, who asks it (rows → predictions).

    `beside` are the ends of the names of further files that it writes, `packages` those that this needs.
    """

    suffix: str
    write: Callable[[Model, Path], Signature | None]
    ask: Callable[[Model, Path, Tensor], Tensor]
    packages: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format(".onnx", write_onnx, ask_onnx, ("onnx", "onnxscript", "onnxruntime")),
    "pt2": Format(".pt2", _write_program, _ask_program),
    "safetensors": Format(".safetensors", _write_files, _ask_files, beside=(".json",)),
}
