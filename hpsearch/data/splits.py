"""Splits: which rows train, which validate, which test; drawn with a seed, classes in equal shares (see `partition`).

Test rows are drawn first, from a stream of their own: they depend on the seed and their number only, not on the validation rows or on a
cap of the training rows. Rows of one group stay in one part; with a time, the earliest rows train and the latest test. Folds divide
all rows but the test rows, and each validates in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.options import Size, SplitOptions, drop_hint
from hpsearch.data.partition import FEWEST_ROWS_OF_A_PART, Division, Drawer, is_whole
from hpsearch.errors import UserError, rows_text, shown

FEWEST_ROWS = 10
NO_ROWS = np.arange(0)


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, ascending, int64: (training, validation) of each division, several in a cross-validation, and `test`.

    Parts are disjoint, but for a split that trains on all rows but the test rows: its validation rows are the same.
    """

    divisions: tuple[Division, ...]
    test: Array

    @property
    def training(self) -> Array:
        """The training rows of the first division."""
        return self.divisions[0][0]

    @property
    def validation(self) -> Array:
        """The validation rows of the first division."""
        return self.divisions[0][1]

    @property
    def folds(self) -> tuple[Division, ...]:
        """The divisions of a cross-validation; none where rows are divided once."""
        return self.divisions if len(self.divisions) > 1 else ()

    @property
    def seen(self) -> Array:
        """The rows that say what the columns are: the training rows of all divisions together."""
        return np.unique(np.concatenate([training for training, _ in self.divisions]))


@dataclass(frozen=True, slots=True)
class Constraints:
    """What the data themselves say of the division: numbers [N] of groups that stay together, or times [N] that order the rows.

    `given_test` rows at the end are the data set's own test rows, and no others are drawn; the `given_validation` rows before them are its
    own validation rows, which are no others where validation is "given".
    """

    groups: Array | None = None
    times: Array | None = None
    given_test: int = 0
    given_validation: int = 0


def split_rows(
    codes: Array | None,
    count: int,
    classes: Sequence[str],
    options: SplitOptions,
    constraints: Constraints = Constraints(),
) -> Split:
    """Split `count` rows; `codes` [count] are class numbers, None draws without classes.

    Raises:
        UserError: too few rows, a part that leaves none for another, a class that is missing in a part.
    """
    _check(count, options, constraints)
    drawer = Drawer(codes, classes, options.seed, constraints.groups, constraints.times)
    given = constraints.given_validation
    pool = np.arange(count - constraints.given_test - given)
    test = _test_rows(drawer, pool, count, options, given)
    left = np.setdiff1d(pool, test, assume_unique=True)
    may_fold = options.validation is None and constraints.times is None
    divisions: tuple[Division, ...] = ((left, np.arange(len(pool), len(pool) + given)),)
    if options.validation != "given":
        divisions = drawer.folds(options.folds, left, may_fold)
    if not divisions:
        assert options.validation != "given"
        validation = drawer.part("validation", left, options.validation, len(pool))
        divisions = ((np.setdiff1d(left, validation, assume_unique=True), validation),)
    capper = Drawer(codes, classes, options.seed)
    capped = tuple((_capped(capper, training, options.rows), validation) for training, validation in divisions)
    split = Split(capped, test)
    _check_parts(split, drawer, given=options.validation == "given")
    if options.full:
        rows = np.union1d(split.training, split.validation)
        return Split(((rows, rows),), test)
    return split


def _test_rows(drawer: Drawer, pool: Array, count: int, options: SplitOptions, given_validation: int) -> Array:
    first = len(pool) + given_validation
    if first < count:  # the data set brings its own
        return np.arange(first, count)
    if type(options.test) is int and options.test == 0:
        return NO_ROWS
    return drawer.part("test", pool, options.test, len(pool))


def _capped(drawer: Drawer, training: Array, most: int | None) -> Array:
    if most is None or most >= len(training):
        return training
    return drawer.part("training", training, int(most), len(training))


def _check(count: int, options: SplitOptions, constraints: Constraints) -> None:
    given_test = constraints.given_test
    if count < FEWEST_ROWS:
        raise UserError(f"{count} row{'s' * (count != 1)}, at least {FEWEST_ROWS} needed. Give more rows.")
    if not is_whole(options.seed) or options.seed < 0:
        raise UserError(f"seed {shown(options.seed)}: a whole number from 0 expected.")
    if given_test and options.test is not None:
        raise UserError(
            f"test {options.test}: this data set brings {given_test:,} test rows of its own. Leave 'test' out."
        )
    _check_given(options, constraints)
    if isinstance(options.folds, int) and options.validation is not None:
        raise UserError("validation: with folds each of them validates in turn. Leave one of the two out.")
    if options.rows is not None and (not is_whole(options.rows) or options.rows < 1):
        raise UserError(f"rows {shown(options.rows)}: a number of training rows from 1 expected.")


def _check_given(options: SplitOptions, constraints: Constraints) -> None:
    """Refuse validation rows that should be given and are not, or are given beside another division of the rows."""
    if options.validation != "given":
        return
    if not constraints.given_validation:
        raise UserError(
            "validation 'given': the data bring no validation rows. Give a share (0.15) or a number of rows."
        )
    for name, value in (("group", constraints.groups), ("time", constraints.times)):
        if value is not None:
            raise UserError(
                f"validation: rows are given, so that {name!r} cannot divide them. Leave one of the two out."
            )


def _check_parts(split: Split, drawer: Drawer, *, given: bool) -> None:
    parts = {"training": split.training, "validation": split.validation}
    if len(split.test):
        parts["test"] = split.test
    for part, rows in parts.items():
        if len(rows) < FEWEST_ROWS_OF_A_PART:
            raise UserError(
                f"{len(rows)} {part} row, at least {FEWEST_ROWS_OF_A_PART} needed. Give more rows or smaller parts."
            )
        lacking = drawer.lacking(rows)
        if lacking is not None:
            error = _given_lacks_class if given else _lacks_class
            raise error(part, lacking, drawer)


def _given_lacks_class(part: str, lacking: int, drawer: Drawer) -> UserError:
    """Return the error about a part without a class, where the validation rows are given."""
    count = int(np.sum(drawer.codes == lacking))
    return UserError(
        f"class {shown(drawer.classes[lacking])}: none of its {count:,} rows is in the {part} part; the validation rows are given. "
        "Add rows of it there, or drop the class."
    )


def _lacks_class(part: str, lacking: int, drawer: Drawer) -> UserError:
    """Return the error about a part in which a class is missing: what it cannot show, it cannot measure."""
    name = shown(drawer.classes[lacking])
    count = int(np.sum(drawer.codes == lacking))
    if drawer.times is not None or drawer.groups is not None:
        divided = "group" if drawer.times is None else "time"
        return UserError(
            f"class {name}: none of its {count:,} rows is in the {part} part, rows being divided by {divided}. "
            f"Ask for other sizes, drop the class, or leave '{divided}' out."
        )
    numbers = all(label.lstrip("-").isdigit() for label in drawer.classes)
    return UserError(
        f"class {name} has {count} row{'s' * (count != 1)}, too few for the {part} part: training, validation "
        f"and test need at least one each. Add rows of it or drop it{', or choose task regression' * numbers}: "
        f"{drop_hint('rare-classes')}."
    )


def hold_out(codes: Array | None, count: int, validation: Size, seed: int) -> tuple[Split, str]:
    """Return which of `count` rows train and which validate, none testing, and what a user should know of it, if anything.

    `split_rows` refuses what cannot be judged well. An estimator that is fitted inside other procedures (on each part of a
    cross-validation, say) has to give its best network anyway, and says what that rests on.

    Rows that are the only one of their class (`codes` [count], class numbers; None: no classes) train and never validate. Where
    fewer than 10 others are left, none can be spared, and all rows both train and validate.

    Raises:
        UserError: a validation part that leaves no rows to train on, or holds too few.
    """
    rows = np.arange(count)
    numbers = np.zeros(count, dtype=np.int64) if codes is None else codes
    only_one = (np.bincount(numbers)[numbers] == 1) & (codes is not None)  # [count]
    pool = rows[~only_one]
    if len(pool) < FEWEST_ROWS:
        return every_row(count), f"{rows_text(len(pool))} to hold out from: all rows both train and validate"
    labels, renumbered = np.unique(numbers[pool], return_inverse=True)
    names = list(map(str, range(len(labels))))
    options = SplitOptions(seed, validation, test=0)
    drawn = split_rows(None if codes is None else renumbered, len(pool), names, options)
    training = np.sort(np.concatenate([rows[only_one], pool[drawn.training]]))
    return Split(((training, pool[drawn.validation]),), NO_ROWS), _only_one_notice(int(only_one.sum()))


def every_row(count: int) -> Split:
    """Return the division in which all rows both train and validate."""
    rows = np.arange(count)
    return Split(((rows, rows),), NO_ROWS)


def last_rows(count: int, own_rows: int) -> Split:
    """Return the division of `count` rows in which the last `own_rows` validate and all others train, none testing."""
    rows = np.arange(count)
    return Split(((rows[:-own_rows], rows[-own_rows:]),), NO_ROWS)


def _only_one_notice(count: int) -> str:
    if not count:
        return ""
    if count == 1:
        return "1 row is alone of its class: not held out"
    return f"{rows_text(count)} are alone of their classes: not held out"
