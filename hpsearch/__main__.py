"""`python -m hpsearch`, and the command `hpsearch` that pip installs."""

from typing import NoReturn

from hpsearch.cli import main
from hpsearch.searching.stopping import leave


def run() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    leave(main())


if __name__ == "__main__":
    run()
