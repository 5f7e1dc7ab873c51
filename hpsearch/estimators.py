"""`DNNClassifier` and `DNNRegressor`: scikit-learn estimators that search the hyperparameters of a deep network inside `fit`.

They keep to scikit-learn's conventions, so that pipelines, `cross_val_score`, `GridSearchCV` and `clone` take them as they are. `fit`
holds rows out to compare networks on, searches in memory, and keeps the model and the table of trials. It holds no rows out for a test:
whoever wants a test score keeps rows back before, as `cross_val_score` does.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import (
    _safe_indexing,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    compute_class_weight,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from hpsearch.data.cells import NUMBERS, to_array
from hpsearch.data.columns.text_targets import number_targets
from hpsearch.data.dataset import Data, check_weights
from hpsearch.data.dropping import kept_rows
from hpsearch.data.given import as_given, has_sparse_columns, joined, new_rows, refuse_missing_labels
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.data.splits import hold_out, last_rows
from hpsearch.data.targets import check_labels
from hpsearch.data.tasks import TASKS, class_numbers, class_task
from hpsearch.data.weights import read_weights
from hpsearch.errors import UserError, listed, shown
from hpsearch.model import Model
from hpsearch.model.intervals import ends_of, half_widths
from hpsearch.model.models import with_weights
from hpsearch.model.new_rows import predict_arrays
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.tables import TABLES
from hpsearch.searching.array_study import MemorySearch, array_config, array_data, search_in_memory
from hpsearch.searching.run_options import RunOptions

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
LARGEST_SEED = 2**31 - 1
SMALLEST_TABLE = 2  # rows


@dataclass(eq=False, repr=False)
class _Searching(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both have: parameters, a search in `fit`, what it leaves, and predictions with it."""

    trials: int = 20
    space: Mapping[str, Any] | None = None
    _: KW_ONLY
    epochs: int | None = 40
    patience: int | None = 12
    metric: str | None = None
    validation: float = 0.15
    folds: int | None = None
    confirm: int = 3
    ensemble: int = 1
    refit: bool = True
    decimal: str | None = None
    thousands: str | None = None
    timeout: float | None = None
    start: str | Sequence[Mapping[str, Any]] | None = None
    search_patience: int | None = None
    target_value: float | None = None
    max_seconds: float | None = None
    drop_rows: Sequence[str] | None = None
    random_state: Any = None
    device: str | None = None

    best_params_: dict[str, Any] = field(init=False)
    best_value_: float = field(init=False)
    trials_: "pd.DataFrame" = field(init=False)
    model_: Model = field(init=False)
    n_features_in_: int = field(init=False)
    feature_names_in_: npt.NDArray[np.object_] = field(init=False)
    _default_metric: ClassVar[str | None] = None  # None: the task's first

    def _search(
        self, inputs: Any, targets: Array, task: str, sample_weight: Any, own_rows: int, weights: Array | None = None
    ) -> None:
        """Search and keep the result; `targets` are class numbers or values, `weights` those of the classes.

        The last `own_rows` rows validate; where there are none, rows are held out.
        """
        if sample_weight is not None:
            sample_weight = read_weights(sample_weight, len(targets))
        seed = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        split = None
        notice = ""
        if own_rows:
            split = last_rows(len(targets), own_rows)
        elif not self.folds:
            codes = targets if TASKS[task].has_classes else None
            split, notice = hold_out(codes, len(targets), self.validation, seed)
        held_out = split is None or not np.array_equal(split.training, split.validation)
        settings = self._settings(task, seed, refit=self.refit and held_out)
        config = array_config("table", settings, type(self).__name__)
        with TemporaryDirectory(prefix="hpsearch-") as folder:
            run_options = RunOptions(Path(folder), "", self.device)
            data = array_data(config, run_options, inputs, targets, split, weights=sample_weight)
            if weights is not None:
                data = weighted(data, weights, self.metric is None)
            self._keep(search_in_memory(config, run_options, data))
        if notice:
            warnings.warn(f"{type(self).__name__}: {notice}.", stacklevel=3)

    def _settings(self, task: str, seed: int, refit: bool) -> dict[str, Mapping[str, Any] | None]:
        """Return the parameters as the tables of a study."""
        metric = self.metric or self._default_metric
        return {
            "study": {"name": type(self).__name__, "seed": seed},
            "data": {
                "name": "arrays",
                "task": task,
                "missing": "median",
                "test": 0,
                "folds": self.folds,
                "decimal": self.decimal,
                "thousands": self.thousands,
            },
            "space": self.space,
            "training": {"epochs": self.epochs, "patience": self.patience, "max_seconds": self.max_seconds},
            "search": {
                "trials": self.trials,
                "timeout": self.timeout,
                "metric": metric,
                "start": self.start,
                "patience": self.search_patience,
                "target_value": self.target_value,
            },
            "confirm": {"trials": self.confirm, "ensemble": self.ensemble, "refit": refit},
        }

    def _keep(self, result: MemorySearch) -> None:
        record = result.record
        trial = record.trials[record.result["trial"]]
        fresh = of_completed_runs(record).selected.mean
        self.best_params_ = dict(trial.params)
        self.best_value_ = float(fresh.value if fresh else trial.value)
        self.trials_ = TABLES["trials"].build(record, {})
        self.model_ = result.model

    def _read(self, X: Any, y: Any, **checks: Any) -> tuple[Any, Array]:
        """Check inputs and targets as scikit-learn does; a frame with text, categories or dates stays one, to be read by its columns."""
        _refuse_sparse(X)
        X, y = _given(X, y)
        if checks.get("reset", True):
            self._by_column = _has_other_columns(X)
        if not self._by_column:
            fewest = SMALLEST_TABLE if checks.get("reset", True) else 1
            checks |= {"ensure_min_samples": fewest, "ensure_all_finite": "allow-nan"}
            read: tuple[Array, Array] = validate_data(self, X, y, **checks)
            return read
        validate_data(self, X, y, reset=checks.get("reset", True), skip_check_array=True)
        if checks.get("multi_output"):
            targets = check_array(y, ensure_2d=False, dtype=None)
        else:
            targets = column_or_1d(y, warn=True)
        check_consistent_length(X, targets)
        return X, targets

    def _dropped(self, X: Any, y: Any, sample_weight: Any, has_classes: bool) -> tuple[Any, Any, Any]:
        """Return inputs, targets and weights without the rows that `drop_rows` names, of which a warning tells."""
        if not self.drop_rows:
            return X, y, sample_weight
        X, y = _given(X, y)
        check_consistent_length(X, y)
        task = TaskOptions("multiclass" if has_classes else "regression")
        rows, notices = kept_rows(y, self.drop_rows, task, SplitOptions(test=0, folds=self.folds))
        for notice in notices:
            warnings.warn(f"{type(self).__name__}: {notice}", stacklevel=3)
        if sample_weight is not None:
            sample_weight = read_weights(sample_weight, len(y))[rows]
        return _safe_indexing(X, rows), _safe_indexing(y, rows), sample_weight

    def _with_own_rows(
        self, inputs: Any, targets: Array, validation: Any, sample_weight: Any, **checks: Any
    ) -> tuple[Any, Array, int]:
        """Return inputs and targets with the validation rows of one's own behind them, and how many those are."""
        if validation is None:
            return inputs, targets, 0
        if self.folds:
            raise UserError("validation: with folds each of them validates in turn. Leave one of the two out.")
        if sample_weight is not None:
            raise UserError("sample_weight: validation rows of your own would have none. Leave one of the two out.")
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise UserError(
                f"validation: {type(validation).__name__}, a pair (X, y) expected. Give fit(X, y, validation=(Xv, yv))."
            )
        others, labels = self._read(*validation, reset=False, **checks)
        if labels.shape[1:] != targets.shape[1:]:
            raise UserError(
                f"validation: targets of shape {labels.shape}, those to train on {targets.shape}. Make them alike."
            )
        return joined(inputs, others, "X"), np.concatenate([targets, labels]), len(labels)

    def _predictions(self, X: Any) -> Floats:
        """Return the model's probabilities [N, C] or values [N, K]."""
        check_is_fitted(self)
        _refuse_sparse(X)
        X = new_rows(X) if _is_other_frame(X) else X
        checks: dict[str, Any] = {"ensure_all_finite": "allow-nan"}
        if self._by_column:
            checks = {"skip_check_array": True}
        return predict_arrays(self.model_, validate_data(self, X, reset=False, **checks))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with weights as NumPy arrays."""
        state: dict[str, Any] = super().__getstate__()
        if "model_" not in state:
            return state
        return {**state, "model_": with_weights(state["model_"], torch.Tensor.numpy)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take a state back; arrays that lie in a file that cannot be written are copied."""
        state = dict(state)
        if "model_" in state:
            state["model_"] = with_weights(state["model_"], torch.tensor)
        super().__setstate__(state)


@dataclass(eq=False, repr=False)
class DNNClassifier(ClassifierMixin, _Searching):  # type: ignore[misc]
    """A deep network that classifies, its hyperparameters searched in `fit`.

    `X` is an array or a list of numbers, missing ones as NaN, or a frame (pandas, polars, Arrow), whose columns may hold text, categories,
    truth values and dates too. Every parameter is checked in `fit`.

    Args:
        trials: networks that the search tries.
        space: what may vary, as a study's `[space]`; by default that of the study `table`.
        epochs: passes over the rows that a network trains for at most.
        patience: evaluations (one a pass) without a better one after which a network stops; None for never.
        metric: what networks are compared by, a name of `METRICS`; by default the log loss, with classes weighed as
            `class_weight` says.
        validation: share or number of rows that are held out to compare networks on. Rows alone of their class are never held out; where
            fewer than 10 others are left all rows both train and validate, with a warning.
        folds: parts of a cross-validation in place of `validation`.
        class_weight: weights of classes in the loss: by label, or "balanced" for all classes alike, however rare.
        confirm: so many of the best trials are trained again on five fresh seeds, and the best mean wins; 0 for the best trial as it is.
        ensemble: how many networks predict together at most, and no more than are confirmed, unless one of them is clearly better on
            validation rows.
        refit: whether the networks are trained once more on all rows, for as many passes as served them best.
        decimal: the decimal mark of numbers that are text in a frame, "." or ","; found if left out, as is `thousands`.
        thousands: what separates thousands there: ",", ".", " ", "'" or "_", or "none".
        timeout: start no trial after so many seconds.
        start: settings of the first trials, such as `[{"learning_rate": 0.01}]`, what is left out being known-good; or the name of a
            study in `reports`: its best is the first trial.
        search_patience: start no trial once so many brought no better value.
        target_value: start no trial once the metric has reached it.
        max_seconds: end the training of a network after so many seconds; what is learned then depends on the machine.
        drop_rows: "missing-target" drops rows without a target, "rare-classes" those of classes with too few rows for every part; a
            warning says how many.
        random_state: a whole number makes `fit` reproducible; None draws from NumPy's global state.
        device: "cpu", "cuda", "cuda:1"; CUDA where there is one by default.

    Attributes:
        classes_: the labels [C], sorted.
        best_params_: the hyperparameters of the network that was chosen.
        best_value_: its metric on the validation rows: the mean over fresh seeds, or in the search where nothing was confirmed.
        trials_: a frame with a row for each trial, see `hpsearch.reporting.tables`.
        model_: the `hpsearch.model.Model` that predicts.
        n_features_in_, feature_names_in_: as scikit-learn has them.

    `fit(sample_weight=)` weighs rows in the loss and in the metric, `class_weight` classes. Batches are drawn alike for all trials, which
    is what makes them comparable, so a row of weight 2 is not two rows: it trains in one batch, with twice the loss.

    Raises (in `fit`):
        UserError: a ValueError; one line says what cannot be used, and what to do.
        SearchFailed: no trial gave a usable network.
    """

    _: KW_ONLY
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = None
    classes_: Array = field(init=False)
    _default_metric: ClassVar[str] = "log_loss"  # on few rows accuracies are often equal; it still tells networks apart

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> Self:
        """Search the best network for inputs [N, F] and one class of each row [N], which may have a weight each [N].

        `validation` are rows of your own to compare networks on, (X, y), in place of those that are held out; `refit` trains on them too.
        """
        X, y, sample_weight = self._dropped(X, y, sample_weight, has_classes=True)
        refuse_missing_labels(y)
        if isinstance(y, list | tuple):  # of which NumPy would make texts where one is
            check_labels(to_array(y, "target"))
        if getattr(X, "ndim", 2) != 1:  # else the two look swapped
            _refuse_labels(y)
        inputs, targets = self._read(X, y)
        known = targets
        if isinstance(validation, tuple):
            refuse_missing_labels(validation[-1])
        inputs, targets, own_rows = self._with_own_rows(inputs, targets, validation, sample_weight)
        check_labels(targets)
        check_classification_targets(targets)
        self.classes_, codes = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise UserError(f"target: 1 class ({shown(targets[0])}), at least 2 needed. Add rows of another class.")
        if absent := set(targets[len(known) :].tolist()) - set(known.tolist()):
            raise UserError(
                f"validation: class {listed(sorted(absent))} is in none of the rows to train on. Add rows of it there."
            )
        weights = None
        if self.class_weight is not None:
            weights = _weights_of(self.class_weight, self.classes_, targets)
        self._search(inputs, codes, class_task(len(self.classes_)).name, sample_weight, own_rows, weights)
        return self

    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the most probable class of each row, [N] of the dtype of `classes_`."""
        numbers = self._predictions(X).argmax(axis=1)
        labels: Array = self.classes_[numbers]
        return labels

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return the probability of each class, [N, C] in the order of `classes_`."""
        return self._predictions(X)


class DNNRegressor(RegressorMixin, _Searching):  # type: ignore[misc]
    """A deep network that predicts numbers, its hyperparameters searched in `fit`.

    `X` is an array or a list of numbers, missing ones as NaN, or a frame (pandas, polars, Arrow), whose columns may hold text, categories,
    truth values and dates too. Every parameter is checked in `fit`.

    Args:
        trials: networks that the search tries.
        space: what may vary, as a study's `[space]`; by default that of the study `table`.
        epochs: passes over the rows that a network trains for at most.
        patience: evaluations (one a pass) without a better one after which a network stops; None for never.
        metric: what networks are compared by, a name of `METRICS`; by default the root mean squared error.
        validation: share or number of rows that are held out to compare networks on; where there are fewer than 10 rows all of them both
            train and validate, with a warning.
        folds: parts of a cross-validation in place of `validation`.
        confirm: so many of the best trials are trained again on five fresh seeds, and the best mean wins; 0 for the best trial as it is.
        ensemble: how many networks predict together at most, and no more than are confirmed, unless one of them is clearly better on
            validation rows.
        refit: whether the networks are trained once more on all rows, for as many passes as served them best.
        decimal: the decimal mark of numbers that are text in a frame, "." or ","; found if left out, as is `thousands`.
        thousands: what separates thousands there: ",", ".", " ", "'" or "_", or "none".
        timeout: start no trial after so many seconds.
        start: settings of the first trials, such as `[{"learning_rate": 0.01}]`, what is left out being known-good; or the name of a
            study in `reports`: its best is the first trial.
        search_patience: start no trial once so many brought no better value.
        target_value: start no trial once the metric has reached it.
        max_seconds: end the training of a network after so many seconds; what is learned then depends on the machine.
        drop_rows: "missing-target" drops rows without a target, "rare-classes" those of classes with too few rows for every part; a
            warning says how many.
        random_state: a whole number makes `fit` reproducible; None draws from NumPy's global state.
        device: "cpu", "cuda", "cuda:1"; CUDA where there is one by default.

    Attributes:
        best_params_: the hyperparameters of the network that was chosen.
        best_value_: its metric on the validation rows: the mean over fresh seeds, or in the search where nothing was confirmed.
        trials_: a frame with a row for each trial, see `hpsearch.reporting.tables`.
        model_: the `hpsearch.model.Model` that predicts.
        n_features_in_, feature_names_in_: as scikit-learn has them.

    `fit(sample_weight=)` weighs rows in the loss and in the metric. Batches are drawn alike for all trials, which is what makes them
    comparable, so a row of weight 2 is not two rows: it trains in one batch, with twice the loss.

    Raises (in `fit`):
        UserError: a ValueError; one line says what cannot be used, and what to do.
        SearchFailed: no trial gave a usable network.
    """

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> Self:
        """Search the best network for inputs [N, F] and one number of each row [N], or several [N, K]; rows may have a weight each [N].

        `validation` are rows of your own to compare networks on, (X, y), in place of those that are held out; `refit` trains on them too.
        """
        X, y, sample_weight = self._dropped(X, self._numbers(y), sample_weight, has_classes=False)
        checks = {"multi_output": True, "y_numeric": True}
        inputs, targets = self._read(X, y, **checks)
        if isinstance(validation, tuple) and len(validation) == 2:
            validation = (validation[0], self._numbers(validation[1]))
        inputs, targets, own_rows = self._with_own_rows(inputs, targets, validation, sample_weight, **checks)
        self._shape = targets.shape[1:]
        self._search(inputs, targets, "regression", sample_weight, own_rows)
        return self

    def predict(self, X: npt.ArrayLike) -> Floats:
        """Return the predicted numbers, [N] or [N, K] as the targets were."""
        values = self._predictions(X)
        return values.reshape(len(values), *self._shape)

    def predict_interval(self, X: npt.ArrayLike, level: float = 0.9) -> Floats:
        """Return the lower and upper end of an interval for each predicted number: [N, 2], of several targets [N, K, 2].

        An interval of a level contains the number in about that share of rows; see `hpsearch.model.intervals`.

        Raises:
            UserError: nothing was confirmed (confirm=0), so that no errors on held-out rows are known, or the level does not fit.
        """
        check_is_fitted(self)
        half = half_widths(self.model_.combination.errors, level, ())
        return ends_of(self._predictions(X), half, self._shape, self.model_.target_form)

    def _numbers(self, y: Any) -> Any:
        """Return targets that are texts as the numbers that they are."""
        return number_targets(y, ReadOptions(decimal=self.decimal, thousands=self.thousands), "regression")[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def weighted(data: Data, weights: Array, judged: bool) -> Data:
    """Return data whose classes are weighed in the loss, and where `judged` in the log loss that networks are compared by.

    Weights have the mean 1 over the training rows, so that they do not change the step size.
    """
    each = torch.as_tensor(weights).to(data.training.inputs)  # [C]
    rows = each[class_numbers(data.training.targets)]  # [N]
    if data.training.weights is not None:
        rows = rows * data.training.weights
    data = replace(data, class_weights=each / rows.mean())
    if not judged:
        return data
    loss = partial(_weighted_log_loss, each.double())
    return replace(data, metric=replace(data.metric, title="Log loss, classes weighed", number=loss, row_values=None))


def _weighted_log_loss(
    weights: Tensor, predictions: Tensor, targets: Tensor, row_weights: Tensor | None = None
) -> float:
    """Return the log loss of probabilities [N, C] (binary: [N, 1]), each row weighed as its class [C] is."""
    if targets.dim() > 1:
        predictions = torch.cat([1 - predictions, predictions], dim=1)  # [N, 2]
    numbers = class_numbers(targets)  # [N]
    tiny = torch.finfo(predictions.dtype).eps
    right = predictions.gather(1, numbers[:, None])[:, 0].clamp(tiny, 1 - tiny).double().log()  # [N]
    shares = weights[numbers]
    if row_weights is not None:
        shares = shares * row_weights
    return float(-(shares * right).sum() / shares.sum())


def _weights_of(asked: Any, classes: Array, targets: Array) -> Floats:
    """Return the weight of each class [C]."""
    try:
        weights: Floats = compute_class_weight(asked, classes=classes, y=targets)
    except (TypeError, ValueError):
        expected = f"'balanced', or a number for each of the labels {listed(classes.tolist())}, expected"
        raise UserError(f"class_weight {shown(asked)}: {expected}. Give one of these.") from None
    check_weights(dict(zip(classes.tolist(), weights.tolist(), strict=True)))
    return weights


def _given(X: Any, y: Any) -> tuple[Any, Any]:
    """Return frames of other libraries, series and rows as dicts as pandas frames; scikit-learn checks all else."""
    if _is_other_frame(X):
        X, y = as_given(X, y)
        if isinstance(y, str):
            raise UserError(
                "y: the name of a column, one target of each row expected. Give frame[name], and X without it."
            )
        return X, y
    if not hasattr(X, "iloc") and np.asarray(X).ndim == 1:
        shape = np.asarray(y).shape
        if len(shape) > 1 and shape[1] > 1:
            raise UserError(
                f"X of one dimension and y of shape {shape} look swapped. Give fit(X, y); for one input X.reshape(-1, 1)."
            )
    return X, y


def _is_other_frame(X: Any) -> bool:
    """Whether inputs have names, but are no plain pandas frame: of another library, a series, rows as dicts, with sparse columns."""
    if hasattr(X, "iloc"):
        return bool(X.ndim == 1) or has_sparse_columns(X)
    rows = isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(row, Mapping) for row in X)
    return rows or isinstance(X, Mapping) or hasattr(X, "__arrow_c_stream__")


def _refuse_labels(y: Any) -> None:
    """Refuse several columns of targets, which are labels and no classes."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if isinstance(y, list) and y and isinstance(y[0], list | tuple):
        shape = (len(y), len(y[0]))
    if len(shape) == 2 and shape[1] > 1:
        raise UserError(
            f"y: shape {tuple(shape)}, one class a row [N] expected. Labels of which a row may have several are searched by "
            "hpsearch.search(X, y); numbers by DNNRegressor."
        )


def _refuse_sparse(X: Any) -> None:
    if issparse(X):
        raise UserError(
            "X: a sparse matrix, a dense array expected. Give X.toarray() (of a OneHotEncoder: sparse_output=False)."
        )


def _has_other_columns(X: Any) -> bool:
    """Whether inputs are a pandas frame with columns that are no numbers."""
    return hasattr(X, "iloc") and any(getattr(kind, "kind", "O") not in NUMBERS for kind in getattr(X, "dtypes", ()))
