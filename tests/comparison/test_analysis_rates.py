"""Evidence of learning rates, quality and tuning: by hand, by brute force, and against what the synthetic record was made with."""

from dataclasses import replace
from itertools import combinations, pairwise
from math import inf, log2

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparison.analysis.quality import limits, quality
from hpsearch.comparison.analysis.tuning import WorkingRange, rates, tuning
from hpsearch.statistics import Estimate
from hpsearch.statistics.tuning import RateClass
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord
from hpsearch.trial import History
from tests.comparison.test_analysis_times import history
from tests.support import comparisons


def trial(number: int, rate: float, metrics: list[float], outcome: str = "finished") -> TrialRecord:
    """A trial evaluated every 10 updates."""
    seen = history([10 * (i + 1) for i in range(len(metrics))], metrics)
    value = 0.0 if outcome == "diverged" else max(metrics)
    return TrialRecord(number, "complete", {"learning_rate": rate}, outcome, value=value, history=seen)


def with_trials(*trials: TrialRecord) -> ComparisonRecord:
    """A record of one arm with these tuning trials; its winner has the learning rate 0.2."""
    record = comparisons.comparison(batch_sizes=(8, 64))
    assert record.arms[0].fastest is not None
    winner = replace(record.arms[0].fastest, params={"learning_rate": 0.2})
    return replace(record, arms=(replace(record.arms[0], trials=trials, fastest=winner),))


def test_classes_and_ranges_by_hand() -> None:
    """Reached, late (over twice the best), never and diverged, the range that works, and the range below the first that diverged."""
    arm = rates(
        with_trials(
            trial(0, 0.2, [0.99]),
            trial(1, 0.1, [0.9, 0.96]),
            trial(2, 0.05, [0.9, 0.9, 0.96]),
            trial(3, 0.4, [0.5, 0.5, 0.5]),
            trial(4, 0.8, [0.99], "diverged"),
            trial(5, 1.6, [0.99]),
        )
    )[0]
    assert [t.learning_rate for t in arm.trials] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert [t.steps for t in arm.trials] == [30, 20, 10, inf, inf, 10]
    assert [t.rate_class for t in arm.trials] == [
        RateClass.LATE,
        RateClass.REACHED,
        RateClass.REACHED,
        RateClass.NEVER,
        RateClass.DIVERGED,
        RateClass.REACHED,
    ]
    assert arm.tuned == 0.2
    assert arm.working == WorkingRange(0.2, 0.2, below=0.05, above=0.4), "at twice the steps 0.1 may work or not"
    octaves = arm.working.octaves
    assert [octaves.value, octaves.low, octaves.high] == pytest.approx([1.5, 0, 3])
    assert arm.stable is not None
    assert (arm.stable.lowest, arm.stable.highest) == (0.05, 0.4)
    assert arm.stable.octaves == pytest.approx(3)
    assert arm.edge == "high"  # the last trial is as good as the best


@pytest.mark.slow
def test_the_bounds_of_a_range_hold_the_truth() -> None:
    """On 200 arms with 16 random rates the bounds hold the true width in 90 %, and two arms that are alike seldom seem to differ."""
    generator = np.random.default_rng(0)
    widths = []
    for _ in range(200):
        octaves = generator.uniform(-6, 6, 16)
        steps = 2000 * 2 ** (np.abs(octaves) / 1.5 + generator.normal(0, 0.15, 16))
        made = []
        for number, (octave, step) in enumerate(zip(octaves, steps, strict=True)):
            late = History((1, 2), (1, round(step)), (1, 2), (0.1, 0.2), (1.0, 1.0), (1.0, 1.0), (0.1, 0.96))
            made.append(replace(trial(number, float(2**octave), [0.5]), history=late))
        found = rates(with_trials(*made))[0].working
        assert found is not None
        widths.append(found.octaves)
    assert sum(width.low <= 3 <= width.high for width in widths) >= 180
    assert sum(a.high < b.low for a, b in pairwise(widths)) <= 4


def test_a_range_whose_end_was_not_tried_is_open() -> None:
    """Where no worse rate was tried on a side, the width has a least value and no greatest one."""
    arm = rates(with_trials(trial(0, 0.1, [0.9, 0.96]), trial(1, 0.2, [0.99]), trial(2, 0.4, [0.5, 0.5])))[0]
    assert arm.working == WorkingRange(0.2, 0.2, below=None, above=0.4)
    assert arm.working.octaves.low == 0
    assert arm.working.octaves.high == inf


def test_a_noisy_rate_within_the_range_leaves_its_width_open() -> None:
    """One late rate between two that work bounds the least width, and not the greatest: it may be late by chance."""
    slow = [0.9, 0.9, 0.9, 0.96]
    trials = [
        trial(0, 0.1, [0.5]),
        trial(1, 0.2, [0.99]),
        trial(2, 0.4, slow),
        trial(3, 0.8, [0.9, 0.96]),
        trial(4, 1.6, [0.5]),
    ]
    arm = rates(with_trials(*trials))[0]
    assert arm.working == WorkingRange(0.2, 0.2, below=0.1, above=1.6)


def test_trials_that_differ_in_more_than_the_rate_bound_no_range() -> None:
    """Where a second stage varied the rate alone, first-stage trials with another momentum do not say where rates stop to work."""
    other = replace(trial(0, 0.14, [0.5, 0.5]), params={"learning_rate": 0.14, "momentum": 0.5})
    record = with_trials(other, trial(1, 0.2, [0.99]))
    finer = (trial(0, 0.1, [0.9, 0.96]), trial(1, 0.2, [0.99]), trial(2, 0.4, [0.5]))
    found = rates(replace(record, arms=(replace(record.arms[0], refined=finer), *record.arms[1:])))[0]
    assert found.working == WorkingRange(0.2, 0.2, below=None, above=0.4)


def test_the_second_stage_refines_the_range_and_knows_the_edge() -> None:
    """Settings of the second stage take part with the median of their seeds, and its edge is the winner's."""
    record = with_trials(trial(0, 0.1, [0.5, 0.5]), trial(1, 0.2, [0.99]), trial(2, 0.4, [0.5, 0.5]))
    finer = (trial(0, 0.14, [0.9, 0.96]), trial(1, 0.14, [0.9, 0.96]), trial(2, 0.28, [0.5]), trial(3, 0.28, [0.5]))
    arm = record.arms[0]
    assert arm.fastest is not None
    refined = replace(arm, refined=finer, fastest=replace(arm.fastest, edge="low"))
    found = rates(replace(record, arms=(refined, *record.arms[1:])))[0]
    assert found.working == WorkingRange(0.2, 0.2, below=0.1, above=0.28)
    assert found.edge == "low"


def test_edges_are_flagged() -> None:
    """The best rate without a worse neighbour on a side is at the edge of what was tried; one between worse ones is not."""
    low = trial(0, 0.1, [0.9, 0.96])
    middle = trial(1, 0.2, [0.96])
    high = trial(2, 0.4, [0.9, 0.9])
    assert rates(with_trials(low, middle, high))[0].edge is None
    assert rates(with_trials(middle, high))[0].edge == "low"
    assert rates(with_trials(low, middle))[0].edge == "high"
    assert rates(with_trials(high))[0].edge == "both"


def test_what_says_nothing_of_a_rate_is_left_out() -> None:
    """Running trials, ones that did not fit into memory, and fixed rates that are no number take no part; no target, no classes."""
    running = replace(trial(1, 0.4, [0.5]), state="running", outcome="")
    full = replace(trial(2, 0.8, [0.5]), outcome="out of memory")
    record = with_trials(trial(0, 0.2, [0.96]), running, full)
    assert len(rates(record)[0].trials) == 1
    assert rates(replace(record, target=None)) == []
    assert rates(with_trials(running)) == []


def test_the_synthetic_map_is_the_one_it_was_made_with() -> None:
    """A rate diverges just where it is more than 12 times the best one; each arm's tuned rate is the nearest to the best."""
    for arm in rates(comparisons.comparison()):
        best = comparisons.best_rate(arm.batch_size)
        assert all((t.rate_class is RateClass.DIVERGED) == (t.learning_rate > 12 * best) for t in arm.trials)
        assert arm.tuned is not None
        assert abs(log2(arm.tuned / best)) <= 0.5


def winner(metrics: list[list[float]], scores: list[float]) -> WinnerRecord:
    runs = tuple(
        replace(trial(n, 0.1, values), scores={"test": {"loss": 1.0, "metric": score}})
        for n, (values, score) in enumerate(zip(metrics, scores, strict=True))
    )
    return WinnerRecord(0, {"learning_rate": 0.1}, runs, {})


def by_hand() -> ComparisonRecord:
    """Two arms of 64 rows: batch size 32, 4 evaluations of 10 updates, and batch size 64, two of them; three seeds each."""
    small = winner([[0.5, 0.6, 0.8, 0.7], [0.4, 0.96, 0.8, 0.9], [0.5, 0.96, 0.7, 0.97]], [0.7, 0.8, 0.9])
    large = winner([[0.6, 0.7], [0.7, 0.98], [0.6, 0.9]], [0.6, 0.7, 0.75])
    arms = (ArmRecord("sgd", 32, {}, (), small, small), ArmRecord("sgd", 64, {}, (), large, large))
    record = comparisons.comparison(batch_sizes=(8, 64))
    return replace(record, arms=arms, data={**record.data, "rows": {"training": 64, "validation": 9, "test": 9}})


def test_budgets_are_those_that_all_arms_have() -> None:
    """20 epochs of both arms, the 20 updates of the larger batches; the short budget is twice the fastest arm's epochs, if less."""
    found = limits(by_hand())
    assert (found["full"].epochs, found["updates"].updates) == (20, 20)
    assert "short" not in found  # 10 epochs to the target, twice that is the whole budget
    found = limits(replace(by_hand(), target=0.45))
    assert found["short"].epochs == 10  # 10 updates of 32 rows are 5 epochs
    assert limits(replace(by_hand(), arms=())) == {}


def test_quality_by_hand() -> None:
    """Medians, paired mean differences and p-values of two arms under each budget, scores, and the gap at one training loss."""
    small, large = quality(by_hand())
    assert (small.reference, small.within["full"].difference, small.within["full"].p) == (32, None, None)
    assert small.within["full"].metric.value == 0.96  # of 0.8, 0.96, 0.97
    assert small.within["updates"].metric.value == 0.96  # of 0.6, 0.96, 0.96
    assert large.within["full"].metric.value == 0.9
    differences = np.array([0.7 - 0.8, 0.98 - 0.96, 0.9 - 0.97])
    gap = large.within["full"].difference
    assert gap is not None
    assert gap.value == pytest.approx(differences.mean())
    assert gap.low < gap.value < gap.high
    expected = stats.ttest_1samp(differences, 0).pvalue
    assert large.within["full"].p == pytest.approx(expected)  # Holm leaves a single p-value as it is
    assert (small.scores["test"].value, large.scores["test"].value) == (0.8, 0.7)
    assert small.level == 1 / 20  # what the larger batches reach, at update 20
    assert large.gap is not None
    assert large.gap.value == pytest.approx(2 / 20 - 1 / 20)


def test_holm_counts_the_batch_sizes() -> None:
    """Of three comparisons the least p-value is three times that of its own test, and each is below 5 % in its own turn."""
    record = comparisons.comparison()
    found = {arm.batch_size: arm.within["updates"] for arm in quality(record) if arm.within["updates"].difference}
    assert len(found) == 3
    adjusted = min(one.p for one in found.values() if one.p is not None)
    alone = min(_p_of(one.difference) for one in found.values() if one.difference)
    assert adjusted == pytest.approx(3 * alone)


def _p_of(difference: Estimate) -> float:
    """The p-value of Student's test over 6 seeds that has such an interval."""
    error = (difference.high - difference.value) / stats.t.ppf(0.975, 5)
    return float(2 * stats.t.sf(abs(difference.value) / error, 5))


def test_p_values_and_intervals_are_of_one_test() -> None:
    """With two arms, so one comparison, the p-value is below 5 % exactly where the interval leaves 0 out, with divisions and without."""
    for divisions in (1, 5):
        for seed in range(40):
            generator = np.random.default_rng(seed)
            record = by_hand()
            arms = []
            for arm in record.arms:
                assert arm.best is not None
                values = enumerate(generator.normal(0.5, 0.1, 8))
                first = arm.best.runs[0]
                runs = [replace(first, number=number, history=history([10], [value])) for number, value in values]
                arms.append(replace(arm, best=replace(arm.best, runs=tuple(runs))))
            changed = replace(record, arms=tuple(arms), data={**record.data, "divisions": divisions})
            within = quality(changed)[1].within["full"]
            assert within.difference is not None
            assert within.p is not None
            assert (within.p < 0.05) == (within.difference.low > 0 or within.difference.high < 0)


def test_a_run_that_only_diverged_is_the_worst() -> None:
    """A run without a usable evaluation counts with the metric's worst value, and is not dropped."""
    record = by_hand()
    lost = replace(record.arms[1].best.runs[0], history=history([10], [float("nan")]), outcome="diverged")  # type: ignore[union-attr]
    best = replace(record.arms[1].best, runs=(lost, *record.arms[1].best.runs[1:]))  # type: ignore[union-attr, type-var]
    arm = quality(replace(record, arms=(record.arms[0], replace(record.arms[1], best=best))))[1]
    assert arm.within["full"].difference is not None
    assert arm.within["full"].difference.value == pytest.approx(np.mean([0.0 - 0.8, 0.98 - 0.96, 0.9 - 0.97]))


def test_expected_best_is_the_mean_over_all_subsets() -> None:
    """Each n has the mean best of all subsets of n trials; trial 0 is left out, a diverged one counts as the worst of the others."""
    trials = [trial(0, 0.1, [1.0]), *(trial(n, 0.1, [v]) for n, v in enumerate((0.3, 0.96, 0.5), start=1))]
    arm = tuning(with_trials(*trials, trial(4, 9.0, [0.2], "diverged")))[0]
    values = [0.3, 0.96, 0.5, 0.3]
    expected = [np.mean([max(group) for group in combinations(values, n)]) for n in (1, 2, 3, 4)]
    assert arm.best.value == pytest.approx(expected)
    assert arm.trials == 4
    assert arm.reaching is not None
    assert arm.reaching.value == 0.25


def test_tuning_without_a_network_is_left_out() -> None:
    """An arm all of whose trials diverged, or that has only trial 0, has no curve; without a target there is no share."""
    assert tuning(with_trials(trial(0, 0.1, [0.5]), trial(1, 0.1, [0.5], "diverged"))) == []
    assert tuning(with_trials(trial(0, 0.1, [0.5]))) == []
    assert tuning(replace(comparisons.comparison(), target=None))[0].reaching is None


def test_the_probability_to_beat_the_reference() -> None:
    """It is the share of seeds whose run is better than the reference's, ties counting half, whichever way the metric is to go."""
    record = comparisons.comparison()
    arms = {arm.batch_size: arm for arm in record.arms}
    limit = limits(record)["full"]

    def best(arm: ArmRecord) -> list[float]:
        assert arm.best is not None
        most = limit.epochs * record.rows / arm.batch_size * (1 + 1e-9)
        histories = [run.history for run in arm.best.runs if run.history]
        return [max(m for u, m in zip(h.update, h.metric, strict=True) if u <= most) for h in histories]

    for found in quality(record):
        within = found.within["full"]
        if found.batch_size == found.reference:
            assert within.better is None
            continue
        pairs = list(zip(best(arms[found.batch_size]), best(arms[found.reference]), strict=True))
        assert within.better is not None
        assert within.better.value == sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
