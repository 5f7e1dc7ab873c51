"""The command line: parse, call, print."""

import argparse
import shlex
import sys
import traceback
from collections.abc import Sequence

from hpsearch import __version__
from hpsearch.commands import COMMANDS
from hpsearch.commands.parser import Parser
from hpsearch.errors import HpsearchError, Stopped, UserError, masked
from hpsearch.searching.stopping import GRACE, ending

EPILOG = """studies that come along: digits (the default; embedded data), mnist; comparisons: compare-digits, compare-mnist,
  compare-optimizers, minima
examples:
  python -m hpsearch run
  python -m hpsearch run mnist --data-root DIR --trials 20
  python -m hpsearch run my-study.toml --set learning_rate.high=0.3 --set search.sampler=random
  python -m hpsearch compare
  python -m hpsearch report digits"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = Parser(
        prog="python -m hpsearch",
        description="Hyperparameter search for deep neural networks: a data set in, the best network and a report out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=__version__)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 the user's input, 3 storage, 4 every trial failed, 128 + signal."""
    try:
        options = parser().parse_args(arguments)
    except UserError as error:
        return refuse(error)
    try:
        with ending(getattr(options, "grace", GRACE)):
            options.call(options)
    except Stopped as stopped:
        print(f"{stopped}; to go on: {_again(arguments)}", file=sys.stderr)
        return stopped.status
    except HpsearchError as error:
        if options.debug:
            print(masked(traceback.format_exc()), file=sys.stderr, end="")
        return refuse(error)
    except KeyboardInterrupt:
        print(f"stopped at once; to go on: {_again(arguments)}", file=sys.stderr)
        return 130
    return 0


def refuse(error: HpsearchError) -> int:
    """Print an error's lines and return its exit status."""
    from hpsearch.reporting.formatting import printable

    for line in str(error).splitlines():
        print(f"error: {printable(masked(line))}", file=sys.stderr)
    return error.status


def _again(arguments: Sequence[str] | None) -> str:
    """Return the command to go on with; a password in it is left out, since screens are seen and logs are kept."""
    given = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["python", "-m", "hpsearch", *map(masked, given)])
