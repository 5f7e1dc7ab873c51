"""Splits: which rows train, which validate, which test; drawn with a seed, classes in equal shares (see `drawing`).

Test rows are drawn first, from a stream of their own: they depend on the seed and their number only, not on the validation rows or on a
cap of the training rows. Rows of one group stay in one part; with a time, the earliest rows train and the latest test. Folds divide
all rows but the test rows, and each validates in turn (see `folding`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.cells import Array, shown
from hpsearch.data.folding import Folds, fold_rows, folds_for
from hpsearch.data.partition import (
    FEWEST_ROWS_OF_A_PART,
    SHARE,
    ByGroup,
    ByTime,
    Drawer,
    Shuffled,
    Size,
)
from hpsearch.errors import UserError

__all__ = ["SHARE", "Folds", "Order", "Size", "Sizes", "Split", "split_rows"]

FEWEST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, ascending and disjoint, int64.

    `folds` are (training, validation) of each division of a cross-validation, the first one's being `training` and `validation`. A
    `whole` split trains on all rows but the test rows, and its validation rows are the same.
    """

    training: Array
    validation: Array
    test: Array
    folds: tuple[tuple[Array, Array], ...] = ()

    @property
    def divisions(self) -> tuple[tuple[Array, Array], ...]:
        """(training, validation) of each division, one where there are no folds."""
        return self.folds or ((self.training, self.validation),)

    @property
    def seen(self) -> Array:
        """The rows that say what the columns are: the training rows, or of all folds together."""
        return np.unique(np.concatenate([rows for rows, _ in self.folds])) if self.folds else self.training


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was asked: shares below 1 of the rows drawn from, or numbers of rows; None is the default share, or no cap (`training`).

    `given_test` rows at the end are the data set's own test rows, and no others are drawn; `test` = 0 draws none. `folds` divide what is
    left in so many parts; `whole` trains on validation rows too.
    """

    validation: Size = None
    test: Size = None
    training: int | None = None
    given_test: int = 0
    folds: Folds = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What keeps rows together or in order: codes [N] of their groups, or their times [N] as numbers."""

    groups: Array | None = None
    times: Array | None = None


def split_rows(
    codes: Array | None, count: int, classes: Sequence[str], sizes: Sizes, seed: int, order: Order | None = None
) -> Split:
    """Split `count` rows; `codes` [count] are class numbers, None draws without classes.

    Raises:
        UserError: too few rows, a part that leaves none for another, a class that is missing in a part.
    """
    _check(count, sizes, seed)
    order = order or Order()
    drawer = _drawer(codes, len(classes), seed, order)
    pool = np.arange(count - sizes.given_test)
    test = _test_rows(drawer, pool, count, sizes)
    left = np.setdiff1d(pool, test, assume_unique=True)
    folds: tuple[tuple[Array, Array], ...] = ()
    count_of_folds = folds_for(sizes.folds, left, codes, order.groups, sizes.validation is None and order.times is None)
    if count_of_folds is None:
        validation = drawer.part("validation", left, sizes.validation, len(pool))
        training = np.setdiff1d(left, validation, assume_unique=True)
    else:
        folds = fold_rows(left, codes, classes, order.groups, count_of_folds, seed)
        training, validation = folds[0]
    capper = Shuffled(codes, len(classes), seed)
    training = _capped(capper, training, sizes.training)
    folds = tuple((_capped(capper, rows, sizes.training), others) for rows, others in folds)
    split = Split(training, validation, test, folds)
    _check_parts(split, codes, classes, order)
    return _whole(split) if sizes.whole else split


def _drawer(codes: Array | None, classes: int, seed: int, order: Order) -> Drawer:
    if order.times is not None:
        return ByTime(order.times)
    if order.groups is not None:
        return ByGroup(order.groups, codes, classes, seed)
    return Shuffled(codes, classes, seed)


def _test_rows(drawer: Drawer, pool: Array, count: int, sizes: Sizes) -> Array:
    if sizes.given_test:
        return np.arange(len(pool), count)
    none = isinstance(sizes.test, int) and not isinstance(sizes.test, bool) and sizes.test == 0
    return pool[:0] if none else drawer.part("test", pool, sizes.test, len(pool))


def _capped(drawer: Drawer, training: Array, most: int | None) -> Array:
    if most is None or most >= len(training):
        return training
    return drawer.part("training", training, int(most), len(training))


def _whole(split: Split) -> Split:
    everything = np.union1d(split.training, split.validation)
    return Split(everything, everything, split.test)


def _check(count: int, sizes: Sizes, seed: int) -> None:
    if count < FEWEST_ROWS:
        raise UserError(f"{count} row{'s' * (count != 1)}, at least {FEWEST_ROWS} needed. Give more rows.")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"seed {shown(seed)}: a whole number from 0 expected.")
    if sizes.given_test and sizes.test is not None:
        raise UserError(
            f"test {sizes.test}: this data set brings {sizes.given_test:,} test rows of its own. Leave 'test' out."
        )
    if isinstance(sizes.folds, int) and sizes.validation is not None:
        raise UserError("validation: with folds each of them validates in turn. Leave one of the two out.")
    rows = sizes.training
    if rows is not None and (not isinstance(rows, int | np.integer) or isinstance(rows, bool) or rows < 1):
        raise UserError(f"rows {shown(rows)}: a number of training rows from 1 expected.")


def _check_parts(split: Split, codes: Array | None, classes: Sequence[str], order: Order) -> None:
    parts = {"training": split.training, "validation": split.validation}
    for part, rows in (parts | ({"test": split.test} if len(split.test) else {})).items():
        if len(rows) < FEWEST_ROWS_OF_A_PART:
            raise UserError(
                f"{len(rows)} {part} row, at least {FEWEST_ROWS_OF_A_PART} needed. Give more rows or smaller parts."
            )
        if codes is not None:
            _check_classes(part, codes[rows], codes, classes, order)


def _check_classes(part: str, codes: Array, all_codes: Array, classes: Sequence[str], order: Order) -> None:
    """Refuse a part in which a class is missing: what it cannot show, it cannot measure."""
    for code, rows in enumerate(np.bincount(codes, minlength=len(classes)).tolist()):
        if rows == 0:
            count = int((all_codes == code).sum())
            numbers = all(name.lstrip("-").isdigit() for name in classes)
            divided = "time" if order.times is not None else "group" if order.groups is not None else ""
            if divided:
                raise UserError(
                    f"class {shown(classes[code])}: none of its {count:,} rows is in the {part} part, rows being divided by {divided}. "
                    f"Ask for other sizes, drop the class, or leave '{divided}' out."
                )
            raise UserError(
                f"class {shown(classes[code])} has {count} row{'s' * (count != 1)}, too few for the {part} part: training, validation "
                f"and test need at least one each. Add rows of it or drop it{', or choose task regression' * numbers}."
            )
