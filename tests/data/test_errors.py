"""Bad data: each gives one line that names what was given, what was expected and what to do."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix

from hpsearch.data import from_arrays, load
from hpsearch.errors import UserError
from tests.support.options import flat

X = np.random.RandomState(0).normal(size=(60, 3))
Y = np.arange(60) % 3
F = pd.DataFrame(X, columns=["age", "height", "weight"])


def changed(array: np.ndarray, place: Any, value: Any) -> np.ndarray:
    copy = array.astype(object if isinstance(value, str) or value is None else float)
    copy[place] = value
    return copy


CASES = {
    "missing cell": (
        F.mask((F.index.to_numpy() > 16)[:, None] & [False, True, False]),
        Y,
        "'height' has 43 missing.*row 17",
    ),
    "infinite cell": (changed(X, (5, 2), np.inf), Y, "column '2' has 1 missing or infinite cell, .*infinite, in row 5"),
    "two bad columns": (changed(X, (5, slice(1, 3)), np.nan), Y, r"column '1' .*\(1 more column too\).*row 5"),
    "missing object": (changed(X, (4, 0), None), Y, "column '0' has 1 missing.*row 4"),
    "huge whole number": ([[10**400, 1]] * 60, Y, "column '0' has a whole number too large"),
    "no array": ("mnist", Y, r"inputs: a str, a table"),
    "masked cell": (np.ma.masked_array(X, X > 2.2), Y, "missing"),
    "missing pixel": (changed(X.reshape(60, 1, 3), (2, 0, 1), np.nan), Y, "value 1 has 1 missing.*row 2"),
    "a few texts": (
        F.assign(dose=[*map(str, range(57)), "high", "low", "high"]),
        Y,
        r"column 'dose': row 57 holds 'high', a number expected",
    ),
    "mixed column": (F.assign(things=[object(), "x"] * 30), Y, "column 'things' holds object and str mixed"),
    "complex": (X.astype(complex), Y, "holds complex"),
    "hidden characters": (
        F.assign(**{"\x1b[2J\n": [object(), "x"] * 30}),
        Y,
        r"column '\\x1b\[2J\\n' holds object and str",
    ),
    "duplicate columns": (pd.DataFrame(X, columns=["a", "b", "a"]), Y, "'a' names more than one column"),
    "one dimension": (X[:, 0], Y, r"shape \(60,\).*reshape\(-1, 1\)"),
    "five dimensions": (X.reshape(60, 1, 1, 1, 3), Y, "expected"),
    "channels last": (np.zeros((60, 8, 8, 3)), Y, "channels last.*Move the last axis"),
    "sparse": (csr_matrix(X), Y, r"inputs: a sparse matrix, a dense array expected. Give inputs.toarray\(\)"),
    "sparse target": (X, csr_array(Y[:, None]), r"target: a sparse matrix, .*target.toarray\(\)"),
    "sparse tensor": (torch.tensor(X).to_sparse(), Y, "inputs: a tensor of numbers, dense and with data, expected"),
    "tensor without data": (torch.zeros(60, 3, device="meta"), Y, "inputs: a tensor of numbers, dense and with data"),
    "complex target": (X, Y + 1j, "target: complex numbers, numbers or classes expected"),
    "labels of two kinds": (X, np.array([1, "1"] * 30, dtype=object), r"target: labels of several kinds \(int, str\)"),
    "ragged": ([[1, 2], [3]], [0, 1], "inputs: rows of different lengths"),
    "no columns": (X[:, :0], Y, "inputs: empty"),
    "no rows": (X[:0], Y[:0], "inputs: empty"),
    "lengths": (X, Y[:50], "60 rows of inputs, but 50 of targets"),
    "many classes": (
        X,
        [f"class {row % 30}" for row in range(60)],
        "A row of each of 30 classes is needed there: give more rows",
    ),
    "few rows": (X[:5], Y[:5], "5 rows, at least 10 needed"),
    "all constant": (np.ones((60, 3)), Y, "every column is constant"),
    "dark images": (np.zeros((60, 2, 2), dtype=np.uint8), Y, "every pixel"),
    "too large": (changed(X, (slice(None), 1), np.linspace(-1e300, 1e300, 60)), Y, "column '1' has values too large"),
    "one class": (X, ["cat"] * 60, r"target: 1 class \('cat'\), at least 2 needed"),
    "one number": (X, Y * 0 + 4, r"1 class \('4'\)"),
    "rare class": (
        X,
        ["a", "b"] * 29 + ["a", "rare"],
        r"class 'rare' has 1 row, too few for the .* Either add rows of them, or drop them: drop_rows = .* \(--drop-rows rare-classes\).$",
    ),
    "rare number": (X, [0, 1] * 29 + [0, 2], "class '2' has 1 row.*or predict a number: .*--task regression"),
    "rare classes": (
        X,
        ["a", "b"] * 28 + ["d", "c", "d", "e"],
        "classes 'c', 'e', 'd' have 1 to 2 rows, too few for the ",
    ),
    "missing target": (X, changed(Y, slice(8, 10), np.nan), "target: 2 missing or infinite values, the first in row 8"),
    "missing label": (
        X,
        changed(np.array(["a", "b"] * 30), 7, None),
        "target: 1 missing or infinite value, the first in row 7",
    ),
    "missing nullable": (X, pd.Series(Y, dtype="Int64").mask(Y == 2), "target: 20 missing.*row 2"),
    "infinite target": (X, changed(X[:, 0], 3, np.inf), "target: 1 missing or infinite value, the first in row 3"),
    "constant target": (X, np.full(60, 2.5), "target: its value is 2.5 in all rows"),
    "constant target column": (X, np.stack((X[:, 0], X[:, 0] * 0), 1), "target: column 1 is 0 in all rows"),
    "one-hot": (X, np.eye(3)[Y], r"one-hot rows.*argmax\(1\)"),
    "text columns": (X, np.array([["a", "b"]] * 60), "target: text in 2 columns"),
    "target cube": (X, np.zeros((60, 2, 2)), "target: shape"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_data(case: str) -> None:
    """Bad data is refused in one line that begins with the data's name and says what to do."""
    inputs, targets, message = CASES[case]
    with pytest.raises(UserError, match=message) as caught:
        from_arrays(inputs, targets, name="mine")
    text = str(caught.value)
    assert text.startswith("data 'mine': ")
    assert text.isprintable()
    assert text.endswith(".")
    assert len(text) < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 1.5}, "validation 1.5: a share between 0 and 1, or a number of rows"),
        ({"validation": 0}, "validation 0"),
        ({"test": float("nan")}, "test nan"),
        ({"test": True}, "test True"),
        ({"test": "many"}, "test 'many'"),
        ({"test": 60}, "test 60: only 60 rows are left"),
        ({"test": 30, "validation": 30}, "validation 30: only 30 rows are left"),
        ({"test": 30, "validation": 29}, "1 training row, at least 2 needed"),
        ({"validation": 2}, "validation 2: too few rows, 3 classes need one row each"),
        ({"rows": 2}, "training 2: too few rows, 3 classes"),
        ({"rows": 0}, "rows 0: a number of training rows from 1"),
        ({"seed": -1}, "seed -1: a whole number from 0"),
        ({"seed": 0.5}, "seed 0.5"),
        ({"task": "regresion"}, "unknown task 'regresion'. Did you mean 'regression'"),
        ({"task": "binary"}, "needs 2 classes"),
        ({"metric": "rmse"}, "does not fit a multiclass task"),
        ({"name": ""}, "1 to 200 printable characters"),
        ({"name": "x" * 600}, "1 to 200 printable characters"),
        ({"name": "a\nb"}, r"name 'a\\nb'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    """Options that cannot work are refused in one line."""
    with pytest.raises(UserError, match=message) as caught:
        from_arrays(X, Y, **flat(**options))
    assert str(caught.value).isprintable()


def test_unknown_name() -> None:
    """An unknown data set gets a suggestion and the list."""
    with pytest.raises(UserError, match=r"unknown data set 'digit'\. Did you mean 'digits'\? Known: breast_cancer"):
        load("digit")
