"""The Python of the README and of the pages runs, and does what is said of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from hpsearch import Objective
from hpsearch.cli import main
from hpsearch.errors import UserError
from tests.support.pages import DOCS, README, blocks, marked, read

QUICK = ["--trials", "2", "--set", "training.epochs=4", "--set", "confirm.trials=0", "--engine", "reference"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run in a folder of the test's own, with Optuna quiet."""
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield tmp_path
    optuna.logging.set_verbosity(optuna.logging.INFO)


def run(page: Path, folder: Path) -> dict[str, Any]:
    """Run the Python of a page as one program, with two trials where it says more, and return its names."""
    program = re.sub(r"trials=\d+", "trials=2", "\n".join(blocks(page, "python")))
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    return run_path(str(file))


@pytest.mark.slow
def test_the_readme_s_program(folder: Path) -> None:
    """`search` gives a model of the table, and `Objective` a study of Optuna's."""
    made = run(README, folder)
    assert "accuracy" in str(made["result"])
    assert len(made["study"].trials) == 2


@pytest.mark.slow
def test_the_python_page_s_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The result has its trials, and the estimator is scored by scikit-learn on five folds."""
    made = run(DOCS / "python.md", folder)
    assert len(made["result"].trials) == 2
    scores = np.fromstring(capsys.readouterr().out.rpartition("[")[2].rpartition("]")[0], sep=" ")
    assert len(scores) == 5
    assert scores.min() > 0.9


@pytest.mark.slow
def test_the_objective_page_s_programs(folder: Path) -> None:
    """A study of Optuna's trains a network of one's own; a list that torch does not register is refused as the page says."""
    made = run(DOCS / "objective.md", folder)
    study = optuna.create_study(direction=made["objective"].direction)
    study.optimize(made["objective"], n_trials=1)
    assert study.best_params.keys() == {"channels", "learning_rate"}
    refusing = Objective("digits", build=lambda trial, shape, outputs: made["Scale"]())
    with pytest.raises(UserError) as refused:
        refusing(study.ask())
    assert str(refused.value) in " ".join(read(DOCS / "objective.md").split())


@pytest.mark.slow
def test_the_onnx_program_gives_hpsearch_s_predictions(folder: Path) -> None:
    """A date, a category and a missing number, put in as the program does, are predicted as `predict` does from a file."""
    pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    generator = np.random.default_rng(0)
    sales = pd.DataFrame({"city": generator.choice(["Aachen", "Berlin"], 80)})
    sales["sold"] = pd.date_range("2024-01-01", periods=80).strftime("%Y-%m-%d")
    sales["area"] = generator.normal(80, 20, 80).round(1)
    sales["price"] = sales["area"] * 3_000 + 50_000 * (sales["city"] == "Berlin")
    sales.loc[::9, "area"] = np.nan
    sales.to_csv("sales.csv", index=False)
    pd.DataFrame({"city": ["Berlin", "Aachen"], "sold": ["2024-03-01", "2024-03-02"], "area": [82.5, None]}).to_csv(
        "new.csv", index=False
    )
    assert main(["run", "--data", "sales.csv", "--target", "price", "--device", "cpu", *QUICK]) == 0
    assert main(["export", "sales"]) == 0
    assert main(["predict", "sales", "new.csv"]) == 0
    (folder / "program.py").write_text(marked(DOCS / "models.md", "onnx"), encoding="utf-8")
    made = run_path(str(folder / "program.py"))
    expected = pd.read_csv("predictions.csv")["prediction"].to_numpy()
    np.testing.assert_allclose(made["prices"][:, 0], expected, rtol=1e-6)
