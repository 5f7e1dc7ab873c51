"""A learning rate of an optimizer's own, a narrowed space, and texts that are numbers."""

import json
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from hpsearch.errors import UserError
from hpsearch.space import Choice
from hpsearch.space.reading import narrowed
from tests.space.test_space import ask, problems, space, specification

# ------------------------------------------------------------------ a learning rate of an optimizer's own

RATES: dict[str, Any] = {
    "optimizer": ["sgd", "adam", "rmsprop"],
    "learning_rate": {
        "low": 1e-4,
        "high": 1e-2,
        "log": True,
        "sgd": {"low": 0.01, "high": 1.0},
        "rmsprop": [0.001, 0.01],
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "name", "distribution"),
    [
        ("sgd", "learning_rate_sgd", FloatDistribution(0.01, 1.0)),
        ("adam", "learning_rate", FloatDistribution(1e-4, 1e-2, log=True)),
        ("rmsprop", "learning_rate_rmsprop", CategoricalDistribution((0.001, 0.01))),
    ],
)
def test_an_optimizer_has_its_own_learning_rate(optimizer: str, name: str, distribution: Any) -> None:
    """A trial is asked for the learning rate of its optimizer alone, from that one's range, and trains with it."""
    searched = space(**RATES)
    values, trial = ask(searched, optimizer=optimizer)
    rates = {key: value for key, value in trial.distributions.items() if key.startswith("learning_rate")}
    assert rates == {name: distribution}
    assert specification(searched, optimizer=optimizer, **{name: values[name]}).learning_rate == values[name]


def test_own_learning_rates_are_written_as_they_were_read() -> None:
    """A space with own learning rates reads back from its plain form, with and without a range for the others."""
    for raw in (RATES, {**RATES, "optimizer": ["sgd", "adam"], "learning_rate": {"sgd": 0.1, "adam": [0.1, 0.2]}}):
        optimizers = raw["optimizer"]
        rates = {
            key: value for key, value in raw["learning_rate"].items() if key in (*optimizers, "low", "high", "log")
        }
        searched = space(**{**raw, "learning_rate": rates})
        assert space(**json.loads(json.dumps(searched.plain()))) == searched
    shared = space(optimizer=["sgd", "adam"], learning_rate={"values": [0.1], "sgd": {"low": 0.1, "high": 1}})
    assert space(**shared.plain()) == shared


def test_the_only_optimizers_own_learning_rate_is_the_learning_rate() -> None:
    """Where there is one optimizer, its own range is the range, under the usual name."""
    searched = space(optimizer="sgd", learning_rate={"low": 1, "high": 2, "sgd": {"low": 0.01, "high": 1.0}})
    assert searched == space(optimizer="sgd", learning_rate={"low": 0.01, "high": 1.0})


def test_defaults_and_grid_of_own_learning_rates() -> None:
    """The known-good trial has the default nearest in its optimizer's range; a grid has each optimizer's points alone."""
    assert space(**RATES).defaults()["learning_rate"] == 1e-3
    only = space(optimizer=["sgd", "momentum"], learning_rate={"sgd": {"low": 0.5, "high": 1}, "momentum": 0.1})
    assert only.defaults()["learning_rate_sgd"] == 0.5
    points = space(optimizer=["sgd", "adam"], learning_rate={"sgd": [0.1, 0.2], "adam": [0.001]}).grid()
    rates = sorted((p["optimizer"], p.get("learning_rate_sgd") or p["learning_rate_adam"]) for p in points)
    assert rates == [("adam", 0.001), ("sgd", 0.1), ("sgd", 0.2)]
    with pytest.raises(UserError, match=r"space.learning_rate, learning_rate.sgd: a grid needs points"):
        next(space(**{**RATES, "optimizer": ["sgd", "adam", "rmsprop"]}).grid())


@pytest.mark.parametrize(
    ("rates", "problem"),
    [
        (
            {"sgd": 0.1},
            "space.learning_rate: no range for adam. Add space.learning_rate.adam, or low and high for all others",
        ),
        (
            {"low": 1, "high": 2, "rmsprop": 3},
            "space.learning_rate.rmsprop: the optimizers are sgd, adam. Remove it, or add rmsprop",
        ),
        ({"low": 1, "high": 2, "sgd": {"low": 3, "high": 2}}, "space.learning_rate.sgd is reversed"),
        ({"low": 1, "high": 2, "sgd": {"lo": 3}}, "space.learning_rate.sgd.lo: unknown key"),
        ({"low": 1, "high": 2, "sdg": 0.1}, "space.learning_rate.sdg: unknown key. Did you mean 'sgd'?"),
        ({"low": 1, "high": 2, "sgd": -1}, "space.learning_rate.sgd is -1; expected a number > 0"),
    ],
)
def test_own_learning_rates_that_cannot_be(rates: dict[str, Any], problem: str) -> None:
    """A missing, a foreign, a reversed and a misspelt one are one line each."""
    found = problems(optimizer=["sgd", "adam"], learning_rate=rates)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_narrowed_drops_what_no_optimizer_has() -> None:
    """Of a narrowed space coefficients and learning rates of other optimizers fall away, save those that are to stay."""
    raw = {"optimizer": "adam", "momentum": 0.9, "beta1": 0.9, "learning_rate": {"low": 1, "high": 2, "sgd": 0.1}}
    left, dropped = narrowed(raw)
    assert dropped == ["momentum", "learning_rate.sgd"]
    assert left == {"optimizer": "adam", "beta1": 0.9, "learning_rate": {"low": 1, "high": 2}}
    assert narrowed(raw, ["momentum", "learning_rate.sgd"]) == (raw, [])
    assert narrowed({**raw, "optimizer": ["adam", "sgd", "momentum"]})[1] == []
    assert narrowed({**raw, "optimizer": "adm"})[1] == []


# ------------------------------------------------------------------ texts that are numbers


@pytest.mark.parametrize("text", ["1e-3", ".001", "0.001", " 1E-3 ", "+1e-3"])
def test_a_text_that_is_a_number_is_read(text: str) -> None:
    """A number in quotes is the number, alone, in a list and at the end of a range; a word stays a word."""
    assert space(learning_rate=text) == space(learning_rate=1e-3)
    assert space(learning_rate=[text, "0.1"]) == space(learning_rate=[1e-3, 0.1])
    assert space(learning_rate={"low": text, "high": "1", "log": True}) == space(
        learning_rate={"low": 1e-3, "high": 1.0, "log": True}
    )
    assert space(batch_size=["8", "full", "16.0"]).domain("batch_size") == Choice((8, "full", 16))
    assert problems(depth=["2", 2]) == ["space.depth lists a value twice: 2. Give each once"]


@pytest.mark.parametrize("text", ["1e-3x", "fast", "", "1,5", "0x10", "nan", "inf", "true"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    """What is no number, or none that can be used, is one line that shows it."""
    (found,) = problems(learning_rate=text)
    assert found.endswith("expected a number > 0 and ≤ 1e+38")
