"""The engines' contract: every engine's runs are the reference's, in float64 to 1e-10. A new engine is one word of `ENGINES`."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.training import TrialQueue
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.reference import train
from hpsearch.training.schedules import SCHEDULES
from hpsearch.trial import Architecture, Outcome, TrialSpec
from tests.support.cohorts import (
    TASKS,
    WIDTHS,
    WITH_FORMULA,
    assert_equal,
    assert_parity,
    cohort,
    reference,
    trained,
    varied_spec,
)
from tests.support.small import small_data

ENGINES = ["fused", "compiled"]
every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equals_reference_for_every_row(engine: str, schedule: str) -> None:
    """Every optimizer with a formula, activation and schedule, depths 1 to 4 and widths mixed in one cohort, is the reference's run."""
    data, deep = small_data(), [widths for widths in WIDTHS if widths]
    names = enumerate(product(WITH_FORMULA, ACTIVATIONS))
    specs = [
        varied_spec(data, n, optimizer=optimizer, activation=activation, schedule=schedule, widths=deep[n % 7])
        for n, (optimizer, activation) in names
    ]
    assert_parity(specs, engine=engine)


@pytest.mark.slow
@every_engine
@pytest.mark.parametrize(("task", "batch_size"), list(product(TASKS, [1, 7, "full"])))
def test_equals_reference_for_every_task_and_batch_size(engine: str, task: str, batch_size: int | str) -> None:
    """Three tasks with batch sizes 1, one that does not divide the rows, and the full batch are the reference's runs."""
    rows = len(small_data(task).training)
    assert_parity(cohort(task, batch_size=rows if batch_size == "full" else batch_size), task, engine=engine)


@every_engine
def test_coefficients_and_initialisations_reach_the_update(engine: str) -> None:
    """Coefficients that are not the defaults, and initialisations that differ between neighbours, are the reference's runs."""
    data = small_data()
    names = ["xavier_uniform", "lecun_normal", "kaiming_uniform"]
    specs = []
    for n, name in enumerate(WITH_FORMULA):
        coefficients = {c: v * 0.9 for c, v in OPTIMIZERS[name].coefficients.items()}
        specs += [varied_spec(data, n, optimizer=name, coefficients=coefficients, initialization=names[n % 3])]
    runs = trained(specs, engine=engine)
    for spec in specs:
        run = train(spec, data, TrialQueue())
        assert run is not None
        assert_equal(runs[spec.number], run)


@every_engine
def test_fewer_updates_than_evaluations(engine: str) -> None:
    """Evaluations without an update in between repeat their entry."""
    assert_parity(cohort(evaluate_at=(1, 1, 2, 2)), engine=engine)


@every_engine
def test_engine_refills_midway(engine: str) -> None:
    """With fewer places than trials, some of which stop early, lanes at different updates go side by side; runs stay the reference's."""
    specs = [
        replace(spec, patience=1, learning_rate=1e-9) if spec.number % 3 == 0 else spec
        for spec in cohort(trials=11, evaluate_at=(2, 4, 6, 8, 10))
    ]
    assert_parity(specs, max_concurrency=4, engine=engine)
    assert {reference(spec).outcome for spec in specs} == {Outcome.FINISHED, Outcome.STOPPED_EARLY}


@every_engine
def test_divergence_is_the_reference_s(engine: str) -> None:
    """A trial that diverges ends in the reference's outcome, at the same update."""
    specs = cohort("regression", activation="relu", evaluate_at=(6, 12))
    specs[2] = replace(specs[2], learning_rate=1e60, optimizer="sgd")
    assert reference(specs[2], "regression").outcome is Outcome.DIVERGED
    assert_parity(specs, "regression", engine=engine)


architectures = st.builds(
    Architecture,
    inputs=st.just(5),
    widths=st.lists(st.integers(1, 20), max_size=4).map(tuple),
    outputs=st.just(3),
    activation=st.sampled_from(list(ACTIVATIONS)),
    dropout=st.sampled_from([0.0, 0.25, 0.7]),
)
trials = st.builds(
    lambda architecture, seed, optimizer, schedule, factor, decay: TrialSpec(
        number=0,
        seed=seed,
        order_seed=5,
        architecture=architecture,
        optimizer=optimizer,
        learning_rate=OPTIMIZERS[optimizer].learning_rate * factor,
        batch_size=10,
        evaluate_at=(3, 6),
        schedule=schedule,
        weight_decay=decay,
    ),
    architectures,
    st.integers(0, 2**40),
    st.sampled_from(WITH_FORMULA),
    st.sampled_from(list(SCHEDULES)),
    st.floats(0.1, 2),
    st.sampled_from([0.0, 0.05]),
)


@every_engine
@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(trials, min_size=1, max_size=6), st.sampled_from([1, 10, 13]))
def test_any_cohort_equals_the_reference(engine: str, specs: list[TrialSpec], batch_size: int) -> None:
    """Whatever trials meet in a cohort, each one's run is the reference's."""
    assert_parity([replace(spec, number=n, batch_size=batch_size) for n, spec in enumerate(specs)], engine=engine)
