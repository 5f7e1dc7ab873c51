"""Table of the regimes that a search sampled: batch size 1, mini-batches, the full batch."""

import pandas as pd

from hpsearch.reporting.regimes import regime_name, sampled
from hpsearch.reporting.tables.table import Column, Frames, Table, frame
from hpsearch.storage import StudyRecord

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
    for one in sampled(record):
        row = {
            "regime": regime_name(one),
            "trials": len(one.trials),
            "pruned": one.pruned,
            "diverged": one.diverged,
            "usable": len(one.usable),
            "best_value": one.best.value if one.best else None,
            "median_value": one.median,
            "median_seconds": one.median_seconds,
        }
        rows.append(row)
    return frame(REGIMES, rows)


SAMPLED_REGIMES = Table("regimes", "Batch sizes", REGIMES, _regimes, optional=True)
