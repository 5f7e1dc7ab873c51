"""What is said of data that can be read and may not be what was meant: texts among numbers, columns that give the target away."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.data import from_arrays, from_frame, load_file
from hpsearch.data.columns import parsing
from hpsearch.data.leaks import leaks
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError
from tests.support.options import flat

DRAW = np.random.RandomState(0)
ROWS = 120
X = DRAW.normal(size=ROWS).round(4)
PRICE = (3 * X + DRAW.normal(size=ROWS)).round(3)
SOLD = np.where(PRICE > 0, "yes", "no")


def told(data: Any, *parts: str) -> bool:
    """Whether one of the notices has all of these parts."""
    return any(all(part in notice for part in parts) for notice in data.summary["notices"])


def table(tmp_path: Path, **columns: Any) -> Path:
    """Write a CSV file with these columns beside `x` and `price`."""
    path = tmp_path / "table.csv"
    pd.DataFrame({"x": X, **columns, "price": PRICE}).to_csv(path, index=False)
    return path


def mixed(share: float, found: tuple[str, ...], numbers: Any) -> list[str]:
    """Return numbers, every so often one of the texts in the place of one."""
    step = round(1 / share)
    return [found[i // step % len(found)] if i % step == 0 else str(v) for i, v in enumerate(numbers)]


@pytest.mark.parametrize(
    ("numbers", "share", "fate"), [(PRICE[::-1], 0.2, "not used (text)"), (np.arange(ROWS) % 8, 0.1, "'dose': ")]
)
def test_texts_among_numbers_are_named(tmp_path: Path, numbers: Any, share: float, fate: str) -> None:
    """A column of numbers and a few texts stays text, and a notice says how many are numbers, which are not, and what reads them so."""
    cells = mixed(share, ("k.A.", "n/a?"), numbers)
    path = table(tmp_path, dose=cells)
    data = load_file(path, "price", split=SplitOptions(test=0))
    setting = "missing_values = ['k.A.', 'n/a?'] reads them so (--missing-value 'k.A.' --missing-value 'n/a?')"
    assert told(data, "'dose'", fate, "% of its cells are numbers, the others 'k.A.', 'n/a?'", setting)
    again = load_file(path, "price", split=SplitOptions(test=0), read=ReadOptions(missing_values=["k.A.", "n/a?"]))
    entry = next(column for column in again.summary["columns"] if column["name"] == "dose")
    assert (entry["kind"], entry["missing"]) == ("number", sum(cell in ("k.A.", "n/a?") for cell in cells))


def test_numbers_too_close_to_zero_are_named(tmp_path: Path) -> None:
    """A number that float64 has no value for but 0 is told with its column; a zero, however it is written, is not."""
    cells = [*map(str, X[:-2]), "1e-400", "-3.5E-999"]
    data = load_file(table(tmp_path, small=cells), "price")
    assert told(data, "Column 'small': 2 cells too close to 0", "'1e-400', read as 0")
    zeros = [*map(str, X[:-2]), "0e-400", "0.000"]
    assert not told(load_file(table(tmp_path, small=zeros), "price"), "too close to 0")


@pytest.mark.parametrize("written", ["1e-400", f"0.{'0' * 400}1"])
def test_targets_and_weights_too_close_to_zero_are_named(tmp_path: Path, written: str) -> None:
    """A target or a weight that is read as 0 and was none is told like an input, from a file and from Python."""
    cells = [*map(str, X[:-1]), written]
    file = table(tmp_path, small=cells)
    assert told(load_file(file, "small"), "Column 'small': 1 cell too close to 0")
    assert told(load_file(file, ["small", "price"]), "Column 'small': 1 cell too close to 0")
    weights = table(tmp_path, weight=[*["1.5"] * (ROWS - 1), written])
    assert told(load_file(weights, "price", read=ReadOptions(weight="weight")), "Column 'weight': 1 cell")
    data = from_arrays(X[:, None], np.array(cells, dtype=object), task=TaskOptions(task="regression"))
    assert told(data, "Target: 1 cell too close to 0")


@pytest.mark.parametrize("odd", ["maybe", "1"])
def test_an_odd_cell_among_truth_values_is_named(tmp_path: Path, odd: str) -> None:
    """A column of yes and no that one cell makes a category says which cell, since it becomes three inputs in place of one."""
    cells = ["Yes" if place % 3 else "no" for place in range(ROWS)]
    plain = load_file(table(tmp_path, member=cells), "price", split=SplitOptions(test=0, folds=5))
    assert not told(plain, "not a truth value")
    cells[7] = odd
    data = load_file(table(tmp_path, member=cells), "price", split=SplitOptions(test=0, folds=5))
    assert told(data, "Column 'member'", f"'{odd}' in 1 cell beside yes and no, so it is a category, not a truth value")


def days(form: str) -> list[str]:
    """A day for each row in a form of its own."""
    return [*pd.date_range("2024-01-01", periods=ROWS).strftime(form)]


def test_dates_written_in_two_ways_are_named(tmp_path: Path) -> None:
    """A column of dates in two forms, or of dates and a few texts, is no date, and a notice says why and what makes it one."""
    pairs = zip(days("%Y-%m-%d"), days("%d.%m.%Y"), strict=True)
    mixed_ways = [iso if i % 3 else other for i, (iso, other) in enumerate(pairs)]
    data = load_file(table(tmp_path, sold=mixed_ways), "price", split=SplitOptions(test=0))
    assert told(data, "'sold'", "100 % of its cells are dates, written in 2 ways ('", "write them in one")
    stray = ["k.A." if i % 10 == 0 else day for i, day in enumerate(days("%d.%m.%Y"))]
    path = table(tmp_path, sold=stray)
    assert told(
        load_file(path, "price", split=SplitOptions(test=0)),
        "'sold'",
        "of its cells are dates, the others 'k.A.'",
        "missing-value",
    )
    again = load_file(path, "price", split=SplitOptions(test=0), read=ReadOptions(missing_values=["k.A."]))
    assert {column["name"]: column["kind"] for column in again.summary["columns"]}["sold"] == "date"


def test_the_share_of_numbers_is_that_of_the_cells(tmp_path: Path) -> None:
    """The share that is told is the number of numbers by that of the cells that are there, in the rows that may be looked at."""
    cells = mixed(0.25, ("none",), PRICE[::-1])
    data = load_file(table(tmp_path, dose=cells), "price", split=SplitOptions(test=0, folds=5))
    assert told(data, f"{100 * sum(cell != 'none' for cell in cells) / ROWS:.0f} % of its cells are numbers")


def test_a_few_mistakes_name_all_that_is_no_number(tmp_path: Path) -> None:
    """Where nearly all cells are numbers the others are refused, each text with what reads it as missing; in a frame by pandas."""
    cells = mixed(0.05, ("k.A.", "-", "n/a?"), PRICE[::-1])
    with pytest.raises(
        UserError, match=r"holds 'k.A.', .*missing_values = \['k.A.', 'n/a\?'\].*--missing-value 'k.A.'"
    ):
        load_file(table(tmp_path, dose=cells), "price", split=SplitOptions(test=0))
    frame = pd.DataFrame({"dose": cells, "price": PRICE})
    with pytest.raises(UserError, match=r"pandas.to_numeric\(frame\['dose'\], errors='coerce'\)") as caught:
        from_frame(frame, "price", split=SplitOptions(test=0))
    assert "missing_values" not in str(caught.value)
    frame["dose"] = pd.to_numeric(frame["dose"], errors="coerce")
    assert from_frame(frame, "price", read=ReadOptions(missing="median")).inputs == 2


def test_many_texts_are_no_missing_cells(tmp_path: Path) -> None:
    """Codes, texts of many kinds and numbers with leading zeros are categories without a word."""
    sizes = [("S", "M", "L", "XL", "XS", "XXL", "36", "38")[i % 8] for i in range(ROWS)]
    codes = [("007", "008", "9", "unknown")[i % 4] for i in range(ROWS)]
    data = load_file(table(tmp_path, size=sizes, code=codes), "price")
    assert not told(data, "are numbers")


@pytest.mark.parametrize(
    ("form", "unit"), [("{} %", "%"), ("{}€", "€"), ("$ {}", "$"), ("{} kg", "kg"), ("{}°C", "°C")]
)
def test_numbers_with_a_unit(tmp_path: Path, form: str, unit: str) -> None:
    """A column of which each number has a unit is told to be one."""
    data = load_file(table(tmp_path, dose=[form.format(v) for v in np.arange(ROWS) / 10]), "price")
    assert told(data, "'dose'", f"its cells are numbers with '{unit}'")


def test_a_unit_is_in_every_cell() -> None:
    """Two units, numbers alone and words are no unit."""
    import pyarrow as pa

    for cells in (["1 kg", "2 g"], ["1", "2"], ["kg", "1 kg"], [None, None], ["2024-01-01", "2024-01-02"]):
        assert not parsing.unit(pa.array(cells, pa.string())), cells


LEAKS = {  # kind of column and target → (column, target, whether the one tells the other)
    "copy": (PRICE * 2 + 1, PRICE, True),
    "rounded copy": (PRICE.round(2), PRICE, True),
    "noisy copy": (PRICE + DRAW.normal(size=ROWS) / 10, PRICE, False),
    "product of one price": (np.array(["a", "b", "c"])[np.arange(ROWS) % 3], np.arange(ROWS) % 3 * 1.5, True),
    "flag": (np.where(SOLD == "yes", "shipped", "held"), SOLD, True),
    "flag but for one row": (np.where((SOLD == "yes") & (np.arange(ROWS) != np.argmax(SOLD == "yes")), "a", "b"), SOLD, False),
    "code": (np.where(SOLD == "yes", 7, np.where(X > 0.5, 3, 9)), SOLD, True),
    "threshold": (PRICE, SOLD, True),
    "distinct texts": ([f"row {i}" for i in range(ROWS)], SOLD, False),
    "nothing": (X[::-1], SOLD, False),
}  # fmt: skip


@pytest.mark.parametrize("case", LEAKS)
def test_a_column_that_tells_the_target(tmp_path: Path, case: str) -> None:
    """A column from which alone the target is known gets a notice, in a file and in a frame; a column that is off in one row none."""
    column, target, leak = LEAKS[case]
    frame = pd.DataFrame({"other": DRAW.normal(size=ROWS), "c": column, "y": target})
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    options: dict[str, Any] = {"test": 0, "validation": 5}
    assert told(from_frame(frame, "y", **flat(**options)), "'c' alone tells the target exactly") == leak
    assert told(load_file(path, "y", **flat(**options)), "'c'", "--set data.columns.c=drop") == leak


def test_few_rows_and_rare_classes_tell_nothing() -> None:
    """Where chance alone lets a column tell the target, nothing is said of it."""
    columns = [{"name": "c", "kind": "number", "indicator": False}]
    cells = np.arange(60, dtype=np.float32)[:, None]
    assert leaks(columns, cells, (np.arange(60) > 29).astype(int), True) == ["c"]
    assert leaks(columns, cells, (np.arange(60) > 56).astype(int), True) == []
    assert leaks(columns, cells[:10], (np.arange(10) > 4).astype(int), True) == []


def test_copies_among_test_rows(tmp_path: Path) -> None:
    """Test rows that are training rows too are counted, in arrays and files; validation rows where there are no test rows."""
    inputs = DRAW.normal(size=(ROWS, 3))
    twice = np.concatenate([inputs, inputs])
    expected = "test rows have the inputs of a training row"
    split = SplitOptions(test=40, validation=20)
    data = from_arrays(twice, np.concatenate([PRICE, PRICE]), split=split)
    known = {row.numpy().tobytes() for row in data.training.inputs}
    count = sum(row.numpy().tobytes() in known for row in data.test.inputs)
    assert told(data, f"{count} of 40 {expected}", "in one part (group)")
    assert [expected in doubt for doubt in data.summary["doubts"]] == [True]
    path = tmp_path / "t.csv"
    pd.DataFrame(twice, columns=list("abc")).assign(y=np.concatenate([PRICE, PRICE])).to_csv(path, index=False)
    assert told(load_file(path, "y", split=split), expected)
    without_test = from_arrays(twice, np.concatenate([PRICE, PRICE]), split=SplitOptions(test=0, validation=40))
    assert told(without_test, "of 40 validation rows have the inputs of a training row")


def test_rows_that_come_again_by_chance() -> None:
    """Rows of few categories, rows that all differ, and a single copy get no notice."""
    draws = np.random.RandomState(1)
    few_values = draws.randint(0, 3, size=(ROWS, 2)).astype(float)
    distinct = draws.normal(size=(ROWS, 2))
    one_copy = np.concatenate([distinct, distinct[:1]])
    for inputs in (few_values, distinct, one_copy):
        data = from_arrays(inputs, PRICE[: len(inputs)] if len(inputs) == ROWS else [*PRICE, 1.0])
        assert not told(data, "of a training row")


def test_a_group_of_its_own_for_each_row(tmp_path: Path) -> None:
    """A group column that is different in every row keeps nothing together, which a notice says; one that comes again has none."""
    path = table(tmp_path, k=np.arange(ROWS) * 7, g=np.arange(ROWS) // 4)
    assert told(load_file(path, "price", read=ReadOptions(group="k")), "Group 'k' has another value in every row")
    assert not told(load_file(path, "price", read=ReadOptions(group="g")), "another value in every row")


def test_whole_numbers_as_classes_and_two_columns() -> None:
    """Ratings are told that their order plays no part; two columns of targets that both are predicted."""
    inputs = DRAW.normal(size=(ROWS, 2))
    assert (
        "their order plays no part (task 'regression'"
        in from_arrays(inputs, np.arange(ROWS) % 5 + 1).summary["task_reason"]
    )
    assert "order" not in from_arrays(inputs, np.arange(ROWS) % 2).summary["task_reason"]
    assert "order" not in from_arrays(inputs, np.array(list("abc"))[np.arange(ROWS) % 3]).summary["task_reason"]
    both = from_arrays(inputs, DRAW.normal(size=(ROWS, 2)))
    assert told(both, "The target has 2 columns: one network predicts all of them")
    assert "2 numbers are predicted" in both.summary["task_reason"]
    assert not told(from_arrays(inputs, PRICE), "columns")


REFUSED = {  # what is in the file → (content, target, what is said)
    "the last column of many": (",".join([*map(str, "abcdefghijklm"), "price"]) + "\n1" + ",2" * 13, None, "… 'price' .14 in all."),
    "no header": ("1.5,2\n2.5,3\n3.5,4\n", "price", "The first line holds values.*header = true.*Columns: '0', '1'"),
    "no header, no target": ("1.5,2\n2.5,3\n3.5,4\n", None, "The first line holds values.*Columns: '0', '1'"),
    "a letter": ("Dear all,\nthis, as you see, is text\n\nIs it, or, is it, not?\nNo\nnone, at all\n", "x", "no table: only"),
    "texts that never come again": ("a,b\n" + "".join(f"{i % 7},n{i}\n" for i in range(50)), "b", "50 different values in 50 rows"),
    "a target with texts": ("a,b\n" + "".join(f"{i % 7},{i if i % 4 else 'k.A.'}\n" for i in range(60)), "b", "needed in every row"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_target_or_no_table(tmp_path: Path, case: str) -> None:
    """A file whose target cannot be found or predicted is told in one line by what it is."""
    content, target, message = REFUSED[case]
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        load_file(path, target)
    assert str(caught.value).isprintable()
