"""A table of two columns: what was measured, and what came out."""

from collections.abc import Iterable
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

PAGE = 110  # columns of text where the output is no terminal


class Row(NamedTuple):
    """A line of the table."""

    what: str
    figure: str


def show_rows(rows: Iterable[Row], caption: str) -> None:
    """Print the rows, once all are measured; each is told on the way where somebody looks on."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PAGE
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, caption=caption, caption_justify="left", caption_style="")
    table.add_column("what")
    table.add_column("figure", justify="right")
    with console.status("measuring") as status:
        for row in rows:
            status.update(f"{row.what}: {row.figure}")
            table.add_row(*row)
    console.print(table)
