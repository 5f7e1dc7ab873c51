"""The double well of the thermal test: its minima, the noise of a batch, and how long theory says that an escape takes."""

from math import exp, inf, pi, sqrt
from typing import Any

import numpy as np
from scipy.integrate import cumulative_trapezoid, trapezoid

from hpsearch.comparison.escape.settings import ThermalSettings

TILT = 0.12
COLDEST = 1e-3  # below it an escape takes more than 1e60 updates, and exponentials overflow


def wells() -> tuple[float, float, float]:
    """Return the good minimum, the saddle and the bad minimum of V, to rounding."""
    good, saddle, bad = sorted(float(root.real) for root in np.roots([1, 0, -1, TILT]))
    return good, saddle, bad


def energy(w: Any) -> Any:
    """Return V(w) of a number or an array."""
    return (w * w - 1) ** 2 / 4 + TILT * w


def variance(batch_size: int, settings: ThermalSettings) -> float:
    """Return the variance of a batch's gradient, drawn without replacement."""
    size = settings.examples_in_sum
    return settings.deviation**2 / batch_size * (size - batch_size) / (size - 1)


def kramers(learning_rate: float, batch_size: int, settings: ThermalSettings, good: bool = False) -> float:
    """Return Kramers' mean time to escape in updates, from the bad minimum or from the good one; infinite below `COLDEST`."""
    low, saddle, high = wells()
    start = low if good else high
    temperature = learning_rate / 2 * variance(batch_size, settings)
    if temperature < COLDEST:
        return inf
    curvatures = (3 * start**2 - 1) * abs(3 * saddle**2 - 1)
    return 2 * pi / (learning_rate * sqrt(curvatures)) * exp((energy(saddle) - energy(start)) / temperature)


def mean_passage(learning_rate: float, batch_size: int, settings: ThermalSettings, good: bool = False) -> float:
    """Return the exact mean time, in updates, of the diffusion of which Kramers' law is the cold limit; infinite below `COLDEST`.

    From start s to target a it is ∫ dy exp(V(y)/T) ∫ dz exp(−V(z)/T) / (ηT), y between a and s, z from beyond s to y (Gardiner, §5.5).
    """
    low, _, high = wells()
    temperature = learning_rate / 2 * variance(batch_size, settings)
    if temperature < COLDEST:
        return inf
    y = np.linspace(-2.5 if good else 2.5, high if good else low, 20_001)  # from beyond the start to the target
    start = np.argmin(np.abs(y - (low if good else high)))
    step = abs(y[1] - y[0])
    inner = cumulative_trapezoid(np.exp(-energy(y) / temperature), dx=step, initial=0)[start:]
    return float(trapezoid(np.exp(energy(y[start:]) / temperature) * inner, dx=step) / (learning_rate * temperature))
