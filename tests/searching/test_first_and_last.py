"""How a search begins and ends: its own first settings, and an early end that is a function of the results alone."""

from math import log10
from typing import Any

import pytest

from hpsearch.searching.early_end import EarlyEnd
from hpsearch.space.starting import starting_parameters
from hpsearch.testing import CrashError
from hpsearch.trial import TrialSpec
from tests.support.scripted import SPACE, Stage, hill

STARTS = [{"learning_rate": 0.3, "optimizer": "momentum"}, {}, {"depth": 4, "width": 8}]


def stage(**settings: Any) -> Stage:
    """A study with three first settings of its own."""
    starts = [starting_parameters(SPACE, given)[0] for given in STARTS]
    return Stage(starts=starts, **settings)


# ------------------------------------------------------------------ the rule


def limit(values: list[float | None], order: list[int] | None = None, **rule: Any) -> tuple[int | None, str]:
    """Return where a search with these results ends, told in an order of numbers, and why."""
    end = EarlyEnd("maximize", lag=2, **rule)
    for number in order or range(len(values)):
        end.tell(number, values[number])
    return end.limit, end.reason


@pytest.mark.parametrize(
    ("values", "patience", "expected"),
    [
        ([1, 2, 2, 2, 9], 2, 3 + 2),  # an equal value is no better one
        ([1, 2, 1, 3, 1, 4], 2, None),
        ([None, None, None, None, 1, None, None], 2, 6 + 2),  # before the first usable trial nothing is counted
        ([None] * 9, 1, None),
        ([3, 1], 1, 1 + 2),
    ],
)
def test_patience_counts_trials_without_a_better_value(
    values: list[float | None], patience: int, expected: int | None
) -> None:
    """The rule is met by the first trial that is so many after the best one; the study then has lag - 1 trials more."""
    assert limit(values, patience=patience)[0] == expected


def test_a_target_is_reached_by_an_equal_value() -> None:
    """The first trial at least as good as the target meets the rule, a worse one does not."""
    assert limit([0.1, 0.89, 0.9, 0.95], target_value=0.9) == (4, "trial 2 reached the target value 0.9")
    lower = EarlyEnd("minimize", lag=1, target_value=0.5)
    for number, value in enumerate((0.9, 0.6, 0.4)):
        lower.tell(number, value)
    assert lower.limit == 3


def test_the_order_of_the_results_does_not_matter() -> None:
    """Told backwards, or twice, the same results end the search at the same trial for the same reason."""
    values: list[float | None] = [1, 5, None, 2, 3, 4, 9]
    forwards = limit(values, patience=3)
    assert forwards == (4 + 2, "no better value in 3 trials after trial 1")
    assert limit(values, [6, 5, 4, 3, 2, 1, 0], patience=3) == forwards
    assert limit(values, [0, 0, 2, 2, 1, 0, 3, 4, 5, 6], patience=3) == forwards


# ------------------------------------------------------------------ the search


@pytest.mark.parametrize("rule", [{"patience": 6}, {"target_value": 0.75}], ids=str)
@pytest.mark.parametrize("pruner", ["none", "median"])
def test_ends_at_the_same_trial_with_any_number_in_flight(rule: dict[str, Any], pruner: str) -> None:
    """With 1 place, with 4, with 100, and after interruptions the study has the same trials, fewer than it asked for."""
    alone = Stage(pruner=pruner, **rule)
    search = alone.run(60)
    assert search.complete
    assert 4 < len(alone.trials()) == search.total < 60
    for room, seed in ((4, 0), (4, 1), (100, 2)):
        crowd = Stage(pruner=pruner, **rule)
        crowd.run(60, room=room, seed=seed)
        assert crowd.trials() == alone.trials()
    broken = Stage(pruner=pruner, **rule)
    for crash in (3, 17, 40):
        with pytest.raises(CrashError):
            broken.run(60, room=3, seed=crash, crash_after=crash)
    broken.run(60, room=2)
    assert broken.trials() == alone.trials()


def test_without_a_rule_nothing_ends() -> None:
    """A study without patience and target has all its trials, the same as one whose rule is never met."""
    plain = Stage()
    plain.run(20)
    patient = Stage(patience=1_000, target_value=2.0)
    patient.run(20)
    assert patient.trials() == plain.trials()
    assert len(plain.trials()) == 20


def test_trials_that_are_stored_stay() -> None:
    """A rule that would have ended the study earlier takes no trial away; a longer patience goes on."""
    study = Stage()
    study.run(20)
    study.settings["patience"] = 1
    search = study.run(40, include_previous=True)
    assert (search.total, len(study.trials())) == (20, 20)
    assert search.remaining == 0
    study.settings["patience"] = None
    study.run(24, include_previous=True)
    assert len(study.trials()) == 24


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "cmaes", "nsga2"])
def test_first_settings_come_first_and_resume_exactly(sampler: str) -> None:
    """The first trials are the given ones, completed by known-good values; an interrupted study goes on as an unbroken one."""
    whole = stage(sampler=sampler)
    whole.run()
    first = [dict(trial[3]) for trial in whole.trials()[:3]]
    assert [params["optimizer"] for params in first] == ["momentum", "adam", "adam"]
    assert (first[0]["learning_rate"], first[0]["momentum"], first[0]["depth"]) == (0.3, 0.9, 2)
    assert first[1] == {"depth": 2, "width": 128, "learning_rate": 1e-3, "optimizer": "adam"}
    assert (first[2]["depth"], first[2]["width"], first[2]["learning_rate"]) == (4, 8, 1e-3)
    broken = stage(sampler=sampler)
    for crash in (0, 5, 17, 31):
        with pytest.raises(CrashError):
            broken.run(room=3, seed=crash, crash_after=crash)
    broken.run(room=2)
    assert broken.trials() == whole.trials()


def test_a_good_start_is_the_best() -> None:
    """A start at the top of the hill is found as the best trial."""

    def near(spec: TrialSpec, evaluation: int) -> float:
        return hill(spec, evaluation) - abs(log10(spec.learning_rate) + 2)

    study = Stage(starts=[starting_parameters(SPACE, {"learning_rate": 0.01})[0]])
    search = study.run(script=near)
    assert search.best is not None
    assert search.best.number == 0
