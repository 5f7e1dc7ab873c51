"""Data in a file: `load_file` for tables, arrays and folders of images. What reads one kind is imported once such a file is read."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hpsearch.data.assemble import LONGEST_NAME, assemble, prefixed_errors
from hpsearch.data.cells import Raw
from hpsearch.data.dataset import Data
from hpsearch.data.loaders.array_files import ENDS, read_array_file
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError, listed, shown

OF_ARRAYS = ("group", "time", "columns", "missing")  # options of columns, which arrays have as well


def load_file(
    path: str | Path,
    target: str | Sequence[str] | None,
    *,
    name: str | None = None,
    title: str | None = None,
    task: TaskOptions = TaskOptions(),
    split: SplitOptions = SplitOptions(),
    read: ReadOptions = ReadOptions(),
) -> Data:
    """Return a CSV, TSV (gzipped or not) or Parquet file, an .npz or .npy file, or a folder of images by class as `Data`.

    An empty cell is missing; in a column whose other cells are all numbers or dates, so are NA, N/A, NaN, null, None, ?, - and the like
    (`parsing.MISSING`), and in any column the `missing_values`. In a column of text "NA" is a category. A missing number is filled with
    the training rows' median (`missing`), and an input of its own says that it was missing; a target must be there in every row.

    Args:
        path: a file or a folder; see `read_table`, `read_array_file` and `read_image_folder`.
        target: the column that is predicted, several of them ("a,b" or a list), or the array of targets; None for images, whose folders
            are their classes.
        name: 1 to 200 printable characters; the file's name if left out.
        title: what people read; the name if left out.
        task: what is predicted.
        split: which rows train, validate and test.
        read: how the file is read; missing numbers are filled with the median unless `missing` says otherwise.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    name = _name_of(Path(path)) if name is None else name
    with prefixed_errors(name):
        if _is_arrays(Path(path)):
            raw = _raw_of_arrays(path, target, read, keep_validation=split.validation == "given")
        else:
            raw = _raw_of_table(path, target, read)
    return assemble(raw, name, title or name, task, split)


def _is_arrays(path: Path) -> bool:
    """Whether a path is no table: a folder (of images), or a file of NumPy's."""
    with suppress(OSError, ValueError):  # `read_table` reports a name that no file can have
        return path.is_dir() or path.suffix.lower() in ENDS
    return False


def _raw_of_table(path: str | Path, target: str | Sequence[str] | None, read: ReadOptions) -> Raw:
    if read.of_images:
        raise UserError(f"{', '.join(read.of_images)}: a table has no images. Leave it out.")
    from hpsearch.data.columns.roles import assign_roles, target_columns
    from hpsearch.data.loaders.table_files import read_table

    named = (*target_columns(target, ()), read.group, read.time, read.weight, *read.columns)
    table = read_table(path, read, expected=[column for column in named if column is not None])
    return assign_roles(table, target, replace(read, missing=read.missing or "median"))


def _raw_of_arrays(
    path: str | Path, target: str | Sequence[str] | None, read: ReadOptions, *, keep_validation: bool
) -> Raw:
    path = Path(path)
    asked = read.of_table
    if not path.is_dir():
        asked = [name for name in asked if name not in OF_ARRAYS]
    if asked:
        raise UserError(f"{', '.join(asked)}: only a table has columns and cells. Leave it out.")
    if path.is_dir() and target is not None:
        raise UserError(f"target {shown(target)}: the class of an image is its folder's name. Leave the target out.")
    if path.is_dir():
        from hpsearch.data.loaders.image_folder import read_image_folder

        raw = read_image_folder(path, read, keep_validation=keep_validation)
        return replace(raw, drop_rows=read.drop_rows)
    if read.of_images:
        raise UserError(f"{', '.join(read.of_images)}: arrays are taken as they are. Leave it out.")
    if target is not None and not isinstance(target, str):
        raise UserError(f"target {listed(target)}: one array of targets expected. Give its name.")
    raw = replace(read_array_file(path, target, keep_validation=keep_validation), drop_rows=read.drop_rows)
    return _by_columns(raw, read) if read.of_table else raw


def _by_columns(raw: Raw, read: ReadOptions) -> Raw:
    """Return arrays [N, F] whose columns are read as a table's, since an option concerns them."""
    from hpsearch.data.columns.roles import assign_roles
    from hpsearch.data.columns.table import table_of_array

    table = replace(table_of_array(raw.inputs), source=raw.source)
    asked = replace(read, missing=read.missing or "refuse")
    made = assign_roles(table, None, asked, raw.targets)
    return replace(made, given_test=raw.given_test, given_validation=raw.given_validation, notices=raw.notices)


def _name_of(path: Path) -> str:
    """Return a file's name where it can be shown, else "table"."""
    can_be_shown = path.name.isprintable() and 0 < len(path.name) <= LONGEST_NAME
    return path.name if can_be_shown else "table"
