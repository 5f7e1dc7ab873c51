"""Files and folders: written whole or not at all, named so that no study's name can leave its place, their cells no formulas."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from hpsearch.errors import StorageError, UserError

PORTS = {f"com{number}" for number in range(1, 10)} | {f"lpt{number}" for number in range(1, 10)}
RESERVED = {"con", "prn", "aux", "nul", *PORTS}  # names that Windows gives to devices

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs text cells that begin so


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file whole: a reader and a crash find the old file or the new one.

    Raises:
        StorageError: the disk is full, the folder read-only or missing.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside the place to be written; it is synced and takes the place if nothing goes wrong.

    Raises:
        StorageError: the disk is full, the folder read-only or missing.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}. Free space or mend the folder, then run the same command."
        ) from error
    finally:
        with suppress(OSError):  # there is none: it took its place, or its folder cannot be written
            beside.unlink()


def make_folder(path: Path) -> Path:
    """Create a folder and its parents where they are missing, and prove that it can be written.

    Raises:
        UserError: no folder can be there.
        StorageError: the disk is full, or the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path}: {error.strerror}. Choose another folder (--reports DIR)."
        if error.errno in (ENOSPC, EDQUOT):
            raise StorageError(message) from error
        raise UserError(message) from error
    write_file(path / ".writable", b"")
    (path / ".writable").unlink(missing_ok=True)  # another process may make the same folder
    return path


def folder_name(name: str) -> str:
    """Return the folder of a study's name: the name where it is a plain one, else what is plain of it and a hash.

    No two names share a folder: one that looks like a hashed one is hashed too.
    """
    hashed = re.search(r"-[0-9a-f]{12}$", name)
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) and name not in RESERVED and not hashed:
        return name
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:40] or "study"
    return f"{plain}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"


def inert(value: Any) -> Any:
    """Return text that a spreadsheet would run as a formula behind a `'`; numbers are untouched.

    A lone carriage return becomes a line feed: Python's csv does not quote it, and what follows would be the beginning of a cell.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(FORMULAS):
        value = f"'{value}"
    return value.replace("\r\n", "\n").replace("\r", "\n")
