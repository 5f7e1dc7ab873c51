"""`log`: a recorded study written for TensorBoard or MLflow."""

import argparse
from pathlib import Path
from typing import Any

from hpsearch.commands.shared import add_common
from hpsearch.commands.studies import search_of


def add(commands: Any) -> None:
    """Add the command to the parser."""
    log = commands.add_parser("log", help="write a recorded study for TensorBoard or MLflow")
    log.add_argument("study", metavar="STUDY", help="a study's name, its folder, or the URL of its storage")
    log.add_argument("--study", dest="name", metavar="NAME", help="the study, where the storage has several")
    log.add_argument("--to", required=True, metavar="TOOL", help="tensorboard, mlflow")
    log.add_argument(
        "--dir", metavar="DIR", help="where to write (default: a folder of the tool's name in the study's)"
    )
    add_common(log)
    log.set_defaults(call=call)


def call(options: argparse.Namespace) -> None:
    """Write the study and print how to look at it."""
    from hpsearch.errors import look_up
    from hpsearch.reporting.formatting import printable
    from hpsearch.reporting.tracking import LOGS

    tool = look_up(LOGS, options.to, "tool")
    record, folder = search_of(options)
    place = Path(options.dir) if options.dir else folder / options.to
    count = tool.write(record, place)
    print(
        printable(
            f"{tool.title}: {count:,} trial{'s' * (count != 1)} written to {place}; look at them: {tool.view.format(folder=place)}"
        )
    )
