"""Drawing: the rows of one part out of those that are left, at random, by whole groups, or the latest ones; or of each fold.

At random, every class takes its share of each part by largest remainders and at least one row, so that parts are exactly as large as
asked and a rare class is missing nowhere. Groups are drawn several times, and the draw is kept whose size, then whose classes, are
nearest to what was asked. Folds are scikit-learn's, with classes in equal shares and groups whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.options import Folds, Size, drop_hint
from hpsearch.errors import UserError, counted, listed, rows_text, shown

SHARE = 0.15  # of all rows, for validation and for test rows each
FEWEST_ROWS_OF_A_PART = 2  # a spread needs two
LAST = "last"
STREAMS = {"test": 0, "validation": 1, "training": 2, "folds": 3}
DRAWS = 64  # of groups, of which the best is kept
AUTOMATIC_FOLDS = 5
MOST_ROWS_FOLDED = 2_000  # up to which there are folds by default

Division = tuple[Array, Array]  # training and validation rows


def _stream(seed: int, name: str) -> np.random.RandomState:
    """Return the random numbers of a part; NumPy promises never to change those of RandomState."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([int(seed), STREAMS[name]])))


@dataclass(frozen=True, slots=True)
class Drawer:
    """Draws the rows of a part, or of folds, with a seed: rows of each of the `classes` by their `codes` [N] (None: without classes).

    With `groups` [N] whole ones are drawn, so that no part knows rows of another's groups; with `times` [N] the latest rows are taken.
    """

    codes: Array | None
    classes: Sequence[str]
    seed: int
    groups: Array | None = None
    times: Array | None = None

    def part(self, name: str, pool: Array, size: Size, total: int) -> Array:
        """Return rows of the pool, ascending, as near to the size as groups or times allow; a share is of `total` rows."""
        if self.times is not None:
            return _latest(self.times, name, pool, _rows_of(name, size, len(pool), total, FEWEST_ROWS_OF_A_PART))
        if self.groups is not None:
            rows = _rows_of(name, size, len(pool), total, FEWEST_ROWS_OF_A_PART)
            return self._whole_groups(self.groups[pool], name, pool, rows)
        fewest = FEWEST_ROWS_OF_A_PART
        if self.codes is not None:
            fewest = max(fewest, len(self.classes))
        return self._shuffled(name, pool, _rows_of(name, size, len(pool), total, fewest), fewest)

    def last(self, pool: Array, size: Size) -> Array:
        """Return the last rows of the pool, so many or the share of them, as validation rows."""
        return pool[len(pool) - _rows_of("validation", size, len(pool), len(pool), FEWEST_ROWS_OF_A_PART) :]

    def _shuffled(self, name: str, pool: Array, rows: int, fewest: int) -> Array:
        """Return rows at random, each class in its share."""
        if rows < fewest:
            why = f"{fewest} needed"
            if len(self.classes) == fewest:
                why = f"{fewest} classes need one row each"
            raise UserError(f"{name} {rows:,}: too few rows, {why}. Ask for more.")
        draw = _stream(self.seed, name)
        if self.codes is None:
            return np.sort(draw.permutation(pool)[:rows])
        members = [pool[self.codes[pool] == code] for code in range(len(self.classes))]
        shares = _allocate(np.array([len(rows) for rows in members]), rows)
        drawn = [draw.permutation(rows)[:share] for rows, share in zip(members, shares, strict=True)]
        return np.sort(np.concatenate(drawn))

    def _whole_groups(self, groups: Array, name: str, pool: Array, rows: int) -> Array:
        """Return groups [len(pool)] at random, leaving some for the other parts."""
        numbers, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
        others = 2 if name == "test" else 1
        if len(numbers) <= others:
            raise UserError(
                f"{counted(len(numbers), 'group')} for the {name} rows and {counted(others, 'other part')}, "
                "each needs one at least. Leave 'group' out, or give more groups."
            )
        draw = _stream(self.seed, name)
        draws = [_nearest(draw.permutation(len(numbers)), counts, rows, len(numbers) - others) for _ in range(DRAWS)]
        best = min(draws, key=lambda chosen: self._distance(chosen[members], pool, rows))
        return np.asarray(pool[best[members]])

    def _distance(self, chosen: Array, pool: Array, rows: int) -> tuple[int, int, float]:
        """Return how far a draw is from what was asked: classes that it or the rest lacks, rows, shares of classes."""
        size = abs(int(chosen.sum()) - rows)
        if self.codes is None:
            return 0, size, 0.0
        every = np.bincount(self.codes[pool], minlength=len(self.classes))
        drawn = np.bincount(self.codes[pool][chosen], minlength=len(self.classes))
        lacking = int((drawn == 0).sum() + (drawn == every).sum())
        return lacking, size, float(np.abs(drawn / max(drawn.sum(), 1) - every / every.sum()).sum())

    def folds(self, asked: Folds, pool: Array, may_fold: bool) -> tuple[Division, ...]:
        """Return the division of each of the folds of a pool, rows ascending, by class where there are class numbers; none for no folds.

        "auto" divides few rows, where one division would decide by chance, if it `may_fold`, and if there are enough rows, rows of each
        class, and groups for every fold.
        """
        if asked is None or (asked == "auto" and not (may_fold and self._are_few_enough(pool))):
            return ()
        count = AUTOMATIC_FOLDS if asked == "auto" else asked
        self._check_folds(pool, count)
        labels = None if self.codes is None else self.codes[pool]
        groups = None if self.groups is None else self.groups[pool]
        folds = self._splitter(count).split(np.zeros((len(pool), 1)), labels, groups)
        divisions = tuple((pool[training], pool[validation]) for training, validation in folds)
        for number, division in enumerate(divisions):
            self._check_classes(number, division)
        return divisions

    def _are_few_enough(self, pool: Array) -> bool:
        counts = [len(pool)]
        if self.codes is not None:
            counts += np.bincount(self.codes[pool]).tolist()
        if self.groups is not None:
            counts.append(len(np.unique(self.groups[pool])))
        return len(pool) <= MOST_ROWS_FOLDED and min(counts) >= 2 * AUTOMATIC_FOLDS

    def _splitter(self, folds: int) -> Any:
        from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

        splitters = {
            (False, False): KFold,
            (True, False): StratifiedKFold,
            (False, True): GroupKFold,
            (True, True): StratifiedGroupKFold,
        }
        splitter = splitters[self.codes is not None, self.groups is not None]
        return splitter(folds, shuffle=True, random_state=int(_stream(self.seed, "folds").randint(2**31)))

    def _check_folds(self, pool: Array, folds: int) -> None:
        if not is_whole(folds) or folds < 2:
            raise UserError(f"folds {shown(folds)}: a whole number from 2 expected.")
        if 2 * folds > len(pool):
            raise UserError(f"folds {folds}: only {len(pool):,} rows, and each needs 2. Ask for fewer folds.")
        if self.groups is not None:
            count = len(np.unique(self.groups[pool]))
            if count < folds:
                raise UserError(f"folds {folds}: only {count:,} groups, and each needs one. Ask for fewer folds.")
        if self.codes is None:
            return
        counts = np.bincount(self.codes[pool], minlength=len(self.classes))
        if (counts < folds).any():
            raise UserError(
                f"folds {folds}: {few_rows(self.classes, counts, folds)} besides the test rows, and each fold needs one of each class. "
                f"Ask for fewer folds, or {way_out(self.classes)}."
            )

    def _check_classes(self, number: int, division: Division) -> None:
        for part, rows in zip(("training", "validation"), division, strict=True):
            lacking = self.lacking(rows)
            if lacking is not None:
                raise UserError(
                    f"class {shown(self.classes[lacking])} is missing in the {part} rows of fold {number}: its rows lie in too few groups. "
                    "Ask for fewer folds, or leave 'group' out."
                )

    def lacking(self, rows: Array) -> int | None:
        """Return the number of the first class that some rows lack, None where they lack none."""
        if self.codes is None:
            return None
        lacking = np.setdiff1d(np.arange(len(self.classes)), self.codes[rows])
        return int(lacking[0]) if len(lacking) else None


def few_rows(classes: Sequence[str], counts: Array, needed: int) -> str:
    """Return which classes have fewer rows than needed, of the rows [C] of each: `class 'a' has 1 row`, the rarest first."""
    order = np.argsort(counts, kind="stable")
    rare = [int(number) for number in order if counts[number] < needed]
    least, most = int(counts[rare[0]]), int(counts[rare[-1]])
    if len(rare) == 1:
        return f"class {shown(classes[rare[0]])} has {rows_text(least)}"
    rows = f"{least} to {most} rows"
    if least == most:
        rows = f"{rows_text(least)} each"
    return f"classes {listed([classes[number] for number in rare])} have {rows}"


def way_out(classes: Sequence[str]) -> str:
    """Return what to do about classes with too few rows; classes that are numbers can be predicted as numbers."""
    advice = f"add rows of them, or drop them: {drop_hint('rare-classes')}"
    if all(label.lstrip("-").isdigit() for label in classes):
        return f'{advice}, or predict a number: task = "regression" (--task regression)'
    return advice


def is_last(validation: object) -> bool:
    """Whether validation rows are the last ones."""
    return isinstance(validation, str) and validation.partition(":")[0] == LAST


def last_size(validation: str) -> Size:
    """Return how many rows "last", "last:5000" or "last:0.1" asks for, None where it does not say.

    Raises:
        UserError: no number follows.
    """
    _, colon, given = validation.partition(":")
    if not colon:
        return None
    try:
        size = float(given)
    except ValueError:
        raise UserError(
            f'validation {shown(validation)}: a number of rows or a share after "last:" expected, as in "last:5000".'
        ) from None
    return int(size) if size.is_integer() else size


def is_whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _latest(times: Array, name: str, pool: Array, rows: int) -> Array:
    """Return the latest rows of the pool, those of one time together, ascending by number."""
    order = pool[np.argsort(times[pool], kind="stable")]
    ordered = times[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # where another time begins
    if len(edges) == 0:
        raise UserError(f"all {len(pool):,} rows left for the {name} part and others have one time. Leave 'time' out.")
    return np.sort(order[edges[np.abs(len(pool) - rows - edges).argmin()] :])


def _rows_of(part: str, size: Size, left: int, total: int, fewest: int) -> int:
    """Return a part's number of rows from a share or a number; a share gives no fewer than `fewest`."""
    size = SHARE if size is None else size
    is_number = isinstance(size, int | float | np.number) and not isinstance(size, bool)
    if not is_number or not (0 < size < 1 or (size >= 1 and float(size).is_integer())):
        raise UserError(f"{part} {shown(size)}: a share between 0 and 1, or a number of rows from 1, expected.")
    rows = max(round(size * total), fewest) if size < 1 else int(size)
    if rows >= left:
        advice = "Ask for fewer."
        if size < 1 and rows > round(size * total):
            advice = (
                f"A row of each of {fewest:,} classes is needed there: give more rows, or a target of fewer classes."
            )
        raise UserError(f"{part} {rows:,}: only {left:,} rows are left for it and the other parts. {advice}")
    return rows


def _nearest(order: Array, counts: Array, rows: int, most: int) -> Array:
    """Return which groups [G] together are near `rows`: in random order while they fit, then those that fill the gap."""
    taken = np.zeros(len(order), dtype=bool)
    fitting = int(np.searchsorted(np.cumsum(counts[order]), rows, side="right"))
    taken[order[: min(fitting, most)]] = True
    if not taken.any():  # all are larger than what was asked
        taken[order[counts[order].argmin()]] = True
    gap = rows - int(counts[taken].sum())
    for group in _fillers(order, counts, taken, gap):
        if taken.sum() < most and abs(gap - counts[group]) < abs(gap):
            taken[group] = True
            gap -= int(counts[group])
    return taken


def _fillers(order: Array, counts: Array, taken: Array, gap: int) -> Array:
    """Return groups that may fill a gap, those that fit before those that go beyond, the nearest first of each."""
    left = order[~taken[order]]
    distance = np.abs(counts[left] - gap)
    return left[np.lexsort((distance, counts[left] > gap))][:1000]


def _allocate(counts: Array, size: int) -> list[int]:
    """Return how many of each class's rows make `size`: proportional, at least one, largest remainders first."""
    ideal = counts * (size / counts.sum())
    taken = np.maximum(1, np.floor(ideal)).astype(np.int64)
    while taken.sum() < size:
        taken[np.argmax(np.where(taken < counts, ideal - taken, -np.inf))] += 1
    while taken.sum() > size:
        taken[np.argmin(np.where(taken > 1, ideal - taken, np.inf))] -= 1
    return list(map(int, taken))
