"""Splits: which rows train, which validate, which test; drawn with a seed, classes in equal shares.

Every class takes its share of each part by largest remainders and at least one row, so that parts are exactly as large as asked and a
rare class is missing nowhere. Test rows are drawn first, from a stream of their own: they depend on the seed and their number only, not on
the validation rows or on a cap of the training rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.cells import Array, shown
from hpsearch.errors import UserError

SHARE = 0.15  # of all rows, for validation and for test rows each
FEWEST_ROWS = 10
FEWEST_ROWS_OF_A_PART = 2  # a spread needs two
STREAMS = {"test": 0, "validation": 1, "training": 2}

Size = float | int | None


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, ascending and disjoint, int64."""

    training: Array
    validation: Array
    test: Array


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was asked: shares below 1 of the rows drawn from, or numbers of rows; None is the default share, or no cap (`training`).

    `given_test` rows at the end are the data set's own test rows, and no others are drawn.
    """

    validation: Size = None
    test: Size = None
    training: int | None = None
    given_test: int = 0


def split_rows(codes: Array | None, count: int, classes: Sequence[str], sizes: Sizes, seed: int) -> Split:
    """Split `count` rows; `codes` [count] are class numbers, None draws without classes.

    Raises:
        UserError: too few rows, a part that leaves none for another, a class that is missing in a part.
    """
    _check(count, sizes, seed)
    draw = _Draw(codes, len(classes), seed)
    pool = np.arange(count - sizes.given_test)
    test = np.arange(len(pool), count) if sizes.given_test else draw.part("test", pool, sizes.test, len(pool))
    left = np.setdiff1d(pool, test, assume_unique=True)
    validation = draw.part("validation", left, sizes.validation, len(pool))
    training = np.setdiff1d(left, validation, assume_unique=True)
    if sizes.training is not None and sizes.training < len(training):
        training = draw.part("training", training, int(sizes.training), len(training))
    split = Split(training, validation, test)
    _check_parts(split, codes, classes)
    return split


@dataclass(frozen=True, slots=True)
class _Draw:
    """How rows are drawn: from which classes (None: without), how many those are, with which seed."""

    codes: Array | None
    classes: int
    seed: int

    def part(self, name: str, pool: Array, size: Size, whole: int) -> Array:
        """Return rows of the pool, ascending, each class in its share; a share counts `whole` rows, and 0 gives none."""
        if size == 0:
            return pool[:0]
        fewest = max(FEWEST_ROWS_OF_A_PART, 0 if self.codes is None else self.classes)
        rows = _rows(name, size, whole, fewest)
        if rows >= len(pool):
            raise UserError(
                f"{name} {rows:,}: only {len(pool):,} rows are left for it and the other parts. Ask for fewer."
            )
        if rows < fewest:
            why = f"{self.classes} classes need one row each" if self.classes == fewest else f"{fewest} needed"
            raise UserError(f"{name} {rows:,}: too few rows, {why}. Ask for more.")
        # NumPy promises never to change RandomState's numbers; each part has a stream of its own.
        stream = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([int(self.seed), STREAMS[name]])))
        if self.codes is None:
            return np.sort(stream.permutation(pool)[:rows])
        members = [pool[self.codes[pool] == code] for code in range(self.classes)]
        shares = _allocate(np.array([len(rows) for rows in members]), rows)
        return np.sort(np.concatenate([stream.permutation(rows)[:n] for rows, n in zip(members, shares, strict=True)]))


def _check(count: int, sizes: Sizes, seed: int) -> None:
    if count < FEWEST_ROWS:
        raise UserError(f"{count} row{'s' * (count != 1)}, at least {FEWEST_ROWS} needed. Give more rows.")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed {shown(seed)}: a whole number from 0 expected.")
    if sizes.given_test and sizes.test is not None:
        raise UserError(
            f"test {sizes.test}: this data set brings {sizes.given_test:,} test rows of its own. Leave 'test' out."
        )
    rows = sizes.training
    if rows is not None and (not isinstance(rows, int | np.integer) or isinstance(rows, bool) or rows < 1):
        raise UserError(f"rows {shown(rows)}: a number of training rows from 1 expected.")


def _rows(part: str, size: Size, whole: int, fewest: int) -> int:
    """Return a part's number of rows from a share or a number; a share gives no fewer than `fewest`."""
    size = SHARE if size is None else size
    number = isinstance(size, int | float | np.number) and not isinstance(size, bool)
    if not number or not (0 < size < 1 or (size >= 1 and float(size).is_integer())):
        raise UserError(f"{part} {shown(size)}: a share between 0 and 1, or a number of rows from 1, expected.")
    return max(round(size * whole), fewest) if size < 1 else int(size)


def _allocate(counts: Array, size: int) -> list[int]:
    """Return how many of each class's rows make `size`: proportional, at least one, largest remainders first."""
    ideal = counts * (size / counts.sum())
    taken = np.maximum(1, np.floor(ideal)).astype(np.int64)
    while taken.sum() < size:
        taken[np.argmax(np.where(taken < counts, ideal - taken, -np.inf))] += 1
    while taken.sum() > size:
        taken[np.argmin(np.where(taken > 1, ideal - taken, np.inf))] -= 1
    return [int(n) for n in taken]


def _check_parts(split: Split, codes: Array | None, classes: Sequence[str]) -> None:
    for part in ("training", "validation", "test"):
        rows = getattr(split, part)
        if part == "test" and not len(rows):
            continue
        if len(rows) < FEWEST_ROWS_OF_A_PART:
            raise UserError(
                f"{len(rows)} {part} row, at least {FEWEST_ROWS_OF_A_PART} needed. Give more rows or smaller parts."
            )
        if codes is not None:
            _check_classes(part, codes[rows], codes, classes)


def _check_classes(part: str, codes: Array, all_codes: Array, classes: Sequence[str]) -> None:
    """Refuse a part in which a class is missing: what it cannot show, it cannot measure."""
    for code, rows in enumerate(np.bincount(codes, minlength=len(classes)).tolist()):
        if rows == 0:
            count = int((all_codes == code).sum())
            numbers = all(name.lstrip("-").isdigit() for name in classes)
            raise UserError(
                f"class {shown(classes[code])} has {count} row{'s' * (count != 1)}, too few for the {part} part: training, validation "
                f"and test need at least one each. Add rows of it or drop it{', or choose task regression' * numbers}."
            )
