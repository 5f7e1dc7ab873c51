"""How often the verdicts are right: on hundreds of comparisons drawn around a known truth, with the luck of tuning and of seeds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hpsearch.comparison.analysis.judgement import Answer, Judgement, Verdict
from hpsearch.comparison.analysis.verdicts import CLAIMS
from tests.support.comparisons import ROWS
from tests.support.drawn_comparisons import LEAST, Truth, drawn

RECORDS = 400
FALSE = 0.05
TRUE = 0.8
CLAIMED = (Judgement.HOLDS, Judgement.CONDITION)
SEEDS = (6, 10)

# Larger batches save updates in proportion and take as much longer: GD costs what every mini-batch costs.
PERFECT = Truth(steps=lambda size: LEAST * ROWS / size, seconds=lambda size: 1e-6 * size)
PLAIN = Truth()
STEADY = Truth(deviation=lambda size: 0.3 / size**0.5, rising=lambda size: 0.0 if size == ROWS else 0.3)
NARROW = replace(STEADY, width=lambda size: 0.6 if size == 1 else 3.5)
BETTER = Truth(score=lambda size: 0.97 if size == ROWS else 0.98)
ALIKE = Truth(score_noise=0.0007)
JUST_BETTER = Truth(score=lambda size: 0.97 if size == ROWS else 0.9731, score_noise=0.0007)


def judged(claim: str, truth: Truth, seeds: int) -> Iterator[Verdict]:
    """The verdicts on a claim in the drawn comparisons."""
    judge, figures = CLAIMS[claim]
    for number in range(RECORDS):
        yield Verdict.of(claim, Answer(*judge(drawn(truth, seeds, number))), figures)


def share(claim: str, truth: Truth, seeds: int, *judgements: str) -> float:
    """The share of drawn comparisons in which a claim is judged in one of these ways (or given one of these reasons)."""
    found = [{verdict.judgement, verdict.reason} for verdict in judged(claim, truth, seeds)]
    return sum(bool(names & set(judgements)) for names in found) / RECORDS


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(
    ("claim", "truth"),
    [("stable", PLAIN), ("slow", PERFECT), ("unsteady", PLAIN), ("compromise", PERFECT), ("generalises", PLAIN)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_difference_makes_no_claim(claim: str, truth: Truth, seeds: int) -> None:
    """Where GD is as steady, cheap and good as every mini-batch, a claim holds, with a condition or without, in 5 % at most."""
    assert share(claim, truth, seeds, *CLAIMED) <= FALSE


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(
    ("claim", "truth", "judgements"),
    [
        ("stable", STEADY, (Judgement.HOLDS,)),
        ("slow", PLAIN, CLAIMED),
        ("unsteady", NARROW, (Judgement.HOLDS,)),
        ("compromise", PLAIN, (Judgement.HOLDS,)),
        ("generalises", BETTER, (Judgement.HOLDS,)),
        ("generalises", ALIKE, ("alike",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_clear_difference_is_found(claim: str, truth: Truth, judgements: tuple[str, ...], seeds: int) -> None:
    """Where a claim is clearly true it is found in 80 % at least; so is that two arms are alike."""
    assert share(claim, truth, seeds, *judgements) >= TRUE


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS)
def test_what_differs_is_seldom_alike(seeds: int) -> None:
    """Where a mini-batch is just more than the margin ahead, the two are called alike in 5 % at most."""
    assert share("generalises", JUST_BETTER, seeds, "alike") <= FALSE


@pytest.mark.slow
@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim not in ("escapes", "stuck")])
def test_five_seeds_hold_nothing(claim: str) -> None:
    """From five seeds no claim holds, however clear it is: there are hints at most."""
    truth = replace(NARROW, score=BETTER.score)
    found = Counter(verdict.judgement for verdict in judged(claim, truth, 5))
    assert set(found) <= {Judgement.HINT, Judgement.THIN}
    assert found[Judgement.HINT] >= TRUE * RECORDS


@pytest.mark.slow
def test_runs_that_ended_too_soon_hold_nothing() -> None:
    """A GD that was cut before the target, or was still improving, is neither slow nor worse, by however much it lies behind."""
    cut = replace(PLAIN, budget=LEAST / 2)
    assert share("slow", cut, 10, "unfinished") == 1
    assert share("generalises", replace(BETTER, saturated=False), 10, "unfinished") == 1
