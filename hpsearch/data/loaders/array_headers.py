"""What files of arrays declare before a byte of an array is unpacked: types and shapes, and whether they will do.

Objects (pickles, which run code when read), records, and what does not fit into memory are refused by the headers alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np

from hpsearch.data.memory import check_memory
from hpsearch.errors import UserError, shown

LARGEST_HEADER = 10_000  # bytes, NumPy's own limit
WORKING = 8  # bytes for each number beside the array itself: the float64 copy that is standardised


@dataclass(frozen=True, slots=True)
class Declared:
    """What an array's header says: its type and shape; `offset` is the header's length in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of header and numbers."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def check_archive(path: Path) -> list[str]:
    """Return the names of the arrays, once their headers have passed."""
    with ZipFile(path) as archive:
        names = []
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                raise UserError(f"{shown(entry.filename)} in it is no array. Save the arrays with numpy.savez.")
            names.append(entry.filename.removesuffix(".npy"))
            with archive.open(entry) as file:
                _check(_declared(file), entry.file_size, shown(names[-1]))
        total = sum(entry.file_size for entry in archive.infolist())
    if not names:
        raise UserError("no arrays in it. Save some with numpy.savez.")
    check_memory(total, "its arrays", "Save fewer rows or a smaller type.")
    return names


def check_single(path: Path) -> None:
    """Refuse an .npy file whose header does not pass."""
    with path.open("rb") as file:
        _check(_declared(file), path.stat().st_size, shown(path.name))


def _declared(file: IO[bytes]) -> Declared:
    """Read the header of an array.

    Raises:
        ValueError: there is none.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file, max_header_size=LARGEST_HEADER)
    return Declared(dtype, tuple(int(length) for length in shape), file.tell())


def _check(declared: Declared, size: int, what: str) -> None:
    """Refuse an array that is not plain, whole and small enough."""
    if declared.dtype.hasobject:
        raise UserError(f"{what} holds Python objects, which are not read: they could run code. Save numbers or text.")
    if declared.dtype.names or declared.dtype.kind == "V":
        raise UserError(f"{what} holds records, one type of number expected. Save a plain array, or the table as CSV.")
    if declared.size != size:
        raise UserError(
            f"{what} is damaged: {size:,} bytes, {declared.size:,} expected from its header. Save it again."
        )
    check_memory(
        declared.size + WORKING * prod(declared.shape), f"{what} {declared.shape}", "Save fewer rows or a smaller type."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what NumPy and zipfile say of a bad file into one line that names it."""
    where = f"file {shown(str(path), 300)}"
    try:
        yield
    except UserError as error:
        raise UserError(str(error) if str(error).startswith("file ") else f"{where}: {error}") from None
    except MemoryError:
        raise UserError(f"{where}: out of memory. Save fewer rows or a smaller type.") from None
    except OSError as error:
        raise UserError(f"{where}: {error.strerror or 'damaged'}. Give a file that can be read.") from None
    except Exception as error:  # a damaged file can make its readers raise almost anything
        reason = shown(" ".join(str(error).split()), 120)
        raise UserError(
            f"{where}: damaged, or no {path.suffix.lower()} file ({reason}). Save it again with numpy."
        ) from None
