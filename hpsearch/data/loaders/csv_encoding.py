"""The encoding of a text table: found with a reason, or given; what comes out is UTF-8 with plain line ends."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.data.loaders.csv_bytes import line_of
from hpsearch.data.loaders.legacy_encodings import (
    Reading,
    asked,
    example,
    possible_readings,
    readings_of_europe,
)
from hpsearch.errors import UserError, shown

MARKS = {  # a longer mark stands before a shorter one that begins alike
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WIDE = ("utf-16-le", "utf-16-be")
FEW = 10  # letters of UTF-8 for each byte that is none: it is a stray one
MANY = 4  # bytes that are none for each letter of UTF-8: there is no UTF-8
MOST_TOLD = 3
LEAD = 0xC0  # the least first byte of a letter of UTF-8 that is not ASCII
LOWEST = 0xDC00  # with a byte that is none of UTF-8's, what Python decodes it as (PEP 383)
STRAY = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""A text as UTF-8 whose lines end in \n, its encoding, why it is that one, and what a reader should know of it."""

    content: bytes
    encoding: str
    why: str
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A text (None: the bytes are UTF-8 already), its encoding and the reason."""

    text: str | None
    encoding: str
    why: str
    notice: str = ""


def decode(content: bytes, encoding: str | None, usual: str | None = None) -> Decoded:
    """Return bytes as text. `usual` is the encoding of a file that is like it, which is tried where the bytes are not UTF-8.

    Raises:
        UserError: bytes that the encoding has not, lines in several encodings, or NUL.
    """
    if encoding is None:
        found = _find(content, usual)
    else:
        found = _Found(_decoded(content, encoding), encoding, "as given")
    if found.text is not None:
        content = found.text.encode()
    content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (position := content.find(b"\0")) >= 0:
        line = line_of(content, position)
        raise UserError(f"line {line:,} has a NUL byte, so this is no text. Save the table as UTF-8 text.")
    if not content.endswith(b"\n"):
        content += b"\n"
    return Decoded(content, found.encoding, found.why, found.notice)


def _find(content: bytes, usual: str | None) -> _Found:
    for mark, name in MARKS.items():
        if content.startswith(mark):
            return _Found(_decoded(content, name), name, "its byte order mark says so")
    wide = _wide(content)
    if wide is not None:
        return wide
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        known = _as_usual(content, usual)
        return known or _find_other(content, line_of(content, error.start))
    known = _as_usual(content, usual) if text.isascii() else None
    return known or _Found(None, "utf-8", "all its bytes are valid UTF-8")


def _as_usual(content: bytes, usual: str | None) -> _Found | None:
    """Return the text in the encoding of a file that is like this one, None where it has another or is UTF-8 anyway."""
    if usual is None or usual in MARKS.values() or usual.startswith("utf-8"):
        return None
    try:
        return _Found(content.decode(usual), usual, "as in the study's file")
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _wide(content: bytes) -> _Found | None:
    """Return UTF-16 without a byte order mark: every other byte of a table's digits and separators is NUL."""
    if content.count(b"\0", 0, 1000) < min(len(content), 1000) // 4:
        return None
    for name in WIDE:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and "\n" in text:
            return _Found(text, name, "every other byte is NUL")
    return None


def _find_other(content: bytes, line: int) -> _Found:
    """Return text that is not all UTF-8: UTF-8 but for a few bytes, or in an older encoding, which is asked where several fit."""
    lenient = content.decode("utf-8", "surrogateescape")
    plain = np.frombuffer(lenient.encode("utf-8", "ignore"), dtype=np.uint8)
    strays = len(content) - len(plain)
    letters = int((plain >= LEAD).sum())
    if letters >= FEW * strays:
        return _with_strays(lenient)
    readings, is_clear = possible_readings(content)
    if is_clear:
        return _as_clear(content, line, readings)
    if strays < MANY * letters:
        raise UserError(
            f"line {line:,} is not UTF-8, other lines are ({letters:,} letters of UTF-8, {strays:,} bytes that are none). "
            "Save the table in one encoding, or give the one that all lines have: --encoding cp1252."
        )
    readings = readings or readings_of_europe(content)
    if readings:
        raise UserError(asked(content, line, readings))
    try:
        found = _Found(content.decode("cp1252"), "cp1252", f"line {line:,} is not UTF-8")
    except UnicodeDecodeError:
        found = _Found(content.decode("latin-1"), "latin-1", f"line {line:,} is neither UTF-8 nor cp1252")
    notice = f"Read as {found.encoding}, since {found.why}. Give another if letters look wrong: --encoding cp1251 (gbk, shift_jis, …)."
    return _Found(found.text, found.encoding, found.why, notice)


def _as_clear(content: bytes, line: int, readings: Sequence[Reading]) -> _Found:
    """Return text in the first of its readings, with a line of it, and which other may be meant."""
    best = readings[0]
    text = content.decode(best.encoding)
    why = f"line {line:,} is not UTF-8, and the letters are common {best.language} ones"
    notice = (
        f"Read as {best.encoding} ({example(text)}), since {why}. Give another if letters look wrong: --encoding NAME."
    )
    return _Found(text, best.encoding, why, notice)


def _with_strays(lenient: str) -> _Found:
    """Return UTF-8 text whose few other bytes are read as cp1252, the first of them with where they are."""
    told = []
    strays = [found.start() for found in STRAY.finditer(lenient)]
    for place in strays[:MOST_TOLD]:
        line = lenient.count("\n", 0, place) + 1
        column = place - lenient.rfind("\n", 0, place)
        byte = ord(lenient[place]) - LOWEST
        told.append(f"line {line:,}, character {column:,} (byte 0x{byte:02X}, read as {_letter(byte)!r})")
    text = STRAY.sub(lambda found: _letter(ord(found[0]) - LOWEST), lenient)
    more = f" and {len(strays) - MOST_TOLD:,} more" * (len(strays) > MOST_TOLD)
    notice = f"Not UTF-8, as all else is: {'; '.join(told)}{more}. Mend the file if that is another letter."
    return _Found(text, "utf-8", "all its bytes but a few are valid UTF-8", notice)


def _letter(byte: int) -> str:
    """Return the letter of a byte in cp1252, which latin-1 has for the few that cp1252 has not."""
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = line_of(content, error.start)
        raise UserError(
            f"not {encoding}: byte {error.start:,} (about line {line:,}) does not fit. Give another encoding (--encoding)."
        ) from None
    except (LookupError, ValueError):
        raise UserError(f"unknown encoding {shown(encoding)}. Give utf-8, utf-16, cp1252 or latin-1.") from None
