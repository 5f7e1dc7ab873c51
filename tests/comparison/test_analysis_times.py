"""Evidence of times and curves: costs to the target against the law that the synthetic record was made with, and by hand."""

from dataclasses import replace
from math import inf, log2

import pytest

from hpsearch.comparison.analysis.contrasts import reference_size, three_times
from hpsearch.comparison.analysis.measured import three_regimes
from hpsearch.comparison.analysis.quality import quality
from hpsearch.comparison.analysis.times import (
    PLAIN,
    PRODUCT,
    SHALLUE_MNIST,
    curve,
    learning_rate,
    mini_batch,
    nearest_size,
    regimes,
    scaling,
    shallue_steps,
    times,
    winner_of,
)
from hpsearch.storage import ComparisonRecord, TrialRecord
from hpsearch.trial import History
from tests.support import comparisons


def history(updates: list[int], metric: list[float], seconds: list[float] | None = None) -> History:
    """A history with these columns, at batch size 8."""
    found = History()
    for i, (update, value) in enumerate(zip(updates, metric, strict=True)):
        found = found.append(
            evaluation=i + 1,
            update=update,
            examples=update * 8,
            seconds=seconds[i] if seconds else update * 0.5,
            training_loss=1.0 / update,
            validation_loss=2.0 / update,
            metric=value,
        )
    return found


def with_runs(record: ComparisonRecord, place: int, runs: list[TrialRecord]) -> ComparisonRecord:
    """The record with other runs of one arm's winner."""
    arms = list(record.arms)
    fastest = arms[place].fastest
    assert fastest is not None
    winner = replace(fastest, runs=tuple(runs))
    arms[place] = replace(arms[place], fastest=winner, best=winner)
    return replace(record, arms=tuple(arms))


def run(number: int, seen: History, outcome: str = "finished") -> TrialRecord:
    return TrialRecord(number, "complete", {"seed": number}, outcome, history=seen)


def test_costs_are_those_of_the_law_that_made_the_runs() -> None:
    """Median updates lie within 15 % of S_min (1 + B_crit / B) at the rate that was tuned; epochs and seconds are the same runs."""
    for arm in times(comparisons.comparison()):
        assert arm.learning_rate is not None
        off = arm.learning_rate / comparisons.best_rate(arm.batch_size)
        expected = comparisons.steps(arm.batch_size) * max(1 / off, off**0.5)
        steps, epochs, seconds = (arm.costs[unit].median.value for unit in ("steps", "epochs", "seconds"))
        assert steps == pytest.approx(expected, rel=0.15)
        assert epochs == pytest.approx(steps * arm.batch_size / comparisons.ROWS)
        assert seconds == pytest.approx(steps * (4e-6 + 1e-6 * arm.batch_size))
        assert (arm.reached, arm.runs) == (6, 6)


def test_a_run_by_hand() -> None:
    """Strictly better than the target, infinite where never, seconds without the warm-up, the cap and the resolution as counted."""
    reaching = history([4, 8, 10], [0.5, 0.95, 0.96], [9.0, 11.0, 12.0])
    never = history([4, 8, 10], [0.5, 0.6, 0.95], [9.0, 11.0, 12.0])
    record = with_runs(
        comparisons.comparison(batch_sizes=(8, 64)), 0, [run(0, reaching), run(1, never), run(2, reaching)]
    )
    record = replace(record, arms=(replace(record.arms[0], trials=()), record.arms[1]))
    arm = times(record)[0]
    assert arm.costs["steps"].values == (10.0, inf, 10.0)
    assert arm.costs["seconds"].values == (5.0, inf, 5.0)  # 0.5 s an update once the first window is left out
    assert arm.costs["epochs"].median.value == 10 * 8 / comparisons.ROWS
    assert arm.costs["steps"].median.high == inf
    assert (arm.costs["steps"].cap, arm.costs["seconds"].cap) == (10, 5.0)
    assert arm.costs[PRODUCT].values == pytest.approx(
        (10 * 10 * 8 / comparisons.ROWS, inf, 10 * 10 * 8 / comparisons.ROWS)
    )
    assert (arm.reached, arm.resolution) == (2, 0.2)


def test_each_run_has_its_own_time_of_an_update() -> None:
    """Two runs of 10 updates with 0.5 and 1.5 s an update took 5 and 15 s: the interval of seconds holds the noise of the machine."""
    quick = history([4, 8, 10], [0.5, 0.9, 0.96], [9.0, 11.0, 12.0])
    slow = history([4, 8, 10], [0.5, 0.9, 0.96], [9.0, 15.0, 18.0])
    record = with_runs(comparisons.comparison(batch_sizes=(8, 64)), 0, [run(0, quick), run(1, slow)])
    arm = times(record)[0]
    assert arm.costs["steps"].values == (10.0, 10.0)
    assert arm.costs["seconds"].values == (5.0, 15.0)
    assert arm.costs["steps"].median.low == arm.costs["steps"].median.high == 10
    assert arm.costs["seconds"].median.low == 5.0
    assert arm.costs["seconds"].median.high == 15.0
    update = arm.update_seconds["seconds"]
    assert (update.low, update.value, update.high) == (0.5, 1.0, 1.5)


def test_the_plain_loop_counts_the_same_updates() -> None:
    """Its seconds are each run's updates times a repeat of its own time, in turn; without repeats there are none."""
    record = comparisons.comparison(batch_sizes=(8, 64), seeds=3)
    table = {"sgd": {"8": [0.1, 0.3]}}
    arm, other = times(replace(record, plain={"seconds": table}))
    first, second, third = arm.costs["steps"].values
    assert arm.costs[PLAIN].values == pytest.approx((0.1 * first, 0.3 * second, 0.1 * third))
    assert arm.update_seconds[PLAIN].value == pytest.approx(0.2)
    assert PLAIN not in other.costs
    assert PLAIN not in times(record)[0].costs


def test_the_best_winner_speaks_where_no_trial_reached() -> None:
    """An arm without a fastest winner is told of by its best one's runs, never left out; one without any is."""
    record = comparisons.comparison(target=0.999)
    arms = tuple(replace(arm, fastest=None) for arm in record.arms)
    found = times(replace(record, arms=arms))
    assert len(found) == 4
    assert all(arm.costs["steps"].median.value == inf for arm in found)
    assert all(winner_of(replace(arm, best=None)) is None for arm in arms)


def test_scaling_finds_the_law() -> None:
    """The fit returns the S_min and B_crit of the synthetic runs within a quarter of an octave, and a dense fit residuals to match."""
    fit = scaling(comparisons.comparison(batch_sizes=(1, 8, 64, 1024)), "sgd")
    assert fit is not None
    assert abs(log2(fit.critical_batch_size.value / comparisons.CRITICAL)) < 0.25
    assert abs(log2(fit.s_min.value / comparisons.S_MIN)) < 0.25
    assert fit.critical_batch_size.low < fit.critical_batch_size.value < fit.critical_batch_size.high
    assert fit.rms_octaves < 0.2


def test_scaling_uses_the_seeds_in_common() -> None:
    """A seed that one arm lacks takes part in none; without a common seed, or with two batch sizes, there is no fit."""
    record = comparisons.comparison(seeds=4)
    assert record.arms[0].fastest is not None
    runs = record.arms[0].fastest.runs
    assert scaling(with_runs(record, 0, list(runs[:3])), "sgd") == scaling(comparisons.comparison(seeds=3), "sgd")
    moved = [replace(one, number=one.number + 10) for one in runs]
    assert scaling(with_runs(record, 0, moved), "sgd") is None
    assert scaling(comparisons.comparison(batch_sizes=(1, 64)), "sgd") is None
    assert scaling(record, "adam") is None


def test_the_mini_batch_is_the_nearest_to_the_critical_batch_size() -> None:
    """It follows from the fit of all batch sizes, not from the quickest run: of those between the ends, and of those that reached."""
    record = comparisons.comparison(batch_sizes=(1, 2, 8, 64, 1024))
    assert regimes(record, "sgd") == (1, 64, 1024)
    far = comparisons.comparison(batch_sizes=(1, 2, 8, 256, 1024))  # 256 is 2.1 octaves away from 60, 8 is 2.9
    assert regimes(far, "sgd") == (1, 256, 1024)
    assert mini_batch(replace(record, arms=record.arms[::-1]), "sgd") == 64
    assert regimes(comparisons.comparison(batch_sizes=(1, 1024)), "sgd") is None
    assert mini_batch(replace(record, target=None), "sgd") is None


def test_without_a_critical_batch_size_the_mini_batch_is_the_usual_one() -> None:
    """Where no run reached the target there is no fit, and the one nearest to 32 in octaves, not in rows, stands for mini-batches."""
    record = comparisons.comparison(batch_sizes=(1, 8, 64, 256, 1024), target=0.9999)
    assert scaling(record, "sgd") is None
    assert mini_batch(record, "sgd") == 64
    assert [nearest_size(sizes) for sizes in ((1, 8, 128, 1024), (1, 10, 90), (1, 16, 64, 512))] == [8, 90, 16]


def test_verdicts_page_and_figures_name_one_mini_batch() -> None:
    """The arms of verdicts on time, the reference of quality and the curves that are drawn are those of one rule."""
    record = comparisons.comparison(batch_sizes=(1, 8, 32, 64, 1024))
    arms = three_times(record)
    assert arms is not None
    assert tuple(arm.batch_size for arm in arms) == regimes(record, "sgd") == (1, 64, 1024)
    assert {arm.reference for arm in quality(record)} == {reference_size(record)} == {64}
    assert [arm.batch_size for arm in three_regimes(record, "sgd", record.arms)] == [1, 64, 1024]


def test_a_fixed_learning_rate_is_found() -> None:
    """A rate that was not searched is the space's; a domain is no rate."""
    arm = comparisons.comparison().arms[0]
    assert learning_rate(arm, {"learning_rate": 0.5}) == 0.5
    assert learning_rate(replace(arm, settings={"space": {"learning_rate": 0.25}}), {}) == 0.25
    assert learning_rate(arm, {}) is None


def test_a_curve_is_the_median_over_seeds() -> None:
    """Median and quartiles by hand; a run that ended sooner keeps its last value, one that diverged gets the worst."""
    runs = [
        run(0, history([4, 8], [0.5, 0.7])),
        run(1, history([4], [0.6]), "reached its target"),
        run(2, history([4], [0.4]), "diverged"),
        run(3, history([4, 8], [0.9, 0.8])),
    ]
    record = with_runs(comparisons.comparison(batch_sizes=(8, 64)), 0, runs)
    found = curve(record, record.arms[0])
    assert found is not None
    assert (found.updates, found.epochs, found.seconds) == ((4, 8), (1 / 32, 1 / 16), (2.0, 4.0))
    assert found.median == (0.5, 0.6)  # of 0.4 0.5 0.6 0.9, and of 0.0 0.6 0.7 0.8
    assert (found.low, found.high) == ((0.4, 0.0), (0.6, 0.7))
    loss = curve(record, record.arms[0], "validation_loss")
    assert loss is not None
    assert loss.median == (0.5, 0.25)
    assert loss.high == (0.5, 0.5)  # a quarter of the runs is infinitely bad, three quarters are not


def test_the_published_curve_passes_through_ours() -> None:
    """Scaled to a batch size, Shallue's curve has our steps there, also between two of theirs, and keeps its shape."""
    curve_at = shallue_steps(16, 500.0)
    assert curve_at[16] == pytest.approx(500.0)
    assert curve_at[1] / curve_at[55000] == pytest.approx(246)
    between = shallue_steps(32, 100.0)
    expected = (SHALLUE_MNIST[16] * SHALLUE_MNIST[64]) ** 0.5  # half-way in logarithms
    assert between[1] == pytest.approx(100.0 * expected)
