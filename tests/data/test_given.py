"""What Python users give: frames of other libraries, series, dicts, odd columns; each is the same data as a plain frame, or one line."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import scipy.sparse

from hpsearch.data import Data, from_arrays, from_frame
from hpsearch.data.given import as_given, as_inputs, as_targets, new_rows, refuse_missing_labels
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.data.targets import check_labels
from hpsearch.errors import UserError

ROWS = 60
random = np.random.default_rng(0)
A = random.normal(size=ROWS)
B = random.normal(size=ROWS)
Y = (A > 0).astype(np.int64)
FRAME = pd.DataFrame({"a": A, "text": ["u", "v", "w"] * (ROWS // 3), "whole": np.arange(ROWS) % 7, "b": B})
READ = ReadOptions(missing="median")


class Stream:
    """What a frame of polars or DuckDB is to us: Arrow's C stream, and nothing else."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested: object = None) -> object:
        """Return the stream's capsule."""
        return self.table.__arrow_c_stream__(requested)


class NamedStream(Stream):
    """A column of such a frame."""

    name = "y"


def data_of(inputs: Any, targets: Any = Y, **options: Any) -> Data:
    return from_arrays(inputs, targets, read=READ, **options)


def same(one: Data, other: Data) -> bool:
    return one.summary["hash"] == other.summary["hash"] and bool((one.training.inputs == other.training.inputs).all())


ARROW = pa.Table.from_pandas(FRAME)
FORMS: dict[str, Callable[[], Any]] = {
    "Arrow table": lambda: ARROW,
    "Arrow batch": lambda: ARROW.to_batches()[0],
    "chunks": lambda: pa.concat_tables([ARROW.slice(0, 20), ARROW.slice(20)]),
    "stream": lambda: Stream(ARROW),
    "dicts": lambda: FRAME.to_dict("records"),
    "lists by name": lambda: {name: list(FRAME[name]) for name in FRAME},
    "records": lambda: np.array(
        list(FRAME.itertuples(index=False)), dtype=[("a", "f8"), ("text", "U1"), ("whole", "i8"), ("b", "f8")]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_is_the_same_data(form: str) -> None:
    """Frames of any library, rows as dicts and columns by name are the pandas frame to the last bit, and keep their names."""
    data = data_of(FORMS[form]())
    assert same(data, data_of(FRAME))
    assert [column["name"] for column in data.preprocessing["columns"]] == ["a", "text", "whole", "b"]
    assert new_rows(FORMS[form]()).columns.tolist() == FRAME.columns.tolist()


def test_polars() -> None:
    """A polars frame with text, categories, dates, missing numbers is the same data as its pandas frame."""
    frame = polars.from_pandas(FRAME).with_columns(
        polars.col("text").cast(polars.Categorical).alias("kind"),
        polars.when(polars.col("whole") > 2).then(polars.col("whole")).alias("gaps"),
        polars.date_range(polars.date(2020, 1, 1), polars.date(2020, 2, 29)).alias("day"),
    )
    data = data_of(frame, polars.Series("y", Y))
    assert [column["kind"] for column in data.preprocessing["columns"]] == [
        *("number", "category", "number", "number", "category", "number", "date")
    ]
    assert same(data, data_of(frame.to_pandas()))
    with pytest.raises(UserError, match=r"a LazyFrame, .* It is lazy: give X\.collect\(\)"):
        data_of(frame.lazy())


def test_own_validation_rows_without_a_target_are_dropped() -> None:
    """Where rows without a target are dropped, the validation rows are those of the user's own that are left, and no others."""
    inputs = FRAME[["a", "b"]]
    gaps = np.where(np.arange(ROWS) % 10 == 0, np.nan, A)
    read = ReadOptions(missing="median", drop_rows=["missing-target"])
    data = from_arrays(
        inputs[:40], gaps[:40], validation=(inputs[40:], gaps[40:]), read=read, split=SplitOptions(test=0)
    )
    assert data.summary["rows"] == {"training": 36, "validation": 18, "test": 0}
    known = gaps[40:][~np.isnan(gaps[40:])]
    values = data.validation.targets.double().flatten() * data.target_scale + data.target_mean
    assert np.allclose(values, known, atol=1e-5)


def test_sparse_columns() -> None:
    """A frame of sparse columns is the same data as the dense one; bytes as labels are text."""
    dense = FRAME[["a", "b"]].assign(none=np.where(A > 0, 1.0, 0.0))
    assert same(data_of(dense.astype(pd.SparseDtype(float, 0.0))), data_of(dense))
    for labels in (np.array([b"u", b"v"])[Y], [b"uv"[y : y + 1] for y in Y]):
        assert data_of(dense, labels).classes == ("u", "v")


def test_targets_of_arrow() -> None:
    """Targets come as Arrow's columns and streams too, exact decimal numbers as floats."""
    assert np.array_equal(as_targets(pa.array(Y)), Y)
    assert np.array_equal(as_targets(pa.chunked_array([Y[:9], Y[9:]])), Y)
    assert as_targets(NamedStream(pa.chunked_array([Y]))).name == "y"
    assert as_targets([Decimal("1.5"), Decimal(2)]).tolist() == [1.5, 2.0]


def test_a_column_by_its_name_is_the_target() -> None:
    """A column's name as the target is that column, taken out of the inputs, from any frame; a wrong name says which is meant."""
    frame = FRAME.assign(price=2 * A + 1)
    by_name = data_of(frame, "price")
    assert same(by_name, from_frame(frame, "price", read=READ))
    assert same(by_name, data_of(pa.Table.from_pandas(frame), "price"))
    assert by_name.preprocessing["target"] == "price"
    assert [column["name"] for column in by_name.preprocessing["columns"]] == FRAME.columns.tolist()
    with pytest.raises(UserError, match=r"no target 'prise'\. Did you mean 'price'\?"):
        data_of(frame, "prise")
    with pytest.raises(
        UserError, match=r"target 'price': the name of a column, but the inputs \(an ndarray\) have no names"
    ):
        data_of(np.stack([A, B], axis=1), "price")


def test_a_series_is_one_column() -> None:
    """A series of inputs is a frame of one column by its name."""
    assert same(data_of(FRAME["a"]), data_of(FRAME[["a"]]))
    assert data_of(pd.Series(A)).preprocessing["columns"][0]["name"] == "0"


def test_intervals_and_periods() -> None:
    """Columns that pandas cuts into intervals are categories by their texts, periods are dates, and new rows are read likewise."""
    frame = FRAME[["a"]].assign(cut=pd.cut(B, [-9, 0, 9]), month=pd.period_range("2020-01", periods=ROWS, freq="M"))
    data = data_of(frame)
    columns = {column["name"]: column for column in data.preprocessing["columns"]}
    assert columns["cut"]["kind"] == "category"
    assert columns["cut"]["categories"] == ["(-9, 0]", "(0, 9]"]
    assert columns["month"]["kind"] == "date"
    plain = FRAME[["a"]].assign(
        cut=np.where(B > 0, "(0, 9]", "(-9, 0]"), month=pd.date_range("2020-01-01", periods=ROWS, freq="MS")
    )
    assert bool((data.training.inputs == data_of(plain).training.inputs).all())
    single = frame.assign(cut=pd.arrays.IntervalArray(frame["cut"]))
    assert bool((data.training.inputs == data_of(single).training.inputs).all())


def test_arrays_with_text() -> None:
    """Rows and arrays of objects with text are tables whose columns are called by their numbers."""
    rows = list(zip(A.tolist(), FRAME["text"], strict=True))
    frame = pd.DataFrame({"0": A, "1": FRAME["text"]})
    assert same(data_of(rows), data_of(frame))
    assert same(data_of(np.array(rows, dtype=object)), data_of(frame))
    texts = frame.astype(str)
    assert same(data_of(texts.to_numpy(dtype=str)), data_of(texts))


WRONG: dict[str, tuple[Any, Any, str]] = {
    "nothing": (None, Y, "inputs: None, a table"),
    "a number": (3, Y, "inputs: an int, a table"),
    "a file": ("file.csv", "price", r"inputs: a str, .*For a file give hpsearch\.data\.load_file"),
    "a generator": ((row for row in A), Y, r"inputs: a generator, .*Give list\(X\)"),
    "a set": ({1, 2}, Y, r"inputs: a set, .*Give list\(X\)"),
    "ragged rows": ([[1, 2], [1]], [0, 1], "inputs: rows of different lengths"),
    "an empty list": ([], [], r"inputs: empty \(shape \(0,\)\)"),
    "an empty frame": (pd.DataFrame(), Y, r"inputs: empty \(shape \(0, 0\)\)"),
    "dates as objects": (FRAME, [pd.Timestamp("2020-01-01")] * ROWS, "target: dates or times"),
    "ragged": ({"a": [1, 2], "b": [1]}, Y, "inputs: no table of columns by name"),
    "sparse": (scipy.sparse.csr_matrix(np.eye(9)), Y, r"inputs: a sparse matrix, .*toarray"),
    "sparse target": (FRAME, scipy.sparse.csr_matrix(Y[:, None]), r"target: a sparse matrix, .*toarray"),
    "no target": (FRAME, None, "target: none is given"),
    "dates": (FRAME, pd.date_range("2020-01-01", periods=ROWS), "target: dates or times"),
    "a dict as target": (FRAME, {"a": 1}, "target: a dict, one target of each row"),
    "swapped": (Y, np.stack([A, B], axis=1), r"inputs of shape \(60,\) and targets of shape \(60, 2\) look swapped"),
    "swapped frames": (pd.Series(Y), FRAME[["a", "b"]], "look swapped"),
    "one dimension": (A, Y, r"inputs: shape \(60,\), .*X\.reshape\(-1, 1\)"),
    "durations": (FRAME.assign(t=pd.to_timedelta(range(ROWS), unit="s")), Y, r"column 't' holds 'duration"),
    "lists": (FRAME.assign(t=[[1, 2]] * ROWS), Y, r"column 't' holds 'list"),
    "another order": (FRAME, pd.Series(Y).iloc[::-1], r"target: its index .* in another order.*y\.loc\[X\.index\]"),
    "NaN among texts": (
        FRAME,
        [float("nan"), *["u", "v"] * 29, "u"],
        "target: 1 missing or infinite value, the first in row 0",
    ),
    "nested Arrow": (Stream(pa.table({"t": [{"x": 1}] * ROWS})), Y, "column 't' holds 'struct"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_types(name: str) -> None:
    """Each wrong type is one line that prints: what was given, what is expected, what to do."""
    inputs, targets, message = WRONG[name]
    with pytest.raises(UserError, match=message) as caught:
        data_of(inputs, targets)
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(".")


def test_labels() -> None:
    """Missing labels among objects are counted and placed; kinds that have no order are named; others pass."""
    for missing in (
        np.array(["a", None], dtype=object),
        pd.array(["a", None], dtype="string"),
        ["a", None],
        ["a", np.nan],
    ):
        with pytest.raises(UserError, match="target: 1 missing label, the first in row 1"):
            refuse_missing_labels(missing)
    with pytest.raises(UserError, match=r"labels of several kinds \(int, str\)"):
        check_labels(np.array(["a", 1], dtype=object))
    refuse_missing_labels(Y)
    check_labels(np.array(["a", "b"], dtype=object))


def test_rows_and_targets_are_matched_by_their_place() -> None:
    """An index of other labels, as after `reset_index`, is none of our business; the same one in another order is refused."""
    targets = pd.Series(Y)
    for index in (range(ROWS, 2 * ROWS), [0] * ROWS, range(ROWS)):
        assert as_given(FRAME, targets.set_axis(index))[1] is not None
    with pytest.raises(UserError, match="another order"):
        as_given(FRAME, targets.sample(frac=1, random_state=0))


def test_what_is_read_already_stays() -> None:
    """Arrays and pandas frames are passed on as they are: the same objects."""
    inputs = np.stack([A, B], axis=1)
    assert as_given(inputs, Y)[0] is inputs
    assert as_inputs(FRAME) is FRAME


VALIDATION = pd.DataFrame({"a": A[:20] + 50, "text": "v", "whole": 3, "b": 0.0})


@pytest.mark.parametrize("arrow", [False, True])
def test_validation_rows_of_ones_own(arrow: bool) -> None:
    """Given validation rows alone validate, and nothing of them is fitted on; test rows are drawn of the others."""
    given = pa.Table.from_pandas(VALIDATION[["b", "whole", "text", "a"]]) if arrow else VALIDATION
    data = data_of(FRAME, validation=(given, Y[:20]), split=SplitOptions(test=10))
    assert data.summary["rows"] == {"training": 50, "validation": 20, "test": 10}
    mean, scale = (data.preprocessing["columns"][0][key][0] for key in ("mean", "scale"))
    assert abs(mean) < 1
    assert np.allclose(data.validation.inputs[:, 0].numpy() * scale + mean, A[:20] + 50, atol=1e-4)
    assert data.validation.targets[:, 0].tolist() == Y[:20].tolist()


def test_validation_rows_by_a_columns_name() -> None:
    """Where the target is a column's name, a frame that holds it is enough."""
    data = data_of(FRAME.assign(y=Y), "y", validation=VALIDATION.assign(y=Y[:20]), split=SplitOptions(test=0))
    assert data.summary["rows"] == {"training": 60, "validation": 20, "test": 0}
    assert data.validation.targets[:, 0].tolist() == Y[:20].tolist()


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((FRAME[["a"]], Y), "inputs of the validation rows: no column 'text', 'whole', 'b'"),
        ((np.ones((5, 3)), np.ones(5)), r"inputs of the validation rows: shape \(5, 3\), those to train on \(60, 4\)"),
        ((VALIDATION, Y[:19]), "80 rows of inputs, but 79 of targets"),
        ([1, 2], r"validation: \(X, y\) of rows of your own, a share"),
    ],
)
def test_wrong_validation_rows(validation: Any, message: str) -> None:
    """Validation rows that do not fit the others are refused in one line."""
    with pytest.raises(UserError, match=message):
        data_of(FRAME, validation=validation, split=SplitOptions(test=0))


def test_classes_that_the_given_rows_lack() -> None:
    """A class that is in one of both parts only is refused with where it lacks."""
    with pytest.raises(
        UserError, match="class '2': none of its 5 rows is in the training part; the validation rows are given"
    ):
        data_of(FRAME, validation=(VALIDATION, [0, 0, 1, 2] * 5), split=SplitOptions(test=0))
    with pytest.raises(UserError, match=r"class '1': none of its .* rows is in the validation part"):
        data_of(FRAME, validation=(VALIDATION, [0] * 20), split=SplitOptions(test=0))


def test_given_rows_exclude_other_divisions() -> None:
    """Given validation rows stand beside neither folds nor groups."""
    with pytest.raises(UserError, match="validation: with folds each of them validates in turn"):
        data_of(FRAME, validation=(VALIDATION, Y[:20]), split=SplitOptions(test=0, folds=3))
    with pytest.raises(UserError, match="validation: rows are given, so that 'group' cannot divide them"):
        from_arrays(FRAME, Y, validation=(VALIDATION, Y[:20]), read=ReadOptions(missing="median", group="whole"))
