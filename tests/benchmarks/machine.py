"""The machine that measures: its clock, its matrix peak, its load, and what it is."""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import torch
from joblib import cpu_count

from hpsearch import __version__

PEAK_SECONDS = 0.1


def clock(device: torch.device) -> float:
    """Return the time once the device has done what it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def matrix_size(device: torch.device) -> int:
    """Return the order of the matrices whose product shows the peak: a GPU is idle half of the time on small ones."""
    return 8192 if device.type == "cuda" else 1024


def matrix_peak(device: torch.device) -> float:
    """Return GFLOP/s of float32 matrix products on a device; on a CPU of one on each core, none waiting for another."""
    if device.type == "cuda":
        return _rate(device)
    before, cores = torch.get_num_threads(), cpu_count()
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return sum(pool.map(_rate, [device] * cores))
    finally:
        torch.set_num_threads(before)


def _rate(device: torch.device) -> float:
    n = matrix_size(device)
    a, b, c = (torch.ones(n, n, device=device) for _ in range(3))
    torch.mm(a, b, out=c)
    count, seconds, start = 0, 0.0, clock(device)
    while seconds < PEAK_SECONDS:
        torch.mm(a, b, out=c)
        count, seconds = count + 1, clock(device) - start
    return count * 2 * n**3 / seconds / 1e9


def system_load() -> float | None:
    """Return the processes that ran at once in the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def describe(device: torch.device) -> dict[str, Any]:
    """Return what the machine is, as JSON takes it."""
    cuda = device.type == "cuda"
    return {
        "device": str(device),
        "processor": torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "hpsearch": __version__,
    }
