"""The verdicts: every claim with every judgement that a record can bring about, its numbers by hand, and its sentence in each language."""

import ast
import copy
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from math import floor, inf, log2, sqrt
from statistics import fmean, median
from typing import Any

import pytest
from scipy import stats

from hpsearch.comparison.analysis.judgement import Verdict
from hpsearch.comparison.analysis.verdicts import CLAIMS, verdicts
from hpsearch.comparison.page import value_texts
from hpsearch.reporting.locales import LANGUAGES, Texts, sentences
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord
from hpsearch.trial import History
from tests.support import escapes
from tests.support.comparisons import EPOCHS, ROWS, comparison

SIZES = (1, 32, ROWS)
Record = ComparisonRecord


@cache
def base() -> Record:
    """SGD, one mini-batch and GD on three seeds, all measured, with the escape tests."""
    return comparison(batch_sizes=SIZES, seeds=3, measured=3, minima=escapes.minima())


def found(claim: str, record: Record) -> Verdict:
    judge, figures = CLAIMS[claim]
    judgement, reason, values = judge(record)
    return Verdict(claim, judgement, reason, figures, values)


def with_arm(record: Record, size: int, change: Callable[[ArmRecord], ArmRecord]) -> Record:
    return replace(record, arms=tuple(change(arm) if arm.batch_size == size else arm for arm in record.arms))


# ------------------------------------------------------------------ records by hand


def curve(updates: Sequence[int], metric: Sequence[float], seconds: float, losses: Sequence[float] = ()) -> History:
    n = len(updates)
    times = tuple(update * seconds for update in updates)
    fall = tuple(losses) or tuple(1 / (k + 1) for k in range(n))
    return History(tuple(range(1, n + 1)), tuple(updates), tuple(updates), times, fall, fall, tuple(metric))


def timed(steps: Mapping[int, Sequence[float]], seconds: Mapping[int, float]) -> Record:
    """Runs that pass the target at these updates (infinite: never), an update taking so many seconds."""
    record = base()
    for size in SIZES:
        histories = [_passing(step, seconds[size]) for step in steps[size]]
        record = with_arm(record, size, partial(_fastest, histories=histories))
    return record


def _passing(step: float, seconds: float) -> History:
    if step == inf:
        return curve((1, 50, 100), (0.1, 0.2, 0.3), seconds)
    return curve((1, int(step), 2 * int(step)), (0.1, 0.96, 0.97), seconds)


def _fastest(arm: ArmRecord, histories: Sequence[History]) -> ArmRecord:
    assert arm.fastest is not None
    runs = tuple(replace(run, history=seen) for run, seen in zip(arm.fastest.runs, histories, strict=True))
    return replace(arm, fastest=replace(arm.fastest, runs=runs))


def moved(size: int, unit: str, record: Record | None = None, **values: Sequence[float]) -> Record:
    """The record with other variabilities of the three measured runs of a batch size."""

    def change(arm: ArmRecord) -> ArmRecord:
        assert arm.fastest is not None
        measured: dict[int, Any] = copy.deepcopy(dict(arm.fastest.measured))
        for seed, run in measured.items():
            run["variability"][unit] |= {name: own[seed] for name, own in values.items()}
        return replace(arm, fastest=replace(arm.fastest, measured=measured))

    return with_arm(record or base(), size, change)


def working(size: int, rates: Sequence[float], record: Record | None = None) -> Record:
    """The record in which these learning rates of a batch size, and no other, reached the target."""

    def change(arm: ArmRecord) -> ArmRecord:
        there = replace(arm.trials[0], outcome="finished", history=_passing(9, 1e-4))
        kept = [
            replace(there, number=t.number, params=t.params, history=there.history if rate in rates else None)
            for t in arm.trials
            for rate in [t.params["learning_rate"]]
        ]
        return replace(arm, trials=tuple(kept))

    return with_arm(record or base(), size, change)


def with_cells(record: Record | None = None, **rows: list[dict[str, Any]]) -> Record:
    """The record with other cells of some escape tests."""
    made = escapes.minima()
    for test, cells in rows.items():
        made[test]["cells"] = escapes.columns(cells)
    return replace(record or base(), minima=made)


def hardly(escaped: int = 1) -> list[dict[str, Any]]:
    """A network in which SGD leaves about as seldom as GD."""
    cell = escapes.row
    return [cell("sgd", "bad", 0.1, 4, escaped=escaped), cell("gd", "bad", 0.1, "full")]


def started(spurious: int, starts: int, record: Record | None = None) -> Record:
    made = escapes.minima()
    made["teacher"]["minima"] |= {"spurious": spurious, "starts": starts}
    return replace(record or base(), minima=made)


def graded(
    mini: Sequence[float],
    full: Sequence[float],
    part: str = "test",
    early: float = 0.5,
    late: float = 0.8,
    losses: Sequence[float] = (1.0, 0.5),
) -> Record:
    """Scores of a mini-batch and of GD on one part of the data; validation of the mini-batch after 40 updates and after all, GD's 0.6."""
    record = base()
    last = EPOCHS * ROWS // 32
    seen = {
        1: curve((EPOCHS * ROWS,), (0.7,), 1e-4),
        32: curve((EPOCHS, last), (early, late), 1e-4),
        ROWS: curve((EPOCHS // 2, EPOCHS), (0.6, 0.6), 1e-4, losses),
    }
    for size, scores in ((1, (0.7,) * 3), (32, mini), (ROWS, full)):
        record = with_arm(record, size, partial(_best, seen=seen[size], part=part, scores=scores))
    return record


def _best(arm: ArmRecord, seen: History, part: str, scores: Sequence[float]) -> ArmRecord:
    assert arm.best is not None
    runs = tuple(
        replace(run, history=seen, value=max(seen.metric), scores={**run.scores, part: {"loss": 0.1, "metric": own}})
        for run, own in zip(arm.best.runs, scores, strict=True)
    )
    return replace(arm, best=replace(arm.best, runs=runs))


MINI = {32: (60, 60, 60)}
EQUAL = dict.fromkeys(SIZES, 1e-4)
EITHER = (54, 60, 66)
LONG = (600, 630, 660)
STEEP = {**EQUAL, ROWS: 1e-2}  # an update of GD takes a hundred times as long
UNEASY: dict[str, Any] = {"deviation": (0.3, 0.5, 0.4), "rising": (0.4, 0.4, 0.4)}
RISING: dict[str, Any] = {"rising": (0.1, 0.12, 0.08)}
AHEAD = ((0.95, 0.96, 0.97), (0.90, 0.92, 0.93))
BEHIND = ((0.90, 0.92, 0.93), (0.95, 0.96, 0.97))


def stopped_at_the_target() -> ComparisonRecord:
    record = comparison()
    compare = {**record.settings["compare"], "train_until": "target"}
    return replace(record, settings={**record.settings, "compare": compare})


CASES: dict[tuple[str, str], tuple[str, Callable[[], Record]]] = {
    ("stable", "few"): ("thin", lambda: comparison(batch_sizes=SIZES, measured=2)),
    ("stable", "smooth"): ("holds", base),
    ("stable", "edge"): ("condition", lambda: moved(ROWS, "updates", **RISING)),
    ("stable", "restless"): ("unsupported", lambda: moved(ROWS, "updates", **UNEASY)),
    ("slow", "few"): ("thin", lambda: comparison(batch_sizes=SIZES, seeds=2)),
    ("slow", "units"): ("condition", lambda: timed({1: LONG, **MINI, ROWS: (20, 21, 22)}, STEEP)),
    ("slow", "both"): ("holds", lambda: timed({1: LONG, **MINI, ROWS: (50, 60, 70)}, STEEP)),
    ("slow", "data"): ("condition", lambda: timed({1: LONG, **MINI, ROWS: EITHER}, EQUAL)),
    ("slow", "never"): ("holds", lambda: timed({1: LONG, **MINI, ROWS: (inf, inf, inf)}, STEEP)),
    ("slow", "faster"): ("unsupported", lambda: timed({1: LONG, **MINI, ROWS: (20, 21, 22)}, EQUAL)),
    ("slow", "unclear"): (
        "thin",
        lambda: timed({1: LONG, 32: (640, 640, 640), ROWS: (18, 20, 22)}, {**EQUAL, ROWS: 32e-4}),
    ),
    ("unsteady", "few"): ("thin", lambda: working(1, ())),
    ("unsteady", "both"): ("holds", lambda: working(1, (2.0**-7,), working(ROWS, (0.125, 0.5, 1.0)))),
    ("unsteady", "noisy"): ("condition", base),
    ("unsteady", "steady"): ("unsupported", lambda: moved(ROWS, "updates", **UNEASY)),
    ("escapes", "untested"): ("thin", lambda: replace(base(), minima={})),
    ("escapes", "no_start"): (
        "thin",
        lambda: with_cells(started(0, 40), teacher=[escapes.row("gd", "good", 0.1, "full")]),
    ),
    ("escapes", "any_noise"): ("condition", base),
    ("escapes", "window"): (
        "condition",
        lambda: with_cells(teacher=[*hardly(14), escapes.row("isotropic", "bad", 0.1, 4)]),
    ),
    ("escapes", "made_only"): ("condition", lambda: with_cells(teacher=hardly())),
    ("escapes", "made_alone"): (
        "condition",
        lambda: with_cells(
            teacher=hardly(), instability=[escapes.row("sgd", "x = 1", 0.6, 1, escaped=20, exponent=0.1)]
        ),
    ),
    ("escapes", "no"): (
        "unsupported",
        lambda: with_cells(teacher=hardly(), instability=[escapes.row("sgd", "x = 1", 0.6, 1, exponent=0.1)]),
    ),
    ("stuck", "untested"): ("thin", lambda: replace(base(), minima={})),
    ("stuck", "rare"): ("unsupported", lambda: started(1, 200)),
    ("stuck", "unclear"): ("thin", lambda: started(1, 20)),
    ("stuck", "made"): ("condition", lambda: replace(base(), arms=())),
    ("stuck", "made_only"): ("condition", base),
    ("stuck", "both"): ("holds", lambda: graded(*AHEAD, part="training", losses=(0.5, 0.6))),
    ("stuck", "unfinished"): ("condition", lambda: graded(*AHEAD, part="training", losses=(0.6, 0.5))),
    ("compromise", "few"): ("thin", lambda: comparison(batch_sizes=(1, 32))),
    ("compromise", "quickest"): ("holds", lambda: timed({1: LONG, **MINI, ROWS: (20, 21, 22)}, STEEP)),
    ("compromise", "beaten"): ("unsupported", lambda: timed({1: LONG, **MINI, ROWS: (20, 21, 22)}, EQUAL)),
    ("compromise", "not_full"): ("condition", lambda: timed({1: LONG, **MINI, ROWS: EITHER}, EQUAL)),
    ("compromise", "not_one"): ("condition", lambda: timed({1: EITHER, **MINI, ROWS: (20, 21, 22)}, STEEP)),
    ("compromise", "unclear"): ("thin", lambda: timed({1: EITHER, **MINI, ROWS: EITHER}, EQUAL)),
    ("generalises", "few"): ("thin", lambda: comparison(batch_sizes=SIZES, seeds=2)),
    ("generalises", "cut"): ("thin", stopped_at_the_target),
    ("generalises", "budget"): ("condition", lambda: graded(*AHEAD, early=0.5)),
    ("generalises", "better"): ("holds", lambda: graded(*AHEAD, early=0.7)),
    ("generalises", "worse"): ("unsupported", lambda: graded(*BEHIND, early=0.7)),
    ("generalises", "alike"): ("unsupported", lambda: graded((0.9, 0.92, 0.94), (0.91, 0.92, 0.93), early=0.7)),
}


@pytest.mark.parametrize(("claim", "reason"), CASES)
def test_each_judgement_has_its_record(claim: str, reason: str) -> None:
    """A record made for it brings about each judgement of each claim, and its sentence is filled in without a gap in every language."""
    judgement, make = CASES[claim, reason]
    record = make()
    verdict = found(claim, record)
    assert (verdict.judgement, verdict.reason) == (judgement, reason)
    for language in LANGUAGES:
        texts = Texts(language)
        key = f"verdict.{claim}.{reason}" if texts.has(f"verdict.{claim}.{reason}") else f"verdict.{reason}"
        values = value_texts(verdict.values, record, texts)
        sentence = texts(key, **values)
        assert "{" not in sentence + texts(f"claim.{claim}") + texts(f"judgement.{judgement}")
        named = {name for _, name, _, _ in string.Formatter().parse(sentences(language)[key]) if name}
        assert all(values[name] in sentence for name in named)
        assert all(values[name] != "–" for name in named), "nothing that a sentence tells is missing"


def test_the_records_reach_all_reasons() -> None:
    """The reasons in the code, those of the records above, and the sentences there are, are the same: no other one can be given."""
    coded = set()
    for claim, (judge, _) in CLAIMS.items():
        tree = ast.parse(inspect.getsource(judge))
        answers = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and "Judgement" in ast.dump(node)]
        parts = [part for node in answers if len(node.elts) == 3 for part in ast.walk(node.elts[1])]
        coded |= {
            (claim, part.value) for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
        }
        coded |= {(claim, "few") for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "FEW"}
    assert coded == set(CASES)
    for language in LANGUAGES:
        keys = [tuple(key.split(".")[1:]) for key in sentences(language) if key.startswith("verdict.")]
        assert {key for key in keys if len(key) == 2} == {key for key in coded if key[1] not in ("few", "untested")}
        assert {key for key in keys if len(key) == 1} == {("few",), ("untested",)}


# ------------------------------------------------------------------ numbers


def three(values: Sequence[float]) -> tuple[float, float, float]:
    """The median of three with the middle 95 % of the medians of all 27 samples of them."""
    draws = sorted(median(sample) for sample in product(values, repeat=3))
    return median(values), draws[floor(0.025 * 26)], draws[-1 - floor(0.025 * 26)]


def mean_of_three(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of three with the middle of the means of all 27 samples that Student's interval for two degrees of freedom leaves."""
    tail = stats.norm.cdf(sqrt(3 / 2) * stats.t.ppf(0.025, 2))
    draws = sorted(fmean(sample) for sample in product(values, repeat=3))
    return fmean(values), draws[floor(tail * 26)], draws[-1 - floor(tail * 26)]


def numbers(value: Any) -> tuple[float, float, float]:
    return value.value, value.low, value.high


def test_times_are_ratios_of_pairs() -> None:
    """What GD and SGD need by what the mini-batch needs, over pairs of one seed: median and interval by listing all samples."""
    steps = {1: (610, 700, 400), 32: (60, 80, 50), ROWS: (21, 25, 20)}
    record = timed(steps, {1: 1e-4, 32: 2e-4, ROWS: 3e-3})
    slow = found("slow", record).values
    compromise = found("compromise", record).values
    full = [a / b for a, b in zip(steps[ROWS], steps[32], strict=True)]
    one = [a / b for a, b in zip(steps[1], steps[32], strict=True)]
    assert numbers(slow["steps"]) == pytest.approx(three(full))
    assert numbers(slow["epochs"]) == pytest.approx(three([ratio * ROWS / 32 for ratio in full]))
    assert numbers(slow["seconds"]) == pytest.approx(three([ratio * 3e-3 / 2e-4 for ratio in full]))
    assert numbers(compromise["full"]) == numbers(slow["seconds"])
    assert numbers(compromise["one"]) == pytest.approx(three([ratio * 1e-4 / 2e-4 for ratio in one]))
    assert slow["batch_size"] == compromise["batch_size"] == 32


def test_a_run_that_never_reached_is_infinitely_slower() -> None:
    """One run of GD without an end makes the interval's end infinite, and leaves the median: it is not dropped."""
    values = found("slow", timed({1: LONG, **MINI, ROWS: (30, inf, 90)}, STEEP)).values
    assert numbers(values["steps"]) == pytest.approx((1.5, 0.5, inf))


def test_variability_and_ranges_are_those_of_the_record() -> None:
    """Means and ranges of the measured runs, per update and per pass; doublings between the rates that reached the target."""
    record = moved(1, "updates", deviation=(0.2, 0.3, 0.7), rising=(0.3, 0.4, 0.5))
    record = moved(ROWS, "epochs", record, deviation=(0.01, 0.02, 0.06))
    values = found("unsteady", record).values
    assert numbers(values["one_deviation"]) == pytest.approx((0.4, 0.2, 0.7))
    assert numbers(values["one_rising"]) == pytest.approx((0.4, 0.3, 0.5))
    assert numbers(values["full_pass"]) == pytest.approx((0.03, 0.01, 0.06))
    for name, arm in (("one", record.arms[0]), ("full", record.arms[-1])):
        lost = [t.params["learning_rate"] for t in arm.trials if t.outcome == "diverged"]
        good = [t.params["learning_rate"] for t in arm.trials if t.history and max(t.history.metric) > 0.95]
        below = [rate for rate in good if rate < min(lost, default=inf)]
        assert values[f"{name}_octaves"] == pytest.approx(log2(max(below) / min(below)))


def test_a_pass_is_not_an_update() -> None:
    """Where SGD's runs ended before two passes after the target, nothing is said of its passes: an update's number is not one."""

    def change(arm: ArmRecord) -> ArmRecord:
        assert arm.fastest is not None
        runs = {
            seed: {**run, "variability": {"updates": run["variability"]["updates"]}}
            for seed, run in arm.fastest.measured.items()
        }
        return replace(arm, fastest=replace(arm.fastest, measured=runs))

    both = found("stable", with_arm(base(), 1, change)).values
    assert both["one_pass"] is None
    assert both["one_deviation"] is not None
    full = found("stable", with_arm(base(), ROWS, change)).values
    assert full["full_pass"] == full["full_deviation"], "a pass of GD is an update"


def test_escapes_are_counted() -> None:
    """Shares with scipy's Wilson intervals: SGD's best cell, GD at the same rates together, random starts that got stuck."""

    def wilson(count: int, runs: int) -> tuple[float, float, float]:
        ends = stats.binomtest(count, runs).proportion_ci(method="wilson")
        return count / runs, ends.low, ends.high

    values = found("escapes", base()).values
    assert numbers(values["sgd"]) == pytest.approx(wilson(12, 20))
    assert numbers(values["gd"]) == pytest.approx(wilson(0, 40))
    assert numbers(values["isotropic"]) == pytest.approx(wilson(9, 20))
    assert (values["rate"], values["batch_size"], values["runs"]) == (0.1, 4, 20)
    assert (values["made_one"], values["made_full"]) == (0.6, 1.1)
    stuck = found("stuck", base()).values
    assert numbers(stuck["stuck"]) == pytest.approx(wilson(14, 40))
    assert stuck["starts"] == 40


def test_differences_are_of_pairs() -> None:
    """What the mini-batch is ahead of GD: on test and training rows of its runs, on validation rows after equal epochs and updates."""
    mini = (0.95, 0.91, 0.97)
    full = (0.90, 0.92, 0.94)
    record = graded(mini, full, early=0.55, late=0.8)
    values = found("generalises", record).values
    assert numbers(values["test"]) == pytest.approx(mean_of_three([a - b for a, b in zip(mini, full, strict=True)]))
    assert numbers(values["equal_epochs"]) == pytest.approx((0.2, 0.2, 0.2)), "0.8 after all epochs against GD's 0.6"
    assert numbers(values["equal_updates"]) == pytest.approx((-0.05, -0.05, -0.05)), "0.55 after GD's 40 updates"
    training = found("stuck", graded(mini, full, part="training")).values["difference"]
    assert numbers(training) == numbers(values["test"])


def as_error(record: Record) -> Record:
    """The same record told as an error, 1 - accuracy, that is to be low."""

    def turned(trial: TrialRecord) -> TrialRecord:
        seen = trial.history and replace(trial.history, metric=tuple(1 - value for value in trial.history.metric))
        scores = {part: {**own, "metric": 1 - own["metric"]} for part, own in trial.scores.items()}
        return replace(trial, history=seen, scores=scores, value=None if trial.value is None else 1 - trial.value)

    def arm(own: ArmRecord) -> ArmRecord:
        winners = [w and replace(w, runs=tuple(map(turned, w.runs))) for w in (own.fastest, own.best)]
        return replace(own, trials=tuple(map(turned, own.trials)), fastest=winners[0], best=winners[1])

    data = {**record.data, "metric": "rmse", "direction": "minimize", "worst": 1.0}
    target = None if record.target is None else 1 - record.target
    return replace(record, data=data, direction="minimize", target=target, arms=tuple(map(arm, record.arms)))


@pytest.mark.parametrize(("claim", "reason"), CASES)
def test_an_error_is_judged_as_its_accuracy_is(claim: str, reason: str) -> None:
    """With 1 - accuracy to be minimised every verdict and every value is what it was: ahead is ahead, whichever way the metric points."""
    record = CASES[claim, reason][1]()
    one = found(claim, record)
    other = found(claim, as_error(record))
    assert (one.judgement, one.reason) == (other.judgement, other.reason)
    for name, value in one.values.items():
        turned = other.values[name]
        if hasattr(value, "low"):
            assert numbers(turned) == pytest.approx(numbers(value), abs=1e-12), name
        else:
            assert turned == value, name


# ------------------------------------------------------------------ thin records


def diverged(arm: ArmRecord) -> ArmRecord:
    def lost(trial: TrialRecord) -> TrialRecord:
        return replace(trial, outcome="diverged", history=History(), value=0.0, scores={})

    assert arm.best is not None
    winner = replace(arm.best, runs=tuple(map(lost, arm.best.runs)), measured={})
    return replace(arm, trials=tuple(map(lost, arm.trials)), fastest=None, best=winner)


def every(change: Callable[[ArmRecord], ArmRecord]) -> Record:
    return replace(base(), minima={}, arms=tuple(map(change, base().arms)))


def infinite(arm: ArmRecord) -> ArmRecord:
    assert arm.best is not None
    scores = {part: {"loss": inf, "metric": inf} for part in ("training", "test")}
    return replace(arm, best=replace(arm.best, runs=tuple(replace(run, scores=scores) for run in arm.best.runs)))


THIN: dict[str, tuple[Callable[[], Record], set[str]]] = {
    "no arms": (lambda: comparison(arms=()), set()),
    "tuning": (
        lambda: replace(every(lambda arm: replace(arm, fastest=None, best=None)), target=None),
        set(),
    ),
    "no winners": (lambda: every(lambda arm: replace(arm, fastest=None, best=None)), set()),
    "no trials": (lambda: every(lambda arm: replace(arm, trials=(), fastest=None, best=None)), set()),
    "everything diverged": (lambda: every(diverged), set()),
    "one seed": (lambda: comparison(batch_sizes=SIZES, seeds=1, measured=1), set()),
    "no full batch": (lambda: comparison(batch_sizes=(1, 8, 64), measured=3), set()),
    "no batch size 1": (lambda: comparison(batch_sizes=(8, 64, ROWS), measured=3), {"generalises"}),
    "two batch sizes": (lambda: comparison(batch_sizes=(1, ROWS), measured=3), {"generalises"}),
    "nothing measured": (lambda: comparison(measured=0), {"slow", "compromise", "generalises"}),
    "infinite scores": (lambda: every(infinite), {"stable", "slow", "unsteady", "compromise"}),
}


@pytest.mark.parametrize("name", THIN)
def test_nothing_is_concluded_from_too_little(name: str) -> None:
    """Where something is missing, no verdict raises, all claims are answered in order, and what cannot be told is thin evidence."""
    make, told = THIN[name]
    record = make()
    answers = verdicts(record)
    assert answers == [found(claim, record) for claim in CLAIMS]
    assert {verdict.claim for verdict in answers if verdict.judgement != "thin"} == told
    for language in LANGUAGES:
        texts = Texts(language)
        for verdict in answers:
            key = f"verdict.{verdict.claim}.{verdict.reason}"
            key = key if texts.has(key) else f"verdict.{verdict.reason}"
            assert "{" not in texts(key, **value_texts(verdict.values, record, texts))


def test_plain_descent_is_judged() -> None:
    """Of several optimizers the claims are told of plain SGD, wherever it stands in the list."""
    alone = comparison(measured=3)
    both = comparison(optimizers=("adam", "sgd"), measured=3)
    quick = replace(both, arms=tuple(diverged(a) if a.optimizer == "adam" else a for a in both.arms))
    for record in (both, quick):
        assert [(v.claim, v.judgement, v.values) for v in verdicts(record)] == [
            (v.claim, v.judgement, v.values) for v in verdicts(alone)
        ]


def test_escape_tests_alone_judge_what_they_are_about() -> None:
    """Without data only the claims on local minima are judged; nothing is said of those that need a comparison."""
    alone = comparison(minima=escapes.minima(), arms=(), data={}, shared={}, target=None)
    assert [verdict.claim for verdict in verdicts(alone)] == ["escapes", "stuck"]
