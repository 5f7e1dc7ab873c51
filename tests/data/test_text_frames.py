"""Numbers that are text in a frame, an Arrow table, a Parquet file or a target are read as those of a CSV file, or the same is asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hpsearch import Objective
from hpsearch.data import Data, from_arrays, from_frame, load_file
from hpsearch.data.columns.reading import read_columns, table_for
from hpsearch.data.loaders.table_files import read_like
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError

ROWS = 60
VALUES = np.random.default_rng(0).normal(scale=3000, size=ROWS).round(2)
KINDS = ["u", "v", "w"] * (ROWS // 3)
READ = ReadOptions(missing="median")


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def us(value: float) -> str:
    return f"{value:,.2f}"


def spaced(value: float) -> str:
    return f"{value:,.2f}".replace(",", "\u202f").replace(".", ",")


def typographic(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")


FORMS = {"german": german, "us": us, "spaced": spaced, "typographic": typographic}
LIBRARIES = ["pandas", "objects", "arrow", "polars"]


def frame_of(library: str, columns: dict[str, Any]) -> Any:
    if library == "polars":
        return polars.DataFrame(columns)
    if library == "arrow":
        return pa.table(columns)
    kind = object if library == "objects" else None
    return pd.DataFrame({name: pd.Series(list(cells), dtype=kind) for name, cells in columns.items()})


def texts(write: Any) -> dict[str, Any]:
    return {"a": list(map(write, VALUES)), "kind": KINDS, "y": list(map(write, VALUES * 2 + 1))}


def inputs_of(data: Data) -> Any:
    return data.training.inputs


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("form", FORMS)
def test_text_numbers_of_a_frame_are_read_as_those_of_a_file(form: str, library: str, tmp_path: Path) -> None:
    """Inputs, target and what is said of the marks are those of the same table as a CSV file, to the last bit."""
    columns = texts(FORMS[form])
    pd.DataFrame(columns).to_csv(tmp_path / "t.csv", sep=";", index=False)
    file = load_file(tmp_path / "t.csv", "y")
    data = from_frame(frame_of(library, columns), "y", read=READ)
    assert data.task.name == file.task.name == "regression"
    assert bool((inputs_of(data) == inputs_of(file)).all())
    assert bool((data.training.targets == file.training.targets).all())
    said = [
        line.partition(" (otherwise")[0] for line in file.summary["reading"] if line.startswith(("decimal", "thou"))
    ]
    assert said == [line.partition(" (otherwise")[0] for line in data.summary["reading"]][:2]


@pytest.mark.parametrize("form", FORMS)
def test_a_parquet_file_of_texts(form: str, tmp_path: Path) -> None:
    """Text numbers of a Parquet file are numbers, with the option of the command line; new rows are read alike."""
    columns = texts(FORMS[form])
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    data = load_file(tmp_path / "t.parquet", "y")
    plain = from_frame(pd.DataFrame({"a": VALUES, "kind": KINDS, "y": VALUES * 2 + 1}), "y", read=READ)
    assert bool((inputs_of(data) == inputs_of(plain)).all())
    assert any("--decimal" in line for line in data.summary["reading"])
    numbers = read_columns(data.preprocessing, read_like(tmp_path / "t.parquet", data.preprocessing))
    assert np.allclose(numbers[:, 0], VALUES)


def test_what_may_be_two_numbers_is_asked() -> None:
    """A frame whose text may be two numbers is refused with both readings and Python's option for each, which then decides."""
    frame = pd.DataFrame({"a": [f"{1 + row % 9}.{100 + row}" for row in range(ROWS)], "y": VALUES})
    with pytest.raises(
        UserError, match=r"in '1\.100' the point .* Give decimal='\.' \(1\.100\) or decimal=',' \(1100\)\.$"
    ):
        from_frame(frame, "y", read=READ)
    for mark, first in ((".", 1.1), (",", 1100.0)):
        data = from_frame(frame, "y", read=ReadOptions(missing="median", decimal=mark))
        assert read_columns(data.preprocessing, frame)[0, 0] == first
        objective = Objective((frame[["a"]], frame["y"]), decimal=mark, validation=0.5)
        assert read_columns(objective.data.preprocessing, frame)[0, 0] == first
    with pytest.raises(UserError, match=r"^decimal: only arrays and frames are read here"):
        Objective("digits", decimal=",")


def test_new_rows_are_read_as_the_frame_was() -> None:
    """New rows that leave the mark open have that of training; another one is read, and said without an option of a file."""
    frame = pd.DataFrame({"a": list(map(german, VALUES)), "y": VALUES})
    preprocessing = from_frame(frame, "y", read=READ).preprocessing
    assert read_columns(preprocessing, pd.DataFrame({"a": ["1.234", "-1,5"]}))[:, 0].tolist() == [1234.0, -1.5]
    assert read_columns(preprocessing, pd.DataFrame({"a": [2.5, -1.5]}))[:, 0].tolist() == [2.5, -1.5]
    table = table_for(preprocessing, pd.DataFrame({"a": ["12.5", "0.25"]}))
    assert read_columns(preprocessing, table)[:, 0].tolist() == [12.5, 0.25]
    assert any("the rows of training had ','" in notice and "--" not in notice for notice in table.notices)


def test_a_category_of_pandas_stays_one() -> None:
    """A column that the frame itself calls a category keeps its texts; one that is called so by force does too."""
    cells = [german(1000.5 + row % 4) for row in range(ROWS)]
    stated = pd.DataFrame({"a": pd.Categorical(cells), "y": VALUES})
    asked = pd.DataFrame({"a": cells, "y": VALUES})
    for frame, columns in ((stated, {}), (asked, {"a": "category"})):
        data = from_frame(frame, "y", read=ReadOptions(missing="median", columns=columns))
        assert data.preprocessing["columns"][0]["categories"] == sorted(set(cells))


@pytest.mark.parametrize("form", FORMS)
def test_a_target_apart_that_is_text(form: str) -> None:
    """Texts of many numbers, given apart, are numbers to predict; those of a few stay labels unless a regression is asked for."""
    inputs = VALUES.reshape(-1, 1)
    data = from_arrays(inputs, list(map(FORMS[form], VALUES)))
    assert data.task.name == "regression"
    assert bool((data.training.targets == from_arrays(inputs, VALUES).training.targets).all())
    assert any(line.startswith("decimal mark") for line in data.summary["reading"])
    labels = [f"{row % 3},5" for row in range(ROWS)]
    split = SplitOptions(validation=0.2)
    assert from_arrays(inputs, labels, split=split).classes == ("0,5", "1,5", "2,5")
    asked = from_arrays(inputs, labels, split=split, task=TaskOptions(task="regression"))
    assert asked.target_mean.item() == pytest.approx(1.5, abs=0.2)


def test_open_targets_are_asked() -> None:
    """A target apart that may be two numbers is refused with both readings."""
    with pytest.raises(UserError, match=r"column 'target': in '1\.100' the point may be"):
        from_arrays(VALUES.reshape(-1, 1), [f"1.{100 + row}" for row in range(ROWS)])
