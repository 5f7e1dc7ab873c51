"""Folds: scikit-learn's divisions of rows for cross-validation, with classes in equal shares and groups whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.data.options import Folds
from hpsearch.data.partition import stream
from hpsearch.errors import UserError, shown

AUTOMATIC = 5  # folds
FEW = 2_000  # rows, up to which there are folds by default


def fold_rows(
    pool: Array, codes: Array | None, classes: Sequence[str], groups: Array | None, folds: int, seed: int
) -> tuple[tuple[Array, Array], ...]:
    """Return (training, validation) rows of each of the folds of a pool, ascending; by class where there are class numbers.

    Raises:
        UserError: fewer rows, rows of a class, or groups than folds; a class that is missing in a fold.
    """
    _check(pool, codes, classes, groups, folds)
    splitter = _splitter(codes is not None, groups is not None, folds, int(stream(seed, "folds").randint(2**31)))
    labels = None if codes is None else codes[pool]
    pool_groups = None if groups is None else groups[pool]
    folds_of_pool = splitter.split(np.zeros((len(pool), 1)), labels, pool_groups)
    divided = tuple((pool[training], pool[validation]) for training, validation in folds_of_pool)
    if codes is not None:
        for number, parts in enumerate(divided):
            _check_classes(number, codes, parts, classes)
    return divided


def folds_for(asked: Folds, pool: Array, codes: Array | None, groups: Array | None, may_fold: bool) -> int | None:
    """Return how many folds a pool is divided into, None for none.

    "auto" divides few rows, where one division would decide by chance, if it `may_fold`, and if there are enough rows, rows of each class,
    and groups for every fold.
    """
    if asked is None:
        return None
    if asked != "auto":
        return int(asked)
    counts = [len(pool)]
    if codes is not None:
        counts += np.bincount(codes[pool]).tolist()
    if groups is not None:
        counts.append(len(np.unique(groups[pool])))
    enough = min(counts) >= 2 * AUTOMATIC
    return AUTOMATIC if may_fold and enough and len(pool) <= FEW else None


def _splitter(by_class: bool, by_group: bool, folds: int, seed: int) -> Any:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    kinds = {
        (False, False): KFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (True, True): StratifiedGroupKFold,
    }
    return kinds[by_class, by_group](folds, shuffle=True, random_state=seed)


def _check(pool: Array, codes: Array | None, classes: Sequence[str], groups: Array | None, folds: int) -> None:
    if not isinstance(folds, int | np.integer) or isinstance(folds, bool) or folds < 2:
        raise UserError(f"folds {shown(folds)}: a whole number from 2 expected.")
    if 2 * folds > len(pool):
        raise UserError(f"folds {folds}: only {len(pool):,} rows, and each needs 2. Ask for fewer folds.")
    if groups is not None:
        count = len(np.unique(groups[pool]))
        if count < folds:
            raise UserError(f"folds {folds}: only {count:,} groups, and each needs one. Ask for fewer folds.")
    if codes is None:
        return
    for code, rows in enumerate(np.bincount(codes[pool], minlength=len(classes)).tolist()):
        if rows < folds:
            raise UserError(
                f"folds {folds}: class {shown(classes[code])} has {rows} row{'s' * (rows != 1)} besides the test rows, "
                "and each fold needs one. Ask for fewer folds, add rows of it or drop it."
            )


def _check_classes(number: int, codes: Array, parts: tuple[Array, Array], classes: Sequence[str]) -> None:
    for part, rows in zip(("training", "validation"), parts, strict=True):
        absent = np.setdiff1d(np.arange(len(classes)), codes[rows])
        if len(absent):
            raise UserError(
                f"class {shown(classes[absent[0]])} is missing in the {part} rows of fold {number}: its rows lie in too few groups. "
                "Ask for fewer folds, or leave 'group' out."
            )
