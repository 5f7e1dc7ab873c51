"""The verdicts: every claim with every judgement that a record can bring about, its numbers by hand, and its sentence in each language."""

import ast
import copy
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from math import hypot, inf, log2, sqrt
from statistics import fmean
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

from hpsearch.comparison.analysis import limits as limits_module
from hpsearch.comparison.analysis import minima_claims
from hpsearch.comparison.analysis import verdicts as verdicts_module
from hpsearch.comparison.analysis.judgement import Answer, Judgement, Limit, Verdict
from hpsearch.comparison.analysis.times import tuning_luck_of
from hpsearch.comparison.analysis.tuning import NOISE
from hpsearch.comparison.analysis.verdicts import CLAIMS, verdicts
from hpsearch.comparison.page import value_texts, verdict_key, verdict_texts
from hpsearch.locales import LANGUAGES, Texts, sentences
from hpsearch.statistics import Estimate
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord
from hpsearch.trial import History
from tests.support import escapes
from tests.support.comparisons import EPOCHS, ROWS, comparison
from tests.support.drawn_escapes import EXAMPLES, drawn

SIZES = (1, 8, 32, ROWS)
SEEDS = 6
Record = ComparisonRecord


@cache
def base() -> Record:
    """SGD, two mini-batches and GD on enough seeds and divisions, all measured, with the escape tests."""
    record = comparison(batch_sizes=SIZES, seeds=SEEDS, measured=SEEDS, minima=escapes.minima())
    return on_divisions(record)


def on_divisions(record: Record, divisions: int = 5) -> Record:
    return replace(record, data={**record.data, "divisions": divisions, "own_rows": True})


def found(claim: str, record: Record) -> Verdict:
    judge, figures = CLAIMS[claim]
    return Verdict.of(claim, Answer(*judge(record)), figures)


def with_arm(record: Record, size: int, change: Callable[[ArmRecord], ArmRecord]) -> Record:
    return replace(record, arms=tuple(change(arm) if arm.batch_size == size else arm for arm in record.arms))


# ------------------------------------------------------------------ records by hand


def curve(updates: Sequence[int], metric: Sequence[float], seconds: float, losses: Sequence[float] = ()) -> History:
    n = len(updates)
    times = tuple(update * seconds for update in updates)
    fall = tuple(losses) or tuple(1 / (k + 1) for k in range(n))
    return History(tuple(range(1, n + 1)), tuple(updates), tuple(updates), times, fall, fall, tuple(metric))


def timed(steps: Mapping[int, Sequence[float]], seconds: Mapping[int, float], flat: bool = False) -> Record:
    """Runs that pass the target at these updates (infinite: never), an update taking so many seconds.

    A mini-batch of 8 needs what one of 32 needs, where it is not given. `flat` lets the losses stand still.
    """
    record = base()
    given = {8: steps[32], **steps}
    for size in SIZES:
        histories = [_passing(step, seconds[size], flat) for step in given[size]]
        record = with_arm(record, size, partial(_fastest, histories=histories))
    return record


def _passing(step: float, seconds: float, flat: bool = False) -> History:
    losses = (0.5, 0.5, 0.5) if flat else ()
    if step == inf:
        return curve((1, 50, 100), (0.1, 0.2, 0.3), seconds, losses)
    return curve((1, int(step), 2 * int(step)), (0.1, 0.96, 0.97), seconds, losses)


def _fastest(arm: ArmRecord, histories: Sequence[History]) -> ArmRecord:
    assert arm.fastest is not None
    runs = tuple(replace(run, history=seen) for run, seen in zip(arm.fastest.runs, histories, strict=True))
    return replace(arm, fastest=replace(arm.fastest, runs=runs))


def moved(size: int, unit: str, record: Record | None = None, **values: Sequence[float]) -> Record:
    """The record with other variabilities of the measured runs of a batch size."""

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
    losses: Sequence[float] = (0.5, 0.5),
) -> Record:
    """Scores of a mini-batch and of GD on one part of the data; validation of the mini-batch after 40 updates and after all, GD's 0.6."""
    record = base()
    last = EPOCHS * ROWS // 32
    seen = {
        1: curve((EPOCHS * ROWS,), (0.7,), 1e-4),
        32: curve((EPOCHS, last), (early, late), 1e-4, (0.5, 0.5)),
        ROWS: curve((EPOCHS // 2, EPOCHS), (0.6, 0.6), 1e-4, losses),
    }
    for size, scores in ((1, (0.7,) * SEEDS), (32, mini), (ROWS, full)):
        record = with_arm(record, size, partial(_best, seen=seen[size], part=part, scores=scores))
    return record


def with_last(record: Record, mini: Sequence[float], full: Sequence[float]) -> Record:
    """The record with the test scores of the last networks of a mini-batch and of GD."""
    for size, scores in ((32, mini), (ROWS, full)):
        record = with_arm(record, size, partial(_with_scores, part="last", scores=scores))
    return record


def _with_scores(arm: ArmRecord, part: str, scores: Sequence[float]) -> ArmRecord:
    assert arm.best is not None
    runs = tuple(
        replace(run, scores={**run.scores, part: {"loss": 0.1, "metric": own}})
        for run, own in zip(arm.best.runs, scores, strict=True)
    )
    return replace(arm, best=replace(arm.best, runs=runs))


def _best(arm: ArmRecord, seen: History, part: str, scores: Sequence[float]) -> ArmRecord:
    assert arm.best is not None
    runs = tuple(
        replace(run, history=seen, value=max(seen.metric), scores={**run.scores, part: {"loss": 0.1, "metric": own}})
        for run, own in zip(arm.best.runs, scores, strict=True)
    )
    return replace(arm, best=replace(arm.best, runs=runs))


MINI = {32: (60,) * SEEDS}
EQUAL = dict.fromkeys(SIZES, 1e-4)
EITHER = (54, 56, 60, 60, 64, 66)
LONG = (600, 610, 620, 640, 650, 660)
QUICK = (20, 20, 21, 21, 22, 22)
NEVER = (inf,) * SEEDS
STEEP = {**EQUAL, ROWS: 1e-2}  # an update of GD takes a hundred times as long
UNEASY: dict[str, Any] = {"deviation": (0.3, 0.5, 0.4, 0.45, 0.35, 0.4), "rising": (0.4,) * SEEDS}
UNCLEAR: dict[str, Any] = {"deviation": (0.1, 0.9, 0.2, 0.6, 0.3, 0.5)}
RISING: dict[str, Any] = {"rising": (0.1, 0.12, 0.08, 0.1, 0.1, 0.1)}
AHEAD = ((0.95, 0.96, 0.97, 0.96, 0.96, 0.97), (0.90, 0.92, 0.93, 0.91, 0.92, 0.91))
BEHIND = AHEAD[::-1]
ALIKE = ((0.95, 0.951, 0.952, 0.95, 0.951, 0.952), (0.951, 0.952, 0.951, 0.95, 0.951, 0.952))
NOISY = ((0.9, 0.92, 0.94, 0.92, 0.9, 0.94), (0.91, 0.92, 0.93, 0.9, 0.93, 0.92))
NARROW = (2.0**-7,)
WIDE = (0.125, 0.25, 0.5, 1.0)


def hyperbola(critical: float, least: float = 60) -> dict[int, tuple[float, ...]]:
    """Updates that a critical batch size makes, the same of every seed."""
    return {size: (round(least * (1 + critical / size)),) * SEEDS for size in SIZES}


def uneasy(record: Record | None = None) -> Record:
    """GD moves more than SGD, before the target and after it."""
    return moved(ROWS, "before", moved(ROWS, "updates", record, **UNEASY), **UNEASY)


def stopped_at_the_target() -> ComparisonRecord:
    record = comparison()
    compare = {**record.settings["compare"], "train_until": "target"}
    return replace(record, settings={**record.settings, "compare": compare})


CASES: dict[tuple[str, str], tuple[str, Callable[[], Record]]] = {
    ("stable", "missing"): ("thin", lambda: comparison(batch_sizes=(1, 8, 64), measured=3)),
    ("stable", "unmeasured"): ("thin", lambda: comparison(batch_sizes=SIZES, measured=2)),
    ("stable", "smooth"): ("holds", base),
    ("stable", "edge"): ("condition", lambda: moved(ROWS, "before", **RISING)),
    ("stable", "after"): ("condition", lambda: moved(ROWS, "before", **UNEASY)),
    ("stable", "restless"): ("unsupported", lambda: moved(ROWS, "updates", **UNEASY)),
    ("stable", "unclear"): ("thin", lambda: moved(ROWS, "updates", **UNCLEAR)),
    ("slow", "missing"): ("thin", lambda: comparison(batch_sizes=(8, 64, ROWS))),
    ("slow", "seeds"): ("thin", lambda: comparison(batch_sizes=SIZES, seeds=2)),
    ("slow", "unreached"): ("thin", lambda: timed({1: LONG, 8: NEVER, 32: NEVER, ROWS: QUICK}, STEEP)),
    ("slow", "units"): ("condition", lambda: timed({1: LONG, **MINI, ROWS: QUICK}, STEEP)),
    ("slow", "both"): ("holds", lambda: timed({1: LONG, **MINI, ROWS: (200, 205, 210, 215, 220, 220)}, STEEP)),
    ("slow", "data"): ("condition", lambda: timed({1: LONG, **MINI, ROWS: EITHER}, EQUAL)),
    ("slow", "never"): ("holds", lambda: timed({1: LONG, **MINI, ROWS: NEVER}, STEEP, flat=True)),
    ("slow", "unfinished"): ("thin", lambda: timed({1: LONG, **MINI, ROWS: NEVER}, STEEP)),
    ("slow", "fewer"): ("unsupported", lambda: timed({1: LONG, 32: (6400,) * SEEDS, ROWS: QUICK}, EQUAL)),
    ("slow", "unclear"): (
        "thin",
        lambda: timed({1: LONG, 32: (640,) * SEEDS, ROWS: (18, 19, 20, 20, 21, 22)}, {**EQUAL, ROWS: 32e-4}),
    ),
    ("unsteady", "missing"): ("thin", lambda: comparison(arms=())),
    ("unsteady", "unmeasured"): ("thin", lambda: comparison(batch_sizes=SIZES, measured=2)),
    ("unsteady", "monotone"): ("holds", lambda: working(1, NARROW, working(ROWS, WIDE))),
    ("unsteady", "uneven"): ("condition", lambda: moved(8, "before", deviation=(1.0,) * SEEDS)),
    ("unsteady", "steady"): ("unsupported", uneasy),
    ("unsteady", "unclear"): (
        "thin",
        lambda: moved(ROWS, "before", moved(ROWS, "updates", **UNCLEAR), **UNCLEAR),
    ),
    ("escapes", "untested"): ("thin", lambda: replace(base(), minima={})),
    ("escapes", "no_start"): (
        "thin",
        lambda: with_cells(started(0, 40), teacher=[escapes.row("gd", "good", 0.1, "full")]),
    ),
    ("escapes", "ahead"): ("hint", base),
    ("escapes", "made_only"): ("condition", lambda: with_cells(teacher=hardly())),
    ("escapes", "made_alone"): (
        "condition",
        lambda: with_cells(
            teacher=hardly(), instability=[escapes.row("sgd", "x = 1", 0.6, 1, escaped=20, exponent=0.1)]
        ),
    ),
    ("escapes", "unclear"): (
        "thin",
        lambda: with_cells(teacher=hardly(), instability=[escapes.row("sgd", "x = 1", 0.6, 1, exponent=0.1)]),
    ),
    ("escapes", "no"): ("unsupported", lambda: replace(base(), minima=drawn(lambda arm: 0.0, 0))),
    ("stuck", "untested"): ("thin", lambda: replace(base(), minima={})),
    ("stuck", "rare"): ("unsupported", lambda: started(1, 200)),
    ("stuck", "unclear"): ("thin", lambda: started(1, 20)),
    ("stuck", "made"): ("condition", lambda: replace(base(), arms=())),
    ("stuck", "made_only"): ("condition", base),
    ("stuck", "both"): ("condition", lambda: graded(*AHEAD, part="training", losses=(0.5, 0.6))),
    ("stuck", "unfinished"): ("condition", lambda: graded(*AHEAD, part="training", losses=(0.6, 0.5))),
    ("compromise", "missing"): ("thin", lambda: comparison(batch_sizes=(1, 32))),
    ("compromise", "unfitted"): ("thin", lambda: timed({1: NEVER, **MINI, ROWS: NEVER}, EQUAL)),
    ("compromise", "unfinished"): ("thin", lambda: timed({1: LONG, **MINI, ROWS: NEVER}, EQUAL)),
    ("compromise", "quickest"): ("holds", lambda: timed(hyperbola(100), STEEP)),
    ("compromise", "work"): ("condition", lambda: timed(hyperbola(100), {**EQUAL, ROWS: 3.7e-4})),
    ("compromise", "work_only"): ("condition", lambda: timed(hyperbola(100), EQUAL)),
    ("compromise", "time_only"): ("condition", lambda: timed(hyperbola(1e6, 1), {**EQUAL, ROWS: 1.0})),
    ("compromise", "outside"): ("unsupported", lambda: timed(hyperbola(1e6, 1), EQUAL)),
    ("compromise", "beaten"): ("unsupported", lambda: timed(hyperbola(1000), EQUAL)),
    ("compromise", "unclear"): ("thin", lambda: timed(hyperbola(1000), {**EQUAL, ROWS: 1.6e-3})),
    ("generalises", "missing"): ("thin", lambda: comparison(batch_sizes=(1, 8, 64))),
    ("generalises", "seeds"): ("thin", lambda: comparison(batch_sizes=SIZES, seeds=2)),
    ("generalises", "unscored"): ("thin", lambda: graded((inf,) * SEEDS, (0.9,) * SEEDS)),
    ("generalises", "cut"): ("thin", stopped_at_the_target),
    ("generalises", "unfinished"): ("thin", lambda: graded(*AHEAD, losses=(0.6, 0.5))),
    ("generalises", "budget"): ("condition", lambda: graded(*AHEAD, early=0.5)),
    ("generalises", "early"): ("condition", lambda: graded(*AHEAD, early=0.8, late=0.5)),
    ("generalises", "better"): ("holds", lambda: graded(*AHEAD, early=0.7)),
    ("generalises", "worse"): ("unsupported", lambda: graded(*BEHIND, early=0.7)),
    ("generalises", "alike"): ("unsupported", lambda: graded(*ALIKE, early=0.7)),
    ("generalises", "depends"): ("thin", lambda: with_last(graded(*BEHIND, early=0.7), *AHEAD)),
    ("generalises", "unclear"): ("thin", lambda: graded(*NOISY, early=0.7)),
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
        values = value_texts(verdict.values, record, texts)
        told, limits = verdict_texts(verdict, record, texts)
        assert "{" not in "".join([*told, *limits, texts(f"claim.{claim}"), texts(f"judgement.{judgement}")])
        keys = [verdict_key(claim, name, texts) for name in (reason, *verdict.remarks)]
        for key, sentence in zip(keys, told, strict=True):
            named = {name for _, name, _, _ in string.Formatter().parse(sentences(language)[key]) if name}
            assert all(values[name] in sentence for name in named)
            assert "∞ (∞" not in sentence
            assert all(values[name] != "–" for name in named), "nothing that a sentence tells is missing"


SHARED = {"missing", "seeds", "unreached", "unmeasured", "unscored", "untested"}  # reasons that claims have in common
REMARKS = {"updates_before", "updates_after", "passes"}


def test_the_records_reach_all_reasons() -> None:
    """The reasons in the code, those of the records above, and the sentences there are, are the same: no other one can be given."""
    coded = {reason for module in (verdicts_module, limits_module, minima_claims) for reason in _reasons(module)}
    assert coded == {reason for _, reason in CASES}
    reached = {(claim, remark) for claim, reason in CASES for remark in found(claim, CASES[claim, reason][1]()).remarks}
    drawn_records = [replace(base(), minima=drawn(share, 0)) for share in EXAMPLES]
    reached |= {("escapes", remark) for record in drawn_records for remark in found("escapes", record).remarks}
    reached |= {("slow", "plain_agrees"), ("slow", "plain_differs"), ("compromise", "seconds_plain")}
    reached |= {("unsteady", "untuned"), ("unsteady", "easier"), ("generalises", "last_test"), ("generalises", "rows")}
    for language in LANGUAGES:
        keys = [tuple(key.split(".")[1:]) for key in sentences(language) if key.startswith("verdict.")]
        own = {(claim, reason) for claim, reason in CASES if reason not in SHARED}
        told = own | {pair for pair in reached if pair[1] not in REMARKS}
        assert {key for key in keys if len(key) == 2 and key[0] != "escapes"} == {
            pair for pair in told if pair[0] != "escapes"
        }
        assert {pair for pair in told if pair[0] == "escapes"} <= set(keys), "their remarks have records of their own"
        assert {key[0] for key in keys if len(key) == 1} == SHARED | REMARKS


def _reasons(module: ModuleType) -> set[str]:
    """The second arguments of all answers of a module."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    answers = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Answer"]
    reasons = [call.args[1].value for call in answers if len(call.args) > 1 and isinstance(call.args[1], ast.Constant)]
    return set(map(str, reasons))


# ------------------------------------------------------------------ limits


FULL_LIMITS: dict[str, tuple[str, Callable[[], Record], str]] = {
    "few_seeds": ("slow", lambda: on_divisions(comparison(batch_sizes=SIZES, seeds=5)), "hint"),
    "one_division": (
        "slow",
        lambda: on_divisions(timed({1: LONG, **MINI, ROWS: NEVER}, STEEP, flat=True), 1),
        "condition",
    ),
    "edge": ("slow", lambda: with_arm(base(), ROWS, at_the_edge), "hint"),
    "few_measured": ("stable", lambda: on_divisions(comparison(batch_sizes=SIZES, measured=5)), "hint"),
    "unmeasured_before": ("stable", lambda: every(without_the_way, base()), "hint"),
    "unmatched": ("escapes", base, "hint"),
    "few_divisions": ("generalises", lambda: on_divisions(graded(*AHEAD, early=0.7), 4), "hint"),
}


def at_the_edge(arm: ArmRecord) -> ArmRecord:
    """The arm of which only the rates up to the best were tried."""
    quick = next(trial for trial in arm.trials if arm.fastest and trial.number == arm.fastest.trial)
    return replace(arm, trials=tuple(trial for trial in arm.trials if trial.number <= quick.number))


def without_the_way(arm: ArmRecord) -> ArmRecord:
    """The arm as an earlier version measured it: after the target alone."""
    assert arm.fastest is not None
    measured = {
        seed: {**run, "variability": {unit: run["variability"][unit] for unit in ("updates", "epochs")}}
        for seed, run in arm.fastest.measured.items()
    }
    return replace(arm, fastest=replace(arm.fastest, measured=measured))


def test_runs_that_stopped_at_the_target_were_not_measured_after_it() -> None:
    """Six runs of each end that were measured up to the target alone say nothing of what comes after it, and are counted as none."""
    record = every(stopping_there, base())
    for verdict in verdicts(record):
        if verdict.claim in ("stable", "unsteady"):
            assert (verdict.judgement, verdict.reason) == ("thin", "unmeasured")
            assert (verdict.values["measured_one"], verdict.values["measured_full"]) == (0, 0)


def stopping_there(arm: ArmRecord) -> ArmRecord:
    """The arm as it was measured where runs stop at the target."""
    assert arm.fastest is not None
    measured = {
        seed: {**run, "variability": {"before": run["variability"]["before"]}}
        for seed, run in arm.fastest.measured.items()
    }
    return replace(arm, fastest=replace(arm.fastest, measured=measured))


@pytest.mark.parametrize("key", FULL_LIMITS)
def test_each_limit_leaves_less_of_a_claim(key: str) -> None:
    """What would hold, or with a condition, is no more than a hint (on one division: a condition), and the page says why."""
    claim, make, left = FULL_LIMITS[key]
    record = make()
    verdict = found(claim, record)
    assert key in verdict.limits
    assert verdict.judgement == left
    for language in LANGUAGES:
        _, limits = verdict_texts(verdict, record, Texts(language))
        assert limits
        assert "{" not in " ".join(limits)


def test_all_limits_have_their_record() -> None:
    """Every sentence on a limit belongs to a limit above, in every language."""
    for language in LANGUAGES:
        keys = {key.removeprefix("limit.") for key in sentences(language) if key.startswith("limit.")}
        assert keys == set(FULL_LIMITS)


def test_few_seeds_refute_nothing() -> None:
    """From few seeds what is not supported is too little evidence; an edge, whose better tuning would refute it more, leaves it."""
    few = Limit("few_seeds", both=True)
    edge = Limit("edge")
    assert few.left_of(Judgement.UNSUPPORTED) is Judgement.THIN
    assert edge.left_of(Judgement.UNSUPPORTED) is Judgement.UNSUPPORTED
    assert edge.left_of(Judgement.HOLDS) is edge.left_of(Judgement.CONDITION) is Judgement.HINT
    assert edge.left_of(Judgement.THIN) is Judgement.THIN


def plain_loop(seconds: Mapping[str, Sequence[float]]) -> Mapping[str, Any]:
    return {"seconds": {"sgd": seconds}, "engines": {}}


def test_engines_that_disagree_are_a_condition() -> None:
    """Seconds decide only where the plain loop agrees: GD is slower by one engine and not by the other, which the sentence says."""
    slow = timed({1: LONG, **MINI, ROWS: (200, 205, 210, 215, 220, 220)}, STEEP)
    minis = {"8": [1e-3] * 5, "32": [1e-3] * 5}
    other = replace(slow, plain=plain_loop({**minis, str(ROWS): [1e-5] * 5}))
    same = replace(slow, plain=plain_loop({**minis, str(ROWS): [1e-1] * 5}))
    assert (found("slow", same).judgement, found("slow", same).remarks[-1]) == ("holds", "plain_agrees")
    assert (found("slow", other).judgement, found("slow", other).remarks[-1]) == ("condition", "plain_differs")
    plain = {"1": [1e-4] * 5, "32": [1e-4] * 5, str(ROWS): [1e-5] * 5}
    verdict = found("compromise", replace(timed(hyperbola(100), STEEP), plain=plain_loop(plain)))
    assert (verdict.judgement, verdict.reason) == ("condition", "work_only")
    assert verdict.remarks == ("seconds_own", "seconds_plain")


def test_what_is_harder_to_tune_follows_from_bounds() -> None:
    """SGD is harder to tune, or easier, only where the bounds of the two ranges do not meet."""
    narrow_one = working(1, NARROW, working(ROWS, WIDE))
    narrow_full = working(ROWS, (1.0,), working(1, (2.0**-7, 2.0**-6, 2.0**-5, 2.0**-4)))
    assert found("unsteady", narrow_one).remarks[-1] == "harder"
    assert found("unsteady", narrow_full).remarks[-1] == "easier"
    assert found("unsteady", base()).remarks[-1] == "tuning_unclear"
    assert found("unsteady", working(1, ())).remarks[-1] == "untuned"


def test_the_last_networks_count_beside_the_best() -> None:
    """Where the test scores of the last networks are recorded they are compared; they can turn every answer into a weaker one."""
    same = ((0.9,) * SEEDS, (0.9,) * SEEDS)
    verdict = found("generalises", with_last(graded(*AHEAD, early=0.7), *same))
    assert (verdict.judgement, verdict.reason, verdict.remarks) == ("condition", "early", ("budgets", "last_test"))
    reasons = {}
    for best, scores in {"ahead": AHEAD, "behind": BEHIND, "alike": ALIKE}.items():
        for last, own in {"ahead": AHEAD, "behind": BEHIND, "alike": same}.items():
            reasons[best, last] = found("generalises", with_last(graded(*scores, early=0.7), *own)).reason
    assert reasons == {
        ("ahead", "ahead"): "better",
        ("ahead", "behind"): "early",
        ("ahead", "alike"): "early",
        ("behind", "ahead"): "depends",
        ("behind", "behind"): "worse",
        ("behind", "alike"): "worse",
        ("alike", "ahead"): "depends",
        ("alike", "behind"): "depends",
        ("alike", "alike"): "alike",
    }


def test_a_last_network_that_diverged_is_the_worst() -> None:
    """A run without a network counts with the metric's worst value among the last ones, which are on test rows all the same."""
    record = with_last(graded(*AHEAD, early=0.7), *AHEAD)

    def lose(arm: ArmRecord) -> ArmRecord:
        assert arm.best is not None
        lost, *others = arm.best.runs
        return replace(arm, best=replace(arm.best, runs=(replace(lost, outcome="diverged", scores={}), *others)))

    verdict = found("generalises", with_arm(record, 32, lose))
    last = verdict.values["last"]
    assert isinstance(last, Estimate)
    gaps = [a - b for a, b in zip((0.0, *AHEAD[0][1:]), AHEAD[1], strict=True)]
    assert last.value == pytest.approx(fmean([(gaps[0] + gaps[5]) / 2, *gaps[1:5]]))
    assert (verdict.reason, verdict.remarks) == ("early", ("budgets", "last_test"))


def test_test_rows_widen_the_interval() -> None:
    """Where the record knows what each block of test rows does to the lead, the interval has that too, and the verdict says so."""
    record = with_last(graded(*AHEAD, early=0.7), *AHEAD)
    before = found("generalises", record)
    moved = [0.001 * (-1) ** block for block in range(64)]

    def know(arm: ArmRecord) -> ArmRecord:
        assert arm.best is not None
        sign = 1 if arm.batch_size == 32 else 0
        runs = tuple(
            replace(run, left_out={"test": tuple(run.scores["test"]["metric"] + sign * one for one in moved)})
            for run in arm.best.runs
            if "test" in run.scores
        )
        return replace(arm, best=replace(arm.best, runs=runs))

    after = found("generalises", every(know, record))
    assert after.remarks == ("rows", *before.remarks)
    one, other = numbers(before.values["test"]), numbers(after.values["test"])
    assert one[0] == other[0]
    own = ((one[2] - one[0]) / stats.t.ppf(0.975, 4)) ** 2  # of the five divisions
    rows = 63 / 64 * 64 * 0.001**2
    freedom = (own + rows) ** 2 / (own**2 / 4 + rows**2 / 63)
    assert other[2] - other[0] == pytest.approx(stats.t.ppf(0.975, freedom) * sqrt(own + rows))
    assert numbers(after.values["last"]) == numbers(before.values["last"]), "not known of the last networks"


# ------------------------------------------------------------------ numbers


def numbers(value: Any) -> tuple[float, float, float]:
    return value.value, value.low, value.high


def test_times_are_ratios_of_pairs() -> None:
    """What GD needs by what the mini-batch needs, over pairs of one seed, the luck of both arms added to the distances of the ends."""
    steps = {1: (610, 700, 400, 600, 650, 640), 32: (60, 80, 50, 64, 66, 70), ROWS: (21, 25, 20, 24, 22, 20)}
    record = timed(steps, {**EQUAL, 32: 2e-4, ROWS: 3e-3})
    slow = found("slow", record).values
    logs = [log2(a / b) for a, b in zip(steps[ROWS], steps[32], strict=True)]
    of_divisions = [(logs[0] + logs[5]) / 2, *logs[1:5]]  # seeds 0 and 5 are on the same division
    value = fmean(of_divisions)
    half = stats.ttest_1samp(of_divisions, 0).confidence_interval(0.95).high - value
    luck = 1.96 * sqrt(2) * tuning_luck_of(record, "sgd")
    expected = (2**value, 2 ** (value - hypot(half, luck)), 2 ** (value + hypot(half, luck)))
    assert numbers(slow["steps"]) == pytest.approx(expected, rel=1e-4)
    for unit, factor in (("epochs", ROWS / 32), ("seconds", 3e-3 / 2e-4)):
        assert numbers(slow[unit]) == pytest.approx([factor * end for end in numbers(slow["steps"])])
    assert slow["batch_size"] == 32


def test_a_run_that_never_reached_is_infinitely_slower() -> None:
    """One run of GD without an end makes the interval's end infinite, and leaves the median: it is not dropped."""
    values = found("slow", timed({1: LONG, **MINI, ROWS: (30, 60, 90, 90, 95, inf)}, STEEP)).values
    value, _, high = numbers(values["steps"])
    assert value == pytest.approx(90 / 60)
    assert high == inf


def test_an_arm_that_never_reached_needs_at_least_its_budget() -> None:
    """Its ratio is infinite, and at least what its budget was by the other's need; the sentence has no infinity in it."""
    record = timed({**hyperbola(100), ROWS: NEVER}, STEEP, flat=True)
    verdict = found("slow", record)
    assert numbers(verdict.values["epochs"]) == pytest.approx((inf, 100 / (248 * 32 / ROWS), inf))
    told, _ = verdict_texts(verdict, record, Texts("en"))
    assert told[0].startswith("0 of 6 runs of GD reached the target within 100 updates. That is 12.9 times the passes")
    assert value_texts(verdict.values, record, Texts("en"))["epochs"] == "at least 12.9 times"


def test_variability_and_ranges_are_those_of_the_record() -> None:
    """Means and ranges of the measured runs, per update and per pass; doublings around the best rate, up to twice its updates."""
    record = moved(1, "updates", deviation=(0.2, 0.3, 0.7) * 2, rising=(0.3, 0.4, 0.5) * 2)
    record = moved(ROWS, "epochs", record, deviation=(0.01, 0.02, 0.06) * 2)
    values = found("unsteady", record).values
    assert numbers(values["one_deviation_after"]) == pytest.approx((0.4, 0.2, 0.7))
    assert numbers(values["one_rising_after"]) == pytest.approx((0.4, 0.3, 0.5))
    assert numbers(values["full_pass"]) == pytest.approx((0.03, 0.01, 0.06))
    for name, arm in (("one", record.arms[0]), ("full", record.arms[-1])):
        steps = {t.params["learning_rate"]: record.passed(t) for t in arm.trials}
        most = 2 * min(steps.values())
        works = [rate for rate in steps if steps[rate] * NOISE <= most]
        maybe = [rate for rate in steps if steps[rate] <= most * NOISE]
        _, low, high = numbers(values[f"{name}_octaves"])
        assert low == pytest.approx(log2(max(works) / min(works)))
        closed = min(steps) < min(maybe) and max(maybe) < max(steps)
        most_octaves = log2(max(maybe) / min(maybe)) + 2  # an octave to the next rate on either side
        assert high == pytest.approx(most_octaves if closed else inf)


def test_a_pass_is_not_an_update() -> None:
    """Where SGD's runs ended before two passes after the target, nothing is said of its passes: an update's number is not one."""

    def change(arm: ArmRecord) -> ArmRecord:
        assert arm.fastest is not None
        runs = {
            seed: {**run, "variability": {unit: run["variability"][unit] for unit in ("before", "updates")}}
            for seed, run in arm.fastest.measured.items()
        }
        return replace(arm, fastest=replace(arm.fastest, measured=runs))

    both = found("stable", with_arm(base(), 1, change)).values
    assert "one_pass" not in both
    assert "passes" not in found("stable", with_arm(base(), 1, change)).remarks
    full = found("stable", with_arm(base(), ROWS, change)).values
    assert full["full_pass"] == full["full_deviation_after"], "a pass of GD is an update"


def test_escapes_are_counted() -> None:
    """Shares with scipy's Wilson intervals: SGD's best cell, starts that GD left, random starts that got stuck."""

    def wilson(count: int, runs: int) -> tuple[float, float, float]:
        ends = stats.binomtest(count, runs).proportion_ci(method="wilson")
        return count / runs, ends.low, ends.high

    values = found("escapes", base()).values
    assert numbers(values["sgd"]) == pytest.approx(wilson(12, 20))
    assert numbers(values["gd"]) == pytest.approx(wilson(0, 20))
    assert numbers(values["best_noise"]) == pytest.approx(wilson(9, 20))
    assert (values["rate"], values["batch_size"], values["runs"]) == (0.1, 4, 20)
    assert (values["made_one"], values["made_full"]) == (0.6, 1.1)
    stuck = found("stuck", base()).values
    assert numbers(stuck["stuck"]) == pytest.approx(wilson(14, 40))
    assert stuck["starts"] == 40


def test_differences_are_of_pairs() -> None:
    """What the mini-batch is ahead of GD: on test and training rows of its runs, on validation rows after equal epochs and updates."""
    mini = (0.95, 0.91, 0.97, 0.94, 0.95, 0.96)
    full = (0.90, 0.92, 0.94, 0.9, 0.91, 0.92)
    record = graded(mini, full, early=0.55, late=0.8)
    values = found("generalises", record).values
    gaps = [a - b for a, b in zip(mini, full, strict=True)]
    of_divisions = [(gaps[0] + gaps[5]) / 2, *gaps[1:5]]  # seeds 0 and 5 are on the same division
    expected = stats.ttest_1samp(of_divisions, 0).confidence_interval(0.95)
    assert numbers(values["test"]) == pytest.approx((fmean(of_divisions), expected.low, expected.high))
    assert numbers(values["equal_epochs"]) == pytest.approx((0.2, 0.2, 0.2)), "0.8 after all epochs against GD's 0.6"
    assert numbers(values["equal_updates"]) == pytest.approx((-0.05, -0.05, -0.05)), "0.55 after GD's 40 updates"
    assert numbers(values["last"]) == pytest.approx((0.2, 0.2, 0.2)), "0.8 at the end against GD's 0.6"
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


@pytest.mark.parametrize(("claim", "reason"), sorted(CASES.keys() - {("generalises", "alike")}))
def test_an_error_is_judged_as_its_accuracy_is(claim: str, reason: str) -> None:
    """With 1 - accuracy to be minimised every verdict and every value is what it was: ahead is ahead, whichever way the metric points."""
    record = CASES[claim, reason][1]()
    one = found(claim, record)
    other = found(claim, as_error(record))
    assert (one.judgement, one.reason) == (other.judgement, other.reason)
    for name, value in one.values.items():
        if name == "margin":
            continue  # of an error it is a share of GD's value, so that what is alike may differ
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


def every(change: Callable[[ArmRecord], ArmRecord], record: Record | None = None) -> Record:
    given = record or replace(base(), minima={})
    return replace(given, arms=tuple(map(change, given.arms)))


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
    "no batch size 1": (lambda: comparison(batch_sizes=(8, 64, ROWS), measured=3), set()),
    "two batch sizes": (lambda: comparison(batch_sizes=(1, ROWS), measured=3), {"stable", "unsteady"}),
    "nothing measured": (lambda: comparison(measured=0), {"slow", "compromise"}),
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
            assert "{" not in "".join(chain.from_iterable(verdict_texts(verdict, record, texts)))


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
