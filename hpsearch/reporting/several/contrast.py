"""Which of several studies is best on new data, and whether the data can tell them apart.

Two models that were scored on the same test rows are compared row by row, where the studies keep what each row gave: of accuracy whether it
was right, of errors of numbers the true and the predicted value. Such an interval leaves out what makes a row hard for both. Elsewhere the
two values are taken for independent ones, which is right for other rows, and gives too wide an interval for the same ones.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isclose, isfinite, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.reporting.ranking import best
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference
from hpsearch.statistics.paired import paired_difference
from hpsearch.statistics.paired_shares import paired_share_difference
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import Score

Array = npt.NDArray[np.float64]
BASES = ("test", "mean", "best")  # what studies are judged by, the most honest first
NEAR = 1e-3  # relative; a metric of the rows that are kept is the recorded one


@dataclass(frozen=True, slots=True)
class Contrast:
    """By how much one study is better than another, in the metric's units, with its 95 % interval; None where nothing bounds it.

    `how` says what the interval is of: `paired` rows, the `same` rows that are not kept one by one, `other` rows, or fresh `seeds`.
    """

    best: StudyRecord
    other: StudyRecord
    gap: Estimate | None
    how: str

    @property
    def is_clear(self) -> bool:
        """Whether the data tell the two apart."""
        return self.gap is not None and self.gap.low > 0


def differing(records: Sequence[StudyRecord]) -> str:
    """Return what keeps the values of studies from being ranked: another "task" or "metric"; "" where nothing does."""
    for name in ("task", "metric"):
        if len({record.data.get(name) for record in records}) > 1:
            return name
    return ""


def basis(records: Sequence[StudyRecord]) -> str:
    """Return what studies are judged by: test rows where all have them, else means over fresh seeds, else the best values."""
    for name in BASES[:-1]:
        if all(score_of(record, name) for record in records):
            return name
    return BASES[-1]


def score_of(record: StudyRecord, name: str) -> Score | None:
    """Return a study's score by a name of `BASES`, None where it has none."""
    score = {"test": record.selected.test, "mean": record.selected.mean}.get(name)
    if name == "best":
        leader = best(record)
        value = leader.value if leader else None
        score = Score(value, None, None, None)
    if score is None or score.value is None or not isfinite(score.value):
        return None
    return score


def contrasts(records: Sequence[StudyRecord], name: str) -> list[Contrast]:
    """Return the best study beside each other one, by a name of `BASES`, in the order of their values.

    There are none for fewer than two values, or for values that cannot be ranked.
    """
    if differing(records):
        return []
    valued = [record for record in records if score_of(record, name)]
    valued.sort(key=lambda record: _value(record, name), reverse=valued[:1] != [] and _maximizes(valued[0]))
    if len(valued) < 2:
        return []
    first, *others = valued
    return [_contrast(first, other, name) for other in others]


def has_same_rows(a: StudyRecord, b: StudyRecord) -> bool:
    """Whether two studies have the same data, divided alike: the hash of the data is that of their division too."""
    return bool(a.data.get("hash")) and a.data.get("hash") == b.data.get("hash")


def _maximizes(record: StudyRecord) -> bool:
    return record.direction == "maximize"


def _value(record: StudyRecord, name: str) -> float:
    score = score_of(record, name)
    assert score is not None
    return float(score.value)


def _contrast(first: StudyRecord, other: StudyRecord, name: str) -> Contrast:
    if name == "test" and has_same_rows(first, other):
        gap = _paired_gap(first, other)
        if gap is not None:
            return Contrast(first, other, gap, "paired")
    how = {"mean": "seeds", "best": ""}.get(name, "same" if has_same_rows(first, other) else "other")
    a, b = (_estimate(score_of(record, name)) for record in (first, other))
    if a is None or b is None:
        return Contrast(first, other, None, how)
    return Contrast(first, other, _ahead(first, a, b), how)


def _estimate(score: Score | None) -> Estimate | None:
    """Return a score as an estimate, None where an end of its interval is not known."""
    if score is None or score.low is None or score.high is None:
        return None
    return Estimate(float(score.value), score.low, score.high)


def _ahead(record: StudyRecord, a: Estimate, b: Estimate) -> Estimate:
    """Return how much better a is than b."""
    return difference(a, b) if _maximizes(record) else difference(b, a)


# ------------------------------------------------------------------ row by row


def _paired_gap(a: StudyRecord, b: StudyRecord) -> Estimate | None:
    """Return how much better a is than b over the same test rows, None where the rows are not kept."""
    ours = _right_rows(a)
    theirs = _right_rows(b)
    if ours is not None and theirs is not None and len(ours) == len(theirs):
        return paired_share_difference(ours.tolist(), theirs.tolist())
    scale = LOSSES.get(str(a.data.get("metric")))
    first = _points(a)
    second = _points(b)
    if scale is None or first is None or second is None or not np.array_equal(first[:, 0], second[:, 0]):
        return None
    return scale(first, second)


def _predicted(record: StudyRecord) -> dict[str, Any]:
    """Return what is kept of the predictions of test rows, {} without any."""
    found = record.result.get("predicted") or {}
    return dict(found) if found.get("rows") == "test" else {}


def _right_rows(record: StudyRecord) -> npt.NDArray[np.bool_] | None:
    """Return whether each test row is right [N], None where that is not kept or is not what the metric counts."""
    predicted = _predicted(record)
    if record.data.get("metric") != "accuracy" or "right_rows" not in predicted:
        return None
    packed = np.frombuffer(b64decode(predicted["right_rows"]), np.uint8)
    rows = np.unpackbits(packed, count=predicted["count"]).astype(bool)
    return rows if _is_recorded(record, float(rows.mean())) else None


def _points(record: StudyRecord) -> Array | None:
    """Return the true and the predicted value of each test row [N, 2], None where not all are kept or the metric is of other values."""
    predicted = _predicted(record)
    points = predicted.get("points") or []
    if len(points) < 2 or len(points) != predicted.get("count") or predicted.get("targets") != 1:
        return None
    if any(None in point for point in points):
        return None
    values = np.asarray(points, float)
    metric = METRICS.get(str(record.data.get("metric")))
    if metric is None or not _is_recorded(record, metric(values)):
        return None
    return values


def _is_recorded(record: StudyRecord, value: float) -> bool:
    """Whether a metric of the rows that are kept is the one that was recorded: with weights of rows it is not."""
    test = record.selected.test
    return test is not None and test.value is not None and isclose(value, test.value, rel_tol=NEAR, abs_tol=1e-9)


def _squares(points: Array) -> Array:
    squares: Array = (points[:, 1] - points[:, 0]) ** 2
    return squares


def _rmse(points: Array) -> float:
    return sqrt(float(_squares(points).mean()))


def _mae(points: Array) -> float:
    return float(np.abs(points[:, 1] - points[:, 0]).mean())


def _r2(points: Array) -> float:
    variance = float(points[:, 0].var())
    if not variance:
        return -inf
    return 1 - float(_squares(points).mean()) / variance


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(factor * estimate.value, factor * estimate.low, factor * estimate.high)


def _mean_of_squares(a: Array, b: Array) -> Estimate:
    """Return by how much the mean squared error of a is below that of b."""
    return paired_difference(_squares(b).tolist(), _squares(a).tolist())


def _rmse_gap(a: Array, b: Array) -> Estimate:
    """Return the gap of two root mean squares: that of the squares over the sum of the roots."""
    return _scaled(_mean_of_squares(a, b), 1 / ((_rmse(a) + _rmse(b)) or 1.0))


def _mae_gap(a: Array, b: Array) -> Estimate:
    return paired_difference(np.abs(b[:, 1] - b[:, 0]).tolist(), np.abs(a[:, 1] - a[:, 0]).tolist())


def _r2_gap(a: Array, b: Array) -> Estimate:
    return _scaled(_mean_of_squares(a, b), 1 / (float(a[:, 0].var()) or 1.0))


METRICS: dict[str, Callable[[Array], float]] = {"rmse": _rmse, "mae": _mae, "r2": _r2}
LOSSES: dict[str, Callable[[Array, Array], Estimate]] = {"rmse": _rmse_gap, "mae": _mae_gap, "r2": _r2_gap}
