"""How often intervals contain the truth, and whether searching pays: studies of small tables, each judged on thousands of fresh rows.

A study learns from `ROWS` rows of a table and draws its own test rows among them. The fresh rows, which it never sees, say what is true of
its model up to a small error of their own. Beside each study stands one of a single trial, the known-good settings, on the same rows. What
a file of figures has already is not measured again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from hpsearch.errors import UserError
from hpsearch.files import write_file
from hpsearch.interactive import SearchResult, search
from hpsearch.statistics.estimates import wilson
from tests.benchmarks.quality_tables import TARGET, Array, divided

ROWS = 400  # that a study learns from
FRESH = 20_000  # of a table that is made
TRIALS = 16
CONFIRMED = 3  # trials on fresh seeds, and networks of an ensemble at most
LEVEL = 0.9  # of the intervals of predicted numbers
INTERVALS = {
    "seeds": "validation, over seeds",
    "rows": "validation, over rows",
    "test": "test rows",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A study judged on fresh rows.

    `truth` is the metric there and `alone` that of the study of one trial. `intervals` are [low, high] by their names in `INTERVALS`;
    `held` is the share of fresh rows in their intervals of `LEVEL`, None of classes. `winner` is the selected trial's number, `values`
    those of all trials in the search, None of failed ones.
    """

    table: str
    seed: int
    metric: str
    truth: float
    alone: float
    intervals: Mapping[str, Sequence[float | None]]
    held: float | None
    winner: int
    values: Sequence[float | None]

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.metric == "accuracy"

    def contains(self, name: str) -> bool:
        """Whether an interval contains the truth."""
        low, high = self.intervals[name]
        return low is not None and high is not None and low <= self.truth <= high


Drawn = tuple[pd.DataFrame, Array]  # inputs and targets


def _friedman(rows: int, seed: int) -> Drawn:
    from sklearn.datasets import make_friedman1

    inputs, target = make_friedman1(rows, random_state=seed)
    return _frame(inputs), target + np.random.default_rng(seed).normal(size=rows)


def _skewed(rows: int, seed: int) -> Drawn:
    inputs, target = _friedman(rows, seed)
    return inputs, np.exp(target / 8)


def _two_classes(rows: int, seed: int) -> Drawn:
    return _classes(rows, seed, 2)


def _three_classes(rows: int, seed: int) -> Drawn:
    return _classes(rows, seed, 3)


def _classes(rows: int, seed: int, classes: int) -> Drawn:
    from sklearn.datasets import make_classification

    inputs, target = make_classification(
        rows, n_features=12, n_informative=6, n_classes=classes, flip_y=0.1, class_sep=0.8, random_state=seed
    )
    return _frame(inputs), np.array([f"class {number}" for number in target])


def _frame(inputs: Array) -> pd.DataFrame:
    return pd.DataFrame(inputs, columns=[f"x{number}" for number in range(inputs.shape[1])])


MADE: dict[str, Callable[[int, int], Drawn]] = {
    "friedman": _friedman,
    "skewed": _skewed,
    "two classes": _two_classes,
    "three classes": _three_classes,
}


def measure_coverage(count: int, tables: Sequence[str] = (), file: str | None = None) -> list[Judged]:
    """Return the judged studies of all rounds, those that the file has among them; it is written after each.

    Raises:
        UserError: fewer than one round, or no such table.
    """
    if count < 1:
        raise UserError(f"--rounds {count}: a number from 1 expected.")
    known = _read(file)
    found = []
    for seed in range(count):
        for table in tables or MADE:
            key = (Path(table).name, seed)
            if key not in known:
                known[key] = _judged(table, seed)
            found.append(known[key])
            if file is not None:
                write_file(Path(file), json.dumps([asdict(one) for one in known.values()], indent=1) + "\n")
    return found


def _read(file: str | None) -> dict[tuple[str, int], Judged]:
    if file is None or not Path(file).is_file():
        return {}
    judged = [Judged(**row) for row in json.loads(Path(file).read_text())]
    return {(one.table, one.seed): one for one in judged}


def _drawn(table: str, seed: int) -> Drawn:
    """Return the rows of a table in a random order: those that are made, or of a folder those of train.csv and test.csv."""
    if table in MADE:
        return MADE[table](ROWS + FRESH, seed)
    division = divided(table, seed)
    inputs = pd.concat([division.learn, division.test], ignore_index=True)
    order = np.random.default_rng(seed).permutation(len(inputs))
    target = np.concatenate([division.learn_target, division.test_target])
    return inputs.iloc[order].reset_index(drop=True), target[order]


def _judged(table: str, seed: int) -> Judged:
    inputs, target = _drawn(table, seed)
    learn, fresh = inputs[:ROWS], inputs[ROWS:]
    known, true = target[:ROWS], target[ROWS:]
    regression = target.dtype.kind == "f"
    metric = "rmse" if regression else "accuracy"
    result = _study(learn, known, metric, seed, TRIALS)
    stored = result.record.result
    intervals = {"seeds": stored["fresh"], "rows": stored["held_out"], "test": stored["test"]}
    held = None
    if regression:
        ends = result.predict_interval(fresh, LEVEL)
        held = float(np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])))
    return Judged(
        table=Path(table).name,
        seed=seed,
        metric=metric,
        truth=_truth(result, fresh, true),
        alone=_truth(_study(learn, known, metric, seed, 1), fresh, true),
        intervals={name: [figures["low"], figures["high"]] for name, figures in intervals.items()},
        held=held,
        winner=result.best.trial,
        values=[trial.value if trial.usable else None for trial in result.record.trials],
    )


def _study(inputs: pd.DataFrame, target: Array, metric: str, seed: int, trials: int) -> SearchResult:
    frame = inputs.assign(**{TARGET: target})
    return search(
        frame, TARGET, trials=trials, metric=metric, confirm=CONFIRMED, ensemble=CONFIRMED, seed=seed, verbose=False
    )


def _truth(result: SearchResult, fresh: pd.DataFrame, true: Array) -> float:
    predicted = result.predict(fresh)
    if true.dtype.kind == "f":
        return float(np.sqrt(np.mean((predicted - true) ** 2)))
    return float(np.mean(predicted == true))


# ------------------------------------------------------------------ what comes out


def show_coverage(judged: Sequence[Judged]) -> None:
    """Print how often each interval contained the truth, and what searching brought."""
    console = Console(highlight=False, markup=False, width=120)
    console.print(coverage_table(judged))
    console.print(searching_table(judged))


def coverage_table(judged: Sequence[Judged]) -> Table:
    """Return for each interval in how many studies it contained the metric on fresh rows, with a 95 % interval, by metric."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for head in ("interval", "metric", "level", "contained the truth"):
        shown.add_column(head)
    for metric in dict.fromkeys(one.metric for one in judged):
        own = [one for one in judged if one.metric == metric]
        for name, title in INTERVALS.items():
            shown.add_row(title, metric, "95 %", _share([one.contains(name) for one in own]))
    held = [one.held for one in judged if one.held is not None]
    if held:
        text = f"{fmean(held):.1%} of rows, mean of {len(held)} studies ({min(held):.1%} to {max(held):.1%})"
        shown.add_row(f"predict --interval {LEVEL}", "each number", f"{LEVEL:.0%}", text)
    return shown


def _share(hits: Sequence[bool]) -> str:
    share = wilson(sum(hits), len(hits))
    return f"{sum(hits)} of {len(hits)} studies ({share.low:.0%} to {share.high:.0%})"


def searching_table(judged: Sequence[Judged]) -> Table:
    """Return what the best of the first trials had in the search, and what the whole study is worth on fresh rows beside one trial.

    Gains are shares of the one trial's errors (1 - accuracy, or RMSE) that are gone.
    """
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for head in ("of", "gain over trial 0", "studies that gained"):
        shown.add_column(head)
    trials = min(len(one.values) for one in judged)
    for first in (2, 4, 8, 16, 32, 64):
        if first <= trials:
            shown.add_row(
                f"search's value, best of {first} trials", *_gains([_gain_in_search(one, first) for one in judged])
            )
    fresh = [_gain(one, one.truth, one.alone) for one in judged]
    shown.add_row("selected model on fresh rows", *_gains(fresh))
    winners = [one.winner for one in judged]
    late = sum(winner >= trials / 2 for winner in winners)
    shown.caption = (
        f"The selected model is of trial {median(winners):g} of {trials} in the median (the first is 0, which {winners.count(0)} "
        f"of {len(winners)} studies selected; {late} one of the later half)."
    )
    shown.caption_justify = "left"
    return shown


def _gain_in_search(one: Judged, first: int) -> float:
    usable = [value for value in one.values[:first] if value is not None]
    begin = one.values[0]
    if begin is None or not usable:
        return 0.0
    return _gain(one, max(usable) if one.maximize else min(usable), begin)


def _gain(one: Judged, value: float, begin: float) -> float:
    """Return the share of the errors of a beginning that are gone."""
    error, before = (1 - value, 1 - begin) if one.maximize else (value, begin)
    return (before - error) / before if before > 0 else 0.0


def _gains(gains: Sequence[float]) -> tuple[str, str]:
    """Return the mean with a 95 % interval of a bootstrap over studies, and in how many it is above 0."""
    generator = np.random.default_rng(0)
    means = generator.choice(gains, (2_000, len(gains))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{fmean(gains):.1%} ({low:.1%} to {high:.1%})", f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
