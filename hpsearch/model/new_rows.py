"""New rows for a model, from files or from Python, read as the rows were that it was trained on; its predictions, and how good they are.

A table's file is text in memory once. Its numbers, inputs and predictions are in memory for `CHUNK` numbers at a time, so that a million
rows take no more memory than a few thousand.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpsearch.data.cells import read_inputs
from hpsearch.data.columns import parsing
from hpsearch.data.columns.column_types import COLUMN_TYPES
from hpsearch.data.columns.identifiers import names_rows
from hpsearch.data.columns.reading import read_columns, table_for, unused
from hpsearch.data.columns.roles import label_numbers
from hpsearch.data.columns.table import Table, target_names
from hpsearch.data.given import new_rows
from hpsearch.data.image_scale import arrays_on_scale
from hpsearch.data.loaders.array_files import ENDS, read_array_file, read_inputs_file
from hpsearch.data.loaders.image_folder import image_files, read_images
from hpsearch.data.loaders.table_files import read_like
from hpsearch.data.metrics import METRICS, Metric, own_metric
from hpsearch.data.options import ReadOptions
from hpsearch.data.tasks import TASKS
from hpsearch.data.transform import transform_of
from hpsearch.errors import LONGEST_PLACE, UserError, shown
from hpsearch.model.models import Model, with_weights
from hpsearch.model.pipeline import InferencePipeline
from hpsearch.model.unfamiliar import unfamiliar_cells

CHUNK = 1 << 22  # numbers of the widest layer, or of the inputs, that are there at a time
FEWEST = 256  # rows at a time
PREDICTED = ("prediction", "probability_")  # begin the names of a prediction's columns

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """Rows that are read and not yet numbers: a `Table`, or an array [N, ...]; the cells of their target, where they are there.

    `decimal` is the mark of the target's numbers; `notices` say what a reader should know.
    """

    given: Table | Array
    preprocessing: Mapping[str, Any]
    targets: Any = None
    decimal: str = "."
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.given)

    def numbers(self, start: int, stop: int) -> Tensor:
        """Return some rows as a model's transform takes them: [n, P] float64, or images [n, C, H, W].

        Raises:
            UserError: a cell is no number, no date, infinite, or missing where nothing takes its place.
        """
        part = _part(self.given, start, stop)
        if self.preprocessing["kind"] != "images":
            part = read_columns(self.preprocessing, part)
        return torch.from_numpy(np.ascontiguousarray(part))


def read_rows(model: Model, path: Path, options: ReadOptions = ReadOptions()) -> NewRows:
    """Open a file or a folder of new rows: CSV, TSV, Parquet, NPY, NPZ, images; `options` say how a text file is read.

    Raises:
        UserError: it cannot be read as the rows were that the model was trained on.
    """
    preprocessing = model.preprocessing
    transform_of(preprocessing)  # one of another version says so here
    if not path.exists():
        raise UserError(f"{shown(str(path), LONGEST_PLACE)}: no such file or folder. Give the rows to predict.")
    if options.of_table and (preprocessing["kind"] == "images" or path.suffix.lower() in ENDS):
        raise UserError(f"{', '.join(options.of_table)}: only a table has columns and cells. Leave it out.")
    if preprocessing["kind"] == "images":
        return NewRows(read_images(preprocessing, path), preprocessing, _image_targets(model, path))
    if path.suffix.lower() in ENDS:
        return NewRows(read_inputs_file(path), preprocessing, _array_targets(path))
    preprocessing = with_missing_values(preprocessing, options.missing_values)
    table = read_like(path, preprocessing, options)
    cells = _target_cells(table, target_names(preprocessing.get("target")))
    more = unused(preprocessing, table)
    notices = (*table.notices, more) if more else table.notices
    return NewRows(table, preprocessing, cells, table.decimal, notices)


def identifier_of(preprocessing: Mapping[str, Any], table: Table) -> str | None:
    """Return the column of new rows that names them: the first one that was an identifier in training, or is called like one."""
    known = {entry["name"] for entry in preprocessing["columns"]} | set(target_names(preprocessing.get("target")))
    reasons = {entry["name"]: entry.get("reason") for entry in preprocessing.get("dropped", ())}
    for name in table.names:
        names_them = reasons.get(name) == "identifier" or (name not in known and names_rows(name))
        if names_them and not name.startswith(PREDICTED):
            return name
    return None


def with_missing_values(preprocessing: Mapping[str, Any], texts: Sequence[str]) -> Mapping[str, Any]:
    """Return a table's preprocessing with more texts that mean a missing cell."""
    if not texts:
        return preprocessing
    reading = preprocessing.get("reading") or {}
    missing_values = [*reading.get("missing_values", ()), *texts]
    return {**preprocessing, "reading": {**reading, "missing_values": missing_values}}


def _target_cells(table: Table, names: Sequence[str]) -> Any:
    """Return the cells of the target, of several columns their numbers [N, K]; None where the table lacks one."""
    if not names or not set(names) <= set(table.names):
        return None
    if len(names) == 1:
        return table.column(names[0])
    return np.column_stack([label_numbers(table.column(name), table.decimal) for name in names])


def predict_rows(model: Model, rows: NewRows, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """Yield the predictions of the rows in order, on the CPU, some rows at a time: [n, C] or [n, K].

    Raises:
        UserError: a cell cannot be read, or is too large for float32 once it is standardised or in the networks.
    """
    pipeline = InferencePipeline(model).to(device)
    widest = max(max(member.sizes) for member in model.members)
    step = max(FEWEST, CHUNK // widest)
    for start in range(0, len(rows), step):
        with torch.no_grad():
            numbers = rows.numbers(start, min(start + step, len(rows))).to(device)
            inputs = pipeline.transform(numbers)  # [n, F]
            _refuse_infinite(pipeline, inputs)
            predictions = pipeline.predictor(inputs).cpu()
            _refuse_overflow(predictions, start)
            yield predictions


def predict_arrays(
    model: Model, inputs: Any, warn: Callable[[str], None] = lambda sentence: None
) -> npt.NDArray[np.float64]:
    """Return a model's probabilities [N, C] or values [N, K] of inputs as they were searched on.

    Computed in float64, so that a row's prediction does not depend on the rows beside it; networks of the user's own, which may hold
    tensors that are no weights, in the type that they were trained in. `warn` gets a sentence for each column that has categories
    which the model does not know, or missing cells where training had none.

    Raises:
        UserError: the inputs are not like those of the search.
    """
    given = model.preprocessing
    inputs = new_rows(inputs)
    if given["kind"] != "images":
        inputs = table_for(given, inputs)
        for sentence in inputs.notices:
            warn(sentence)
        for sentence in unfamiliar_cells(given, inputs, rare_only=True):
            warn(sentence)
    numbers = _numbers_of(given, inputs)
    pipeline = InferencePipeline(_exact(model))
    with torch.no_grad():
        return np.asarray(pipeline(torch.from_numpy(numbers)).numpy(), dtype=np.float64)


def _exact(model: Model) -> Model:
    """Return a model on the CPU, in float64 unless its networks are of the user's own."""
    if any(member.network for member in model.members):
        return with_weights(model, lambda weights: weights.cpu())
    return with_weights(model, lambda weights: weights.cpu().double())


def _numbers_of(preprocessing: Mapping[str, Any], inputs: Any) -> npt.NDArray[np.float64]:
    """Return the numbers [N, P] of the columns that a model uses, by name from a frame and else by place; or images [N, C, H, W]."""
    if preprocessing["kind"] != "images":
        return np.asarray(read_columns(preprocessing, inputs))
    given = read_inputs(inputs)
    if list(given.shape) != list(preprocessing["shape"]):
        raise UserError(f"inputs: images of {given.shape}, {tuple(preprocessing['shape'])} expected.")
    return arrays_on_scale(given.values, preprocessing).reshape(-1, *given.shape).astype(np.float64)


def unseen_in_rows(rows: NewRows) -> Iterator[str]:
    """Yield what a reader should know of a table's cells that are unlike those of training; see `unfamiliar_cells`."""
    if rows.preprocessing.get("kind") != "images":
        yield from unfamiliar_cells(rows.preprocessing, table_for(rows.preprocessing, rows.given))


def _refuse_infinite(pipeline: InferencePipeline, inputs: Tensor) -> None:
    wrong = ~inputs.isfinite().all(dim=0)  # [F]
    if not bool(wrong.any()):
        return
    where = "an image"
    names = getattr(pipeline.transform, "names", [])
    if names:
        where = f"column {shown(names[int(wrong.int().argmax())])}"
    raise UserError(f"{where} has values too large for float32 after standardising. Check the rows.")


def _refuse_overflow(predictions: Tensor, start: int) -> None:
    """Refuse predictions [n, C] or [n, K] that are no numbers; the first of them is that of row `start`."""
    wrong = ~predictions.isfinite().all(dim=1)  # [n]
    if bool(wrong.any()):
        row = start + int(wrong.int().argmax())
        raise UserError(
            f"the networks predict no finite number for {int(wrong.sum()):,} rows, the first of them row {row:,} (from 0): its numbers lie "
            "too far from those of training. Check these rows."
        )


def _part(given: Table | Array, start: int, stop: int) -> Table | Array:
    if not isinstance(given, Table):
        return given[start:stop]
    columns = tuple(cells[start:stop] for cells in given.columns)  # Arrow's columns take slices as arrays do
    return replace(given, columns=columns, row_numbers=given.row_numbers[start:stop])


def _array_targets(path: Path) -> Any:
    """Return the targets of an .npz, where it has some."""
    if path.suffix.lower() != ".npz":
        return None
    try:
        raw = read_array_file(path)
    except UserError:  # inputs alone
        return None
    return None if raw.given_test else np.asarray(raw.targets)


def _image_targets(model: Model, path: Path) -> Any:
    """Return the names of the folders that images lie in, where all of them are classes; the targets of arrays."""
    if path.suffix.lower() in ENDS:
        return _array_targets(path)
    folders = [file.parent.name for file in image_files(path)]
    if not set(folders) <= set(model.classes):
        return None
    return np.array(folders, dtype=object)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of the search's metric over `rows` rows; `left_out` have no target, or one that the model does not know."""

    metric: str
    value: float
    rows: int
    left_out: int


def evaluate(
    model: Model, chunks: Sequence[Tensor], targets: Any, decimal: str = ".", own: Callable[..., float] | None = None
) -> Evaluation | None:
    """Return how good predictions (chunks of [N, C] or [N, K]) are for targets (cells or numbers); None where no target is known.

    `own` is the metric of the user's own by which the model was chosen.
    """
    task = TASKS[model.task]
    if model.labels and np.ndim(targets) == 1:
        return None  # one column of several
    if task.has_classes:
        known, values = _codes(model, targets)
    else:
        known, values = _numbers(targets, decimal)
    used = torch.from_numpy(known)
    if not bool(used.any()):
        return None
    predictions = task.undo_decode(torch.cat(list(chunks))[used])
    right = torch.from_numpy(values)[used]
    if task.has_classes:
        right = task.loss_targets(right)
    metric = _metric(model.metrics, model.task, own)
    rows = int(used.sum())
    return Evaluation(metric.name, metric.of(predictions, right), rows, len(known) - rows)


def _metric(figures: Mapping[str, Any], task: str, own: Callable[..., float] | None) -> Metric:
    """Return the metric that the model was chosen by, the task's first where nothing says which or it is not at hand."""
    if own is not None:
        return own_metric(own, figures.get("direction", "maximize"), TASKS[task].predicts)
    known = TASKS[task].metrics
    name = chosen_by(figures)
    return METRICS[name if name in known else known[0]]


def chosen_by(figures: Mapping[str, Any]) -> str:
    """Return the name of the metric that a model was chosen by, empty where its figures do not say it."""
    test = figures.get("test")
    return str(figures.get("metric") or (test.get("metric", "") if isinstance(test, dict) else ""))


def _codes(model: Model, targets: Any) -> tuple[Array, Array]:
    """Return which rows have a class that is known, and the class numbers [N]."""
    text = parsing.as_text(targets)
    codes = parsing.positions(text, model.classes)
    if model.class_kind == "boolean":  # 1 and 0 are other words for them
        codes, _ = COLUMN_TYPES["boolean"].read({"false": "False", "true": "True"}, text, ".")
    known = ~np.isnan(codes) & (codes < len(model.classes))
    return known, np.where(known, codes, 0).astype(np.int64)


def _numbers(targets: Any, decimal: str) -> tuple[Array, Array]:
    """Return which rows have numbers, and the numbers [N, K]."""
    if not isinstance(targets, np.ndarray):
        targets = parsing.numbers(parsing.with_nulls(targets), decimal)[0]
    columns: Array = targets.astype(np.float64).reshape(len(targets), -1)
    known: Array = np.isfinite(columns).min(axis=1)
    return known, columns
