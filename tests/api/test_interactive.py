"""`search` from Python: what it returns, keeps, draws and refuses, and its types."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.metrics import accuracy_score

import hpsearch
from hpsearch import SearchResult
from hpsearch.cli import main
from hpsearch.config.sections import StudyConfig, TrainingSection
from hpsearch.data import from_arrays
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.errors import UserError
from hpsearch.storage.reading import read_study

IRIS = load_iris(as_frame=True)
NAMES = IRIS.target_names[IRIS.target]
SPACE = {"depth": 1, "width": {"low": 8, "high": 16}, "learning_rate": {"low": 0.01, "high": 0.1, "log": True}}
QUICK: dict[str, Any] = {"trials": 3, "training": {"epochs": 10}}


@pytest.fixture(scope="module")
def found() -> SearchResult:
    return hpsearch.search(IRIS.data, NAMES, **QUICK)


def test_result(found: SearchResult) -> None:
    """The result's best is the best row of its trials, and its predictions are labels as they were given."""
    best, trials = found.best, found.trials
    assert best.value == pytest.approx(trials.set_index("trial").loc[best.trial, "value"])
    assert set(best.hyperparameters) <= set(trials.columns)
    assert best.test is not None
    assert 0 <= (best.test.low or 0) <= best.test.value <= (best.test.high or 0) <= 1
    assert best.mean is not None
    assert best.mean.count == 5
    (winner, *_) = found.record.result["confirmed"]
    assert best.mean.value == pytest.approx(np.mean([run["value"] for run in winner["runs"]]))
    assert found.predict(IRIS.data).dtype == NAMES.dtype
    assert accuracy_score(NAMES, found.predict(IRIS.data)) > 0.6
    probabilities = found.predict_proba(IRIS.data)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert found.labels is not None
    assert (found.labels[probabilities.argmax(axis=1)] == found.predict(IRIS.data)).all()


def test_frames_are_read_by_name(found: SearchResult) -> None:
    """Columns in another order, and others beside them, change nothing; a missing one is named."""
    turned = IRIS.data.iloc[:, ::-1].assign(other=1.0)
    assert np.array_equal(found.predict_proba(turned), found.predict_proba(IRIS.data))
    with pytest.raises(UserError, match=r"petal width \(cm\)"):
        found.predict(IRIS.data.drop(columns="petal width (cm)"))


@pytest.mark.slow
def test_report_study_and_copy(found: SearchResult, tmp_path: Path) -> None:
    """The page is written where it is asked for, the study is Optuna's, and a copy is a study of its own."""
    assert found.report().read_text().startswith("<!DOCTYPE html>")
    assert found.report(tmp_path / "mine.html").name == "mine.html"
    assert found.report(tmp_path / "there") == tmp_path / "there" / "report.html"
    assert isinstance(found.study, optuna.Study)
    assert [trial.number for trial in found.study.trials] == [0, 1, 2]
    copy = found.save(tmp_path / "copy")
    assert read_study(f"sqlite:///{copy / 'study.db'}").trials == found.record.trials
    with pytest.raises(UserError, match="exists already"):
        found.save(copy)


def test_in_words(found: SearchResult) -> None:
    """The text and the notebook's HTML tell validation and test values; no script, no outside address."""
    text = repr(found)
    assert text.startswith(f"SearchResult: one network (trial {found.best.trial}) of 3 trials, accuracy")
    assert f"trial {found.best.trial} of 3" in text
    assert "The test rows were used once, by the selected model." in text
    assert "mean of 5 runs, 95 % interval over seeds" in text
    assert "22 rows, 95 % interval over rows" in text
    html = found._repr_html_()
    assert (
        html.count("<circle") == len([v for v in found.trials["value"] if v is not None]) + 1
    )  # and the kept one's ring
    assert "accuracy on new data" in html
    assert "<script" not in html
    assert "http" not in html


@pytest.mark.slow
def test_a_temporary_folder_is_said(found: SearchResult, tmp_path: Path) -> None:
    """The path of a report that will go says so itself, and so do text and notebook; a named search says where it is kept."""
    assert "temporary" in str(found.report())
    assert f"in {found.folder}, a temporary folder that goes with this result" in repr(found)
    assert "temporary folder that goes with this result" in found._repr_html_()
    named = hpsearch.search(IRIS.data, NAMES, name="stays", reports=tmp_path, confirm=0, **QUICK)
    assert f"in {tmp_path / 'stays'}" in repr(named)
    assert "goes with this result" not in repr(named) + named._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("targets", "kind"),
    [(NAMES, "U"), (IRIS.target.to_numpy() * 10, "i"), (IRIS.target.to_numpy() > 0, "b")],
)
def test_a_kept_study_is_loaded(targets: Any, kind: str, tmp_path: Path) -> None:
    """By name or folder a study comes back as it was: figures, trials, predictions and labels of their type."""
    first = hpsearch.search(IRIS.data, targets, name="kept", reports=tmp_path, confirm=0, **QUICK)
    for loaded in (hpsearch.load("kept", reports=tmp_path), hpsearch.load(tmp_path / "kept")):
        assert isinstance(loaded, SearchResult)
        assert loaded.best == first.best
        pd.testing.assert_frame_equal(loaded.trials, first.trials)
        assert (loaded.predict(IRIS.data) == first.predict(IRIS.data)).all()
        assert np.array_equal(loaded.predict_proba(IRIS.data), first.predict_proba(IRIS.data))
        assert loaded.labels is not None
        assert loaded.labels.dtype.kind == kind
        assert len(loaded.study.trials) == 3
        assert loaded.report() == tmp_path / "kept" / "report.html"


def test_a_study_goes_on_as_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study keeps the space and the number of networks that it began with where another version brings others, and says so."""
    asked: dict[str, Any] = {"name": "kept", "reports": tmp_path, "training": {"epochs": 2}, "verbose": True}
    earlier: dict[str, Any] = {"space": SPACE, "confirm": 1, "seeds": 2, "ensemble": 1}
    hpsearch.search(IRIS.data, NAMES, trials=2, **asked, **earlier)
    capsys.readouterr()
    again = hpsearch.search(IRIS.data, NAMES, trials=3, **asked)
    assert "goes on with the settings that it began with: " in " ".join(capsys.readouterr().out.split())
    assert len(again.trials) == 3
    assert {"width", "learning_rate"} == {*again.record.trials[2].params}
    assert again.record.result["choice"] is None  # of one network
    with pytest.raises(UserError, match=r"exists and differs: space\.depth was 1, now 2"):
        hpsearch.search(IRIS.data, NAMES, trials=4, **asked, space={**SPACE, "depth": 2})


def test_a_table_has_an_ensemble_and_images_have_one_network() -> None:
    """Without a word of it, several networks of a table are judged against one, as the command does; of images one is kept."""
    quick: dict[str, Any] = {"trials": 2, "training": {"epochs": 2}, "confirm": 2, "seeds": 2}
    table = hpsearch.search(IRIS.data, NAMES, **quick, folds=2)
    assert len(table.record.result["choice"]["candidates"]) == 2
    images = hpsearch.search(np.random.default_rng(0).random((40, 4, 4)), np.arange(40) % 2, **quick)
    assert images.record.result["choice"] is None


def test_a_study_of_the_command_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's study predicts a frame of its columns as `predict` does the file, numbers in the target's units."""
    monkeypatch.chdir(tmp_path)
    frame = TABLE.assign(price=TABLE["height"] * 3 - 400).drop(columns="who")
    frame.to_csv("tall.csv", index=False)
    quick = ["--trials", "2", "--set", "training.epochs=3", "--set", "confirm.trials=0", "--device", "cpu"]
    assert main(["run", "--data", "tall.csv", "--target", "price", "--engine", "reference", *quick]) == 0
    assert main(["predict", "tall", "tall.csv"]) == 0
    expected = pd.read_csv("predictions.csv")["prediction"]
    loaded = hpsearch.load("tall")
    assert isinstance(loaded, SearchResult)
    np.testing.assert_allclose(loaded.predict(pd.read_csv("tall.csv")), expected, rtol=1e-5)
    np.testing.assert_allclose(loaded.predict(frame), expected, rtol=1e-5)
    with pytest.raises(UserError, match=r"no model 'refit' yet\. Make it: python -m hpsearch refit tall"):
        hpsearch.load("tall", model="refit")
    with pytest.raises(UserError, match=r"no study 'tal' in 'reports'\. Did you mean 'tall'\? There: 'tall'\."):
        hpsearch.load("tal")


@pytest.mark.slow
def test_names_are_escaped(tmp_path: Path) -> None:
    """A name that is HTML stays text in the notebook's piece and in the page."""
    name = "<img src=x onerror=alert(1)>"
    result = hpsearch.search(IRIS.data, NAMES, name=name, reports=tmp_path, **QUICK)
    assert "<img" not in result._repr_html_()
    assert "<img" not in result.report().read_text()


@pytest.mark.slow
def test_a_named_search_goes_on(tmp_path: Path) -> None:
    """The same name goes on with the study: its first trials are those of before; other data under it are refused."""
    first = hpsearch.search(IRIS.data, NAMES, name="iris", reports=tmp_path, **QUICK)
    more = hpsearch.search(IRIS.data, NAMES, name="iris", reports=tmp_path, **{**QUICK, "trials": 5})
    assert more.folder == tmp_path / "iris"
    assert len(more.trials) == 5
    pd.testing.assert_frame_equal(more.trials.iloc[:3]["value"].to_frame(), first.trials["value"].to_frame())
    with pytest.raises(UserError, match=r"the data changed since the study began"):
        hpsearch.search(IRIS.data + 1, NAMES, name="iris", reports=tmp_path, **QUICK)


def test_unnamed_studies_go_with_their_result() -> None:
    """Without a name nothing is left once the result is gone."""
    result = hpsearch.search(IRIS.data, NAMES, space=SPACE, **QUICK)
    folder = result.folder
    assert (folder / "study.db").exists()
    del result
    assert not folder.exists()


def test_regression_of_tensors() -> None:
    """Tensors of numbers with fractions are a regression; values come back in the targets' shape, and no class has a probability."""
    X, y = map(torch.tensor, load_diabetes(return_X_y=True))
    result = hpsearch.search(X, y, space=SPACE, test=0, **QUICK)
    assert result.best.test is None
    assert result.predict(X).shape == (442,)
    assert np.corrcoef(result.predict(X), y)[0, 1] > 0.5
    with pytest.raises(UserError, match="no classes"):
        result.predict_proba(X)


def test_images() -> None:
    """Images are searched with the space of the images' study, and predicted as images."""
    digits = load_digits()
    result = hpsearch.search(digits.images[:400], digits.target[:400], trials=2, training={"epochs": 4})
    assert result.record.data["shape"] == [1, 8, 8]
    assert result.predict(digits.images[:7]).shape == (7,)
    with pytest.raises(UserError, match="images of"):
        result.predict(digits.images[:7, :4])


def test_what_is_refused() -> None:
    """Settings that cannot be used are told in lines that begin with the function's name, before anything is trained."""
    with pytest.raises(UserError, match=r"search: search\.trials is 0") as error:
        hpsearch.search(IRIS.data, NAMES, trials=0, training={"epoch": 3})
    assert "training.epoch: unknown key. Did you mean 'epochs'?" in str(error.value)


@pytest.mark.slow
def test_verbose_is_the_command_s_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """A search is silent, but with `verbose` it shows what the command shows."""
    hpsearch.search(IRIS.data, NAMES, **QUICK)
    assert capsys.readouterr().out == ""
    hpsearch.search(IRIS.data, NAMES, verbose=True, **QUICK)
    shown = capsys.readouterr().out
    assert "3 trials of 10 epochs" in shown
    assert "search complete 3/3" in shown


NEVER = {  # keys of a study that a search from Python has not
    "study": {"question"},
    "data": {
        "file",
        "target",
        "root",
        "separator",
        "header",
        "encoding",
        "size",
        "parts",
        "background",
    },  # of files
    "training": {*TrainingSection.model_fields},  # given as a table, `training`
    "search": {"lag", "reduction_factor"},
    "confirm": set(),
}


def test_the_settings_of_a_study_are_parameters() -> None:
    """Every key of a study's file has a parameter of its name (`confirm`: its trials), but for those of files and of machines."""
    parameters = inspect.signature(hpsearch.search).parameters
    for table, never in NEVER.items():
        keys = type(StudyConfig.model_fields[table].default).model_fields
        assert {*keys} - never - {*parameters} == set(), table
    assert {"confirm", "space", "training"} <= {*parameters}
    assert all(p.kind is p.KEYWORD_ONLY for p in [*parameters.values()][2:])


TABLE = pd.DataFrame(
    {
        "height": np.random.default_rng(0).normal(170, 10, 90),
        "who": np.repeat(np.arange(30), 3),
        "day": pd.date_range("2024-01-01", periods=90),
    }
)
TALL = np.where(TABLE["height"] > 170, "tall", "small")


def test_rows_of_a_group_stay_together() -> None:
    """The parts are those that the data room makes of the group column, which is no input: prediction does without it."""
    result = hpsearch.search(TABLE, TALL, group="who", validation=0.2, confirm=0, **QUICK)
    data = from_arrays(
        TABLE, TALL, name="search", split=SplitOptions(validation=0.2), read=ReadOptions(missing="median", group="who")
    )
    assert result.record.data["hash"] == data.summary["hash"]
    assert result.record.data["rows"]["test"] % 3 == 0
    assert result.predict(TABLE.drop(columns="who")).shape == (90,)


def test_the_latest_rows_test() -> None:
    """With a time column the test figure is that of the latest rows, computed here again."""
    result = hpsearch.search(TABLE, TALL, time="day", confirm=0, **QUICK)
    rows = result.record.data["rows"]["test"]
    late = TABLE.index[-rows:]
    assert result.best.test is not None
    assert result.best.test.value == pytest.approx(accuracy_score(TALL[late], result.predict(TABLE.loc[late])))


def test_several_objectives_sampler_and_confirmation() -> None:
    """Objectives, sampler, pruner and confirmation are those of the study; several objectives are pruned by nobody."""
    result = hpsearch.search(
        IRIS.data, NAMES, objectives=("accuracy", "parameters"), sampler="random", confirm=1, seeds=2, **QUICK
    )
    settings = result.record.settings
    assert settings["search"]["objectives"] == ["accuracy", "parameters"]
    assert (settings["search"]["sampler"], settings["search"]["pruner"]) == ("random", "none")
    assert len(result.study.directions) == 2
    assert result.best.mean is not None
    assert result.best.mean.count == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"sampler": "tpee"}, "Did you mean 'tpe'"),
        ({"pruner": "medain"}, "Did you mean 'median'"),
        ({"objectives": ["acuracy", "parameters"]}, "Did you mean 'accuracy'"),
        ({"objectives": "accuracy"}, "expected a list"),
        ({"group": "whoo"}, "Did you mean 'who'"),
        ({"time": "dayy"}, "Did you mean 'day'"),
        ({"columns": {"height": "numbr"}}, "Did you mean 'number'"),
        ({"group": "who", "time": "day"}, "Keep one"),
        ({"confirm": -1}, "confirm.trials is -1"),
    ],
)
def test_a_wrong_setting_is_told_with_a_suggestion(setting: dict[str, Any], said: str) -> None:
    """A name that is not known brings the nearest one, in one line and before anything is trained."""
    with pytest.raises(UserError) as error:
        hpsearch.search(TABLE, TALL, **setting)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_study_of_data_at_hand_is_not_trained_again_by_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody but the program that searched has the rows: the commands that train again say so."""
    hpsearch.search(TABLE, TALL, name="tall", reports=tmp_path, confirm=0, **QUICK)
    assert main(["replay", "tall", "0", "--reports", str(tmp_path)]) == 2
    assert "was searched from Python, on data that no file holds" in capsys.readouterr().err


SNIPPET = """
import numpy as np
import numpy.typing as npt
from hpsearch import DNNClassifier, DNNRegressor, SearchResult, load, search

X: npt.NDArray[np.float64] = np.zeros((20, 3))
result: SearchResult = search(X, [0, 1] * 10, trials=5, space={"depth": 2}, timeout=3.0, sampler="gp", folds="auto")
value: float = result.best.value
kept = load("sales", reports="reports")
assert isinstance(kept, SearchResult)
low: float | None = result.best.test.low if result.best.test else None
page: str = str(result.report())
classifier: DNNClassifier = DNNClassifier(trials=5, class_weight="balanced").fit(X, [0, 1] * 10)
probabilities: npt.NDArray[np.float64] = classifier.predict_proba(X)
values: npt.NDArray[np.float64] = DNNRegressor(epochs=3).fit(X, X[:, 0]).predict(X)
reveal_type(result.best.trial)
search(X, X, trial=5)
DNNClassifier(class_weight="balancd")
"""


@pytest.mark.slow
def test_types_of_a_user_s_program(tmp_path: Path) -> None:
    """mypy, strict, takes a program that uses the public names, and finds the mistakes in it."""
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(SNIPPET)
    root = Path(hpsearch.__file__).parents[1]  # its settings and its cache, which makes this seconds
    command = [sys.executable, "-m", "mypy", str(tmp_path / "program.py")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert 'Revealed type is "int"' in lines[0]
    assert 'Unexpected keyword argument "trial" for "search"' in lines[1]
    assert 'Argument "class_weight" to "DNNClassifier" has incompatible type' in done.stdout
    assert "Found 2 errors" in lines[-1]


def test_unseen_categories_are_warned_of() -> None:
    """Rows with a category that training never saw are predicted, with a warning that names the column and the first row."""
    table = pd.DataFrame({"x": np.arange(90.0), "city": ["Aachen", "Berlin", "Essen"] * 30})
    result = hpsearch.search(table, np.arange(90) % 2, trials=1, training={"epochs": 2}, space=SPACE)
    with (
        pytest.warns(UserWarning, match=r"'city': 1 row has a value that training never saw, the first '\?!' in row 1"),
        pytest.warns(UserWarning, match="'city': 1 of 3 cells is missing, which training never had"),
    ):
        assert len(result.predict(table.head(3).assign(city=["Aachen", "?!", None]))) == 3
