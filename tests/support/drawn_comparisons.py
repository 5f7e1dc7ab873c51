"""Comparisons drawn by chance around a known truth, to count how often a verdict is right: small, so that hundreds are drawn in seconds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf
from typing import Any

import numpy as np

from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord
from hpsearch.trial import History
from tests.support.comparisons import ROWS, comparison

SIZES = (1, 8, 64, 256, ROWS)
RATES = tuple(2.0**k for k in range(-4, 5))
LEAST = 3000.0  # updates at large batches; many, so that whole numbers are fine enough
LUCK = 0.12
SEED_NOISE = 0.1  # octaves of the updates to the target from seed to seed
TARGET = 0.95


@dataclass(frozen=True)
class Truth:
    """What is true of the batch sizes: by size the updates to the target, seconds of an update, test metric and deviation of Δ log L.

    `luck` moves all runs of a batch size, in octaves; `width` is by size how many octaves from the best a rate needs twice the updates.
    """

    steps: Callable[[int], float] = lambda size: LEAST * (1 + 60 / size)
    seconds: Callable[[int], float] = lambda size: 1e-5 + 1e-6 * size
    score: Callable[[int], float] = lambda size: 0.97
    score_noise: float = 0.003
    deviation: Callable[[int], float] = lambda size: 0.1
    deviation_noise: float = 0.15
    rising: Callable[[int], float] = lambda size: 0.2
    width: Callable[[int], float] = lambda size: 1.5
    luck: float = LUCK
    saturated: bool = True
    budget: float = inf  # updates after which GD ends
    sizes: tuple[int, ...] = SIZES
    data: Mapping[str, Any] = field(default_factory=lambda: {"divisions": 5, "own_rows": True})


def drawn(truth: Truth, seeds: int, number: int) -> ComparisonRecord:
    """The comparison of a number: each batch size tuned, and its winner trained and measured on so many seeds."""
    generator = np.random.default_rng([seeds, number])
    shared = generator.normal(0, SEED_NOISE, seeds)  # the same seed is hard for every batch size
    arms = tuple(_arm(truth, size, shared, generator) for size in truth.sizes)
    base = _base()
    return replace(base, arms=arms, data={**base.data, **truth.data})


@cache
def _base() -> ComparisonRecord:
    return comparison(arms=(), shared={}, made={"device": "cpu"})


def _arm(truth: Truth, size: int, shared: np.ndarray, generator: np.random.Generator) -> ArmRecord:
    luck = generator.normal(0, truth.luck)
    noises = shared + generator.normal(0, SEED_NOISE, len(shared))
    runs = []
    for seed, noise in enumerate(noises):
        steps = truth.steps(size) * 2 ** (luck + noise)
        score = truth.score(size) + truth.score_noise * generator.normal() + 0.002 * shared[seed] / SEED_NOISE
        run = _run(truth, seed, {"seed": seed}, size, steps, score)
        scores = {part: {"loss": 0.1, "metric": score} for part in ("training", "test")}
        runs.append(replace(run, scores=scores))
    moved = 2 ** generator.normal(0, truth.luck)
    measured = {seed: _measured(truth, size, moved, generator) for seed in range(len(shared))}
    winner = WinnerRecord(len(RATES) // 2, {"learning_rate": 1.0}, tuple(runs), measured)
    trials = []
    for trial, rate in enumerate(RATES):
        off = abs(np.log2(rate)) / truth.width(size)
        steps = truth.steps(size) * 2 ** (off + generator.normal(0, SEED_NOISE))
        trials.append(_run(truth, trial, {"learning_rate": rate}, size, steps, value=0.97 - 0.01 * off))
    settings = {"space": {"optimizer": "sgd", "batch_size": size}}
    return ArmRecord("sgd", size, settings, tuple(trials), winner, winner)


def _run(
    truth: Truth, number: int, params: Mapping[str, Any], size: int, steps: float, value: float = 0.97
) -> TrialRecord:
    """A run that passes the target after so many updates, and goes on for seven times as long."""
    reached = max(4, round(steps))
    updates = (1, reached // 2, reached, 4 * reached, 8 * reached)
    metric = (0.1, 0.9, TARGET + 0.005, value, value)
    training = (2.0, 0.5, 0.2, 0.01, 0.009 if truth.saturated else 0.001)
    validation = (2.0, 0.5, 0.3, 0.2, 0.2 if truth.saturated else 0.1)
    last = 5
    if size == ROWS:
        last = max(1, sum(update <= truth.budget for update in updates))
    seconds = tuple(update * truth.seconds(size) for update in updates)
    columns: tuple[tuple[Any, ...], ...] = (tuple(range(1, 6)), updates, updates, seconds, training, validation, metric)
    history = History(*(column[:last] for column in columns))
    return TrialRecord(number, "complete", params, "finished", "", max(history.metric), 0.1, last, history=history)


def _measured(truth: Truth, size: int, moved: float, generator: np.random.Generator) -> Mapping[str, Any]:
    entries = {}
    for unit in ("before", "updates"):
        deviation = truth.deviation(size) * moved * float(np.exp(generator.normal(0, truth.deviation_noise)))
        entries[unit] = {"rising": truth.rising(size), "deviation": deviation, "total_variation": 1.0, "count": 100}
    return {"variability": entries}
