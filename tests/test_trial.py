"""Trials as values: budgets, seeds, histories, architectures."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.training.network import DNN
from hpsearch.trial import (
    MEANINGS,
    Architecture,
    Budget,
    History,
    Outcome,
    TrialSpec,
    derive_seed,
)

ENTRY = {"update": 5, "examples": 50, "seconds": 0.5, "training_loss": 1.0, "validation_loss": 2.0, "metric": 0.75}

budgets = st.builds(
    Budget,
    st.sampled_from(["epochs", "updates", "examples"]),
    st.integers(1, 10**7),
    st.integers(1, 300),
    reduction_factor=st.none() | st.integers(2, 100),
)


def history(length: int) -> History:
    made = History()
    for number in range(1, length + 1):
        made = made.append(**{**ENTRY, "evaluation": number})
    return made


@settings(deadline=None, derandomize=True)
@given(budgets, st.integers(1, 10**5), st.integers(1, 10**5))
def test_every_budget_is_evaluated_alike(budget: Budget, batch_size: int, rows: int) -> None:
    """Whatever the batch size there are equally many evaluations, in order, after at least one update, the last at the end."""
    batch_size = min(batch_size, rows)
    updates = budget.evaluate_at(batch_size, rows)
    assert len(updates) == budget.evaluations
    assert updates[0] >= 1
    assert all(a <= b for a, b in pairwise(updates))
    assert updates[-1] == budget.updates(batch_size, rows) >= 1


def test_many_rows_are_passed_over_less_often() -> None:
    """A budget of 40 epochs and at most 400,000 examples is 40 passes over 10,000 rows, and 20 over 20,000, whatever the batch size."""
    budget = Budget("epochs", 40, 40, max_examples=400_000)
    assert [budget.updates(100, rows) for rows in (1_000, 10_000, 20_000)] == [400, 4_000, 4_000]
    assert budget.updates(10, 20_000) == 40_000
    assert len(budget.evaluate_at(100, 20_000)) == 40
    assert Budget("updates", 50, 1, max_examples=100).updates(10, 5) == 10


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 1000), st.integers(1, 10**5))
def test_an_epoch_of_the_full_batch_is_one_update(epochs: int, rows: int) -> None:
    """Gradient descent makes one update an epoch, batch size 1 one a row."""
    budget = Budget("epochs", epochs, 1)
    assert budget.updates(rows, rows) == epochs
    assert budget.updates(1, rows) == epochs * rows


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 10**7), st.integers(1, 1000), st.integers(1, 10**5))
def test_updates_and_examples_mean_what_they_say(amount: int, batch_size: int, rows: int) -> None:
    """A budget of updates is that many; one of examples sees at least so many, and less than a batch more."""
    assert Budget("updates", amount, 1).updates(batch_size, rows) == amount
    seen = Budget("examples", amount, 1).updates(batch_size, rows) * batch_size
    assert amount <= seen < amount + batch_size


@pytest.mark.parametrize(
    ("evaluations", "factor", "rungs"),
    [
        (27, 3, (1, 3, 9)),
        (100, 3, (1, 3, 11, 33)),
        (8, 2, (1, 2, 4)),
        (1, 3, ()),
        (2, 3, ()),
        (9, None, ()),
        (9, 100, ()),
    ],
)
def test_rungs(evaluations: int, factor: int | None, rungs: tuple[int, ...]) -> None:
    """Rungs are a reduction factor apart, counted down from the end, which is none itself."""
    assert Budget("epochs", 5, evaluations, reduction_factor=factor).rungs == rungs


@settings(deadline=None, derandomize=True)
@given(budgets)
def test_rungs_are_evaluations_before_the_last(budget: Budget) -> None:
    """Every rung is an evaluation, each once, in order, and none is the last."""
    assert list(budget.rungs) == sorted(set(budget.rungs))
    assert all(1 <= rung < budget.evaluations for rung in budget.rungs)


def test_seeds_are_stable() -> None:
    """A seed is the same on every machine and in every version: old studies can be continued."""
    assert derive_seed(0, "trial", 1) == 4_388_322_166_562_454_657


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(), st.sampled_from(["trial", "sampler"]), st.integers()), unique=True, max_size=50)
)
def test_seeds_differ(parts: list[tuple[int, str, int]]) -> None:
    """Different parts have different seeds, all in the range of a 64-bit seed."""
    seeds = [derive_seed(*part) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_history_grows_without_changing() -> None:
    """Appending gives a longer history and leaves the one before as it was."""
    short = history(2)
    longer = short.append(**{**ENTRY, "evaluation": 3})
    assert (len(short), len(longer)) == (2, 3)
    assert longer.evaluation == (1, 2, 3)
    assert list(longer.columns()) == [
        "evaluation",
        "update",
        "examples",
        "seconds",
        "training_loss",
        "validation_loss",
        "metric",
    ]
    assert {len(column) for column in longer.columns().values()} == {3}


def test_history_wants_all_columns() -> None:
    """An entry that lacks a column is refused: columns have one length."""
    with pytest.raises(KeyError):
        History().append(evaluation=1)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 60), st.integers(2, 40))
def test_thinned_keeps_the_ends(length: int, most: int) -> None:
    """At most so many entries are left, in order, each once, with the first and the last; short histories stay whole."""
    thin = history(length).thinned(most)
    assert len(thin) == min(length, most)
    assert list(thin.evaluation) == sorted(set(thin.evaluation))
    assert not length or (thin.evaluation[0], thin.evaluation[-1]) == (1, length)


@pytest.mark.parametrize("widths", [(), (7,), (8, 3), (5, 1, 5), (16,) * 6])
def test_parameters_are_what_torch_counts(widths: tuple[int, ...]) -> None:
    """The number of parameters is that of the network's trainable numbers."""
    architecture = Architecture(13, widths, 3)
    assert architecture.sizes == (13, *widths, 3)
    assert architecture.parameters == sum(p.numel() for p in DNN(architecture).parameters() if p.requires_grad)


def test_the_last_evaluation_is_the_budget() -> None:
    """A trial's updates are those of its last evaluation."""
    assert TrialSpec(0, 1, 2, None, "sgd", 0.1, 8, (3, 6, 9)).updates == 9


def test_outcomes_have_a_meaning() -> None:
    """Every outcome has a sentence, and those without a usable value are known."""
    assert set(MEANINGS) == set(Outcome)
    assert all(outcome.meaning for outcome in Outcome)
    assert {outcome for outcome in Outcome if outcome.failed} == {
        Outcome.DIVERGED,
        Outcome.OUT_OF_MEMORY,
        Outcome.KILLED,
        Outcome.ERROR,
        Outcome.OUT_OF_TIME,
    }
