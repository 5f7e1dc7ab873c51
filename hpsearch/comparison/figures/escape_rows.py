"""The rows of an escape test's table."""

from collections.abc import Sequence

from hpsearch.comparison.analysis.escape import CLASSES, Cell
from hpsearch.comparison.figures.row import Rows


def cell_rows(cells: Sequence[Cell], theory: Sequence[str]) -> Rows:
    """Return one row a cell: what ran, how its runs ended, the interval of the escapes, and what theory says of it."""
    return [
        {
            "method": cell.method,
            "start": cell.start,
            "rate": cell.learning_rate,
            "batch_size": cell.batch_size,
            "budget": cell.budget,
            "budget_steps": cell.updates,
            "seeds": cell.seeds,
        }
        | {f"runs_{name}": cell.counts[name] for name in CLASSES}
        | {"escaped_share": cell.escaped.value, "escaped_low": cell.escaped.low, "escaped_high": cell.escaped.high}
        | {name: cell.theory.get(name) for name in theory}
        for cell in cells
    ]
