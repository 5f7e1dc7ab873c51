"""`predict`: a study's model on new rows, the predictions as CSV."""

import argparse
import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from hpsearch.commands.options import (
    add_language,
    add_model,
    add_reading,
    add_reports,
    check_output,
    own_build,
    own_metric_of,
)
from hpsearch.commands.recorded import show_model
from hpsearch.errors import UserError, mistakes
from hpsearch.files import inert, replacing

if TYPE_CHECKING:
    from torch import Tensor

    from hpsearch.data.options import ReadOptions
    from hpsearch.model import Model
    from hpsearch.model.new_rows import NewRows
    from hpsearch.reporting.screen import Screen


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(command)
    command.add_argument(
        "file",
        metavar="FILE",
        help="the rows: CSV, TSV, Parquet, NPZ, NPY, a folder of images; as the study's data were",
    )
    command.add_argument(
        "-o", "--output", default="predictions.csv", metavar="FILE", help="CSV; - prints it (default: predictions.csv)"
    )
    command.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMNS",
        help="columns of FILE that are copied into the output, e.g. id or id,name (default: its id, else the row's number)",
    )
    command.add_argument("--no-id", action="store_true", help="write the predictions alone, without id or row number")
    command.add_argument("--force", action="store_true", help="overwrite the output where it is there")
    command.add_argument(
        "--metric",
        metavar="FILE.py:NAME",
        help="the metric of your own that the study was searched by, to judge the predictions",
    )
    command.add_argument(
        "--interval",
        type=float,
        metavar="LEVEL",
        help="of predicted numbers also the columns low and high: an interval that contains the number in about so large a share of "
        "rows, such as 0.9 (split conformal prediction from errors on held-out rows; only for a regression)",
    )
    add_reading(command)
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Write the predictions, and print how good they are where the rows have their target."""
    from hpsearch.locales import Texts

    texts = Texts(options.lang)
    source = Path(options.file)
    _check_output(options.output, source, options.force)
    from hpsearch.model.new_rows import read_rows, unseen_in_rows
    from hpsearch.model.saved import load_named_model
    from hpsearch.reporting.screen import Screen
    from hpsearch.training.devices import choose_device

    device = choose_device(options.device)
    own_metric = own_metric_of(options)
    model = load_named_model(options.study, Path(options.reports), options.model, own_build(options))
    intervals = _intervals(model, options.interval)
    rows = read_rows(model, source, _read_options(options))
    screen = Screen("", texts, stderr=options.output == "-")
    for notice in rows.notices:
        screen.row("notice", notice)
    for notice in unseen_in_rows(rows):
        screen.row("notice", notice)
    kept: Mapping[str, Any] = {}
    if options.keep:
        kept = _kept_columns(rows, options.keep)
    elif not options.no_id:
        kept = _naming_column(rows, source)
    with _open_output(options.output) as file:
        predictions = list(_write(model, rows, file, str(device), kept, intervals))
    _show_result(screen, model, rows, predictions, own_metric)
    if options.output != "-":
        screen.row("written", options.output)


def _read_options(options: argparse.Namespace) -> "ReadOptions":
    """Return how the rows are read, where the options say it."""
    from hpsearch.data.options import ReadOptions

    return ReadOptions(
        missing_values=options.missing_values or (),
        separator=options.separator,
        header=options.header,
        encoding=options.encoding,
        decimal=options.decimal,
        thousands=options.thousands,
    )


def _check_output(output: str, source: Path, force: bool) -> None:
    """Refuse an output that cannot be written, before anything is read."""
    if output == "-":
        return
    path = Path(output)
    if path.exists() and source.exists() and path.samefile(source):
        raise UserError(f"{output}: the predictions would take the place of the rows. Give another -o.")
    check_output(path, "predictions.csv", force=force)


def _intervals(model: "Model", level: float | None) -> Callable[[Any], Any] | None:
    """Return what gives predicted numbers [n, K] their intervals [n, K, 2], None where none is asked for.

    Raises:
        UserError: the model's predictions have none, or none of this level.
    """
    if level is None:
        return None
    from hpsearch.model.intervals import ends_of, half_widths

    half = half_widths(model.combination.errors, level, model.classes or model.labels)
    return partial(ends_of, half=half, shape=(len(half),), form=model.target_form)


def _kept_columns(rows: "NewRows", asked: Sequence[str]) -> Mapping[str, Any]:
    """Return the columns that are copied into the output; a text that is no column's name is split at its commas.

    Raises:
        UserError: no such column, or rows that have none.
    """
    from hpsearch.data.columns.table import Table
    from hpsearch.data.predictions_csv import kept_columns

    if not isinstance(rows.given, Table):
        raise UserError("--keep: only a table has columns. Leave it out.")
    names: list[str] = []
    for text in asked:
        if text in rows.given.names:
            names.append(text)
        else:
            names += [part.strip() for part in text.split(",")]
    return kept_columns(rows.given, list(dict.fromkeys(names)))


def _naming_column(rows: "NewRows", source: Path) -> Mapping[str, Any]:
    """Return the column that tells the rows of the output apart: the id of a table, an image's file, else the row's number from 1."""
    from hpsearch.data.columns.table import Table
    from hpsearch.data.loaders.image_folder import image_files
    from hpsearch.data.predictions_csv import kept_columns, kept_texts
    from hpsearch.model.new_rows import identifier_of

    if isinstance(rows.given, Table) and (name := identifier_of(rows.preprocessing, rows.given)):
        return kept_columns(rows.given, [name])
    if source.is_dir():
        return kept_texts("file", [file.relative_to(source).as_posix() for file in image_files(source)])
    return kept_texts("row", [str(number) for number in range(1, len(rows) + 1)])


def _write(
    model: "Model",
    rows: "NewRows",
    file: BinaryIO,
    device: str,
    kept: Mapping[str, Any],
    intervals: Callable[[Any], Any] | None,
) -> "Iterator[Tensor]":
    """Write the predictions, and yield them where the rows have targets."""
    from hpsearch.data.predictions_csv import write_predictions
    from hpsearch.model.new_rows import predict_rows

    numbers = model.class_kind in ("integer", "number")
    cells = [label if numbers else inert(label) for label in model.classes]
    columns = len(model.classes) or len(model.target_mean)
    chunks = predict_rows(model, rows, device)
    for chunk in write_predictions(file, model.classes, cells, columns, chunks, kept, model.labels, intervals):
        if rows.targets is not None:
            yield chunk


def _show_result(
    screen: "Screen",
    model: "Model",
    rows: "NewRows",
    predictions: "Sequence[Tensor]",
    own_metric: Callable[..., float] | None,
) -> None:
    """Print how many rows were predicted, and how well, by the metric of the user's own where it is given."""
    from hpsearch.data.metrics import METRICS
    from hpsearch.model.new_rows import chosen_by, evaluate
    from hpsearch.reporting.formatting import MetricFormat

    texts = screen.texts
    show_model(screen, "predict", texts("screen.predict.line", rows=texts.count("row", len(rows))), model)
    if rows.targets is None:
        return
    with mistakes("--metric"):
        judged = evaluate(model, predictions, rows.targets, rows.decimal, own_metric)
    if judged is None:
        screen.row("metric", texts("screen.predict.unknown_targets"))
        return
    score = MetricFormat.named(judged.metric, maximize=True, texts=texts).named_text(judged.value)
    text = texts("screen.predict.score", score=score, rows=texts.count("row", judged.rows))
    if judged.left_out:
        text += texts("screen.predict.left_out", rows=f"{judged.left_out:,}")
    screen.row("metric", text)
    chosen = chosen_by(model.metrics)
    if own_metric is None and chosen and chosen not in METRICS:
        screen.row("", texts("screen.predict.own_metric", metric=chosen))


class TerminalText(io.RawIOBase):
    """A terminal as a file of UTF-8: line ends stay, all other control characters, which a terminal would obey, are spelled out."""

    def __init__(self, terminal: TextIO) -> None:
        self.terminal = terminal
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    def write(self, content: Any, /) -> int:
        """Show bytes, and return how many they are."""
        from hpsearch.reporting.formatting import visible

        lines = self.decoder.decode(bytes(content)).split("\n")
        self.terminal.write("\n".join(visible(line, None) for line in lines))
        return len(content)


@contextmanager
def _open_output(output: str) -> Iterator[BinaryIO]:
    """Open the output: a file, which appears complete or not at all, or the standard output, whose reader may leave early."""
    if output != "-":
        with replacing(Path(output)) as file:
            yield file
        return
    try:
        if sys.stdout.isatty():
            yield cast("BinaryIO", TerminalText(sys.stdout))
        else:
            yield sys.stdout.buffer
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would flush it again at its end
