"""`search`: from arrays to a tuned network in one call, and what it returns; `load` returns the same of a study that is kept.

The machinery is the command's: the same study in the same kind of folder, which `python -m hpsearch report` and `predict` read. With a
name it is kept, and the same call goes on where it stopped; without one it lives in a temporary folder, as long as its result.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal, overload
from weakref import finalize

import numpy as np
import numpy.typing as npt

from hpsearch.comparison.result import ComparisonResult
from hpsearch.config import StudyConfig
from hpsearch.config.own import OwnCode, label_of
from hpsearch.data.cells import to_array
from hpsearch.data.given import as_given
from hpsearch.data.metrics import HALF
from hpsearch.errors import UserError, counted, rows_text, shown
from hpsearch.files import folder_name, write_file
from hpsearch.model import Model, load_model
from hpsearch.model.intervals import ends_of, half_widths
from hpsearch.model.models import labels_in, original_labels
from hpsearch.model.new_rows import predict_arrays
from hpsearch.model.saved import load_named_model
from hpsearch.reporting import page, write_report
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.notebook import NotebookLine, fragment, in_notebook
from hpsearch.reporting.plotting import figure_names, figure_of
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.screen import Screen
from hpsearch.reporting.selection import of_trials, uses_of_test_rows, why
from hpsearch.reporting.tables import TABLES, frames
from hpsearch.searching.array_study import array_config, array_data, default_space, run_interruptibly
from hpsearch.searching.begun import as_begun
from hpsearch.searching.opening import open_study
from hpsearch.searching.run_options import RunOptions
from hpsearch.space.hyperparameters import NETWORK
from hpsearch.storage import ComparisonRecord, StudyRecord
from hpsearch.storage.folders import STUDY_FILE, folder_of, model_folder, study_file
from hpsearch.storage.opening import load_study
from hpsearch.storage.reading import read, read_study
from hpsearch.storage.records import Score
from hpsearch.storage.urls import sqlite_url
from hpsearch.training.own import Build

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import plotly.graph_objects as go

TEMPORARY = ", a temporary folder that goes with this result: save(FOLDER), or search with a name, keeps it"
IMAGES = 3  # dimensions of inputs from which on they are images


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that is known only so well: with its 95 % interval (None: not bounded that way), from `count` rows or runs."""

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Best:
    """The selected model: `trial` is its first network's, `networks` how many predict together.

    `value` is the trial's metric on the validation rows in the search, the best of many; `mean` is the model's mean over fresh seeds
    there, None where none were trained; `test` its metric on the test rows, None where there are none.
    """

    trial: int
    hyperparameters: Mapping[str, Any]
    metric: str
    value: float
    mean: Estimate | None
    test: Estimate | None
    networks: int = 1


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, repr=False)
class SearchResult:
    """What a search found; `folder` holds the study, its best network and its report.

    `labels` [C] are the classes as they were given, in the order of the columns of `predict_proba`; None for regression. A `temporary`
    folder, that of a search without a name, goes with this result, its report too; `save` copies it.
    """

    record: StudyRecord
    model: Model
    folder: Path
    labels: npt.NDArray[Any] | None
    temporary: bool = False
    _shape: tuple[int, ...] = ()  # of one target: () or (K,)
    _storage: str | None = None  # None: in the folder

    @property
    def best(self) -> Best:
        """The selected model's hyperparameters and metrics."""
        result = self.record.result
        trial = self.record.trials[result["trial"]]
        selected = of_completed_runs(self.record).selected
        return Best(
            trial=trial.number,
            hyperparameters=dict(trial.params),
            metric=MetricFormat.of(self.record).name,
            value=float(trial.value or 0.0),
            mean=_estimate(selected.mean),
            test=_estimate(selected.test),
            networks=len(selected.networks),
        )

    @property
    def trials(self) -> "pd.DataFrame":
        """Every trial as a row: outcome, value, hyperparameters, sizes and times; `hpsearch.reporting.tables` explains each column."""
        return TABLES["trials"].build(self.record, {})

    @property
    def study(self) -> "optuna.Study":
        """The study as Optuna knows it, for its own plots and tools."""
        return load_study(self._storage or sqlite_url(self.folder.absolute() / STUDY_FILE), self.record.name)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable label of each row [N], the predicted values [N] or [N, K], or which labels a row has [N, L], 0 or 1.

        Warns of categories that training never saw.
        """
        predictions = predict_arrays(self.model, X, _warn)
        if self.model.labels:
            return (predictions >= HALF).astype(np.int64)
        if self.labels is None:
            return predictions.reshape(len(predictions), *self._shape)
        labels: npt.NDArray[Any] = self.labels[predictions.argmax(axis=1)]
        return labels

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of each class, [N, C] in the order of `labels`, or of each label [N, L].

        Raises:
            UserError: the task is regression.
        """
        if self.labels is None and not self.model.labels:
            raise UserError("predict_proba: a regression has no classes. Use predict.")
        return predict_arrays(self.model, X, _warn)

    def predict_interval(self, X: npt.ArrayLike, level: float = 0.9) -> npt.NDArray[np.float64]:
        """Return the lower and upper end of an interval for each predicted number: [N, 2], of several targets [N, K, 2].

        An interval of a level contains the number in about that share of rows; see `hpsearch.model.intervals` for what is
        guaranteed.

        Raises:
            UserError: the task is no regression, the model knows no held-out errors, or the level does not fit.
        """
        half = half_widths(self.model.combination.errors, level, self.model.classes or self.model.labels)
        return ends_of(predict_arrays(self.model, X, _warn), half, self._shape, self.model.target_form)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report and return the page's path: `report.html` in the folder `path`, or `path` itself if it ends in .html.

        Without a path it lies in the study's folder. That of a search without a name is temporary, as its path says: page and folder are
        gone once the result is. Give a path, or search with a name, to keep the page.
        """
        target = self.folder if path is None else Path(path)
        if path is None or target.suffix != ".html":
            return write_report(self.record, target)
        write_file(target, page(self.record, frames(self.record)))
        return target

    @overload
    def plot(self) -> dict[str, str]: ...
    @overload
    def plot(self, name: str) -> "go.Figure": ...
    def plot(self, name: str | None = None) -> "go.Figure | dict[str, str]":
        """Return a figure of the report, `result.plot("curves")`, as plotly's; without a name those that there are, name → what it shows.

        Raises:
            UserError: the study has no such figure (it lists those that there are), or too little to draw it.
        """
        if name is None:
            return figure_names(self.record)
        return figure_of(self.record, name)

    def save(self, folder: str | Path) -> Path:
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
        best = self.best
        result = self.record.result
        metric = MetricFormat.of(self.record)
        trials = f"{len(self.record.trials):,}"
        lines = [
            f"SearchResult: {of_trials(self.record.selected.trials)} of {trials} trials, {metric.name}",
            f"in the search: {metric.text(best.value)} (trial {best.trial} of {trials})",
        ]
        if best.mean:
            lines.append(
                f"on fresh seeds: {_text(best.mean, metric, 'mean of ' + counted(best.mean.count, 'run'), 'seeds')}"
            )
        if best.test:
            lines.append(f"on test rows: {_text(best.test, metric, rows_text(best.test.count), 'rows')}")
        choice = why(result.get("choice"), metric)
        lines += [choice, uses_of_test_rows(self.record.selected.looks), f"in {self._place}"]
        return "\n  ".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        return f"{fragment(self.record)}<p><small>In {escape(self._place)}</small></p>"

    @property
    def _place(self) -> str:
        return f"{self.folder}{TEMPORARY * self.temporary}"


def search(
    X: Any,
    y: Any = None,
    *,
    trials: int = 50,
    space: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    build: Build | None = None,
    loss: Callable[..., Any] | None = None,
    metric: str | Callable[..., float] | None = None,
    better: Literal["maximize", "minimize"] | None = None,
    objectives: Sequence[str] | None = None,
    task: str | None = None,
    validation: Any = None,
    test: float | None = None,
    rows: int | None = None,
    folds: int | Literal["auto"] | None = None,
    group: str | None = None,
    time: str | None = None,
    columns: Mapping[str, str] | None = None,
    missing: str = "median",
    missing_values: Sequence[str] | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    drop_rows: Sequence[str] | None = None,
    weight: str | None = None,
    target_range: Sequence[float] | Literal["none"] | None = None,
    target_transform: Literal["none", "log"] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    confirm: int | None = None,
    seeds: int | None = None,
    ensemble: int | None = None,
    refit: bool = True,
    name: str | None = None,
    reports: str | Path = "reports",
    timeout: float | None = None,
    start: str | Sequence[Mapping[str, Any]] | None = None,
    patience: int | None = None,
    target_value: float | None = None,
    seed: int = 0,
    device: str | None = None,
    verbose: bool | None = None,
) -> SearchResult:
    """Search the best network for inputs and targets, and return what was found.

    Args:
        X: a table [N, F] (an array, a tensor, a frame of pandas, polars or Arrow, a list of dicts) or images [N, H, W] or [N, C, H, W];
            or a torch `Dataset` or `DataLoader` of (input, target), which is read once into memory.
        y: one target of each row [N], several numbers for regression [N, K], or labels of 0 and 1 [N, L] (a frame names them); or the
            name of its column in a frame X.
        trials: trials in all, those of an earlier call with this name included.
        space: what may vary, as a study's `[space]`; by default that of the study `table`, for images of `digits`.
        training: a study's `[training]`: epochs, patience, precision, class_weights, ...
        build: `build(trial, shape, outputs)` makes a network of your own for each trial, as for `Objective`; the space then has the
            optimizer's hyperparameters only. Such networks train in plain torch, one at a time.
        loss: `loss(outputs, targets)`, the mean over rows, in place of the task's; plain torch then trains.
        metric: what counts, a name of `METRICS` that fits the task; the task's first by default; or a function `metric(y_true, y_pred)`
            as scikit-learn's, see `hpsearch.data.metrics.own_metric`.
        better: what is better of a metric that is a function, "maximize" or "minimize".
        objectives: several figures to be made better at once, metrics or "parameters"; the first is the metric. No pruner then.
        task: "regression", "binary", "multiclass" or "multilabel"; inferred from the targets by default.
        validation: share or number of rows that networks are compared on; by default cross-validation for few rows of a table, else 0.15.
            "last:5000" or "last:0.1": the last rows but the test rows. Or rows of your own: (Xv, yv), a `Dataset` or
            `DataLoader`, or a frame that holds the column y.
        test: likewise of rows that the selected model is scored on, and no other; 0 for none.
        rows: at most so many training rows.
        folds: parts of a cross-validation in place of `validation`; "auto": 5 for up to 2,000 rows.
        group: the column of X whose equal cells keep rows in one part; it is no input. An array's columns are called "0", "1", …
        time: likewise the column by which the earliest rows train and the latest test.
        columns: a kind by force for columns by name: "number", "boolean", "date" (or "date:%m/%d/%Y"), "category", "drop".
        missing: what takes the place of a missing number, "median", "mean" or "refuse"; an input then says where it was missing.
        missing_values: texts that mean a missing cell, besides the usual.
        decimal: the decimal mark of numbers that are text in a frame, "." or ","; found if left out, as is `thousands`.
        thousands: what separates thousands there: ",", ".", " ", "'" or "_", or "none".
        drop_rows: "missing-target" drops rows without a target, "rare-classes" those of classes with too few rows for every part.
        weight: the column of X that says how much a row counts in loss and metrics, on validation and test rows too; it is no input.
        sample_weight: the same as a number from 0 for each row [N].
        target_range: of numbers, the lowest and the highest that are possible, [low, high]; "none" for no limit; by default found in the
            training rows, see `hpsearch.data.target_form`.
        target_transform: "log": networks learn the logarithm of numbers from 0, predictions are in the target's unit again.
        sampler: who proposes trials, a name of `SAMPLERS`; "tpe" by default.
        pruner: who ends trials early, a name of `PRUNERS`; "median" by default.
        confirm: so many of the best trials are trained again on fresh seeds, and the best mean wins; 0 for the best trial as it is.
        seeds: on so many fresh seeds each, 2 at least.
        ensemble: how many networks predict together at most, unless one of them is clearly better on validation rows; 5 for a table, 1
            for images by default.
        refit: whether the selected networks train once more, on training and validation rows.
        name: keeps the study in the folder `reports/NAME`; the same call goes on with it.
        reports: where studies are kept.
        timeout: start no trial after so many seconds.
        start: settings of the first trials, such as `[{"learning_rate": 0.01}]`, what is left out being known-good; or the name of another
            study in `reports`, its folder or its storage's URL: its best is the first trial.
        patience: start no trial once so many brought no better value.
        target_value: start no trial once the metric has reached it.
        seed: decides everything random.
        device: "cpu", "cuda", "cuda:1"; CUDA where there is one by default.
        verbose: True shows the screen of the command, False nothing; by default a notebook shows one line that says how far it is.

    Raises:
        UserError: something cannot be used; one line says what, and what to do.
        SearchFailed: no trial gave a usable network.
        KeyboardInterrupt: Ctrl-C; a named study keeps what was told.
    """
    inputs, targets = as_given(X, y)
    images = np.ndim(inputs) >= IMAGES
    own_rows = None if np.isscalar(validation) else validation
    code = OwnCode(build, loss, metric if callable(metric) else None)
    if code.build is not None and space is None:
        space = {name: domain for name, domain in default_space(images).items() if name not in NETWORK}
    given: dict[str, Mapping[str, Any] | None] = {
        "study": {"name": name or "search", "seed": seed},
        "data": {
            "name": name or "search",
            "task": task,
            "validation": validation if own_rows is None else "given",
            "test": test,
            "rows": rows,
            "folds": folds,
            "group": group,
            "time": time,
            "columns": columns,
            "missing": None if images else missing,
            "missing_values": _listed(missing_values),
            "decimal": decimal,
            "thousands": thousands,
            "drop_rows": _listed(drop_rows),
            "weight": weight,
            "target_range": _listed(target_range),
            "target_transform": target_transform,
        },
        "space": space,
        "training": {**(training or {}), "model": build and label_of(build), "loss": loss and label_of(loss)},
        "search": {
            "trials": trials,
            "timeout": timeout,
            "sampler": sampler,
            "pruner": pruner or ("none" if objectives else None),  # nobody prunes trials of several objectives
            "metric": label_of(metric) if callable(metric) else metric,
            "better": better,
            "objectives": _listed(objectives),
            "start": start,
            "patience": patience,
            "target_value": target_value,
        },
        "confirm": {"trials": confirm, "seeds": seeds, "ensemble": ensemble, "refit": refit},
    }
    default = "digits" if images else "table"
    config = array_config(default, given, "search")
    if name:
        url = sqlite_url((Path(reports) / folder_name(name)).absolute() / STUDY_FILE)
        config = as_begun(config, url, partial(array_config, default, given, "search"))
    config = config.with_code(code)
    given_data = (inputs, targets, sample_weight, own_rows)

    def conclude(folder: Path) -> SearchResult:
        run_options = RunOptions(folder, sqlite_url(folder.absolute() / STUDY_FILE), device, reports=reports)
        return _search(config, run_options, given_data, verbose, temporary=not name)

    return in_folder(name, config.study.name, Path(reports), conclude)


def in_folder(name: str | None, study: str, reports: Path, conclude: Callable[[Path], SearchResult]) -> SearchResult:
    """Return the result that is made in a folder: that of the name, or a temporary one that goes with the result."""
    if name:
        return conclude(reports / folder_name(name))
    own = Path(mkdtemp(prefix="hpsearch-temporary-"))
    try:
        result = conclude(own / folder_name(study))
    except BaseException:
        rmtree(own, ignore_errors=True)
        raise
    finalize(result, rmtree, own, ignore_errors=True)  # nobody can read it once the result is gone
    return result


def _listed(names: Sequence[Any] | None) -> Any:
    """Return a sequence as a study's file has it; what is none is refused later."""
    return list(names) if isinstance(names, list | tuple) else names


def load(
    study: str | Path,
    *,
    reports: str | Path = "reports",
    model: str = "best",
    storage: str | None = None,
    build: Build | None = None,
) -> SearchResult | ComparisonResult:
    """Return a study that was searched before, by any program or command, as `search` returns its own; or a comparison.

    Args:
        study: its name, or the folder that holds it.
        reports: where studies are kept.
        model: what predicts: "best", "single" (one network, where the best is several), or "refit", "trial-17", ... once the command of
            that name has made it.
        storage: the URL of its storage, where that is none of the study's folder.
        build: what makes the network, where the study searched one of your own: a model's files hold no code.

    Labels are as the model keeps them: whole numbers, numbers, truth values, or text.

    Raises:
        UserError: there is no such study or model (which there are), or it has no result yet.
        StorageError: a file is missing or damaged, or the storage cannot be reached.
    """
    url = storage or sqlite_url(study_file(str(study), Path(reports)))
    record = read(url, None if storage is None else str(study))
    if isinstance(record, ComparisonRecord):
        return ComparisonResult(record, folder_of(str(study), Path(reports)))
    if not record.result:
        raise UserError(f"study {shown(record.name)} has no result yet. Run it to its end first.")
    folder = model_folder(str(study), Path(reports), model)
    loaded = load_named_model(str(study), Path(reports), model, build)
    return stored_result(record, loaded, folder, storage=storage)


def stored_result(
    record: StudyRecord, model: Model, folder: Path, *, temporary: bool = False, storage: str | None = None
) -> SearchResult:
    """Return a study's result with labels and the shape of a target as its model keeps them; see `SearchResult`."""
    labels = original_labels(model) if model.classes else None
    columns = len(model.target_mean)
    shape = (columns,) if columns > 1 else ()
    return SearchResult(record, model, folder, labels, temporary, shape, storage)


def _search(
    config: StudyConfig,
    run_options: RunOptions,
    given: tuple[Any, Any, Any, Any],
    verbose: bool | None,
    *,
    temporary: bool,
) -> SearchResult:
    """Run or continue the study of a folder; `given` are inputs, targets, their weights, and validation rows of one's own."""
    folder = run_options.folder
    inputs, targets, weights, own_rows = given
    data = array_data(config, run_options, inputs, targets, weights=weights, validation=own_rows)
    screen = Screen(data.metric.name) if verbose else None
    display: Screen | NotebookLine | None = screen
    if verbose is None and in_notebook():
        display = NotebookLine(data.metric.name)
    with open_study(config, run_options, data) as study:
        try:
            run_interruptibly(study, display)
        except KeyboardInterrupt:
            if display and temporary:
                display.announce("nothing is kept of a search without a name; with one (name) the same call goes on")
            raise
    record = read_study(run_options.storage, config.study.name)
    if screen:
        screen.conclude(record, f"result.report() writes it; the study is in {folder}{TEMPORARY * temporary}")
    model = load_model(folder, build=config.code.build)
    if isinstance(targets, str):  # a column's name
        return stored_result(record, model, folder, temporary=temporary)
    targets = to_array(targets, "target")
    labels = labels_in(data.classes, targets) if data.classes else None
    return SearchResult(record, model, folder, labels, temporary, targets.shape[1:])


def _warn(sentence: str) -> None:
    """Warn whoever asked for predictions."""
    warnings.warn(sentence, UserWarning, stacklevel=4)


def _estimate(score: Score | None) -> Estimate | None:
    """Return a score of a study's result as an estimate."""
    if score is None:
        return None
    return Estimate(score.value, score.low, score.high, score.count)


def _text(estimate: Estimate, metric: MetricFormat, basis: str, over: str) -> str:
    """Return an estimate as text: its value, what it is taken from, its interval `over` seeds or rows where it is bounded."""
    if estimate.low is None or estimate.high is None:
        return f"{metric.text(estimate.value)} ({basis})"
    interval = metric.between(estimate.low, estimate.high)
    return f"{metric.text(estimate.value)} ({basis}, 95 % interval over {over} {interval})"
