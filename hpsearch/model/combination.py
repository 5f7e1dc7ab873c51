"""How several networks predict together: a weighted mean of predictions, its logits divided by a temperature.

Predictions are those after a task's head. A temperature T > 1 makes probabilities less sure, T < 1 surer; which class is the most probable
stays (Guo et al., On Calibration of Modern Neural Networks, 2017). Of several networks it is the mean that is calibrated, since the mean of
calibrated predictions is itself too unsure (Rahaman & Thiery, Uncertainty Quantification and Deep Ensembles, 2021).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.tasks import Task
from hpsearch.model.intervals import HeldOutErrors
from hpsearch.model.plain_values import number, numbers, table


def _logit(probabilities: Tensor) -> Tensor:
    """Return the logits of probabilities; those of 0 and 1 are as large as the type can tell from it."""
    kind = torch.finfo(probabilities.dtype)
    return probabilities.clamp(min=kind.tiny).log() - (1 - probabilities).clamp(min=kind.eps / 2).log()


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


# By the head's name: what the head would make these predictions of.
UNDO_HEAD: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda values: values,
    "sigmoid": _logit,
    "softmax": _log,
}


def outputs_for(task: Task, predictions: Tensor) -> Tensor:
    """Return raw outputs of which the task's head makes these predictions [..., K]."""
    return UNDO_HEAD[task.head_name](predictions)


@dataclass(frozen=True, slots=True)
class Combination:
    """The share of each network in their prediction, shares that sum to 1; and the temperature of classes and labels (1: as it is).

    `errors` are those of predicted numbers on held-out rows, None where they are not known.

    Raises:
        ValueError: a share or the temperature is not positive and finite, or the shares do not sum to 1.
    """

    shares: tuple[float, ...] = (1.0,)
    temperature: float = 1.0
    errors: HeldOutErrors | None = None

    def __post_init__(self) -> None:
        if not all(isfinite(number) and number > 0 for number in (*self.shares, self.temperature)):
            raise ValueError("shares and temperature that are positive and finite expected")
        if abs(fsum(self.shares) - 1) > 1e-6:
            raise ValueError("shares that sum to 1 expected")

    @classmethod
    def equal(cls, networks: int) -> "Combination":
        """Return the plain mean of so many networks."""
        return cls((1 / networks,) * networks)

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None, networks: int) -> "Combination":
        """Return the combination that a file or a result has, the plain mean where it has none."""
        if stored is None:
            return cls.equal(networks)
        shares = numbers(table(stored)["shares"])
        if len(shares) != networks:
            raise ValueError(f"{len(shares)} shares of {networks} networks")
        return cls(shares, number(stored["temperature"]), HeldOutErrors.of(stored["errors"]))

    def predicts_as(self, other: "Combination") -> bool:
        """Whether the same networks predict the same by both."""
        return (self.shares, self.temperature) == (other.shares, other.temperature)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        errors = self.errors.plain() if self.errors else None
        return {"shares": list(self.shares), "temperature": self.temperature, "errors": errors}

    def predict(self, task: Task, predictions: Sequence[Tensor]) -> Tensor:
        """Return what networks predict together [..., K], from the predictions of each after the task's head."""
        together = predictions[0] * self.shares[0]
        for share, other in zip(self.shares[1:], predictions[1:], strict=True):
            together = together + share * other
        if self.temperature == 1:
            return together
        return task.head(outputs_for(task, together) / self.temperature)


ALONE = Combination()  # one network as it is
