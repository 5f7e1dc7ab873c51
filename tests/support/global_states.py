"""What belongs to the whole process, and so to nobody's library: a snapshot of it, to be compared with a later one."""

import decimal
import faulthandler
import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

Snapshot = dict[str, Any]

LIBRARIES = ("hpsearch", "optuna", "torch", "numpy", "sklearn", "py.warnings")  # whose loggers count


def snapshot() -> Snapshot:
    """Return every setting of the process that a library may change for all, by name."""
    cuda = torch.backends.cuda.matmul
    return {
        "os.environ": dict(os.environ),
        "working folder": Path.cwd(),
        "sys.path": list(sys.path),
        "recursion limit": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook),
        "standard streams": (sys.stdin, sys.stdout, sys.stderr),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "fault handler": faulthandler.is_enabled(),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext()),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "random": random.getstate(),
        "numpy.random": _numpy_state(),
        "numpy errors": np.geterr(),
        "numpy print": repr(np.get_printoptions()),
        "torch.random": torch.get_rng_state().tolist(),
        "torch threads": (torch.get_num_threads(), _in_new_thread(torch.get_num_threads)),
        "torch interop threads": torch.get_num_interop_threads(),
        "torch dtype": torch.get_default_dtype(),
        "torch device": torch.get_default_device(),
        "torch precision": (torch.get_float32_matmul_precision(), cuda.allow_tf32, torch.backends.cudnn.allow_tf32),
        "torch cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch gradients": (torch.is_grad_enabled(), torch.is_anomaly_enabled()),
        "denormal numbers": float(torch.tensor([1e-40]) * 0.5),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "logging": _loggers(),
    }


def changes(before: Snapshot, after: Snapshot) -> dict[str, tuple[Any, Any]]:
    """Return what is no longer as it was: before and after, by name."""
    return {name: (value, after[name]) for name, value in before.items() if after[name] != value}


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()
    return (name, np.asarray(keys).tolist(), *rest)


def _loggers() -> dict[str, tuple[Any, ...]]:
    """Return level, handlers, filters and propagation of the loggers of these libraries and of all their handlers."""
    names = ["", *LIBRARIES]
    states: dict[str, tuple[Any, ...]] = {"disabled": (logging.root.manager.disable, logging.getLoggerClass())}
    for logger in map(logging.getLogger, names):
        handlers = [(handler, handler.level, list(handler.filters)) for handler in logger.handlers]
        states[logger.name] = (logger.level, handlers, list(logger.filters), logger.propagate, logger.disabled)
    return states


def _in_new_thread(function: Any) -> Any:
    """Return what a function returns in a thread that begins now."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]
