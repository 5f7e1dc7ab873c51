"""`list`: the names that a study may use, from the tables of samplers, optimizers, data sets and so on.

The tables are imported when they are asked for.
"""

import argparse
from importlib import import_module

from hpsearch.errors import look_up

TABLES: dict[str, tuple[str, ...]] = {  # of each kind, one or more
    "datasets": ("hpsearch.data.loaders.datasets.DATASETS",),
    "tasks": ("hpsearch.data.tasks.TASKS",),
    "metrics": ("hpsearch.data.metrics.METRICS",),
    "samplers": ("hpsearch.searching.samplers.SAMPLERS",),
    "pruners": ("hpsearch.searching.pruners.PRUNERS",),
    "engines": ("hpsearch.training.ENGINES",),
    "optimizers": ("hpsearch.training.optimizers.OPTIMIZERS",),
    "activations": ("hpsearch.training.layers.ACTIVATIONS",),
    "initializations": ("hpsearch.training.layers.INITIALIZATIONS",),
    "schedules": ("hpsearch.training.schedules.SCHEDULES",),
    "figures": ("hpsearch.reporting.figures.FIGURES", "hpsearch.comparison.figures.COMPARISON_FIGURES"),
}


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(TABLES)} (default: list the kinds)")


def call(options: argparse.Namespace) -> None:
    """Print the rows of a kind's tables, a line each, or the kinds."""
    if options.kind is None:
        print("\n".join(TABLES))
        print("\nWhat there is of a kind: python -m hpsearch list KIND.")
        return
    descriptions = descriptions_of(options.kind)
    width = max(len(name) for name in descriptions)
    for name, description in descriptions.items():
        print(f"{name:<{width}}  {description}")


def descriptions_of(kind: str) -> dict[str, str]:
    """Return a line on each row of a kind's tables, by name; a search and a comparison may have figures of one name.

    Raises:
        UserError: there is no such kind.
    """
    descriptions: dict[str, str] = {}
    for path in look_up(TABLES, kind, "kind"):
        module, _, table = path.rpartition(".")
        rows = getattr(import_module(module), table)
        if not isinstance(rows, dict):
            rows = {row.name: row for row in rows}
        for name, row in rows.items():
            if name in descriptions:
                descriptions[name] += f"; of a comparison: {row.description}"
            else:
                descriptions[name] = row.description
    return descriptions
