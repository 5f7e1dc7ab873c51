"""The bytes of a text file, as UTF-8 with plain line ends: looked at before they are read, so that what is no table is told as that."""

import codecs
import gzip
import os
import zlib
from pathlib import Path
from stat import S_ISREG

from hpsearch.errors import UserError, shown

# How files begin that are no text, and what to do with them.
SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook. Save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save the sheet as CSV",
    b"\x89PNG": "a PNG image. Give a table, or a folder of images",
    b"\xff\xd8\xff": "a JPEG image. Give a table, or a folder of images",
    b"%PDF": "a PDF document. Save its table as CSV",
    b"\x93NUMPY": "a NumPy array. Name the file .npy",
    b"SQLite format 3": "an SQLite database. Export the table as CSV",
    b"\x89HDF": "an HDF5 file. Save the table as CSV or Parquet",
    b"BZh": "compressed by bzip2. Unpack it, or compress it by gzip",
    b"\xfd7zXZ": "compressed by xz. Unpack it, or compress it by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd. Unpack it, or compress it by gzip",
}
MARKS = {  # a longer mark stands before a shorter one that begins alike
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MEMORY_A_BYTE = 12  # bytes of memory that a byte of a text file takes until it is an input; measured: 9.5


def find_file(path: str | Path) -> Path:
    """Return the path of a file that can be read.

    Raises:
        UserError: a web address, a directory, no such file, or no file at all (a pipe, a device).
    """
    given = os.fspath(path)
    if "://" in given[:20]:
        raise UserError(f"{shown(given)} is a web address, only local files are read. Download it first.")
    try:
        file = Path(given).expanduser()
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise UserError(
            f"no file {shown(given, 200)}. Check the path; it begins in {shown(str(Path.cwd()), 200)}."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{shown(given, 200)}: {reason}. Check the path.") from None
    if file.is_dir():
        raise UserError(f"{shown(given, 200)} is a directory, a file expected. Give the path of one table.")
    if not S_ISREG(mode):
        raise UserError(f"{shown(given, 200)} is no ordinary file. Save the table in one.")
    return file


def read_bytes(file: Path) -> bytes:
    """Return a file's bytes, those within a gzip.

    Raises:
        UserError: it is empty, no text, damaged, cannot be read, or would not fit in this machine's memory.
    """
    limit = memory() // MEMORY_A_BYTE
    try:
        if file.stat().st_size > limit:
            raise _too_large(f"{file.stat().st_size / 1e9:,.1f} GB are", limit)
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _unpacked(file, limit)
    except OSError as error:
        raise UserError(f"{error.strerror or error}. Give a file that can be read.") from None
    for start, what in SIGNATURES.items():
        if content.startswith(start):
            raise UserError(f"not a text table but {what}.")
    if not content.strip():
        raise UserError("the file is empty. Give one with a line of names and rows of cells.")
    return content


def decode(content: bytes, encoding: str | None) -> tuple[bytes, str, str]:
    r"""Return bytes as UTF-8 whose lines end in \n, the encoding, and why it is that one.

    Raises:
        UserError: no such encoding, bytes that it has not, or NUL bytes.
    """
    text, name, reason = _found(content) if encoding is None else (_decoded(content, encoding), encoding, "as given")
    if text is not None:
        content = text.encode()
    content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (place := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, place) + 1
        raise UserError(f"line {line:,} has a NUL byte, so this is no text. Save the table as UTF-8 text.")
    return content, name, reason


def memory() -> int:
    """Return this machine's memory in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 2**34


def _found(content: bytes) -> tuple[str | None, str, str]:
    """Return the text (None: the bytes are UTF-8 already), its encoding and the reason."""
    for mark, name in MARKS.items():
        if content.startswith(mark):
            return _decoded(content, name), name, "its byte order mark says so"
    try:
        content.decode("utf-8")
        return None, "utf-8", "all its bytes are valid UTF-8"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    try:
        return content.decode("cp1252"), "cp1252", f"line {line:,} is not UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1", f"line {line:,} is neither UTF-8 nor cp1252"


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = content.count(b"\n", 0, error.start) + 1
            raise UserError(
                f"not {encoding}: byte {error.start:,} (about line {line:,}) does not fit. Give another encoding."
            ) from None
        raise UserError(f"unknown encoding {shown(encoding)}. Give utf-8, utf-16, cp1252 or latin-1.") from None


def _unpacked(file: Path, limit: int) -> bytes:
    try:
        with gzip.open(file) as packed:
            content = packed.read(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"the gzip is damaged ({shown(str(error))}). Fetch it again.") from None
    if len(content) > limit:
        raise _too_large("unpacked it is", limit)
    return content


def _too_large(what: str, limit: int) -> UserError:
    return UserError(
        f"{what} more than fits in this machine's memory (a text file of about {limit / 1e9:,.1f} GB). Take a sample of its rows."
    )
