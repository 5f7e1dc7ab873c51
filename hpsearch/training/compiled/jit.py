"""How numba compiles the kernels: without the interpreter's lock, cached on disk, sums in any order, NaN kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])

Array = npt.NDArray[Any]

# Sums may be reordered (else no reduction is vectorised); NaN and infinity stay, since divergence is told by them.
FAST = {"reassoc", "contract", "arcp", "nsz"}
# "numpy": a division by zero gives infinity; a check of each division would keep loops from being vectorised
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compile a function that Python calls, when it is first called, once for each type of its arguments."""
    try:
        return cast("Function", numba.njit(cache=True, **OPTIONS)(function))
    except RuntimeError:  # no folder for machine code can be written to
        return cast("Function", numba.njit(**OPTIONS)(function))


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether machine code of a compiled function lies on disk, as new as its source."""
    folder = cast("Any", function).stats.cache_path
    source = Path(function.__code__.co_filename)
    indices = Path(folder).glob(f"{source.stem}.{function.__name__}-*.nbi") if folder else ()
    return any(index.stat().st_mtime > source.stat().st_mtime for index in indices)


def inlined(function: Function) -> Function:
    """Make a function a part of each compiled one that calls it.

    A part that were a function of its own would have a copy in each caller, optimised (and so rounded) in its own way; which copy runs
    would depend on whether the caller was just compiled or came from disk, and a study's second run would differ from its first.
    """
    return cast("Function", numba.njit(inline="always", **OPTIONS)(function))
