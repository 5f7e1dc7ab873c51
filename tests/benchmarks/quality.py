"""What comes out: a study's selected model beside other people's models, on the same test rows of real tables.

Each table is divided anew for every round, test rows in equal shares of the classes; a folder with `train.csv` and `test.csv` has its own
test rows, and a round is then another seed alone. Rivals learn from all other rows, a study trains on a part of them and validates on the
rest. Nothing that a contestant decides sees a test row. Rows that a file of figures has already are not measured again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from hpsearch.errors import UserError
from hpsearch.files import write_file
from tests.benchmarks.quality_contestants import OURS, Contestant, contestants
from tests.benchmarks.quality_tables import TABLES, Division, divided

PAGE = 160  # columns of text where the output is no terminal
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant on a table divided once: `score` is accuracy or R², `loss` log loss or RMSE, `seconds` those of the processor."""

    table: str
    seed: int
    contestant: str
    score: float
    loss: float
    seconds: float

    @property
    def key(self) -> tuple[str, int, str]:
        """What is measured once."""
        return self.table, self.seed, self.contestant


def measure_quality(
    count: int,
    tables: Sequence[str] = TABLES,
    rivals: Sequence[str] = (),
    variants: Sequence[str] = (),
    file: str | None = None,
) -> list[Entry]:
    """Return the entries of all rounds, those that the file has among them; it is written after each.

    Raises:
        UserError: fewer than one round, no such table or rival, or one that is not installed.
    """
    if count < 1:
        raise UserError(f"--rounds {count}: a number from 1 expected.")
    known = _read(file)
    asked = contestants(rivals, variants)
    entries = []
    for table in tables:
        for seed in range(count):
            division = divided(table, seed)
            seconds = 0.0  # of the first one, hpsearch
            for name, contestant in asked.items():
                entry = known.get((division.name, seed, name)) or _measured(division, seed, name, contestant, seconds)
                seconds = seconds or entry.seconds
                known[entry.key] = entry
                entries.append(entry)
                if file is not None:
                    write_file(Path(file), json.dumps([asdict(one) for one in known.values()], indent=1) + "\n")
    return entries


def _read(file: str | None) -> dict[tuple[str, int, str], Entry]:
    if file is None or not Path(file).is_file():
        return {}
    entries = [Entry(**row) for row in json.loads(Path(file).read_text())]
    return {entry.key: entry for entry in entries}


def _measured(division: Division, seed: int, name: str, contestant: Contestant, allowed: float) -> Entry:
    """Return a contestant's figures; one that tunes may take `allowed` processor seconds."""
    start = process_time()
    predictions = contestant(division, seed, allowed)
    seconds = process_time() - start
    return Entry(division.name, seed, name, *division.judge(predictions), seconds)


def show_quality(entries: Sequence[Entry]) -> None:
    """Print the scores, and the ranks by score and by loss."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PAGE
    console.print(table_of(entries))


def table_of(entries: Sequence[Entry]) -> Table:
    """Return the means of the rounds: of each table score, loss and processor seconds, and of all tables the ranks."""
    names = [*dict.fromkeys(entry.contestant for entry in entries)]
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, caption=_caption(entries), caption_justify="left")
    for head in ("data", "figure", *names):
        shown.add_column(head, justify="left" if head in ("data", "figure") else "right")
    for table in dict.fromkeys(entry.table for entry in entries):
        for figure, digits in (("score", 4), ("loss", 4), ("seconds", 0)):
            means = [_mean(entries, table, name, figure) for name in names]
            shown.add_row(table * (figure == "score"), figure, *(f"{mean:.{digits}f}" for mean in means))
    for figure in ("score", "loss"):
        ranks = mean_ranks(entries, figure)
        cells = (f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in map(ranks.__getitem__, names))
        shown.add_row("all", f"mean rank by {figure}", *cells)
    return shown


def _mean(entries: Sequence[Entry], table: str, name: str, figure: str) -> float:
    return fmean(getattr(one, figure) for one in entries if (one.table, one.contestant) == (table, name))


def mean_ranks(entries: Sequence[Entry], figure: str) -> Mapping[str, tuple[float, float, float]]:
    """Return each contestant's mean rank by `score` or `loss` (1 is best; equals share theirs), with a 95 % interval over tables."""
    from scipy.stats import rankdata

    names = [*dict.fromkeys(entry.contestant for entry in entries)]
    sign = -1 if figure == "score" else 1
    by_table: dict[str, list[Any]] = {}
    for table, seed in dict.fromkeys((entry.table, entry.seed) for entry in entries):
        values = {one.contestant: getattr(one, figure) for one in entries if (one.table, one.seed) == (table, seed)}
        by_table.setdefault(table, []).append(rankdata([sign * values[name] for name in names]))
    means = np.array([np.mean(ranks, axis=0) for ranks in by_table.values()])  # [tables, contestants]
    draws = np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))
    low, high = np.quantile(means[draws].mean(axis=1), [0.025, 0.975], axis=0)
    return {name: (means[:, i].mean(), low[i], high[i]) for i, name in enumerate(names)}


def _caption(entries: Sequence[Entry]) -> str:
    rounds = 1 + max(entry.seed for entry in entries)
    return (
        f"Means over {rounds} rounds. score: accuracy or R²; loss: log loss or RMSE; seconds of the processor, all threads together. "
        f"{OURS}: the\nstudy `table`; the others have their defaults and learn from all rows but the test rows; scaled: after a "
        "StandardScaler. The intervals of ranks\nare a bootstrap over tables."
    )
