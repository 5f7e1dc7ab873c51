"""Every error that is a user's to mend, each with the exit status of the command line.

A message says what was given, what was expected and what to do, in one line. Anything else that is raised is a bug of ours.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Row = TypeVar("Row")
LONGEST = 80  # characters of a value that an error shows
SECRETS = re.compile(  # what stands before the last @ may hold any character; options may be written with %3D for =
    r"(://[^/@:\s]*:).*@|((?:passw(?:or)?d|passphrase|pwd|secret|token)(?:=|%3D))(?:(?!%3B)[^&;\s'\"])*", re.IGNORECASE
)


class HpsearchError(Exception):
    """The root of hpsearch's own errors; `status` is the exit status of the command line."""

    status = 1


class UserError(HpsearchError, ValueError):
    """The input cannot be used: a file, a key, a value, a name, a device; to Python's ears a ValueError."""

    status = 2


class StorageError(HpsearchError):
    """The storage cannot be reached, read or written."""

    status = 3


class SearchFailed(HpsearchError):
    """No trial of the search gave a usable network."""

    status = 4


class CompletedElsewhere(HpsearchError):
    """Another process completed the study that this one waited for: nothing is left to do."""

    status = 0


class Stopped(HpsearchError):
    """The search was asked to stop by a signal; `status` is 128 + its number."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def shown(value: object) -> str:
    """Return a value as an error shows it: in one line of characters that print, and short."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write a whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def masked(text: str) -> str:
    """Return a storage's URL, or any line with one in it, without its password: for screen, log and report."""
    return SECRETS.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `Did you mean 'x'? Known: x, y.` for a name that is not known."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return (f"Did you mean '{near[0]}'? " if near else "") + f"Known: {', '.join(names)}."


def look_up(rows: Mapping[str, Row], name: str, what: str) -> Row:
    """Return the row of a literal table, or say which names it has.

    Raises:
        UserError: the table has no such row.
    """
    if name not in rows:
        raise UserError(f"unknown {what} {shown(name)}. {suggestion(name, rows)}")
    return rows[name]
