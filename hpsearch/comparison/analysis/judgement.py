"""What a verdict is: a claim, its judgement, and the sentence with its values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hpsearch.comparison.analysis.measured import Spread
from hpsearch.statistics import Estimate

Value = Estimate | Spread | float | int | None


class Judgement(StrEnum):
    """What the data say of a claim; the words are texts."""

    HOLDS = "holds"
    CONDITION = "condition"
    UNSUPPORTED = "unsupported"
    THIN = "thin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim (text `claim.CLAIM`), its judgement, the sentence (`verdict.CLAIM.REASON`) with its values, and the figures that show it."""

    claim: str
    judgement: Judgement
    reason: str
    figures: tuple[str, ...]
    values: Mapping[str, Value] = field(default_factory=dict)


Answer = tuple[Judgement, str, Mapping[str, Value]]  # judgement, reason, values
