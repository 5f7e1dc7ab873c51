"""`python -m hpsearch`, and the command `hpsearch` that pip installs."""

import sys
from typing import NoReturn

from hpsearch.platforms import address_space, show_all_texts

NEEDED = 4 * 10**9  # bytes of address space with which torch is loaded and a small study run; measured: 3.5


def run() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    show_all_texts()
    try:
        from hpsearch.cli import main
        from hpsearch.searching.stopping import leave

        status = main()
    except (ImportError, MemoryError) as error:
        limit = address_space()
        if limit is None or limit >= 2 * NEEDED:
            raise
        print(_too_little(limit, error), file=sys.stderr)
        raise SystemExit(2) from None
    leave(status)


def _too_little(limit: int, error: Exception) -> str:
    """Return the line that says what a process needs whose address space is too small."""
    reason = " ".join(str(error).split())[:100] or type(error).__name__
    return (
        f"error: out of memory ({reason}): this process may have {limit / 1e9:.1f} GB of address space, and torch alone takes about "
        f"{NEEDED / 1e9:.0f} GB. Raise the limit (ulimit -v unlimited; of a batch job its memory)."
    )


if __name__ == "__main__":
    run()
