"""How the functions of this room are compiled: without the interpreter's lock, kept on disk, sums in any order, NaN kept."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])

Array = npt.NDArray[Any]

# Sums may be reordered (else no reduction is vectorised); NaN and infinity stay, since divergence is told by them.
FAST = {"reassoc", "contract", "arcp", "nsz"}


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, once for each type of its arguments."""
    # "numpy": a division by zero gives infinity; a check of each division would keep loops from being vectorised
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        return cast("Function", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep machine code in can be written to
        return cast("Function", numba.njit(**options)(function))
