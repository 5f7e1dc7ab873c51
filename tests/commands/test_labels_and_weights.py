"""Studies of several labels, of weighted rows and of rows that are dropped, from the table to the page and the exported file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import sklearn.metrics as sk

import hpsearch
from hpsearch import DNNClassifier, DNNRegressor
from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.model import load_model
from hpsearch.model.exporting import export
from hpsearch.storage.reading import read_study

FAST = ["--trials", "2", "--set", "training.epochs=3", "--set", "data.validation=0.2", "--device", "cpu"]
SMALL = ["--set", "confirm.trials=2", "--set", "confirm.seeds=2", "--set", "confirm.ensemble=2"]
SPACE = {"depth": 1, "width": 8, "learning_rate": {"low": 0.01, "high": 0.1}}


def table(rows: int = 150) -> pd.DataFrame:
    """Inputs, two labels, a class, a number, and weights."""
    generator = np.random.default_rng(4)
    frame = pd.DataFrame(generator.normal(size=(rows, 3)), columns=["p", "q", "r"])
    frame["red"] = np.where(frame["p"] > 0, "True", "False")
    frame["blue"] = (frame["q"] > 0.5).astype(int)
    frame["w"] = generator.uniform(0.2, 3, rows).round(2)
    return frame


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two labels with weights, a row of which has no target."""
    folder = tmp_path_factory.mktemp("labels")
    frame = table()
    frame.loc[3, "blue"] = np.nan
    frame.to_csv(folder / "t.csv", index=False)
    given = ["--data", str(folder / "t.csv"), "--target", "red, blue", "--weight", "w"]
    assert main(["run", *given, *FAST, *SMALL, "--reports", str(folder)]) == 2
    assert main(["run", *given, "--drop-rows", "missing-target", *FAST, *SMALL, "--reports", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_study_of_labels_has_all_that_others_have(study: Path) -> None:
    """Confirmation, a test score, a baseline, the counts of each label, and a page that shows them and says what was assumed."""
    record = read_study(f"sqlite:///{study / 't' / 'study.db'}", "t")
    assert record.data["task"] == "multilabel"
    assert record.data["labels"] == ["red", "blue"]
    assert record.result["fresh"]["runs"] == 2
    assert record.result["test"]["metric"] == "f1_micro"
    assert record.result["baseline"]["strategy"] == "frequent_labels"
    counts = record.result["predicted"]["label_counts"]
    assert [sum(four) for four in counts] == [record.data["rows"]["test"]] * 2
    page = (study / "t" / "report.html").read_text(encoding="utf-8")
    assert 'id="figure-labels"' in page
    for said in ("1 row of 150 dropped: no target", "Rows are weighted by column", "(multilabel)"):
        assert said in page, said
    names = pd.read_csv(study / "t" / "tables" / "labels.csv")["label"].tolist()
    assert names == ["red", "blue"]


def test_predictions_of_labels_are_0_or_1_and_a_probability(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`predict` writes both for each label, leaves rows without a target out of the metric, and says the metric of scikit-learn."""
    given = study / "new.csv"
    frame = table(60)
    frame.loc[0, "blue"] = np.nan
    frame.to_csv(given, index=False)
    main(["predict", "t", str(given), "-o", str(study / "out.csv"), "--reports", str(study), "--no-id"])
    out = pd.read_csv(study / "out.csv")
    assert out.columns.tolist() == ["prediction_red", "prediction_blue", "probability_red", "probability_blue"]
    taken = out[["prediction_red", "prediction_blue"]].to_numpy()
    assert np.array_equal(taken, (out[["probability_red", "probability_blue"]] >= 0.5).astype(int).to_numpy())
    known = np.stack([frame["red"] == "True", frame["blue"] == 1], axis=1)[1:]
    value = sk.f1_score(known, taken[1:], average="micro")
    said = capsys.readouterr().out
    assert f"{value:.4g}" in said
    assert "on 59 rows (1 without a target that is known left out)" in said


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "pt2", "safetensors"])
def test_a_model_of_labels_is_exported(study: Path, tmp_path: Path, form: str) -> None:
    """Every format answers as torch does, and names the labels; older models, which have none, still load."""
    model = load_model(study / "t")
    assert model.labels == ("red", "blue")
    done = export(model, form, tmp_path / f"it.{form}")
    assert done.difference < 1e-4
    if done.signature is not None:
        (port,) = done.signature.outputs
        assert port.name == "probabilities"
        assert "'red', 'blue'" in port.holds


def test_a_refit_of_labels_keeps_their_names(study: Path) -> None:
    """`refit` trains on all rows but the test rows, weights included."""
    main(["refit", "t", "--reports", str(study), "--device", "cpu"])
    described = json.loads((study / "t" / "refit.json").read_text())
    assert described["labels"] == ["red", "blue"]


def test_search_takes_labels_and_weights() -> None:
    """In Python a frame of labels and an array of weights: 0 or 1 for each label, probabilities, and the same with the column's name."""
    frame = table()
    labels = pd.DataFrame({"red": frame["red"] == "True", "blue": frame["blue"] == 1})
    inputs = frame[["p", "q", "r"]]
    options: dict[str, Any] = {"trials": 2, "space": SPACE, "training": {"epochs": 3}, "confirm": 0, "folds": 3}
    found = hpsearch.search(inputs, labels, sample_weight=frame["w"], **options)
    assert found.record.data["task"] == "multilabel"
    chances = found.predict_proba(inputs)
    assert chances.shape == (150, 2)
    assert np.array_equal(found.predict(inputs), (chances >= 0.5).astype(int))
    named = hpsearch.search(frame[["p", "q", "r", "w"]], labels, weight="w", **options)
    assert named.best.value == found.best.value
    assert hpsearch.search(inputs, labels, **options).best.value != found.best.value


def test_search_drops_rows_without_a_target() -> None:
    """In Python rows whose label is missing are dropped where that is asked for, and labels stay what they were."""
    frame = table()
    y = frame["red"].to_numpy(dtype=object)
    y[[1, 2]] = None
    options: dict[str, Any] = {"trials": 1, "space": SPACE, "training": {"epochs": 2}, "confirm": 0, "validation": 0.2}
    found = hpsearch.search(frame[["p", "q"]], y, drop_rows=["missing-target"], **options)
    assert sum(found.record.data["rows"].values()) == 148
    assert set(found.predict(frame[["p", "q"]])) <= {"True", "False"}


def _weights(rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.where(rows, 1.0, 0.0)


def test_an_estimator_ignores_rows_of_weight_0() -> None:
    """Rows whose targets are nonsense and whose weight is 0 do not change what is learned: targets of the others decide."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(300, 2))
    y = (inputs[:, 0] > 0).astype(int)
    bad = generator.random(300) < 0.45
    nonsense = np.where(bad, 1 - y, y)
    options: dict[str, Any] = {"trials": 3, "epochs": 20, "confirm": 0, "random_state": 0}
    weighted = DNNClassifier(**options).fit(inputs, nonsense, sample_weight=_weights(~bad))
    assert weighted.score(inputs, y) > 0.9
    values = np.where(bad, -inputs[:, 0], inputs[:, 0])
    model = DNNRegressor(**options).fit(inputs, values, sample_weight=_weights(~bad))
    assert model.score(inputs, inputs[:, 0]) > 0.7
    with pytest.raises(UserError, match="that of row 0 is -1 "):
        DNNClassifier(**options).fit(inputs, y, sample_weight=np.full(300, -1.0))


def test_a_comparison_has_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison refuses a column of weights in one line."""
    table().to_csv(tmp_path / "t.csv", index=False)
    study = tmp_path / "c.toml"
    study.write_text(
        f'[data]\nfile = "{tmp_path / "t.csv"}"\ntarget = "blue"\nweight = "w"\n'
        "[space]\nlearning_rate = { low = 0.1, high = 1.0 }\n[compare]\n"
    )
    assert main(["compare", str(study)]) == 2
    assert "data.weight: a comparison weighs all rows alike. Remove it." in capsys.readouterr().err
