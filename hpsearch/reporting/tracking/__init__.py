"""Logs: a recorded study written for the tools that a team watches its experiments with.

They are written from the record of the storage alone, when they are asked for; training knows nothing of them. A new one is a module here
with `write(record, folder)`, and a row of `LOGS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.reporting.tracking import mlflow, tensorboard
from hpsearch.storage import StudyRecord


@dataclass(frozen=True, slots=True)
class Log:
    """A row of `LOGS`: `write(record, folder)` returns how many trials it wrote, `view` is the command that shows them."""

    title: str
    write: Callable[[StudyRecord, Path], int]
    view: str


LOGS = {
    "tensorboard": Log("TensorBoard", tensorboard.write, "tensorboard --logdir {folder}"),
    "mlflow": Log("MLflow", mlflow.write, "mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db"),
}
