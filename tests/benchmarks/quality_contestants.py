"""Who is compared on tables: studies of hpsearch, scikit-learn's models, and CatBoost and RealMLP where they are installed."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
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
Contestant = Callable[[Division, int], Array]  # (a table, a seed) → probabilities [N, C] or values [N] of the test rows


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


def _ours(division: Division, seed: int, settings: str) -> Array:
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


def _of_scikit_learn(division: Division, seed: int, name: str) -> Array:
    """Return the predictions of a model of scikit-learn with its defaults; categories are one-hot, missing numbers are medians."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    models: dict[str, tuple[Any, Any]] = {
        "linear": (Ridge(), LogisticRegression()),
        "MLP": (MLPRegressor(random_state=seed), MLPClassifier(random_state=seed)),
        "boosting": (
            HistGradientBoostingRegressor(random_state=seed),
            HistGradientBoostingClassifier(random_state=seed),
        ),
    }
    numbers = [column for column in division.learn if division.learn[column].dtype.kind in "iufb"]
    texts = [column for column in division.learn if column not in numbers]
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [ColumnTransformer([("numbers", SimpleImputer(strategy="median"), numbers), ("texts", encode, texts)])]
    if name.endswith(", scaled"):
        steps.append(StandardScaler())
    model = models[name.removesuffix(", scaled")][not division.regression]
    return _fitted(make_pipeline(*steps, model), division)


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

    def contestant(division: Division, seed: int) -> Array:
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

    def contestant(division: Division, seed: int) -> Array:
        kind = RealMLP_TD_Regressor if division.regression else RealMLP_TD_Classifier
        return _fitted(kind(random_state=seed, device="cpu", verbosity=0), division)

    return contestant


RIVALS: dict[str, Callable[[], Contestant]] = {"catboost": _catboost, "realmlp": _realmlp}
