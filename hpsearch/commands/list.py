"""`list`: the names that a study may use, from the tables of samplers, optimizers, data sets and so on."""

import argparse
from typing import Any

from hpsearch.commands.tables import TABLES, descriptions_of


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("list", help="list samplers, optimizers, data sets, metrics and other names")
    command.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(TABLES)} (default: list the kinds)")
    command.add_argument("--debug", action="store_true", help="show tracebacks")
    command.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Print the rows of a kind's tables, a line each, or the kinds.

    Raises:
        UserError: there is no such kind.
    """
    if options.kind is None:
        print("\n".join(TABLES))
        print("\nWhat there is of a kind: python -m hpsearch list KIND.")
        return
    descriptions = descriptions_of(options.kind)
    width = max(len(name) for name in descriptions)
    for name, description in descriptions.items():
        print(f"{name:<{width}}  {description}")
