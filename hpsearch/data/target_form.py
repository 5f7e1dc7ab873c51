"""What a number that is predicted can be, and the scale on which networks learn it: found in the training rows, undone in predictions.

The range. A network knows no limits of its own: far from the training rows it predicts negative prices, or shares above 1. So predictions
are kept within a range [low, high] for each target column:

    never negative in the training rows    from 0; never positive: up to 0
    within 0 … 1, and no whole numbers     a share: up to 1
    elsewhere the data state no limit      a tenth of the training rows' range beyond it; no limit where rows are in time's order, since
                                           a trend may go on

The scale. Of a target that is skewed and never negative networks may learn t = log(1 + y / shift) in place of y. The shift of a column is
the one at which t has no skewness in the training rows, found by bisection: the larger it is the less is changed. It is at least the
smallest number above 0, where t is nearly the logarithm: a smaller one would only put zeros far from all else. It grows with the unit, so
that the unit changes nothing. Predictions are turned back, y = shift · (e^t − 1), before anything is measured of them: metrics, errors and
intervals are in the target's unit. Networks that learn t are nearer the median than the mean, which costs where squared errors count
(docs/quality.md), so that nothing is transformed unless it is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.assumptions import Assumption, option
from hpsearch.data.cells import Array
from hpsearch.errors import UserError, shown, suggestion

TRANSFORMS = ("none", "log")
BEYOND = 0.1  # of the training rows' range, where the data state no limit
LARGEST_SHARE = 0.5  # that a column of shares has at least: small numbers alone are no shares
LARGEST_SHIFT = 1e6  # in medians
STEPS = 50  # of the bisection
MOST_TOLD = 4  # columns and ranges that are told


@dataclass(frozen=True, slots=True)
class TargetForm:
    """The range and scale of K target columns, as plain numbers: no limit is an infinity, `shifts` are None where y itself is learned.

    Raises:
        ValueError: columns of different number, a range without width, a shift that is no number above 0.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shifts: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError("a range from low to high for each target column expected")
        if self.shifts is None:
            return
        if len(self.shifts) != len(self.low) or not all(isfinite(shift) and shift > 0 for shift in self.shifts):
            raise ValueError("a shift above 0 for each target column expected")

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> "TargetForm | None":
        """Return the form that a file has, None where it has none."""
        if not stored:
            return None
        low = tuple(-inf if limit is None else float(limit) for limit in stored["low"])
        high = tuple(inf if limit is None else float(limit) for limit in stored["high"])
        shifts = stored["shifts"]
        return cls(low, high, None if shifts is None else tuple(map(float, shifts)))

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, no limit as None."""
        low = [limit if isfinite(limit) else None for limit in self.low]
        high = [limit if isfinite(limit) else None for limit in self.high]
        return {"low": low, "high": high, "shifts": None if self.shifts is None else list(self.shifts)}

    def learned(self, values: Tensor) -> Tensor:
        """Return what networks learn of targets [N, K], not standardised yet."""
        if self.shifts is None:
            return values
        return torch.log1p(values / values.new_tensor(self.shifts))

    def restored(self, values: Tensor) -> Tensor:
        """Return targets [..., K] in their units of what networks learned, not standardised any more."""
        if self.shifts is None:
            return values
        return restored(values, values.new_tensor(self.shifts))

    def bounded(self, values: Tensor) -> Tensor:
        """Return predictions [..., K] kept within the range; NaN stays."""
        return values.clamp(values.new_tensor(self.low), values.new_tensor(self.high))


def restored(learned: Tensor, shifts: Tensor) -> Tensor:
    """Return shift · (e^t − 1) of what networks learned [..., K], not standardised any more."""
    return torch.expm1(learned) * shifts


def target_form(values: Array, transform: str | None, limits: Any, *, in_order: bool = False) -> TargetForm:
    """Return the form of a target by its training rows [n, K].

    `transform` is one of `TRANSFORMS` (None: the first); `limits` are [low, high] of all columns, "none", or None: found. `in_order`: the
    rows to come are later than the training rows.

    Raises:
        UserError: no such transform, limits that are none or exclude training rows, a logarithm of negative numbers.
    """
    ranges = _ranges(values, limits, inf if in_order else BEYOND)
    low = tuple(low for low, _ in ranges)
    high = tuple(high for _, high in ranges)
    return TargetForm(low, high, _shifts(values, transform or TRANSFORMS[0]))


def _ranges(values: Array, limits: Any, beyond: float) -> list[tuple[float, float]]:
    columns = values.T
    if limits is None:
        return [_range(column, beyond) for column in columns]
    if limits == "none":
        return [(-inf, inf)] * len(columns)
    low, high = map(float, limits)
    if not low < high:
        raise UserError(f"target range {shown(list(limits))}: two numbers expected, the lower one first.")
    if values.min() < low or values.max() > high:
        raise UserError(
            f"target range {shown(list(limits))}: training rows have {values.min():g} to {values.max():g}. Give a wider one."
        )
    return [(low, high)] * len(columns)


def _range(column: Array, share: float) -> tuple[float, float]:
    """Return what predictions of a column may be: such a share of its range beyond it where the data state no limit."""
    least, most = float(column.min()), float(column.max())
    beyond = share * (most - least)
    low = 0.0 if least >= 0 else least - beyond
    high = 0.0 if most <= 0 else most + beyond
    if least >= 0 and LARGEST_SHARE <= most <= 1 and bool((column % 1 != 0).any()):
        high = 1.0
    return low, high


def _shifts(values: Array, transform: str) -> tuple[float, ...] | None:
    """Return the shift of each column, None where y itself is learned."""
    if transform not in TRANSFORMS:
        raise UserError(f"unknown target transform {shown(transform)}. {suggestion(str(transform), TRANSFORMS)}")
    if transform == "none":
        return None
    if values.min() < 0:
        raise UserError(
            f"target transform 'log': the target is {values.min():g} in a training row, and only numbers from 0 have it. "
            'Give target_transform = "none".'
        )
    return tuple(map(_shift, values.T))


def _shift(column: Array) -> float:
    """Return the shift at which log(1 + y / shift) has no skewness; the least or the largest one where there is none."""
    positive = column[column > 0]
    low = log(positive.min())
    high = log(LARGEST_SHIFT * np.median(positive))
    if skewness(np.log1p(column / exp(low))) > 0:
        return exp(low)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if skewness(np.log1p(column / exp(middle))) > 0:
            high = middle
        else:
            low = middle
    return exp(high)


def skewness(values: Array) -> float:
    """Return the third standardised moment of values [n] that vary."""
    centred = values - values.mean()
    spread = float(np.mean(centred**2)) ** 1.5
    return float(np.mean(centred**3)) / spread if spread > 0 else 0.0


def form_assumptions(form: TargetForm, values: Array, *, of_file: bool = True) -> list[Assumption]:
    """Return what was assumed of a target by its training rows [n, K]: how far predictions go, and on which scale networks learn."""
    ranges = dict.fromkeys(zip(form.low, form.high, strict=True))
    no_range, no_transform = (_without(name, of_file) for name in ("target_range", "target_transform"))
    found = [_of_range(low, high, values, no_range) for low, high in ranges if isfinite(low) or isfinite(high)]
    if form.shifts is not None:
        shifts = ", ".join(f"{shift:.4g}" for shift in form.shifts[:MOST_TOLD])
        skew = ", ".join(f"{skewness(column):.2g}" for column in values.T[:MOST_TOLD])
        scale = Assumption("target", f"learned as log(1 + y / {shifts})", f"its skewness is {skew}", no_transform)
        found.append(scale)
    return found[:MOST_TOLD]


def _without(name: str, of_file: bool) -> str:
    """Return the option that takes a range or a transform away, for the command line or for Python."""
    if of_file:
        return f"--set data.{name}=none"
    return option(name, "none", of_file=False)


def _of_range(low: float, high: float, values: Array, otherwise: str) -> Assumption:
    ends = (f"from {low:.6g}" if isfinite(low) else "", f"to {high:.6g}" if isfinite(high) else "")
    why = f"training rows have {values.min():.6g} to {values.max():.6g}"
    return Assumption("predictions", " ".join(filter(None, ends)), why, otherwise)
