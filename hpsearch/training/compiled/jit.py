"""How numba compiles the kernels: without the interpreter's lock, cached on disk, sums in any order, NaN kept."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt
from numba.core import event

from hpsearch.platforms import can_others_write
from hpsearch.progress import COMPILER

LOGGER = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])

Array = npt.NDArray[Any]

# Sums may be reordered (else no reduction is vectorised); NaN and infinity stay, since divergence is told by them.
FAST = {"reassoc", "contract", "arcp", "nsz"}
# "numpy": a division by zero gives infinity; a check of each division would keep loops from being vectorised
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
EXACT: dict[str, Any] = {**OPTIONS, "fastmath": False}  # rounded as Python rounds


class _CompilerEvents(event.Listener):
    """Tells `COMPILER` when numba compiles; code that lies on disk is loaded without an event."""

    def on_start(self, happened: event.Event) -> None:
        """Note that a compilation begins."""
        COMPILER.begin()

    def on_end(self, happened: event.Event) -> None:
        """Note that a compilation is over."""
        COMPILER.end()


event.register("numba:compile", _CompilerEvents())  # type: ignore[no-untyped-call]


def compiled(function: Function) -> Function:
    """Compile a function that Python calls, when it is first called, once for each type of its arguments."""
    return _compiled(function, OPTIONS)


def compiled_exactly(function: Function) -> Function:
    """Compile a function likewise, with every operation in its own order and rounded as Python rounds it."""
    return _compiled(function, EXACT)


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    if _cache_of_others():
        return cast("Function", numba.njit(**options)(function))
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for machine code can be written to
        return cast("Function", numba.njit(**options)(function))
    _drop_stale_code(made)
    return cast("Function", made)


@cache
def _cache_of_others() -> bool:
    """Whether others can write where `NUMBA_CACHE_DIR` has machine code kept, which numba runs unchecked; says so if they can."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder or not can_others_write(Path(folder)):
        return False
    LOGGER.warning(
        "NUMBA_CACHE_DIR is %s, which others can write to: no machine code is kept or taken from there, and kernels are compiled "
        "each time. Give a folder of your own (chmod 700).",
        folder,
    )
    return True


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether machine code of a compiled function lies on disk, as new as its source."""
    newest = _newest_source(function)
    return any(index.stat().st_mtime > newest for index in _indices(function))


def _drop_stale_code(function: Callable[..., Any]) -> None:
    """Delete what lies on disk from before the last change of a source beside the function's.

    Numba compares with the function's own file alone, although parts of other files are in the code, and unpickles before it compares,
    which fails where a class of an argument has another name by now.
    """
    newest = _newest_source(function)
    for index in _indices(function):
        with suppress(OSError):  # another process was faster, or the folder is read-only
            if index.stat().st_mtime < newest:
                index.unlink()


def _indices(function: Callable[..., Any]) -> list[Path]:
    """Return numba's lists of a compiled function's machine code."""
    stats = getattr(function, "stats", None)  # none under NUMBA_DISABLE_JIT
    if stats is None or stats.cache_path is None:
        return []
    source = Path(function.__code__.co_filename)
    return list(Path(stats.cache_path).glob(f"{source.stem}.{function.__name__}-*.nbi"))


def _newest_source(function: Callable[..., Any]) -> float:
    """Return when a source in the function's folder was last changed, in seconds since 1970."""
    sources = Path(function.__code__.co_filename).parent.glob("*.py")
    return max(source.stat().st_mtime for source in sources)


def inlined(function: Function) -> Function:
    """Make a function a part of each compiled one that calls it.

    A part that were a function of its own would have a copy in each caller, optimised (and so rounded) in its own way; which copy runs
    would depend on whether the caller was just compiled or came from disk, and a study's second run would differ from its first.
    """
    return cast("Function", numba.njit(inline="always", **OPTIONS)(function))
