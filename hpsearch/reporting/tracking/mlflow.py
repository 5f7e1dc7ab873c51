"""MLflow: an experiment for the study, a run for each trial with its hyperparameters and learning curves, in a SQLite file."""

import os
import time
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.files import make_folder
from hpsearch.reporting.tracking.runs import ended_trials, points, scores
from hpsearch.storage import StudyRecord, TrialRecord

TRIAL = "hpsearch.trial"  # the tag that says which trial a run is
MOST = 10_000  # runs that are looked up at once


def write(record: StudyRecord, folder: Path) -> int:
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
    trials = [trial for trial in ended_trials(record) if str(trial.number) not in known]
    begun = time.time() - max((_end(trial) for trial in trials), default=0.0)
    for trial in trials:
        _log(client, experiment, record, trial, begun)
    return len(trials)


def _experiment(client: Any, name: str, folder: Path) -> str:
    known = client.get_experiment_by_name(name)
    location = (folder.absolute() / "artifacts").as_uri()
    return str(known.experiment_id if known else client.create_experiment(name, artifact_location=location))


def _log(client: Any, experiment: str, record: StudyRecord, trial: TrialRecord, begun: float) -> None:
    """Write a run: its tag comes with its end, so that one that was cut short is written again."""
    from mlflow.entities import Metric, Param

    started, ended = (int(1000 * (begun + seconds)) for seconds in (trial.started or 0.0, _end(trial)))
    run = client.create_run(experiment, start_time=started, run_name=f"trial {trial.number}").info.run_id
    metrics = [Metric(name, value, ended, update) for name, update, value in points(record, trial)]
    metrics += [Metric(name, value, ended, 0) for name, value in scores(record, trial).items()]
    client.log_batch(run, metrics=metrics, params=[Param(name, str(value)) for name, value in trial.params.items()])
    client.set_tag(run, "outcome", trial.outcome)
    client.set_tag(run, TRIAL, str(trial.number))
    client.set_terminated(run, "FINISHED", ended)


def _end(trial: TrialRecord) -> float:
    """Return when a trial ended, in seconds since the study's first one began."""
    return (trial.started or 0.0) + (trial.seconds or 0.0)
