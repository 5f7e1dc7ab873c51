"""The escape tests of a record: which optimizers left which minimum, how often, how soon, and what theory predicts.

The tests are `instability` (which of two global minima can be kept), `thermal` (a barrier that noise climbs), `teacher` (a network with
proven bad minima) and `dead_relu` (nothing can escape). Each has cells: an optimizer (`method` "sgd", "gd", or GD with Gaussian noise as
strong: "isotropic", or "frozen" in the shape of SGD's at the start) from a `start`, at a learning rate and a batch size, within a
`budget`; every run of a cell ends in one class.

Methods are compared at the same learning rate and batch size, from the same minima, in pairs (`Contrast`). What a method does at its best
is read from the runs that were made anew for it (`fresh`), since the best of many cells is so by chance too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import first_passage, wilson
from hpsearch.statistics.paired import holm
from hpsearch.statistics.paired_shares import mcnemar_p, paired_share_difference
from hpsearch.storage import ComparisonRecord

CLASSES = ("escaped", "stuck", "other", "diverged", "unresolved")
ESCAPED = str(CLASSES.index("escaped"))  # as it stands in a cell's outcomes
NOISES = ("frozen", "isotropic")  # Gaussian, with the strength of SGD's at the minimum
NOISY = ("sgd", *NOISES)
HALF = 0.5
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class EscapeCell:
    """The runs of one cell by class; `batch_size` None is the full batch, `total_time` the updates of all, None where not known.

    `theory` has what theory predicts for the cell: `exponent` (of Lyapunov), `kramers` (mean updates to escape), `temperature`.
    `outcomes` has the class of each run, a digit each, from the same minima in the same order in all cells; empty where not stored.
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
    outcomes: str = ""

    @property
    def setting(self) -> tuple[float, int | None]:
        """The learning rate and the batch size."""
        return self.learning_rate, self.batch_size

    @property
    def freed(self) -> list[bool]:
        """Whether each run escaped."""
        return [outcome == ESCAPED for outcome in self.outcomes]

    @property
    def lost(self) -> Estimate:
        """The share of runs that did not stay, of those whose end is known, with Wilson's interval."""
        staying = self.counts["stuck"] + self.counts["unresolved"]
        return wilson(self.seeds - staying, self.seeds)

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
class Contrast:
    """SGD and another method from the same minima: by how much more SGD escaped, with Tango's interval and McNemar's exact p-value."""

    sgd: EscapeCell
    other: EscapeCell
    difference: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class Window:
    """SGD's cells in which half or more of the runs escaped (`leaving`) among those that were `tried`."""

    leaving: tuple[EscapeCell, ...]
    tried: int

    @property
    def octaves(self) -> float:
        """The widest span of learning rates in it at one batch size, in doublings; 0 for a single one, or none."""
        spans = [0.0]
        for size in {cell.batch_size for cell in self.leaving}:
            rates = [cell.learning_rate for cell in self.leaving if cell.batch_size == size]
            spans.append(log2(max(rates) / min(rates)))
        return max(spans)


@dataclass(frozen=True, slots=True)
class Teacher:
    """The network with bad minima: how many of random `starts` gradient descent led to a bad one, and who left those within `updates`.

    `sgd`, `isotropic`, `frozen` and `larger` (GD at larger learning rates) are each at the setting with the most escapes; `fresh` says
    that they were measured anew there. `descent` has the starts that GD left at any of SGD's learning rates, `ahead` by how much SGD's
    best is ahead of that, `matched` SGD's best against both noises at the same setting, `back` SGD's best setting from good minima.
    """

    starts: int
    stuck: Estimate
    updates: int
    fresh: bool
    descent: Estimate | None
    ahead: Estimate | None
    sgd: EscapeCell | None
    isotropic: EscapeCell | None
    frozen: EscapeCell | None
    larger: EscapeCell | None
    back: EscapeCell | None
    matched: Mapping[str, Contrast]
    window: Window


@dataclass(frozen=True, slots=True)
class Course:
    """The fresh cells at one setting by method, each list by updates.

    `names` says whose best setting it is: a method's, or "sgd_early", SGD's after the fewest updates.
    """

    names: tuple[str, ...]
    learning_rate: float
    batch_size: int | None
    cells: Mapping[str, Sequence[EscapeCell]]


@dataclass(frozen=True, slots=True)
class Dead:
    """All runs of one optimizer and batch size from the dead start or the live one, over its learning rates.

    GD is deterministic and all its runs begin at one point: its share has no interval.
    """

    method: str
    start: str
    batch_size: int | None
    escaped: Estimate
    count: int
    seeds: int


# ---- cells


def cells(
    record: ComparisonRecord, test: str, method: str = "", start: str = "", budget: str = "updates", fresh: bool = False
) -> list[EscapeCell]:
    """Return the cells of a test within a budget, of one method and start where they are given, each after its most updates."""
    found: dict[object, EscapeCell] = {}
    for cell in all_cells(record, test, method, start, budget, fresh):
        key = (cell.method, cell.start, cell.setting, cell.budget)
        if key not in found or found[key].updates < cell.updates:
            found[key] = cell
    return list(found.values())


def all_cells(
    record: ComparisonRecord, test: str, method: str = "", start: str = "", budget: str = "", fresh: bool = False
) -> list[EscapeCell]:
    """Return the cells of a test after each number of updates at which its runs were looked at; `budget` "" has all budgets."""
    table = record.minima.get(test, {})
    columns = table.get("fresh", {}).get("cells", {}) if fresh else table.get("cells", {})
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
        outcomes=str(row.get("outcomes", "")),
    )


def _batch_size(stored: int | str) -> int | None:
    """Return a stored batch size, None for the full batch."""
    return None if isinstance(stored, str) else int(stored)


def most_escaped(group: Sequence[EscapeCell]) -> EscapeCell | None:
    """Return the cell with the greatest share of escapes, of equal ones that with fewer divergences; None without any."""
    return max(group, key=lambda cell: (cell.share("escaped"), -cell.share("diverged")), default=None)


def contrast(sgd: EscapeCell, other: EscapeCell) -> Contrast | None:
    """Return SGD against another method, run by run; None where single runs were not stored."""
    if not sgd.outcomes or len(sgd.outcomes) != len(other.outcomes):
        return None
    difference = paired_share_difference(sgd.freed, other.freed)
    return Contrast(sgd, other, difference, mcnemar_p(sgd.freed, other.freed))


def contrasts(group: Sequence[EscapeCell]) -> list[Contrast]:
    """Return SGD against each noise at each learning rate and batch size of some cells, within the same updates."""
    sampled = {(cell.setting, cell.updates): cell for cell in group if cell.method == "sgd"}
    result = []
    for cell in group:
        sgd = sampled.get((cell.setting, cell.updates))
        if sgd is not None and cell.method in NOISES:
            found = contrast(sgd, cell)
            result += [found] if found else []
    return result


def differing(found: Sequence[Contrast]) -> tuple[int, int]:
    """Return in how many contrasts SGD escaped more often, and in how many less, by McNemar's test with Holm's correction for all."""
    if not found:
        return 0, 0
    p_values = holm([one.p for one in found])
    apart = [one.difference.value for one, p in zip(found, p_values, strict=True) if p < SIGNIFICANT]
    return sum(value > 0 for value in apart), sum(value < 0 for value in apart)


# ---- instability


def boundaries(record: ComparisonRecord) -> list[Boundary]:
    """Return theory's boundaries of the instability test, smallest batch size first, the full batch last."""
    stored = record.minima.get("instability", {}).get("boundaries", [])
    found = [Boundary(_batch_size(row["batch_size"]), row["lyapunov"], row["mean_square"]) for row in stored]
    return sorted(found, key=lambda boundary: (boundary.batch_size is None, boundary.batch_size or 0))


def instability_cells(record: ComparisonRecord) -> list[EscapeCell]:
    """Return the cells of the instability test from x = 1, SGD's and GD's."""
    return [cell for cell in cells(record, "instability", start="x = 1") if cell.method in ("sgd", "gd")]


def lyapunov_agreement(record: ComparisonRecord) -> Agreement:
    """Return in how many cells from x = 1 runs left as the sign of the exponent predicts; no exponent is minus infinity."""
    found = instability_cells(record)
    agreeing = [cell for cell in found if (cell.left >= HALF) == ((cell.theory.get("exponent") or -1.0) > 0)]
    return Agreement(len(found), len(agreeing))


def leaving_from(record: ComparisonRecord, batch_size: int | None) -> float | None:
    """Return the smallest learning rate of the instability test at which half or more of a batch size's runs left; None if none."""
    leaving = [cell for cell in instability_cells(record) if cell.batch_size == batch_size and cell.left >= HALF]
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


def teacher(record: ComparisonRecord) -> Teacher | None:
    """Return who left the bad minima of the network, None where the test was not made."""
    table = record.minima.get("teacher", {})
    if not table.get("minima", {}).get("starts"):
        return None
    parts = [table["minima"], *([table["fresh"]["minima"]] if "fresh" in table else [])]
    starts = sum(int(part["starts"]) for part in parts)
    sampled = cells(record, "teacher", "sgd", "bad")
    rates = {cell.learning_rate for cell in sampled}
    descent = [cell for cell in best_cells(record, "gd", "bad") if cell.learning_rate in rates]
    larger = [cell for cell in best_cells(record, "gd", "bad") if cell.learning_rate not in rates]
    sgd = best_cell(record, "sgd")
    return Teacher(
        starts=starts,
        stuck=wilson(sum(int(part["spurious"]) for part in parts), starts),
        updates=max((cell.updates for cell in sampled), default=0),
        fresh=is_fresh(record),
        descent=_left_by_any(descent),
        ahead=_ahead_of_descent(sgd, descent),
        sgd=sgd,
        isotropic=best_cell(record, "isotropic"),
        frozen=best_cell(record, "frozen"),
        larger=most_escaped(larger),
        back=_same_setting(record, sgd, "sgd", "good"),
        matched=_matched(record, sgd),
        window=Window(tuple(cell for cell in sampled if cell.share("escaped") >= HALF), len(sampled)),
    )


def is_fresh(record: ComparisonRecord) -> bool:
    """Whether the best settings of the network's test were measured anew, from bad minima of other starts."""
    return bool(all_cells(record, "teacher", start="bad", fresh=True))


def best_cells(record: ComparisonRecord, method: str, start: str) -> list[EscapeCell]:
    """Return a method's cells of the network's test that were measured anew at the best settings; all cells where none were."""
    return cells(record, "teacher", method, start, fresh=is_fresh(record))


def best_cell(record: ComparisonRecord, method: str) -> EscapeCell | None:
    """Return a method's cell at the setting with the most escapes, as it was measured anew; None without a cell."""
    found = best_cells(record, method, "bad")
    if not is_fresh(record):
        return most_escaped(found)
    chosen = record.minima["teacher"]["best"][method]
    setting = (float(chosen["learning_rate"]), _batch_size(chosen["batch_size"]))
    return next((cell for cell in found if cell.setting == setting), None)


def _freed_by_any(group: Sequence[EscapeCell]) -> list[bool]:
    """Return of each start whether GD left it at any learning rate: GD is deterministic, so that each start counts once."""
    return [any(each) for each in zip(*(cell.freed for cell in group), strict=True)]


def _left_by_any(group: Sequence[EscapeCell]) -> Estimate | None:
    """Return the share of starts that GD left at any learning rate; at the best of them where single runs were not stored."""
    freed = _freed_by_any(group)
    if freed:
        return wilson(sum(freed), len(freed))
    best = most_escaped(group)
    return best.escaped if best else None


def _ahead_of_descent(sgd: EscapeCell | None, group: Sequence[EscapeCell]) -> Estimate | None:
    """Return by how much SGD's best is ahead of GD at any learning rate, start by start; None where single runs were not stored."""
    freed = _freed_by_any(group)
    if sgd is None or not freed or len(sgd.freed) != len(freed):
        return None
    return paired_share_difference(sgd.freed, freed)


def _same_setting(record: ComparisonRecord, sgd: EscapeCell | None, method: str, start: str) -> EscapeCell | None:
    """Return the cell of another method or start at SGD's setting."""
    if sgd is None:
        return None
    return next((cell for cell in best_cells(record, method, start) if cell.setting == sgd.setting), None)


def _matched(record: ComparisonRecord, sgd: EscapeCell | None) -> dict[str, Contrast]:
    """Return SGD against both noises at its own setting."""
    result = {}
    for method in NOISES:
        other = _same_setting(record, sgd, method, "bad")
        found = contrast(sgd, other) if sgd and other else None
        if found:
            result[method] = found
    return result


def courses(record: ComparisonRecord) -> list[Course]:
    """Return what was measured anew at each best setting, SGD's first, by method and updates; none in a record of before."""
    table = record.minima.get("teacher", {})
    found = all_cells(record, "teacher", start="bad", budget="updates", fresh=True)
    named: dict[tuple[float, int | None], list[str]] = {}
    for name, chosen in table.get("best", {}).items():
        size = _batch_size(chosen["batch_size"])
        if size is not None:
            named.setdefault((float(chosen["learning_rate"]), size), []).append(name)
    result = []
    for setting, names in named.items():
        own = {method: [cell for cell in found if (cell.method, cell.setting) == (method, setting)] for method in NOISY}
        own["gd"] = [cell for cell in found if (cell.method, cell.learning_rate) == ("gd", setting[0])]
        by_updates = {method: sorted(group, key=lambda cell: cell.updates) for method, group in own.items() if group}
        result.append(Course(tuple(names), *setting, by_updates))
    return result


def dead(record: ComparisonRecord) -> list[Dead]:
    """Return the escapes of the dead unit's test: the dead start first, the positive control from the live start last."""
    groups: dict[tuple[str, str, int | None], list[EscapeCell]] = {}
    for cell in cells(record, "dead_relu"):
        groups.setdefault((cell.start, cell.method, cell.batch_size), []).append(cell)
    result = []
    for (start, method, size), group in groups.items():
        escaped = sum(cell.counts["escaped"] for cell in group)
        seeds = sum(cell.seeds for cell in group)
        share = wilson(escaped, seeds)
        if method == "gd":
            share = Estimate(share.value, share.value, share.value)
        result.append(Dead(method, start, size, share, escaped, seeds))
    return sorted(result, key=lambda row: row.start != "dead")
