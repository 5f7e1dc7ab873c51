"""`predict`: a study's model on new rows, the predictions as CSV."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hpsearch.commands.shared import add_common
from hpsearch.commands.studies import add_model, loaded, tell_model
from hpsearch.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from hpsearch.model import Model
    from hpsearch.model.rows import NewRows
    from hpsearch.screen import Screen


def add(commands: Any) -> None:
    """Add the command to the parser."""
    predict = commands.add_parser("predict", help="predict new rows with a study's model")
    add_model(predict)
    predict.add_argument(
        "file",
        metavar="FILE",
        help="the rows: CSV, TSV, Parquet, NPZ, NPY, a folder of images; as the study's data were",
    )
    predict.add_argument(
        "-o", "--output", default="predictions.csv", metavar="FILE", help="CSV; - prints it (default: predictions.csv)"
    )
    predict.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    add_common(predict)
    predict.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Write the predictions, and print how good they are where the rows have their target."""
    source, output = Path(options.file), Path(options.output)
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"{options.output}: the predictions would take the place of the rows. Give another -o.")
    from hpsearch.model.rows import read_rows
    from hpsearch.screen import Screen
    from hpsearch.training.devices import choose_device

    device = choose_device(options.device)
    model = loaded(options)
    rows = read_rows(model, source)
    screen = Screen("", stderr=options.output == "-")
    if rows.notice:
        screen.row("notice", rows.notice)
    with _opened(options.output) as file:
        kept = list(_written(model, rows, file, str(device)))
    _tell(screen, model, rows, kept)
    if options.output != "-":
        screen.row("written", options.output)


def _written(model: "Model", rows: "NewRows", file: BinaryIO, device: str) -> "Iterator[Tensor]":
    """Write the predictions, and yield those that are to be judged."""
    from hpsearch.data.predictions_csv import write_predictions
    from hpsearch.files import inert
    from hpsearch.model.rows import answers

    numbers = model.class_kind in ("integer", "number")
    cells = [label if numbers else inert(label) for label in model.classes]
    columns = len(model.classes) or len(model.target_mean)
    for chunk in write_predictions(file, model.classes, cells, columns, answers(model, rows, device)):
        if rows.targets is not None:
            yield chunk


def _tell(screen: "Screen", model: "Model", rows: "NewRows", kept: "Sequence[Tensor]") -> None:
    """Print how many rows were predicted, and how well."""
    from hpsearch.model.judging import judge
    from hpsearch.screen import number

    tell_model(screen, "predict", f"{len(rows):,} rows with", model)
    if rows.targets is None:
        return
    judged = judge(model, kept, rows.targets, rows.decimal)
    if judged is None:
        screen.row("metric", "the target is there, but no row has one that the model knows")
        return
    left = f" ({judged.left_out:,} without a target that is known left out)" if judged.left_out else ""
    screen.row("metric", f"{judged.metric} {number(judged.value)} on {judged.rows:,} rows{left}")


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """Open the output: a file that is there whole or not at all, or the standard output, whose reader may leave early."""
    from hpsearch.files import replacing

    if output != "-":
        with replacing(Path(output)) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would flush it again at its end
