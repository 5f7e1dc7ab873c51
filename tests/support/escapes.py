"""Synthetic escape tests and a two-weight model, in the form of the storage, small enough to be counted by hand."""

from dataclasses import replace
from functools import cache
from math import exp
from typing import Any

from hpsearch.storage import ComparisonRecord
from tests.support.comparisons import ROWS, comparison

SIZES = (1, 8, 64, ROWS)
SEEDS = 20


def made(
    batch_sizes: tuple[int, ...] = SIZES,
    optimizers: tuple[str, ...] = ("sgd",),
    seeds: int = 3,
    measured: int = 2,
    target: float = 0.95,
    **changes: Any,
) -> ComparisonRecord:
    """A synthetic comparison; records never change, so that each is made once, which takes a second."""
    return replace(_made(batch_sizes, optimizers, seeds, measured, target), **changes)


@cache
def _made(
    sizes: tuple[int, ...], optimizers: tuple[str, ...], seeds: int, measured: int, target: float
) -> ComparisonRecord:
    return comparison(sizes, optimizers, seeds, measured, target)


def minima() -> dict[str, Any]:
    """All four tests: noise moves where theory has it, GD never does below learning rate 1."""
    return {
        "instability": {
            "cells": columns(
                [
                    row("sgd", "x = 1", 0.4, 1, escaped=0, exponent=-0.5),
                    row("sgd", "x = 1", 0.6, 1, escaped=20, exponent=0.1),
                    row("sgd", "x = 1", 0.6, 2, escaped=0, exponent=-0.3),
                    row("sgd", "x = 1", 0.9, 2, escaped=14, exponent=0.05),
                    row("gd", "x = 1", 0.6, "full", escaped=0, exponent=None),
                    row("gd", "x = 1", 1.1, "full", diverged=20, exponent=0.2),
                    row("isotropic", "x = 1", 0.6, 1, escaped=20, exponent=0.1),
                ]
            ),
            "boundaries": [
                {"batch_size": 1, "lyapunov": 0.559, "mean_square": 0.552},
                {"batch_size": 2, "lyapunov": 0.866, "mean_square": 0.714},
                {"batch_size": "full", "lyapunov": None, "mean_square": 1.0},
            ],
        },
        "thermal": {
            "cells": columns(thermal_rows()),
            "wells": {"good": -1.06, "saddle": 0.12, "bad": 0.93, "barrier": 0.14},
        },
        "teacher": {
            "minima": {"starts": 40, "global": 26, "spurious": 14, "uncertified": 0, "kinds": []},
            "cells": columns(
                [
                    row("sgd", "bad", 0.1, 1, diverged=20),
                    row("sgd", "bad", 0.1, 4, escaped=12, other=3),
                    row("sgd", "bad", 0.03, 1, escaped=5),
                    row("sgd", "bad", 0.03, 4, escaped=0),
                    row("sgd", "bad", 0.03, 1, budget="examples", escaped=15),
                    row("isotropic", "bad", 0.1, 4, escaped=9),
                    row("sgd", "good", 0.1, 4, escaped=2),
                    row("gd", "bad", 0.1, "full", escaped=0),
                    row("gd", "bad", 0.03, "full", escaped=0),
                    row("gd", "bad", 1.0, "full", escaped=1, diverged=10),
                ]
            ),
        },
        "dead_relu": {
            "cells": columns(
                [
                    row("sgd", "dead", 0.1, 1),
                    row("sgd", "dead", 1.0, 1),
                    row("gd", "dead", 0.1, "full"),
                    row("isotropic", "dead", 0.1, 1),
                    row("gd", "alive", 0.1, "full", escaped=20),
                ]
            )
        },
    }


def thermal_rows() -> list[dict[str, Any]]:
    """Mean times that are 1.5 times Kramers', but for the last cell, where nothing escaped in 4,000 updates."""
    rows = []
    for size, escaped in ((5, 20), (10, 16), (20, 0)):
        law = 100 * exp(0.1 * size)
        total = 1.5 * law * escaped if escaped else 4_000 * SEEDS
        for method in ("sgd", "isotropic"):
            temperature = 0.2 / size
            extra: dict[str, Any] = {"temperature": temperature, "kramers": law}
            rows.append(row(method, "bad", 0.1, size, "longest", escaped=escaped, total_time=total, **extra))
    none: dict[str, Any] = {"temperature": 0.0, "kramers": None}
    rows.append(row("gd", "bad", 0.1, "full", "longest", total_time=20_000, **none))
    return [*rows, row("gd", "bad", 2.0, "full", "longest", escaped=20, total_time=100, **none)]


def row(
    method: str, start: str, rate: float, size: int | str, budget: str = "updates", escaped: int = 0, **more: Any
) -> dict[str, Any]:
    other = more.pop("other", 0)
    diverged = more.pop("diverged", 0)
    counts = {"escaped": escaped, "other": other, "diverged": diverged, "unresolved": 0}
    counts["stuck"] = SEEDS - escaped - other - diverged
    cell = {
        "method": method,
        "start": start,
        "learning_rate": rate,
        "batch_size": size,
        "budget": budget,
        "updates": 1000,
    }
    return cell | {"seeds": SEEDS, "median_time": None, "total_time": None} | counts | more


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [one[name] for one in rows] for name in rows[0]}


def textbook() -> dict[str, Any]:
    """A parabola, and three straight ways down it, one of which never arrives."""
    grid = [-3.0, -1.5, 0.0, 1.5, 3.0]
    return {
        "columns": [3, 5],
        "rows": 1024,
        "logistic": True,
        "x": grid,
        "y": grid,
        "loss": [[0.1 + x * x + 2 * y * y for x in grid] for y in grid],
        "minimum": [0.0, 0.0],
        "paths": [straight(1024, 300, 12), straight(1, 5000, 40), straight(32, 900, None)],
    }


def straight(batch_size: int, last: int, near: int | None) -> dict[str, Any]:
    updates = list(range(0, last + 1, last // 60))
    left = [1 - update / updates[-1] for update in updates]
    return {
        "batch_size": batch_size,
        "learning_rate": 0.125,
        "updates": updates,
        "path": [[2 * share, share] for share in left],
        "losses": [0.1 + 6 * share * share for share in left],
        "updates_to_near": near,
        "examples_to_near": None if near is None else near * batch_size,
        "edge": near is None,
    }
