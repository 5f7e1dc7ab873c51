"""What others published, where a figure shows it beside ours."""

from collections.abc import Mapping
from math import log2

import numpy as np

# Batch size -> S(1) / S(B), updates to a validation error of 3 % on MNIST; 784-1024-1024-1024-10, plain SGD, learning rate tuned at each
# batch size. Shallue et al. (JMLR 20(112), 2019), figure 3, top left, digitised: within about 4 %.
SHALLUE_MNIST: Mapping[int, float] = {
    1: 1.0,
    16: 13.5,
    64: 47.0,
    128: 84.0,
    256: 134.0,
    512: 168.0,
    1024: 195.0,
    4096: 226.0,
    16384: 244.0,
    55000: 246.0,
}


def shallue_steps(batch_size: int, steps: float) -> dict[int, float]:
    """Return Shallue's curve scaled so that it passes through so many steps at a batch size (between theirs, straight in logarithms)."""
    sizes, speeds = [log2(size) for size in SHALLUE_MNIST], [log2(speed) for speed in SHALLUE_MNIST.values()]
    here = float(np.interp(log2(batch_size), sizes, speeds))
    return {size: steps * float(2.0**here) / speed for size, speed in SHALLUE_MNIST.items()}
