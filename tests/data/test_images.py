"""Folders of images: layouts, sizes and colour, new images for a trained network, and each kind of damage in one line."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2 import functional as transforms

from hpsearch.data import memory
from hpsearch.data.assemble import assemble
from hpsearch.data.loaders.files import load_file
from hpsearch.data.loaders.image_folder import image_files, read_image_folder, read_images
from hpsearch.data.loaders.pixels import FORMATS, to_pixels
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError

random = np.random.default_rng(0)


def picture(file: Path, shape: tuple[int, ...] = (8, 8, 3), **options: Any) -> np.ndarray:
    """Write an image of random pixels; return its pixels."""
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)
    return pixels


def pictures(root: Path, classes: tuple[str, ...] = ("cats", "dogs"), rows: int = 12, **options: Any) -> Path:
    """Write a folder of images by class; return it."""
    for name in classes:
        for number in range(rows):
            picture(root / name / f"{number:02}.png", **options)
    return root


def test_equal_to_torchvision(tmp_path: Path) -> None:
    """Small images of one size are read pixel for pixel as torchvision's ImageFolder reads them, with its classes."""
    raw = read_image_folder(pictures(tmp_path / "p", ("b", "a10", "a2"), rows=3, shape=(7, 9, 3)))
    theirs = ImageFolder(tmp_path / "p")
    assert np.array_equal(raw.inputs, [np.asarray(image).transpose(2, 0, 1) for image, _ in theirs])
    assert list(raw.targets) == [theirs.classes[label] for _, label in theirs]
    assert (raw.inputs.dtype, raw.inputs.shape) == (np.uint8, (9, 3, 7, 9))
    scale = {"divisor": 1, "bits": 8, "range": [raw.inputs.min(), raw.inputs.max()]}
    assert raw.images == {"source": "folder", "size": None, **scale}
    assert (raw.notices, raw.given_test) == ((), 0)
    assert set(IMG_EXTENSIONS) == set(FORMATS)


@pytest.mark.parametrize("size", [None, 20])
def test_resized_like_torchvision(tmp_path: Path, size: int | None) -> None:
    """Large or unequal images become squares as torchvision's antialiased Resize makes them, and one notice says so."""
    for name in ("a", "b"):
        picture(tmp_path / name / "0.png", (100, 80, 3))
        picture(tmp_path / name / "1.png", (50, 70, 3))
    raw, side = read_image_folder(tmp_path, ReadOptions(size=size)), size or 32
    theirs = [np.asarray(transforms.resize(image, [side, side], antialias=True)) for image, _ in ImageFolder(tmp_path)]
    assert np.array_equal(raw.inputs, np.stack(theirs).transpose(0, 3, 1, 2))
    assert raw.images["size"] == side
    assert raw.notices == (
        f"Images of 70×50 to 80×100 pixels resized to {side}×{side} (set data.size for another size).",
    )


def test_a_large_jpeg_is_decoded_small(tmp_path: Path) -> None:
    """A large JPEG, decoded at a fraction of its size, is within 3 of 255 of the whole image resized."""
    y, x = np.mgrid[:1200, :1600]
    smooth = np.stack((x / 7 % 256, y / 5 % 256, 128 + 100 * np.sin((x + y) / 90)), axis=2).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(smooth[::-1] if name == "b" else smooth).save(tmp_path / name / "0.jpg", quality=95)
    raw = read_image_folder(tmp_path)
    whole = to_pixels(Image.open(tmp_path / "a/0.jpg"), (3, 32, 32))
    assert np.abs(raw.inputs[0].astype(int) - whole).mean() < 3


def test_grey_is_one_channel(tmp_path: Path) -> None:
    """Images without colour have one channel, whether their files say grey or RGB; a single coloured one makes it three."""
    grey = picture(tmp_path / "a/0.png", (8, 8))
    rgb = np.repeat(grey[::-1, :, None], 3, axis=2)
    (tmp_path / "b").mkdir()
    Image.fromarray(rgb).save(tmp_path / "b/0.png")
    raw = read_image_folder(tmp_path)
    assert np.array_equal(raw.inputs, np.stack((grey, grey[::-1]))[:, None])
    colours = picture(tmp_path / "b/1.png")
    assert np.array_equal(read_image_folder(tmp_path).inputs[2], colours.transpose(2, 0, 1))


def test_kinds_of_pixels(tmp_path: Path) -> None:
    """Sixteen bits are kept and eight spread over them, black and white are 0 and 255, alpha is dropped, phones' images stand upright."""
    deep = random.integers(0, 65536, (8, 8)).astype(np.uint16)
    (tmp_path / "a").mkdir()
    Image.fromarray(deep).save(tmp_path / "a/16.png")
    bits = random.integers(0, 2, (8, 8)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "a/1.png")
    clear = picture(tmp_path / "b/alpha.png", (8, 8, 4))
    turned = picture(tmp_path / "b/turned.png", exif=bytes(_turned()))
    raw = read_image_folder(tmp_path)
    one, sixteen, alpha, upright = raw.inputs
    assert np.array_equal(sixteen[0], deep)
    assert np.array_equal(one[0], 65_535 * bits)
    assert np.array_equal(alpha, clear[:, :, :3].transpose(2, 0, 1) * np.uint16(257))
    assert np.array_equal(upright, np.rot90(turned, -1).transpose(2, 0, 1) * np.uint16(257))
    assert raw.notices[0].startswith(
        f"1 image has 16 bits a channel, with values up to {deep.max():,}, 3 others have 8"
    )
    assert raw.notices[1].startswith("1 image is transparent in part: colours are taken as if they were opaque")


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90° clockwise
    return exif.tobytes()


@pytest.mark.parametrize(
    ("parts", "training", "test", "notice"),
    [
        (("train", "test"), 24, 24, False),
        (("Train", "val"), 24, 24, False),
        (("training", "valid", "test"), 48, 24, True),
        (("train",), 24, 0, False),
    ],
)
def test_parts(tmp_path: Path, parts: tuple[str, ...], training: int, test: int, notice: bool) -> None:
    """Sub-folders of parts give the test rows; validation images join the training ones where there are test images, and that is said."""
    for part in parts:
        pictures(tmp_path / part)
    raw = read_image_folder(tmp_path)
    assert (len(raw.inputs), raw.given_test) == (training + test, test)
    data = assemble(raw, "p", "p", TaskOptions(), SplitOptions())
    assert len(data.training) + len(data.validation) == (training if test else training - len(data.test))
    assert (data.shape, data.classes) == ((3, 8, 8), ("cats", "dogs"))
    assert raw.notices[0].startswith("Divided as its folders are: ")
    assert (len(raw.notices) > 1) == notice
    if test:
        own = np.stack([np.asarray(Image.open(file)) for file in image_files(tmp_path / parts[-1])]).transpose(
            0, 3, 1, 2
        )
        assert np.array_equal(raw.inputs[-test:], own)


def test_own_test_images_are_kept_apart(tmp_path: Path) -> None:
    """Of a folder with parts the test images are the test rows, all and only they; from the file's door on."""
    for part, shade in (("train", 40), ("test", 240)):
        for name in ("a", "b"):
            for number in range(12):
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 4), shade + number, dtype=np.uint8)).save(
                    tmp_path / part / name / f"{number}.png"
                )
    data = load_file(tmp_path, None)
    assert data.summary["rows"]["test"] == len(data.test) == 24
    assert data.test.inputs.min() > max(data.training.inputs.max(), data.validation.inputs.max())
    with pytest.raises(UserError, match="test 5: this data set brings 24 test rows of its own"):
        load_file(tmp_path, None, split=SplitOptions(test=5))


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    """Other files are counted in a notice; hidden ones and what macOS leaves in archives are passed over."""
    pictures(tmp_path)
    for name in ("cats/notes.txt", "README", "cats/.hidden.png", ".git/config", "__MACOSX/._x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    raw = read_image_folder(tmp_path)
    assert len(raw.inputs) == 24
    assert raw.notices == ("Ignored 2 files that are no images by their names, or lie in no class's folder.",)


def test_new_images(tmp_path: Path) -> None:
    """New images, as files or arrays, come in the shape and on the scale of the images that were trained on."""
    pictures(tmp_path, rows=3, shape=(40, 30, 3))
    read, files = read_image_folder(tmp_path, ReadOptions(size=16)).inputs, image_files(tmp_path)
    trained = {"kind": "images", "version": 1, "shape": [3, 16, 16], "source": "folder", "size": 16, "divisor": 1}
    assert [file.name for file in files] == ["00.png", "01.png", "02.png"] * 2
    assert np.array_equal(read_images(trained, tmp_path), read)
    assert np.array_equal(read_images(trained, str(files[4])), read[4:5])
    assert np.array_equal(read_images(trained, torch.from_numpy(read)), read)
    assert np.array_equal(read_images(trained, read.transpose(0, 2, 3, 1)), read)
    unit = read_images({**trained, "divisor": 255}, tmp_path)
    assert unit.dtype == np.float32
    assert np.allclose(unit, read / 255, atol=1e-7)
    floats = (read / 255).astype(np.float64)
    assert np.array_equal(read_images({**trained, "divisor": 255}, floats), floats.astype(np.float32))
    np.savez(tmp_path / "new.npz", X=read, y=np.arange(6))
    assert np.array_equal(read_images(trained, tmp_path / "new.npz"), read)


def test_new_grey_images(tmp_path: Path) -> None:
    """For a network of grey images, coloured files become grey, and arrays need no axis of channels."""
    trained = {"shape": [1, 8, 8], "divisor": 1}
    colours = picture(tmp_path / "a.png")
    grey = colours @ (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL says
    assert np.abs(read_images(trained, tmp_path)[0, 0] - grey).max() < 1
    assert read_images(trained, random.random((5, 8, 8))).shape == (5, 1, 8, 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((5, 3, 9, 8)), r"shape \(5, 3, 9, 8\) of float64, numbers \[N, 3, 8, 8\] expected"),
        (np.zeros((5, 8, 8)), r"numbers \[N, 3, 8, 8\] expected"),
        (np.full((5, 3, 8, 8), "x"), "numbers"),
        (np.where(np.arange(5)[:, None, None, None] == 3, np.nan, np.zeros((5, 3, 8, 8))), "the first in image 3"),
        ("nowhere", "no images in 'nowhere'"),
        ("nowhere.npy", "file 'nowhere.npy': No such file"),
    ],
)
def test_bad_new_images(given: Any, message: str) -> None:
    """New images of another shape, without values, or that are not there, are refused in one line."""
    with pytest.raises(UserError, match=message) as caught:
        read_images({"shape": [3, 8, 8], "divisor": 1}, given)
    assert str(caught.value).isprintable()


def cut(root: Path) -> None:
    for name in ("cats/03.png", "dogs/05.png"):
        (root / name).write_bytes((root / name).read_bytes()[:-60])


def text(root: Path) -> None:
    (root / "cats/03.png").write_text("<script>alert(1)</script>")


def postscript(root: Path) -> None:
    (root / "cats/03.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")


def bomb(side: int) -> Callable[[Path], object]:
    """A PNG of a few bytes that says it has side × side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return lambda root: (root / "cats/03.png").write_bytes(png)


def floats(root: Path) -> None:
    Image.fromarray(random.random((8, 8)).astype(np.float32)).save(root / "cats/03.tiff")


def empty(root: Path) -> None:
    (root / "birds").mkdir()


def one_class(root: Path) -> None:
    (root / "dogs").rename(root / "cats/dogs")


def loose(root: Path) -> None:
    for file in (*(root / "cats").iterdir(), *(root / "dogs").iterdir()):
        file.rename(root / f"{file.parent.name}{file.name}")
    (root / "cats").rmdir()
    (root / "dogs").rmdir()


def link(what: str, to: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        picture(root.parent / "elsewhere/secret.png")
        (root / what).symlink_to(root.parent / to)

    return make


def newline(root: Path) -> None:
    (root / "cats").rename(root / "ca\nts")


def other_test(root: Path) -> None:
    for name in ("cats", "dogs"):
        (root / "train").mkdir(exist_ok=True)
        (root / name).rename(root / "train" / name)
    pictures(root / "test", ("cats", "birds"))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut, r"cats/03.png' cannot be read as an image \(.*\), and 1 more of them neither. Replace or remove"),
    "text": (text, r"cats/03.png' cannot be read as an image \(not of a known format, or cut off\)\. Replace"),
    "PostScript": (postscript, r"cats/03.png' cannot be read as an image \(not of a known format"),
    "bomb": (bomb(10_000), r"cats/03.png' cannot be read as an image \(.* pixels"),
    "more pixels than bytes hold": (
        bomb(5_000),
        r"cats/03.png' .* \(5,000×5,000 pixels are not in \d\d bytes\)\. Replace",
    ),
    "larger bomb": (bomb(60_000), r"cats/03.png' cannot be read as an image \(.* pixels"),
    "floats": (
        floats,
        r"cats/03.tiff' has floating-point numbers of 32 bits, which cannot be read in full\. Save it as PNG",
    ),
    "empty class": (empty, "class folder '.*birds' holds no images .bmp, jpeg, .*Add some or remove it"),
    "one class": (one_class, r"holds 1 class \('cats'\), at least 2 needed"),
    "no folders": (loose, "holds 24 images, but no folder for a class. Expected: a folder for each class"),
    "link to a file": (link("cats/x.png", "elsewhere/secret.png"), "cats/x.png' is a link that leaves its folder"),
    "link to a folder": (link("birds", "elsewhere"), "birds' is a link that leaves its folder"),
    "link below a class": (link("cats/more", "elsewhere"), "cats/more' is a link that leaves its folder"),
    "name": (newline, r"ca\\nts': its name does not print"),
    "other classes": (other_test, "class 'birds' has no training images"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage(tmp_path: Path, damage: str) -> None:
    """Each kind of damage gives one line that names the file or folder and what to do."""
    spoil, message = DAMAGE[damage]
    spoil(pictures(tmp_path / "p"))
    with pytest.raises(UserError, match=message) as caught:
        read_image_folder(tmp_path / "p")
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(".")


def test_the_plainest_image_is_no_damage(tmp_path: Path) -> None:
    """An image of one colour, a bit a pixel, is the smallest file that an image can be, and is read."""
    pictures(tmp_path, rows=2)
    Image.new("1", (2000, 2000)).save(tmp_path / "cats/plain.png", optimize=True)
    assert (tmp_path / "cats/plain.png").stat().st_size < 1_500
    assert len(read_image_folder(tmp_path, ReadOptions(size=8)).inputs) == 5


def test_a_link_within_the_folder(tmp_path: Path) -> None:
    """A link to an image of the same class folder is an image like others."""
    pictures(tmp_path, rows=2)
    (tmp_path / "cats/again.png").symlink_to("00.png")
    assert len(read_image_folder(tmp_path).inputs) == 5


def test_nothing_there(tmp_path: Path) -> None:
    """A folder that is missing, and one without images, are told apart."""
    with pytest.raises(UserError, match="nowhere': No such file or directory"):
        read_image_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no images"):
        read_image_folder(tmp_path)


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that would not fit are refused before any is decoded: six bytes for each byte of pixels."""
    pictures(tmp_path)
    monkeypatch.setattr(memory, "available", lambda: 6 * 24 * 3 * 8 * 8)
    assert len(read_image_folder(tmp_path).inputs) == 24
    monkeypatch.setattr(memory, "available", lambda: 6 * 24 * 3 * 8 * 8 - 1)
    with pytest.raises(
        UserError, match=r"24 images of 8×8 pixels would need about 0\.0 MB of memory.*Give a smaller size"
    ):
        read_image_folder(tmp_path)


def test_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free is the least of the machine's and the container's; unknown where neither is told."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "address_space_left", lambda: None)
    assert memory.available() is None
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:   8 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() == 8192
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.available() == 4000
    (tmp_path / "memory.stat").write_text(
        "anon 3\ninactive_file 600\n"
    )  # files that are read again when they are needed
    assert memory.available() == 4600
    monkeypatch.setattr(memory, "address_space_left", lambda: 4500)
    assert memory.available() == 4500


@pytest.mark.parametrize(
    ("line", "place", "limit", "used"),
    [
        ("0::/job/step", "job/step", "memory.max", "memory.current"),
        ("0::/job/step", "job", "memory.max", "memory.current"),
        ("4:cpu,memory:/job/step", "memory/job/step", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        ("4:memory:/job/step", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_control_groups(
    line: str, place: str, limit: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of any control group around the process counts, of both versions of Linux's, as does a container's own root."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "address_space_left", lambda: None)
    (tmp_path / "cgroup").write_text(f"9:pids:/job\n{line}\n")
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit).write_text("7000\n")
    (folder / used).write_text("3000\n")
    assert memory.available() == 4000


def test_to_pixels_of_many_modes() -> None:
    """Palettes and printers' colours become RGB, and grey where grey is asked for."""
    pixels = random.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for mode in ("P", "CMYK", "YCbCr", "RGBA", "LA"):
        stream = io.BytesIO()
        converted = image.convert(mode)
        assert to_pixels(converted, (3, 6, 5)).shape == (3, 6, 5)
        assert to_pixels(converted, (1, 6, 5)).shape == (1, 6, 5), stream
