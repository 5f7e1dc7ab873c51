"""Training speed, side by side: every contestant trains the same network on the same rows, in turns, in one run.

A *cell* is a batch size with an optimizer and a contestant. Each round visits every cell once, and measures the machine's matrix
peak beside them, so that whatever else the machine does meets all of them; medians over the rounds are shown. Every cell gets about
the same time, not the same number of updates, since contestants are up to hundreds of times apart.

Only training is timed: networks are built before the clock starts, and nothing is evaluated. The start of a pass (shuffling the
rows, gathering the reference's first block) counts in full although a cell may be shorter than a pass: at batch size 1 figures
are a few per cent too high.

A new engine is one row of `CONTESTANTS`.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hpsearch import __version__
from hpsearch.data import Data, from_arrays, load
from hpsearch.errors import StorageError, UserError
from hpsearch.files import write_file
from hpsearch.search.study import choose_device
from hpsearch.training import Single
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.reference import train
from hpsearch.trial import Architecture, Outcome, TrialSpec

WIDTHS = (128, 128)
COMPARED = ("sgd", "adam")  # rows of OPTIMIZERS
LEARNING_RATE = 1e-3  # speed does not depend on it; small enough that nothing diverges
SECONDS = 0.6  # of one visit to a cell
RANDOM_ROWS = 20_000  # training rows where no data set is given
PIXELS, CLASSES = 784, 10  # MNIST's
PEAK_SECONDS = 0.1
BUSY = 0.5  # load a core above which a notice stands under the table
PAGE = 100  # columns of text where the output is no terminal

Show = Callable[[str], None]


# --- the contestants ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to train: `train` takes `trials` specifications that differ in their seeds only, and returns seconds in training."""

    title: str
    train: Callable[[Sequence[TrialSpec], Data], float]
    trials: int = 1


def usual_network(architecture: Architecture) -> nn.Sequential:
    """Return the network as a tutorial writes it."""
    layers: list[nn.Module] = []
    for a, b in pairwise(architecture.sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def usual_loop(specs: Sequence[TrialSpec], data: Data) -> float:
    """Train as a tutorial shows it; the rows lie in main memory, and every batch is sent to the device."""
    (spec,) = specs
    assert spec.architecture is not None
    device = data.training.inputs.device
    rows = TensorDataset(data.training.inputs.cpu(), data.training.targets.cpu())
    loader = DataLoader(rows, batch_size=spec.batch_size, shuffle=True)
    network, loss_function = usual_network(spec.architecture).to(device), nn.CrossEntropyLoss()
    optimizer = OPTIMIZERS[spec.optimizer].build(network.parameters(), spec.learning_rate, 0.0, {})
    left = spec.updates
    start = clock(device)
    while left:
        for inputs, targets in loader:  # [B, F], [B]
            loss = loss_function(network(inputs.to(device)), targets.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            left -= 1
            if not left:
                break
    return clock(device) - start


def reference(specs: Sequence[TrialSpec], data: Data) -> float:
    """Train with the reference engine."""
    (spec,) = specs
    run = train(spec, data, Single())
    assert run is not None, "nobody stops a single trial"
    assert run.outcome is Outcome.FINISHED, run.detail
    return run.history.seconds[-1]


# The first row is what the others are compared with.
CONTESTANTS = {
    "usual loop": Contestant("DataLoader (shuffled), nn.Sequential, torch.optim", usual_loop),
    "reference": Contestant("hpsearch, one trial at a time, tensors in memory", reference),
}


def clock(device: torch.device) -> float:
    """Return the time once the device has done what it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


# --- measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """What is timed: so many updates with a batch size and an optimizer by a contestant."""

    batch_size: int
    optimizer: str
    engine: str
    updates: int = 1

    def seconds(self, data: Data) -> float:
        """Return how long the contestant takes, for all of its trials together."""
        contestant, architecture = CONTESTANTS[self.engine], bench_architecture(data)
        specs = [
            TrialSpec(
                number=number,
                seed=number,
                order_seed=0,
                architecture=architecture,
                optimizer=self.optimizer,
                learning_rate=LEARNING_RATE,
                batch_size=self.batch_size,
                evaluate_at=(self.updates,),
            )
            for number in range(contestant.trials)
        ]
        return contestant.train(specs, data)

    def calibrated(self, data: Data) -> "Cell":
        """Return the cell with as many updates as take `SECONDS`; the first call only warms up."""
        self.seconds(data)
        updates, seconds = 1, self.seconds(data)
        while seconds < SECONDS / 5:
            updates *= 8
            seconds = replace(self, updates=updates).seconds(data)
        return replace(self, updates=max(1, round(updates * SECONDS / seconds)))


@dataclass(frozen=True, slots=True)
class Measured:
    """`microseconds` per trial and update of every cell, one a round; the matrix `peak` in GFLOP/s."""

    microseconds: dict[Cell, list[float]]
    peak: float


def bench_architecture(data: Data) -> Architecture:
    """Return the network that all contestants train."""
    return Architecture(data.inputs, WIDTHS, data.outputs)


def bench_cells(batch_sizes: Sequence[int]) -> list[Cell]:
    """Return every cell once, contestants of one setting beside each other."""
    return [Cell(*names) for names in product(dict.fromkeys(batch_sizes), COMPARED, CONTESTANTS)]


def measure(data: Data, cells: Sequence[Cell], rounds: int, show: Show) -> Measured:
    """Visit every cell in every round, and once before to calibrate it; `show` is told of each visit."""
    times: dict[Cell, list[float]] = {}
    for cell in cells:
        show("warming up")
        times[cell.calibrated(data)] = []
    peak = 0.0
    for number in range(1, rounds + 1):
        peak = max(peak, matrix_peak(data.training.inputs.device))
        for cell, seen in times.items():
            show(f"round {number} of {rounds}")
            seen.append(1e6 * cell.seconds(data) / (cell.updates * CONTESTANTS[cell.engine].trials))
    return Measured(times, peak)


def matrix_size(device: torch.device) -> int:
    """Return the order of the matrices whose product shows the peak: a GPU is idle half of the time on small ones."""
    return 8192 if device.type == "cuda" else 1024


def matrix_peak(device: torch.device) -> float:
    """Return GFLOP/s of a float32 matrix product on a device."""
    n = matrix_size(device)
    a, b, c = (torch.ones(n, n, device=device) for _ in range(3))
    torch.mm(a, b, out=c)
    count, seconds, start = 0, 0.0, clock(device)
    while seconds < PEAK_SECONDS:
        torch.mm(a, b, out=c)
        count, seconds = count + 1, clock(device) - start
    return count * 2 * n**3 / seconds / 1e9


# --- showing -----------------------------------------------------------------------------------------------------------

# head in the table → how a cell of the JSON is written there
COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "batch\nsize": lambda cell: f"{cell['batch_size']:,}",
    "opti-\nmizer": lambda cell: str(cell["optimizer"]),
    "engine": lambda cell: str(cell["engine"]),
    "µs per\ntrial and\nupdate": lambda cell: number(cell["microseconds"]),
    "lowest–\nhighest": lambda cell: f"{number(cell['lowest'])}–{number(cell['highest'])}",
    "trials of\nan epoch\na minute": lambda cell: number(cell["trials_per_minute"]),
    "times\nas fast": lambda cell: f"{cell['speed_up']:.2f}",
    "of\npeak": lambda cell: f"{cell['share_of_peak']:.1%}",
}
TEXT = ("opti-\nmizer", "engine")


def number(value: float) -> str:
    """Return a number with three significant digits at least, and no power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bench(
    data_root: str | None, batch_sizes: list[int], rounds: int, json_file: str | None, device: str | None
) -> None:
    """Measure, print the table and write the figures.

    Raises:
        UserError: a batch size below 1 or above the rows, rounds below 1, no such device or data, a file that cannot be written.
    """
    _check(batch_sizes, rounds, json_file)
    chosen = choose_device(device)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PAGE
    load = system_load()
    data = bench_data(data_root).to(chosen, torch.float32)
    _check_rows(batch_sizes, data)
    cells = bench_cells(batch_sizes)
    with _live(console, len(cells) * (rounds + 1)) as show:
        measured = measure(data, cells, rounds, show)
    result = figures(measured, data, rounds, load)
    console.print(table(result))
    if json_file is not None:
        write_file(Path(json_file), json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def bench_data(root: str | None) -> Data:
    """Return MNIST, or random data of its size where there is no folder."""
    if root is not None:
        return load("mnist", root=root)
    stream, spare = np.random.default_rng(0), max(RANDOM_ROWS // 20, CLASSES)
    rows = RANDOM_ROWS + 2 * spare
    inputs, targets = stream.standard_normal((rows, PIXELS), dtype=np.float32), np.arange(rows) % CLASSES
    title = "random numbers of MNIST's size"
    return from_arrays(inputs, targets, name="random", title=title, validation=spare, test=spare)


def system_load() -> float | None:
    """Return the processes that ran at once in the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def figures(measured: Measured, data: Data, rounds: int, load: float | None) -> dict[str, Any]:
    """Return everything that was measured, and where, as JSON takes it; `load` is the system's before the start."""
    architecture, device = bench_architecture(data), data.training.inputs.device
    return {
        "data": {"name": data.name, "title": data.title, "rows": len(data.training), "inputs": data.inputs},
        "network": {"sizes": architecture.sizes, "activation": "relu", "parameters": architecture.parameters},
        "machine": {**_machine(device), "load_before": load},
        "peak_gflops": measured.peak,
        "peak_matrix": matrix_size(device),
        "rounds": rounds,
        "engines": {name: contestant.title for name, contestant in CONTESTANTS.items()},
        "cells": [_cell(measured, cell, data) for cell in measured.microseconds],
    }


def _cell(measured: Measured, cell: Cell, data: Data) -> dict[str, Any]:
    times = measured.microseconds[cell]
    middle, rival = median(times), (cell.batch_size, cell.optimizer, next(iter(CONTESTANTS)))
    usual = next(median(t) for c, t in measured.microseconds.items() if (c.batch_size, c.optimizer, c.engine) == rival)
    weights = sum(a * b for a, b in pairwise(bench_architecture(data).sizes))
    gflops = 6 * cell.batch_size * weights / middle / 1e3
    return {
        **asdict(cell),
        "trials": CONTESTANTS[cell.engine].trials,
        "microseconds": middle,
        "lowest": min(times),
        "highest": max(times),
        "trials_per_minute": 60e6 / (middle * -(-len(data.training) // cell.batch_size)),
        "speed_up": usual / middle,
        "gflops": gflops,
        "share_of_peak": gflops / measured.peak,
        "microseconds_by_round": times,
    }


def _machine(device: torch.device) -> dict[str, Any]:
    cuda = device.type == "cuda"
    return {
        "device": str(device),
        "processor": torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "hpsearch": __version__,
    }


def table(result: dict[str, Any]) -> Table:
    """Return the figures as a table whose caption says what they mean and where they were measured."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.caption, shown.caption_justify, shown.caption_style = caption(result), "left", ""
    for head in COLUMNS:
        shown.add_column(head, justify="left" if head in TEXT else "right", vertical="bottom", overflow="fold")
    for count, cell in enumerate(result["cells"], 1):
        last = count % len(result["engines"]) == 0
        shown.add_row(*(write(cell) for write in COLUMNS.values()), end_section=last)
    return shown


def caption(result: dict[str, Any]) -> str:
    """Return what the figures mean and where they were measured."""
    data, network, machine = (result[key] for key in ("data", "network", "machine"))
    size = f"{result['peak_matrix']:,}"
    lines = [
        f"Data: {data['title']}, {data['rows']:,} training rows of {data['inputs']}.",
        f"Network: {'-'.join(map(str, network['sizes']))}, {network['activation']}, float32, "
        f"{network['parameters']:,} parameters.",
        *(f"{name[0].upper()}{name[1:]}: {title}." for name, title in result["engines"].items()),
        f"Times: training only, medians of interleaved rounds, {result['rounds']} in all; "
        f"times as fast as the {next(iter(result['engines']))}.",
        f"Peak: {result['peak_gflops']:,.0f} GFLOP/s, the best round's product of {size} × {size} float32 matrices; "
        "an update counts 6 × batch size × weights operations.",
        f"Machine: {machine['device']} ({machine['processor']}), threads {machine['threads']}, cores {machine['cores']}, "
        f"{machine['system']}; Python {machine['python']}, torch {machine['torch']}, hpsearch {machine['hpsearch']}.",
    ]
    if (machine["load_before"] or 0) > BUSY * machine["cores"]:
        lines.append(
            f"Other programs were running (load {machine['load_before']:.1f} on {machine['cores']} cores before the start): "
            "measure again when the machine is idle."
        )
    return "\n".join(lines)


@contextmanager
def _live(console: Console, total: int) -> Iterator[Show]:
    """Show steps as a bar on a terminal, drawn between measurements and not during them; elsewhere as lines."""
    said = ""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), console=console, transient=True, auto_refresh=False
    )
    task = bar.add_task("", total=total)

    def show(sentence: str) -> None:
        nonlocal said
        if console.is_terminal:
            bar.update(task, description=sentence, advance=1, refresh=True)
        elif sentence != said:
            console.print(sentence)
        said = sentence

    if not console.is_terminal:
        yield show
        return
    with bar:
        yield show


# --- what cannot be measured -------------------------------------------------------------------------------------------


def _check(batch_sizes: Sequence[int], rounds: int, json_file: str | None) -> None:
    if rounds < 1:
        raise UserError(f"--rounds {rounds}: a number from 1 expected.")
    for size in batch_sizes:
        if size < 1:
            raise UserError(f"--batch-size {size}: a number from 1 expected.")
    if json_file is not None:
        _check_writable(Path(json_file))


def _check_rows(batch_sizes: Sequence[int], data: Data) -> None:
    rows = len(data.training)
    if max(batch_sizes) > rows:
        raise UserError(
            f"--batch-size {max(batch_sizes)}: above the {rows:,} training rows. Give a number up to {rows}."
        )


def _check_writable(path: Path) -> None:
    """Find out before a minute of measuring, and without touching a file that is there."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"--json {path}: not a file. Give the name of one.")
        beside = path.with_name(f".{path.name}.writable")
        write_file(beside, b"")
        beside.unlink()
    except (OSError, StorageError) as error:
        why = error if isinstance(error, OSError) else error.__cause__
        raise UserError(
            f"--json {path}: {getattr(why, 'strerror', why)}. Give a file in a folder that can be written."
        ) from error
