"""The ways in for tables: `load_file` for a file, `from_frame` for a pandas frame that holds its target."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.data.assemble import LONGEST_NAME, assemble, told
from hpsearch.data.cells import shown
from hpsearch.data.columns.choosing import choose
from hpsearch.data.columns.frames import table_of
from hpsearch.data.columns.reading import read_table
from hpsearch.data.columns.table import Table
from hpsearch.data.dataset import Data
from hpsearch.data.loaders.sources import Raw
from hpsearch.data.splits import Folds, Size, Sizes
from hpsearch.errors import UserError


def load_file(
    path: str | Path,
    target: str | None,
    *,
    name: str | None = None,
    title: str | None = None,
    seed: int = 0,
    validation: Size = None,
    test: Size = None,
    task: str | None = None,
    metric: str | None = None,
    rows: int | None = None,
    folds: Folds = None,
    group: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str] | None = None,
    missing: str | None = None,
    missing_values: Sequence[str] = (),
    whole: bool = False,
    class_weights: str = "none",
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    size: int | None = None,
) -> Data:
    """Return a CSV, TSV (gzipped or not) or Parquet file, an .npz or .npy file, or a folder of images by class as `Data`.

    An empty cell is missing; in a column whose other cells are all numbers or dates, so are NA, N/A, NaN, null, None, ?, - and the like
    (`texts.MISSING`), and in any column the `missing_values`. In a column of text "NA" is a category. A missing number is filled with
    the training rows' median (`missing`), and an input of its own says that it was missing; a target must be there in every row.

    `size` is the side in pixels of the images of a folder; see `read_image_folder`, and `read_array_file` for the arrays of a file.
    What concerns columns (group, time, columns, missing, missing_values, separator, header, encoding, decimal) is a table's alone.

    `target` is the column that is predicted, and the file's name the data's where there is none. Without a line of names columns are
    called "0", "1", … `missing` is "median" (also if left out), "mean" or "refuse"; separator, header, encoding and decimal are as in
    `read_table`, all other options as in `from_arrays`.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    called = _name(Path(path)) if name is None else name
    sizes = Sizes(validation, test, rows, folds=folds, whole=whole)
    options: dict[str, Any] = {"seed": seed, "task": task, "metric": metric, "class_weights": class_weights}
    of_table: dict[str, Any] = {
        "group": group,
        "time": time,
        "columns": columns,
        "missing": missing,
        "missing_values": missing_values,
    }
    of_table |= {"separator": separator, "header": header, "encoding": encoding, "decimal": decimal}
    if is_arrays(Path(path)):
        with told(called):
            raw = _read_arrays(Path(path), target, size, [key for key, value in of_table.items() if value])
        return assemble(raw, called, title or called, replace(sizes, given_test=raw.given_test), **options)
    with told(called):
        if size is not None:
            raise UserError(f"size {size}: a table has no images. Leave it out.")
        expected = [column for column in (target, group, time, *(columns or ())) if column is not None]
        table = read_table(
            path, separator=separator, header=header, encoding=encoding, decimal=decimal, expected=expected
        )
    return _data(
        table,
        target,
        called,
        title or called,
        sizes,
        {"group": group, "time": time, "columns": columns or {}, "missing": missing or "median"},
        missing_values,
        options,
    )


def from_frame(
    frame: Any,
    target: str,
    *,
    name: str = "frame",
    title: str | None = None,
    seed: int = 0,
    validation: Size = None,
    test: Size = None,
    task: str | None = None,
    metric: str | None = None,
    rows: int | None = None,
    folds: Folds = None,
    group: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str] | None = None,
    missing: str | None = None,
    missing_values: Sequence[str] = (),
    whole: bool = False,
    class_weights: str = "none",
) -> Data:
    """Return a pandas frame that holds its target as `Data`, float32 on the CPU.

    Columns may hold numbers, text, categories, truth values or dates. The options are those of `from_arrays`; missing cells are refused
    unless `missing` says how they are filled.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    with told(name):
        table = table_of(frame)
    return _data(
        table,
        target,
        name,
        title or name,
        Sizes(validation, test, rows, folds=folds, whole=whole),
        {"group": group, "time": time, "columns": columns or {}, "missing": missing or "refuse"},
        missing_values,
        {"seed": seed, "task": task, "metric": metric, "class_weights": class_weights},
    )


def _data(
    table: Table,
    target: str | None,
    name: str,
    title: str,
    sizes: Sizes,
    columns: Mapping[str, Any],
    missing_values: Sequence[str],
    options: Mapping[str, Any],
) -> Data:
    with told(name):
        raw = choose(table, target, missing_values=missing_values, **columns)
    return assemble(raw, name, title, sizes, **options)


def is_arrays(path: Path) -> bool:
    """Whether a path is no table: a folder (of images), or a file of NumPy's."""
    with suppress(OSError, ValueError):  # a name that no file can have is told where tables are read
        return path.is_dir() or path.suffix.lower() in (".npz", ".npy")
    return False


def _read_arrays(path: Path, target: str | None, size: int | None, of_table: Sequence[str]) -> Raw:
    if of_table:
        raise UserError(f"{', '.join(of_table)}: only a table has columns and cells. Leave it out.")
    if not path.is_dir():
        if size is not None:
            raise UserError(f"size {size}: arrays are taken as they are. Leave it out.")
        from hpsearch.data.loaders.array_files import read_array_file

        return read_array_file(path, target)
    if target is not None:
        raise UserError(f"target {shown(target)}: the class of an image is its folder's name. Leave the target out.")
    from hpsearch.data.loaders.image_folder import read_image_folder

    return read_image_folder(path, size)


def _name(path: Path) -> str:
    """Return a file's name where it can be shown, else "table"."""
    return path.name if path.name.isprintable() and 0 < len(path.name) <= LONGEST_NAME else "table"
