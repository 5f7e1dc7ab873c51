"""`list`: the studies that there are, or the names that a study may use, from the tables of samplers, optimizers, data sets and so on.

The tables are imported when they are asked for.
"""

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.commands.options import add_language, add_reports
from hpsearch.errors import HpsearchError, look_up

if TYPE_CHECKING:
    from rich.text import Text

    from hpsearch.locales import Texts
    from hpsearch.reporting.screen import Screen

STUDIES = "studies"
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
    kinds = ", ".join([STUDIES, *TABLES])
    command.add_argument("kind", nargs="?", metavar="KIND", default=STUDIES, help=f"{kinds} (default: {STUDIES})")
    command.add_argument("--storage", metavar="URL", help="the studies of any Optuna storage")
    add_language(command)
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Print a line on each study, or on each row of a kind's tables."""
    if options.kind == STUDIES:
        _list_studies(options)
        return
    look_up({STUDIES: (), **TABLES}, options.kind, "kind")
    descriptions = descriptions_of(options.kind)
    width = max(len(name) for name in descriptions)
    for name, description in descriptions.items():
        print(f"{name:<{width}}  {description}")


def _list_studies(options: argparse.Namespace) -> None:
    """Print a line on each study of the reports' folder, or of a storage."""
    from hpsearch.locales import Texts
    from hpsearch.reporting.overview import command, show_list
    from hpsearch.reporting.screen import Screen

    texts = Texts(options.lang)
    screen = Screen("", texts)
    if options.storage:
        rows = list(_rows_of_storage(options.storage, texts))
        place = options.storage
    else:
        rows = list(_rows_of_folder(screen, Path(options.reports), texts))
        place = options.reports
    if rows:
        show_list(screen, rows, texts)
    else:
        screen.paragraph(texts("screen.list.none", place=place, command=command("run")))
    screen.paragraph(texts("screen.list.kinds", command=command("list", "KIND"), kinds=", ".join(TABLES)))


def _rows_of_storage(url: str, texts: "Texts") -> "Iterator[list[Text]]":
    from hpsearch.reporting.overview import study_row
    from hpsearch.storage.reading import read_all

    for stored in read_all(url):
        yield study_row(stored.record.name, stored, texts)


def _rows_of_folder(screen: "Screen", reports: Path, texts: "Texts") -> "Iterator[list[Text]]":
    """Yield a line on each study of a folder, by the name of its folder; what cannot be read is said above the list."""
    from hpsearch.reporting.overview import missing_row, study_row
    from hpsearch.storage.folders import STUDY_FILE, kept_elsewhere, studies_in
    from hpsearch.storage.reading import read_all
    from hpsearch.storage.urls import sqlite_url

    for name in studies_in(reports):
        folder = reports / name
        file = (folder / STUDY_FILE).absolute()
        if not file.is_file():
            reason = "elsewhere" if kept_elsewhere(folder) else "unstored"
            yield missing_row(name, reason, texts)
            continue
        try:
            studies = read_all(sqlite_url(file))
        except HpsearchError as error:
            screen.announce(f"{name}: {error}")
            yield missing_row(name, "unreadable", texts)
            continue
        for stored in studies:
            yield study_row(name, stored, texts)


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
