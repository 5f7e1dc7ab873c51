"""Workers beside each other: the same trials on one process and on several of this machine's, each with one thread.

Workers start and train a first time unseen; then each number of workers has its turn in every round, so that whatever else the machine
does meets all of them. Efficiency is the one worker's seconds over those of so many times as many. The networks are of one size: a search
gives a free place its next trial, which a cohort that all begins at once and ends with its largest network would not show.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from statistics import median

from hpsearch.data import Data
from hpsearch.errors import SearchFailed
from hpsearch.training import TrialQueue
from hpsearch.training.workers.engine import WorkersEngine, WorkerSettings, devices_engine
from tests.benchmarks.cells import Cell
from tests.benchmarks.rows import Row
from tests.benchmarks.workload import bench_data
from tests.support.observers import logged

WORKERS = (1, 2)
CELL = Cell("MNIST", 128, "sgd", "equal", 16, "auto")
UPDATES = 2000  # of each trial


def scaling(data_root: str | None, rounds: int) -> Iterator[Row]:
    """Yield the seconds of each number of workers, and the efficiency.

    Raises:
        UserError: the data are not there.
        SearchFailed: a worker was lost.
    """
    data = bench_data(data_root)["MNIST"]
    seconds: dict[int, list[float]] = {count: [] for count in WORKERS}
    with ExitStack() as stack:
        stack.enter_context(logged(_refuse))
        engines = {count: _started(data, count, stack) for count in WORKERS}
        for _ in range(rounds):
            for count, engine in engines.items():
                seconds[count].append(_seconds(engine, data, UPDATES))
    for count, found in seconds.items():
        name = f"{count} worker{'s' * (count > 1)}, {CELL.trials} trials of {UPDATES:,} updates"
        yield Row(name, f"{median(found):.1f} s ({min(found):.1f} to {max(found):.1f})")
    one = seconds[WORKERS[0]]
    for count in WORKERS[1:]:
        efficiencies = [alone / (count * many) for alone, many in zip(one, seconds[count], strict=True)]
        spread = f"{min(efficiencies):.2f} to {max(efficiencies):.2f}"
        yield Row(f"efficiency of {count} workers", f"{median(efficiencies):.2f} ({spread})")


def _started(data: Data, workers: int, stack: ExitStack) -> WorkersEngine:
    settings = WorkerSettings(CELL.engine, "float32", None, CELL.trials)
    engine = devices_engine(["cpu"] * workers, data, settings, cores=1)
    stack.callback(engine.end)
    _seconds(engine, data, 1)
    return engine


def _seconds(engine: WorkersEngine, data: Data, updates: int) -> float:
    specs = replace(CELL, updates=updates).specifications(data, updates)
    began = time.monotonic()
    engine.run(TrialQueue(specs))
    return time.monotonic() - began


def _refuse(line: str) -> None:
    """End a measurement in which a worker was lost: its trials took their time twice."""
    raise SearchFailed(f"{line}. Measure again, without --workers to see whether trials train at all.")
