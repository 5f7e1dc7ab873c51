"""No sentence says more than its numbers carry: prose held against generated curves, times and shares."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from hpsearch.reporting import page
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.protocol import protocol
from hpsearch.reporting.ranking import best
from hpsearch.reporting.selection import why
from hpsearch.reporting.shapes import Shape, course, gained_most
from hpsearch.reporting.summary import best_network
from hpsearch.reporting.tables import frames
from hpsearch.reporting.trust import warnings
from hpsearch.statistics.estimates import wilson
from hpsearch.storage import StudyRecord
from hpsearch.trial import History
from tests.support.prose import prose
from tests.support.records import confirmed, ensembled, study


def with_curve(losses: Sequence[float], metric: Sequence[float] | None = None) -> StudyRecord:
    """Return a study whose selected trial has this validation loss, and this metric."""
    record = study()
    leader = best(record)
    assert leader is not None
    history = History()
    metric = metric or [0.5 + 0.4 * place / len(losses) for place in range(len(losses))]
    for place, (loss, value) in enumerate(zip(losses, metric, strict=True), 1):
        point = {"evaluation": place, "update": place, "examples": 32 * place, "seconds": 0.1 * place}
        history = history.append(**point, training_loss=loss, validation_loss=loss, metric=value)
    own = replace(leader, history=history, value=max(metric), best_evaluation=metric.index(max(metric)) + 1)
    trials = tuple(own if trial.number == own.number else trial for trial in record.trials)
    return replace(record, trials=trials)


def read(name: str, record: StudyRecord) -> str:
    return FIGURES[name].reading(frames(record), record)


def falling(count: int) -> list[float]:
    return [0.9**place for place in range(count)]


def flat(count: int) -> list[float]:
    return [max(0.2, 0.6**place) for place in range(count)]


def rising(count: int) -> list[float]:
    return [max(0.2, 0.6**place) + 0.02 * max(0, place - count // 2) for place in range(count)]


def jumping(count: int) -> list[float]:
    return [0.3 if place % 2 else 1.2 for place in range(count)]


@pytest.mark.parametrize(
    ("make", "shape"),
    [(falling, Shape.FALLS), (flat, Shape.LEVEL), (rising, Shape.RISES), (jumping, Shape.JUMPS)],
)
@pytest.mark.parametrize("count", [16, 27, 60])
def test_a_loss_is_called_what_it_is(make: Callable[[int], list[float]], shape: Shape, count: int) -> None:
    """Curves that fall, level off, rise or jump are called so at every length that can show it, with noise of a thousandth too."""
    random = Random(count)  # noqa: S311 - no secret is drawn
    losses = [value * (1 + random.gauss(0, 0.001)) for value in make(count)]
    assert course(losses).shape is shape


@pytest.mark.parametrize("make", [falling, flat, rising, jumping])
@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_few_points_show_no_shape(make: Callable[[int], list[float]], count: int) -> None:
    """Three points that fall have neither levelled off nor over-fitted: the sentence says that they cannot tell."""
    text = read("losses", with_curve(make(count)))
    assert f"{count} evaluations cannot tell" in text
    for claim in ("no sign of over-fitting", "Over-fitting:", "still falling"):
        assert claim not in text


def test_a_jumping_loss_is_no_over_fitting() -> None:
    """A loss that jumps fourfold from one evaluation to the next is said to jump, however it ended."""
    text = read("losses", with_curve([*jumping(20), 0.3, 1.2]))
    assert "jumps by" in text
    assert "Over-fitting:" not in text
    assert "rose" not in text


@pytest.mark.parametrize("seed", range(20))
def test_over_fitting_is_said_only_of_a_loss_that_ends_higher(seed: int) -> None:
    """Of random curves, those that are said to over-fit end at least 5 % above their lowest fifth; those that level off do not."""
    random = Random(seed)  # noqa: S311 - no secret is drawn
    noise = random.choice([0.001, 0.02, 0.2])
    slope = random.uniform(-0.02, 0.05)
    losses = [max(0.05, 0.5 + slope * place + random.gauss(0, noise)) for place in range(random.randint(8, 40))]
    found = course(losses)
    end = sorted(losses[-3:])[1]
    if found.shape is Shape.RISES:
        assert end > min(losses)
        assert found.change > 0.05
    if found.shape is Shape.FALLS:
        assert end < max(losses)
    assert losses[found.lowest] == min(losses)


def test_a_rise_beyond_twice_is_a_factor() -> None:
    """A loss that ends five times as high as its lowest rose by a factor, not by hundreds of percent."""
    losses = [0.1] * 20 + [0.1 + 0.05 * place for place in range(1, 15)]
    text = read("losses", with_curve(losses))
    assert "rose by a factor of" in text
    assert "0\u00a0%." not in text


def test_a_share_of_an_improvement_needs_one() -> None:
    """A flat curve has no "95 % of its improvement"; one that climbs has, at the place where it got there."""
    level = [0.97 + 0.001 * (place % 2) for place in range(20)]
    assert "95\u00a0% of its improvement" not in read("curves", with_curve(flat(20), level))
    assert "flat curve" in read("curves", with_curve(flat(20), level))
    climbing = [0.5, 0.7, 0.94, *[0.95] * 17]
    assert gained_most(climbing, 0.95, 0.01) == 2
    assert "after 8\u00a0% of the budget" in read("curves", with_curve(flat(20), climbing))
    assert gained_most([0.9, 0.2, 0.9, 0.2, 0.95], 0.95, 0.01) is None


@pytest.mark.parametrize(
    ("params", "said", "unsaid"),
    [
        ({"optimizer": "adam", "batch_size": "full"}, "every update uses all training rows", "gradient descent"),
        ({"optimizer": "sgd", "batch_size": "full", "momentum": 0.9}, "every update uses", "gradient descent"),
        ({"optimizer": "sgd", "batch_size": "full", "momentum": 0.0}, "gradient descent", "every update"),
        ({"optimizer": "sgd", "batch_size": "full"}, "gradient descent", "every update"),
        ({"optimizer": "sgd", "batch_size": 1}, "batch_size 1", "gradient descent"),
    ],
)
def test_only_gradient_descent_is_called_so(params: dict[str, Any], said: str, unsaid: str) -> None:
    """Full batches are gradient descent where the optimizer is plain SGD without momentum, and nowhere else."""
    record = study()
    leader = best(record)
    assert leader is not None
    own = replace(leader, params={"learning_rate": 0.1, **params})
    text = best_network(replace(record, trials=tuple(own if t is leader else t for t in record.trials)))
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize("encoding", ["standard", "piecewise"])
def test_the_encoding_of_numbers_is_the_networks(encoding: str) -> None:
    """It is told of the layers, where it is not the standard one, and never as something that an optimizer has."""
    record = study()
    leader = best(record)
    assert leader is not None
    own = replace(leader, params={**leader.params, "number_encoding": encoding})
    text = best_network(replace(record, trials=tuple(own if t is leader else t for t in record.trials)))
    layers, _, trained = text.partition("trained")
    assert ("numbers encoded piecewise" in layers) == (encoding == "piecewise")
    assert "piecewise" not in trained
    assert "number_encoding" not in text


@pytest.mark.parametrize("rows", [1, 2, 27, 270, 9_999])
def test_all_rows_right_lies_within_its_own_interval(rows: int) -> None:
    """The ends of Wilson's interval are 0 and 1 themselves, and a mean of 100 % is not outside "87.5 to 100.0 %"."""
    assert wilson(0, rows).low == 0.0
    assert wilson(rows, rows).high == 1.0
    record = confirmed(study())
    test = {**record.result["test"], "value": 1.0, "low": 0.875, "high": 1 - 1e-12}
    fresh = {**record.result["fresh"], "value": 1.0, "low": 1.0, "high": 1.0}
    shown = replace(record, result={**record.result, "test": test, "fresh": fresh})
    assert not any("lies outside" in line for line in warnings(shown, []))


def test_time_before_training_is_named() -> None:
    """A first bar of 18 seconds, two of which are training, is said to be mostly no training; ordinary bars are not named."""
    record = study(20)
    assert "trained for less than half" not in read("timeline", record)
    trials = tuple(replace(t, seconds=18.0, history=_quick(t.history)) if t.number == 0 else t for t in record.trials)
    assert "Trial 0 trained for less than half of its bar: 16 s of it" in read(
        "timeline", replace(record, trials=trials)
    ).replace("\u00a0", " ")


def _quick(history: History | None) -> History:
    assert history is not None
    return replace(history, seconds=tuple(2.4 * place / len(history) for place in range(1, len(history) + 1)))


def with_values(values: Sequence[float], **changes: Any) -> StudyRecord:
    """Return a study of finished trials with these values and as many parameters as 1,000, 999, 998 and so on."""
    record = study(len(values))
    pairs = enumerate(zip(record.trials, values, strict=True))
    plain: dict[str, Any] = {"state": "complete", "outcome": "finished", "validation_loss": 0.1, "rungs": {}}
    trials = tuple(replace(t, value=value, parameters=1000 - place, **plain) for place, (t, value) in pairs)
    return replace(record, trials=trials, result={}, **changes)


def test_a_smaller_network_that_is_as_good_is_not_worse() -> None:
    """Two networks of one value: the smaller one is as good; one of a lower value is worse by their difference."""
    text = read("size", with_values([0.95, 0.95, 0.5]))
    assert (
        text == "Trial 1 has 999 parameters, the search's best, trial 0, 1,000; it is as good on the validation rows."
    )
    text = read("size", with_values([0.95, 0.946, 0.5])).replace("\u00a0", " ")
    assert text.endswith("trial 0, 1,000; it is 0.4 percentage points worse on the validation rows.")


def test_a_curve_that_begins_with_its_best_value_gained_nothing() -> None:
    """It has no best value that is "0.0 percentage points from its first"."""
    text = read("curves", with_curve(flat(20), [0.95, *[0.94] * 19]))
    assert text.startswith("Trial ")
    assert "has a flat curve: no later value is better than its first." in text


def searched(*names: str, value: Callable[[dict[str, Any]], float], count: int = 40) -> StudyRecord:
    """Return a study that searched these hyperparameters alone, each a number between 0 and 1, with a value that follows from them."""
    random = Random(1)  # noqa: S311 - no secret is drawn
    record = with_values([0.5] * count)
    trials = []
    for trial in record.trials:
        params = {name: random.random() for name in names}
        trials.append(replace(trial, params=params, value=value(params)))
    space = {name: {"low": 0.0, "high": 1.0} for name in names}
    return replace(record, trials=tuple(trials), settings={**record.settings, "space": space})


def test_importance_compares_what_there_is_to_compare() -> None:
    """One hyperparameter has no rival and no figure; of two that do nothing neither sets trials apart; one that decides all does."""
    alone = searched("dropout", value=lambda params: params["dropout"])
    assert read("importance", alone) == "Only dropout has an importance, so there is nothing to compare it with."
    assert FIGURES["importance"].draw(frames(alone), alone) is None
    noise = Random(2)  # noqa: S311 - no secret is drawn
    nothing = searched("dropout", "momentum", value=lambda params: noise.random())
    assert read("importance", nothing).startswith("Nothing surely sets the best trials apart: even the share of ")
    equal = searched("dropout", "momentum", value=lambda params: 0.9)
    assert "Nothing surely sets" in read("importance", equal)
    decides = searched("dropout", "momentum", value=lambda params: params["momentum"], count=80)
    assert read("importance", decides).startswith("The best trials are set apart most by momentum (")


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ((0.026, 0.014, 0.039), "selection had inflated its score."),
        (
            (0.115, -0.056, 0.915),
            "11.5 percentage points worse than in the search (95 % interval −5.6 to 91.5), which may be chance.",
        ),
        ((0.0, 0.0, 0.0), "neither better nor worse than in the search: no sign of luck in these runs."),
        (
            (-0.02, -0.05, 0.01),
            "2.0 percentage points better than in the search (95 % interval −1.0 to 5.0): no sign of luck",
        ),
    ],
)
def test_luck_is_neither_proven_nor_denied_by_runs_that_cannot_tell(gap: tuple[float, float, float], said: str) -> None:
    """Much worse on fresh seeds with a wide interval may be chance: it is no sign of luck, nor of none."""
    record = confirmed(study())
    gaps = {**record.result["gaps"], "search": dict(zip(("value", "low", "high"), gap, strict=True))}
    text = read("confirmed", replace(record, result={**record.result, "gaps": gaps})).replace("\u00a0", " ")
    assert said in text


def test_folds_tell_as_many_rows_as_they_have() -> None:
    """A best trial that is perfect in every fold has no spread of folds: its rows are all but the test rows, 1,527 and not 270."""
    record = with_values([1.0, 0.9985, 0.9])
    perfect = replace(record.trials[0], folds=(1.0, 1.0, 1.0))
    record = replace(record, trials=(perfect, *record.trials[1:]))
    assert not any("tied" in line for line in warnings(record, []))
    near = replace(record, trials=(perfect, replace(record.trials[1], value=0.9998), record.trials[2]))
    assert any(
        "tied with one other" in line and "1,527 validation rows tell no more" in line for line in warnings(near, [])
    )


def test_counts_and_shares_of_objectives_are_written_as_they_are() -> None:
    """The best number of parameters is 241 and not 241.0, and the tables of several objectives write accuracies as percentages."""
    trials = tuple(
        replace(t, values=(t.value or 0.0, float(t.parameters or 0))) for t in with_values([0.9, 0.8, 0.7]).trials
    )
    record = with_values([0.9, 0.8, 0.7], objectives={"accuracy": "maximize", "parameters": "minimize"})
    html = prose(page(replace(record, trials=trials), frames(replace(record, trials=trials))))
    assert "Best of 3 usable trials: 998, trial 2." in html
    assert "998.0" not in html
    assert re.search(r"trial accuracy parameters front 0 90\.0 % 1,000", html)
    assert re.search(r"axis position trial outcome value best trial 0 0 finished 90\.0 % 90\.0 %", html)


def test_first_settings_are_those_that_trials_took() -> None:
    """A known-good setting is named among them; two trials have no third setting; two known-good ones are not named."""
    record = study(2)

    def start(*settings: dict[str, Any]) -> str:
        search = {**record.settings["search"], "trials": 2, "start": [*settings]}
        return dict(protocol(replace(record, settings={**record.settings, "search": search})))["First trials"]

    assert start({}, {"learning_rate": 1e-6}, {"depth": 3}) == "all known-good; learning_rate 1×10⁻⁶"
    assert start({}, {}, {"depth": 3}) == ""


def test_the_protocol_has_the_rule_by_which_an_ensemble_is_kept() -> None:
    """Several networks may be kept although one of them is better, by less than a standard error: the protocol does not say otherwise."""
    record = study(2)
    settings = {**record.settings, "confirm": {"trials": 3, "seeds": 5, "ensemble": 5}}
    text = dict(protocol(replace(record, settings=settings)))["Confirmation"]
    assert text.endswith(
        "up to 5 networks together, unless one is better by more than a standard error on held-out rows"
    )
    losses = {"single": 5.707e-08, "ensemble": 5.707e-08, "error": 0.0}
    choice = {**ensembled(study(), kept=False).result["choice"], "loss": losses}
    said = why(choice, MetricFormat.of(record))
    assert "reach a loss of 5.71×10⁻⁸" in said
    assert said.endswith("No mixture of them does better, so that one is enough: the single network is selected.")
