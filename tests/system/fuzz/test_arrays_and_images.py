"""Mutated arrays and images: refused in a line, or read as the formats' descriptions say."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
from PIL import Image

from hpsearch.data.cells import Array
from hpsearch.data.loaders.array_files import read_array_file
from hpsearch.data.loaders.files import load_file
from hpsearch.data.loaders.image_folder import read_image_folder
from tests.support.fuzzing import Fuzz
from tests.support.mutants import OF_BYTES, double, flip, flip_bit, mutated, truncate
from tests.support.second_readers import (
    all_inputs,
    assert_same_numbers,
    numpy_array,
    numpy_arrays,
    png_chunks,
    png_of,
    png_pixels,
)

ROWS = 40
DRAW = np.random.RandomState(0)
INPUTS = DRAW.normal(size=(ROWS, 3))
TARGETS = (np.arange(ROWS) % 3).astype(np.int64)
IMAGES = DRAW.randint(0, 256, (ROWS, 6, 5), dtype=np.uint8)
HEADERS = [  # what the header of an array may say in the place of another text, as long or not
    *((b"<f8", b"<i8"), (b"<f8", b">f8"), (b"<f8", b"|O8"), (b"<f8", b"<c8"), (b"<f8", b"<M8"), (b"<i8", b"<f8"), (b"<i8", b"<u8")),
    *((b"False", b"True "), (b"(40,", b"(-4,"), (b"(40,", b"(4e,"), (b"(40,", b"(39,"), (b"3)", b"3L"), (b"shape", b"Shape")),
    *((b"(40, 3)", b"(3, 40)"), (b"(40, 3)", b"(120,) "), (b"(40, 3)", b"(10**9)"), (b"{", b"["), (b"|u1", b"|i1"), (b"|u1", b"|b1")),
]  # fmt: skip
FLOATS = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0, 2.0**63]


def as_npy(values: Array) -> bytes:
    """Return the bytes of an .npy file."""
    opened = io.BytesIO()
    np.save(opened, values)
    return opened.getvalue()


def change_header(data: bytearray, draw: random.Random) -> None:
    """Let the header of an array say something else."""
    old, new = draw.choice(HEADERS)
    data[:] = bytes(data).replace(old, new, 1)


def change_numbers(data: bytearray, draw: random.Random) -> None:
    """Put extreme numbers in the place of some."""
    for _ in range(draw.choice([1, 3, 40])):
        place = 128 + 8 * draw.randrange(max(1, (len(data) - 128) // 8))
        number = draw.choice([*FLOATS, draw.uniform(-9, 9)])
        data[place : place + 8] = struct.pack("<d", number)[: max(0, len(data) - place)]


OF_ARRAYS = (*OF_BYTES, flip_bit, flip_bit, *[change_header] * 4, *[change_numbers] * 8)


def write_npz(path: Path, draw: random.Random) -> None:
    """Write an .npz file whose arrays, names or bytes are mutants."""
    kinds: list[Array] = [INPUTS, INPUTS.astype(np.float32), IMAGES]
    inputs = draw.choice(kinds)
    names = draw.choice([("X", "y"), ("x_train", "y_train"), ("images", "labels")])
    arrays = {names[0]: as_npy(inputs), names[1]: as_npy(TARGETS)}
    if names[0] == "x_train":
        arrays |= {"x_test": as_npy(inputs[:9]), "y_test": as_npy(TARGETS[:9])}
    name = draw.choice(sorted(arrays))
    arrays[name] = mutated(arrays[name], draw, OF_ARRAYS)
    if draw.random() < 0.1:
        arrays[draw.choice(["", "../x", "x\n", "X", "y", "z" * 300])] = arrays.pop(name)
    with ZipFile(path, "w", draw.choice([ZIP_DEFLATED, ZIP_STORED])) as archive:
        for key, content in arrays.items():
            archive.writestr(f"{key}.npy", content)
    if draw.random() < 0.2:
        path.write_bytes(mutated(path.read_bytes(), draw))


def same(ours: Any, theirs: Array) -> None:
    """Check that two arrays are equal, numbers that are missing too; channels may have moved to the front."""
    if theirs.ndim == 4 and ours.shape != theirs.shape:
        theirs = theirs.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.asarray(ours), theirs)


def test_mutated_npz_files(fuzz: Fuzz, tmp_path: Path) -> None:
    """Every mutated .npz file is refused in a line, or has the arrays that its bytes say."""
    path = tmp_path / "arrays.npz"

    def attempt(draw: random.Random) -> bool:
        write_npz(path, draw)
        data = load_file(path, None)
        raw = read_array_file(path)
        arrays = {name.lower(): array for name, array in numpy_arrays(path).items()}
        ((inputs, targets),) = [
            (arrays[x], arrays[y])
            for x, y in (("x", "y"), ("x_train", "y_train"), ("images", "labels"))
            if x in arrays and y in arrays
        ]
        if "x_test" in arrays and "y_test" in arrays:
            inputs = np.concatenate([inputs, arrays["x_test"]])
            targets = np.concatenate([targets, arrays["y_test"]])
        same(raw.inputs, inputs)
        same(raw.targets, targets)
        if inputs.ndim == 2:
            for place, entry in enumerate(data.preprocessing["columns"]):
                assert_same_numbers(
                    str(place), all_inputs(data)[:, place], inputs[:, place], entry["mean"][0], entry["scale"][0]
                )
        return True

    fuzz.run("NPZ files", attempt)


def test_mutated_npy_files(fuzz: Fuzz, tmp_path: Path) -> None:
    """Every mutated .npy file is refused in a line, or has the array that its bytes say."""
    path = tmp_path / "inputs.npy"
    beside = tmp_path / "labels.npy"

    def attempt(draw: random.Random) -> bool:
        contents = [as_npy(INPUTS), as_npy(TARGETS)]
        which = draw.randrange(2)
        contents[which] = mutated(contents[which], draw, OF_ARRAYS)
        path.write_bytes(contents[0])
        beside.write_bytes(contents[1])
        load_file(path, "labels.npy")
        raw = read_array_file(path, "labels.npy")
        same(raw.inputs, numpy_array(contents[0]))
        same(raw.targets, numpy_array(contents[1]))
        return True

    fuzz.run("NPY files", attempt)


def image_sources() -> list[bytes]:
    """Return PNG images of many kinds: grey, coloured, with a palette, transparent, of 1, 8 and 16 bits."""
    colours = DRAW.randint(0, 256, (6, 5, 4), dtype=np.uint8)
    grey = Image.fromarray(colours[..., 0])
    deep = Image.fromarray(DRAW.randint(0, 65_536, (6, 5)).astype(np.uint16))
    coloured = Image.fromarray(colours[..., :3])
    images = [
        grey,
        coloured,
        Image.fromarray(colours),
        coloured.quantize(8),
        grey.convert("1"),
        deep,
        grey.convert("LA"),
    ]
    files = []
    for image in images:
        opened = io.BytesIO()
        image.save(opened, "PNG")
        files.append(opened.getvalue())
    for colour, channels in ((2, 3), (4, 2), (6, 4)):  # of 16 bits, which PIL reads and does not write
        rows = b"".join(b"\0" + DRAW.bytes(5 * channels * 2) for _ in range(6))
        header = struct.pack(">IIBBBBB", 5, 6, 16, colour, 0, 0, 0)
        files.append(png_of([(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]))
    return files


def change_chunks(content: bytes, draw: random.Random) -> bytes:
    """Change, double, drop or add a chunk, with a checksum that is right."""
    chunks = png_chunks(content)
    place = draw.randrange(len(chunks))
    kind, inside = chunks[place]
    how = draw.choice(["inside", "inside", "pixels", "pixels", "drop", "double", "add", "order"])
    if how == "inside" and inside:
        chunks[place] = kind, mutated(inside, draw, (flip, flip_bit, truncate, double))
    elif how == "pixels":
        pixels = bytearray(zlib.decompress(b"".join(inside for kind, inside in chunks if kind == b"IDAT")))
        draw.choice([flip, flip_bit, double, truncate])(pixels, draw)
        chunks = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
        chunks += [(b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    elif how == "drop":
        del chunks[place]
    elif how == "double":
        chunks.insert(place, chunks[place])
    elif how == "add":
        added = [
            (b"tRNS", b"\0\7\0\1\0\2"),
            (b"gAMA", b"\0\0\xb1\x8f"),
            (b"tEXt", b"a\0b"),
            (b"acTL", b"\0\0\0\2\0\0\0\0"),
        ]
        added += [
            (b"pHYs", bytes(9)),
            (b"PLTE", bytes(range(24))),
            (b"iCCP", b"x\0\0x"),
            (b"eXIf", b"MM\0*\0\0\0\x08\0\0"),
            (b"zTXt", b"a"),
        ]
        chunks.insert(draw.randrange(1, len(chunks)), draw.choice(added))
    else:
        other = draw.randrange(len(chunks))
        chunks[place], chunks[other] = chunks[other], chunks[place]
    return png_of(chunks)


def same_pixels(ours: Array, theirs: Array) -> None:
    """Check that pixels [C, H, W] are those [H, W, 1 or 3] of another reader; grey ones of ours may be coloured ones of theirs."""
    if theirs.shape[2] > ours.shape[0]:
        assert (theirs == theirs[..., :1]).all()
        theirs = theirs[..., :1]
    np.testing.assert_array_equal(ours, np.broadcast_to(theirs.transpose(2, 0, 1), ours.shape))


def test_mutated_images(fuzz: Fuzz, tmp_path: Path) -> None:
    """A folder with a mutated PNG file is refused in a line, or the image has the pixels that its bytes say."""
    sources = image_sources()
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
    ways: list[Callable[[bytes, random.Random], bytes]] = [mutated, change_chunks, change_chunks, change_chunks]

    def attempt(draw: random.Random) -> bool:
        source = draw.choice(sources)
        for number in range(12):
            (tmp_path / "images" / "ab"[number % 2] / f"{number}.png").write_bytes(source)
        path = tmp_path / "images" / "a" / "0.png"
        path.write_bytes(draw.choice(ways)(source, draw))
        load_file(tmp_path / "images", None)
        raw = read_image_folder(tmp_path / "images")
        with Image.open(path) as image:
            if image.size != (5, 6) or b"eXIf" in path.read_bytes():  # the image may be turned, or made another size
                return False
        pixels = png_pixels(path.read_bytes())
        if pixels is None or (raw.inputs.dtype == np.uint16) != (pixels.dtype.itemsize == 2):
            return False
        same_pixels(raw.inputs[0], pixels)
        return True

    fuzz.run("PNG files", attempt)


@pytest.mark.parametrize("number", range(len(image_sources())))
def test_the_images_are_sound(tmp_path: Path, number: int) -> None:
    """Each image that is mutated is read, and as the format's description says."""
    content = image_sources()[number]
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for name in "012":
            (tmp_path / label / f"{name}.png").write_bytes(content)
    pixels = png_pixels(content)
    raw = read_image_folder(tmp_path)
    if pixels is not None:
        same_pixels(raw.inputs[0], pixels)
