"""What the escape tests of a record say: who left which minimum, how often, how soon, and what theory says of it.

The tests are `instability` (which of two global minima can be kept), `thermal` (a barrier that noise climbs), `teacher` (a network with
proven bad minima) and `dead_relu` (nothing can escape). Each has cells: an optimizer (`method` "sgd", "gd", or "isotropic", GD with
Gaussian noise as strong) from a `start`, at a learning rate and a batch size, within a `budget`; every run of a cell ends in one class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.statistics import Estimate
from hpsearch.statistics.shares import first_passage, wilson
from hpsearch.storage import ComparisonRecord

CLASSES = ("escaped", "stuck", "other", "diverged", "unresolved")
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Cell:
    """The runs of one cell by class; `batch_size` None is the full batch, `total_time` the updates of all, None where not known.

    `theory` has what the test says of the cell: `exponent` (of Lyapunov), `kramers` (mean updates to escape), `temperature`.
    """

    method: str
    start: str
    learning_rate: float
    batch_size: int | None
    budget: str
    updates: int
    seeds: int
    counts: Mapping[str, int]
    total_time: float | None
    theory: Mapping[str, float | None]

    def share(self, name: str) -> float:
        """Return the share of runs that ended in a class."""
        return self.counts[name] / self.seeds

    @property
    def escaped(self) -> Estimate:
        """The share that escaped, with Wilson's interval."""
        return wilson(self.counts["escaped"], self.seeds)

    @property
    def left(self) -> float:
        """The share that did not stay: escaped, to some other minimum, or diverged."""
        return 1 - self.share("stuck") - self.share("unresolved")


@dataclass(frozen=True, slots=True)
class Boundary:
    """The learning rates from which theory has a batch size leave the minimum: almost every run (`lyapunov`), in mean square."""

    batch_size: int | None
    lyapunov: float | None
    mean_square: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """In how many `cells` at least half the runs left exactly where the Lyapunov exponent is positive (`agreeing`)."""

    cells: int
    agreeing: int


@dataclass(frozen=True, slots=True)
class EscapeTime:
    """The mean updates to escape of a cell, censored ones included: infinite, with a lower bound, where none did; `kramers` by his law."""

    cell: Cell
    mean: Estimate
    kramers: float | None

    @property
    def ratio(self) -> float:
        """Batch size by learning rate, the axis of Kramers' law (examples)."""
        return (self.cell.batch_size or 0) / self.cell.learning_rate


@dataclass(frozen=True, slots=True)
class Teacher:
    """The network with bad minima: how many of random `starts` gradient descent led to a bad one, and who left those.

    `descent` pools GD at the learning rates of SGD, `larger` is GD's cell at a larger one with the most escapes, `sgd` and `isotropic` the
    cells with the most escapes, `window` SGD's cells in which half or more escaped, `back` the same cell as `sgd` from the good minimum.
    """

    starts: int
    stuck: Estimate
    descent: Estimate | None
    sgd: Cell | None
    isotropic: Cell | None
    larger: Cell | None
    back: Cell | None
    window: tuple[Cell, ...]


def cells(
    record: ComparisonRecord, test: str, method: str = "", start: str = "", budget: str = "updates"
) -> list[Cell]:
    """Return the cells of a test within a budget ("" for all), of one method and start where they are given."""
    columns = record.minima.get(test, {}).get("cells", {})
    count = len(columns.get("seeds", []))
    rows = [{name: values[i] for name, values in columns.items()} for i in range(count)]
    found = [_cell(row) for row in rows if row["seeds"]]
    wanted = [cell for cell in found if budget in ("", cell.budget) and method in ("", cell.method)]
    return [cell for cell in wanted if start in ("", cell.start)]


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(
        str(row["method"]),
        str(row["start"]),
        float(row["learning_rate"]),
        None if isinstance(row["batch_size"], str) else int(row["batch_size"]),
        str(row["budget"]),
        int(row["updates"]),
        int(row["seeds"]),
        {name: int(row[name]) for name in CLASSES},
        row["total_time"],
        {name: row[name] for name in ("exponent", "kramers", "temperature") if name in row},
    )


def pooled(group: Sequence[Cell]) -> Estimate | None:
    """Return the share that escaped of all runs of some cells together, None without any."""
    seeds = sum(cell.seeds for cell in group)
    return wilson(sum(cell.counts["escaped"] for cell in group), seeds) if seeds else None


def most_escaped(group: Sequence[Cell]) -> Cell | None:
    """Return the cell with the greatest share of escapes, of equal ones that with fewer divergences; None without any."""
    return max(group, key=lambda cell: (cell.share("escaped"), -cell.share("diverged")), default=None)


def boundaries(record: ComparisonRecord) -> list[Boundary]:
    """Return theory's boundaries of the instability test, smallest batch size first, the full batch last."""
    found = [
        Boundary(None if isinstance(b["batch_size"], str) else int(b["batch_size"]), b["lyapunov"], b["mean_square"])
        for b in record.minima.get("instability", {}).get("boundaries", [])
    ]
    return sorted(found, key=lambda boundary: (boundary.batch_size is None, boundary.batch_size or 0))


def lyapunov_agreement(record: ComparisonRecord) -> Agreement:
    """Return in how many cells from x = 1, SGD's and GD's, runs left as the sign of the exponent has it; no exponent is minus infinity."""
    found = [c for c in cells(record, "instability", start="x = 1") if c.method in ("sgd", "gd")]
    agreeing = [cell for cell in found if (cell.left >= HALF) == ((cell.theory.get("exponent") or -1.0) > 0)]
    return Agreement(len(found), len(agreeing))


def leaving_from(record: ComparisonRecord, batch_size: int | None) -> float | None:
    """Return the smallest learning rate of the instability test at which half or more of a batch size's runs left; None if none."""
    found = cells(record, "instability", start="x = 1")
    own = [cell for cell in found if cell.method in ("sgd", "gd") and cell.batch_size == batch_size]
    return min((cell.learning_rate for cell in own if cell.left >= HALF), default=None)


def escape_times(record: ComparisonRecord, method: str = "sgd", start: str = "bad") -> list[EscapeTime]:
    """Return the mean times of the thermal test's cells within their longest budgets, by learning rate and batch size."""
    found = [c for c in cells(record, "thermal", method, start, "longest") if c.total_time]
    ordered = sorted(found, key=lambda cell: (cell.learning_rate, cell.batch_size or 0))
    return [EscapeTime(cell, _mean_time(cell), cell.theory.get("kramers")) for cell in ordered]


def _mean_time(cell: Cell) -> Estimate:
    """Return the censored estimate, which depends on the runs' times through their sum alone."""
    each, escaped = (cell.total_time or 0.0) / cell.seeds, cell.counts["escaped"]
    return first_passage([each] * cell.seeds, [number >= escaped for number in range(cell.seeds)])


def teacher(record: ComparisonRecord, budget: str = "updates") -> Teacher | None:
    """Return who left the bad minima of the network, None where the test was not made."""
    minima = record.minima.get("teacher", {}).get("minima", {})
    if not minima.get("starts"):
        return None
    sgd = cells(record, "teacher", "sgd", "bad", budget)
    best = most_escaped(sgd)
    descent = cells(record, "teacher", "gd", "bad")
    rates = {cell.learning_rate for cell in sgd}
    return Teacher(
        starts=int(minima["starts"]),
        stuck=wilson(int(minima["spurious"]), int(minima["starts"])),
        descent=pooled([cell for cell in descent if cell.learning_rate in rates]),
        sgd=best,
        isotropic=most_escaped(cells(record, "teacher", "isotropic", "bad")),
        larger=most_escaped([cell for cell in descent if cell.learning_rate not in rates]),
        back=_same(cells(record, "teacher", "sgd", "good", budget), best),
        window=tuple(cell for cell in sgd if cell.share("escaped") >= HALF),
    )


def _same(group: Sequence[Cell], wanted: Cell | None) -> Cell | None:
    """Return the cell of a group at the learning rate and batch size of another cell."""
    at = (wanted.learning_rate, wanted.batch_size) if wanted else None
    return next((cell for cell in group if (cell.learning_rate, cell.batch_size) == at), None)


@dataclass(frozen=True, slots=True)
class Dead:
    """All runs of one optimizer and batch size from the dead start or the live one, over its learning rates."""

    method: str
    start: str
    batch_size: int | None
    escaped: Estimate
    count: int
    seeds: int


def dead(record: ComparisonRecord) -> list[Dead]:
    """Return the escapes of the dead unit's test: the dead start first, the positive control from the live start last."""
    found = cells(record, "dead_relu")
    keys = list(dict.fromkeys((cell.start, cell.method, cell.batch_size) for cell in found))
    groups = [(key, [c for c in found if (c.start, c.method, c.batch_size) == key]) for key in keys]
    rows = [
        Dead(method, start, size, together, sum(c.counts["escaped"] for c in group), sum(c.seeds for c in group))
        for (start, method, size), group in groups
        if (together := pooled(group))
    ]
    return sorted(rows, key=lambda row: row.start != "dead")
