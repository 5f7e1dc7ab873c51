"""Splits: which rows train, which validate, which test; drawn with a seed, classes in equal shares (see `partition`).

Test rows are drawn first, from a stream of their own: they depend on the seed and their number only, not on the validation rows or on a
cap of the training rows. Rows of one group stay in one part; with a time, the earliest rows train and the latest test. Folds divide
all rows but the test rows, and each validates in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.options import Size, SplitOptions
from hpsearch.data.partition import (
    FEWEST_ROWS_OF_A_PART,
    LAST,
    Division,
    Drawer,
    few_rows,
    is_last,
    is_whole,
    last_size,
    way_out,
)
from hpsearch.errors import UserError, rows_text, shown
from hpsearch.trial import derive_seed

FEWEST_ROWS = 10
FEWEST_HALVED = 2_000  # validation rows, of which halves can tune and judge
NO_ROWS = np.arange(0)


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each part, ascending, int64: (training, validation) of each division, several in a cross-validation, and `test`.

    `tests` are the test rows of each division where a run trains on one of them alone: the first tunes, the others judge. Parts are
    disjoint, but for a split that trains on all rows but the test rows: its validation rows are the same.
    """

    divisions: tuple[Division, ...]
    test: Array
    tests: tuple[Array, ...] = ()

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
        """The divisions where there are several; none where rows are divided once."""
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
    pool = np.arange(count - constraints.given_test - constraints.given_validation)
    placed = _placed_validation(drawer, pool, count, options, constraints)
    free = pool
    if placed is not None:
        free = np.setdiff1d(pool, placed, assume_unique=True)
    test = _test_rows(drawer, free, len(pool), count, options, constraints)
    left = np.setdiff1d(free, test, assume_unique=True)
    may_fold = options.validation is None and constraints.times is None
    divisions: tuple[Division, ...] = ()
    if placed is not None:
        divisions = ((left, placed),)
    else:
        divisions = drawer.folds(options.folds, left, may_fold)
    if not divisions:
        divisions = (_drawn(drawer, left, options, len(pool)),)
    capper = Drawer(codes, classes, options.seed)
    capped = tuple((_capped(capper, training, options.rows), validation) for training, validation in divisions)
    split = Split(capped, test)
    _check_parts(split, drawer, _origin(options))
    if options.full:
        rows = np.union1d(split.training, split.validation)
        return Split(((rows, rows),), test)
    if options.divisions > 1:
        return _with_judging_rows(split, drawer, pool, count, options, constraints)
    return split


def _placed_validation(
    drawer: Drawer, pool: Array, count: int, options: SplitOptions, constraints: Constraints
) -> Array | None:
    """Return the validation rows that lie where the source has them, given or the last ones; None where they are drawn."""
    if options.validation == "given":
        return np.arange(len(pool), count - constraints.given_test)
    if is_last(options.validation):
        return drawer.last(pool, last_size(str(options.validation)))
    return None


def _drawn(drawer: Drawer, rows: Array, options: SplitOptions, total: int) -> Division:
    """Return a division of rows whose validation rows are drawn."""
    assert not isinstance(options.validation, str)
    validation = drawer.part("validation", rows, options.validation, total)
    return np.setdiff1d(rows, validation, assume_unique=True), validation


def _test_rows(
    drawer: Drawer, free: Array, total: int, count: int, options: SplitOptions, constraints: Constraints
) -> Array:
    """Return the test rows: the data set's own at the end, or some of the `free` ones; a share is of `total` rows."""
    if constraints.given_test:
        return np.arange(count - constraints.given_test, count)
    if type(options.test) is int and options.test == 0:
        return NO_ROWS
    return drawer.part("test", free, options.test, total)


# ---- rows that judge what others tuned


def _with_judging_rows(
    split: Split, drawer: Drawer, pool: Array, count: int, options: SplitOptions, constraints: Constraints
) -> Split:
    """Return a split with further divisions, in none of which a row validates or tests that validates in the first.

    Where rows cannot be drawn anew, because they lie where the source has them or in the order of time, the validation rows are halved, if
    there are enough; otherwise the split stays as it is.
    """
    if _origin(options) != "drawn" or drawer.times is not None:
        return _halved(split, drawer)
    divisions = [split.divisions[0]]
    tests = [split.test]
    free = np.setdiff1d(pool, split.validation, assume_unique=True)
    for number in range(1, options.divisions + 1):
        seed = derive_seed(options.seed, "division", number)
        own = Drawer(drawer.codes, drawer.classes, seed, drawer.groups)
        try:
            test = _test_rows(own, free, len(pool), count, options, constraints)
            left = np.setdiff1d(free, test, assume_unique=True)
            _, validation = _drawn(own, left, options, len(pool))
        except UserError as error:
            raise UserError(
                f"division {number} of the rows: {error} Or divide them once (compare.divisions = 1)."
            ) from None
        held_out = np.union1d(test, validation)
        training = np.setdiff1d(pool, held_out, assume_unique=True)
        training = _capped(Drawer(drawer.codes, drawer.classes, seed), training, options.rows)
        _check_parts(Split(((training, validation),), test), own, "drawn")
        divisions.append((training, validation))
        tests.append(test)
    return Split(tuple(divisions), split.test, tuple(tests))


def _halved(split: Split, drawer: Drawer) -> Split:
    """Return a split whose validation rows are two halves, one to tune and one to judge, if they are many and no half lacks a class."""
    training, validation = split.divisions[0]
    if len(validation) < FEWEST_HALVED:
        return split
    judging = drawer.part("validation", validation, len(validation) // 2, len(validation))
    tuning = np.setdiff1d(validation, judging, assume_unique=True)
    if any(drawer.lacking(half) is not None for half in (tuning, judging)):
        return split
    return Split(((training, tuning), (training, judging)), split.test, (split.test, split.test))


def _origin(options: SplitOptions) -> str:
    """Return where the validation rows come from: "given", "last" or "drawn"."""
    if is_last(options.validation):
        return LAST
    return "given" if options.validation == "given" else "drawn"


def _capped(drawer: Drawer, training: Array, most: int | None) -> Array:
    if most is None or most >= len(training):
        return training
    return drawer.part("training", training, int(most), len(training))


def _check(count: int, options: SplitOptions, constraints: Constraints) -> None:
    given_test = constraints.given_test
    if count < FEWEST_ROWS:
        raise UserError(f"{rows_text(count)}, at least {FEWEST_ROWS} needed. Give more rows.")
    if not is_whole(options.seed) or options.seed < 0:
        raise UserError(f"seed {shown(options.seed)}: a whole number from 0 expected.")
    if given_test and options.test is not None:
        raise UserError(
            f"test {options.test}: this data set brings {given_test:,} test rows of its own. Leave 'test' out."
        )
    _check_placed(options, constraints)
    if isinstance(options.folds, int) and options.validation is not None:
        raise UserError("validation: with folds each of them validates in turn. Leave one of the two out.")
    if options.rows is not None and (not is_whole(options.rows) or options.rows < 1):
        raise UserError(f"rows {shown(options.rows)}: a number of training rows from 1 expected.")


def _check_placed(options: SplitOptions, constraints: Constraints) -> None:
    """Refuse validation rows that should be given and are not, or are given (or the last) beside another division of the rows."""
    if isinstance(options.validation, str) and options.validation != "given" and not is_last(options.validation):
        raise UserError(
            f'validation {shown(options.validation)}: a share, a number of rows, "given", "last" or "last:5000" expected.'
        )
    origin = _origin(options)
    if origin == "drawn":
        return
    if origin == "given" and not constraints.given_validation:
        raise UserError(
            "validation 'given': the data bring no validation rows. Give a share (0.15) or a number of rows."
        )
    for name, value in (("group", constraints.groups), ("time", constraints.times)):
        if value is not None:
            raise UserError(
                f"validation: rows are {_placed(origin)}, so that {name!r} cannot divide them. Leave one of the two out."
            )


def _placed(origin: str) -> str:
    return "the last ones" if origin == LAST else "given"


def _check_parts(split: Split, drawer: Drawer, origin: str) -> None:
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
            if origin == "drawn":
                raise _lacks_class(part, lacking, drawer, len(parts))
            raise _placed_lacks_class(part, lacking, drawer, origin)


def _placed_lacks_class(part: str, lacking: int, drawer: Drawer, origin: str) -> UserError:
    """Return the error about a part without a class, where the validation rows are given, or the last ones."""
    count = int(np.sum(drawer.codes == lacking))
    advice = "Add rows of it there, or drop the class."
    if origin == LAST:
        advice = "Ask for more of them, shuffle the rows, or give a share (0.15)."
    return UserError(
        f"class {shown(drawer.classes[lacking])}: none of its {count:,} rows is in the {part} part; "
        f"the validation rows are {_placed(origin)}. {advice}"
    )


def _lacks_class(part: str, lacking: int, drawer: Drawer, parts: int) -> UserError:
    """Return the error about a part in which a class is missing: what it cannot show, it cannot measure."""
    assert drawer.codes is not None, "without classes no part lacks one"
    counts = np.bincount(drawer.codes, minlength=len(drawer.classes))
    count = int(counts[lacking])
    if drawer.times is not None or drawer.groups is not None:
        divided = "group" if drawer.times is None else "time"
        return UserError(
            f"class {shown(drawer.classes[lacking])}: none of its {count:,} rows is in the {part} part, rows being divided by {divided}. "
            f"Ask for other sizes, drop the class, or leave '{divided}' out."
        )
    rare = few_rows(drawer.classes, counts, max(parts, count + 1))
    return UserError(
        f"{rare}, too few for the {part} part: training, validation and test need at least one of each class. "
        f"Either {way_out(drawer.classes)}."
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
