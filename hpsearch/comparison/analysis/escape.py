"""The escape tests of a record: which optimizers left which minimum, how often, how soon, and what theory predicts.

The tests are `instability` (which of two global minima can be kept), `thermal` (a barrier that noise climbs), `teacher` (a network with
proven bad minima) and `dead_relu` (nothing can escape). Each has cells: an optimizer (`method` "sgd", "gd", or "isotropic", GD with
Gaussian noise as strong) from a `start`, at a learning rate and a batch size, within a `budget`; every run of a cell ends in one class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import first_passage, wilson
from hpsearch.storage import ComparisonRecord

CLASSES = ("escaped", "stuck", "other", "diverged", "unresolved")
HALF = 0.5


@dataclass(frozen=True, slots=True)
class EscapeCell:
    """The runs of one cell by class; `batch_size` None is the full batch, `total_time` the updates of all, None where not known.

    `theory` has what theory predicts for the cell: `exponent` (of Lyapunov), `kramers` (mean updates to escape), `temperature`.
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

    cell: EscapeCell
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
    sgd: EscapeCell | None
    isotropic: EscapeCell | None
    larger: EscapeCell | None
    back: EscapeCell | None
    window: tuple[EscapeCell, ...]


@dataclass(frozen=True, slots=True)
class Dead:
    """All runs of one optimizer and batch size from the dead start or the live one, over its learning rates."""

    method: str
    start: str
    batch_size: int | None
    escaped: Estimate
    count: int
    seeds: int


# ---- cells


def cells(
    record: ComparisonRecord, test: str, method: str = "", start: str = "", budget: str = "updates"
) -> list[EscapeCell]:
    """Return the cells of a test within a budget ("" for all), of one method and start where they are given."""
    columns = record.minima.get(test, {}).get("cells", {})
    wanted = {"method": method, "start": start, "budget": budget}
    result = []
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        if row["seeds"] and all(value in ("", row[name]) for name, value in wanted.items()):
            result.append(_cell(row))
    return result


def _cell(row: Mapping[str, Any]) -> EscapeCell:
    return EscapeCell(
        method=str(row["method"]),
        start=str(row["start"]),
        learning_rate=float(row["learning_rate"]),
        batch_size=_batch_size(row["batch_size"]),
        budget=str(row["budget"]),
        updates=int(row["updates"]),
        seeds=int(row["seeds"]),
        counts={name: int(row[name]) for name in CLASSES},
        total_time=row["total_time"],
        theory={name: row[name] for name in ("exponent", "kramers", "temperature") if name in row},
    )


def _batch_size(stored: int | str) -> int | None:
    """Return a stored batch size, None for the full batch."""
    return None if isinstance(stored, str) else int(stored)


def pooled(group: Sequence[EscapeCell]) -> Estimate | None:
    """Return the share that escaped of all runs of some cells together, None without any."""
    if not group:
        return None
    return wilson(sum(cell.counts["escaped"] for cell in group), sum(cell.seeds for cell in group))


def most_escaped(group: Sequence[EscapeCell]) -> EscapeCell | None:
    """Return the cell with the greatest share of escapes, of equal ones that with fewer divergences; None without any."""
    return max(group, key=lambda cell: (cell.share("escaped"), -cell.share("diverged")), default=None)


# ---- instability


def boundaries(record: ComparisonRecord) -> list[Boundary]:
    """Return theory's boundaries of the instability test, smallest batch size first, the full batch last."""
    stored = record.minima.get("instability", {}).get("boundaries", [])
    found = [Boundary(_batch_size(row["batch_size"]), row["lyapunov"], row["mean_square"]) for row in stored]
    return sorted(found, key=lambda boundary: (boundary.batch_size is None, boundary.batch_size or 0))


def _map_cells(record: ComparisonRecord) -> list[EscapeCell]:
    """Return the cells of the instability test from x = 1, SGD's and GD's."""
    return [cell for cell in cells(record, "instability", start="x = 1") if cell.method in ("sgd", "gd")]


def lyapunov_agreement(record: ComparisonRecord) -> Agreement:
    """Return in how many cells from x = 1 runs left as the sign of the exponent predicts; no exponent is minus infinity."""
    found = _map_cells(record)
    agreeing = [cell for cell in found if (cell.left >= HALF) == ((cell.theory.get("exponent") or -1.0) > 0)]
    return Agreement(len(found), len(agreeing))


def leaving_from(record: ComparisonRecord, batch_size: int | None) -> float | None:
    """Return the smallest learning rate of the instability test at which half or more of a batch size's runs left; None if none."""
    leaving = [cell for cell in _map_cells(record) if cell.batch_size == batch_size and cell.left >= HALF]
    return min((cell.learning_rate for cell in leaving), default=None)


# ---- thermal


def escape_times(record: ComparisonRecord, method: str = "sgd", start: str = "bad") -> list[EscapeTime]:
    """Return the mean times of the thermal test's cells within their longest budgets, by learning rate and batch size."""
    found = [cell for cell in cells(record, "thermal", method, start, "longest") if cell.total_time]
    ordered = sorted(found, key=lambda cell: (cell.learning_rate, cell.batch_size or 0))
    result = []
    for cell in ordered:
        times = [(cell.total_time or 0.0) / cell.seeds] * cell.seeds  # the estimate depends on their sum alone
        censored = [number >= cell.counts["escaped"] for number in range(cell.seeds)]
        result.append(EscapeTime(cell, first_passage(times, censored), cell.theory.get("kramers")))
    return result


# ---- the network with bad minima, and the dead unit


def teacher(record: ComparisonRecord, budget: str = "updates") -> Teacher | None:
    """Return who left the bad minima of the network, None where the test was not made."""
    minima = record.minima.get("teacher", {}).get("minima", {})
    if not minima.get("starts"):
        return None
    sgd = cells(record, "teacher", "sgd", "bad", budget)
    best = most_escaped(sgd)
    descent = cells(record, "teacher", "gd", "bad")
    rates = {cell.learning_rate for cell in sgd}
    back = None
    if best is not None:
        good = cells(record, "teacher", "sgd", "good", budget)
        setting = (best.learning_rate, best.batch_size)
        back = next((cell for cell in good if (cell.learning_rate, cell.batch_size) == setting), None)
    return Teacher(
        starts=int(minima["starts"]),
        stuck=wilson(int(minima["spurious"]), int(minima["starts"])),
        descent=pooled([cell for cell in descent if cell.learning_rate in rates]),
        sgd=best,
        isotropic=most_escaped(cells(record, "teacher", "isotropic", "bad")),
        larger=most_escaped([cell for cell in descent if cell.learning_rate not in rates]),
        back=back,
        window=tuple(cell for cell in sgd if cell.share("escaped") >= HALF),
    )


def dead(record: ComparisonRecord) -> list[Dead]:
    """Return the escapes of the dead unit's test: the dead start first, the positive control from the live start last."""
    groups: dict[tuple[str, str, int | None], list[EscapeCell]] = {}
    for cell in cells(record, "dead_relu"):
        groups.setdefault((cell.start, cell.method, cell.batch_size), []).append(cell)
    result = []
    for (start, method, size), group in groups.items():
        escaped = sum(cell.counts["escaped"] for cell in group)
        seeds = sum(cell.seeds for cell in group)
        result.append(Dead(method, start, size, wilson(escaped, seeds), escaped, seeds))
    return sorted(result, key=lambda row: row.start != "dead")
