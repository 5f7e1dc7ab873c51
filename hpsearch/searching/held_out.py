"""What the candidates for a model predict for rows that they did not train on, and what is fitted to that: shares, a temperature, errors.

`HeldOut` has the predictions of every candidate for the validation rows, made by runs that trained on none of these rows and that chose
nothing. To them are fitted:

    shares         greedy forward selection with replacement, the winner first (Caruana et al., Ensemble Selection from Libraries of
                   Models, 2004): the candidate that lowers the loss of the mean most is added, again and again, and the best mean
                   of all is taken, each at its own temperature: else a network that is too unsure (label smoothing) would be mixed
                   with worse ones that are too sure. The shares are the means of those that all but one part of the rows give in
                   turn, which are steadier than those of one selection
    temperature    that with the lowest loss (Guo et al. 2017), for classes and labels alone

On a GPU all of this is computed there, and the host waits for a few results, not for each loss: to wait takes as long as to compute one.

Whatever is said of them is cross-fitted: the rows are divided into `PARTS`, and the prediction of a row is made with shares and a
temperature that were fitted to the other parts. The loss is the one that networks train on: log loss, squared error, or the user's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from hpsearch.data.dataset import Data, Rows
from hpsearch.data.metrics import mean as average
from hpsearch.data.tasks import mean_loss
from hpsearch.model.combination import outputs_for
from hpsearch.training.devices import one_thread
from hpsearch.trial import derive_seed

PARTS = 5  # of the rows, for cross-fitting
ROUNDS = 20  # of the greedy selection, at most
# Rows below which no temperature is fitted: its logarithm has a standard error of about 2 / √rows, so that of fewer than 100
# rows a temperature of 1.2 cannot be told from 1, and the fit would add the noise that it is to remove.
FEWEST_ROWS = 100
SPAN = log(10.0)  # of the logarithm of a temperature, to both sides of 0
COARSE = 0.05  # tolerance of that logarithm while networks are selected
POINTS = 17  # temperatures that a GPU compares at a time
AT_ONCE = 2**26  # predictions at a time, at most


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Predictions [S, C, N, K] of C candidates on S seeds for N rows, after the head; targets of regression are standardised.

    `parts` are the data of each fold and how many of the rows, in this order, are its validation rows.
    """

    data: Data
    predictions: Tensor
    rows: Rows
    weights: Tensor | None  # [N], of the loss
    parts: tuple[tuple[Data, int], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def seeds(self) -> int:
        """How many runs of each candidate there are."""
        return len(self.predictions)

    def together(self, shares: Sequence[float]) -> Tensor:
        """Return the weighted mean [S, N, K] of the candidates."""
        weights = self.predictions.new_tensor(list(shares))
        return torch.einsum("c,scnk->snk", weights, self.predictions)

    def loss(self, predictions: Tensor, chosen: Tensor) -> Tensor:
        """Return the mean loss [] over seeds and the chosen rows [n] of predictions for them [S, n, K]; infinity if it is not finite."""
        outputs = outputs_for(self.data.task, predictions).flatten(0, 1)  # [S·n, K]
        targets, weights = self._repeated(chosen, self.seeds)
        return _finite(mean_loss(self.data.task, outputs, targets, weights))

    def losses(self, predictions: Tensor, chosen: Tensor) -> Tensor:
        """Return the loss [P], as `loss` does, of several predictions [P, S, n, K] at once; the task's own losses alone."""
        row_losses = self.data.task.row_losses
        assert row_losses is not None, "a loss of the user's own takes one prediction at a time"
        count = len(predictions)
        targets, weights = self._repeated(chosen, count * self.seeds)
        losses = row_losses(outputs_for(self.data.task, predictions).flatten(0, 2), targets)
        return _finite(average((losses if weights is None else losses * weights).view(count, -1)))

    def _repeated(self, chosen: Tensor, times: int) -> tuple[Tensor, Tensor | None]:
        """Return targets and weights of the chosen rows, so many times one after the other."""
        targets = self.rows.targets[chosen]
        repeated = targets.repeat(times, *([1] * (targets.dim() - 1)))
        weights = None
        if self.weights is not None:
            weights = self.weights[chosen].repeat(times)
        return repeated, weights

    def losses_of_rows(self, predictions: Tensor) -> Tensor | None:
        """Return each row's loss [N], the mean over seeds, of predictions [S, N, K]; None where a loss of the user's own has none."""
        row_losses = self.data.task.row_losses
        if row_losses is None:
            return None
        outputs = outputs_for(self.data.task, predictions)
        losses = torch.stack([row_losses(each, self.rows.targets) for each in outputs]).mean(dim=0)
        return losses if self.weights is None else losses * self.weights


def _finite(losses: Tensor) -> Tensor:
    """Return losses, infinity in the place of those that are not finite."""
    return losses.where(losses.isfinite(), float("inf"))


def single(held: HeldOut) -> Tensor:
    """Return the shares [C] of the winner alone."""
    shares = torch.zeros(held.predictions.shape[1], dtype=torch.float64)
    shares[0] = 1
    return shares


def shares_of(counts: Tensor) -> Tensor:
    """Return the shares [C], on the host, of candidates that were taken so often."""
    counts = counts.cpu().double()
    return counts / counts.sum()


def greedy_counts(held: HeldOut, chosen: Tensor) -> Tensor:
    """Return how often [C] a greedy selection for the chosen rows [n] takes each candidate; it takes the winner once at least."""
    predictions = held.predictions[:, :, chosen]  # [S, C, n, K]
    candidates = torch.arange(predictions.shape[1], device=predictions.device)
    counts = (candidates == 0).to(predictions.dtype)  # [C]
    total = predictions[:, 0]  # [S, n, K]
    best = counts
    degree = _coarse_temperature(held, total, chosen)
    best_loss = _loss_at(held, total, chosen, degree)
    for size in range(2, ROUNDS + 1):
        means = [(total + predictions[:, place]) / size for place in range(len(counts))]
        place = torch.stack([_loss_at(held, mean, chosen, degree) for mean in means]).argmin()
        counts = counts + (candidates == place)
        total = total + predictions.index_select(1, place.view(1))[:, 0]
        degree = _coarse_temperature(held, total / size, chosen)
        loss = _loss_at(held, total / size, chosen, degree)
        best = torch.where(loss < best_loss, counts, best)
        best_loss = torch.minimum(loss, best_loss)
    return best


def _coarse_temperature(held: HeldOut, mean: Tensor, chosen: Tensor) -> Tensor | None:
    """Return the temperature [] of a mean [S, n, K] for the chosen rows, roughly; None where it takes none."""
    return temperature(held, mean, chosen, COARSE) if takes_temperature(held) else None


def _predicted_at(held: HeldOut, mean: Tensor, degree: Tensor | None) -> Tensor:
    """Return a mean [..., K] at a temperature []; None leaves it as it is."""
    task = held.data.task
    return mean if degree is None else task.head(outputs_for(task, mean) / degree)


def _loss_at(held: HeldOut, mean: Tensor, chosen: Tensor, degree: Tensor | None) -> Tensor:
    return held.loss(_predicted_at(held, mean, degree), chosen)


def temperature(held: HeldOut, mean: Tensor, chosen: Tensor, tolerance: float = 1e-3) -> Tensor:
    """Return the temperature [] of a mean [S, n, K] with the lowest loss on the chosen rows; its logarithm is known to the tolerance.

    Nothing waits for it where the mean is on a GPU.
    """
    outputs = outputs_for(held.data.task, mean)
    if outputs.is_cuda:
        return _temperature_by_points(held, outputs, chosen, tolerance)
    head = held.data.task.head

    def loss(logarithm: float) -> float:
        return float(held.loss(head(outputs / exp(logarithm)), chosen))

    found = minimize_scalar(loss, bounds=(-SPAN, SPAN), method="bounded", options={"xatol": tolerance})
    return torch.tensor(exp(found.x), dtype=torch.float64)


def _temperature_by_points(held: HeldOut, outputs: Tensor, chosen: Tensor, tolerance: float) -> Tensor:
    """Return the temperature [] of outputs [S, n, K] by comparing evenly spread ones, then those between the best one's neighbours.

    The loss falls towards the best temperature from both sides, so that it lies there.
    """
    places = torch.linspace(-1, 1, POINTS, dtype=outputs.dtype, device=outputs.device)
    middle = torch.zeros_like(places[0])
    reach = SPAN
    while reach > tolerance:
        logarithms = (middle + reach * places).clamp(-SPAN, SPAN)
        parts = logarithms.exp().view(-1, 1, 1, 1).split(max(1, AT_ONCE // outputs.numel()))
        losses = [held.losses(held.data.task.head(outputs / part), chosen) for part in parts]
        middle = logarithms.index_select(0, torch.cat(losses).argmin().view(1)).squeeze(0)
        reach *= 2 / (POINTS - 1)
    return middle.exp()


def takes_temperature(held: HeldOut) -> bool:
    """Whether a temperature may be fitted: there are classes or labels, the task's own loss, and rows enough."""
    task = held.data.task
    return task.predicts != "values" and not task.has_own_loss and len(held) >= FEWEST_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Shares [C] and a temperature fitted to all rows; the cross-fitted `predictions` [S, N, K] and their `loss`.

    `plain_loss` is the cross-fitted loss without a temperature.
    """

    shares: Tensor
    temperature: float
    predictions: Tensor
    loss: float
    plain_loss: float


def fitted(held: HeldOut, study_seed: int, *, several: bool) -> Fitted:
    """Return what fits the winner alone, or `several` candidates together.

    A temperature is there where it lowers the loss on rows that it was not fitted to. All of it is computed on one thread: hundreds of
    small sums, for which the threads of a busy machine wait on each other (5,000 rows of MNIST and two networks beside five other
    processes on two cores: 67 seconds, 15 on one thread).
    """
    with one_thread(held.predictions.device):
        return _fitted(held, study_seed, several=several)


def _fitted(held: HeldOut, study_seed: int, *, several: bool) -> Fitted:
    device = held.predictions.device
    every = torch.arange(len(held), device=device)
    groups = _groups(held, study_seed)
    numbers = range(int(groups.max()) + 1)
    rest = [_where(groups != number).to(device) for number in numbers]
    of_groups = [_where(groups == number).to(device) for number in numbers]
    shares = [single(held)] * len(rest)
    if several:
        counts = torch.stack([greedy_counts(held, chosen) for chosen in rest])
        shares = [shares_of(own) for own in counts.cpu()]
    plain = _cross_fitted(held, of_groups, shares, [None] * len(rest))
    plain_loss = float(held.loss(plain, every))
    final = torch.stack(shares).mean(dim=0)
    if not takes_temperature(held):
        return Fitted(final, 1.0, plain, plain_loss, plain_loss)
    temperatures = [_temperature_of(held, each, chosen) for each, chosen in zip(shares, rest, strict=True)]
    calibrated = _cross_fitted(held, of_groups, shares, temperatures)
    loss = float(held.loss(calibrated, every))
    if loss >= plain_loss:
        return Fitted(final, 1.0, plain, plain_loss, plain_loss)
    return Fitted(final, float(_temperature_of(held, final, every)), calibrated, loss, plain_loss)


def _where(chosen: Tensor) -> Tensor:
    """Return the numbers of the rows that are chosen."""
    return chosen.nonzero().flatten()


def _temperature_of(held: HeldOut, shares: Tensor, chosen: Tensor) -> Tensor:
    return temperature(held, held.together(shares.tolist())[:, chosen], chosen)


def standard_error(held: HeldOut, several: Fitted, one: Fitted) -> float:
    """Return the standard error over rows of the difference of two losses; 0 where rows have none or it is not finite."""
    losses = [held.losses_of_rows(fit.predictions) for fit in (several, one)]
    if losses[0] is None or losses[1] is None or len(held) < 2:
        return 0.0
    error = float((losses[0] - losses[1]).std()) / sqrt(len(held))
    return error if isfinite(error) else 0.0


def _groups(held: HeldOut, study_seed: int) -> Tensor:
    """Return the group of each row [N], drawn from the study's seed, on the host."""
    generator = torch.Generator().manual_seed(derive_seed(study_seed, "parts of held-out rows") % 2**63)
    order = torch.randperm(len(held), generator=generator)
    return order % min(PARTS, len(held))


def _cross_fitted(
    held: HeldOut, groups: Sequence[Tensor], shares: Sequence[Tensor], temperatures: Sequence[Tensor | None]
) -> Tensor:
    """Return predictions [S, N, K], those of each group's rows by the shares and the temperature that were fitted to the others."""
    found = torch.empty_like(held.predictions[:, 0])
    for chosen, own, degree in zip(groups, shares, temperatures, strict=True):
        found[:, chosen] = _predicted_at(held, held.together(own.tolist())[:, chosen], degree)
    return found


# ------------------------------------------------------------------ what the cross-fitted predictions say

MOST_ERRORS = 1_000  # order statistics of errors that a model keeps


def metric_values(held: HeldOut, predictions: Tensor) -> list[float]:
    """Return the study's metric of predictions [S, N, K] on each seed, the mean over the folds as a trial's value is."""
    values = []
    for each in predictions:
        folds = [part.metric_of(part.predicted(own), part.validation) for part, own in by_part(held, each)]
        values.append(sum(folds) / len(folds))
    return values


def by_part(held: HeldOut, predictions: Tensor) -> list[tuple[Data, Tensor]]:
    """Return the data of each fold with the predictions [n, K] for its validation rows, of those for all rows [N, K]."""
    sizes = [size for _, size in held.parts]
    return [(part, own) for (part, _), own in zip(held.parts, predictions.split(sizes), strict=True)]


def absolute_errors(held: HeldOut, predictions: Tensor) -> list[list[float]]:
    """Return how far predictions [S, N, K] of numbers are off, for each of the K targets in its units, ascending.

    Of more than `MOST_ERRORS` those order statistics that are evenly spread, the greatest included.
    """
    errors = torch.cat([_errors(held, each) for each in predictions])  # [S·N, K]
    ordered = errors.sort(dim=0).values.cpu()
    count = len(ordered)
    kept = min(count, MOST_ERRORS)
    places = [-(-count * number // kept) - 1 for number in range(1, kept + 1)]
    return [column.tolist() for column in ordered[places].T]


def _errors(held: HeldOut, predictions: Tensor) -> Tensor:
    """Return the absolute errors [N, K] of predictions [N, K], in the targets' units."""
    targets = by_part(held, held.rows.targets)
    parts = zip(by_part(held, predictions), targets, strict=True)
    return torch.cat([(part.predicted(own) - part.original(true)).abs() for (part, own), (_, true) in parts]).double()
