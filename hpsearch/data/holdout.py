"""Holding out: which rows validate where none is too few, a class with a single row or a table of five rows included.

`split_rows` refuses what cannot be judged well. An estimator that is fitted inside other procedures (on each part of a
cross-validation, say) has to give its best network anyway, and says what that rests on.
"""

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.splits import FEWEST_ROWS, Size, Sizes, Split, split_rows

NONE = np.arange(0)


def hold_out(codes: Array | None, count: int, validation: Size, seed: int) -> tuple[Split, str]:
    """Return which of `count` rows train and which validate, none testing, and what a user should know of it, if anything.

    Rows that are the only one of their class (`codes` [count], class numbers; None: no classes) train and never validate. Where
    fewer than 10 others are left, none can be spared, and all rows both train and validate.

    Raises:
        UserError: a validation part that leaves no rows to train on, or holds too few.
    """
    rows = np.arange(count)
    numbers = np.zeros(count, dtype=np.int64) if codes is None else codes
    single = (np.bincount(numbers)[numbers] == 1) & (codes is not None)  # [count]
    pool = rows[~single]
    if len(pool) < FEWEST_ROWS:
        return everything(count), f"{_many(len(pool))} to hold out from: all rows both train and validate"
    _, renumbered = np.unique(numbers[pool], return_inverse=True)
    names = [str(number) for number in range(int(renumbered.max()) + 1)]
    drawn = split_rows(None if codes is None else renumbered, len(pool), names, Sizes(validation, 0), seed)
    training = np.sort(np.concatenate([rows[single], pool[drawn.training]]))
    alone = int(single.sum())
    notice = f"{_many(alone)} {'is alone of its class' if alone == 1 else 'are alone of their classes'}: not held out"
    return Split(training, pool[drawn.validation], NONE), notice if alone else ""


def everything(count: int) -> Split:
    """Return the division in which all rows both train and validate."""
    rows = np.arange(count)
    return Split(rows, rows, NONE)


def _many(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)}"
