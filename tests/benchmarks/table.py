"""The figures as a table whose caption says what they mean and where they were measured."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from rich import box
from rich.table import Table

BUSY = 0.5  # load a core above which a notice stands under the table
SETTING = ("data", "batch_size", "optimizer", "cohort")  # what the rows of a section share


def number(value: float | None) -> str:
    """Return a number with three significant digits at least, and no power of ten; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def engine(cell: dict[str, Any]) -> str:
    """Return who trained: the engine that was asked for, and the one that it chose."""
    name, chosen = cell["engine"], cell["trained_by"]
    return str(name) if name == chosen else f"{name}: {chosen}"


# head in the table → how a cell of the JSON is written there
COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "data": lambda cell: str(cell["data"]),
    "batch\nsize": lambda cell: "full" if cell["full_batch"] else f"{cell['batch_size']:,}",
    "opti-\nmizer": lambda cell: str(cell["optimizer"]),
    "trials": lambda cell: f"{cell['trials']:,} {cell['cohort']}",
    "engine": engine,
    "µs per\ntrial,\nupdate": lambda cell: number(cell["microseconds"]),
    "spread": lambda cell: f"{(cell['highest'] - cell['lowest']) / cell['microseconds']:.0%}",
    "trials\na minute\n(epoch)": lambda cell: number(cell["trials_per_minute"]),
    "× usual\nloop": lambda cell: number(cell["times_usual_loop"]),
    "× ref-\nerence": lambda cell: number(cell["times_reference"]),
    "of\npeak": lambda cell: f"{cell['share_of_peak']:.1%}",
}
TEXT = ("data", "opti-\nmizer", "engine")


def table(result: dict[str, Any]) -> Table:
    """Return the figures as a table, one row for each cell."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    shown.caption, shown.caption_justify, shown.caption_style = "\n".join(caption(result)), "left", ""
    for head in COLUMNS:
        shown.add_column(head, justify="left" if head in TEXT else "right", vertical="bottom", overflow="fold")
    for cell, following in pairwise([*result["cells"], None]):
        last = following is None or any(cell[key] != following[key] for key in SETTING)
        shown.add_row(*(write(cell) for write in COLUMNS.values()), end_section=last)
    return shown


def caption(result: dict[str, Any]) -> Iterator[str]:
    """Yield what the figures mean and where they were measured."""
    for name, data in result["data"].items():
        yield f"{name}: {data['title']}, {data['rows']:,} training rows of {data['inputs']}."
    cohorts = {name: cohort["title"] for name, cohort in result["cohorts"].items()}
    for name, title in (*cohorts.items(), *result["engines"].items()):
        yield f"{name[0].upper()}{name[1:]}: {title}."
    yield (
        f"Times: wall time of all trials together over trials and updates, less a run of one update, so that training counts and "
        f"building, compiling and evaluating do not; medians of interleaved rounds, {result['rounds']} in all; spread: "
        "between the lowest and the highest."
    )
    yield (
        "Trials a minute: of one epoch each. × usual loop, × reference: times as fast as they; mixed trials as the reference with the "
        "same networks."
    )
    yield from _peak(result)
    yield from _machine(result["machine"])


def _peak(result: dict[str, Any]) -> Iterator[str]:
    size = f"{result['peak_matrix']:,}"
    yield (
        f"Peak: {result['peak_gflops']:,.0f} GFLOP/s, the best product of {size} × {size} float32 matrices, one on each core. "
        "An update counts, for each row, 4 operations a weight of the first layer (its inputs need no gradient) and 6 a weight of the "
        "others."
    )


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    jax = f", jax {machine['jax']}" if "jax" in machine else ""
    yield (
        f"Machine: {machine['device']} ({machine['processor']}), threads {machine['threads']}, cores {machine['cores']}, "
        f"{machine['system']}; Python {machine['python']}, torch {machine['torch']}{jax}, hpsearch {machine['hpsearch']}."
    )
    if (machine["load_before"] or 0) > BUSY * machine["cores"]:
        yield (
            f"Other programs were running (load {machine['load_before']:.1f} on {machine['cores']} cores before the start): "
            "measure again when the machine is idle."
        )
