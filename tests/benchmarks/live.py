"""What is seen while the benchmark runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tests.benchmarks.measuring import Show


@contextmanager
def live(console: Console, total: int) -> Iterator[Show]:
    """Show steps as a bar on a terminal, drawn between measurements and not during them; elsewhere as lines."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=total)
        yield lambda sentence: bar.update(task, description=sentence, advance=1, refresh=True)


def _lines(console: Console) -> Show:
    """Return what prints a sentence where it differs from the one before."""
    said = ""

    def show(sentence: str) -> None:
        nonlocal said
        if sentence != said:
            console.print(sentence)
        said = sentence

    return show
