"""Pixels: image files become one array of bytes, all of one shape, or one line names those that are damaged.

PIL reads the formats of `FORMATS` and no others (some of its readers start programs), within its own limit of pixels an image. Images
are turned upright, made grey or RGB, and resized bilinearly with antialiasing, as torchvision's `Resize` does; transparency is dropped,
or laid over a background. Images of 16 bits keep them where `read_pixels` is asked to.

Shapes: an image [C, H, W], several [N, C, H, W]; C is 1 (grey) or 3 (RGB).
"""

import warnings
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hpsearch.data.cells import Array
from hpsearch.data.image_scale import FULL, PART, SPREAD
from hpsearch.data.memory import check_memory
from hpsearch.errors import LONGEST_PLACE, UserError, counted, shown

FORMATS = {  # the end of a file's name → PIL's format; the names are torchvision's `IMG_EXTENSIONS`
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".pgm": "PPM",
    ".png": "PNG",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L")  # PIL's modes without colour
ORIENTATION = 0x0112  # EXIF's tag
LYING = (5, 6, 7, 8)  # its values of images whose height is their width once they are upright
LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)  # of red, green, blue: ITU-R BT.601, as PIL has it
LARGEST_KEPT = 64  # pixels; images of one size up to this keep it
SIDE = 32  # pixels; of all others, where no size is asked for
WORKERS = 4  # PIL decodes outside of Python's lock
DEFLATION = 1_032  # bytes of which PNG's compression makes one, at most (zlib's technical details)
COPIES = 6  # bytes in use for each byte of pixels: the pixels, and float32 inputs on their way

Shape = tuple[int, int, int]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Damage:
    reason: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What image files declare: the (height, width) of them, whether all are grey, which [N] have 16 bits a channel."""

    files: tuple[Path, ...]
    sizes: frozenset[tuple[int, int]]
    grey: bool
    deep: tuple[bool, ...]

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return 1 if self.grey else 3

    @property
    def any_deep(self) -> bool:
        """Whether an image has 16 bits a channel."""
        return any(self.deep)

    def notices(self, values: Array) -> tuple[str, ...]:
        """Return the notice that images have 16 bits a channel, some or all; `values` [N, …] are their pixels.

        Raises:
            UserError: some have 8 bits, and it is unclear how the others' range compares.
        """
        if not self.any_deep:
            return ()
        count = sum(self.deep)
        largest = int(values[np.array(self.deep)].max())
        which = "1 image has" if count == 1 else f"{count:,} images have"
        said = f"{which} 16 bits a channel, with values up to {largest:,}"
        if count == len(self.deep):
            return (f"{said}: kept as they are.",)
        others = f"{len(self.deep) - count:,} others have 8"
        if largest < PART:
            raise UserError(f"{said}, {others}: unclear how they compare. Save all images with the same bits.")
        return (f"{said}, {others}: theirs are spread over 16 (times {SPREAD}).",)


@dataclass(frozen=True, slots=True)
class Pixels:
    """Images [N, C, H, W], uint8 or (of 16 bits) uint16, and what a reader should know of them."""

    values: Array
    notices: tuple[str, ...]


def look_at(files: Sequence[Path]) -> Looks:
    """Return what image files declare; files that are no images of `FORMATS`, or have too many pixels or bits, are refused."""

    def read(file: Path) -> tuple[tuple[int, int], bool, bool, str]:
        with _open(file) as image:
            deep = is_deep(image)
            grey = image.mode in GREY or (deep and image.mode == "I")
            return _upright(image), grey, deep, _unread_bits(image)

    declared = _of_each(read, files)
    _refuse_bits(files, [bits for *_, bits in declared])
    sizes = frozenset(size for size, *_ in declared)
    return Looks(tuple(files), sizes, all(grey for _, grey, *_ in declared), tuple(deep for _, _, deep, _ in declared))


def _unread_bits(image: Image.Image) -> str:
    """Return what an image, not yet decoded, has that cannot be read in full; nothing where it can.

    PIL keeps the high byte alone of colours of 16 bits that are no PNG.
    """
    if image.mode == "F":
        return "floating-point numbers of 32 bits"
    if image.mode == "I" and not is_deep(image):
        return "32 bits a channel"
    if image.mode in (*GREY, "I") or image.format not in ("TIFF", "PPM"):
        return ""
    how = [tile[3] for tile in _tiles(image)]
    of_tiff = any(";16" in str(told) for told in how)
    of_ppm = any(isinstance(told, tuple) and isinstance(told[-1], int) and told[-1] > FULL[8] for told in how)
    return f"colours of 16 bits as {image.format}" * (of_tiff or of_ppm)


def _refuse_bits(files: Sequence[Path], bits: Sequence[str]) -> None:
    """Refuse images of which a part of the bits would be lost."""
    unread = [(file, text) for file, text in zip(files, bits, strict=True) if text]
    if not unread:
        return
    file, text = unread[0]
    others = len(unread) - 1
    more = f" (and {counted(others, 'more image')})" * (others > 0)
    raise UserError(
        f"{shown_path(file)}{more} has {text}, which cannot be read in full. Save it as PNG of 8 or 16 bits, or all images as an "
        "array (.npz, .npy)."
    )


def is_deep(image: Image.Image) -> bool:
    """Whether an image, not yet decoded, has 16 bits a channel."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):  # PIL has 32 bits for the latter
        return True
    return image.format == "PNG" and any(";16" in str(tile[3]) for tile in _tiles(image))


def _upright(image: Image.Image) -> tuple[int, int]:
    """Return height and width of an image once it stands upright."""
    if image.getexif().get(ORIENTATION, 1) in LYING:
        return image.width, image.height
    return image.height, image.width


def read_pixels(files: Sequence[Path], shape: Shape, *, deep: bool = False, background: str | None = None) -> Pixels:
    """Return image files as bytes [N, C, H, W], or with 16 bits where they are `deep`.

    Transparent images are laid over a `background` ("white", "black"); without one their colours are taken as they are.

    Raises:
        UserError: images that cannot be decoded, that are one colour without a background, or more than memory holds.
    """
    check_pixels(len(files), shape, deep=deep)
    values = np.empty((len(files), *shape), dtype=np.uint16 if deep else np.uint8)
    transparent = np.zeros(len(files), dtype=bool)
    hidden = np.zeros(len(files), dtype=bool)
    numbers = {file: number for number, file in enumerate(files)}

    def read(file: Path) -> None:
        number = numbers[file]
        with _open(file) as image:
            in_full = deep and is_deep(image)  # before the image is decoded
            # A JPEG that is much too large is decoded at a fraction of its size.
            image.draft(None, (3 * shape[2], 3 * shape[1]))
            alpha = _alpha(image)
            if alpha is not None:
                transparent[number] = True
                hidden[number] = background is None and _is_hidden(image, alpha)
            if in_full:
                values[number] = _deep_pixels(file, image, shape, background)
                return
            upright = ImageOps.exif_transpose(_over(image, alpha, background))
            values[number] = to_pixels(upright, shape).astype(values.dtype) * (SPREAD if deep else 1)

    _of_each(read, files)
    _refuse_hidden(files, hidden)
    return Pixels(values, _transparent_notice(int(transparent.sum()), background))


def _alpha(image: Image.Image) -> Image.Image | None:
    """Return how opaque an image's pixels are, None where all are."""
    has_alpha = image.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in image.info
    if not has_alpha or image.mode.startswith("I"):
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _is_hidden(image: Image.Image, alpha: Image.Image) -> bool:
    """Whether an image is drawn by its transparency alone: without that it is one colour."""
    opacity = np.asarray(alpha)  # [H, W]
    colours = np.asarray(image.convert("RGBA"))[..., :3].reshape(-1, 3)
    return bool((opacity != opacity[0, 0]).any() and (colours == colours[0]).all())


def _refuse_hidden(files: Sequence[Path], hidden: Array) -> None:
    if hidden.any():
        first = shown_path(files[int(hidden.argmax())])
        raise UserError(
            f"{int(hidden.sum()):,} images are drawn by their transparency alone ({first} first), one colour without a background. "
            "Give a study one (--set data.background=white, or black), or save them opaque."
        )


def _over(image: Image.Image, alpha: Image.Image | None, background: str | None) -> Image.Image:
    if alpha is None or background is None:
        return image
    under = Image.new("RGBA", image.size, background)
    laid = Image.alpha_composite(under, image.convert("RGBA"))
    is_grey = image.mode in GREY
    flat = laid.convert("RGB")
    flat = flat.getchannel("R") if is_grey else flat
    flat.info = dict(image.info)
    flat.getexif().update(image.getexif())
    return flat


def _transparent_notice(count: int, background: str | None) -> tuple[str, ...]:
    if not count:
        return ()
    images = "1 image is" if count == 1 else f"{count:,} images are"
    if background:
        return (f"{images} transparent in part: laid over {background}.",)
    other = "--set data.background=white (or black) lays them over one"
    return (f"{images} transparent in part: colours are taken as if they were opaque ({other}).",)


def _deep_pixels(file: Path, image: Image.Image, shape: Shape, background: str | None) -> Array:
    """Return one image of 16 bits a channel as [C, H, W] uint16."""
    orientation = image.getexif().get(ORIENTATION, 1)
    channels = _channels(file, image, background)  # [1 or 3, H, W]
    if len(channels) == 3 and shape[0] == 1:
        channels = np.tensordot(LUMA, channels, axes=1)[None]
    resized = [_resized(channel, orientation, shape) for channel in channels]
    return np.stack(resized * (shape[0] // len(resized)))


def _channels(file: Path, image: Image.Image, background: str | None) -> Array:
    """Return the channels [1 or 3, H, W] of an image of 16 bits."""
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.float32)[None]
    decoded = _both_bytes(file)
    count = 1 if len(decoded) <= 2 else 3
    colours: Array = decoded[:count]
    if background is None or len(decoded) == count:
        return colours
    opaque = decoded[count] / FULL[16]  # [H, W]
    under = FULL[16] if background == "white" else 0
    return np.asarray(colours * opaque + under * (1 - opaque))


def _both_bytes(file: Path) -> Array:
    """Return the channels [C, H, W] of a PNG image that has 16 bits in each of several, of which PIL keeps the high byte.

    Where PIL takes the numbers for little-endian ones it keeps the low byte; two channels of 16 bits it takes for four of 8. (torchvision's
    decoder reads all bits, and ends the process where a file is damaged.)
    """
    with _open(file) as image:
        rawmode = str(_tiles(image)[0][3])
    if rawmode == "LA;16B":
        bytes_ = _decoded_as(file, "RGBA")  # [H, W, 4]: of each channel the high byte, then the low one
        high, low = bytes_[..., ::2], bytes_[..., 1::2]
    else:
        high, low = _decoded_as(file, rawmode), _decoded_as(file, rawmode.replace("16B", "16L"))
    both = 256 * high.astype(np.float32) + low  # [H, W, C]
    return np.asarray(both.transpose(2, 0, 1))


def _decoded_as(file: Path, rawmode: str) -> Array:
    """Return the bytes [H, W, C] of an image whose pixels PIL takes for some in a raw mode of its own."""
    with _open(file) as image:
        image.tile = [(*tile[:3], rawmode) for tile in _tiles(image)]  # type: ignore[attr-defined]
        return np.asarray(image)


def _tiles(image: Image.Image) -> list[Any]:
    """Return what PIL's decoder is told of each part of an image that is not yet decoded: the last item is the raw mode."""
    return [*getattr(image, "tile", ())]


def _resized(channel: Array, orientation: int, shape: Shape) -> Array:
    image = Image.fromarray(channel.astype(np.float32))
    image.getexif()[ORIENTATION] = orientation
    image = ImageOps.exif_transpose(image)
    if image.size != (shape[2], shape[1]):
        image = image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    return np.asarray(image).round().clip(0, FULL[16]).astype(np.uint16)


def check_pixels(count: int, shape: Shape, *, deep: bool = False) -> None:
    """Refuse more images than memory holds."""
    needed = COPIES * (1 + deep) * count * int(np.prod(shape))
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


def common_size(sizes: Set[tuple[int, int]], size: int | None) -> tuple[int, int]:
    """Return height and width for images of these (height, width): `size` squared, else their common one, else `SIDE` squared."""
    if size is None and len(sizes) == 1:
        (common,) = sizes
        if max(common) <= LARGEST_KEPT:
            return common
    return size or SIDE, size or SIDE


def resized_notice(sizes: Set[tuple[int, int]], to: tuple[int, int]) -> tuple[str, ...]:
    """Return the notice that images of these (height, width) were resized, if they were."""
    if sizes == {to}:
        return ()
    (height, width), *others = sorted(sizes, key=lambda size: size[0] * size[1])
    largest = f" to {others[-1][1]}×{others[-1][0]}" if others else ""
    return (f"Images of {width}×{height}{largest} pixels resized to {to[1]}×{to[0]} (set data.size for another size).",)


def is_image(file: Path) -> bool:
    """Whether a file is one of an image, by its name."""
    return file.suffix.lower() in FORMATS and file.is_file()


def shown_path(path: Path) -> str:
    """Return a path as an error shows it."""
    return shown(str(path), LONGEST_PLACE)


def _open(file: Path) -> Image.Image:
    image = Image.open(file, formats=sorted({*FORMATS.values()}))
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.close()
        raise ValueError(f"{image.width:,}×{image.height:,} pixels are too many")
    size = file.stat().st_size
    if image.format == "PNG" and image.width * image.height > 8 * DEFLATION * size:  # of a bit each
        image.close()
        raise ValueError(f"{image.width:,}×{image.height:,} pixels are not in {size:,} bytes")
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
