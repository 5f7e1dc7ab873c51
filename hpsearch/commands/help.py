"""`help`: the pages of the documentation, which are Markdown files in `hpsearch/docs`."""

import argparse
import re
import sys
from importlib.resources import files

from hpsearch.errors import look_up

COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)  # marks for the tests, of no use to a reader


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("topic", nargs="?", metavar="TOPIC", help="what to read about (default: list the topics)")


def call(options: argparse.Namespace) -> None:
    """Show a page, or the list of topics."""
    pages = read_pages()
    if options.topic is None:
        _list_topics(pages)
    else:
        _show(look_up(pages, options.topic, "topic"))


def read_pages() -> dict[str, str]:
    """Return each topic's page as Markdown, in alphabetical order."""
    folder = files("hpsearch") / "docs"
    pages = [page for page in folder.iterdir() if page.name.endswith(".md")]
    pages.sort(key=lambda page: page.name)
    return {page.name.removesuffix(".md"): page.read_text(encoding="utf-8") for page in pages}


def opening(page: str) -> str:
    """Return the sentence that opens a page: the line after its heading."""
    return page.splitlines()[2]


def _list_topics(pages: dict[str, str]) -> None:
    width = max(map(len, pages))
    for topic, page in pages.items():
        print(f"{topic:<{width}}  {opening(page)}")
    print("\nA page: python -m hpsearch help TOPIC. A command's options: python -m hpsearch COMMAND --help.")


def _show(page: str) -> None:
    """Print a page, formatted on a terminal and as it is elsewhere."""
    text = COMMENT.sub("", page)
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, hyperlinks=False))
