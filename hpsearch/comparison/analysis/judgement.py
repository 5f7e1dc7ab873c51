"""What a verdict is: a claim, its judgement, the sentence with its values, and what limits it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.statistics import Estimate

Value = Estimate | Spread | float | int | str | tuple[int, ...] | tuple[str, ...] | None

ENOUGH_SEEDS = 6  # from which the interval of a median covers 95 %; fewer give a hint at most


class Judgement(StrEnum):
    """What the data say of a claim; the words are texts."""

    HOLDS = "holds"
    CONDITION = "condition"
    HINT = "hint"
    UNSUPPORTED = "unsupported"
    THIN = "thin"


STRENGTH = (Judgement.THIN, Judgement.HINT, Judgement.CONDITION, Judgement.HOLDS)


@dataclass(frozen=True, slots=True)
class Limit:
    """What limits a verdict (text `limit.KEY`, filled with `values`): of a claim that holds no more than `most` is left.

    `both` says that it weakens "not supported" too, which then is too little evidence.
    """

    key: str
    most: Judgement = Judgement.HINT
    both: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)

    def left_of(self, judgement: Judgement) -> Judgement:
        """Return what is left of a judgement."""
        if judgement is Judgement.UNSUPPORTED:
            return Judgement.THIN if self.both else judgement
        return min(judgement, self.most, key=STRENGTH.index)


class Answer(NamedTuple):
    """A rule's answer: the judgement before its limits, the sentence (`reason`), the sentences after it (`remarks`), and the limits."""

    judgement: Judgement
    reason: str
    values: Mapping[str, Value] = {}
    remarks: tuple[str, ...] = ()
    limits: Sequence[Limit] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim (text `claim.CLAIM`), its judgement, the sentence (`verdict.CLAIM.REASON`) with its values, and the figures that show it.

    `remarks` are further sentences (`verdict.CLAIM.REMARK`), `limits` those on what the judgement cannot rest on (`limit.KEY`).
    """

    claim: str
    judgement: Judgement
    reason: str
    figures: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @classmethod
    def of(cls, claim: str, answer: Answer, figures: tuple[str, ...]) -> "Verdict":
        """Return the verdict that is left of an answer once its limits are taken into account; too little evidence needs none."""
        judgement = answer.judgement
        values = dict(answer.values)
        for limit in answer.limits:
            judgement = limit.left_of(judgement)
            values |= limit.values
        limits: tuple[str, ...] = ()
        if answer.judgement is not Judgement.THIN:
            limits = tuple(limit.key for limit in answer.limits)
        return cls(claim, judgement, answer.reason, figures, values, answer.remarks, limits)
