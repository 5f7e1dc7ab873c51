"""The network of a cohort: forward and backward through all trials at once, and the losses between the two.

Units come before rows ([trials, units, rows]), so that the product with the inputs, a row for each unit of any trial, is spread to
padded layers, and collected from them, by whole rows of memory.

A loss, one row for each task, takes outputs [T, C, B], the targets of B rows that all trials share, the size of the whole batch, of which
these may be a part, the weights [B] of the rows, by which each one's loss is multiplied (None where all weigh alike), and each trial's
smoothing of labels [T, 1, 1] (None where no trial has any). Losses [T] and gradients [T, C, B] of the parts add up to the batch's.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from hpsearch.training.fused.layout import Layout, Parameters
from hpsearch.training.fused.precision import Products, add_rows

Activate = Callable[[int, torch.Tensor], torch.Tensor]  # layer, sums [N, H, B] → activations
Pair = tuple[torch.Tensor, torch.Tensor]
Weights = torch.Tensor | None
Smoothing = torch.Tensor | None
Loss = Callable[[torch.Tensor, torch.Tensor, int, Weights, Smoothing], Pair]


class Network:
    """The weights of a cohort, and the gradients that `backward` writes."""

    def __init__(self, layout: Layout, like: torch.Tensor, products: Products) -> None:
        self.layout = layout
        self.products = products
        self.weights = Parameters(layout, like)
        self.gradients = Parameters(layout, like)
        self.padded_index = None
        if layout.padded_index is not None:
            self.padded_index = torch.tensor(layout.padded_index, device=like.device)

    def forward(self, inputs: torch.Tensor, activate: Activate) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the activations [N, H, B] of each hidden layer, and outputs [T, C, B], of inputs [B, I]."""
        weights = self.weights
        layout = self.layout
        sums = self.products(weights.first, inputs.T)  # [U, B]
        activations: list[torch.Tensor] = []
        for layer, bias in enumerate(weights.biases):
            if layer == 0:
                hidden = self._spread(sums[: layout.hidden_units])
            else:
                hidden = self.products(weights.hidden[layer], activations[-1][: layout.counts[layer]])
            activations.append(activate(layer, hidden.add_(bias)))
        return activations, self._outputs(sums[layout.hidden_units :], activations)

    def _outputs(self, linear: torch.Tensor, activations: list[torch.Tensor]) -> torch.Tensor:
        """Return outputs [T, C, B] from the sums of linear models and the last activations of the others."""
        weights = self.weights
        layout = self.layout
        outputs = linear.new_empty(layout.trials, layout.outputs, linear.shape[1])
        for depth, rows in layout.segments.items():
            if depth:
                sums = self.products(weights.outputs[depth], self._last(activations, depth))
            else:
                sums = linear.view(-1, layout.outputs, linear.shape[1])
            torch.add(sums, weights.output_bias[rows], out=outputs[rows])
        return outputs

    def backward(
        self,
        inputs: torch.Tensor,  # [B, I]
        activations: list[torch.Tensor],  # [N, H, B] each
        slopes: list[torch.Tensor],  # of the activations by their sums; used up: they become the gradients by sums
        errors: torch.Tensor,  # [T, C, B], the gradient by outputs
        add: bool,
    ) -> None:
        """Write the gradient of the loss by each weight, or add it to what is there."""
        gradients = self.gradients
        into = self.products.into
        add_rows(gradients.output_bias, errors, add)
        for depth, gradient in gradients.outputs.items():
            into(gradient, errors[self.layout.segments[depth]], self._last(activations, depth).mT, add)
        for layer in reversed(range(len(slopes))):
            self._back(layer, slopes, errors)
            add_rows(gradients.biases[layer], slopes[layer], add)
            if layer:
                into(gradients.hidden[layer], slopes[layer], activations[layer - 1][: len(slopes[layer])].mT, add)
        into(gradients.first, self._collected(slopes, errors), inputs, add)

    def _back(self, layer: int, slopes: list[torch.Tensor], errors: torch.Tensor) -> None:
        """Turn a layer's slopes into gradients: some trials have a hidden layer above it, the others their outputs."""
        above = layer + 1
        if above < len(slopes):
            back = self.products(self.weights.hidden[above].mT, slopes[above])
            slopes[layer][: len(back)].mul_(back)
        if above in self.layout.segments:
            rows = self.layout.segments[above]
            slopes[layer][rows].mul_(self.products(self.weights.outputs[above].mT, errors[rows]))

    def _last(self, activations: list[torch.Tensor], depth: int) -> torch.Tensor:
        return activations[depth - 1][self.layout.segments[depth]]

    def _spread(self, sums: torch.Tensor) -> torch.Tensor:
        """Return hidden sums [units, B] padded, [N, H, B]."""
        count = self.layout.counts[0]
        width = self.layout.widths[0]
        if self.padded_index is not None:
            sums = sums.new_zeros(count * width, sums.shape[1]).index_copy_(0, self.padded_index, sums)
        return sums.view(count, width, sums.shape[1])

    def _collected(self, gradients: list[torch.Tensor], errors: torch.Tensor) -> torch.Tensor:
        """Return the gradients [U, B] by the sums on the inputs, of hidden units and of linear models."""
        linear_trials = self.layout.segments.get(0, slice(0))
        linear = errors[linear_trials].flatten(0, 1)
        if not gradients:
            return linear
        hidden = gradients[0].flatten(0, 1)  # [N * H, B]
        if self.padded_index is not None:
            hidden = hidden.index_select(0, self.padded_index)
        return torch.cat([hidden, linear]) if len(linear) else hidden


def _squared_error(
    outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights, smoothing: Smoothing
) -> Pair:
    share = 1 / (rows * outputs.shape[1])
    error = outputs - targets.T  # [T, C, B] - [C, B]
    if weights is not None:
        return (error.square() * weights).sum((1, 2)).mul_(share), error.mul_(weights).mul_(2 * share)
    return error.square().sum((1, 2)).mul_(share), error.mul_(2 * share)


def _binary_cross_entropy(
    outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights, smoothing: Smoothing
) -> Pair:
    known = targets.T.expand_as(outputs)  # [C, B] → [T, C, B]
    if smoothing is not None:
        known = known * (1 - smoothing) + smoothing / 2
    losses = F.binary_cross_entropy_with_logits(outputs, known, reduction="none")  # [T, C, B]
    errors = outputs.sigmoid().sub_(known)
    losses, errors = _weighted(losses, errors, weights)
    numbers = rows * outputs.shape[1]
    return losses.sum((1, 2)).div_(numbers), errors.div_(numbers)


def _cross_entropy(
    outputs: torch.Tensor, targets: torch.Tensor, rows: int, weights: Weights, smoothing: Smoothing
) -> Pair:
    chances = outputs.log_softmax(1)
    known = targets.expand(len(outputs), 1, -1)  # [B] → [T, 1, B]
    gains = chances.gather(1, known)  # [T, 1, B]
    classes = torch.arange(outputs.shape[1], device=outputs.device).unsqueeze(1)
    truth = (classes == targets).to(outputs.dtype)  # [C, B]
    if smoothing is not None:
        gains = gains * (1 - smoothing) + smoothing * chances.mean(1, keepdim=True)
        truth = truth * (1 - smoothing) + smoothing / len(truth)  # [T, C, B]
    errors = chances.exp_().sub_(truth)
    gains, errors = _weighted(gains, errors, weights)
    return gains.sum((1, 2)).div_(-rows), errors.div_(rows)


def _weighted(losses: torch.Tensor, errors: torch.Tensor, weights: Weights) -> Pair:
    """Multiply the rows' losses and errors by their weights [B]; without weights they stay what they are."""
    if weights is None:
        return losses, errors
    return losses * weights, errors * weights


LOSSES: dict[str, Loss] = {
    "regression": _squared_error,
    "binary": _binary_cross_entropy,
    "multiclass": _cross_entropy,
    "multilabel": _binary_cross_entropy,
}
