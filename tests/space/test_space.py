"""The space: domains, conditions, defaults, grids, the way to a specification."""

import json
from itertools import product
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.errors import UserError
from hpsearch.space import HYPERPARAMETERS, Choice, Domain, Integer, Real, SearchSpace
from hpsearch.space.hyperparameters import COEFFICIENTS
from hpsearch.space.reading import read_space
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import Budget, TrialSpec, derive_seed

FULL: dict[str, Any] = {
    "depth": {"low": 0, "high": 4},
    "width": {"low": 16, "high": 256, "log": True},
    "activation": ["relu", "tanh"],
    "optimizer": ["sgd", "momentum", "adam"],
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "momentum": {"low": 0.5, "high": 0.99},
    "beta1": [0.8, 0.9],
    "batch_size": [8, 64, "full"],
}
BUDGET = Budget("epochs", 9, 9, patience=3, reduction_factor=3)


def space(**raw: Any) -> SearchSpace:
    made, problems = read_space(raw)
    assert problems == []
    return made


def problems(**raw: Any) -> list[str]:
    return read_space(raw)[1]


def ask(searched: SearchSpace, seed: int = 0, **given: Any) -> tuple[dict[str, Any], optuna.Trial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.enqueue_trial(given)
    trial = study.ask()
    return searched.suggest(trial), trial


def specification(searched: SearchSpace, number: int = 3, seed: int = 7, rows: int = 100, **given: Any) -> TrialSpec:
    values, _ = ask(searched, **given)
    return searched.specification(values, number=number, seed=seed, budget=BUDGET, inputs=4, outputs=3, rows=rows)


numbers = st.floats(1e-6, 1e3)
reals = st.builds(
    lambda ends, log, grid: Real(min(ends), max(ends), log, grid),
    st.tuples(numbers, numbers),
    st.booleans(),
    st.integers(0, 9),
)
integers = st.builds(
    lambda ends, log: Integer(min(ends), max(ends), log),
    st.tuples(st.integers(1, 999), st.integers(1, 999)),
    st.booleans(),
)
steps = st.builds(
    lambda low, step, count: Integer(low, low + step * count, step=step),
    st.integers(1, 99),
    st.integers(1, 9),
    st.integers(1, 30),
)
choices = st.builds(Choice, st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(tuple))


@settings(deadline=None, derandomize=True)
@given(reals | integers | steps | choices, st.floats(-1e4, 1e4))
def test_nearest_and_points_are_inside(domain: Domain, value: float) -> None:
    """The nearest value and every point of a grid are values that the domain has, each point once and in order."""
    points = list(domain.points())
    assert len(set(points)) == len(points)
    assert isinstance(domain, Choice) or points == sorted(points)
    for inside in (domain.nearest(value), *points):
        if isinstance(domain, Choice):
            assert inside in domain.values
        else:
            assert not isinstance(inside, str)
            assert domain.low <= inside <= domain.high
            assert isinstance(domain, Real) or (inside - domain.low) % domain.step == 0


@settings(deadline=None, derandomize=True)
@given(reals | integers | steps | choices)
def test_nearest_of_a_point_is_itself(domain: Domain) -> None:
    """A value of the domain is its own nearest."""
    for point in list(domain.points())[:50]:
        assert domain.nearest(point) == point


@pytest.mark.parametrize(
    ("domain", "points"),
    [
        (Integer(1, 4), [1, 2, 3, 4]),
        (Integer(2, 10, step=4), [2, 6, 10]),
        (Integer(3, 20, log=True), [3, 4, 8, 16, 20]),
        (Real(0.0, 1.0, grid=3), [0.0, 0.5, 1.0]),
        (Real(0.01, 1.0, log=True, grid=3), [0.01, pytest.approx(0.1), 1.0]),
        (Real(0.0, 1.0, grid=1), [0.0]),
        (Real(0.0, 1.0), []),
        (Choice(("a", "b")), ["a", "b"]),
    ],
)
def test_points_of_each_kind(domain: Domain, points: list[Any]) -> None:
    """Each kind of domain has the points of a grid that its documentation says."""
    assert list(domain.points()) == points


def test_points_of_a_huge_range_take_no_memory() -> None:
    """The points of a range are counted, not made."""
    assert len(Integer(1, 10**15).points()) == 10**15


def test_nearest_choice() -> None:
    """Among numbers the nearest is chosen, among names the known-good one or the first."""
    assert Choice((8, 64, "full")).nearest(50) == 64
    assert Choice(("full",)).nearest(50) == "full"
    assert Choice(("sgd", "adam")).nearest("adam") == "adam"
    assert Choice(("sgd", "adam")).nearest("rmsprop") == "sgd"


def test_a_list_of_one_is_no_parameter() -> None:
    """A constant is a value of every trial and no parameter of the search."""
    values, trial = ask(space(width=32, activation=["tanh"], depth={"low": 2, "high": 2}))
    assert (values["width"], values["activation"], values["depth"]) == (32, "tanh", 2)
    assert trial.params == {}


def test_parameters_and_distributions_of_a_real_trial() -> None:
    """A real Optuna trial is asked under our names, for the distributions that the study's file says."""
    _, trial = ask(space(**FULL, dropout=0.1), optimizer="momentum")
    assert trial.distributions == {
        "depth": IntDistribution(0, 4),
        "width": IntDistribution(16, 256, log=True),
        "activation": CategoricalDistribution(("relu", "tanh")),
        "optimizer": CategoricalDistribution(("sgd", "momentum", "adam")),
        "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
        "batch_size": CategoricalDistribution((8, 64, "full")),
        "momentum": FloatDistribution(0.5, 0.99),
    }


def test_steps_end_at_the_last_one() -> None:
    """A range whose width is no multiple of the step ends at the last step inside, and Optuna says nothing to that."""
    _, trial = ask(space(depth={"low": 1, "high": 6, "step": 2}))
    assert trial.distributions == {"depth": IntDistribution(1, 5, step=2)}
    assert space(depth={"low": 1, "high": 6, "step": 100}).domain("depth") == Choice((1,))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_coefficients_only_where_the_optimizer_has_them(optimizer: str) -> None:
    """A coefficient is asked for, and specified, only with an optimizer that has it."""
    spec = specification(space(**FULL), optimizer=optimizer)
    asked = set(FULL) & set(OPTIMIZERS[optimizer].coefficients)
    assert spec.coefficients.keys() == asked
    _, trial = ask(space(**FULL), optimizer=optimizer)
    assert trial.params.keys() & COEFFICIENTS == asked


def test_learning_rate_that_is_not_searched_is_the_optimizers() -> None:
    """Each optimizer has its own known-good learning rate where the study says none."""
    searched = space(optimizer=list(OPTIMIZERS))
    rates = {name: specification(searched, optimizer=name).learning_rate for name in OPTIMIZERS}
    assert rates == {name: row.learning_rate for name, row in OPTIMIZERS.items()}


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_a_width_for_each_layer(depth: int) -> None:
    """With a width per layer there is one parameter for each layer that the network has."""
    searched = space(depth={"low": 0, "high": 4}, width={"low": 8, "high": 16, "per_layer": True})
    values, trial = ask(searched, depth=depth)
    assert set(trial.params) == {"depth", *(f"width_{layer}" for layer in range(1, depth + 1))}
    architecture = specification(searched, depth=depth).architecture
    assert architecture is not None
    assert architecture.widths == tuple(values[f"width_{layer}"] for layer in range(1, depth + 1))


@pytest.mark.parametrize(
    ("taper", "widths"),
    [(1.0, (100, 100, 100, 100)), (0.5, (100, 50, 25, 12)), (0.01, (100, 1, 1, 1)), (2.0, (100, 200, 400, 800))],
)
def test_taper(taper: float, widths: tuple[int, ...]) -> None:
    """Each layer is a taper times as wide as the one before, and never without a unit."""
    architecture = specification(space(depth=4, width=100, taper=taper)).architecture
    assert architecture is not None
    assert architecture.widths == widths


def test_a_taper_never_grows_without_end() -> None:
    """A growing taper in a deep network ends at the largest width that a study may say."""
    architecture = specification(space(depth=1000, width=100, taper=4.0)).architecture
    assert architecture is not None
    assert max(architecture.widths) == HYPERPARAMETERS["width"].high


@pytest.mark.parametrize("per_layer", [True, False])
def test_a_network_of_ones_own_leaves_the_networks_parameters_out(per_layer: bool) -> None:
    """With a network of the user's own, depth, width and the like are neither asked for nor specified."""
    searched = space(**{**FULL, "width": {"low": 8, "high": 16, "per_layer": per_layer}})
    trial = optuna.create_study().ask()
    values = searched.suggest(trial, custom_network=True)
    assert set(trial.params) <= {"optimizer", "learning_rate", "batch_size", "momentum", "beta1"}
    spec = searched.specification(values, number=0, seed=0, budget=BUDGET, inputs=4, outputs=3, rows=9)
    assert spec.architecture is None


def test_defaults_of_every_row_are_allowed() -> None:
    """The known-good defaults of the table, and of every optimizer, pass the table's own checks."""
    for name, row in HYPERPARAMETERS.items():
        assert row.problem(row.default) is None, name
    for optimizer in OPTIMIZERS.values():
        assert HYPERPARAMETERS["learning_rate"].problem(optimizer.learning_rate) is None
        assert [name for name, value in optimizer.coefficients.items() if HYPERPARAMETERS[name].problem(value)] == []


def test_defaults_are_known_good_where_the_space_allows() -> None:
    """The first trial of a search has the known-good values, or the nearest that the space has."""
    defaults = space(**FULL).defaults()
    assert (defaults["optimizer"], defaults["learning_rate"], defaults["width"]) == ("adam", 1e-3, 128)
    assert (defaults["beta1"], defaults["batch_size"], "momentum" in defaults) == (0.9, 8, False)
    assert space(optimizer=["momentum"], momentum={"low": 0.1, "high": 0.5}).defaults()["momentum"] == 0.5
    assert space(optimizer=["sgd"], learning_rate={"low": 1.0, "high": 2.0}).defaults()["learning_rate"] == 1.0


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.sets(st.sampled_from(list(FULL))))
def test_defaults_are_inside_the_space(names: set[str]) -> None:
    """Optuna takes the defaults as a trial's parameters without a word: each lies in its distribution."""
    searched = SearchSpace({name: space(**FULL).domains[name] for name in FULL if name in names})
    defaults = searched.defaults()
    values, trial = ask(searched, **defaults)
    assert values == defaults
    assert all(
        trial.distributions[name]._contains(trial.distributions[name].to_internal_repr(v))
        for name, v in trial.params.items()
    )


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["dropout", "taper"]),
        st.builds(Real, st.floats(0.01, 0.4), st.floats(0.5, 0.9), st.booleans(), st.integers(0, 9)),
    ),
    st.booleans(),
)
def test_a_space_is_written_as_it_was_read(domains: dict[str, Domain], per_layer: bool) -> None:
    """A space written as a study's file would write it, through JSON, reads back as the same space."""
    whole = SearchSpace(
        {**space(width={"low": 8, "high": 64, "log": True}, depth=[1, 2], optimizer="sgd").domains, **domains},
        per_layer,
    )
    raw = json.loads(json.dumps(whole.plain()))
    if per_layer and "taper" in domains:
        assert problems(**raw)
        return
    again = space(**raw)
    assert again.plain() == whole.plain()
    assert again.per_layer == per_layer


@pytest.mark.parametrize("width", [32, [32], [8, 16], {"values": [8, 16]}, {"values": [8]}, {"low": 8, "high": 8}])
def test_per_layer_survives_writing(width: Any) -> None:
    """A width per layer stays one, however the widths are given."""
    raw = width if isinstance(width, dict) else {"values": width if isinstance(width, list) else [width]}
    searched = space(depth=2, width={**raw, "per_layer": True})
    assert space(**searched.plain()) == searched


def test_grid_has_every_point_once() -> None:
    """A grid without conditions is the product of its lists, each point once."""
    searched = space(depth=[1, 2], width=[8, 16, 32], learning_rate={"low": 1e-3, "high": 1e-1, "log": True, "grid": 3})
    points = list(searched.grid())
    assert len(points) == 2 * 3 * 3
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)
    assert {(p["depth"], p["width"]) for p in points} == set(product([1, 2], [8, 16, 32]))


def test_grid_does_not_multiply_conditions() -> None:
    """A coefficient multiplies only the points of optimizers that have it, and a layer's width those of networks that deep."""
    points = list(space(optimizer=["sgd", "momentum", "adam"], momentum=[0.5, 0.9], beta1=[0.8, 0.9, 0.95]).grid())
    assert sorted(point["optimizer"] for point in points) == ["adam"] * 3 + ["momentum"] * 2 + ["sgd"]
    layers = list(space(depth=[0, 1, 2], width={"values": [4, 8, 16], "per_layer": True}).grid())
    assert len(layers) == 1 + 3 + 9


@pytest.mark.slow
def test_grid_begins_with_the_known_good_point() -> None:
    """The known-good point comes first where the grid has it, and once."""
    searched = space(optimizer=["sgd", "adam"], width=[32, 128], depth=[1, 2, 3])
    points = list(searched.grid())
    assert points[0] == searched.defaults()
    assert points.count(points[0]) == 1
    assert len(points) == 12


def test_grid_keeps_to_its_points() -> None:
    """A known-good value between the points of a range is not added to the grid."""
    points = list(
        space(dropout={"low": 0.1, "high": 0.5, "grid": 3}, learning_rate={"low": 1e-4, "high": 1.0, "grid": 2}).grid()
    )
    assert len(points) == 6
    assert {point["learning_rate"] for point in points} == {1e-4, 1.0}


def test_grid_without_points_names_every_range() -> None:
    """Ranges without a number of points are refused, all of them in one line."""
    with pytest.raises(UserError) as caught:
        next(space(**FULL).grid())
    assert str(caught.value).startswith("space.learning_rate, momentum: a grid needs points.")


def test_grid_of_astronomic_size_starts_at_once() -> None:
    """A grid of more points than fit into memory is walked, not made."""
    huge = space(
        width={"low": 1, "high": 1_000_000},
        depth={"low": 1, "high": 1000, "step": 1},
        batch_size={"low": 1, "high": 100_000},
    )
    grid = huge.grid()
    assert [next(grid)["width"] for _ in range(3)] == [128, 1, 1]


def test_specification_is_a_function_of_study_and_number() -> None:
    """Initial weights depend on the trial's number, the order of batches on the study alone."""
    searched = space(batch_size=[8])
    one, other = specification(searched, number=1), specification(searched, number=2)
    assert (one.seed, other.seed) == (derive_seed(7, "trial", 1), derive_seed(7, "trial", 2))
    assert one.order_seed == other.order_seed == 7
    assert specification(searched, number=1, seed=8).seed != one.seed


@pytest.mark.parametrize(
    ("asked", "rows", "used"), [("full", 100, 100), (64, 100, 64), (64, 10, 10), (1, 10, 1), (10, 10, 10)]
)
def test_batch_size_is_at_most_the_rows(asked: int | str, rows: int, used: int) -> None:
    """The full batch is all rows, and so is a larger one."""
    spec = specification(space(batch_size=[asked]), rows=rows)
    assert spec.batch_size == used
    assert spec.evaluate_at == BUDGET.evaluate_at(used, rows)
    assert (spec.rungs, spec.patience) == (BUDGET.rungs, 3)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"learning_rat": 1}, "space.learning_rat: unknown key. Did you mean 'learning_rate'?"),
        ({"learning_rate": 0}, "space.learning_rate is 0; expected a number > 0"),
        ({"learning_rate": float("nan")}, "space.learning_rate is nan; expected a number > 0"),
        ({"learning_rate": float("inf")}, "space.learning_rate is inf; expected a number > 0 and ≤ 1e+38"),
        ({"learning_rate": True}, "space.learning_rate is True; expected a number"),
        ({"learning_rate": "fast"}, "space.learning_rate is 'fast'; expected a number"),
        ({"learning_rate": 10**4999}, "space.learning_rate is a number of thousands of digits; expected"),
        ({"learning_rate": {}}, "space.learning_rate is a range without 'low'. Write { low = ..., high = ... }"),
        ({"learning_rate": {"low": 1}}, "space.learning_rate is a range without 'high'"),
        ({"learning_rate": {"low": 1, "hihg": 2}}, "space.learning_rate.hihg: unknown key. Did you mean 'high'?"),
        ({"learning_rate": {"low": 2, "high": 1}}, "space.learning_rate is reversed: low = 2 is above high = 1. Swap them"),
        ({"learning_rate": {"low": 1, "high": 2, "log": 1}}, "space.learning_rate.log is 1; expected true or false"),
        ({"learning_rate": {"low": 1, "high": 2, "grid": 0}}, "space.learning_rate.grid is 0; expected a whole number ≥ 1"),
        ({"learning_rate": {"low": 1, "high": 2, "grid": 10**9}}, "space.learning_rate.grid is 1000000000; expected"),
        ({"learning_rate": {"values": 3}}, "space.learning_rate.values is 3; expected a list"),
        ({"learning_rate": []}, "space.learning_rate is an empty list. Give at least one value"),
        ({"learning_rate": [1, 1.0]}, "space.learning_rate lists a value twice: 1. Give each once"),
        ({"depth": [[1]]}, "space.depth is [1]; expected a single value"),
        ({"depth": 1.5}, "space.depth is 1.5; expected a whole number ≥ 0 and ≤ 1,000"),
        ({"depth": {"low": 0, "high": 4, "log": True}}, "space.depth is logarithmic from low = 0; expected low > 0"),
        ({"depth": {"low": 1, "high": 4, "log": True, "step": 2}}, "space.depth has both 'log' and 'step'. Drop one"),
        ({"depth": {"low": 1, "high": 4, "step": float("nan")}}, "space.depth.step is nan; expected a whole number ≥ 1"),
        ({"dropout": 1.0}, "space.dropout is 1.0; expected a number ≥ 0 and < 1"),
        ({"batch_size": 0}, "space.batch_size is 0; expected a whole number ≥ 1 and ≤ 1,000,000, or 'full'"),
        ({"batch_size": "big"}, "space.batch_size is 'big'; expected a whole number ≥ 1 and ≤ 1,000,000, or 'full'"),
        ({"batch_size": {"low": "full", "high": 64}}, "space.batch_size.low is 'full'; the ends of a range are numbers"),
        ({"optimizer": "adma"}, "space.optimizer is unknown: 'adma'. Did you mean 'adam'? Known: adagrad, adam,"),
        ({"optimizer": 3}, "space.optimizer is unknown: 3. Known: adagrad, adam,"),
        ({"optimizer": {"low": 1, "high": 2}}, "space.optimizer is a name, not a range. Give a list of: sgd,"),
        ({"optimizer": "sgd", "momentum": 0.5}, "space.momentum: none of the optimizers sgd has it. Remove it, or add one"),
        ({"width": {"values": [8], "per_layer": True}, "taper": 0.5}, "space.taper: with a width per layer there is nothing"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_key(raw: dict[str, Any], told: str) -> None:
    """Every kind of mistake in a space gives one line: key, what was given, what is expected or what to do."""
    found = problems(**raw)
    assert [line[: len(told)] for line in found] == [told]


def test_all_mistakes_are_told_at_once() -> None:
    """A space with several mistakes is told all of them, each once."""
    found = problems(depth=[-1, -1, 2], width={"low": 0, "high": "x"}, optimizer=["adma", "sdg"], nonsense=1)
    assert len(found) == 6


everything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["adam", "full", 10**400, 8]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["low", "high", "log", "values", "step", "grid", "x"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.dictionaries(st.sampled_from(list(HYPERPARAMETERS)), everything, max_size=3))
def test_whatever_stands_in_a_space_is_refused_or_works(raw: dict[str, Any]) -> None:
    """Any values at all either give problems that print, or a space that a real Optuna trial can be asked for."""
    made, found = read_space(raw)
    if found:
        assert all(line.startswith("space.") and line.isprintable() for line in found)
    else:
        values, _ = ask(made)
        made.specification(values, number=0, seed=0, budget=BUDGET, inputs=4, outputs=3, rows=9)
        json.dumps(made.plain())
