"""What comes out: a study's chosen network beside scikit-learn's models with their defaults, on the same test rows of real tables.

Each table is divided anew for every round, test rows in equal shares of the classes; rivals learn from all other rows, a study trains on
a part of them and validates on the rest. Nothing that a contestant decides sees a test row.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from hpsearch.config import find_study, read_config
from hpsearch.data.assemble import assemble
from hpsearch.data.metrics import METRICS
from hpsearch.data.sources import Raw
from hpsearch.data.splits import Sizes
from hpsearch.searching.place import Place, prepare_engine
from hpsearch.searching.study import open_study, run_study
from hpsearch.storage.opening import sqlite_url

TABLES = ("breast_cancer", "wine", "iris", "diabetes", "digits")
TEST = 0.2  # share of rows
OURS = "hpsearch"


@dataclass(frozen=True, slots=True)
class Round:
    """A table divided once: every contestant's metric on the test rows, and its seconds."""

    table: str
    metric: str
    maximize: bool
    seed: int
    values: Mapping[str, float]
    seconds: Mapping[str, float]


def rounds(tables: Sequence[str], count: int, trials: int | None) -> Iterator[Round]:
    """Yield each round of each table as it is done; `trials` of a study, None for the default."""
    for table in tables:
        for seed in range(count):
            yield _round(table, seed, trials)


def _round(table: str, seed: int, trials: int | None) -> Round:
    import sklearn.datasets
    from sklearn.model_selection import train_test_split

    options = {"scaled": False} if table == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{table}")(**options)
    regression = table == "diabetes"
    learn, test = train_test_split(
        np.arange(len(bunch.target)), test_size=TEST, random_state=seed, stratify=None if regression else bunch.target
    )
    metric = METRICS["r2" if regression else "accuracy"]
    contestants: dict[str, Callable[[], float]] = {
        OURS: lambda: _ours(bunch, learn, test, table, metric.name, seed, trials)
    }
    for name, model in _rivals(regression, seed).items():
        contestants[name] = lambda model=model: _theirs(model, bunch, learn, test)  # type: ignore[misc]
    values, seconds = {}, {}
    for name, contestant in contestants.items():
        start = perf_counter()
        values[name], seconds[name] = contestant(), perf_counter() - start
    return Round(table, metric.name, metric.direction == "maximize", seed, values, seconds)


def _rivals(regression: bool, seed: int) -> dict[str, Any]:
    """Return scikit-learn's models with their defaults; networks and linear models also after standardising, which they profit from."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear, network, boosting = (
        (Ridge(), MLPRegressor(random_state=seed), HistGradientBoostingRegressor(random_state=seed))
        if regression
        else (
            LogisticRegression(),
            MLPClassifier(random_state=seed),
            HistGradientBoostingClassifier(random_state=seed),
        )
    )
    return {
        "linear": linear,
        "linear, scaled": make_pipeline(StandardScaler(), linear),
        "MLP": network,
        "MLP, scaled": make_pipeline(StandardScaler(), network),
        "boosting": boosting,
    }


def _theirs(model: Any, bunch: Any, learn: Any, test: Any) -> float:
    """Return a model's accuracy or R² on the test rows, which is what its `score` is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults stop at their number of iterations, and say so
        return float(model.fit(bunch.data[learn], bunch.target[learn]).score(bunch.data[test], bunch.target[test]))


def _ours(bunch: Any, learn: Any, test: Any, table: str, metric: str, seed: int, trials: int | None) -> float:
    """Return the metric on the test rows of the network that a study of this table chooses."""
    order = np.concatenate([learn, test])
    names = tuple(map(str, getattr(bunch, "target_names", ()))) if metric == "accuracy" else ()
    raw = Raw(bunch.data[order], bunch.target[order], "scikit-learn", names, given_test=len(test))
    overrides = [("data.name", table), ("study.seed", seed), ("search.metric", metric)]
    overrides += [("search.trials", trials)] if trials else []
    config = read_config(find_study("table"), overrides)
    data = assemble(raw, table, table, Sizes(given_test=len(test), folds=config.folds), seed=seed, metric=metric)
    with TemporaryDirectory() as folder:
        place = Place(Path(folder), sqlite_url(Path(folder) / "study.db"), "cpu")
        with open_study(config, place, data) as study:
            engine = prepare_engine(config, place, data, lambda line: None)
            result = run_study(study, engine, lambda standing: None, lambda line: None)
    return float((result.get("ensemble") or result)["test"]["value"])  # of the model that is kept
