"""The orders of batches as arrays, kept for the trials that train at the same time: all of one batch size visit the rows alike."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.training import draws


@lru_cache(maxsize=64)
def batch_order(order_seed: int, batch_size: int, pass_: int, rows: int) -> "npt.NDArray[np.integer[Any]]":
    """Return `draws.batch_order` [rows] as an array that must not be written to."""
    order = draws.batch_order(order_seed, batch_size, pass_, rows).numpy()
    order.flags.writeable = False
    return order
