"""The scale of images: 16 bits keep their range, transparency is said, and new images come on the scale of those of the training or not."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpsearch.data import from_arrays
from hpsearch.data.cells import Array
from hpsearch.data.image_scale import scale_of
from hpsearch.data.loaders.image_folder import read_image_folder, read_images
from hpsearch.data.options import ReadOptions, SplitOptions
from hpsearch.errors import UserError

random = np.random.default_rng(0)
DEEP = random.integers(0, 4096, (8, 8)).astype(np.uint16)  # a camera's 12 bits
BYTES = random.integers(0, 256, (8, 8)).astype(np.uint8)
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG's type of colour


def deep_png(pixels: Array, file: Path) -> Path:
    """Write pixels [H, W, C] of 16 bits as PNG, which PIL writes without colours only."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOURS[channels], 0, 0, 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return file


def save(pixels: Array, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


@pytest.mark.parametrize("end", ["png", "tiff", "pgm"])
def test_sixteen_bits_keep_their_range(tmp_path: Path, end: str) -> None:
    """Grey pictures of 16 bits are read value for value, in each format that has them, and that is said."""
    for name, pixels in (("a", DEEP), ("b", DEEP[::-1])):
        file = tmp_path / name / f"0.{end}"
        file.parent.mkdir()
        if end == "pgm":
            file.write_bytes(b"P5 8 8 65535\n" + pixels.astype(">u2").tobytes())
        else:
            Image.fromarray(np.ascontiguousarray(pixels)).save(file)
    raw = read_image_folder(tmp_path)
    assert np.array_equal(raw.inputs, np.stack((DEEP, DEEP[::-1]))[:, None])
    assert raw.notices == (f"2 images have 16 bits a channel, with values up to {DEEP.max():,}: kept as they are.",)
    assert np.array_equal(read_images({"shape": [1, 8, 8], **raw.images}, tmp_path), raw.inputs)


def test_colours_of_sixteen_bits(tmp_path: Path) -> None:
    """Coloured pictures of 16 bits keep their low bytes, as grey ones do."""
    pixels = random.integers(0, 4096, (2, 8, 8, 3)).astype(np.uint16)
    for name, one in zip("ab", pixels, strict=True):
        deep_png(one, tmp_path / name / "0.png")
    assert np.array_equal(read_image_folder(tmp_path).inputs, pixels.transpose(0, 3, 1, 2))


def deep_tiff(pixels: Array) -> bytes:
    """Return pixels [H, W, 3] of 16 bits as the bytes of a TIFF, which PIL does not write."""
    height, width, channels = pixels.shape
    content = pixels.astype("<u2").tobytes()
    place = 8 + len(content)  # of the table of tags
    tags = [(256, 1, width), (257, 1, height), (258, 3, place + 114), (259, 1, 1), (262, 1, 2), (273, 1, 8)]
    tags += [(277, 1, channels), (278, 1, height), (279, 1, len(content))]
    table = b"".join(struct.pack("<HHII", tag, 4 if count == 1 else 3, count, value) for tag, count, value in tags)
    head = struct.pack("<2sHI", b"II", 42, place) + content
    return head + struct.pack("<H", len(tags)) + table + bytes(4) + struct.pack("<3H", 16, 16, 16)


@pytest.mark.parametrize("end", ["tiff", "ppm"])
def test_bits_that_would_be_lost_are_refused(tmp_path: Path, end: str) -> None:
    """Colours of 16 bits that are no PNG, of which PIL keeps the high byte, are refused with file, count and what to do."""
    pixels = random.integers(0, 65_536, (8, 8, 3)).astype(np.uint16)
    content = deep_tiff(pixels)
    if end == "ppm":
        content = b"P6 8 8 65535\n" + pixels.astype(">u2").tobytes()
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / f"0.{end}").write_bytes(content)
    said = rf"a/0\.{end}' \(and 1 more image\) has colours of 16 bits as {end.upper()}, which cannot be read in full\. Save it as PNG"
    with pytest.raises(UserError, match=said):
        read_image_folder(tmp_path)
    with pytest.raises(UserError, match="cannot be read in full"):
        read_images({"shape": [3, 8, 8], "divisor": 1}, tmp_path / f"a/0.{end}")
    save(BYTES, tmp_path / "c/0.ppm")
    assert read_images({"shape": [1, 8, 8], "divisor": 1}, tmp_path / "c").shape == (1, 1, 8, 8)


def test_transparency_of_sixteen_bits(tmp_path: Path) -> None:
    """A transparent picture of 16 bits is laid over the background that is asked for, by its opacity."""
    pixels = random.integers(0, 65_536, (8, 8, 4)).astype(np.uint16)
    for name in "ab":
        deep_png(pixels, tmp_path / name / "0.png")
    read = read_image_folder(tmp_path, ReadOptions(background="white")).inputs[0]
    opaque = pixels[..., 3:] / 65_535
    expected = pixels[..., :3] * opaque + 65_535 * (1 - opaque)
    assert np.abs(read.astype(float) - expected.transpose(2, 0, 1)).max() <= 0.51


def test_resized_with_sixteen_bits(tmp_path: Path) -> None:
    """Pictures of 16 bits shrink as those of 8 do: a smooth one within a thousandth of its range."""
    smooth = (np.add.outer(np.arange(64), np.arange(64)) * 30).astype(np.uint16)
    for name in "ab":
        save(smooth, tmp_path / name / "0.png")
    read = read_image_folder(tmp_path, ReadOptions(size=16)).inputs[0, 0]
    assert np.abs(read.astype(float) - smooth.reshape(16, 4, 16, 4).mean(axis=(1, 3)))[2:-2, 2:-2].max() < 4


def test_a_mix_of_bits(tmp_path: Path) -> None:
    """Pictures of 8 bits among ones of a camera's 12 are refused: how they compare is unknown."""
    save(DEEP, tmp_path / "a/0.png")
    save(BYTES, tmp_path / "b/0.png")
    with pytest.raises(
        UserError, match=r"1 image has 16 bits a channel, with values up to 4,.*1 others have 8: unclear"
    ):
        read_image_folder(tmp_path)


def trained(pixels: Array, count: int = 20) -> Mapping[str, Any]:
    """Return the preprocessing of a model of such pictures as arrays."""
    stack = np.stack([np.roll(pixels, shift, axis=1) for shift in range(count)])
    return from_arrays(stack, np.arange(count) % 2, split=SplitOptions(test=0, validation=4)).preprocessing


def test_a_model_of_deep_arrays_reads_deep_pictures(tmp_path: Path) -> None:
    """The same pictures as files of 16 bits are the same numbers; as bytes they are on another scale, and refused."""
    scale = trained(DEEP)
    assert np.array_equal(read_images(scale, save(DEEP, tmp_path / "deep.png"))[0, 0], DEEP)
    dim = (DEEP / 16).astype(np.uint8)
    with pytest.raises(
        UserError, match=r"image files of 8 bits with values up to 25\d, but the network was trained on .*16 bits"
    ):
        read_images(scale, save(dim, tmp_path / "bytes.png"))
    with pytest.raises(UserError, match=r"values from 0 to 25"):
        read_images(scale, dim[None])


SCALES: dict[
    str, tuple[Array, Array | None, Array | None]
] = {  # pictures of the training → of files that show the same, and of ones on another scale
    "bytes": (BYTES, BYTES, None),
    "unit": (BYTES / 255, BYTES, DEEP),
    "truth": (BYTES > 127, 255 * (BYTES > 127).astype(np.uint8), DEEP),
    "full": (BYTES.astype(np.uint16) * 257, BYTES, None),
    "sixteen": (BYTES // 16, BYTES // 16, BYTES),
    "signed": (BYTES / 127.5 - 1, None, BYTES),
    "standardised": ((BYTES - 120) / 70, None, BYTES),
    "twelve": (DEEP.astype(float), DEEP, BYTES),
    "of bytes": (BYTES.astype(np.int64), BYTES, DEEP),
}


@pytest.mark.parametrize("name", SCALES)
def test_files_for_a_model_of_arrays(tmp_path: Path, name: str) -> None:
    """Files come on the scale of the arrays that were trained on where that is certain, and are refused where it is not."""
    pixels, same, other = SCALES[name]
    scale = trained(pixels)
    if same is not None:
        assert np.allclose(read_images(scale, save(same, tmp_path / "same.png"))[0, 0], pixels, atol=1e-6)
    if other is not None:
        with pytest.raises(UserError, match=r"images: image files of .* Bring them to that scale") as caught:
            read_images(scale, save(other, tmp_path / "other.png"))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("given", "was"),
    [(BYTES / 255, BYTES), (BYTES * 1.0, BYTES / 255), (DEEP, BYTES), (BYTES / 255, DEEP)],
    ids=["unit for bytes", "bytes for unit", "deep for bytes", "unit for deep"],
)
def test_arrays_of_another_scale(given: Array, was: Array) -> None:
    """Arrays from 0 to 1 for a model of bytes, and the other way round, are refused with both ranges."""
    with pytest.raises(
        UserError, match=r"images: values from .* to .*, but the network was trained on images .*values from"
    ):
        read_images(trained(was), given[None])


def test_a_model_of_before_is_read_as_before(tmp_path: Path) -> None:
    """A model that keeps its divisor alone takes files as bytes, the high ones of 16 bits, and arrays as they are."""
    old = {"shape": [1, 8, 8], "divisor": 1}
    assert np.array_equal(read_images(old, save(DEEP, tmp_path / "deep.png"))[0, 0], DEEP >> 8)
    assert np.array_equal(
        read_images({**old, "divisor": 255}, save(BYTES, tmp_path / "b.png"))[0, 0], (BYTES / 255).astype(np.float32)
    )
    assert np.array_equal(read_images(old, DEEP[None])[0, 0], DEEP)


def test_scales() -> None:
    """The scale that is kept holds the type's bits and the range of the values."""
    assert scale_of(DEEP) == {"divisor": 1, "bits": 16, "range": [DEEP.min(), DEEP.max()]}
    assert scale_of(np.linspace(0, 1, 5)) == {"divisor": 255, "bits": None, "range": [0, 1]}


def stroke(colour: tuple[int, ...]) -> Array:
    """Return a transparent picture with a square of a colour."""
    pixels = np.zeros((8, 8, 4), dtype=np.uint8)
    pixels[..., :3] = colour[:3]
    pixels[2:5, 2:5, 3] = 255
    return pixels


def test_drawn_by_transparency_alone(tmp_path: Path) -> None:
    """Black on nothing would be black on black: refused with the option of a background, which shows it."""
    for name in "ab":
        save(stroke((0, 0, 0)), tmp_path / name / "0.png")
    with pytest.raises(UserError, match=r"2 images are drawn by their transparency alone.*data.background=white"):
        read_image_folder(tmp_path)
    raw = read_image_folder(tmp_path, ReadOptions(background="white"))
    assert raw.notices == ("2 images are transparent in part: laid over white.",)
    assert raw.inputs.shape == (2, 1, 8, 8)
    assert (raw.inputs[0, 0] == 0).sum() == 9
    assert (raw.inputs[0, 0] == 255).sum() == 55
    new = read_images({"shape": [1, 8, 8], **raw.images}, tmp_path)
    assert np.array_equal(new, raw.inputs)


def test_palettes_with_transparency(tmp_path: Path) -> None:
    """A palette's transparent colour is one, and said; an opaque palette is read as its colours without a word."""
    image = Image.fromarray(BYTES).convert("P")
    for name in "ab":
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "0.png")
    assert read_image_folder(tmp_path).notices == ()
    image.save(tmp_path / "a/0.png", transparency=int(np.asarray(image)[0, 0]))
    assert read_image_folder(tmp_path).notices[0].startswith("1 image is transparent in part")


def test_turned_pictures_have_an_upright_size(tmp_path: Path) -> None:
    """Pictures that a camera turned keep their upright size: 8 by 4 lying are 4 by 8, and no side is squeezed."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = random.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "0.png", exif=exif.tobytes())
    raw = read_image_folder(tmp_path)
    assert np.array_equal(raw.inputs[0], np.rot90(pixels, -1).transpose(2, 0, 1))
    assert raw.notices == ()
