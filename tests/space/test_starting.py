"""Settings of a first trial: completed by known-good values, and refused in a line where the space does not have them."""

from typing import Any

import pytest

from hpsearch.space import SearchSpace
from hpsearch.space.reading import read_space
from hpsearch.space.starting import settings_of_trial, starting_parameters

WIDE: dict[str, Any] = {
    "depth": {"low": 1, "high": 3},
    "width": {"low": 8, "high": 64, "step": 8},
    "optimizer": ["sgd", "momentum", "adam"],
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True, "sgd": {"low": 0.01, "high": 1.0}},
    "momentum": {"low": 0.5, "high": 0.9},
    "batch_size": [8, "full"],
}
LAYERS = {"depth": {"low": 1, "high": 3}, "width": {"values": [8, 16], "per_layer": True}}


def space(raw: dict[str, Any]) -> SearchSpace:
    read, problems = read_space(raw)
    assert problems == []
    return read


def test_what_is_not_given_is_known_good() -> None:
    """An empty table is the known-good trial; a value changes itself, and what follows from it."""
    wide = space(WIDE)
    assert starting_parameters(wide, {}) == (wide.defaults(), [])
    params, problems = starting_parameters(wide, {"optimizer": "momentum", "momentum": "0.6"})
    assert problems == []
    assert (params["momentum"], params["learning_rate"], params["width"]) == (0.6, 0.03, 64)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"learning_rate": "1e-3"}, {"learning_rate": 1e-3}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"optimizer": "sgd", "learning_rate": 0.5}, {"learning_rate_sgd": 0.5}),
        ({"optimizer": "sgd", "learning_rate_sgd": 0.5}, {"learning_rate_sgd": 0.5}),
        ({"width": 16.0, "batch_size": "full"}, {"width": 16, "batch_size": "full"}),
        ({"batch_size": "8"}, {"batch_size": 8}),
        ({"beta1": 0.9, "dropout": 0}, {"optimizer": "adam", "dropout": 0.0}),  # what they are anyway
    ],
)
def test_settings_are_read(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Texts that are numbers, whole numbers as reals and names of parameters are taken, each as its hyperparameter's kind."""
    params, problems = starting_parameters(space(WIDE), given)
    assert problems == []
    assert {name: params[name] for name in expected} == expected
    assert [type(params[name]) for name in expected] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (5, " is 5; expected a table, for example { learning_rate = 0.01 }"),
        ({"learning_rate": 5}, ".learning_rate is 5.0; the space has 0.0001 to 1. Widen space.learning_rate, "),
        (
            {"optimizer": "sgd", "learning_rate": 1e-3},
            ".learning_rate is 0.001; the space has 0.01 to 1. Widen space.lea",
        ),
        ({"learning_rate": "fast"}, ".learning_rate is 'fast'; expected a number > 0"),
        ({"learning_rate": True}, ".learning_rate is True; expected a number"),
        ({"width": 12}, ".width is 12; the space has 8 to 64, every 8. Widen space.width"),
        ({"batch_size": 16}, ".batch_size is 16; the space has 8 or full. Widen space.batch_size"),
        ({"dropout": 0.1}, ".dropout is 0.1; the space has 0.0. Add space.dropout"),
        ({"momentum": 0.6}, ".momentum: the optimizer adam has none. Leave it out"),
        ({"beta1": 0.5}, ".beta1: in every trial of the space it is 0.9. Add space.beta1"),
        ({"width_2": 8}, ".width_2: the space has one width for all layers. Give width"),
        ({"learning_rate_sgd": 0.1}, ".learning_rate_sgd: the trial has another learning rate. Give learning_rate"),
        ({"optimizer": "sdg"}, ".optimizer is unknown: 'sdg'. Did you mean 'sgd'?"),
        ({"wdth": 8}, ".wdth: unknown key. Did you mean 'width'?"),
    ],
)
def test_what_the_space_does_not_have_is_refused(given: Any, problem: str) -> None:
    """A value outside, a hyperparameter that the trial lacks and a misspelt one are one line each, which says what to do."""
    (found,) = starting_parameters(space(WIDE), given)[1]
    assert found.startswith(problem)


def test_a_width_for_each_layer() -> None:
    """Where layers have their own widths, one width is that of all, and a layer beyond the depth is refused."""
    layers = space(LAYERS)
    assert starting_parameters(layers, {"width": 8})[0] == {**layers.defaults(), "width_1": 8, "width_2": 8}
    assert starting_parameters(layers, {"depth": 3, "width_1": 8, "width_3": 8})[1] == []
    (problem,) = starting_parameters(layers, {"width_3": 8})[1]
    assert problem == ".width_3: a network of depth 2 has no such layer. Leave it out"


def test_a_trial_of_another_space() -> None:
    """A trial's parameters become settings that a space of another form takes: its own rate, equal widths as one."""
    wide, layers = space(WIDE), space(LAYERS)
    settings = settings_of_trial(
        wide, {"optimizer": "sgd", "learning_rate_sgd": 0.5, "depth": 1, "width": 8, "batch_size": 8}
    )
    assert (settings["learning_rate"], settings["optimizer"]) == (0.5, "sgd")
    assert starting_parameters(wide, settings)[1] == []
    equal = settings_of_trial(layers, {"depth": 2, "width_1": 16, "width_2": 16})
    assert equal["width"] == 16
    assert starting_parameters(wide, {**equal, "batch_size": 8})[1] == []
    other = settings_of_trial(layers, {"depth": 2, "width_1": 16, "width_2": 8})
    assert len(starting_parameters(wide, {**other, "batch_size": 8})[1]) == 2
