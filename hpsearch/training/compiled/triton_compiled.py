"""How the functions of the GPU's kernel are compiled: by Triton when first launched, once for each batch size and type of numbers.

One program, a block of threads, is one trial. Its threads share numbers through memory alone: what one of them wrote another may read
only after `tl.debug_barrier()`, and what one is still to read no other may write before it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]

__all__ = ["compiled", "kernel", "tl"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function that kernels call."""
    return cast("Function", triton.jit(function))


def kernel(*varying: str) -> Callable[[Function], Any]:
    """Compile a kernel; arguments that vary from launch to launch are never made part of its code."""
    return cast("Callable[[Function], Any]", triton.jit(do_not_specialize=varying))
