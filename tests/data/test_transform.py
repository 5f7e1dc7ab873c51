"""The preprocessing rebuilt from JSON gives the inputs that scikit-learn's transformers give, and torch can carry it away."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch.data.transform import transform_of
from hpsearch.errors import StorageError

CITIES = ["Aachen", "Berlin", "Celle"]


def table() -> pd.DataFrame:
    generator = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "age": generator.normal(40, 10, 200),
            "income": generator.lognormal(10, 1, 200),
            "member": generator.integers(0, 2, 200).astype(float),
            "city": generator.integers(0, 3, 200).astype(float),
        }
    )
    return frame.mask(generator.random(frame.shape) < 0.1)


def fitted(frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, Any]]:
    """Return scikit-learn's inputs of a table, and the same transformer written down by hand."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    city = OneHotEncoder(categories=[[*CITIES, "(none)"]], sparse_output=False)
    each = [(name, numbers, [name]) for name in ("age", "income", "member")]
    transformer = ColumnTransformer([*each, ("city", city, ["city"])])
    texts = frame.assign(city=[CITIES[int(code)] if code >= 0 else "(none)" for code in frame["city"]])
    transformer.fit(texts)
    columns = []
    for name in ("age", "income", "member"):
        imputer, scaler = transformer.named_transformers_[name]
        columns.append(
            {
                "name": name,
                "kind": "boolean" if name == "member" else "number",
                "fill": float(imputer.statistics_[0]),
                "indicator": True,
                "mean": scaler.mean_.tolist(),
                "scale": scaler.scale_.tolist(),
            }
        )
    columns.append({"name": "city", "kind": "category", "categories": CITIES, "other": False, "missing": True})
    return transformer.transform(texts), {"kind": "table", "version": 1, "target": "y", "columns": columns}


def test_a_table_is_transformed_as_scikit_learn_does() -> None:
    """Filled, marked as missing, standardised, one-hot: the inputs are scikit-learn's, rounded to float32 once."""
    frame = table()
    expected, preprocessing = fitted(frame)
    found = transform_of(preprocessing)(torch.from_numpy(frame.to_numpy().copy()))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), expected.astype(np.float32))


def test_columns_keep_their_places() -> None:
    """Inputs come in the order of the columns, whatever their kinds; other and missing follow the categories."""
    columns = [
        {"name": "a", "kind": "category", "categories": ["x", "y"], "other": True, "missing": True},
        {"name": "b", "kind": "number", "fill": 5.0, "indicator": False, "mean": [1.0], "scale": [2.0]},
        {"name": "c", "kind": "category", "categories": ["z"], "other": False},
    ]
    rows = torch.tensor([[0, 3, 0], [1, math.nan, 1], [2, 1, math.nan], [math.nan, 2, 0]], dtype=torch.float64)
    found = transform_of({"kind": "table", "version": 1, "columns": columns})(rows)
    assert found.tolist() == [
        [1, 0, 0, 0, 1.0, 1],
        [0, 1, 0, 0, 2.0, 0],
        [0, 0, 1, 0, 0.0, 0],
        [0, 0, 0, 1, 0.5, 1],
    ]


def test_dates_become_their_parts() -> None:
    """The parts of a date are functions of its days: the season repeats after a Gregorian year, noon is half a day."""
    noon = (pd.Timestamp("2024-02-29 12:00") - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    parts = ["days", "year_sin", "year_cos", "week_sin", "week_cos", "day_sin", "day_cos"]
    date = {
        "name": "day",
        "kind": "date",
        "fill": 0.0,
        "indicator": True,
        "parts": parts,
        "mean": [0.0] * 8,
        "scale": [1.0] * 8,
    }
    days = torch.tensor([[noon], [-400.25], [math.nan]], dtype=torch.float64)
    found = transform_of({"kind": "table", "version": 1, "columns": [date]})(days).tolist()
    for row, day, missing in zip(found, (noon, -400.25, 0.0), (0, 0, 1), strict=True):
        waves = [wave(2 * math.pi * day / period) for period in (365.2425, 7, 1) for wave in (math.sin, math.cos)]
        assert row == pytest.approx([day, *waves, missing], abs=1e-6)


def test_images_are_standardised_by_channel() -> None:
    """Each channel is standardised, and the image laid flat, channel after channel."""
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 5))
    preprocessing = {
        "kind": "images",
        "version": 1,
        "shape": [2, 3, 5],
        "mean": [100.0, 110.0],
        "scale": [50.0, 60.0],
        "divisor": 255,
    }
    found = transform_of(preprocessing)(torch.from_numpy(images))
    by_hand = np.stack([(images[:, 0] - 100) / 50, (images[:, 1] - 110) / 60], axis=1)
    np.testing.assert_array_equal(found.numpy(), by_hand.reshape(4, 30).astype(np.float32))


def test_torch_export_carries_a_transform() -> None:
    """The transform is one program for any number of rows, equal bit for bit."""
    frame = table()
    _, preprocessing = fitted(frame)
    module, rows = transform_of(preprocessing), torch.from_numpy(frame.to_numpy().copy())
    program = torch.export.export(module, (rows[:2],), dynamic_shapes=({0: torch.export.Dim("rows")},))
    assert torch.equal(program.module()(rows), module(rows))


@pytest.mark.parametrize(
    "preprocessing",
    [
        {},
        {"kind": "table", "version": 2, "columns": []},
        {"kind": "table", "version": 1, "columns": []},
        {"kind": "table", "version": 1, "columns": [{"kind": "number"}]},
        {"kind": "table", "version": 1, "columns": [{"kind": "number", "fill": "x", "mean": [0.0], "scale": [1.0]}]},
        {"kind": "table", "version": 1, "columns": [{"kind": "number", "fill": 0.0, "mean": [0.0], "scale": []}]},
        {
            "kind": "table",
            "version": 1,
            "columns": [{"kind": "date", "fill": 0.0, "parts": ["century_sin"], "mean": [0.0], "scale": [1.0]}],
        },
        {"kind": "images", "version": 1, "mean": 3, "scale": [1.0], "divisor": 1},
    ],
)
def test_damaged_preprocessing_is_told(preprocessing: dict[str, Any]) -> None:
    """Preprocessing of another version, or with something missing, is one line."""
    with pytest.raises(StorageError) as caught:
        transform_of(preprocessing)
    assert "\n" not in str(caught.value)
