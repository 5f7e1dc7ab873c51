"""Who is compared on tables: studies of hpsearch, scikit-learn's models, its MLP tuned, and other packages where they are installed."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.config import find_study, read_config
from hpsearch.config.reading import parse_value
from hpsearch.data.assemble import assemble
from hpsearch.data.columns.roles import assign_roles
from hpsearch.data.columns.table import table_of
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError, look_up
from hpsearch.model import load_model, predict
from hpsearch.searching.opening import open_study
from hpsearch.searching.run_options import RunOptions, on_device, prepare_engine
from hpsearch.searching.study import run_study
from hpsearch.storage.urls import sqlite_url
from tests.benchmarks.quality_tables import TARGET, Array, Division

OURS = "hpsearch"
# (a table, a seed, processor seconds for one that tunes) → probabilities [N, C] or values [N] of the test rows
Contestant = Callable[[Division, int, float], Array]


def contestants(rivals: Sequence[str] = (), variants: Sequence[str] = ()) -> dict[str, Contestant]:
    """Return hpsearch with its defaults, its variants, scikit-learn's models and further rivals, by name.

    A variant is settings that differ, as "search.trials=16 confirm.refit=false", each as `--set` takes it.

    Raises:
        UserError: no such rival, or it is not installed.
    """
    found: dict[str, Contestant] = {OURS: partial(_ours, settings="")}
    for settings in variants:
        found[f"{OURS} {settings}"] = partial(_ours, settings=settings)
    for name in ("linear", "linear, scaled", "MLP", "MLP, scaled", "boosting"):
        found[name] = partial(_of_scikit_learn, name=name)
    for name in rivals:
        found[name] = look_up(RIVALS, name, "rival")()
    return found


def _ours(division: Division, seed: int, allowed: float, *, settings: str) -> Array:
    """Return the predictions of the model that a study of this table selects."""
    metric = "r2" if division.regression else "accuracy"
    given: list[tuple[str, Any]] = [
        (key, parse_value(value)) for key, _, value in (pair.partition("=") for pair in settings.split())
    ]
    overrides = [("data.name", division.name), ("study.seed", seed), ("search.metric", metric), *given]
    config = read_config(find_study("table"), overrides)
    frame = pd.concat([division.learn, division.test], ignore_index=True)
    frame[TARGET] = np.concatenate([division.learn_target, division.test_target])
    raw = assign_roles(table_of(frame), TARGET, ReadOptions(missing="median"))
    task = TaskOptions("regression" if division.regression else None, metric)
    options = SplitOptions(seed, folds=config.folds)
    data = assemble(replace(raw, given_test=len(division.test)), division.name, division.name, task, options)
    with TemporaryDirectory() as folder:
        run_options = RunOptions(Path(folder), sqlite_url(Path(folder) / "study.db"), "cpu")
        data = on_device(config, run_options, data)
        with open_study(config, run_options, data) as study:
            run_study(study, prepare_engine(config, run_options, data))
        predictions = predict(load_model(Path(folder)), data.test.inputs).double().numpy()
    if division.regression:
        return np.asarray(predictions[:, 0])
    return np.asarray(predictions[:, [data.classes.index(name) for name in division.classes]])


def _of_scikit_learn(division: Division, seed: int, allowed: float, *, name: str) -> Array:
    """Return the predictions of a model of scikit-learn with its defaults; categories are one-hot, missing numbers are medians."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    models: dict[str, tuple[Any, Any]] = {
        "linear": (Ridge(), LogisticRegression()),
        "MLP": (MLPRegressor(random_state=seed), MLPClassifier(random_state=seed)),
        "boosting": (
            HistGradientBoostingRegressor(random_state=seed),
            HistGradientBoostingClassifier(random_state=seed),
        ),
    }
    model = models[name.removesuffix(", scaled")][not division.regression]
    return _fitted(_pipeline(division, model, scaled=name.endswith(", scaled")), division)


def _pipeline(division: Division, model: Any, *, scaled: bool) -> Any:
    """Return a model of scikit-learn behind what makes numbers of a table: categories are one-hot, missing numbers are medians."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [column for column in division.learn if division.learn[column].dtype.kind in "iufb"]
    texts = [column for column in division.learn if column not in numbers]
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [ColumnTransformer([("numbers", SimpleImputer(strategy="median"), numbers), ("texts", encode, texts)])]
    if scaled:
        steps.append(StandardScaler())
    return make_pipeline(*steps, model)


def _tuned(division: Division, seed: int, allowed: float) -> Array:
    """Return the predictions of scikit-learn's MLP tuned by Optuna for as many processor seconds as hpsearch took.

    Trials learn from 85 % of the rows and are judged by the loss on the others; the best one learns from all.
    """
    import optuna
    from sklearn.model_selection import train_test_split

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = np.arange(len(division.learn))
    stratify = None if division.regression else division.learn_target
    own, others = train_test_split(rows, test_size=0.15, random_state=seed, stratify=stratify)
    part = replace(
        division,
        learn=division.learn.iloc[own],
        learn_target=division.learn_target[own],
        test=division.learn.iloc[others],
        test_target=division.learn_target[others],
    )

    def objective(trial: optuna.Trial) -> float:
        return part.judge(_fitted(_pipeline(division, _mlp(division, seed, trial), scaled=True), part))[1]

    started = process_time()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    while process_time() - started < allowed or not study.trials:
        study.optimize(objective, n_trials=1)
    best = optuna.trial.FixedTrial(study.best_params)
    return _fitted(_pipeline(division, _mlp(division, seed, best), scaled=True), division)


def _mlp(division: Division, seed: int, trial: Any) -> Any:
    """Return scikit-learn's MLP with the settings of a trial; it stops early by rows of its own."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    width = trial.suggest_int("width", 16, 256, log=True)
    return (MLPRegressor if division.regression else MLPClassifier)(
        hidden_layer_sizes=(width,) * trial.suggest_int("depth", 1, 3),
        activation=trial.suggest_categorical("activation", ["relu", "tanh"]),
        alpha=trial.suggest_float("alpha", 1e-6, 10, log=True),
        learning_rate_init=trial.suggest_float("learning_rate_init", 3e-4, 1e-2, log=True),
        batch_size=trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        early_stopping=True,
        random_state=seed,
    )


def _fitted(model: Any, division: Division) -> Array:
    """Return the predictions of a model with scikit-learn's methods, whose classes are sorted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults stop at their number of iterations, and say so
        model.fit(division.learn, division.learn_target)
    if division.regression:
        return np.asarray(model.predict(division.test)).reshape(-1)
    return np.asarray(model.predict_proba(division.test))


def _catboost() -> Contestant:
    try:
        from catboost import CatBoostClassifier, CatBoostRegressor
    except ImportError:
        raise UserError("--vs catboost: it is not installed. pip install catboost") from None

    def contestant(division: Division, seed: int, allowed: float) -> Array:
        kind = CatBoostRegressor if division.regression else CatBoostClassifier
        texts = [column for column in division.learn if division.learn[column].dtype.kind not in "iufb"]
        options = {"verbose": False, "random_seed": seed, "cat_features": texts, "allow_writing_files": False}
        filled = replace(
            division,
            learn=division.learn.fillna(dict.fromkeys(texts, "")),
            test=division.test.fillna(dict.fromkeys(texts, "")),
        )
        return _fitted(kind(**options), filled)

    return contestant


def _realmlp() -> Contestant:
    try:
        from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor
    except ImportError:
        raise UserError("--vs realmlp: it is not installed. pip install pytabkit") from None

    def contestant(division: Division, seed: int, allowed: float) -> Array:
        kind = RealMLP_TD_Regressor if division.regression else RealMLP_TD_Classifier
        return _fitted(kind(random_state=seed, device="cpu", verbosity=0), division)

    return contestant


def _autogluon() -> Contestant:
    """Return AutoGluon's network with its defaults, bagged over five folds: its networks predict together, as those of a study do.

    Texts are one-hot, as for scikit-learn's models, since its own encoding fails with pandas 3.
    """
    try:
        from autogluon.tabular import TabularPredictor
    except ImportError:
        raise UserError("--vs autogluon: it is not installed. pip install autogluon.tabular") from None

    def contestant(division: Division, seed: int, allowed: float) -> Array:
        encode = _pipeline(division, "passthrough", scaled=False)
        learn = pd.DataFrame(encode.fit_transform(division.learn)).add_prefix("input ")
        learn[TARGET] = pd.Series(division.learn_target).astype(float if division.regression else object)
        test = pd.DataFrame(encode.transform(division.test)).add_prefix("input ")
        problem = "regression" if division.regression else None  # whole numbers would be classes
        metric = "root_mean_squared_error" if division.regression else "log_loss"
        with TemporaryDirectory() as folder:
            predictor = TabularPredictor(TARGET, problem, metric, path=folder, verbosity=0)
            predictor.fit(
                learn,
                hyperparameters={"NN_TORCH": {}},
                num_bag_folds=5,
                ag_args_ensemble={"fold_fitting_strategy": "sequential_local", "model_random_seed": seed},
                num_cpus=1,
            )
            if division.regression:
                return np.asarray(predictor.predict(test))
            return np.asarray(predictor.predict_proba(test)[division.classes])

    return contestant


RIVALS: dict[str, Callable[[], Contestant]] = {
    "autogluon": _autogluon,
    "catboost": _catboost,
    "realmlp": _realmlp,
    "tuned": lambda: _tuned,
}
