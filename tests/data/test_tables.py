"""From a table's file or a pandas frame to `Data`: reading, kinds of columns, preprocessing, what is refused."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch.data import Data, from_arrays, from_frame, load_file
from hpsearch.data.columns.reading import read_columns, unused
from hpsearch.data.loaders.csv_bytes import _largest
from hpsearch.data.loaders.table_files import read_like, read_table
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.data.transform import transform_of
from hpsearch.errors import UserError
from hpsearch.model.models import kind_of
from tests.support.options import flat

ROWS = 120
CITIES = ["Aachen", "Berlin", "Köln"]


def frame(rows: int = ROWS) -> pd.DataFrame:
    """Return a table with a column of every kind, some cells of which are missing."""
    draw = np.random.RandomState(0)
    table = pd.DataFrame(
        {
            "age": draw.normal(40, 9, rows).round(1),
            "city": draw.choice(CITIES, rows),
            "member": draw.choice(["no", "yes"], rows),
            "day": pd.Timestamp("2023-12-20") + pd.to_timedelta(draw.randint(0, 400, rows), "D"),
            "visits": draw.randint(0, 9, rows),
            "price": draw.permutation(rows) * 1.25 + 7,  # each once, so that it tells a row
        }
    )
    table.loc[draw.rand(rows) < 0.2, "age"] = np.nan
    table.loc[draw.rand(rows) < 0.2, "city"] = None
    return table


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    frame().to_csv(path, index=False)
    return path


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(line: Callable[[int], str], head: str = "a,b,y", rows: int = 40) -> str:
    return "\n".join([head, *(line(i) for i in range(rows))]) + "\n"


def same(one: Data, other: Data) -> bool:
    return all(
        torch.allclose(getattr(one, part).inputs, getattr(other, part).inputs, atol=1e-6)
        and torch.equal(getattr(one, part).targets, getattr(other, part).targets)
        for part in ("training", "validation", "test")
    )


def test_every_kind_is_found(sales: Path) -> None:
    """Each column gets its kind and its inputs, the reading says why, and the summary is JSON."""
    data = load_file(sales, "price")
    summary = json.loads(json.dumps(data.summary))
    kinds = {column["name"]: (column["kind"], column["inputs"]) for column in summary["columns"]}
    assert kinds == {
        "age": ("number", 2),
        "city": ("category", 4),
        "member": ("boolean", 1),
        "day": ("date", 5),
        "visits": ("number", 1),
    }
    assert data.inputs == 13
    assert data.task.name == "regression"
    assert any(sentence.startswith("separator comma") for sentence in summary["reading"])
    assert "Missing cells in 1 column ('age'): the training rows' median" in summary["notices"][0]
    assert "Missing cells in 1 column ('city'): a missing category is one of its own" in summary["notices"][1]


@pytest.mark.parametrize("gone", [1, 4, 5, 9])
def test_rare_gaps_drown_nothing(tmp_path: Path, gone: int) -> None:
    """Where a number is missing in five rows or more an input of 0 or 1 says so, however rare that is; in fewer it is filled alone."""
    rows = pd.DataFrame({"x": np.arange(500) % 37 / 7, "y": np.arange(500) * 1.5})
    rows.loc[: gone - 1, "x"] = np.nan
    rows.to_csv(tmp_path / "t.csv", index=False)
    data = load_file(tmp_path / "t.csv", "y", split=SplitOptions(test=0, folds=2))
    assert data.inputs == 1 + (gone >= 5)
    assert data.training.inputs.abs().max() < 3
    if gone >= 5:
        assert set(data.training.inputs[:, 1].unique().tolist()) <= {0.0, 1.0}


def test_truth_values_stay_truth_values(tmp_path: Path) -> None:
    """Of a Parquet file's truth values the classes are False and True, as pandas has them."""
    pd.DataFrame({"x": np.arange(60.0) ** 1.1, "y": np.arange(60) % 3 == 0}).to_parquet(tmp_path / "t.parquet")
    data = load_file(tmp_path / "t.parquet", "y")
    assert data.classes == ("False", "True")
    assert kind_of(data.classes) == "boolean"


def test_inputs_are_scikit_learns(sales: Path) -> None:
    """The inputs of each part are those of a ColumnTransformer written here by hand and fitted on the training rows."""
    data, table = load_file(sales, "price"), frame()
    prices = data.target_mean + data.target_scale * data.training.targets.double()
    training = [int(np.abs(table.price - float(price)).argmin()) for price in prices]
    value = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    filled = make_union(value, MissingIndicator(features="all"))
    ours = ColumnTransformer(
        [
            ("age", filled, ["age"]),
            (
                "city",
                OneHotEncoder(categories=[[*CITIES, None]], handle_unknown="ignore", sparse_output=False),
                ["city"],
            ),
            ("rest", StandardScaler(), ["member", "days", "visits"]),
        ]
    )
    plain = table.assign(
        member=(table.member == "yes") * 1.0,
        days=(table.day - pd.Timestamp("1970-01-01")).dt.days,
        city=table.city.astype(object).where(table.city.notna(), None),
    )
    expected = ours.fit_transform(plain.iloc[training])  # age, missing, 4 × city, member, days, visits
    got = data.training.inputs.numpy()[:, [0, 1, 2, 3, 4, 5, 6, 7, 12]]
    assert np.abs(got - expected).max() < 1e-5


def test_parts_of_a_date() -> None:
    """A date becomes days and the sine and cosine of year and week, hours only where there are some."""
    days = pd.date_range("2024-01-01", periods=60, freq="31h")
    data = from_frame(pd.DataFrame({"day": days, "y": np.arange(60.0) ** 2}), "y")
    column = data.preprocessing["columns"][0]
    assert column["parts"] == ["days", "year_sin", "year_cos", "week_sin", "week_cos", "day_sin", "day_cos"]
    numbers = read_columns(data.preprocessing, pd.DataFrame({"day": [pd.Timestamp("1970-01-03 12:00")]}))
    assert numbers.tolist() == [[2.5]]
    raw = transform_of(data.preprocessing)(torch.from_numpy(numbers)).numpy()[0] * column["scale"] + column["mean"]
    angles = [2.5 / 365.2425, 2.5 / 7, 2.5]
    expected = [2.5, *(wave(2 * np.pi * turn) for turn in angles for wave in (np.sin, np.cos))]
    assert np.allclose(raw, expected, atol=1e-3)


def test_transform_from_json_equals_training(sales: Path) -> None:
    """Read and transform by the preprocessing, once it was written and read as JSON, give the inputs of every part."""
    for data, source in (
        (load_file(sales, "price"), read_table(sales)),
        (load_file(sales, "price", read=ReadOptions(missing="mean", columns={"visits": "category"})), frame()),
        (from_arrays(frame()[["visits", "price"]], frame().member), frame()),
        (from_arrays(frame()[["visits", "price"]].to_numpy(), frame().member), frame()[["visits", "price"]].to_numpy()),
    ):
        kept = json.loads(json.dumps(data.preprocessing))
        inputs = transform_of(kept)(torch.from_numpy(read_columns(kept, source))).numpy()
        assert inputs.dtype == np.float32
        every = torch.cat([data.training.inputs, data.validation.inputs, data.test.inputs]).numpy()
        assert inputs.shape == every.shape
        assert np.abs(np.sort(inputs, axis=0) - np.sort(every, axis=0)).max() < 2e-6
        assert np.isclose(inputs[:, None, :], every[None], atol=2e-6).all(axis=2).any(axis=1).all()


def test_nothing_is_learned_from_test_and_validation_rows(sales: Path) -> None:
    """Other cells in validation and test rows change neither the preprocessing nor the training inputs."""
    data, table = load_file(sales, "price"), frame()
    prices = np.asarray(data.target_mean + data.target_scale * data.training.targets.double())[:, 0]
    others = ~np.isclose(table.price.to_numpy()[:, None], prices[None]).any(axis=1)
    assert others.sum() == len(data.validation) + len(data.test)
    table.loc[others, "age"] = 1e6
    table.loc[others, "city"] = "Nowhere"
    table.to_csv(sales, index=False)
    changed = load_file(sales, "price")
    assert changed.preprocessing == data.preprocessing
    assert torch.equal(changed.training.inputs, data.training.inputs)
    assert changed.test.inputs[:, 0].min() > 1_000
    assert changed.test.inputs[:, 2:6].abs().max() == 0  # a category that no training row has


FORMS: dict[str, tuple[Callable[[pd.DataFrame, Path], Any], str]] = {
    "tab": (lambda table, path: table.to_csv(path, index=False, sep="\t"), "t.tsv"),
    "semicolon and comma": (lambda table, path: table.to_csv(path, index=False, sep=";", decimal=","), "t.csv"),
    "utf-16": (lambda table, path: table.to_csv(path, index=False, encoding="utf-16"), "t.csv"),
    "utf-8 with mark": (lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig"), "t.csv"),
    "cp1252": (lambda table, path: table.to_csv(path, index=False, encoding="cp1252"), "t.csv"),
    "Windows lines": (lambda table, path: table.to_csv(path, index=False, lineterminator="\r\n"), "t.csv"),
    "all quoted": (lambda table, path: table.to_csv(path, index=False, quoting=1), "t.csv"),
    "gzip": (lambda table, path: table.to_csv(path, index=False), "t.csv.gz"),
    "NA": (
        lambda table, path: table.assign(city=table.city.fillna("")).to_csv(path, index=False, na_rep="NA"),
        "t.csv",
    ),
    "index": (lambda table, path: table.to_csv(path), "t.csv"),
    "Parquet": (lambda table, path: table.to_parquet(path), "t.parquet"),
    "Parquet by its bytes": (
        lambda table, path: table.to_parquet(path.with_suffix(".x")) or path.with_suffix(".x").rename(path),
        "t.data",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_table_in_many_forms(sales: Path, tmp_path: Path, form: str) -> None:
    """A table is the same data however its file is written."""
    save, name = FORMS[form]
    save(frame(), tmp_path / name)
    data = load_file(tmp_path / name, "price")
    assert same(data, load_file(sales, "price"))
    if form == "cp1252":
        assert "Read as cp1252" in data.summary["notices"][0]
    if form == "index":
        assert "Column 'unnamed' is not used (identifier): it counts the rows." in data.summary["notices"]


def test_frames_are_tables(sales: Path) -> None:
    """A frame gives the data of its file, its target apart or within; missing cells need a word."""
    base = load_file(sales, "price")
    assert same(from_frame(frame(), "price", read=ReadOptions(missing="median")), base)
    assert same(from_arrays(frame().drop(columns="price"), frame().price, read=ReadOptions(missing="median")), base)
    with pytest.raises(UserError, match=r"'age' has \d+ missing cells, the first in row \d+\. .* missing 'median'"):
        from_frame(frame(), "price")


def test_arrays_with_missing_cells() -> None:
    """Numeric arrays are filled where that is asked for, by the training rows' median or mean, with an input that says where."""
    inputs = np.random.RandomState(0).normal(size=(80, 2))
    inputs[::5, 1] = np.nan
    for missing, statistic in (("median", np.nanmedian), ("mean", np.nanmean)):
        data = from_arrays(inputs, np.arange(80) % 2, read=ReadOptions(missing=missing))
        assert data.inputs == 3
        column = data.preprocessing["columns"][1]
        restored = data.training.inputs[:, 0].double() * data.preprocessing["columns"][0]["scale"][0]
        restored += data.preprocessing["columns"][0]["mean"][0]
        training = [int(np.abs(inputs[:, 0] - float(value)).argmin()) for value in restored]
        assert column["fill"] == pytest.approx(statistic(inputs[training, 1]), abs=1e-12)


def test_missing_by_column() -> None:
    """NA is missing among numbers and dates, a category among texts; `missing_values` are missing everywhere."""
    words = ["NA", "x", "y", ""]
    cells = [
        [
            "NA" if i % 4 == 0 else f"{i * 1.5}",
            words[i % 4],
            "?" if i % 5 == 0 else f"2024-01-{i % 28 + 1:02d}",
            f"{i * i}",
        ]
        for i in range(60)
    ]
    table = pd.DataFrame(cells, columns=["n", "word", "day", "y"])
    data = from_frame(table, "y", read=ReadOptions(missing="median"))
    n, word, day = data.preprocessing["columns"]
    assert (n["kind"], n["indicator"]) == ("number", True)
    assert (word["categories"], word["missing"]) == (["NA", "x", "y"], True)
    assert (day["kind"], day["indicator"]) == ("date", True)
    again = from_frame(table, "y", read=ReadOptions(missing="median", missing_values=["NA", "x"]))
    assert again.preprocessing["columns"][1]["categories"] == ["y"]
    assert again.preprocessing["reading"]["missing_values"] == ["NA", "x"]


def test_texts_that_look_like_numbers(tmp_path: Path) -> None:
    """007 stays text, a label NA stays a label, and labels keep their leading zeros."""
    path = write(tmp_path, rows_of(lambda i: f"{i % 3:03d},{i * 0.5},{['NA', 'null', '01'][i % 3]}"))
    data = load_file(path, "y")
    assert data.preprocessing["columns"][0]["categories"] == ["000", "001", "002"]
    assert data.classes == ("01", "NA", "null")


def test_dropped_columns() -> None:
    """Constant columns, identifiers and free text are not used, each with a notice; a kind by force keeps them."""
    draw = np.random.RandomState(0)
    table = pd.DataFrame(
        {
            "flat": 1,
            "empty": None,
            "row": range(100, 220),
            "customer_id": draw.permutation(1000)[:120],
            "code": [f"c{i:04d}" for i in draw.permutation(120)],
            "remark": [f"text number {i}" for i in draw.randint(0, 90, 120)],
            "x": draw.normal(size=120),
            "y": draw.normal(size=120),
        }
    )
    data = from_frame(table, "y", read=ReadOptions(missing="median"))
    assert [column["name"] for column in data.preprocessing["columns"]] == ["x"]
    reasons = {one["name"]: one["reason"] for one in data.preprocessing["dropped"]}
    assert reasons == {
        "flat": "constant",
        "empty": "constant",
        "row": "identifier",
        "customer_id": "identifier",
        "code": "identifier",
        "remark": "text",
    }
    assert len(data.summary["notices"]) == 6
    forced = from_frame(
        table, "y", read=ReadOptions(missing="median", columns={"row": "number", "remark": "category", "x": "drop"})
    )
    assert [column["name"] for column in forced.preprocessing["columns"]] == ["row", "remark"]
    assert len(forced.preprocessing["columns"][1]["categories"]) == 49 or forced.preprocessing["columns"][1]["other"]


def test_many_categories() -> None:
    """Of more than 50 categories the 49 most frequent are kept; rare and unseen ones share an input."""
    counts = np.arange(1, 61) * 3
    shops = np.repeat([f"s{i:02d}" for i in range(60)], counts)
    table = pd.DataFrame({"shop": shops, "y": np.random.RandomState(0).normal(size=len(shops))})
    data = from_frame(table, "y")
    column = data.preprocessing["columns"][0]
    assert (len(column["categories"]), column["other"], data.inputs) == (49, True, 50)
    assert {"s59", "s58", "s20"} < set(column["categories"])
    assert "s00" not in column["categories"]
    numbers = read_columns(data.preprocessing, pd.DataFrame({"shop": ["s00", "new", "s59"]}))
    new = transform_of(data.preprocessing)(torch.from_numpy(numbers))
    assert new.argmax(dim=1).tolist() == [49, 49, column["categories"].index("s59")]
    assert new.sum(dim=1).tolist() == [1, 1, 1]


def test_ambiguous_dates(tmp_path: Path) -> None:
    """Day and month are told apart by the data; where both would fit the day comes first, and a notice says so."""
    for pattern, form in (("{:02d}/03/2024", "%d/%m/%Y"), ("03/{:02d}/2024", "%m/%d/%Y"), ("{}.3.2024", "%d.%m.%Y")):
        days = [pattern.format(i % 28 + 1) for i in range(40)]
        path = write(tmp_path, rows_of(lambda i: f"{days[i]},{i % 7},{i * i}"))  # noqa: B023
        assert load_file(path, "y").preprocessing["columns"][0]["format"] == form
    path = write(tmp_path, rows_of(lambda i: f"{i % 9 + 1:02d}/{i % 7 + 1:02d}/2024,{i % 7},{i * i}"))
    data = load_file(path, "y")
    assert data.preprocessing["columns"][0]["format"] == "%d/%m/%Y"
    option = "--set data.columns.a=date:%m/%d/%Y"
    assert f"Column 'a': read as %d/%m/%Y, %m/%d/%Y would fit too ({option})." in data.summary["notices"]
    other = load_file(path, "y", read=ReadOptions(columns={"a": "date:%m/%d/%Y"})).preprocessing["columns"][0]
    assert other["format"] == "%m/%d/%Y"


def test_without_header(tmp_path: Path) -> None:
    """A file whose first line holds values has columns "0", "1", …; a header of numbers is one where it names the target."""
    path = write(tmp_path, rows_of(lambda i: f"{i * 0.5},{i % 3},{i * i}", head="0.1,2,3"))
    data = load_file(path, "2")
    assert [column["name"] for column in data.preprocessing["columns"]] == ["0", "1"]
    assert sum(data.summary["rows"].values()) == 41
    for head, target in (("2019,2020,2021", "2021"), ("0,1,2", "2")):
        path = write(tmp_path, rows_of(lambda i: f"{i * 0.5},{i % 3},{i * i}", head=head))
        assert sum(load_file(path, target).summary["rows"].values()) == 40


def test_reading_new_rows(sales: Path, tmp_path: Path) -> None:
    """New rows may have other columns and another form; what is missing or wrong in them is told in one line."""
    kept = dict(load_file(sales, "price").preprocessing)
    new = frame().drop(columns="price").assign(more=1)
    new.iloc[:, ::-1].to_csv(tmp_path / "new.csv", sep=";", decimal=",", index=False)
    table = read_like(tmp_path / "new.csv", kept)
    assert np.array_equal(read_columns(kept, table), read_columns(kept, frame()), equal_nan=True)
    assert unused(kept, table) == "Columns that are not used: 'more'."
    assert unused(kept, frame()) is None
    for change, message in (
        (new.rename(columns={"age": "agee"}), r"no column 'age'\. Did you mean 'agee'\?"),
        (new.assign(age="old"), "column 'age': row 0 holds 'old', a number expected"),
        (new.assign(day="someday"), "column 'day': row 0 holds 'someday', a date like 2024-12-31 expected"),
        (new.assign(visits=np.inf), "column 'visits': row 0 holds an infinite number"),
        (new.to_numpy(), "a frame or numbers"),
    ):
        with pytest.raises(UserError, match=message):
            read_columns(kept, change)
    strict = from_frame(frame()[["visits", "price"]], "price").preprocessing
    with pytest.raises(UserError, match=r"column 'visits' has 1 missing cell, the first in row 1"):
        read_columns(strict, pd.DataFrame({"visits": [1, None]}))


def test_images_have_a_preprocessing() -> None:
    """Arrays of images carry a mean and a scale for each channel, which give their inputs."""
    pixels = np.random.RandomState(0).randint(0, 256, (60, 3, 4, 4)).astype(np.uint8)
    data = from_arrays(pixels, np.arange(60) % 2, split=SplitOptions(test=0))
    kept = json.loads(json.dumps(data.preprocessing))
    assert {key: kept[key] for key in ("kind", "version", "shape", "source", "size", "divisor")} == {
        **{"kind": "images", "version": 1, "shape": [3, 4, 4], "source": "arrays", "size": None, "divisor": 1}
    }
    scaled = (pixels - np.array(kept["mean"])[:, None, None]) / np.array(kept["scale"])[:, None, None]
    every = torch.cat([data.training.inputs, data.validation.inputs]).numpy()
    assert np.abs(np.sort(scaled.reshape(60, -1), axis=0) - np.sort(every, axis=0)).max() < 1e-5


def line(i: int) -> str:
    return f"{i * 0.5},{'uvw'[i % 3]},{i * i}"


REFUSED: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "empty": (b"", {}, "the file is empty"),
    "header only": ("a,b,y\n", {}, "only a line of names, no rows"),
    "one column": ("y\n" + "1\n" * 40, {}, "only one column"),
    "short row": (
        rows_of(lambda i: "1,2" if i == 5 else line(i)),
        {},
        "line 7 has 2 cells, line 1 has 3; the separator is ','",
    ),
    "long row": (rows_of(lambda i: "1,2,3,4" if i == 5 else line(i)), {}, "line 7 has 4 cells, line 1 has 3"),
    "after a cell of two lines": (
        rows_of(lambda i: {4: '1,"two\nlines",3', 6: "1"}.get(i, line(i))),
        {},
        "line 9 has 1 cell, line 1 has 3",
    ),
    "open quote": (
        rows_of(lambda i: '1,"u,3' if i == 5 else line(i)),
        {},
        r'quote \("\) that opens in line 7 is never',
    ),
    "quote inside": (
        rows_of(lambda i: '1,5" pipe,3' if i == 5 else line(i)),
        {},
        r'line 7 has a quote \("\) inside a cell',
    ),
    "NUL": (rows_of(lambda i: "1,\0,3" if i == 5 else line(i)), {}, "line 7 has a NUL byte"),
    "names twice": (rows_of(line, head="a,a,y"), {}, "'a' names more than one column"),
    "no name": (rows_of(line, head="a,,y"), {}, "column 2 has no name"),
    "target": (rows_of(line), {"target": "Y"}, r"no target 'Y'\. Did you mean 'y'\? Columns: 'a', 'b', 'y'"),
    "no target": (rows_of(line), {"target": None}, "no target: which column is predicted"),
    "Excel": (b"PK\x03\x04" + b"x" * 100, {}, "an Excel workbook. Save the sheet as CSV"),
    "gzip": (gzip.compress(rows_of(line).encode())[:-20], {}, "the gzip is damaged"),
    "Parquet": (b"PAR1" + b"x" * 100, {}, "no readable Parquet file"),
    "encoding": (rows_of(line).encode() + b"\xff", {"encoding": "utf-8"}, "not utf-8: byte .* Give another encoding"),
    "no encoding": (rows_of(line), {"encoding": "hex"}, "unknown encoding 'hex'"),
    "separator": (rows_of(line), {"separator": '"'}, "separator '\"': one of"),
    "missing target": (
        rows_of(lambda i: "1,u," if i == 5 else line(i)),
        {},
        "column 'y' has 1 missing cell, the first in line 7",
    ),
    "NA target": (
        rows_of(lambda i: "1,u,NA" if i == 5 else line(i)),
        {},
        "column 'y' has 1 missing cell, the first in line 7",
    ),
    "text in target": (
        rows_of(lambda i: "1,u,x" if i == 5 else line(i)),
        {},
        "column 'y': line 7 holds 'x', a number expected",
    ),
    "infinite target": (
        rows_of(lambda i: "1,u,1e999" if i == 5 else line(i)),
        {},
        "column 'y': line 7 holds an infinite",
    ),
    "infinite": (
        rows_of(lambda i: "-inf,u,3" if i % 9 == 5 else line(i)),
        {},
        "column 'a': line .* holds '-inf', a number .*finite",
    ),
    "too large": (
        rows_of(lambda i: "1e999,u,3" if i % 9 == 5 else line(i)),
        {},
        "column 'a': line 7 holds an infinite number",
    ),
    "too large to square": (rows_of(lambda i: f"{i}e200,u,{i * i}"), {}, "column 'a' has values too large for float32"),
    "thousands": (
        rows_of(lambda i: f'"{i + 1},234",u,{i}.5' if i % 9 == 5 else line(i)),
        {"separator": ",", "thousands": "none"},
        "column 'a': line .* holds '.*,234', a number expected.*without separators of thousands",
    ),
    "decimal or thousands": (
        rows_of(lambda i: f"{i + 1},234;u;{i}", head="a;b;y"),
        {},
        "the comma may be a decimal mark or separate",
    ),
    "missing": (
        rows_of(lambda i: ",u,3" if i == 5 else line(i)),
        {"missing": "refuse"},
        "'a' has 1 missing cell, the first in line 7",
    ),
    "no such kind": (
        rows_of(line),
        {"columns": {"a": "nummer"}},
        "unknown kind 'nummer' for 'a'. Did you mean 'number'",
    ),
    "no such column": (rows_of(line), {"columns": {"z": "number"}}, "no input column 'z'"),
    "kind of the target": (rows_of(line), {"columns": {"y": "number"}}, "no input column 'y': it is the target"),
    "kind that does not fit": (
        rows_of(line),
        {"columns": {"b": "number"}},
        r"column 'b': line .* a number \(kind number\)",
    ),
    "no such missing": (rows_of(line), {"missing": "zero"}, "unknown missing 'zero'"),
    "nothing left": (
        rows_of(lambda i: f"1,k,{i * i}"),
        {},
        r"no column is left as input: 'a \(constant\)', 'b \(constant\)'",
    ),
    "too few rows": (rows_of(line, rows=5), {}, "5 rows, at least 10 needed"),
    "hidden characters": (rows_of(line, head="\x1b[2J,b,y"), {"columns": {"b": "number"}}, "column 'b'"),
    "weights": (rows_of(line), {"class_weights": "balanced"}, "class weights: a regression has no classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables(tmp_path: Path, case: str) -> None:
    """Each bad table is refused in one line that says where, as people count lines, and what to do."""
    content, options, message = REFUSED[case]
    path = write(tmp_path, content)
    with pytest.raises(UserError, match=message) as caught:
        load_file(path, **flat(**{"target": "y", **options}))
    text = str(caught.value)
    assert text.startswith("data 'table.csv': ")
    assert text.isprintable()
    assert text.endswith(".")
    assert len(text) < 400


def test_no_such_file(tmp_path: Path) -> None:
    """A web address, a directory, a missing file and a name that no file can have are each told as what they are."""
    (tmp_path / "folder").mkdir()
    for path, message in (
        ("https://example.org/sales.csv", "web address, only local files"),
        (tmp_path / "folder", "no images"),
        (tmp_path / "none.csv", "no file"),
        ("/dev/null", "no ordinary file"),
        ("a\0b", "Check the path"),
        ("x" * 5000, "Check the path"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            load_file(path, None if Path(path) == tmp_path / "folder" else "y")
        assert str(caught.value).isprintable()


def test_a_file_beyond_memory(sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would not fit is refused before it is read, a gzip that grows beyond memory while it is."""
    monkeypatch.setattr("hpsearch.data.loaders.csv_bytes.free_memory", lambda: 1000)
    with pytest.raises(UserError, match="fits in the memory that is free"):
        load_file(sales, "price")
    monkeypatch.setattr("hpsearch.data.loaders.csv_bytes.free_memory", lambda: 2**28)
    packed = write(sales.parent, gzip.compress(b"a,y\n" * 2**23), "bomb.csv.gz")
    unpacked: list[int] = []
    read = gzip.GzipFile.read

    def counting(file: gzip.GzipFile, size: int | None = -1) -> bytes:
        content = read(file, size)
        unpacked.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    with pytest.raises(UserError, match=r"unpacked it has more, and a text file of at most .* fits"):
        load_file(packed, "y")
    assert sum(unpacked) < 2**24


def test_narrow_cells_take_more_memory() -> None:
    """Of a file of narrow cells fewer bytes fit than of one of long texts, by the cells of its beginning."""
    wide = b",".join([b"x" * 100] * 10) + b"\n"
    narrow = b",".join([b"1"] * 500) + b"\n"
    assert _largest(narrow * 10) < _largest(wide * 10) / 3


def test_data_hash(sales: Path) -> None:
    """The hash changes with one cell or name, and not with how the file is written."""
    base = load_file(sales, "price").summary["hash"]
    frame().to_csv(sales, index=False, sep=";")
    assert load_file(sales, "price").summary["hash"] == base
    table = frame()
    table.loc[3, "visits"] += 1
    table.to_csv(sales, index=False)
    assert load_file(sales, "price").summary["hash"] != base
    frame().rename(columns={"visits": "calls"}).to_csv(sales, index=False)
    assert load_file(sales, "price").summary["hash"] != base
