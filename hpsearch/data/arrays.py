"""The way in for arrays, tensors, lists and frames whose target is apart: `from_arrays`."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.data.assemble import assemble, told
from hpsearch.data.dataset import Data
from hpsearch.data.loaders.sources import Raw
from hpsearch.data.splits import Folds, Size, Sizes, Split


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    name: str = "arrays",
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
    split: Split | None = None,
) -> Data:
    """Return NumPy arrays, tensors, pandas frames or lists as `Data`, float32 on the CPU.

    Numbers without missing cells are standardised as they are. A frame with other columns (text, categories, dates) is read as a table;
    so is any for which one of `group`, `time`, `columns`, `missing` is given, an array's columns being called "0", "1", …

    Args:
        inputs: a table [N, F], or images [N, H, W] or [N, C, H, W].
        targets: one of each row [N], or several numbers for regression [N, K].
        name: 1 to 200 printable characters.
        title: what people read; the name if left out.
        seed: decides which rows go where.
        validation: a share of all rows, or a number of rows; 0.15 if left out.
        test: likewise; 0 for no test rows.
        task: a name of `TASKS`; inferred from the targets if left out, see `infer_task`.
        metric: a name of `METRICS` that fits the task; the task's first if left out.
        rows: at most so many training rows, classes in equal shares.
        folds: divide all rows but the test rows in so many parts, each of which validates in turn; "auto": 5 for few rows.
        group: the column whose equal cells keep rows in one part.
        time: the column by which the earliest rows train and the latest test.
        columns: a kind of `KINDS` for columns by name, or "drop".
        missing: what takes the place of a missing number: "median", "mean"; "refuse" (also if left out) refuses missing cells.
        missing_values: texts that mean a missing cell, besides the usual.
        whole: train on all rows but the test rows; the validation rows are the same.
        class_weights: "balanced" weighs each class by N / (C · its training rows).
        split: which rows go where, in place of `validation`, `test`, `rows`, `folds` and `whole`.

    Raises:
        UserError: something cannot be used; one line says what, where, and what to do.
    """
    sizes = Sizes(validation, test, rows, folds=folds, whole=whole)
    options: dict[str, Any] = {
        "seed": seed,
        "task": task,
        "metric": metric,
        "class_weights": class_weights,
        "split": split,
    }
    asked = group is not None or time is not None or columns or missing is not None
    if not asked and not _has_other_cells(inputs):
        return assemble(Raw(inputs, targets, "arrays"), name, title or name, sizes, **options)
    from hpsearch.data.columns.choosing import choose

    with told(name):
        raw = choose(
            _table(inputs),
            None,
            targets,
            group=group,
            time=time,
            columns=columns or {},
            missing=missing or "refuse",
            missing_values=missing_values,
        )
    return assemble(raw, name, title or name, sizes, **options)


def _has_other_cells(inputs: Any) -> bool:
    """Whether a frame has columns that are no numbers; arrays have none, or are refused."""
    if not hasattr(inputs, "iloc") or not hasattr(inputs, "dtypes"):
        return False
    from hpsearch.data.columns.frames import is_number_column

    return not all(is_number_column(inputs.iloc[:, place]) for place in range(inputs.shape[1]))


def _table(inputs: Any) -> Any:
    from hpsearch.data.columns.frames import table_of, table_of_array

    return table_of(inputs) if hasattr(inputs, "iloc") else table_of_array(inputs)
