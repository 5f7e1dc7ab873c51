"""The escape tests themselves, at a small size: what must escape does, what must not does not, and the counts are honest."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import cache
from math import sqrt
from threading import Event
from typing import Any

import numpy as np
import pytest

from hpsearch.comparison.escape import TESTS, Settings, cells, run_all, teacher
from hpsearch.comparison.escape.cells import (
    CHUNK,
    DIVERGED,
    ESCAPED,
    OTHER,
    STUCK,
    CellCounts,
    Halted,
    Watch,
    in_chunks,
    parallel,
)
from hpsearch.comparison.escape.dead_relu import STARTS, DeadSettings, example_inputs, passages
from hpsearch.comparison.escape.streams import keys
from hpsearch.comparison.escape.student import polish
from hpsearch.comparison.escape.teacher import (
    TeacherSettings,
    best_settings,
    descend,
    gaussian_noise,
    label,
    teacher_test,
)
from tests.support.escape_sizes import quick

CLASSES = ("escaped", "stuck", "other", "diverged", "unresolved")
IN_PLAIN_PYTHON = (
    "import json; from hpsearch.comparison.escape import run_all; from tests.support.escape_sizes import tiny"
)


@cache
def answer(test: str) -> dict[str, Any]:
    return TESTS[test](getattr(quick(), test), Watch())


def rows(test: str, **wanted: Any) -> list[dict[str, Any]]:
    table = answer(test)["cells"]
    found = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    chosen = [row for row in found if all(row[name] == value for name, value in wanted.items())]
    assert chosen
    return chosen


def test_all_is_plain_data() -> None:
    """The answer is strict JSON and small, each test was told of, and each cell's classes add up to its seeds."""
    code = f"{IN_PLAIN_PYTHON}; told = []; print(json.dumps([run_all(tiny(), lambda *done: told.append(done)), told], allow_nan=False))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}  # to compile takes ten times as long as to run
    command = [sys.executable, "-W", "ignore", "-c", code]
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found, told = json.loads(out)
    assert set(found) == {"instability", "thermal", "teacher", "dead_relu"}
    assert {name for name, done, total in told if done == total} == set(found)
    for result in found.values():
        table = result["cells"]
        assert len(json.dumps(result)) < 800 * len(table["seeds"])
        assert result["seconds"] > 0
        assert [sum(counts) for counts in zip(*(table[name] for name in CLASSES), strict=True)] == table["seeds"]


def test_runs_leave_exactly_where_the_exponent_is_positive() -> None:
    """Over the map of x = 1 all runs leave where the Lyapunov exponent is well above 0, none where it is well below; also GD."""
    clear = [row for row in rows("instability", start="x = 1", budget="updates") if abs(row["exponent"] or -1) > 0.04]
    clear = [row for row in clear if row["method"] != "isotropic"]
    assert {row["exponent"] > 0 for row in clear if row["exponent"]} == {True, False}
    for row in clear:
        assert row["escaped"] == (row["seeds"] if (row["exponent"] or -1) > 0 else 0), row


def test_selection_needs_the_batches_not_the_noise() -> None:
    """At .7, where batch size 1 always leaves, GD and GD with isotropic noise stay, and nobody leaves x = 0; above 1 GD leaves too."""
    at = {"learning_rate": 0.7, "budget": "updates"}
    assert rows("instability", **at, start="x = 1", method="sgd", batch_size=1)[0]["escaped"] == 20
    for method, start in (("gd", "x = 1"), ("isotropic", "x = 1"), ("sgd", "x = 0")):
        assert all(row["stuck"] == 20 for row in rows("instability", **at, method=method, start=start))
    fast = rows("instability", learning_rate=1.05, method="gd", start="x = 1", budget="updates")
    assert fast[0]["escaped"] == 20


def test_escape_times_follow_the_diffusion() -> None:
    """The mean escape times of SGD and of isotropic noise lie within four standard errors of the exact ones, over a decade of them."""
    found = rows("thermal", start="bad", budget="longest", batch_size=5) + rows(
        "thermal", start="bad", budget="longest", batch_size=10
    )
    assert {row["method"] for row in found} == {"sgd", "isotropic"}
    for row in found:
        ratio = row["total_time"] / row["escaped"] / row["diffusion"]
        assert abs(np.log(ratio)) < 4 / sqrt(row["escaped"]), row


def test_gd_climbs_no_barrier() -> None:
    """From the certified bad minimum GD goes nowhere, at the learning rates of SGD and at larger ones that are stable."""
    for row in rows("thermal", method="gd", start="bad", budget="longest"):
        assert (row["stuck"], row["updates"]) == (row["seeds"], 1_000_000)
    certificate = answer("thermal")["certificate"]
    assert certificate["gradient"] < 1e-8
    assert min(certificate["curvature"], certificate["above"]) > 0.1


def test_the_way_back_is_longer() -> None:
    """From the good well SGD takes longer than from the bad one, as the higher barrier demands."""
    bad, good = (rows("thermal", method="sgd", start=s, batch_size=5, budget="longest")[0] for s in ("bad", "good"))
    assert good["total_time"] / good["escaped"] > 3 * bad["total_time"] / bad["escaped"]


def test_budgets_are_equal() -> None:
    """Within "updates" all arms may take the same updates; within "examples" SGD takes the same examples at every batch size."""
    for test in ("instability", "thermal", "teacher", "dead_relu"):
        marks = 2 if test == "teacher" else 1
        assert len({row["updates"] for row in rows(test, budget="updates")}) == marks
        sampled = rows(test, budget="examples", method="sgd")
        examples = {row["updates"] * row["batch_size"] for row in sampled}
        assert max(examples) - min(examples) < max(row["batch_size"] for row in sampled)


def test_gd_minima_are_certified() -> None:
    """GD gets stuck in some starts: gradient below 1e-8, Hessian positive, loss above 0, and plain GD alone ends at the same point."""
    settings = quick().teacher
    minima = [descend(start, settings) for start in range(8)]
    assert {m.kind for m in minima} == {"global", "spurious"}
    for m in minima:
        assert m.norm < 1e-8 < m.lowest
        assert (m.loss > 0.01) == (m.kind == "spurious")
    stuck = next(m for m in minima if m.kind == "spurious")
    nudge = 1e-3 * np.random.default_rng(0).normal(size=stuck.weights.shape)
    plain = polish(stuck.weights + nudge, np.eye(10), 0.3, 100_000, 1e-10)
    assert plain[0] == pytest.approx(stuck.weights, abs=1e-8)
    assert plain[1] == pytest.approx(stuck.loss, abs=1e-12)


def test_a_network_without_bad_minima_gives_empty_cells() -> None:
    """Two units have no bad minimum that GD finds, so that every cell of a bad start counts nobody, and says so."""
    settings = replace(quick().teacher, units=2, starts=4, marks=(10,), examples=20)
    found = teacher_test(settings, Watch())
    assert (found["minima"]["global"], found["minima"]["spurious"]) == (4, 0)
    table = found["cells"]
    assert {seeds for seeds, start in zip(table["seeds"], table["start"], strict=True) if start == "bad"} == {0}
    assert found["best"] == {}


def test_ends_are_told_apart() -> None:
    """A polished end near its start is stuck, at the teacher escaped, at another arrangement of the same minimum other, NaN diverged."""
    settings = quick().teacher
    minimum = next(m for m in (descend(start, settings) for start in range(8)) if m.kind == "spurious")
    noise = 1e-3 * np.random.default_rng(1).normal(size=minimum.weights.shape)
    assert label(minimum.weights + noise, minimum, settings) == STUCK
    assert label(np.eye(10)[::-1] + noise, minimum, settings) == ESCAPED
    assert label(minimum.weights[::-1] + noise, minimum, settings) == OTHER
    assert label(np.full((10, 10), np.nan), minimum, settings) == DIVERGED


def test_outcomes_are_the_counts_run_by_run() -> None:
    """Each cell's outcomes have a digit for each minimum, in one order, and as many of each class as are counted."""
    for row in rows("teacher", start="bad"):
        assert [row["outcomes"].count(str(digit)) for digit in range(5)] == [row[name] for name in CLASSES]
        assert len(row["outcomes"]) == row["seeds"] == answer("teacher")["minima"]["spurious"]


def test_the_best_settings_are_measured_anew() -> None:
    """Fresh runs begin from other starts, have all methods at each best setting, and GD at all of SGD's learning rates."""
    found = answer("teacher")
    best = found["best"]
    assert set(best) == {"sgd", "sgd_early", "frozen", "isotropic", "larger"}
    table = found["fresh"]["cells"]
    fresh = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    pairs = {(one["learning_rate"], one["batch_size"]) for name, one in best.items() if name != "larger"}
    for method in ("sgd", "frozen", "isotropic"):
        cells_of = [row for row in fresh if (row["method"], row["start"]) == (method, "bad")]
        assert {(row["learning_rate"], row["batch_size"]) for row in cells_of} == pairs
    assert {row["learning_rate"] for row in fresh if row["method"] == "gd"} == {0.01, 0.03, 1.0}
    assert found["fresh"]["minima"]["kinds"] != found["minima"]["kinds"]


def test_the_best_setting_has_most_escapes() -> None:
    """Of the cells after the last mark the one with most escapes is chosen, of equal ones that with fewer divergences."""

    def cell(rate: float, updates: int, *labels: int) -> CellCounts:
        return cells.tally(cells.EscapeArm("sgd", "bad", rate, 1), "updates", updates, np.array(labels), outcomes=True)

    settings = quick().teacher
    found = [
        cell(0.01, 100, ESCAPED, ESCAPED, STUCK),
        cell(0.03, 100, ESCAPED, STUCK, STUCK),
        cell(0.01, 200, ESCAPED, DIVERGED, STUCK),
        cell(0.03, 200, ESCAPED, STUCK, STUCK),
    ]
    best = best_settings(found, settings)
    assert (best["sgd"]["learning_rate"], best["sgd_early"]["learning_rate"]) == (0.03, 0.01)


def test_frozen_noise_is_as_strong_as_sgd_s_at_the_minimum() -> None:
    """Frozen and isotropic noise have the trace of Σ / B of the minimum, frozen its covariance too; GD has none."""
    settings = quick().teacher
    minimum = next(m for m in (descend(start, settings) for start in range(8)) if m.kind == "spurious")
    frozen, isotropic, none = (
        gaussian_noise(cells.EscapeArm(method, "bad", 0.1, 4), minimum) for method in ("frozen", "isotropic", "gd")
    )
    covariance = minimum.factor.T @ minimum.factor
    assert frozen[0].T @ frozen[0] == pytest.approx(covariance / 4)
    assert 100 * isotropic[1] ** 2 == pytest.approx(minimum.trace / 4)
    assert isotropic[0].shape == none[0].shape == (0, 100)
    assert frozen[1] == none[1] == 0


def test_only_what_changed_is_run_again() -> None:
    """A stored test with the same settings is taken as it is, one with others is made anew, and all so far are kept after each."""
    dead = DeadSettings(seeds=1, updates=5, examples=5)
    settings = replace(quick(), dead_relu=dead)
    stored = {name: {"settings": json.loads(json.dumps(asdict(getattr(settings, name))))} for name in TESTS}
    stored["dead_relu"]["settings"]["seeds"] = 2
    kept = []
    told: set[str] = set()
    found = run_all(
        settings, lambda name, done, total: told.add(name), stored, lambda results: kept.append(dict(results))
    )
    assert told == {"dead_relu"}
    assert found["teacher"] is stored["teacher"]
    assert found["dead_relu"]["settings"]["seeds"] == 1
    assert kept == [found]


def test_the_network_is_left_in_a_window_only() -> None:
    """At a small learning rate SGD stays, too large a one diverges, GD stays or diverges, and one between lets some runs escape."""
    settings = TeacherSettings(
        starts=24,
        good=2,
        learning_rates=(0.005, 0.1, 0.3),
        unstable=(1.0,),
        batch_sizes=(4,),
        marks=(500,),
        examples=10_000,
    )
    table = teacher_test(settings, Watch())["cells"]
    found = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    sgd = {r["learning_rate"]: r for r in found if (r["method"], r["start"], r["budget"]) == ("sgd", "bad", "examples")}
    gd = {r["learning_rate"]: r for r in found if (r["method"], r["start"]) == ("gd", "bad")}
    seeds = sgd[0.1]["seeds"]
    assert seeds >= 4
    assert sgd[0.005]["stuck"] == sgd[0.3]["diverged"] == seeds
    assert sgd[0.1]["escaped"] > 0
    assert gd[0.005]["stuck"] == gd[0.1]["stuck"] == gd[0.3]["stuck"] == gd[1.0]["diverged"] == seeds


def test_nothing_leaves_the_dead_unit() -> None:
    """From the dead start every optimizer is stuck in every cell; from the live one all escape, so the machinery can see it."""
    assert all(row["stuck"] == row["seeds"] and row["noise_trace"] == 0 for row in rows("dead_relu", start="dead"))
    assert all(row["escaped"] == row["seeds"] for row in rows("dead_relu", start="alive"))


def test_injected_noise_would_move_the_dead_unit() -> None:
    """Noise that no example gives does move the dead unit, which is why it may not stand in for sampling."""
    inputs = example_inputs(64)
    _, ends = passages(inputs, STARTS["dead"], keys(20, "injected"), 0.1, 64, 3.0, 200)
    assert (ends != np.array(STARTS["dead"])).any(axis=1).all()


@pytest.mark.slow
def test_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread the same counts come out as on several, and again."""
    small = Settings(quick().instability, replace(quick().thermal, examples=20_000), quick().teacher, quick().dead_relu)
    several = run_all(small, lambda *done: None)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    alone = run_all(small, lambda *done: None)
    assert {t: a["cells"] for t, a in several.items()} == {t: a["cells"] for t, a in alone.items()}


def without_end(watch: Watch) -> None:
    """A part that ends only because it looks at its watch."""
    while True:
        watch.check()
        time.sleep(0.001)


def test_what_asks_to_stop_ends_running_parts() -> None:
    """Once the watch says so the parts that run end, none begins, and the caller learns of it."""
    started: list[int] = []
    asked = Event()
    watch = Watch(stopping=asked.is_set)

    def part(number: int) -> None:
        started.append(number)
        asked.set()
        without_end(watch)

    with pytest.raises(Halted):
        parallel(part, range(100), watch)
    assert len(started) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("where", ["in a part", "outside, as a signal"])
def test_an_exception_ends_running_parts(where: str) -> None:
    """An error in one part, or an exception that a signal raises in the waiting thread, does not wait for the others' ends."""

    def show(done: int, total: int) -> None:
        raise KeyboardInterrupt

    watch = Watch(show)

    def part(number: int) -> None:
        if number == 0 and where == "in a part":
            raise KeyboardInterrupt
        if number:
            without_end(watch)

    with pytest.raises(KeyboardInterrupt):
        parallel(part, range(4), watch)


def test_runs_of_an_arm_come_in_chunks() -> None:
    """All runs of an arm are put together in their order, and the watch is looked at before each few of them."""
    stream = keys(2 * CHUNK + 3, "chunks")
    seen: list[int] = []

    def passages(part: Any) -> tuple[Any, Any]:
        seen.append(part.size)
        return part, np.stack([part, part], axis=1)

    times, found = in_chunks(passages, stream, Watch())
    assert seen == [CHUNK, CHUNK, 3]
    assert np.array_equal(times, stream)
    assert np.array_equal(found, np.stack([stream, stream], axis=1))
    with pytest.raises(Halted):
        in_chunks(passages, stream, Watch(stopping=lambda: len(seen) > 4))
    assert seen[3:] == [CHUNK, CHUNK]


def test_a_run_that_stands_still_is_polished_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that are the same weights have one class, found once; the watch is looked at before each."""
    polished: list[float] = []

    def label_of(end: Any, minimum: Any, settings: Any) -> int:
        polished.append(float(end[0, 0]))
        return STUCK if end[0, 0] < 2 else DIVERGED

    monkeypatch.setattr(teacher, "label", label_of)
    weights = np.array([[[1.0]], [[1.0]], [[2.0]], [[np.nan]], [[np.nan]]])
    found = teacher.labels_of(weights, None, TeacherSettings(), Watch())  # type: ignore[arg-type]
    assert found == [STUCK, STUCK, DIVERGED, DIVERGED, DIVERGED]
    assert polished[:2] == [1, 2]
    assert len(polished) == 3


def test_labels_are_all_used() -> None:
    """The classes of a cell are in the order of the labels that are counted."""
    cell = cells.tally(
        cells.EscapeArm("sgd", "bad", 0.1, 1), "updates", 1, np.array([ESCAPED, STUCK, STUCK, OTHER, DIVERGED, 4])
    )
    assert [getattr(cell, name) for name in CLASSES] == [1, 2, 1, 1, 1]
