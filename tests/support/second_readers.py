"""Second readers: what a file says by another program, compared with what hpsearch made of it.

pandas reads text tables, polars Parquet files, the standard library arrays and models, libpng images. Rows are shuffled when they are
divided, so columns are compared as they are standardised, each sorted.
"""

import ast
import json
import re
import struct
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import torch

from hpsearch.data import Data
from hpsearch.data.cells import Array
from hpsearch.data.columns import parsing
from hpsearch.data.columns.table import Table
from hpsearch.data.transform import width

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
SIGNS = (
    (r"^([+-]) +", r"\1"),
    (r"^([^-+()].*?) ?-$", r"-\1"),
    (r"^\( *([^-+()].*?) *\)$", r"-\1"),
)  # as people write them
MINUS = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})


def text_cells(path: Path, table: Table) -> list[list[str]] | None:
    """Return the cells of a text table by pandas, column by column, read with the marks that hpsearch found.

    None where hpsearch says that it left a part of the file out, which pandas would not.
    """
    if any(assumption.what == "layout" for assumption in table.assumptions):
        return None
    frame = pd.read_csv(
        path,
        sep=table.reading["separator"],
        encoding=table.reading["encoding"],
        header=0 if table.reading["header"] else None,
        dtype=str,
        keep_default_na=False,
        na_filter=False,
    )
    return [[plain(cell) for cell in frame.iloc[:, index]] for index in range(frame.shape[1])]


def plain(cell: str) -> str:
    """Return a cell with one kind of line end, and without space around it."""
    return cell.replace("\r\n", "\n").replace("\r", "\n").strip()


def number_of(text: str, decimal: str = ".", thousands: str = "") -> float | None:
    """Return the number that a text is, None where it is none."""
    text = "".join(
        letter for letter in text.translate(MINUS) if unicodedata.category(letter) != "Cf"
    ).strip()  # marks that do not show
    for pattern, form in SIGNS:
        text = re.sub(pattern, form, text)
    if thousands:
        text = text.replace(thousands.translate(MINUS), "")
    if decimal != "." and "." in text:
        return None
    text = text.replace(decimal, ".")
    return float(text) if NUMBER.fullmatch(text) else None


def assert_same_cells(table: Table, cells: Sequence[Sequence[str]]) -> None:
    """Check that a text table's cells are those of a second reader, numbers that were written anew by their value."""
    assert len(table.names) == len(cells)
    for name, ours, theirs in zip(table.names, table.columns, cells, strict=True):
        own = [plain(cell) for cell in ours.to_pylist()]
        if own == list(theirs):
            continue
        marks = table.reading.get("numbers", {}).get(name)
        assert marks is not None, (name, *differences(own, theirs))
        for mine, other in zip(own, theirs, strict=True):
            value = number_of(other, marks["decimal"] or table.decimal, marks["thousands"] or "")
            assert mine == other or number_of(mine, table.decimal) == value, (name, mine, other)


def differences(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Return the first cells that differ, and the numbers of all."""
    return [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]][:3] + [len(one), len(other)]


def all_inputs(data: Data) -> Array:
    """Return the inputs of all rows [N, F]."""
    parts = (data.training, data.validation, data.test)
    return torch.cat([part.inputs for part in parts]).double().numpy()


def all_targets(data: Data) -> Array:
    """Return the targets of all rows [N] or [N, K], as the loss takes them."""
    parts = (data.training, data.validation, data.test)
    return torch.cat([part.targets for part in parts]).double().numpy()


def assert_same_numbers(what: str, standardised: Array, values: Array, mean: float, scale: float) -> None:
    """Check that standardised numbers [N] are these values, in any order."""
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.sort((values - mean) / scale)
    found = np.sort(standardised)
    assert len(found) == len(expected), (what, len(found), len(expected))
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4), (
        what,
        differences([*found.round(3)], [*expected.round(3)]),
    )


def assert_same_inputs(data: Data, columns: Mapping[str, Sequence[Any]], decimal: str = ".") -> None:
    """Check that a table's inputs are what a second reader's columns (texts, numbers, None) say."""
    inputs = all_inputs(data)
    place = 0
    for entry in data.preprocessing["columns"]:
        cells = columns[entry["name"]]
        own = inputs[:, place : place + width(entry)]
        place += width(entry)
        if entry["kind"] == "category":
            _assert_same_categories(entry, own, cells)
            continue
        read = {"number": _numbers, "boolean": _truths, "date": _days}[entry["kind"]]
        values = read(entry, cells, decimal)
        fill = 0.0 if entry["fill"] is None else entry["fill"]
        values = np.where(np.isnan(values), fill, values)
        if entry.get("parts", ["days"])[0] == "days":
            assert_same_numbers(entry["name"], own[:, 0], values, entry["mean"][0], entry["scale"][0])
    assert place == inputs.shape[1]


def _numbers(entry: Mapping[str, Any], cells: Sequence[Any], decimal: str) -> Array:
    return np.array([_number(entry["name"], cell, decimal) for cell in cells])


def _number(name: str, cell: Any, decimal: str) -> float:
    if not isinstance(cell, str):
        return np.nan if cell is None else float(cell)
    value = number_of(cell, decimal)
    if value is None:
        assert cell in ("", *parsing.MISSING), (name, cell)
        return np.nan
    return value


def _truths(entry: Mapping[str, Any], cells: Sequence[Any], decimal: str) -> Array:
    words = parsing.truth_words(entry)  # a row outside the training rows may write them otherwise
    known = {word: float(truth) for truth, own in enumerate(words) for word in own}
    return np.array([known.get(str(cell).lower(), np.nan) for cell in cells])


def _days(entry: Mapping[str, Any], cells: Sequence[Any], decimal: str) -> Array:
    return np.array([_day(cell, entry["format"]) for cell in cells])


def _day(cell: Any, form: str) -> float:
    """Return the days since 1970 of a text, a number of them as it is."""
    if not isinstance(cell, str):
        return np.nan if cell is None else float(cell)
    if cell in ("", *parsing.MISSING):
        return np.nan
    return (datetime.strptime(cell, form) - datetime(1970, 1, 1)).total_seconds() / 86_400


def _assert_same_categories(entry: Mapping[str, Any], inputs: Array, cells: Sequence[Any]) -> None:
    texts = Counter(_written(cell) for cell in cells)
    for code, category in enumerate(entry["categories"]):
        assert inputs[:, code].sum() == texts[category], (entry["name"], category, texts[category])


def _written(cell: Any) -> str:
    """Return a cell as a category is written."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def assert_same_targets(data: Data, cells: Sequence[Any], decimal: str = ".") -> None:
    """Check that the targets of one column are what a second reader's cells (texts or numbers) say."""
    targets = all_targets(data)
    if not data.classes:
        values = np.array([_number("target", cell, decimal) for cell in cells])
        if data.target_form is not None and data.target_form.shifts is not None:  # a logarithm is learned
            values = np.log1p(values / data.target_form.shifts[0])
        assert_same_numbers("target", targets[:, 0], values, float(data.target_mean[0]), float(data.target_scale[0]))
        return
    codes = targets.reshape(len(targets)).astype(int)
    found = Counter(_label(data.classes[code], ".") for code in codes)
    assert found == Counter(_label(cell, decimal) for cell in cells)


def _label(cell: Any, decimal: str) -> Any:
    """Return a label that compares: a number where it is one."""
    if isinstance(cell, str):
        number = number_of(cell, decimal)
        return cell if number is None else number
    return str(cell) if isinstance(cell, bool) else float(cell)


def numpy_array(content: bytes) -> Array:
    """Return the array of an .npy file by the format's description alone (NEP 1)."""
    assert content[:6] == b"\x93NUMPY"
    start = 10 if content[6] == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    header = ast.literal_eval(content[start : start + length].decode("latin1"))
    order = "F" if header["fortran_order"] else "C"
    flat: Array = np.frombuffer(content[start + length :], dtype=header["descr"])
    return flat.reshape(header["shape"], order=order)  # type: ignore[call-overload,no-any-return]


def numpy_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file by name."""
    with ZipFile(path) as archive:
        return {name.removesuffix(".npy"): numpy_array(archive.read(name)) for name in archive.namelist()}


def safetensors_of(content: bytes) -> dict[str, Array]:
    """Return the tensors of a safetensors file by the format's description alone: a length, JSON, then numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    body = content[8 + length :]
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG file, as far as they are whole: their kinds and contents."""
    chunks = []
    place = 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_of(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG file of these chunks, each with its checksum."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))]
    return b"".join(parts)


def png_pixels(content: bytes) -> Array | None:
    """Return the channels [H, W, C] of a PNG image by the format's description alone, without its transparency.

    None where it is interlaced, has fewer than 8 bits a channel, or a part of it is missing. (libpng, as torchvision has it, ends the
    process on some damaged files.)
    """
    chunks = png_chunks(content)
    width, height, bits, colour, *how = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"][:13])
    if any(how) or bits < 8:
        return None
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    pixel = channels * bits // 8  # bytes
    packed = b"".join(inside for kind, inside in chunks if kind == b"IDAT")
    flat = np.frombuffer(zlib.decompressobj().decompress(packed), np.uint8)
    if len(flat) < height * (1 + width * pixel):
        return None
    lines = flat[: height * (1 + width * pixel)].reshape(height, 1 + width * pixel)
    rows = _unfiltered(lines[:, 1:], lines[:, 0], pixel)
    values = rows.view(">u2") if bits == 16 else rows
    pixels: Array = values.reshape(height, width, channels)
    if colour == 3:
        palette = np.frombuffer(dict(chunks)[b"PLTE"], np.uint8).reshape(-1, 3)
        return palette[pixels[..., 0]]
    return pixels[..., : 1 if channels < 3 else 3]


def _unfiltered(lines: Array, filters: Array, pixel: int) -> Array:
    """Return the bytes [H, bytes] of rows that are stored as differences from their neighbours, of pixels of so many bytes."""
    rows = np.zeros((len(lines) + 1, pixel + lines.shape[1]), np.uint8)  # with the neighbours that are not there
    for y, (line, kind) in enumerate(zip(lines, filters, strict=True), start=1):
        for x, byte in enumerate(line, start=pixel):
            left, up, corner = int(rows[y, x - pixel]), int(rows[y - 1, x]), int(rows[y - 1, x - pixel])
            nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            rows[y, x] = (int(byte) + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
    return np.ascontiguousarray(rows[1:, pixel:])
