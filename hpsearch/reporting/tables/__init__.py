"""A study's numbers as pandas tables, each with declared columns: name, unit, meaning.

`TABLES` lists them; `frames` builds all of them from a `StudyRecord` alone, `writing.write` saves them as CSV files. Figures and the
report are made from these frames, so every number that is drawn can be looked up. A searched hyperparameter is a column of its own name
where a table says `<hyperparameter>`. Cells and columns are in English, whatever the language of the page. Files are derived: they can
always be built again.
"""

import pandas as pd

from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.tables.regimes import SAMPLED_REGIMES
from hpsearch.reporting.tables.results import BINS, CLASSES, OBJECTIVES, OF_LABELS, REPLICATES, ROWS
from hpsearch.reporting.tables.space import IMPORTANCES, NUMBERS, SPACE
from hpsearch.reporting.tables.table import Column, Frames, Table
from hpsearch.reporting.tables.trials import ALL_TRIALS, BEST_SO_FAR, BEST_TRIALS, ENDINGS, LEARNING_CURVES, TIMES
from hpsearch.storage import StudyRecord

__all__ = ["TABLES", "Column", "Frames", "Table", "frames"]

_ROWS = (
    ALL_TRIALS,
    BEST_TRIALS,
    LEARNING_CURVES,
    BEST_SO_FAR,
    IMPORTANCES,
    SPACE,
    NUMBERS,
    TIMES,
    REPLICATES,
    OBJECTIVES,
    CLASSES,
    OF_LABELS,
    ROWS,
    BINS,
    ENDINGS,
    SAMPLED_REGIMES,
)
TABLES: dict[str, Table] = {table.name: table for table in _ROWS}


def frames(record: StudyRecord) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES` by name; a study without trials gives tables without rows."""
    record = of_completed_runs(record)
    done: dict[str, pd.DataFrame] = {}
    for table in TABLES.values():
        done[table.name] = table.build(record, done)
    return done
