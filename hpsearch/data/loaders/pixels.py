"""Pixels: image files become one array of bytes, all of one shape, or one line names those that are damaged.

PIL reads the formats of `FORMATS` and no others (some of its readers start programs), within its own limit of pixels an image. Images
are turned upright, made grey or RGB, and resized bilinearly with antialiasing, as torchvision's `Resize` does; transparency is dropped.

Shapes: an image [C, H, W], several [N, C, H, W]; C is 1 (grey) or 3 (RGB).
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hpsearch.data.cells import Array
from hpsearch.data.memory import check_memory
from hpsearch.errors import UserError, shown

FORMATS = {  # the end of a file's name → PIL's format; the names are torchvision's `IMG_EXTENSIONS`
    **{".bmp": "BMP", ".jpeg": "JPEG", ".jpg": "JPEG", ".pgm": "PPM", ".png": "PNG", ".ppm": "PPM"},
    **{".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"},
}
GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L")  # PIL's modes without colour
LARGEST_KEPT = 64  # pixels; images of one size up to this keep it
SIDE = 32  # pixels; of all others, where no size is asked for
WORKERS = 4  # PIL decodes outside of Python's lock
COPIES = 6  # bytes in use for each byte of pixels: the pixels, and float32 inputs on their way

Shape = tuple[int, int, int]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Damage:
    reason: str


def read_sizes(files: Sequence[Path]) -> tuple[set[tuple[int, int]], bool]:
    """Return the (height, width) that image files declare, and whether all of them are grey.

    Files that are no images of `FORMATS`, or have too many pixels, are refused.
    """

    def read(file: Path) -> tuple[tuple[int, int], bool]:
        with _open(file) as image:
            return (image.height, image.width), image.mode in GREY

    declared = _of_each(read, files)
    return {size for size, _ in declared}, all(grey for _, grey in declared)


def read_pixels(files: Sequence[Path], shape: Shape) -> Array:
    """Return image files as bytes [N, C, H, W]; refuse those that cannot be decoded, and more than memory holds."""
    check_pixels(len(files), shape)
    values = np.empty((len(files), *shape), dtype=np.uint8)
    numbers = {file: number for number, file in enumerate(files)}

    def read(file: Path) -> None:
        with _open(file) as image:
            # A JPEG that is much too large is decoded at a fraction of its size.
            image.draft(None, (3 * shape[2], 3 * shape[1]))
            values[numbers[file]] = to_pixels(ImageOps.exif_transpose(image), shape)

    _of_each(read, files)
    return values


def check_pixels(count: int, shape: Shape) -> None:
    """Refuse more images than memory holds."""
    needed = COPIES * count * int(np.prod(shape))
    check_memory(needed, f"{count:,} images of {shape[2]}×{shape[1]} pixels", "Give a smaller size (data.size).")


def to_pixels(image: Image.Image, shape: Shape) -> Array:
    """Return one image as bytes of the shape [C, H, W]; a ValueError refuses 32 bits for a channel."""
    if image.mode in ("I", "F"):
        raise ValueError("32 bits for a channel, 8 or 16 expected")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))  # PIL would cut at 255
    if shape[0] == 3 or image.mode not in GREY:
        image = image.convert("RGB")
    if shape[0] == 1:
        image = image.convert("L")
    if image.size != (shape[2], shape[1]):
        image = image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    values = np.asarray(image)  # [H, W] or [H, W, 3]
    return values[None] if shape[0] == 1 else values.transpose(2, 0, 1)


def without_colour(values: Array) -> Array:
    """Return images [N, 3, H, W] as [N, 1, H, W] where all of them are grey, else as they are."""
    grey = values.shape[1] == 3 and all(np.array_equal(values[:, 0], values[:, channel]) for channel in (1, 2))
    return values[:, :1].copy() if grey else values


def common_size(sizes: set[tuple[int, int]], size: int | None) -> tuple[int, int]:
    """Return height and width for images of these (height, width): `size` squared, else their common one, else `SIDE` squared."""
    if size is None and len(sizes) == 1:
        (common,) = sizes
        if max(common) <= LARGEST_KEPT:
            return common
    return size or SIDE, size or SIDE


def resized_notice(sizes: set[tuple[int, int]], to: tuple[int, int]) -> tuple[str, ...]:
    """Return the notice that images of these (height, width) were resized, if they were."""
    if sizes == {to}:
        return ()
    (height, width), *others = sorted(sizes, key=lambda size: size[0] * size[1])
    largest = f" to {others[-1][1]}×{others[-1][0]}" if others else ""
    return (f"Images of {width}×{height}{largest} pixels resized to {to[1]}×{to[0]} (set data.size for another size).",)


def shown_path(path: Path) -> str:
    """Return a path as an error shows it."""
    return shown(str(path), 300)


def _open(file: Path) -> Image.Image:
    image = Image.open(file, formats=sorted({*FORMATS.values()}))
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.close()
        raise ValueError(f"{image.width:,}×{image.height:,} pixels are too many")
    return image


def _of_each(read: Callable[[Path], Result], files: Sequence[Path]) -> list[Result]:
    """Return what `read` makes of each file, or say which of them are damaged."""

    def attempt(file: Path) -> Result | _Damage:
        try:
            return read(file)
        except Exception as error:  # a damaged file can make PIL raise almost anything
            return _Damage(_reason(error))

    with warnings.catch_warnings(), ThreadPoolExecutor(WORKERS) as pool:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        results = list(pool.map(attempt, files))
    damaged = [(file, result) for file, result in zip(files, results, strict=True) if isinstance(result, _Damage)]
    if damaged:
        file, damage = damaged[0]
        others = len(damaged) - 1
        more = f", and {others:,} more of them neither" if others else ""
        raise UserError(
            f"{shown_path(file)} cannot be read as an image ({damage.reason}){more}. Replace or remove what is damaged."
        )
    return [result for result in results if not isinstance(result, _Damage)]


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not of a known format, or cut off"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "out of memory"
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__, 100).strip("'\"").rstrip(".")
