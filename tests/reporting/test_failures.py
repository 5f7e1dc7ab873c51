"""A study in which every trial failed: a short page that says what happened, and one thing to try."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord, TrialRecord
from tests.support.prose import prose
from tests.support.records import study, trials


def lost(outcome: str, count: int = 9, detail: Callable[[int], str] = str) -> StudyRecord:
    """Return a study whose trials all ended so; the learning rates are 0.1, 0.2 and so on."""
    made = [
        TrialRecord(
            trial.number,
            "complete",
            {**trial.params, "learning_rate": 0.1 * (trial.number + 1)},
            outcome=outcome,
            detail=detail(trial.number),
            value=0.0,
            parameters=1000 + trial.number,
            started=0.0,
            seconds=1.0,
        )
        for trial in trials(count)
    ]
    return replace(study(0), trials=tuple(made))


def made(record: StudyRecord) -> str:
    return page(record, frames(record))


def test_the_page_is_short_and_has_no_empty_section() -> None:
    """Result, the figure of the failures, what could vary, outcomes, protocol: nothing else, each with contents, no dead link."""
    html = made(lost("diverged", detail=lambda number: f"diverged at update {number + 2} (loss = nan)"))
    sections = re.findall(r'<section id="([^"]+)"', html)
    assert sections == ["about-failures", "space", "outcomes", "protocol"]
    assert re.findall(r'href="#([^"]+)"', html) == ["about-failures", "done"]
    assert 'id="done"' in html
    seen = prose(html)
    assert "9 trials diverged, the first at update 2, the last at update 10." in seen
    for wrong in ("trained again on fresh seeds", "There is nothing to draw", "to be trained again"):
        assert wrong not in seen


def test_trials_that_an_evaluation_saw_diverge_are_counted_too() -> None:
    """Of such trials only the evaluation is known: they are drawn there, and the sentence says "by" that update."""
    record = lost("diverged", 3, detail=lambda number: f"diverged by update {number + 1} (validation loss = nan)")
    exact = replace(record.trials[2], detail="fold 1 of 5: diverged at update 9 (loss = inf)")
    record = replace(record, trials=(*record.trials[:2], exact))
    assert "3 trials diverged, the first by update 1, the last by update 9." in prose(made(record))
    same = replace(
        record, trials=tuple(replace(t, detail="diverged by update 4 (validation loss = inf)") for t in record.trials)
    )
    assert "3 trials had diverged by update 4." in prose(made(same))
    figure = FIGURES["failures"].draw(frames(record), record)
    assert figure is not None
    assert list(figure.data[0].y) == [1.0, 2.0, 9.0]


def test_one_trial_is_not_many() -> None:
    """A study of one trial that failed says that it was the only one."""
    assert "The only trial ended as “diverged”." in prose(made(lost("diverged", 1)))


def test_a_range_to_try_lies_below_every_rate_that_diverged() -> None:
    """Rates of 0.1 to 0.9 diverged: the range to try ends at half the lowest, and the options to paste say the same."""
    seen = prose(made(lost("diverged")))
    assert "Every learning rate from 0.1 to 0.9" in seen
    assert "Try 5×10⁻⁵ to 0.05" in seen
    assert "--set learning_rate.low=5e-05 --set learning_rate.high=5e-02" in seen


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("out of memory", "the smallest that failed had 1,000 parameters"),
        ("killed its worker", "fewer workers"),
        ("raised an error", "first: 0. Mend it."),
        ("out of time", "training.max_seconds"),
        ("pruned", "--set search.pruner=none"),
    ],
)
def test_each_cause_has_its_own_remedy(outcome: str, said: str) -> None:
    """Out of memory asks for smaller networks, an error for mending: nobody is told to lower the learning rate for it."""
    record = lost(outcome)
    if outcome == "pruned":
        record = replace(record, trials=tuple(replace(trial, state="pruned") for trial in record.trials))
    seen = prose(made(record))
    assert said in seen
    assert "learning rate" not in seen.partition("What could vary")[0]


def test_of_several_causes_the_most_frequent_one_is_told() -> None:
    """Seven out of memory and two diverged: both are counted, the remedy is that of the seven."""
    mixed = [*lost("out of memory").trials[:7], *lost("diverged").trials[7:]]
    seen = prose(made(replace(study(0), trials=tuple(mixed))))
    assert "9 trials: 7 out of memory and 2 diverged." in seen
    assert "smaller batch sizes" in seen
    assert "Every learning rate" not in seen
