"""The tables of what a study may name, one or more for each kind; they are imported when they are asked for."""

from importlib import import_module

from hpsearch.errors import look_up

TABLES: dict[str, tuple[str, ...]] = {
    "datasets": ("hpsearch.data.loaders.datasets.DATASETS",),
    "tasks": ("hpsearch.data.tasks.TASKS",),
    "metrics": ("hpsearch.data.metrics.METRICS",),
    "samplers": ("hpsearch.searching.samplers.SAMPLERS",),
    "pruners": ("hpsearch.searching.pruners.PRUNERS",),
    "engines": ("hpsearch.training.engine_names.ENGINES",),
    "optimizers": ("hpsearch.training.optimizers.OPTIMIZERS",),
    "activations": ("hpsearch.training.activations.ACTIVATIONS",),
    "initializations": ("hpsearch.training.initializations.INITIALIZATIONS",),
    "schedules": ("hpsearch.training.schedules.SCHEDULES",),
    "figures": ("hpsearch.reporting.figures.FIGURES", "hpsearch.comparison.figures.COMPARISON_FIGURES"),
}


def descriptions_of(kind: str) -> dict[str, str]:
    """Return a line on each row of a kind's tables, by name; a search and a comparison may have figures of one name.

    Raises:
        UserError: there is no such kind.
    """
    descriptions: dict[str, str] = {}
    for path in look_up(TABLES, kind, "kind"):
        module, _, table = path.rpartition(".")
        rows = getattr(import_module(module), table)
        named = rows if isinstance(rows, dict) else {row.name: row for row in rows}
        for name, row in named.items():
            known = descriptions.get(name)
            descriptions[name] = f"{known}; of a comparison: {row.description}" if known else row.description
    return descriptions
