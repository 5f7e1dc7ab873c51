"""Synthetic comparisons, for the tests of what is made from a record: every figure follows from the settings below, and a seed."""

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np

from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord
from hpsearch.trial import Budget, History

ROWS = 1024
S_MIN = 20.0
CRITICAL = 60.0  # updates to the target at large batches; the batch size where twice as many are needed
EPOCHS = 40
RATES = tuple(2.0**k for k in range(-8, 4))
BUDGET = Budget("epochs", EPOCHS, 20, resolution=0.02)


def comparison(
    batch_sizes: tuple[int, ...] = (1, 8, 64, ROWS),
    optimizers: tuple[str, ...] = ("sgd",),
    seeds: int = 6,
    measured: int = 2,
    target: float | None = 0.95,
    **changes: Any,
) -> ComparisonRecord:
    """A comparison that went as theory has it: S = S_min (1 + B_crit / B), the best learning rate growing with the batch size."""
    arms = tuple(_arm(optimizer, size, seeds, measured) for optimizer in optimizers for size in batch_sizes)
    settings = {
        "study": {"name": "made", "question": "How do they compare?", "seed": 0},
        "data": {"name": "made", "root": None},
        "space": {
            "depth": 2,
            "width": 16,
            "optimizer": list(optimizers) if len(optimizers) > 1 else optimizers[0],
            "learning_rate": {"low": RATES[0], "high": RATES[-1], "log": True},
        },
        "training": {"epochs": EPOCHS, "precision": "float32"},
        "search": {"sampler": "qmc", "metric": None},
        "compare": {
            "batch_sizes": list(batch_sizes),
            "trials": len(RATES),
            "seeds": seeds,
            "measured": measured,
            "target": target,
            "tune_until": "budget",
            "train_until": "budget",
            "resolution": 0.02,
        },
    }
    data = {
        "name": "made",
        "title": "Made data",
        "task": "multiclass",
        "metric": "accuracy",
        "direction": "maximize",
        "head": "softmax",
        "loss": "cross-entropy",
        "shape": [8],
        "inputs": 8,
        "outputs": 4,
        "rows": {"training": ROWS, "validation": 500, "test": 500},
        "hash": "0",
        "worst": 0.0,
    }
    record = ComparisonRecord(
        name="made",
        direction="maximize",
        settings=settings,
        data=data,
        target=target,
        target_given=target is not None,
        arms=arms,
        shared={name: _shared([arm for arm in arms if arm.optimizer == name]) for name in optimizers},
        textbook={},
        minima={},
        as_of="2026-01-02 03:04",
    )
    return replace(record, **changes)


def plain(
    batch_sizes: tuple[int, ...] = (1, 8, 64, ROWS), start: float = 3e-4, row: float = 1e-6, optimizer: str = "sgd"
) -> Mapping[str, Any]:
    """What `comparison.timing` keeps: five repeats of an update in the plain loop, which takes `start` and `row` more for each row."""
    spread = (0.95, 1.05, 1.0, 0.9, 1.1)
    seconds = {str(size): [(start + row * size) * factor for factor in spread] for size in batch_sizes}
    engines = {str(size): "compiled" for size in batch_sizes}
    return {"winners": ["made"], "seconds": {optimizer: seconds}, "engines": {optimizer: engines}}


def steps(batch_size: int) -> float:
    """Updates to the target at the best learning rate."""
    return S_MIN * (1 + CRITICAL / batch_size)


def best_rate(batch_size: int) -> float:
    """The learning rate at which they are enough: it grows with the batch size, up to the critical one."""
    return 0.5 / (1 + CRITICAL / batch_size)


def _arm(optimizer: str, size: int, seeds: int, measured: int) -> ArmRecord:
    trials = tuple(_trial(number, rate, size, seed=0) for number, rate in enumerate(RATES))
    quick = min(range(len(RATES)), key=lambda n: abs(log(RATES[n] / best_rate(size))))
    winner = WinnerRecord(
        trial=quick,
        params={"learning_rate": RATES[quick]},
        runs=tuple(_run(seed, RATES[quick], size) for seed in range(seeds)),
        measured={seed: _measured(seed, size, RATES[quick]) for seed in range(measured)},
    )
    settings = {
        "space": {
            "optimizer": optimizer,
            "batch_size": size,
            "learning_rate": {"low": RATES[0], "high": RATES[-1], "log": True},
        }
    }
    return ArmRecord(optimizer, size, settings, trials, winner, winner)


def _run(seed: int, rate: float, size: int) -> TrialRecord:
    trial = _trial(seed, rate, size, seed=seed + 1)
    value = trial.value or 0.0
    scores = {"training": {"loss": 0.01, "metric": 1.0}, "test": {"loss": 0.12, "metric": value - 0.01}}
    return replace(trial, params={"seed": seed}, scores=scores)


def _trial(number: int, rate: float, size: int, seed: int) -> TrialRecord:
    """A run whose metric passes 0.95 after `steps`, later where the rate is not the best; it diverges far above that."""
    noise = np.random.default_rng([seed, size, number])
    off = rate / best_rate(size)
    if off > 12:
        return TrialRecord(
            number, "complete", {"learning_rate": rate}, "diverged", "diverged at update 3", 0.0, history=History()
        )
    slow = max(1 / off, off**0.5) * exp(noise.normal(0, 0.08))
    updates = BUDGET.evaluate_at(size, ROWS)
    rows = []
    for evaluation, update in enumerate(updates, start=1):
        done = update / (steps(size) * slow)
        error = 0.012 + 0.888 * exp(-3.15 * done) + 0.002 * noise.normal() * min(1, done)
        seconds = update * (4e-6 + 1e-6 * size)
        training_loss = 2.3 * exp(-2.2 * done) + 0.001
        validation_loss = 2.3 * exp(-2.0 * done) + 0.1 + 0.01 * max(0, done - 3)
        rows.append((evaluation, update, update * size, seconds, training_loss, validation_loss, 1 - error))
    history = History(*map(tuple, zip(*rows, strict=True)))
    best = max(range(len(history)), key=lambda i: history.metric[i])
    return TrialRecord(
        number,
        "complete",
        {"learning_rate": rate},
        "finished",
        "",
        history.metric[best],
        history.validation_loss[best],
        best + 1,
        500,
        0.1 * number,
        history.seconds[-1] + 0.05,
        history,
    )


def _measured(seed: int, size: int, rate: float) -> Mapping[str, Any]:
    """What `comparison.measuring` keeps of a run, in its form."""
    noise = np.random.default_rng([seed, size])
    reached = round(steps(size))
    last = BUDGET.evaluate_at(size, ROWS)[-1]
    marks = [0, *sorted({max(1, round(last ** (k / 7))) for k in range(8)})]
    scales = [20.0 * 1.6**k for k in range(len(marks))]
    return {
        "moments": {"start": 0, "middle": max(1, reached // 3), "target": reached, "end": last},
        "noise": [
            {
                "update": update,
                "loss": 2.3 * exp(-2.2 * update / steps(size)),
                "trace": scale * 0.1,
                "squared_norm": 0.1,
                "scale": scale,
                "scale_of_rows": scale * 0.95,
            }
            for update, scale in zip(marks, scales, strict=True)
        ],
        "sharpness": [
            {
                "update": update,
                "value": min(2 / rate, 3.0 * 1.5**k) if size == ROWS else 3.0 + k,
                "converged": True,
                "products": 20,
            }
            for k, update in enumerate(marks)
        ],
        "batches": {
            name: [_batch(b, scale) for b in (1, 8, 64, ROWS)]
            for name, scale in (("start", 20.0), ("middle", 60.0), ("target", 200.0))
        },
        "two_batch": {
            name: {"small": 1, "large": 64, "scale": scale}
            for name, scale in (("start", 21.0), ("middle", 63.0), ("target", 210.0))
        },
        "variability": {
            "before": {
                "rising": 0.0 if size == ROWS else 0.45 - 0.05 * log(size),
                "deviation": 0.2 / size**0.5 * exp(noise.normal(0, 0.1)),
                "total_variation": 1.0 + 15 / size,
                "jump": 0.0 if size == ROWS else 0.6 / size**0.5,
                "count": min(250, reached),
                "of": reached,
            },
            "updates": {
                "rising": 0.0 if size == ROWS else 0.5 - 0.05 * log(size),
                "deviation": 0.3 / size**0.5 * exp(noise.normal(0, 0.1)),
                "total_variation": 1.0 + 30 / size,
                "jump": 0.0 if size == ROWS else 0.9 / size**0.5,
                "count": 100,
            },
            "epochs": {"rising": 0.1, "deviation": 0.05, "total_variation": 1.2, "jump": 0.1, "count": 12},
        },
        "path": {
            "target": {"distance": 3.0, "length": 3.0 * (1 + 10 / size**0.5), "efficiency": 1 / (1 + 10 / size**0.5)},
            "end": {"distance": 5.0, "length": 5.0 * (1 + 12 / size**0.5), "efficiency": 1 / (1 + 12 / size**0.5)},
        },
    }


def _batch(size: int, scale: float) -> Mapping[str, float]:
    left = (ROWS - size) / (ROWS - 1)
    cosine = 1 / (1 + scale / size * left) ** 0.5
    return {
        "batch_size": size,
        "variance": 0.1 * scale / size * left,
        "expected_variance": 0.1 * scale / size * left,
        "cosine": cosine,
        "cosine_low": cosine - 0.05 * (left > 0),
        "cosine_high": min(1.0, cosine + 0.05 * (left > 0)),
        "expected_cosine": cosine,
        "count": 50,
    }


def _shared(arms: list[ArmRecord]) -> Mapping[str, Any]:
    """The shared plane and the barriers of the smallest, a middle and the largest batch size."""
    sizes = [arm.batch_size for arm in (arms[0], arms[len(arms) // 2], arms[-1])]
    grid = [float(x) for x in np.linspace(-2, 2, 9)]
    way = np.linspace(0, 1, 12)
    return {
        "plane": {
            "shares": [0.71, 0.14],
            "x": grid,
            "y": grid,
            "loss": [[x * x + 2 * y * y + 0.1 for x in grid] for y in grid],
            "paths": [
                {
                    "batch_size": size,
                    "updates": [int(u) for u in way * 100],
                    "x": [float(x) for x in 1.5 - 1.5 * way],
                    "y": [float(y) for y in way * (1 - way) * (1 + k)],
                }
                for k, size in enumerate(sizes)
            ],
        },
        "barriers": [
            {
                "batch_sizes": [sizes[0], sizes[-1]],
                "height": 0.2,
                "alphas": [0.0, 0.5, 1.0],
                "losses": [0.1, 0.35, 0.2],
            },
        ],
        "rows": ROWS,
    }
