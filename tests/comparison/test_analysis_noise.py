"""Evidence of noise, curvature, paths and escapes: the numbers are those of the record, put together as theory says."""

from dataclasses import replace
from math import inf, isclose, log, sqrt
from typing import Any

import pytest
from scipy.stats import binomtest, chi2

from hpsearch.comparison.analysis.escape import (
    cells,
    dead,
    escape_times,
    leaving_from,
    lyapunov_agreement,
    teacher,
)
from hpsearch.comparison.analysis.measured import by_update, measured_arms, measured_runs, three_regimes
from hpsearch.comparison.analysis.noise import batch_gradients, drawn_from, scale_curves, two_batch
from hpsearch.comparison.analysis.stability import paths, sharpness_curves, variabilities
from hpsearch.comparison.analysis.trajectories import barriers, shared_plane, textbook
from hpsearch.storage import ArmRecord, ComparisonRecord
from tests.support import escapes
from tests.support.comparisons import ROWS, comparison
from tests.support.escapes import made


def changed(record: ComparisonRecord, size: int, seed: int, **parts: Any) -> ComparisonRecord:
    """Return the record with other parts of what was measured of one run."""

    def arm(one: ArmRecord) -> ArmRecord:
        if one.batch_size != size or one.fastest is None:
            return one
        measured = {**one.fastest.measured, seed: {**one.fastest.measured[seed], **parts}}
        return replace(one, fastest=replace(one.fastest, measured=measured))

    return replace(record, arms=tuple(arm(one) for one in record.arms))


def look(update: int, trace: float, squared_norm: float) -> dict[str, float]:
    return {"update": update, "loss": 1.0, "trace": trace, "squared_norm": squared_norm, "scale": trace / squared_norm}


def test_the_noise_scale_of_several_runs_is_a_ratio_of_means() -> None:
    """Numerator and denominator are averaged apart: (1 + 9) / (1 + 3) = 2.5, where the mean of the ratios 1 and 3 is 2."""
    record = made()
    for seed, trace, square in ((0, 1.0, 1.0), (1, 9.0, 3.0)):
        record = changed(record, 8, seed, noise=[look(update, trace, square) for update in (0, 10, 100)])
    curve = next(one for one in scale_curves(record, "sgd") if one.batch_size == 8)
    assert [point.update for point in curve.points] == [0, 10, 100]
    assert all(isclose(point.scale.value, 10 / 4) for point in curve.points), "the mean of the ratios is 2"
    assert (curve.points[0].scale.low, curve.points[0].scale.high, curve.points[0].scale.runs) == (1.0, 3.0, 2)


def test_a_squared_norm_that_is_not_positive_gives_an_infinite_scale() -> None:
    """The unbiased estimate of |G|² may be negative near a minimum; that is infinity, not a negative batch size, and not dropped."""
    record = made(measured=1)
    record = changed(record, 8, 0, noise=[{**look(0, 1.0, 1.0), "squared_norm": -0.5, "scale": None}])
    curve = next(one for one in scale_curves(record, "sgd") if one.batch_size == 8)
    assert curve.points[0].scale.value == inf


def test_moments_are_found_by_their_update() -> None:
    """Each run has its own update of the target; the noise scale there is that of the look at this update."""
    record = made()
    for seed, target, trace in ((0, 40, 2.0), (1, 60, 4.0)):
        looks = [look(0, 1.0, 1.0), look(7, 1.0, 1.0), look(target, trace, 1.0), look(900, 9.0, 1.0)]
        record = changed(record, 8, seed, moments={"start": 0, "target": target, "end": 900}, noise=looks)
    curve = next(one for one in scale_curves(record, "sgd") if one.batch_size == 8)
    assert [point.update for point in curve.points] == [0, 7, 900], "only the updates that both runs share"
    assert (curve.moments["target"].value, curve.moments["target"].high) == (3.0, 4.0)
    assert "middle" not in curve.moments


def test_runs_that_share_too_few_updates_are_not_mixed() -> None:
    """Of runs without common updates the one that was looked at most often stands alone."""
    runs = [[{"update": 0}, {"update": 3}, {"update": 9}], [{"update": u} for u in (0, 4, 8, 16)]]
    assert {update: len(seen) for update, seen in by_update(runs).items()} == {0: 1, 4: 1, 8: 1, 16: 1}
    assert by_update([]) == {}


@pytest.mark.parametrize("size", [1, 8, 64])
def test_variances_stand_beside_both_laws(size: int) -> None:
    """tr(Σ)/B is found from the stored expectation: 0.1 · 60 / B in the middle; without replacement it is (n − B)/(n − 1) of that."""
    one = next(d for d in batch_gradients(made(), "sgd") if (d.moment, d.batch_size) == ("middle", size))
    assert one.unlimited_variance is not None
    assert isclose(one.unlimited_variance, 0.1 * 60 / size)
    assert isclose(one.variance, one.unlimited_variance * (ROWS - size) / (ROWS - 1))
    assert isclose(one.expected_cosine, 1 / sqrt(1 + 60 / size * (ROWS - size) / (ROWS - 1)))
    assert not one.vanishes


def test_the_full_batch_has_no_variance() -> None:
    """What is 0 up to rounding is told from what is small."""
    record = made()
    whole = [one for one in batch_gradients(record, "sgd") if one.batch_size == ROWS]
    assert len(whole) == 3
    assert all(one.vanishes for one in whole)


def test_batches_come_from_the_arm_that_has_them() -> None:
    """Batches of all sizes are drawn on one arm's run; where only batch size 8 has them they are its, else the middle arm's."""
    record = made()
    assert drawn_from(record, "sgd") == 64
    for size in (1, 64, ROWS):
        for seed in (0, 1):
            record = changed(record, size, seed, batches={})
    assert drawn_from(record, "sgd") == 8
    assert drawn_from(made(measured=0), "sgd") is None


def test_variability_is_the_mean_and_range_of_the_runs() -> None:
    """Two runs of 0.2 and 0.4 are 0.3, from 0.2 to 0.4; a loss that did not fall is infinite; without a deviation there is none."""
    record = made()
    for seed, rising in ((0, 0.2), (1, 0.4)):
        seen = {"rising": rising, "deviation": None, "total_variation": None, "count": 50 + seed}
        record = changed(record, 8, seed, variability={"updates": seen})
    one = next(v for v in variabilities(record, "sgd") if (v.batch_size, v.unit) == (8, "updates"))
    assert one.rising is not None
    assert one.rising.value == pytest.approx(0.3)
    assert (one.rising.low, one.rising.high, one.steps) == (0.2, 0.4, 51)
    assert one.deviation is None
    assert one.total_variation is not None
    assert one.total_variation.value == inf
    assert [v.unit for v in variabilities(record, "sgd") if v.batch_size == 8] == ["updates"], "no epochs were seen"


def test_variability_before_the_target_says_how_many_updates_it_stands_for() -> None:
    """The way to the target is a unit of its own: 250 of 1,220 updates at batch size 1, all 21 at the full batch."""
    before = {v.batch_size: v for v in variabilities(made(), "sgd") if v.unit == "before"}
    assert (before[1].steps, before[1].total) == (250, 1220)
    assert before[ROWS].steps == before[ROWS].total == 21
    assert before[1].jump is not None
    assert before[1].jump.value == pytest.approx(0.6)


def test_an_older_record_has_the_variability_after_the_target_alone() -> None:
    """What was measured before the way to the target was has neither that unit nor a jump, and the rest is as it was."""
    seen = {"rising": 0.2, "deviation": 0.1, "total_variation": 2.0, "count": 100}
    record = made()
    for seed in (0, 1):
        record = changed(record, 8, seed, variability={"updates": seen})
    (one,) = [v for v in variabilities(record, "sgd") if v.batch_size == 8]
    assert (one.unit, one.jump, one.steps, one.total) == ("updates", None, 100, 100)


def test_path_efficiency_is_that_of_the_record() -> None:
    """At batch size 64 the path to the target is 1 + 10/√64 times its straight line."""
    one = next(path for path in paths(made(), "sgd") if (path.batch_size, path.moment) == (64, "target"))
    assert isclose(one.efficiency.value, one.distance.value / one.length.value)
    assert isclose(one.length.value, 3 * (1 + 10 / 8))


@pytest.mark.parametrize(
    ("optimizer", "limit"), [("sgd", 2.0), ("momentum", 3.8), ("nesterov", 3.8 / 2.8), ("adam", None)]
)
def test_the_stability_limit_is_that_of_the_optimizer_on_a_parabola(optimizer: str, limit: float | None) -> None:
    """2/η, (2 + 2β)/η, (2 + 2β)/(η(1 + 2β)): beyond it, and not below, the iteration on λx²/2 diverges; Adam has none."""
    record = made(batch_sizes=(64, ROWS), optimizers=(optimizer,))
    curve = sharpness_curves(record, optimizer)[-1]
    assert curve.learning_rate is not None
    assert (curve.limit is None) == (limit is None)
    if curve.limit is None or limit is None:
        return
    assert isclose(curve.limit, limit / curve.learning_rate)
    for factor, stable in ((0.99, True), (1.01, False)):
        assert (iterate(optimizer, curve.limit * factor, curve.learning_rate) < 1) == stable


def iterate(optimizer: str, sharpness: float, rate: float) -> float:
    """Return |x| after 4,000 updates of λx²/2 from 1, as torch.optim.SGD has them with momentum 0.9."""
    beta = 0.0 if optimizer == "sgd" else 0.9
    x = 1.0
    velocity = 0.0
    for _ in range(4_000):
        gradient = sharpness * x
        velocity = beta * velocity + gradient
        x -= rate * (gradient + beta * velocity if optimizer == "nesterov" else velocity)
        if abs(x) > 1e6:
            break
    return abs(x)


def test_sharpness_is_set_against_the_limit() -> None:
    """The synthetic full batch climbs to 2/η and stops there: its greatest ratio is 1, that of the smallest batch far below."""
    curves = sharpness_curves(made(), "sgd")
    assert curves[-1].highest_ratio == pytest.approx(1)
    assert (curves[0].highest_ratio or 1) < 0.1


def test_three_regimes_are_chosen_among_what_was_measured() -> None:
    """Smallest and largest are always among the three_regimes, each once; two arms are two."""
    record = made(batch_sizes=(32, 64, 256, 512, ROWS))
    chosen = [arm.batch_size for arm in three_regimes(record, "sgd", measured_arms(record, "sgd"))]
    assert (chosen[0], chosen[-1], len(chosen)) == (32, ROWS, 3)
    few = made(batch_sizes=(64, ROWS))
    assert [arm.batch_size for arm in three_regimes(few, "sgd", measured_arms(few, "sgd"))] == [64, ROWS]


def test_the_plane_and_the_barriers_are_read() -> None:
    """A path's detour on its plane is that of its polygon; a barrier of 0.2 over ends of 0.1 and 0.2 separates, one of 0.01 does not."""
    record = made()
    plane = shared_plane(record, "sgd")
    assert plane is not None
    path = plane.trajectories[0]
    assert path.detour_on_plane is not None
    assert 1 < path.detour_on_plane < 1 + 2 * max(path.y) / 1.5
    assert path.detour is None, "nobody recorded its true length"
    (wall,) = barriers(record, "sgd")
    assert wall.separate
    assert not replace(wall, height=0.01).separate
    assert shared_plane(record, "adam") is None
    assert barriers(made(shared={}), "sgd") == []


def test_escape_times_are_those_of_a_censored_exponential() -> None:
    """Total time by escapes with Garwood's exact interval (here from scipy); without an escape infinite, above total / log 20."""
    times = escape_times(made(minima=escapes.minima()))
    assert [time.cell.batch_size for time in times] == [5, 10, 20]
    for time in times[:2]:
        escaped = time.cell.counts["escaped"]
        total = time.cell.total_time or 0
        low = 2 * total / chi2.ppf(0.975, 2 * escaped + 2)
        high = 2 * total / chi2.ppf(0.025, 2 * escaped)
        assert time.mean.value == pytest.approx(1.5 * (time.kramers or 0))
        assert (time.mean.low, time.mean.high) == pytest.approx((low, high))
    assert times[2].mean.value == inf
    assert times[2].mean.low == pytest.approx(80_000 / log(20))
    assert times[0].ratio == pytest.approx(50)


def test_the_lyapunov_exponent_is_held_against_what_runs_did() -> None:
    """All six cells agree; if batch size 1 had stayed at 0.6, five would. A missing exponent is minus infinity: stable."""
    minima = escapes.minima()
    agreement = lyapunov_agreement(made(minima=minima))
    assert (agreement.cells, agreement.agreeing) == (6, 6)
    minima["instability"]["cells"]["escaped"][1] = 0
    minima["instability"]["cells"]["stuck"][1] = 20
    assert lyapunov_agreement(made(minima=minima)).agreeing == 5


def test_leaving_begins_at_the_smallest_rate_at_which_half_left() -> None:
    """Batch size 1 leaves from 0.6, 2 from 0.9, the full batch from 1.1, where it diverges; one that was not tried never."""
    record = made(minima=escapes.minima())
    assert [leaving_from(record, size) for size in (1, 2, None, 7)] == [0.6, 0.9, 1.1, None]


def test_who_left_the_network_s_bad_minima() -> None:
    """Counts are those of the cells, intervals Wilson's (here from scipy), and the reverse control is at SGD's best setting."""
    found = teacher(made(minima=escapes.minima()))
    assert found is not None
    expected = binomtest(14, 40).proportion_ci(method="wilson")
    assert (found.stuck.low, found.stuck.high) == pytest.approx((expected.low, expected.high))
    assert found.sgd is not None
    assert (found.sgd.learning_rate, found.sgd.batch_size, found.sgd.counts["escaped"]) == (0.1, 4, 12)
    assert ([cell.setting for cell in found.window.leaving], found.window.tried) == ([(0.1, 4)], 4)
    assert not found.fresh
    assert found.descent is not None
    assert found.descent.high == pytest.approx(binomtest(0, 20).proportion_ci(method="wilson").high)
    assert found.larger is not None
    assert (found.larger.learning_rate, found.larger.counts["diverged"]) == (1.0, 10)
    assert found.back is not None
    assert found.back.counts["escaped"] == 2


def test_dead_units_are_pooled_over_learning_rates() -> None:
    """Two cells of SGD are 40 runs without an escape; the live start comes last, and all of it arrives."""
    rows = dead(made(minima=escapes.minima()))
    assert [(row.start, row.method, row.count, row.seeds) for row in rows] == [
        ("dead", "sgd", 0, 40),
        ("dead", "gd", 0, 20),
        ("dead", "isotropic", 0, 20),
        ("alive", "gd", 20, 20),
    ]


def test_two_weight_paths_end_where_they_are_no_longer_finite() -> None:
    """Points whose loss is None (JSON has no infinity) are left out; paths come smallest batch size first."""
    table = escapes.textbook()
    table["paths"][0]["losses"][-1] = None
    found = textbook(made(textbook=table))
    assert found is not None
    assert [path.batch_size for path in found.paths] == [1, 32, 1024]
    assert len(found.paths[2].updates) == len(table["paths"][0]["updates"]) - 1


def test_nothing_measured_is_nothing_found() -> None:
    """A record without measurements, minima or a model has no evidence of them."""
    record = made(measured=0, shared={})
    assert not scale_curves(record, "sgd")
    assert not batch_gradients(record, "sgd")
    assert not variabilities(record, "sgd")
    assert not paths(record, "sgd")
    assert not sharpness_curves(record, "sgd")
    assert not cells(record, "thermal")
    assert teacher(record) is None
    assert textbook(record) is None


def test_the_two_batch_estimate_stands_beside_the_exact_scale() -> None:
    """At each moment the estimate from two batch sizes comes with the exact scale at the same weights; infinity is kept as None."""
    record = comparison()
    found = two_batch(record, "sgd")
    arm = next(arm for arm in record.arms if arm.batch_size == drawn_from(record, "sgd"))
    exact = {look["update"]: look["scale"] for look in measured_runs(arm)[0]["noise"]}
    assert (found[0].moment, found[0].small, found[0].large, found[0].estimate) == ("start", 1, 64, 21.0)
    assert found[0].exact == exact[0]
    assert all(one.exact in exact.values() for one in found)
