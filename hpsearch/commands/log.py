"""`log`: a recorded study written for TensorBoard or MLflow."""

import argparse
from pathlib import Path
from typing import Any

from hpsearch.commands.options import add_common, add_stored_study
from hpsearch.commands.recorded import read_search


def add(commands: Any) -> None:
    """Add the command to the parser."""
    log = commands.add_parser("log", help="write a recorded study for TensorBoard or MLflow")
    add_stored_study(log)
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
    record, folder = read_search(options)
    target = Path(options.dir) if options.dir else folder / options.to
    count = tool.write(record, target)
    trials = f"{count:,} trial{'s' * (count != 1)}"
    view = tool.view.format(folder=target)
    print(printable(f"{tool.title}: {trials} written to {target}; look at them: {view}"))
