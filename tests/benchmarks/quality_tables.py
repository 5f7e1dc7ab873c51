"""Tables for the comparison of quality, divided into rows to learn from and test rows; and how predictions of these are judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpsearch.errors import UserError, suggestion

TABLES = ("breast_cancer", "wine", "iris", "diabetes", "digits")
REGRESSIONS = ("diabetes",)
TEST = 0.2  # share of rows
MOST_CLASSES = 20  # whole numbers of more distinct values are predicted as numbers
TARGET = "target"  # the target's column

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Division:
    """A table divided once: frames of inputs, targets as texts of classes or as numbers."""

    name: str
    regression: bool
    learn: pd.DataFrame
    learn_target: Array
    test: pd.DataFrame
    test_target: Array

    @property
    def classes(self) -> list[str]:
        """The classes, sorted: the columns of probabilities."""
        return sorted(set(self.learn_target))

    def judge(self, predictions: Array) -> tuple[float, float]:
        """Return accuracy and log loss of probabilities [N, C], or R² and RMSE of values [N]."""
        if self.regression:
            errors = predictions - self.test_target
            return float(1 - np.mean(errors**2) / np.var(self.test_target)), float(np.sqrt(np.mean(errors**2)))
        codes = np.searchsorted(self.classes, self.test_target)
        own = np.clip(predictions[np.arange(len(codes)), codes], 1e-15, 1)
        return float(np.mean(predictions.argmax(axis=1) == codes)), float(-np.mean(np.log(own)))


def divided(table: str, seed: int) -> Division:
    """Return a table of scikit-learn, or a folder with train.csv and test.csv whose last column is the target, divided with a seed.

    Raises:
        UserError: there is no such table or folder.
    """
    folder = Path(table)
    if table not in TABLES and not (folder / "train.csv").is_file():
        raise UserError(
            f"--table {table}: neither a folder with train.csv and test.csv nor known. {suggestion(table, TABLES)}"
        )
    if table in TABLES:
        return _of_scikit_learn(table, seed)
    learn, test = (pd.read_csv(folder / name) for name in ("train.csv", "test.csv"))
    target = learn.columns[-1]
    regression = learn[target].dtype.kind in "iuf" and learn[target].nunique() > MOST_CLASSES
    kind = float if regression else str
    parts = [(part.drop(columns=target), part[target].astype(kind).to_numpy()) for part in (learn, test)]
    return Division(folder.name, regression, *parts[0], *parts[1])


def _of_scikit_learn(table: str, seed: int) -> Division:
    import sklearn.datasets
    from sklearn.model_selection import train_test_split

    regression = table in REGRESSIONS
    options = {"scaled": False} if regression else {}
    bunch = getattr(sklearn.datasets, f"load_{table}")(**options)
    target = bunch.target if regression else bunch.target.astype(str)
    frame = pd.DataFrame(bunch.data, columns=list(map(str, bunch.feature_names)))
    stratify = None if regression else target
    learn, test = train_test_split(np.arange(len(target)), test_size=TEST, random_state=seed, stratify=stratify)
    return Division(table, regression, frame.iloc[learn], target[learn], frame.iloc[test], target[test])
