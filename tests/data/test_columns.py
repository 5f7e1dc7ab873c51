"""What the columns of a table mean: names with dots, columns that cannot be read, cells of new rows, identifiers."""

import re
import shlex
from argparse import Namespace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from hpsearch.commands.options import overrides
from hpsearch.config import find_study, read_config
from hpsearch.data import Data, from_frame, load_file
from hpsearch.data.columns.dates import date_formats
from hpsearch.data.columns.reading import read_columns
from hpsearch.data.columns.table import table_of
from hpsearch.data.loaders.table_files import read_like
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.errors import UserError
from hpsearch.model.new_rows import evaluate
from hpsearch.model.unfamiliar import unfamiliar_cells

DRAW = np.random.RandomState(0)
ROWS = 120
X = DRAW.normal(size=ROWS).round(4)
Y = np.where(X + DRAW.normal(size=ROWS) > 0, "yes", "no")


def write(folder: Path, **columns: Any) -> Path:
    """Write a CSV file with these columns beside `x` and `y`."""
    path = folder / "table.csv"
    pd.DataFrame({"x": X, **columns, "y": Y}).to_csv(path, index=False)
    return path


def kinds(data: Data) -> dict[str, str]:
    """Return each column's kind by its name."""
    return {column["name"]: column["kind"] for column in data.summary["columns"]}


def settings_of(text: str, path: Path) -> dict[str, str]:
    """Return the columns of a study whose command line has the options of a text, as a shell splits it."""
    options = re.search(r"\((--set .*)\)", text)
    assert options is not None
    words = shlex.split(options[1])
    given = overrides(Namespace(command="run", set=words[1::2], data=str(path), target="y"))
    return read_config(find_study("table"), given, "it").data.columns


@pytest.mark.parametrize("name", ["Sepal.Length", "a b", "it's", "a=b", ".", "x.y.z", "$HOME", 'say "hi"', "Größe"])
def test_the_option_of_a_notice_works_when_it_is_pasted(tmp_path: Path, name: str) -> None:
    """A column that gives the target away is named with the option that drops it, whatever dots and marks its name has."""
    path = write(tmp_path, **{name: np.where(Y == "yes", 3.5, 7.25)})
    notice = next(text for text in load_file(path, "y").summary["notices"] if "alone tells" in text)
    columns = settings_of(notice, path)
    assert columns == {name: "drop"}
    assert kinds(load_file(path, "y", read=ReadOptions(columns=columns)))[name] == "dropped"


@pytest.mark.parametrize(
    "line", ["columns.Sepal.Length = 'drop'", "columns.'Sepal.Length' = 'drop'", "columns = {'Sepal.Length' = 'drop'}"]
)
def test_a_name_with_dots_in_a_study(tmp_path: Path, line: str) -> None:
    """A study's file may write a column's name with its dots as they are, or in quotes."""
    (tmp_path / "it.toml").write_text(f"[data]\nfile = 't.csv'\ntarget = 'y'\n{line}\n")
    assert read_config(tmp_path / "it.toml").data.columns == {"Sepal.Length": "drop"}
    quoted = [("data.columns.'Sepal.Width'", "drop")]
    both = {"Sepal.Length": "drop", "Sepal.Width": "drop"}
    assert read_config(tmp_path / "it.toml", quoted).data.columns == both


def unreadable() -> pd.DataFrame:
    """Return a table with columns that no network can read."""
    frame = pd.DataFrame({"x": X, "y": Y})
    return frame.assign(
        tags=[[1, i] for i in range(ROWS)], place=[{"lat": 1.5}] * ROWS, blob=b"\xff", lasts=pd.Timedelta("1h")
    )


@pytest.mark.parametrize("name", ["tags", "place", "blob", "lasts"])
def test_a_column_that_cannot_be_read_is_refused_unless_it_is_dropped(tmp_path: Path, name: str) -> None:
    """Lists, structures, bytes and durations are refused with the option that drops them, and dropped if that is asked for."""
    frame = unreadable()[["x", name, "y"]]
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    with pytest.raises(UserError, match=f"'{name}' holds .*expected") as caught:
        load_file(path, "y")
    assert settings_of(str(caught.value), path) == {name: "drop"}
    with pytest.raises(UserError, match=rf"columns=\{{'{name}': 'drop'\}}"):
        from_frame(frame, "y")
    read = ReadOptions(columns={name: "drop"})
    for data in (load_file(path, "y", read=read), from_frame(frame, "y", read=read)):
        assert [column["name"] for column in data.preprocessing["columns"]] == ["x"]


def test_arrays_with_missing_cells_in_a_file(tmp_path: Path) -> None:
    """An array's missing cells are refused with the option that fills them, and filled as a table's are; test rows stay test rows."""
    inputs = DRAW.normal(size=(ROWS, 3))
    inputs[::7, 1] = np.nan
    np.savez(tmp_path / "t.npz", X=inputs, y=Y)
    with pytest.raises(UserError, match=r"--set data\.missing=median"):
        load_file(tmp_path / "t.npz", None)
    data = load_file(tmp_path / "t.npz", None, read=ReadOptions(missing="median", columns={"2": "drop"}))
    assert [(column["name"], column["indicator"]) for column in data.preprocessing["columns"]] == [
        ("0", False),
        ("1", True),
    ]
    assert data.training.inputs.isfinite().all()
    np.savez(tmp_path / "p.npz", x_train=inputs, y_train=Y, x_test=inputs[:20], y_test=Y[:20])
    assert len(load_file(tmp_path / "p.npz", None, read=ReadOptions(missing="mean")).test) == 20
    with pytest.raises(UserError, match="decimal: only a table has"):
        load_file(tmp_path / "t.npz", None, read=ReadOptions(decimal=","))


TRUTHS = {  # cells of new rows → what they are read as, NaN for missing
    "words": (["True", "false", "TRUE", "yes", "n"], [1, 0, 1, 1, 0]),
    "digits": (["1", "0", "1", "0", "1"], [1, 0, 1, 0, 1]),
    "numbers": ([1.0, 0.0, np.nan, 1.0, 0.0], [1, 0, np.nan, 1, 0]),
    "truth values": ([True, False, True, False, True], [1, 0, 1, 0, 1]),
    "a third text": (["True", "maybe", "", "False", "1"], [1, np.nan, np.nan, 0, 1]),
    "a third number": ([1, 2, 0, 1, 0], [1, np.nan, 0, 1, 0]),
}


@pytest.mark.parametrize("case", TRUTHS)
def test_truth_values_of_new_rows(tmp_path: Path, case: str) -> None:
    """A column of True and False reads 1 and 0 and other words for them; a third value is read as missing, and told where rows are."""
    kept = load_file(write(tmp_path, vip=np.arange(ROWS) % 2 == 0), "y").preprocessing
    cells, expected = TRUTHS[case]
    frame = pd.DataFrame({"x": 0.5, "vip": cells})
    np.testing.assert_array_equal(read_columns(kept, frame)[:, 1], np.array(expected, dtype=float))
    told = [sentence for sentence in unfamiliar_cells(kept, table_of(frame)) if "never saw" in sentence]
    assert len(told) == case.startswith("a third")
    assert all("in row 1; read as missing" in sentence for sentence in told)


def test_true_and_false_for_one_and_zero(tmp_path: Path) -> None:
    """A column of 1 and 0 reads True and False; one of other numbers refuses them."""
    kept = load_file(write(tmp_path, vip=np.arange(ROWS) % 2, age=np.arange(ROWS) % 7), "y").preprocessing
    frame = pd.DataFrame({"x": 0.5, "vip": [True, False, True], "age": 3})
    assert read_columns(kept, frame)[:, 1].tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="'age': row 0 holds 'True', a number expected"):
        read_columns(kept, frame.assign(age=frame.vip))


def test_a_third_truth_value_among_the_test_rows(tmp_path: Path) -> None:
    """A third value that only rows outside training have is missing there, and a notice says so."""
    cells = np.where(np.arange(ROWS) % 2 == 0, "yes", "no").astype(object)
    split = load_file(write(tmp_path, vip=cells, k=np.arange(ROWS) ** 2), "y").preprocessing
    assert split["columns"][1]["kind"] == "boolean"
    for row in range(ROWS):
        other = cells.copy()
        other[row] = "maybe"
        data = load_file(write(tmp_path, vip=other), "y")
        if kinds(data)["vip"] == "boolean":
            notice = "Column 'vip': 1 cell is neither 'no' nor 'yes', outside the training rows: read as missing."
            assert notice in data.summary["notices"]
            return
    raise AssertionError("every row trains")


def test_cells_that_are_unlike_those_of_training_are_counted(tmp_path: Path) -> None:
    """Of each column of new rows it is told how many cells are missing, unseen and out of the range, with the first of them."""
    frame = pd.DataFrame({"x": X, "z": np.arange(ROWS) % 9, "city": np.array(["A", "B", "C"])[np.arange(ROWS) % 3]})
    frame["day"] = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")
    frame["gap"] = np.where(np.arange(ROWS) % 4 == 0, np.nan, X[::-1])
    frame.assign(y=Y).to_csv(tmp_path / "t.csv", index=False)
    kept = load_file(tmp_path / "t.csv", "y", split=SplitOptions(test=0, folds=None)).preprocessing
    new = pd.DataFrame(
        {
            "x": [None, "0.1", "99", "-98"],
            "z": [None] * 4,
            "city": ["A", None, "Z", "Y"],
            "day": ["2024-02-01", "1999-12-31", "2024-02-03", ""],
            "gap": [None, "0.1", "0.1", "0.1"],
        }
    )
    new.to_csv(tmp_path / "new.csv", index=False)
    table = read_like(tmp_path / "new.csv", dict(kept))
    x, z, _, day, gap = kept["columns"]
    low, high = x["range"]
    fill = {entry["name"]: entry["fill"] for entry in (x, z, gap)}
    days = [str(np.datetime64("1970-01-01") + int(number)) for number in (*day["range"], day["fill"])]
    assert [*unfamiliar_cells(kept, table)] == [
        f"Column 'x': 1 of 4 cells is missing, which training never had: taken as {fill['x']:.6g}.",
        f"Column 'x': 2 rows have a value outside the range of training, {low:.6g} to {high:.6g}, the first '99' in line 4.",
        f"Column 'z': 4 of 4 cells are missing, which training never had: taken as {fill['z']:.6g}.",
        "Column 'city': 1 of 4 cells is missing, which training never had: taken as none of its categories.",
        "Column 'city': 2 rows have a value that training never saw, the first 'Z' in line 4.",
        f"Column 'day': 1 of 4 cells is missing, which training never had: taken as {days[2]}.",
        f"Column 'day': 1 row has a value outside the range of training, {days[0]} to {days[1]}, the first '1999-12-31' in line 3.",
        f"Column 'gap': 1 of 4 cells is missing: taken as {fill['gap']:.6g}.",
    ]
    assert [sentence.split("'")[1] for sentence in unfamiliar_cells(kept, table, rare_only=True)] == [
        "x",
        "z",
        "city",
        "city",
        "day",
    ]


def test_a_model_of_an_early_version_says_what_it_knows() -> None:
    """Where a model does not have its columns' ranges, nothing is said of them, nor that training had no missing cells."""
    entry = {"name": "x", "kind": "number", "fill": 0.5, "indicator": False, "mean": [0.0], "scale": [1.0]}
    table = table_of(pd.DataFrame({"x": [1e9, None]}))
    assert [*unfamiliar_cells({"columns": [entry]}, table)] == ["Column 'x': 1 of 2 cells is missing: taken as 0.5."]


STARTS = [datetime(2023, 1, 3, 0, 5, 6) + timedelta(days=17 * i, hours=5 * i) for i in range(ROWS)]
WRITTEN: dict[str, Any] = {  # how a date is written → (a function that writes it, to the day or the second)
    "US with AM and PM": (lambda at: f"{at:%m/%d/%Y %I:%M:%S %p}", "s"),
    "small letters": (lambda at: f"{at:%m/%d/%Y %I:%M:%S %p}".lower().lstrip("0"), "s"),
    "with points": (lambda at: f"{at:%d.%m.%Y %I:%M:%S} {'ap'[at.hour >= 12]}.m.", "s"),
    "month in words": (lambda at: f"{at:%B} {at.day}, {at.year}", "D"),
    "month in short": (lambda at: f"{at:%b %d, %Y}", "D"),
    "month with a point": (lambda at: f"{at:%b}. {at.day} {at.year}", "D"),
    "day before it": (lambda at: f"{at.day} {at:%B %Y}", "D"),
    "ordinal": (lambda at: f"{at:%B} {at.day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(at.day, 'th') }, {at.year}", "D"),
    "day of the week": (lambda at: f"{at:%A, %B %d, %Y %I:%M:%S %p}", "s"),
    "letter": (lambda at: f"{at:%a, %d %b %Y %H:%M:%S} GMT", "s"),
    "letter with a zone": (lambda at: f"{at + timedelta(hours=1):%a, %d %b %Y %H:%M:%S} +0100", "s"),
    "C": (lambda at: at.ctime(), "s"),
    "Oracle": (lambda at: f"{at:%d-%b-%y}".upper(), "D"),
    "SAS": (lambda at: f"{at:%d%b%Y}".upper(), "D"),
    "points": (lambda at: f"{at:%Y.%m.%d %H:%M:%S}", "s"),
    "no zeros": (lambda at: f"{at.year}-{at.month}-{at.day}", "D"),
    "UTC": (lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC", "s"),
    "zone": (lambda at: f"{at + timedelta(hours=1):%Y-%m-%d %H:%M:%S} +0100", "s"),
    "zone with half an hour": (lambda at: f"{at - timedelta(hours=3.5):%Y-%m-%dT%H:%M:%S,000}-03:30", "s"),
    "years of two digits": (lambda at: f"{at:%m/%d/%y}", "D"),
    "German years of two digits": (lambda at: f"{at:%d.%m.%y}", "D"),
    "years of two digits first": (lambda at: f"{at:%y-%m-%d %H:%M:%S}", "s"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN)
def test_dates_however_they_are_written(tmp_path: Path, case: str) -> None:
    """Dates are the days since 1970 in UTC, whatever their marks, words and zones, in training and in new rows alike."""
    form, exact = WRITTEN[case]
    moments = np.array(STARTS, dtype=f"datetime64[{exact}]").astype("datetime64[us]")
    cells = [form(at) for at in STARTS]
    data = load_file(write(tmp_path, day=cells), "y")
    assert kinds(data)["day"] == "date"
    numbers = read_columns(data.preprocessing, pd.DataFrame({"x": X, "day": cells}))[:, 1]
    np.testing.assert_array_equal(numbers, moments.astype(np.int64) / 86_400e6)


def test_what_is_no_date_stays_text() -> None:
    """Hours, days and months that are none, words that begin as months do, and half-written dates are no dates."""
    for cell in ("2023-13-01", "2023-02-30", "2023-01-03 25:00", "01/03/2023 13:05 PM", "01/03/2023 0:05 AM", "Marching 3 2023",
                 "March", "12:30", "2023-01", "1.2.3.4", "10-11-12-13", "3 Foo 2023", "2023-01-03 10:61"):  # fmt: skip
        assert date_formats(pa.array([cell])) == [], cell


def test_two_readings_of_a_date_are_told_with_the_option_for_the_other(tmp_path: Path) -> None:
    """Where day and month may change places the notice has the option that does it; as a time such a column is a question."""
    cells = [f"{i % 12 + 1:02d}/{i % 9 + 1:02d}/2024" for i in range(ROWS)]
    path = write(tmp_path, day=cells)
    data = load_file(path, "y")
    notice = next(text for text in data.summary["notices"] if "would fit too" in text)
    columns = settings_of(notice, path)
    assert columns == {"day": "date:%m/%d/%Y"}
    other = load_file(path, "y", read=ReadOptions(columns=columns))
    assert [one.preprocessing["columns"][1]["format"] for one in (data, other)] == ["%d/%m/%Y", "%m/%d/%Y"]
    frame = pd.DataFrame({"x": 0.5, "day": ["02/01/2024"]})
    january = [read_columns(one.preprocessing, frame)[0, 1] - 19_723 for one in (data, other)]
    assert january == [1, 31]
    with pytest.raises(UserError, match=r"%d/%m/%Y and %m/%d/%Y both fit.* --set data.columns.day=date:%d/%m/%Y or "):
        load_file(path, "y", read=ReadOptions(time="day"))
    timed = load_file(path, "y", read=ReadOptions(time="day", columns=columns))
    assert "day" not in [entry["name"] for entry in timed.preprocessing["columns"]]  # its format alone is said
    with pytest.raises(UserError, match=r"'day': line 14 holds '01/04/2024'|a date like 2024/12 expected"):
        load_file(path, "y", read=ReadOptions(columns={"day": "date:%Y/%m"}))


def test_years_of_two_digits_are_told(tmp_path: Path) -> None:
    """Which century two digits mean is said, and how cells that are versions stay text."""
    data = load_file(write(tmp_path, version=[f"{i % 9 + 1}.{i % 12 + 1}.{i % 20 + 10}" for i in range(ROWS)]), "y")
    notice = next(text for text in data.summary["notices"] if "'version'" in text)
    assert "years of two digits are 1969 to 2068" in notice
    assert "--set data.columns.version=category" in notice


@pytest.mark.parametrize("form", ["{}. Januar 2023", "2023-W{:02d}", "2023-01-01 10:{:02d} CET"])
def test_dates_that_are_not_read_name_those_that_are(tmp_path: Path, form: str) -> None:
    """A column that is dropped and may hold dates is told which dates are read."""
    data = load_file(write(tmp_path, day=[form.format(i) for i in range(ROWS)]), "y")
    assert kinds(data)["day"] == "dropped"
    assert any("'day'" in text and "as 2024-12-31, 31.12.2024" in text for text in data.summary["notices"])


NAMES = (
    "id", "ID", "CustomerID", "customerId", "customer_id", "customer-id", "customerid", "userId", "userid", "order_no", "Order No.",
    "orderNo", "OrderNumber", "invoice_number", "PassengerId", "Unnamed: 0", "id_cliente", "IdProducto", "Kundennummer", "Kunden-Nr",
    "kundenid", "row index", "SSN", "UserID:int", "#", "patient_key", "XMLId", "Id2Key", "No",
)  # fmt: skip
OTHERS = (
    "paid",
    "grid",
    "acid",
    "humid",
    "valid",
    "amount",
    "number_of_rooms",
    "idle",
    "keyboard",
    "note",
    "piano",
    "volcano",
    "x",
    "Größe",
)


@pytest.mark.parametrize("name", [*NAMES, *OTHERS])
def test_names_of_identifiers(tmp_path: Path, name: str) -> None:
    """Distinct whole numbers under the name of an identifier are left out, with the option that keeps them; others are inputs."""
    path = write(tmp_path, **{name: DRAW.permutation(9 * ROWS)[:ROWS] + 4711, "z": X[::-1]})
    data = load_file(path, "y")
    assert kinds(data)[name] == ("dropped" if name in NAMES else "number")
    if name in NAMES:
        notice = next(text for text in data.summary["notices"] if "distinct whole numbers" in text)
        columns = settings_of(notice.replace(" keeps it", ""), path)
        assert kinds(load_file(path, "y", read=ReadOptions(columns=columns)))[name] == "number"


def test_an_identifiers_name_alone_is_none(tmp_path: Path) -> None:
    """Numbers that come again, or have fractions, are inputs whatever their name."""
    data = load_file(write(tmp_path, CustomerID=np.arange(ROWS) // 2 * 7, order_no=X[::-1] * 3), "y")
    assert [*kinds(data).values()] == ["number"] * 3


@pytest.mark.parametrize(
    "targets",
    [pa.array(["True", "False", "", "maybe"]), pa.array(["1", "0", None, "2"]), np.array(["true", "no", None, "x"], dtype=object),
     np.array([1.0, 0.0, np.nan, 7.0])],
)  # fmt: skip
def test_truth_values_as_a_target_of_new_rows(targets: Any) -> None:
    """Classes that were True and False are known under other words too when predictions are judged."""
    made: Any = SimpleNamespace(
        class_kind="boolean", classes=("False", "True"), labels=(), task="binary", metrics={"metric": "accuracy"}
    )
    predictions = torch.tensor([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5], [0.5, 0.5]])
    judged = evaluate(made, [predictions], targets)
    assert judged is not None
    assert (judged.value, judged.rows, judged.left_out) == (1.0, 2, 2)


def test_whole_numbers_are_dates_in_a_format_that_is_given(tmp_path: Path) -> None:
    """Days that Parquet has as whole numbers are dates where their format is given, in new rows too."""
    cells = [int(f"{at:%Y%m%d}") for at in STARTS]
    pd.DataFrame({"x": X, "day": cells, "y": Y}).to_parquet(tmp_path / "t.parquet")
    data = load_file(tmp_path / "t.parquet", "y", read=ReadOptions(columns={"day": "date:%Y%m%d"}))
    assert kinds(data)["day"] == "date"
    assert read_columns(data.preprocessing, pd.DataFrame({"x": 0.5, "day": [20240101]}))[0, 1] == 19_723
