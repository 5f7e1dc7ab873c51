"""Gradient descent, a mini-batch and SGD side by side: what each needed and became, and which of them the intervals tell apart.

One batch size is ahead of another where the interval of their comparison over the same seeds leaves no other order: for costs and for
what was measured update by update a ratio with the luck of tuning in it (`statistics.luck`), for test scores a difference, for escapes
the difference of two shares. What is not known puts nobody ahead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from math import isfinite

from hpsearch.comparison.analysis.contrasts import cost_ratio, lead_on_test_rows, of_first, stopped_short
from hpsearch.comparison.analysis.escape import CLASSES, EscapeCell, best_cell, cells, is_fresh, most_escaped, teacher
from hpsearch.comparison.analysis.measured import Spread, smallest_middle_largest, spread
from hpsearch.comparison.analysis.quality import quality
from hpsearch.comparison.analysis.remembered import remembered
from hpsearch.comparison.analysis.times import (
    ENOUGH,
    UNITS,
    ArmTimes,
    nearest_size,
    optimizers,
    regimes,
    seed_pairs,
    times,
)
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference, wilson
from hpsearch.statistics.luck import LEAST, with_luck
from hpsearch.statistics.paired import paired_ratio
from hpsearch.storage import ArmRecord, ComparisonRecord

CRITERIA = (*UNITS, "stability", "path", "minima", "test")
PHASES = ("before", "updates")  # of the variability: update by update before the target, and after it
Value = Estimate | Spread
BySeed = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a batch size stands in one of `CRITERIA`: its values (of stability by phase), and the sizes that it is ahead of, or behind.

    `other_size` is the batch size that the escape test has in the place of this one, where it is another.
    """

    values: Mapping[str, Value]
    ahead: tuple[int, ...] = ()
    behind: tuple[int, ...] = ()
    other_size: int | None = None


Standings = Mapping[int, Standing]  # by batch size


def compared_sizes(record: ComparisonRecord) -> tuple[int, ...]:
    """Return the batch sizes that stand for GD, mini-batches and SGD, the largest first.

    Where one of the three is lacking: the smallest, a middle and the largest batch size, as far as there are.
    """
    if not record.arms:
        return ()
    found = of_first(record, times(record))
    sizes = regimes(record, optimizers(record)[0]) or smallest_middle_largest(found, lambda size: size)
    return tuple(sorted(sizes, reverse=True))


@remembered
def standings(record: ComparisonRecord) -> list[tuple[str, Standings]]:
    """Return how the compared batch sizes stand in each criterion, in their order; without those of which nothing is known."""
    sizes = compared_sizes(record)
    found = {unit: _times(record, sizes, unit) for unit in UNITS}
    found["stability"] = _measured(record, sizes, {phase: ("variability", phase, "deviation") for phase in PHASES})
    found["path"] = _measured(record, sizes, {"target": ("path", "target", "detour")})
    found["minima"] = _minima(record, sizes)
    found["test"] = _test(record, sizes)
    return [(name, found[name]) for name in CRITERIA if any(one.values for one in found[name].values())]


def leaders(of_sizes: Standings) -> tuple[int, ...]:
    """Return the batch sizes that are behind nobody and have a finite value, the largest first: several where they cannot be told apart."""
    finite = [
        size for size, one in of_sizes.items() if one.values and all(isfinite(v.value) for v in one.values.values())
    ]
    return tuple(size for size in finite if not of_sizes[size].behind)


def _ranked(values: Mapping[int, Mapping[str, Value]], is_ahead: Callable[[int, int], bool]) -> dict[int, Standing]:
    """Return the standings of batch sizes by their values and by whether the first of two is ahead."""
    result = {size: Standing(own) for size, own in values.items()}
    known = [size for size, own in values.items() if own]
    for size, other in permutations(known, 2):
        if is_ahead(size, other):
            result[size] = replace(result[size], ahead=(*result[size].ahead, other))
            result[other] = replace(result[other], behind=(*result[other].behind, size))
    return result


# ---- costs


def _times(record: ComparisonRecord, sizes: Sequence[int], unit: str) -> Standings:
    arms = of_first(record, times(record))
    known = {size: arms[size] for size in sizes if size in arms}
    values = {size: {unit: arm.costs[unit].median} if unit in arm.costs else {} for size, arm in known.items()}
    return _ranked(values, lambda size, other: _is_sooner(record, known[size], known[other], unit))


def _is_sooner(record: ComparisonRecord, arm: ArmTimes, other: ArmTimes, unit: str) -> bool:
    if min(arm.runs, other.runs) < ENOUGH or not isfinite(arm.costs[unit].median.value):
        return False
    if stopped_short(record, other, arm, unit):
        return False
    ratio = cost_ratio(record, other, arm, unit)
    return ratio is not None and ratio.low > 1


# ---- what was measured update by update


def _measured(record: ComparisonRecord, sizes: Sequence[int], places: Mapping[str, tuple[str, str, str]]) -> Standings:
    """Return the standings by measurements of which less is better; one that is ahead is so in each of the `places`."""
    arms = of_first(record, record.arms)
    found = {
        size: {name: _by_seed(arms[size], *place) for name, place in places.items()} for size in sizes if size in arms
    }
    values = {size: {name: spread(one.values()) for name, one in own.items() if one} for size, own in found.items()}
    return _ranked(values, lambda size, other: _is_lower(record, found[size], found[other]))


def _by_seed(arm: ArmRecord, topic: str, place: str, name: str) -> dict[int, float]:
    """Return a positive measurement of an arm's measured runs by seed; `detour` is the length of a path by the straight line."""
    result = {}
    for seed, run in (arm.fastest.measured if arm.fastest else {}).items():
        entry = run.get(topic, {}).get(place, {})
        value = entry.get(name)
        if name == "detour" and entry.get("efficiency"):
            value = 1 / entry["efficiency"]
        if value:
            result[seed] = float(value)
    return result


def _is_lower(record: ComparisonRecord, ours: Mapping[str, BySeed], theirs: Mapping[str, BySeed]) -> bool:
    known = [name for name in ours if ours[name] and theirs[name]]
    ratios = []
    for name in known:
        other, own, divisions = seed_pairs(record, theirs[name], ours[name])
        if len(own) < ENOUGH:
            return False
        ratios.append(with_luck(paired_ratio(other, own, divisions), LEAST))
    return bool(ratios) and all(ratio.low > 1 for ratio in ratios)


# ---- bad minima


def _minima(record: ComparisonRecord, sizes: Sequence[int]) -> Standings:
    """Return the shares of runs that left the certified bad minima of the test's network."""
    found = teacher(record)
    values: dict[int, dict[str, Value]] = {size: {} for size in sizes}
    others: dict[int, int] = {}
    for size in sizes:
        if size == record.rows:
            if found and found.descent:
                values[size] = {"escaped": found.descent}
            continue
        share, tested = _escaped_share(record, size)
        if share is not None:
            values[size] = {"escaped": share}
            others |= {size: tested} if tested != size else {}
    ranked = _ranked(values, partial(_escapes_more, values))
    return {size: replace(one, other_size=others.get(size)) for size, one in ranked.items()}


def _escapes_more(values: Mapping[int, Mapping[str, Value]], size: int, other: int) -> bool:
    ours = values[size]["escaped"]
    theirs = values[other]["escaped"]
    assert isinstance(ours, Estimate), "shares have Wilson's interval"
    assert isinstance(theirs, Estimate), "shares have Wilson's interval"
    return difference(ours, theirs).low > 0


def _escaped_share(record: ComparisonRecord, size: int) -> tuple[Estimate | None, int]:
    """Return the share of SGD's runs that escaped with the tested batch size nearest to `size`, at its best learning rate, and that size.

    The best rate is chosen by every other run and its share is that of the rest: the best of many is so by luck too. Where it is the
    setting that was measured anew, its new runs count.
    """
    tested = [cell for cell in cells(record, "teacher", "sgd", "bad") if cell.outcomes and cell.batch_size]
    sizes = {cell.batch_size or 0 for cell in tested if (cell.batch_size == 1) == (size == 1)}
    if not sizes:
        return None, size
    nearest = nearest_size(sizes, size)
    fresh = best_cell(record, "sgd") if is_fresh(record) else None
    if fresh and fresh.batch_size == nearest:
        return fresh.escaped, nearest
    chosen = most_escaped([_half(cell, 0) for cell in tested if cell.batch_size == nearest])
    assert chosen is not None, "the nearest size has cells"
    rest = next(cell for cell in tested if cell.setting == chosen.setting)
    freed = rest.freed[1::2]
    return wilson(sum(freed), len(freed)), nearest


def _half(cell: EscapeCell, first: int) -> EscapeCell:
    """Return a cell of every other run from the first one on."""
    outcomes = cell.outcomes[first::2]
    counts = {name: outcomes.count(str(place)) for place, name in enumerate(CLASSES)}
    return replace(cell, outcomes=outcomes, counts=counts, seeds=len(outcomes))


# ---- test rows


def _test(record: ComparisonRecord, sizes: Sequence[int]) -> Standings:
    known = of_first(record, quality(record)) if record.arms else {}
    medians = {size: known[size].scores.get("test") for size in sizes if size in known}
    values = {size: {"test": score} if score else {} for size, score in medians.items()}
    return _ranked(values, lambda size, other: _is_better(record, size, other))


def _is_better(record: ComparisonRecord, size: int, other: int) -> bool:
    lead = lead_on_test_rows(record, size, other)
    return lead is not None and lead.low > 0
