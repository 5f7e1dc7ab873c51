"""Table of the regimes that a search sampled: batch size 1, mini-batches, the full batch."""

from collections import Counter
from statistics import median

import pandas as pd

from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.regimes import by_regime, is_known, regime_name
from hpsearch.reporting.tables.table import Column, Frames, Table, frame
from hpsearch.storage import StudyRecord
from hpsearch.trial import Outcome

REGIMES = (
    Column("regime", "", "batch size 1 (SGD), mini-batches, or the full batch (GD)"),
    Column("trials", "count", "trials that ended, repeats aside"),
    Column("pruned", "count", "of these, trials that the pruner stopped"),
    Column("diverged", "count", "of these, trials whose loss was no longer finite"),
    Column("usable", "count", "of these, trials that trained to their end"),
    Column("best_value", "metric", "the best value of a usable trial"),
    Column("median_value", "metric", "the median over the usable trials"),
    Column("median_seconds", "s", "wall time of a usable trial, the median"),
)


def _regimes(record: StudyRecord, done: Frames) -> pd.DataFrame:
    rows = []
    groups = by_regime(record) if is_known(record) else {}
    better = max if MetricFormat.of(record).maximize else min
    for regime, trials in groups.items():
        outcomes = Counter(trial.outcome for trial in trials)
        usable = [trial for trial in trials if trial.usable]
        values = [trial.value for trial in usable if trial.value is not None]
        seconds = [trial.seconds for trial in usable if trial.seconds is not None]
        rows.append(
            {
                "regime": regime_name(regime, trials, record),
                "trials": len(trials),
                "pruned": outcomes[Outcome.PRUNED],
                "diverged": outcomes[Outcome.DIVERGED],
                "usable": len(usable),
                "best_value": better(values) if values else None,
                "median_value": median(values) if values else None,
                "median_seconds": median(seconds) if seconds else None,
            }
        )
    return frame(REGIMES, rows)


SAMPLED_REGIMES = Table("regimes", "Batch sizes", REGIMES, _regimes, optional=True)
