"""How rows are divided: by group, by time, in folds, without test rows, whole; and what classes weigh."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from hpsearch.config import check_config
from hpsearch.data import Data, from_arrays, from_frame, load
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.data.splits import Constraints, split_rows
from hpsearch.errors import UserError
from hpsearch.searching.run_options import RunOptions, prepare_data
from tests.support.options import flat


def table(rows: int = 200) -> pd.DataFrame:
    draw = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "row": draw.permutation(rows) * 1.5,  # tells a row
            "patient": [f"p{i % 23}" for i in draw.permutation(rows)],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.randint(0, 50, rows), "D"),
            "x": draw.normal(size=rows),
            "y": draw.choice(["a", "b", "c"], rows),
        }
    )


def rows_of(data: Data, part: str) -> list[int]:
    """Return which rows of the table a part holds, by the column that tells them."""
    column = data.preprocessing["columns"][0]
    values = getattr(data, part).inputs[:, 0].double() * column["scale"][0] + column["mean"][0]
    numbers = table()["row"].to_numpy()
    return [int(np.abs(numbers - float(value)).argmin()) for value in values]


def test_groups_stay_together() -> None:
    """No group has rows in two parts, every class is in each, the group is no input, and a notice says so."""
    data = from_frame(table(), "y", read=ReadOptions(group="patient"))
    groups = [set(table().patient.iloc[rows_of(data, part)]) for part in ("training", "validation", "test")]
    assert all(not one & other for one, other in itertools.combinations(groups, 2))
    assert sum(map(len, groups)) == 23
    assert abs(len(data.test) - 30) <= 4
    assert abs(len(data.validation) - 30) <= 4
    assert "patient" not in [column["name"] for column in data.preprocessing["columns"]]
    assert "Column 'patient' is not used (group): it says which rows belong together." in data.summary["notices"]
    kept = from_frame(table(), "y", read=ReadOptions(group="patient", columns={"patient": "category"}))
    assert "patient" in [column["name"] for column in kept.preprocessing["columns"]]


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_as_near_as_any(seed: int) -> None:
    """The test part is as near to its size as the best of all subsets of the groups."""
    draw = np.random.RandomState(seed)
    counts = draw.randint(1, 40, 8)
    groups = np.repeat(np.arange(8), counts)
    wanted = int(0.3 * len(groups))
    split = split_rows(None, len(groups), (), SplitOptions(seed, test=wanted), Constraints(groups=groups))
    subsets = itertools.chain.from_iterable(itertools.combinations(counts, n) for n in range(1, 7))
    best = min(abs(sum(subset) - wanted) for subset in subsets)
    assert abs(len(split.test) - wanted) == best


def test_time_divides() -> None:
    """The earliest rows train, later ones validate, the latest test; equal times stay together, and time is no input."""
    data = from_frame(table(), "y", read=ReadOptions(time="day"))
    training, validation, test = (table().day.iloc[rows_of(data, p)] for p in ("training", "validation", "test"))
    assert training.max() < validation.min()
    assert validation.max() < test.min()
    assert abs(len(test) - 30) < 8
    assert "day" not in [column["name"] for column in data.preprocessing["columns"]]
    used = from_frame(table(), "y", read=ReadOptions(time="day", columns={"day": "date"}))
    assert "day" in [column["name"] for column in used.preprocessing["columns"]]
    numbers = from_frame(table().assign(day=np.arange(200) % 100), "y", read=ReadOptions(time="day"))
    assert len(numbers.test) == 30


def test_no_test_rows() -> None:
    """With test = 0 no rows are held out for a test, and the empty part has the width of the others."""
    for data in (
        from_frame(table(), "y", split=SplitOptions(test=0)),
        from_arrays(table()[["row", "x"]].to_numpy(), table().y, split=SplitOptions(test=0)),
        from_arrays(np.random.RandomState(0).rand(60, 2, 2, 2), np.arange(60) % 2, split=SplitOptions(test=0)),
        load("iris", split=SplitOptions(test=0)),
    ):
        assert len(data.test) == 0
        assert data.test.inputs.shape == (0, data.inputs)
        assert data.summary["rows"]["test"] == 0
        assert len(data.training) + len(data.validation) in (200, 60, 150)


@pytest.mark.parametrize("group", [None, "patient"])
@pytest.mark.parametrize("target", ["y", "x"])
def test_folds(group: str | None, target: str) -> None:
    """Folds share one width, validate every row but the test rows once, scale by their own rows, keep classes and groups."""
    data = from_frame(
        table(), target, split=SplitOptions(folds=4, test=0.1), read=ReadOptions(group=group, columns={"row": "number"})
    )
    assert len(data.folds) == data.summary["rows"]["folds"] == 4
    assert torch.equal(data.training.inputs, data.folds[0].training.inputs)
    assert {fold.training.inputs.shape[1] for fold in data.folds} == {data.inputs}
    assert sum(len(fold.validation) for fold in data.folds) == 200 - len(data.test)
    for fold in data.folds:
        assert fold.training.inputs[:, 0].mean().abs() < 1e-5
        assert len(fold.training) + len(fold.validation) == 200 - len(data.test)
        if target == "y":
            assert set(fold.validation.targets.tolist()) == {0, 1, 2}
        else:
            assert fold.training.targets.mean().abs() < 1e-5
    validated = [data.fold(number).validation for number in range(4)]
    assert [len(rows) for rows in validated] == [len(fold.validation) for fold in data.folds]


def test_folds_of_arrays() -> None:
    """Arrays and named data sets have folds as well, scaled by their own rows."""
    for data in (
        load("wine", split=SplitOptions(folds=5)),
        from_arrays(np.random.RandomState(0).rand(90, 2, 3, 3), np.arange(90) % 3, split=SplitOptions(folds=3)),
    ):
        sizes = [len(fold.validation) for fold in data.folds]
        assert max(sizes) - min(sizes) <= 1
        assert all(fold.training.inputs.mean().abs() < 1e-5 for fold in data.folds)
        other = data.fold(1)
        assert torch.equal(other.training.inputs, data.folds[1].training.inputs)


def test_full() -> None:
    """A full split trains on all rows but the same test rows, is fitted on them, and validates on the same rows."""
    makers: list[Callable[..., Data]] = [
        lambda **options: from_frame(table(), "y", **flat(**options)),
        lambda **options: from_arrays(table()[["row", "x"]].to_numpy(), table().y, **flat(**options)),
    ]
    for make in makers:
        data, full = make(), make(full=True)
        assert len(full.training) == len(data.training) + len(data.validation)
        assert torch.equal(full.training.inputs, full.validation.inputs)
        assert torch.equal(full.test.targets, data.test.targets)
        assert sorted(rows_of(full, "test")) == sorted(rows_of(data, "test"))
        assert full.training.inputs[:, 0].mean().abs() < 1e-5
        assert make(full=True, folds=3).folds == ()


def test_class_weights() -> None:
    """Balanced weights are scikit-learn's over the training rows, and their mean over those rows is 1."""
    labels = np.array(["a"] * 150 + ["b"] * 40 + ["c"] * 10)
    data = from_arrays(table()[["row", "x"]].to_numpy(), labels, task=TaskOptions(class_weights="balanced"))
    codes = data.training.targets.numpy()
    assert data.class_weights is not None
    expected = compute_class_weight("balanced", classes=np.arange(3), y=codes)
    assert np.allclose(data.class_weights.numpy(), expected)
    assert data.class_weights[codes].mean() == pytest.approx(1, abs=1e-6)
    binary = from_arrays(table()[["row", "x"]].to_numpy(), labels == "a", task=TaskOptions(class_weights="balanced"))
    assert binary.class_weights is not None
    assert binary.class_weights.shape == (2,)
    assert from_arrays(table()[["row", "x"]].to_numpy(), labels).class_weights is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "nobody"}, "no group column 'nobody'"),
        ({"time": "x", "group": "patient"}, "the one or the other"),
        ({"time": "patient"}, r"column 'patient': row 0 holds 'p\d+', a date or number"),
        ({"time": "when"}, "time 'when': %d/%m/%Y and %m/%d/%Y both fit"),
        ({"group": "one"}, "1 group for the test rows and 2 other parts"),
        ({"time": "one"}, "have one time"),
        ({"group": "gaps"}, "column 'gaps' has 100 missing cells, the first in row 0"),
        ({"folds": 1}, "folds 1: a whole number from 2"),
        ({"folds": 101}, "folds 101: only 170 rows"),
        ({"folds": 60}, "folds 60: class '.' has .* and each fold needs one"),
        ({"folds": 30, "group": "patient"}, "folds 30: only .* groups"),
        ({"folds": 3, "validation": 0.2}, "validation: with folds"),
        ({"group": "class"}, "class '.': none of its .* rows is in the .* part, rows being divided by group"),
        ({"class_weights": "heavy"}, "unknown class weights 'heavy'"),
        ({"test": -1}, "test -1"),
        ({"test": False}, "test False"),
    ],
)
def test_divisions_that_cannot_be(options: dict[str, object], message: str) -> None:
    """A division that cannot be made is told in one line."""
    frame = table().assign(one=1, gaps=[None, 1.0] * 100, when=["01/02/2024", "03/04/2024"] * 100)
    frame["class"] = frame.y
    extra = {"gaps": "drop"} if options.get("group") != "gaps" else {}
    with pytest.raises(UserError, match=message) as caught:
        from_frame(frame, "y", **flat(columns=extra, **options))
    assert str(caught.value).isprintable()


def test_a_studys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study's [data] opens its file with every key, relative to the working directory; whole trains on all but the test rows."""
    table().assign(gap=[None, 1.25, 3.0, 4.0] * 50).to_csv(tmp_path / "t.data", sep=";", decimal=",", index=False)
    monkeypatch.chdir(tmp_path)
    section = {
        **{"file": "t.data", "target": "y", "separator": ";", "decimal": ",", "encoding": "utf-8", "header": True},
        **{"group": "patient", "columns": {"x": "drop"}, "missing": "mean", "missing_values": ["4"], "test": 0.2},
    }
    raw = {"study": {"name": "s"}, "space": {"depth": 1, "width": 8}, "data": section}
    config = check_config({**raw, "training": {"class_weights": "balanced"}}, "s.toml")
    run_options = RunOptions(tmp_path, "", "cpu")
    data, whole = prepare_data(config, run_options), prepare_data(config, run_options, full=True)
    assert [column["name"] for column in data.preprocessing["columns"]] == ["row", "day", "gap"]
    assert data.preprocessing["reading"]["missing_values"] == ["4"]
    assert data.preprocessing["columns"][2]["indicator"]
    assert data.class_weights is not None
    assert data.class_weights.shape == (3,)
    assert len(whole.training) == len(data.training) + len(data.validation)
    folded = check_config({**raw, "data": {"file": "t.data", "target": "y", "folds": 3}}, "s.toml")
    assert len(prepare_data(folded, run_options).folds) == 3
