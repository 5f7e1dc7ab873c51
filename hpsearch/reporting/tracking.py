"""Logs: a recorded study written for the tools that a team watches its experiments with.

They are written from the record of the storage alone, when they are asked for; training knows nothing of them. A new one is a function
`write(record, folder)` here, and a row of `LOGS`.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.files import make_folder
from hpsearch.reporting.tables.table import end_of
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import FAILED

TRIAL = "hpsearch.trial"  # MLflow's tag that says which trial a run is
MOST = 10_000  # runs of MLflow that are looked up at once


@dataclass(frozen=True, slots=True)
class Log:
    """A row of `LOGS`: `write(record, folder)` returns how many trials it wrote, `view` is the command that shows them."""

    title: str
    write: Callable[[StudyRecord, Path], int]
    view: str


def _ended_trials(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that have ended; the others can still change."""
    return [trial for trial in record.trials if trial.history is not None]


def _points(record: StudyRecord, trial: TrialRecord) -> Iterator[tuple[str, int, float]]:
    """Yield (name, update, value) of a learning curve, values that are no finite numbers left out."""
    assert trial.history is not None
    columns = {
        "training_loss": trial.history.training_loss,
        "validation_loss": trial.history.validation_loss,
        _metric_of(record): trial.history.metric,
    }
    for name, values in columns.items():
        for update, value in zip(trial.history.update, values, strict=True):
            if isfinite(value):
                yield name, update, value


def scores(record: StudyRecord, trial: TrialRecord) -> dict[str, float]:
    """Return what a trial is compared by: its value, its size, its time; a failed trial has no value."""
    found = {"parameters": float(trial.parameters or 0), "seconds": trial.seconds or 0.0}
    if trial.outcome in FAILED or trial.value is None:
        return found
    return {f"best_{_metric_of(record)}": trial.value} | found


def _metric_of(record: StudyRecord) -> str:
    return str(record.data.get("metric", "metric"))


def write_tensorboard(record: StudyRecord, folder: Path) -> int:
    """Write the trials that have ended as FOLDER/trial-NUMBER; what was written of them before is replaced.

    Raises:
        UserError: TensorBoard is not installed.
        StorageError: the folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("TensorBoard is not installed. Install it: pip install 'hpsearch[tensorboard]'.") from None
    trials = _ended_trials(record)
    for trial in trials:
        place = make_folder(folder / f"trial-{trial.number:05}")
        for before in place.glob("events.out.tfevents.*"):
            before.unlink()
        with SummaryWriter(str(place)) as writer:
            for name, update, value in _points(record, trial):
                writer.add_scalar(name, value, update)
            writer.add_hparams(dict(trial.params), scores(record, trial), run_name=".")
    return len(trials)


def write_mlflow(record: StudyRecord, folder: Path) -> int:
    """Write the trials that have ended and are not there yet into FOLDER/mlflow.db; return how many those were.

    Raises:
        UserError: MLflow is not installed.
        StorageError: the folder cannot be written.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing touches the network unasked
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise UserError("MLflow is not installed. Install it: pip install 'hpsearch[mlflow]'.") from None
    client = MlflowClient(f"sqlite:///{make_folder(folder).absolute()}/mlflow.db")
    experiment = _experiment(client, record.name, folder)
    known = {run.data.tags.get(TRIAL) for run in client.search_runs([experiment], max_results=MOST)}
    trials = [trial for trial in _ended_trials(record) if str(trial.number) not in known]
    begun = time.time() - max((end_of(trial) for trial in trials), default=0.0)
    for trial in trials:
        _log(client, experiment, record, trial, begun)
    return len(trials)


def _experiment(client: Any, name: str, folder: Path) -> str:
    known = client.get_experiment_by_name(name)
    if known:
        return str(known.experiment_id)
    location = (folder.absolute() / "artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _log(client: Any, experiment: str, record: StudyRecord, trial: TrialRecord, begun: float) -> None:
    """Write a run: its tag comes with its end, so that one that was cut short is written again."""
    from mlflow.entities import Metric, Param

    started = int(1000 * (begun + (trial.started or 0.0)))
    ended = int(1000 * (begun + end_of(trial)))
    run = client.create_run(experiment, start_time=started, run_name=f"trial {trial.number}").info.run_id
    metrics = [Metric(name, value, ended, update) for name, update, value in _points(record, trial)]
    metrics += [Metric(name, value, ended, 0) for name, value in scores(record, trial).items()]
    client.log_batch(run, metrics=metrics, params=[Param(name, str(value)) for name, value in trial.params.items()])
    client.set_tag(run, "outcome", trial.outcome)
    client.set_tag(run, TRIAL, str(trial.number))
    client.set_terminated(run, "FINISHED", ended)


LOGS = {
    "tensorboard": Log("TensorBoard", write_tensorboard, "tensorboard --logdir {folder}"),
    "mlflow": Log("MLflow", write_mlflow, "mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db"),
}
