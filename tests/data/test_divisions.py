"""Divisions of the rows beside the one that tunes, and validation rows that are the last ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.data.loaders.arrays import from_arrays
from hpsearch.data.options import SplitOptions
from hpsearch.data.splits import FEWEST_HALVED, Constraints, Split, split_rows
from hpsearch.errors import UserError

CODES = np.arange(200) % 4
CLASSES = ("a", "b", "c", "d")
PLAIN = Constraints()


def divided(constraints: Constraints = PLAIN, **options: Any) -> Split:
    """The division of 200 rows of four classes."""
    return split_rows(CODES, 200, CLASSES, SplitOptions(3, **options), constraints)


def test_divisions_are_drawn_anew_with_equal_sizes() -> None:
    """Each has training, validation and test rows of its own, as many as the others, which are all rows together."""
    split = divided(divisions=4)
    assert len(split.divisions) == len(split.tests) == 5
    parts = [(*division, test) for division, test in zip(split.divisions, split.tests, strict=True)]
    for training, validation, test in parts:
        assert (len(training), len(validation), len(test)) == (140, 30, 30)
        assert sorted({*training, *validation, *test}) == list(range(200))
    assert len({tuple(validation) for _, validation, _ in parts}) == 5
    assert len({tuple(test) for *_, test in parts}) == 5


def test_the_first_division_is_that_of_a_study_that_is_divided_once() -> None:
    """Further divisions change nothing of the one that tunes."""
    once = divided()
    split = divided(divisions=4)
    assert not once.tests
    assert all((a == b).all() for a, b in zip(once.divisions[0], split.divisions[0], strict=True))
    assert (once.test == split.test).all()


def test_rows_that_tune_judge_nothing() -> None:
    """The validation rows of the first division are training rows in every other one."""
    split = divided(divisions=6)
    for training, _ in split.divisions[1:]:
        assert {*split.validation} <= {*training}


def test_the_source_s_own_test_rows_test_every_division() -> None:
    """Test rows that the source gives are in no other part of any division."""
    split = divided(Constraints(given_test=40), divisions=3)
    for (training, validation), test in zip(split.divisions, split.tests, strict=True):
        assert test.tolist() == list(range(160, 200))
        assert max(*training, *validation) < 160


def test_groups_stay_together_in_every_division() -> None:
    """No group has rows in two parts of one division."""
    groups = np.arange(200) // 10
    split = split_rows(None, 200, (), SplitOptions(0, divisions=3), Constraints(groups=groups))
    for (training, validation), test in zip(split.divisions, split.tests, strict=True):
        assert not {*groups[training]} & {*groups[validation]}
        assert not {*groups[test]} & ({*groups[training]} | {*groups[validation]})


def test_too_few_groups_for_divisions_are_told() -> None:
    """Where groups do not suffice the error says that one division would do."""
    with pytest.raises(UserError, match=r"division 1 of the rows: .*compare\.divisions = 1"):
        split_rows(None, 200, (), SplitOptions(0, divisions=3), Constraints(groups=np.arange(200) // 70))


def test_many_validation_rows_that_lie_fast_are_halved() -> None:
    """One half of given, last or latest validation rows tunes, the other one judges; all else is alike, and few stay together."""
    count = 3 * FEWEST_HALVED
    codes = np.arange(count) % 4
    last = f"last:{FEWEST_HALVED}"
    split = split_rows(codes, count, CLASSES, SplitOptions(0, last, test=100, divisions=5))
    (training, tuning), (same, judging) = split.divisions
    assert training is same
    assert len(tuning) == len(judging) == FEWEST_HALVED // 2
    assert sorted({*tuning, *judging}) == list(range(count - FEWEST_HALVED, count))
    assert np.bincount(codes[judging]).tolist() == [FEWEST_HALVED // 8] * 4
    times = Constraints(times=np.arange(count))
    timed = split_rows(codes, count, CLASSES, SplitOptions(0, FEWEST_HALVED, test=100, divisions=5), times)
    assert timed.divisions[0][1].max() < timed.divisions[1][1].min(), "the later half judges"
    few = split_rows(codes, count, CLASSES, SplitOptions(0, "last:100", divisions=5))
    assert not few.tests
    assert len(few.divisions) == 1


def test_the_last_rows_validate() -> None:
    """The last 30 rows but the source's test rows are those of "last:30"; a share is of these, and test rows are drawn from the rest."""
    assert divided(validation="last:30").validation.tolist() == list(range(170, 200))
    assert divided(Constraints(given_test=40), validation="last:30").validation.tolist() == list(range(130, 160))
    assert len(divided(validation="last:0.25").validation) == 50
    assert len(divided(validation="last").validation) == 30
    assert max(divided(validation="last:30").test) < 170


@pytest.mark.parametrize(
    ("validation", "constraints", "told"),
    [
        ("last:x", Constraints(), r"validation 'last:x': a number of rows or a share after \"last:\" expected"),
        ("last:500", Constraints(), r"validation 500: only 200 rows are left"),
        ("late", Constraints(), r"validation 'late': a share, a number of rows, \"given\", \"last\""),
        ("last:30", Constraints(times=np.arange(200)), r"rows are the last ones, so that 'time' cannot divide them"),
        ("last:2", Constraints(), r"class 'a': none of its 50 rows is in the validation part; .* are the last ones"),
    ],
)
def test_last_rows_that_cannot_be_are_refused(validation: str, constraints: Constraints, told: str) -> None:
    """A line says what was given and what is expected."""
    with pytest.raises(UserError, match=told):
        divided(constraints, validation=validation)


@pytest.mark.parametrize("frame", [False, True])
def test_each_division_is_scaled_by_its_own_training_rows(frame: bool) -> None:
    """Inputs and targets of each division, its test rows among them, are those of data that were divided so once."""
    random = np.random.default_rng(0)
    inputs: Any = random.normal(3, 2, (120, 3))
    targets = inputs.sum(axis=1) + random.normal(size=120)
    if frame:
        import pandas as pd

        inputs = pd.DataFrame(inputs, columns=["x", "y", "z"])
    options = SplitOptions(0, divisions=2)
    split = split_rows(None, 120, (), options)
    data = from_arrays(inputs, targets, split=options)
    assert data.separate
    assert not data.cross_validated
    for number, division in enumerate(split.divisions):
        once = from_arrays(inputs, targets, split=SplitOptions(split=Split((division,), split.tests[number])))
        own = data.fold(number)
        for part in ("training", "validation", "test"):
            rows, expected = getattr(own, part), getattr(once, part)
            assert rows.inputs.equal(expected.inputs)
            assert rows.targets.equal(expected.targets)
        assert own.target_mean.equal(once.target_mean)
        assert not own.folds
    assert data.test.inputs.equal(data.fold(0).test.inputs)


def test_the_summary_says_how_rows_were_divided() -> None:
    """It has the number of divisions, whether test rows were drawn anew, and a notice where the last rows validate."""
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(120, 3)), random.normal(size=120)
    drawn = from_arrays(inputs, targets, split=SplitOptions(divisions=3)).summary
    assert (drawn["divisions"], drawn["own_rows"], drawn["tests_drawn"]) == (3, True, True)
    last = from_arrays(inputs, targets, split=SplitOptions(0, "last:20", divisions=3)).summary
    assert "divisions" not in last
    assert "The validation rows are the last 20 in the source's order, test rows aside." in last["notices"]


def test_data_that_are_divided_otherwise_have_another_hash() -> None:
    """The fingerprint of data knows every division."""
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(120, 3)), random.normal(size=120)
    options = SplitOptions(0)
    hashes = {
        from_arrays(inputs, targets, split=replace(options, divisions=count)).summary["hash"] for count in (1, 2, 3)
    }
    assert len(hashes) == 3
