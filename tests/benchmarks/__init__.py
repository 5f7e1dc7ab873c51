"""Training speed, side by side: every contestant trains the same networks on the same rows, in turns, in one run.

A `Scope` says what is measured, `workload` which data and networks, `CONTESTANTS` who trains them. A *cell* is one contestant on one
data set with one batch size, optimizer and cohort. Each round visits every cell once and measures the machine's matrix peak beside
them, so that whatever else the machine does meets all of them; medians over the rounds are shown, and all times are written.

What is timed, for every contestant alike: a run from its start to its end by the clock on the wall, with all its trials and all the
cores it takes, less a run of one update. So training counts, and neither building networks nor compiling nor the evaluation at the end.
What a first update prepares for later ones is left out, too; that is next to nothing, the reference's blocks of rows aside: where a
visit has no time for whole blocks, at batch sizes up to 32, the reference looks up to a tenth faster than it is.
"""

import json
from pathlib import Path

import torch
from rich.console import Console

from hpsearch.files import write_file
from hpsearch.training.devices import choose_device
from tests.benchmarks.cells import bench_cells
from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.live import live
from tests.benchmarks.machine import system_load
from tests.benchmarks.measuring import measure
from tests.benchmarks.results import results
from tests.benchmarks.scope import Scope, check_file, check_rounds, read_scope
from tests.benchmarks.table import table
from tests.benchmarks.workload import bench_data

__all__ = ["CONTESTANTS", "Scope", "bench", "read_scope"]

PAGE = 100  # columns of text where the output is no terminal


def bench(
    scope: Scope,
    *,
    data_root: str | None = None,
    rounds: int = 3,
    json_file: str | None = None,
    device: str | None = None,
) -> None:
    """Measure, print the table and write the figures.

    Raises:
        UserError: a batch size above the rows, rounds below 1, no such device, data or package, a file that cannot be written.
    """
    check_rounds(rounds)
    if json_file is not None:
        check_file(Path(json_file))
    chosen, load = choose_device(device), system_load()
    scope.check_contestants(chosen)
    data = {name: rows.to(chosen, torch.float32) for name, rows in bench_data(data_root).items()}
    scope.check_rows([len(part.training) for part in data.values()])
    cells, console = bench_cells(scope, data), _console()
    with live(console, len(cells) * (rounds + 1)) as show:
        measured = measure(data, cells, rounds, show)
    result = results(measured, data, rounds, load)
    console.print(table(result))
    if json_file is not None:
        write_file(Path(json_file), json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PAGE
    return console
