"""New images for a trained network: read as those were that it was trained on, by what its preprocessing says of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.cells import NUMBERS, Array, to_array
from hpsearch.data.loaders.array_files import ENDS, read_inputs_file
from hpsearch.data.loaders.image_folder import find_images
from hpsearch.data.loaders.pixels import FORMATS, read_pixels
from hpsearch.errors import UserError, shown


def read_images(preprocessing: Mapping[str, Any], given: Any) -> Array:
    """Return images [N, C, H, W] (uint8 or float32) on the scale of those that were trained on.

    Args:
        preprocessing: of kind "images": `shape` [C, H, W], and the `divisor` of bytes.
        given: a folder of image files (any folders in it, in the order of `image_files`), one such file, an .npz or .npy file, or an
            array [N, H, W], [N, C, H, W] or [N, H, W, C].

    Raises:
        UserError: no images, damaged ones, arrays of another shape, values that are missing or infinite.
    """
    channels, height, width = (int(length) for length in preprocessing["shape"])
    path = Path(given) if isinstance(given, str | Path) else None
    if path is None:
        values = _fitting(to_array(given, "images"), (channels, height, width))
    elif path.suffix.lower() in ENDS:
        values = _fitting(read_inputs_file(path), (channels, height, width))
    else:
        values = read_pixels(image_files(path), (channels, height, width))
    if values.dtype != np.uint8:
        return values.astype(np.float32)
    if preprocessing["divisor"] == 1:
        return values
    return (values / np.float32(preprocessing["divisor"])).astype(np.float32)


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder, or the one that is given, in the order in which `read_images` reads them.

    Raises:
        UserError: there are none.
    """
    if path.is_dir():
        images, _ = find_images(path)
    else:
        images = [path] if path.is_file() and path.suffix.lower() in FORMATS else []
    if not images:
        raise UserError(
            f"no images in {shown(str(path), 300)}. Give a folder of images, an image, or an array (.npz, .npy)."
        )
    return images


def _fitting(values: Array, shape: tuple[int, int, int]) -> Array:
    """Return an array as images of the shape [C, H, W]."""
    channels, height, width = shape
    if values.ndim == 3 and channels == 1:
        values = values[:, None]
    if values.shape[1:] == (height, width, channels) != shape:
        values = values.transpose(0, 3, 1, 2)
    if values.shape[1:] != shape or values.dtype.kind not in NUMBERS:
        kind = f"shape {values.shape} of {values.dtype}"
        raise UserError(
            f"images: {kind}, numbers [N, {channels}, {height}, {width}] expected. Give images as the network was trained on."
        )
    if values.dtype.kind == "f":
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)  # [N]
        if not finite.all():
            raise UserError(
                f"images: missing or infinite values, the first in image {int((~finite).argmax())}. Drop that image."
            )
    return values
