"""The textbook's picture on real data: a model of exactly two weights, whose loss surface is drawn exactly.

Two columns of the inputs, x [N, 2], standardised; the model is w·x, plus a fixed offset for classes. Regression: squared error on the
first target. Classes: logistic loss of the most frequent class (of two: the second) against the rest, the offset fixed at the log-odds
of its share, which is the best one at w = 0; and a weak penalty ½ c |w|², without which classes that can be separated would have their
minimum at infinity. Everything is float64 NumPy: two weights are no work for torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError

Array = npt.NDArray[np.float64]
ROWS = 5_000  # of the training rows, evenly spread, at most: these are the problem
PENALTY = 1e-3
NEWTON_STEPS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A loss of two weights: `inputs` [N, 2] (columns `columns` of the data, standardised) and `targets` [N] (0 or 1 for classes).

    `offset` is added to w·x, `penalty` is c of ½ c |w|²; both are 0 for regression.
    """

    inputs: Array
    targets: Array
    columns: tuple[int, int]
    logistic: bool
    offset: float = 0.0
    penalty: float = 0.0

    def __len__(self) -> int:
        return len(self.inputs)


def two_weight_problem(data: Data, most: int = ROWS) -> Problem:
    """Return the problem of the two columns that explain the target best, on at most so many training rows.

    The first has the largest absolute correlation with the target, the second the largest partial correlation given the first.

    Raises:
        UserError: fewer than two columns vary independently in these rows.
    """
    chosen = np.unique(np.linspace(0, len(data.training) - 1, most).astype(int))
    inputs = data.training.inputs.flatten(1)[chosen].cpu().double().numpy()  # [N, F]
    targets = _one_target(data)[chosen]
    columns = _best_pair(inputs, targets, data.name)
    pair = inputs[:, columns]
    pair = (pair - pair.mean(0)) / pair.std(0)
    if data.task.standardises:
        return Problem(pair, (targets - targets.mean()) / targets.std(), columns, logistic=False)
    return Problem(pair, targets, columns, True, float(logit(targets.mean())), PENALTY)


def _one_target(data: Data) -> Array:
    """Return one target of each training row [N]: the first column, or 1 for the chosen class and 0 for the rest."""
    targets = data.training.targets.cpu().numpy()
    if targets.ndim == 2:
        return np.asarray(targets[:, 0], dtype=np.float64)
    return np.asarray(targets == np.bincount(targets).argmax(), dtype=np.float64)


def _best_pair(inputs: Array, targets: Array, name: str) -> tuple[int, int]:
    """Return two columns of inputs [N, F]: the residuals' correlation, once the first is taken out, is the partial correlation."""
    first, any_varies = _strongest(inputs, targets)
    taken = np.column_stack([np.ones(len(inputs)), inputs[:, first]])  # [N, 2]
    both = np.column_stack([inputs, targets])  # [N, F + 1]
    rest = both - taken @ np.linalg.lstsq(taken, both, rcond=None)[0]
    varies = rest[:, :-1].std(0) > 1e-6 * inputs.std(0)
    second, another_varies = _strongest(np.where(varies, rest[:, :-1], 0.0), rest[:, -1])
    if not (any_varies and another_varies):
        raise UserError(f"data '{name}': two inputs that vary independently are needed to draw a loss of two weights.")
    return first, second


def _strongest(inputs: Array, targets: Array) -> tuple[int, bool]:
    """Return the column of inputs [N, F] with the largest absolute correlation with targets [N], and whether any varies."""
    inputs = inputs - inputs.mean(0)
    targets = targets - targets.mean()
    sizes = np.linalg.norm(inputs, axis=0)  # [F]
    varies = sizes > 1e-9 * max(1.0, sizes.max())
    strength = np.where(varies, np.abs(targets @ inputs) / np.where(varies, sizes, 1.0), -1.0)
    return int(strength.argmax()), bool(varies.any())


def loss(problem: Problem, weights: Array) -> Array:
    """Return the exact loss over all rows at weights [..., 2]: an array [...]."""
    flat = weights.reshape(-1, 2)
    values = np.array([_loss(problem, point) for point in flat])
    return values.reshape(weights.shape[:-1])


def _loss(problem: Problem, point: Array) -> float:
    sums = problem.inputs @ point + problem.offset  # [N]
    if not problem.logistic:
        return float(np.square(sums - problem.targets).mean())
    return float((np.logaddexp(0, sums) - problem.targets * sums).mean() + problem.penalty / 2 * point @ point)


def gradient(problem: Problem, weights: Array, rows: npt.NDArray[np.intp] | slice = slice(None)) -> Array:
    """Return the gradient [L, 2] of the mean loss over some rows at weights [L, 2]; the penalty is in every row's loss."""
    inputs = problem.inputs[rows]  # [B, 2]
    sums = weights @ inputs.T + problem.offset  # [L, B]
    targets = problem.targets[rows]
    deltas = expit(sums) - targets if problem.logistic else 2 * (sums - targets)
    slopes: Array = deltas @ inputs / len(inputs) + problem.penalty * weights
    return slopes


def hessian(problem: Problem, point: Array) -> Array:
    """Return the Hessian [2, 2] of the loss at a point [2]."""
    weight = np.full(len(problem), 2.0)  # [N]
    if problem.logistic:
        shares = expit(problem.inputs @ point + problem.offset)
        weight = shares * (1 - shares)
    matrix: Array = (problem.inputs.T * weight) @ problem.inputs / len(problem) + problem.penalty * np.eye(2)
    return matrix


def minimum(problem: Problem) -> Array:
    """Return the weights [2] of the least loss, by Newton's method with halved steps: the gradient there is below 1e-10.

    Raises:
        ArithmeticError: it was not reached.
    """
    point = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        slope = gradient(problem, point[None])[0]
        if np.linalg.norm(slope) < 1e-10:
            return point
        step = np.linalg.solve(hessian(problem, point), slope)
        before = _loss(problem, point)
        while _loss(problem, point - step) > before + 1e-12 * abs(before):
            step = step / 2
        point = point - step
    raise ArithmeticError(f"Newton's method left a gradient of {np.linalg.norm(slope):.1e}")


def loss_grid(problem: Problem, x: Sequence[float], y: Sequence[float]) -> Array:
    """Return the exact loss, [len(y), len(x)], at first weight x and second weight y."""
    return loss(problem, np.stack(np.meshgrid(x, y), axis=-1))
