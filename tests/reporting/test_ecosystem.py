"""A study in the tools around it: Optuna's own figures, optuna-dashboard, TensorBoard, MLflow."""

import importlib.util
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import optuna
import pytest

from hpsearch.cli import main
from hpsearch.reporting.tracking import LOGS, scores
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import read_study

FLOWERS = """
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
optimizer = ["sgd", "adam"]
batch_size = [16, "full"]
[training]
epochs = 24
[search]
trials = 10
sampler = "random"
pruner = "median"
[confirm]
trials = 0
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that hpsearch has run."""
    folder = tmp_path_factory.mktemp("ecosystem")
    (folder / "flowers.toml").write_text(FLOWERS)
    arguments = ["run", str(folder / "flowers.toml"), "--reports", str(folder / "reports"), "--device", "cpu"]
    assert main([*arguments, "--engine", "reference"]) == 0
    return folder / "reports"


@pytest.fixture(scope="module")
def record(reports: Path) -> StudyRecord:
    return read_study(f"sqlite:///{reports}/flowers/study.db")


@pytest.fixture(scope="module")
def study(reports: Path) -> optuna.Study:
    return optuna.load_study(study_name="flowers", storage=f"sqlite:///{reports}/flowers/study.db")


FIGURES = {
    "plot_optimization_history": {},
    "plot_param_importances": {},
    "plot_contour": {"params": ["depth", "learning_rate"]},
    "plot_parallel_coordinate": {},
    "plot_slice": {},
    "plot_edf": {},
    "plot_timeline": {},
    "plot_rank": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_figures(study: optuna.Study, name: str) -> None:
    """Optuna's own figures of a study are drawn, and are not empty."""
    figure = getattr(optuna.visualization, name)(study, **FIGURES[name])
    assert len(figure.data) > 0


def test_optuna_draws_the_learning_curves(study: optuna.Study, record: StudyRecord) -> None:
    """The curves in Optuna's figure are the histories: all evaluations where there are at most 20, else the metric at those shown."""
    figure = optuna.visualization.plot_intermediate_values(study)
    curves = [line for line in figure.data if line.name != "Best Value"]
    assert len(curves) == len(record.trials) == 10
    for line, trial in zip(curves, record.trials, strict=True):
        assert trial.history is not None
        metric = dict(zip(trial.history.evaluation, trial.history.metric, strict=True))
        assert [metric[step] for step in line.x] == list(line.y)
        assert len(line.x) >= min(len(metric), 17)


def test_attributes_are_readable(study: optuna.Study, record: StudyRecord) -> None:
    """In Optuna's table of trials outcome and number of parameters are columns of their own."""
    frame = study.trials_dataframe()
    assert list(frame["user_attrs_outcome"]) == [trial.outcome for trial in record.trials]
    assert list(frame["user_attrs_parameters"]) == [trial.parameters for trial in record.trials]


def dashboard(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "hpsearch", "dashboard", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_dashboard(reports: Path, record: StudyRecord) -> None:
    """The dashboard serves the study with its learning curves on 127.0.0.1 until Ctrl-C, which leaves no traceback."""
    with dashboard("flowers", "--reports", str(reports), "--port", "0") as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("optuna-dashboard: ")[1].split()[0]
        assert address.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}api/studies", timeout=300) as answer:
            (summary,) = json.load(answer)["study_summaries"]
        with opener.open(f"{address}api/studies/{summary['study_id']}?after=0", timeout=300) as answer:
            detail = json.load(answer)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=300)
    assert (process.returncode, output, errors) == (0, "dashboard ended\n", "")
    assert summary["study_name"] == "flowers"
    assert [len(trial["intermediate_values"]) > 1 for trial in detail["trials"]] == [
        trial.history is not None and len(trial.history) > 1 for trial in record.trials
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flowers", "--port", "99999"], "--port 99999: a number from 0 to 65535 expected"),
        (["flowers", "--port", "1"], "--port 1: Permission denied. Give another port"),
        (["nowhere"], "no study 'nowhere' in"),
        (["postgresql://me:secret@127.0.0.1:1/x"], "me:***@127.0.0.1"),
    ],
)
def test_dashboards_that_cannot_start(
    reports: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A port that cannot be had and a storage that is not there are one line; a password is masked."""

    def refuse(host: str, port: int, *others: object, **options: object) -> None:
        raise OSError(13, "Permission denied")  # as for a low port of another user than root

    pytest.importorskip("optuna_dashboard")
    monkeypatch.setattr("hpsearch.commands.dashboard.make_server", refuse)
    assert main(["dashboard", *arguments, "--reports", str(reports)]) in (2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["dashboard", "flowers"], "optuna_dashboard"),
        (["log", "flowers", "--to", "tensorboard"], "torch.utils.tensorboard"),
        (["log", "flowers", "--to", "mlflow"], "mlflow.tracking"),
    ],
)
def test_missing_packages(
    reports: Path, command: list[str], module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a tool is not installed, one line says how to install it."""
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*command, "--reports", str(reports)]) == 2
    extra = "dashboard" if command[0] == "dashboard" else command[-1]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"is not installed. Install it: pip install 'hpsearch[{extra}]'.")


def test_unknown_tool(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown tool gets a suggestion."""
    assert main(["log", "flowers", "--to", "tensorbord", "--reports", str(reports)]) == 2
    assert "Did you mean 'tensorboard'?" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(reports: Path, record: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """TensorBoard reads back the learning curves, hyperparameters and value of each trial; writing again leaves no second copy."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    for _ in range(2):
        assert main(["log", "flowers", "--to", "tensorboard", "--dir", str(tmp_path), "--reports", str(reports)]) == 0
    assert (
        f"TensorBoard: 10 trials written to {tmp_path}; look at them: tensorboard --logdir" in capsys.readouterr().out
    )
    for trial in record.trials:
        assert trial.history is not None
        run = EventAccumulator(str(tmp_path / f"trial-{trial.number:05}")).Reload()
        read = {name: [(event.step, event.value) for event in run.Scalars(name)] for name in run.Tags()["scalars"]}
        for name, values in (("accuracy", trial.history.metric), ("training_loss", trial.history.training_loss)):
            assert [step for step, _ in read[name]] == list(trial.history.update)
            assert [value for _, value in read[name]] == pytest.approx(values, rel=1e-6)
        assert read["best_accuracy"][0][1] == pytest.approx(trial.value)
        content = run.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        written = HParamsPluginData.FromString(content).session_start_info.hparams
        assert {name: value.string_value or value.number_value for name, value in written.items()} == dict(trial.params)


def test_failed_trials_have_no_value(record: StudyRecord) -> None:
    """A trial that diverged has size and time, but no value to be compared by."""
    from dataclasses import replace

    diverged = replace(record.trials[0], outcome="diverged", value=0.0)
    assert scores(record, record.trials[0]).keys() - scores(record, diverged).keys() == {"best_accuracy"}


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed (856 MB)")
@pytest.mark.filterwarnings("default")
def test_mlflow(record: StudyRecord, tmp_path: Path) -> None:
    """MLflow reads back the runs from its SQLite file; writing again adds only what is new."""
    from mlflow.tracking import MlflowClient

    first = StudyRecord(**{name: getattr(record, name) for name in record.__slots__} | {"trials": record.trials[:5]})
    assert [LOGS["mlflow"].write(part, tmp_path) for part in (first, record, record)] == [5, 5, 0]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("flowers")
    runs = {int(run.data.tags["hpsearch.trial"]): run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == list(range(10))
    for trial in record.trials:
        assert trial.history is not None
        data = runs[trial.number].data
        assert data.params == {name: str(value) for name, value in trial.params.items()}
        assert (data.metrics["best_accuracy"], data.tags["outcome"]) == (trial.value, trial.outcome)
        curve = client.get_metric_history(runs[trial.number].info.run_id, "accuracy")
        assert [(point.step, point.value) for point in curve] == list(
            zip(trial.history.update, trial.history.metric, strict=True)
        )
