"""A new metric and a new data set are one row each: a study that asks for it by name runs."""

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

import hpsearch
from hpsearch.cli import main
from hpsearch.data import DATASETS, METRICS
from hpsearch.data.cells import Raw
from hpsearch.data.loaders.datasets import NamedData
from hpsearch.data.metrics import Metric
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import read

ROWS = 60
INPUTS = np.random.RandomState(0).normal(size=(ROWS, 3))
LABELS = (INPUTS[:, 0] > 0).astype(int)


def brier_score(predictions: Tensor, targets: Tensor) -> float:
    """Return the mean squared error of the probability of the second class."""
    return float((predictions - targets).square().mean())


@pytest.mark.slow
def test_a_metric_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric with its trivial predictor is searched for, reported, and compared with that predictor."""
    row = Metric(
        name="brier",
        title="Brier score",
        description="mean squared error of probabilities",
        direction="minimize",
        predicts="classes",
        number=brier_score,
        worst=lambda targets: 1.0,
        baseline="prior",
    )
    monkeypatch.setitem(METRICS, "brier", row)
    found = hpsearch.search(
        INPUTS, LABELS, metric="brier", trials=2, folds=2, test=0.2, confirm=0, training={"epochs": 2}
    )
    assert found.record.direction == "minimize"
    assert found.record.data["metric"] == "brier"
    baseline = found.record.result["baseline"]
    assert baseline["strategy"] == "prior"
    assert 0.2 < baseline["validation"] < 0.3
    assert 0 < found.best.value < 1


@pytest.mark.slow
def test_a_data_set_is_one_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data set is found by its name, loaded by its row, and searched on."""
    row = NamedData(
        "Signs",
        "embedded",
        "60 rows of 3 numbers, 2 classes.",
        lambda root, download: Raw(INPUTS, LABELS, "drawn", ("negative", "positive")),
    )
    monkeypatch.setitem(DATASETS, "signs", row)
    monkeypatch.chdir(tmp_path)
    few = ["--trials", "2", "--set", "training.epochs=2", "--set", "confirm.trials=0"]
    assert main(["run", "--name", "signs", "--data", "signs", *few]) == 0
    record = read(f"sqlite:///{tmp_path}/reports/signs/study.db", None)
    assert isinstance(record, StudyRecord)
    assert record.data["title"] == "Signs"
    assert record.data["classes"] == ["negative", "positive"]
    assert len(record.trials) == 2
