"""From the times that were measured to figures, as JSON takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from statistics import fmean, median
from typing import Any

from hpsearch.data import Data
from hpsearch.training import ENGINES
from hpsearch.training.engines import choose
from tests.benchmarks.cells import Cell
from tests.benchmarks.contestants import CONTESTANTS, REFERENCE, RIVALS, USUAL
from tests.benchmarks.machine import describe, matrix_size
from tests.benchmarks.measuring import Measured
from tests.benchmarks.workload import COHORTS, operations


def results(measured: Measured, data: Mapping[str, Data], rounds: int, load: float | None) -> dict[str, Any]:
    """Return everything that was measured, and where; `load` is the system's before the start."""
    cells = list(measured.microseconds)
    device = next(iter(data.values())).training.inputs.device
    engines = dict.fromkeys(cell.engine for cell in cells)
    versions = {name: version(name) for name in RIVALS if name in engines}
    medians = {replace(cell, updates=0): median(times) for cell, times in measured.microseconds.items()}
    return {
        "data": {name: _data(part) for name, part in data.items()},
        "cohorts": {name: _cohort(name, cells) for name in dict.fromkeys(cell.cohort for cell in cells)},
        "machine": {**describe(device), **versions, "load_before": load},
        "peak_gflops": measured.peak,
        "peak_matrix": matrix_size(device),
        "rounds": rounds,
        "engines": {name: CONTESTANTS[name].title for name in engines},
        "cells": [_cell(cell, measured, medians, data[cell.data]) for cell in cells],
    }


def _data(data: Data) -> dict[str, Any]:
    return {"name": data.name, "title": data.title, "rows": len(data.training), "inputs": data.inputs}


def _cohort(name: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the hidden layers of every trial; a cohort of fewer trials has the first of them."""
    cohort, most = COHORTS[name], max(cell.trials for cell in cells if cell.cohort == name)
    return {"title": cohort.title, "widths": [network.widths for network in cohort.draw(1, 1, most)]}


def _cell(cell: Cell, measured: Measured, medians: Mapping[Cell, float], data: Data) -> dict[str, Any]:
    times, rows = measured.microseconds[cell], len(data.training)
    middle, counted = median(times), fmean(map(operations, cell.networks(data)))
    gflops = cell.batch_size * counted / middle / 1e3
    return {
        **asdict(cell),
        "full_batch": cell.batch_size == rows,
        "trained_by": trained_by(cell, data),
        "operations": counted,
        "microseconds": middle,
        "lowest": min(times),
        "highest": max(times),
        "trials_per_minute": 60e6 / (middle * -(-rows // cell.batch_size)),
        **ratios(cell, middle, medians),
        "gflops": gflops,
        "share_of_peak": gflops / measured.peak,
        "microseconds_by_round": times,
    }


def ratios(cell: Cell, middle: float, medians: Mapping[Cell, float]) -> dict[str, float | None]:
    """Return how many times as fast as the usual loop and the reference a cell is; None where they do not train its networks.

    `medians` are microseconds by cells whose updates are 0.
    """
    of_one = replace(cell, updates=0, trials=1)
    usual = medians.get(replace(of_one, engine=USUAL)) if cell.cohort == "equal" else None
    same = of_one if cell.cohort == "equal" else replace(cell, updates=0)
    reference = medians[replace(same, engine=REFERENCE)]
    return {"times_usual_loop": usual and usual / middle, "times_reference": reference / middle}


def trained_by(cell: Cell, data: Data) -> str:
    """Return which engine trains the cell's trials: `auto` chooses one for each."""
    if cell.engine not in ENGINES or cell.engine == REFERENCE:
        return cell.engine
    plans = (choose(cell.engine, spec, data, cell.trials, "float32") for spec in cell.specifications(data, 1))
    return ", ".join(dict.fromkeys(plan.engine for plan in plans))
