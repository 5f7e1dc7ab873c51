"""`search`: from arrays to a tuned network in one call, and what it returns.

The machinery is the command's: the same study in the same kind of folder, which `python -m hpsearch report` and `predict` read. With a
name it is kept, and the same call goes on where it stopped; without one it lives as long as its result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np
import numpy.typing as npt

from hpsearch.config import StudyConfig
from hpsearch.data.cells import to_array
from hpsearch.errors import UserError
from hpsearch.files import folder_name, write_file
from hpsearch.kept import looked, of_trials, trials_of, why
from hpsearch.model import Model, load_model
from hpsearch.model.arrays import labels_of, predictions
from hpsearch.report import page, write_report
from hpsearch.report.notebook import fragment
from hpsearch.screen import Screen
from hpsearch.searching.arrays import array_config, array_data, run_interruptibly
from hpsearch.searching.place import Place
from hpsearch.searching.study import open_study
from hpsearch.storage import StudyRecord
from hpsearch.storage.opening import DEFAULT, load_study, sqlite_url
from hpsearch.storage.reading import read_study
from hpsearch.storage.results import mean_of, networks_of, test_of
from hpsearch.tables import TABLES, frames
from hpsearch.words import Metric

if TYPE_CHECKING:
    import optuna
    import pandas as pd

IMAGES = 3  # dimensions of inputs from which on they are images


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the chosen network with its 95 % interval (None: not bounded), from so many rows or runs."""

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Best:
    """The model that the search keeps: `trial` is its first network's, `networks` how many predict together.

    `value` is the trial's metric on the validation rows in the search, the best of many; `mean` is the kept model's mean over fresh seeds
    there, None where none were trained; `test` what the test rows say of it, None where there are none.
    """

    trial: int
    hyperparameters: Mapping[str, Any]
    metric: str
    value: float
    mean: Figure | None
    test: Figure | None
    networks: int = 1


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, repr=False)
class SearchResult:
    """What a search found; `folder` holds the study, its best network and its report.

    `labels` [C] are the classes as they were given, in the order of the columns of `predict_proba`; None for regression.
    """

    record: StudyRecord
    model: Model
    folder: Path
    labels: npt.NDArray[Any] | None
    _shape: tuple[int, ...] = ()  # of one target: () or (K,)

    @property
    def best(self) -> Best:
        """The chosen network's hyperparameters and figures."""
        result = self.record.result
        trial, mean, test = self.record.trials[result["trial"]], mean_of(result), test_of(result)
        return Best(
            trial.number,
            dict(trial.params),
            Metric.of(self.record).name,
            float(trial.value or 0.0),
            Figure(mean["value"], mean["low"], mean["high"], mean["runs"]) if mean else None,
            Figure(test["value"], test["low"], test["high"], test["rows"]) if test else None,
            len(networks_of(result)),
        )

    @property
    def trials(self) -> "pd.DataFrame":
        """Every trial as a row: outcome, value, hyperparameters, sizes and times (`hpsearch.tables` says what each column means)."""
        return TABLES["trials"].build(self.record, {})

    @property
    def study(self) -> "optuna.Study":
        """The study as Optuna knows it, for its own plots and tools."""
        return load_study(sqlite_url(self.folder.absolute() / DEFAULT), self.record.name)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable label of each row [N], or the predicted values [N] or [N, K]."""
        found = predictions(self.model, X)
        if self.labels is None:
            return found.reshape(len(found), *self._shape)
        labels: npt.NDArray[Any] = self.labels[found.argmax(axis=1)]
        return labels

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of each class, [N, C] in the order of `labels`.

        Raises:
            UserError: the task is regression.
        """
        if self.labels is None:
            raise UserError("predict_proba: a regression has no classes. Use predict.")
        return predictions(self.model, X)

    def report(self, path: "str | Path | None" = None) -> Path:
        """Write the report and return the page's path: `report.html` in `path` (the study's folder), or `path` if it ends in .html."""
        if path is not None and Path(path).suffix == ".html":
            write_file(Path(path), page(self.record, frames(self.record)))
            return Path(path)
        return write_report(self.record, self.folder if path is None else Path(path))

    def save(self, folder: "str | Path") -> Path:
        """Copy the study (storage, best network, report if there is one) to a new folder and return its path.

        Raises:
            UserError: something is there already.
        """
        target = Path(folder)
        if target.exists():
            raise UserError(f"{target}: exists already. Give a folder that is not there yet.")
        copytree(self.folder, target)
        return target

    def __repr__(self) -> str:
        best, metric = self.best, Metric.of(self.record)
        figures = [
            ("in the search", Figure(best.value, None, None, len(self.record.trials)), f"trial {best.trial} of {{:,}}"),
            ("on fresh seeds", best.mean, "mean of {:,} runs"),
            ("on test rows", best.test, "{:,} rows"),
        ]
        told = [f"  {where}: {_told(figure, metric, of)}" for where, figure, of in figures if figure]
        kept, result = of_trials(trials_of(self.record.result)), self.record.result
        said = [f"  {line}" for line in (why(result.get("choice"), metric), looked(result)) if line]
        return "\n".join([f"SearchResult: {kept} of {len(self.record.trials):,} trials, {metric.name}", *told, *said])

    def _repr_html_(self) -> str:
        return fragment(self.record)


def search(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    trials: int = 50,
    space: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    metric: str | None = None,
    task: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    folds: int | None = None,
    missing: str = "median",
    ensemble: int = 1,
    name: str | None = None,
    reports: "str | Path" = "reports",
    timeout: float | None = None,
    seed: int = 0,
    device: str | None = None,
    verbose: bool = False,
) -> SearchResult:
    """Search the best network for inputs and targets, and return what was found.

    Args:
        X: a table [N, F] (an array, a tensor, or a pandas frame) or images [N, H, W] or [N, C, H, W].
        y: one target of each row [N], or several numbers for regression [N, K].
        trials: trials in all, those of an earlier call with this name included.
        space: what may vary, as a study's `[space]`; by default that of the study `table`, for images of `digits`.
        training: a study's `[training]`: epochs, patience, precision, class_weights, ...
        metric: what counts, a name of `METRICS` that fits the task; the task's first by default.
        task: "regression", "binary" or "multiclass"; inferred from the targets by default.
        validation: share or number of rows that networks are compared on, 0.15 by default.
        test: likewise of rows that the model that is kept is scored on, and no other; 0 for none.
        folds: parts of a cross-validation in place of `validation`.
        missing: what takes the place of a missing number, "median", "mean" or "refuse"; an input then says where it was missing.
        ensemble: how many of the best networks predict together, where that is better on validation rows than one of them.
        name: keeps the study in the folder `reports/NAME`; the same call goes on with it.
        reports: where studies are kept.
        timeout: start no trial after so many seconds.
        seed: decides everything random.
        device: "cpu", "cuda", "cuda:1"; CUDA where there is one by default.
        verbose: show the screen of the command.

    Raises:
        UserError: something cannot be used; one line says what, and what to do.
        SearchFailed: no trial gave a usable network.
        KeyboardInterrupt: Ctrl-C; a named study keeps what was told.
    """
    images = np.ndim(X) >= IMAGES
    rows = {"validation": validation, "test": test, "folds": folds}
    given: dict[str, Mapping[str, Any] | None] = {
        "study": {"name": name or "search", "seed": seed},
        "data": {"name": name or "search", "task": task, "missing": None if images else missing, **rows},
        "space": space,
        "training": training,
        "search": {"trials": trials, "timeout": timeout, "metric": metric},
        "confirm": {"ensemble": ensemble},
    }
    config = array_config("digits" if images else "table", given, "search")
    if name:
        return _searched(config, Path(reports) / folder_name(name), device, X, y, verbose)
    own = Path(mkdtemp(prefix="hpsearch-"))
    try:
        result = _searched(config, own / folder_name(config.study.name), device, X, y, verbose)
    except BaseException:
        rmtree(own, ignore_errors=True)
        raise
    finalize(result, rmtree, own, ignore_errors=True)  # nobody can read it once the result is gone
    return result


def _searched(config: StudyConfig, folder: Path, device: str | None, X: Any, y: Any, verbose: bool) -> SearchResult:
    """Run or continue the study of a folder."""
    place = Place(folder, sqlite_url(folder.absolute() / DEFAULT), device)
    data = array_data(config, place, X, y)
    screen = Screen(data.metric.name) if verbose else None
    with open_study(config, place, data) as study:
        run_interruptibly(study, screen)
    record = read_study(place.storage, config.study.name)
    if screen:
        screen.conclude(record, folder)
    targets = to_array(y, "target")
    labels = labels_of(data.classes, targets) if data.classes else None
    return SearchResult(record, load_model(folder), folder, labels, targets.shape[1:])


def _told(figure: Figure, metric: Metric, of: str) -> str:
    """Return a figure in words, with its interval where it is bounded."""
    bounded = figure.low is not None and figure.high is not None
    interval = f", 95 % interval {metric.between(figure.low, figure.high)}" if bounded else ""
    return f"{metric.text(figure.value)} ({of.format(figure.count)}{interval})"
