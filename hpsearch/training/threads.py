"""One thread for each trial on a CPU, whatever library computes.

So a result does not depend on the number of cores, and a busy machine does not stall it: with two threads and two other processes on two
cores an update of batch size 32 took 2 to 20 times as long as with one (quiet: 0.8 times). Trials that train beside each other are what
keeps the other cores busy.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from hpsearch.data.dataset import Data


@contextmanager
def one_thread(data: Data) -> Iterator[None]:
    """Compute on one thread, on this one and on those begun inside with `begin_worker`, where the data lies on a CPU."""
    if data.training.inputs.device.type != "cpu":
        yield
        return
    import scipy.linalg.cython_blas  # noqa: F401  # numba's BLAS: what is not loaded yet would not be limited

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def begin_worker(data: Data) -> None:
    """Prepare a worker's thread: one thread for torch on a CPU, and no denormals.

    First moments of units that fell silent fade to denormal numbers, which slow an Adam update down to a third of its speed.
    """
    if data.training.inputs.device.type == "cpu":
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
