"""`predict --interval`: columns low and high of predicted numbers, from Python too, how often they are right, and what has none."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from hpsearch import DNNRegressor
from hpsearch.cli import main
from hpsearch.interactive import load

QUICK = ["--trials", "2", "--set", "training.epochs=4", "--engine", "reference", "--device", "cpu"]
CONFIRMED = ["--set", "confirm.trials=1", "--set", "confirm.seeds=2", "--set", "confirm.ensemble=1"]


def table() -> pd.DataFrame:
    """A table of 120 rows with a price and a kind."""
    generator = np.random.default_rng(1)
    area = generator.normal(100, 20, 120).round(2)
    price = (1e5 + 100 * area + generator.normal(0, 900, 120)).round(2)
    return pd.DataFrame({"area": area, "age": generator.integers(1, 90, 120) + 0.5, "price": price})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and the study `prices` that was run on it."""
    folder = tmp_path_factory.mktemp("intervals")
    table().to_csv(folder / "prices.csv", index=False)
    assert (
        main(
            [
                "run",
                "--data",
                str(folder / "prices.csv"),
                "--target",
                "price",
                "--reports",
                str(folder),
                *QUICK,
                *CONFIRMED,
            ]
        )
        == 0
    )
    return folder


def predict(place: Path, *more: str) -> int:
    return main(
        [
            "predict",
            str(place / "prices"),
            str(place / "prices.csv"),
            "-o",
            str(place / "out.csv"),
            "--force",
            "--no-id",
            *more,
        ]
    )


def test_low_and_high_stand_beside_the_prediction(place: Path) -> None:
    """Both ends are equally far from each prediction, `predict_interval` gives the same, and a higher level is wider."""
    assert predict(place, "--interval", "0.8") == 0
    with (place / "out.csv").open(newline="") as opened:
        head, *rows = csv.reader(opened)
    assert head == ["prediction", "low", "high"]
    predictions, low, high = np.array(rows, dtype=float).T
    assert predictions - low == pytest.approx(high - predictions)
    assert np.ptp(high - low) == pytest.approx(0, abs=1e-6)
    result = load(place / "prices")
    found = result.predict_interval(table().drop(columns="price"), 0.8)
    assert found == pytest.approx(np.stack([low, high], axis=1), rel=1e-6)
    wider = result.predict_interval(table().drop(columns="price"), 0.9)
    assert np.all(wider[:, 1] - wider[:, 0] > high - low)


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("0.999", "held-out rows give at most 0.99. Give a lower one."),
        ("90", "a share between 0 and 1 expected. Give 0.9."),
    ],
)
def test_a_level_that_does_not_fit_is_refused(
    level: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A level that so few rows cannot give, and one that is no share, end in one line and status 2."""
    assert predict(place, "--interval", level) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_what_has_no_interval_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes have probabilities instead, and a model without held-out errors says how to get them; one line and status 2 each."""
    frame = table()
    frame["kind"] = np.where(frame["area"] > 100, "large", "small")
    frame.drop(columns="price").to_csv(place / "kinds.csv", index=False)
    for file, target in (("kinds", "kind"), ("prices", "price")):
        name = f"no-{file}"
        data = ["--data", str(place / f"{file}.csv"), "--target", target, "--name", name]
        assert main(["run", *data, "--reports", str(place), *QUICK, "--set", "confirm.trials=0"]) == 0
        capsys.readouterr()
        assert main(["predict", str(place / name), str(place / f"{file}.csv"), "-o", "-", "--interval", "0.9"]) == 2
        said = "its probability says" if file == "kinds" else "knows no errors on held-out rows"
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_nine_of_ten_intervals_contain_the_number() -> None:
    """Over 20 small studies, each on rows of its own, 85 to 95 % of the intervals of level 0.9 contain the number of rows kept back."""
    inputs, targets = load_diabetes(return_X_y=True)
    covered = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(targets))
        train, kept_back = order[:150], order[150:]
        model = DNNRegressor(trials=2, epochs=4, confirm=1, validation=0.3, random_state=seed, device="cpu")
        ends = model.fit(inputs[train], targets[train]).predict_interval(inputs[kept_back], 0.9)
        covered.append(np.mean((ends[:, 0] <= targets[kept_back]) & (targets[kept_back] <= ends[:, 1])))
    assert 0.85 <= np.mean(covered) <= 0.95
