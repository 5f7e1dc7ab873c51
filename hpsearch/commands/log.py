"""`log`: a recorded study written for TensorBoard or MLflow."""

import argparse
from pathlib import Path

from hpsearch.commands.options import add_reports, add_stored_study
from hpsearch.commands.recorded import read_search
from hpsearch.errors import counted, look_up


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_stored_study(command)
    command.add_argument("--to", required=True, metavar="TOOL", help="tensorboard, mlflow")
    command.add_argument(
        "--dir", metavar="DIR", help="where to write (default: a folder of the tool's name in the study's)"
    )
    add_reports(command)


def call(options: argparse.Namespace) -> None:
    """Write the study and print how to look at it."""
    from hpsearch.reporting.formatting import printable
    from hpsearch.reporting.tracking import LOGS

    tool = look_up(LOGS, options.to, "tool")
    record, folder = read_search(options)
    target = Path(options.dir) if options.dir else folder / options.to
    count = tool.write(record, target)
    trials = counted(count, "trial")
    view = tool.view.format(folder=target)
    print(printable(f"{tool.title}: {trials} written to {target}; look at them: {view}"))
