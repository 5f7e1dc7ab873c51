"""What comes out: a study's chosen network beside scikit-learn's models with their defaults, on the same test rows of real tables.

Each table is divided anew for every round, test rows in equal shares of the classes; rivals learn from all other rows, a study trains on
a part of them and validates on the rest. Nothing that a contestant decides sees a test row.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from hpsearch.config import find_study, read_config
from hpsearch.data.assemble import assemble
from hpsearch.data.cells import Raw
from hpsearch.data.metrics import METRICS
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.errors import UserError
from hpsearch.searching.opening import open_study
from hpsearch.searching.run_options import RunOptions, prepare_engine
from hpsearch.searching.study import run_study
from hpsearch.statistics.paired import paired_difference
from hpsearch.storage.urls import sqlite_url

TABLES = ("breast_cancer", "wine", "iris", "diabetes", "digits")
PAGE = 160  # columns of text where the output is no terminal
TEST = 0.2  # share of rows
OURS, NETWORK = "hpsearch", "MLP"


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


def show_quality(count: int) -> None:
    """Run the rounds of all tables and print what comes out."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PAGE
    console.print(quality(count))


def quality(count: int, trials: int | None = None, tables: Sequence[str] = TABLES) -> Table:
    """Run the rounds and return their means: the metric on the test rows, how far ahead of the network, seconds of a study.

    Raises:
        UserError: fewer than one round.
    """
    if count < 1:
        raise UserError(f"--rounds {count}: a number from 1 expected.")
    done: dict[str, list[Round]] = {}
    for found in rounds(tables, count, trials):
        done.setdefault(found.table, []).append(found)
    shown = Table(
        box=box.SIMPLE_HEAD, show_edge=False, caption=_caption(count), caption_justify="left", caption_style=""
    )
    contestants = list(next(iter(done.values()))[0].values)
    for head in ("data", "metric", *contestants, f"{OURS} − MLP (95 %)", "seconds"):
        shown.add_column(head, justify="left" if head in ("data", "metric") else "right")
    for table, found_rounds in done.items():
        shown.add_row(table, found_rounds[0].metric, *_cells(found_rounds, contestants))
    return shown


def _cells(found: Sequence[Round], contestants: Sequence[str]) -> Iterator[str]:
    """Yield the means of the contestants, how far ahead of scikit-learn's network ours is, and the seconds of a study."""
    for name in contestants:
        yield f"{fmean(one.values[name] for one in found):.3f}"
    ahead = paired_difference([one.values[OURS] for one in found], [one.values[NETWORK] for one in found])
    bounds = f" ({ahead.low:+.3f} to {ahead.high:+.3f})" if isfinite(ahead.low) else ""
    yield f"{ahead.value:+.3f}{bounds}"
    yield f"{fmean(one.seconds[OURS] for one in found):.0f}"


def _caption(count: int) -> str:
    return (
        f"Means over {count} divisions, a fifth of the rows for the test in each. The others are scikit-learn's, with their defaults, on "
        "all other\nrows: logistic regression or Ridge, MLPClassifier or MLPRegressor, HistGradientBoosting; scaled: after a "
        "StandardScaler.\nThe interval is a bootstrap over divisions, which share rows: the least that is uncertain."
    )


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
        NETWORK: network,
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
    data = assemble(raw, table, table, TaskOptions(metric=metric), SplitOptions(seed, folds=config.folds))
    with TemporaryDirectory() as folder:
        run_options = RunOptions(Path(folder), sqlite_url(Path(folder) / "study.db"), "cpu")
        with open_study(config, run_options, data) as study:
            engine = prepare_engine(config, run_options, data)
            result = run_study(study, engine)
    return float(result["test"]["value"])  # of the model that is kept
