"""Intervals of predicted numbers: split conformal prediction from errors on rows that trained nothing.

The half width at a level is the smallest error that is not exceeded by a share (n + 1) / n · level of n held-out rows. If these rows and
new ones are exchangeable, and the held-out rows chose nothing, an interval contains the new row's number with at least that
probability, whatever the network and the distribution (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005;
Lei et al., Distribution-Free Predictive Inference for Regression, 2018). It holds on average over rows, not for each kind of row: every
interval has the same width.

Two things loosen the guarantee here. The validation rows chose hyperparameters and epoch. And the errors are those of runs with the
selected hyperparameters that did not train on the rows they predict, fold by fold after a cross-validation, while the selected networks
may have trained on all of them, as in CV+ (Barber et al., Predictive Inference with the Jackknife+, 2021), for which 2 · level − 1 is
proved and about the level is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.target_form import TargetForm
from hpsearch.errors import UserError
from hpsearch.model.plain_values import numbers, table, whole


@dataclass(frozen=True, slots=True)
class HeldOutErrors:
    """Absolute errors on `rows` held-out rows: for each target in its units, evenly spread order statistics, ascending."""

    rows: int
    errors: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> "HeldOutErrors | None":
        """Return the errors that a file has, None where it has none.

        Raises:
            ValueError: they are not ascending numbers, as many for each target.
        """
        if stored is None:
            return None
        found = cls(whole(table(stored)["rows"]), tuple(map(numbers, stored["errors"])))
        if found.rows < 1 or not all(column and list(column) == sorted(column) for column in found.errors):
            raise ValueError("errors that are ascending numbers expected")
        return found

    def plain(self) -> dict[str, Any]:
        """Return them as plain values."""
        return {"rows": self.rows, "errors": [list(column) for column in self.errors]}

    def half_widths(self, level: float) -> list[float]:
        """Return half the width of each target's interval of a level.

        Raises:
            UserError: the level is not between 0 and 1, or too high for so few rows.
        """
        if not 0 < level < 1:
            raise UserError(f"interval {level:g}: a share between 0 and 1 expected. Give 0.9.")
        rank = ceil((self.rows + 1) * level - 1e-9)
        if rank > self.rows:
            highest = int(100 * self.rows / (self.rows + 1)) / 100
            raise UserError(
                f"interval {level:g}: {self.rows:,} held-out rows give at most {highest:g}. Give a lower one."
            )
        return [column[ceil(rank * len(column) / self.rows) - 1] for column in self.errors]


def half_widths(errors: HeldOutErrors | None, level: float, classes: Sequence[str]) -> list[float]:
    """Return half the width of each target's interval of a level; `classes` are a model's classes or labels, if any.

    Raises:
        UserError: the model predicts classes or labels, or knows no held-out errors, or the level does not fit.
    """
    if classes:
        raise UserError(
            "interval: only predicted numbers have one; how sure a class or a label is, its probability says. Leave it out."
        )
    if errors is None:
        raise UserError(
            "interval: this model knows no errors on held-out rows, as those of replays, of confirm.trials = 0 and of earlier versions. "
            "Run a study with confirm.trials at least 1, and take its best model."
        )
    return errors.half_widths(level)


def ends_of(
    predictions: npt.NDArray[np.float64],
    half: Sequence[float],
    shape: tuple[int, ...],
    form: TargetForm | None = None,
) -> npt.NDArray[np.float64]:
    """Return lower and upper ends [N, *shape, 2] of intervals of these half widths [K] around predictions [N, K].

    They keep within the range of the target's form, where one is given.
    """
    ends = np.stack([predictions - np.array(half), predictions + np.array(half)], axis=-1)  # [N, K, 2]
    if form is not None:
        ends = ends.clip(np.array(form.low)[:, None], np.array(form.high)[:, None])
    return ends.reshape(len(ends), *shape, 2)
