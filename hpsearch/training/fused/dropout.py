"""Dropout of a cohort: the noise of `draws.Noise`, one for all trials; a trial's rate decides what of it silences a unit."""

import torch

from hpsearch.training import draws
from hpsearch.training.fused.layout import Layout


class Dropout:
    """The dropout of a cohort's hidden layers."""

    def __init__(self, layout: Layout, like: torch.Tensor) -> None:
        rates = [a.dropout for a in layout.architectures]
        self.layers = [any(rates[:count]) for count in layout.counts]  # whether a layer has any
        thresholds = torch.tensor([draws.noise_threshold(rate) for rate in rates], device=like.device)
        self.thresholds = thresholds[:, None, None]  # [T, 1, 1]
        self.factors = like.new_tensor([1 / (1 - rate) for rate in rates])[:, None, None]
        self.none = like.new_zeros(())

    def keep(self, layer: int, key: torch.Tensor, rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return the mask for activations `like` [N, H, B] of these rows [B]; `key` [] is the layer's in this update."""
        units = torch.arange(like.shape[1], device=like.device).unsqueeze(1)
        bits = draws.hashed((draws.hashed(rows ^ key) + units) & draws.BITS)  # [H, B]
        kept = bits >= self.thresholds[: len(like)]
        return torch.where(kept, self.factors[: len(like)], self.none)
