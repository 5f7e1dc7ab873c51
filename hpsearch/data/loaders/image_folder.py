"""A folder of images: a sub-folder for each class, whose name is the label (torchvision's `ImageFolder` layout).

    pictures/cats/1.png            pictures/train/cats/1.png
    pictures/dogs/2.png      or    pictures/train/dogs/2.png
                                   pictures/test/cats/3.png …

With `train` there are test rows: those of `test`, else of `val`; where there are both, `val` joins the training rows, of which the
validation rows are drawn by seed like everywhere, or is the validation rows where that is asked for. `image_layout` knows other layouts
and names. Hidden files are passed over, links that leave the folder are refused.

New images for a trained network lie in a folder in any way, or in an array. They are read as those were that it was trained on.
"""

import os
from collections.abc import Iterator, Mapping
from itertools import chain, starmap
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.cells import NUMBERS, Array, Raw, to_array
from hpsearch.data.image_scale import arrays_on_scale, files_on_scale, scale_of
from hpsearch.data.loaders.array_files import ENDS, read_inputs_file
from hpsearch.data.loaders.image_layout import Layout, find_layout
from hpsearch.data.loaders.pixels import (
    FORMATS,
    Shape,
    common_size,
    is_image,
    look_at,
    read_pixels,
    resized_notice,
    shown_path,
    without_colour,
)
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError, counted, listed, shown

KINDS = ", ".join(sorted(end[1:] for end in FORMATS))

Labelled = list[tuple[Path, str]]  # image files with their classes


def read_image_folder(folder: Path, read: ReadOptions = ReadOptions(), *, keep_validation: bool = False) -> Raw:
    """Return the images of a folder as bytes [N, C, H, W], with their classes' names as targets; 16 bits where the files have them.

    Images keep their common size where all have one of at most 64 pixels; otherwise, or where a `size` (pixels) is asked for, they become
    squares. C is 1 where no image has colour, else 3.

    Args:
        folder: see above.
        read: `size`, `parts` (see `image_layout`) and `background` (of transparent images).
        keep_validation: the folder's validation images are the validation rows; otherwise they join the training rows, or are the test
            rows where there are no others.

    Raises:
        UserError: no images, fewer than two classes, a class without images, damaged images, links that leave the folder, too many for
            the memory, a layout with more than one reading.
    """
    layout = find_layout(folder, _subfolders, read.parts)
    _check_layout(layout, folder)
    training, validation, test = (_images_of(layout, part) for part in ("train", "validation", "test"))
    notices = [*layout.notices, *_ignored_notice(layout)]
    if keep_validation:
        _check_classes(training, validation, folder, "validation")
    elif test and validation:
        training = training + validation
        notices.append(_joined_notice(layout))
    else:
        test = test or validation
    _check_classes(training, test, folder, "test")
    given_validation = len(validation) * keep_validation
    rows = [*training, *validation[:given_validation], *test]
    looks = look_at([file for file, _ in rows])
    to = common_size(looks.sizes, read.size)
    pixels = read_pixels(looks.files, (looks.channels, *to), deep=looks.any_deep, background=read.background)
    values = without_colour(pixels.values)
    kept: dict[str, Any] = {"source": "folder", "size": None if looks.sizes == {to} else to[0], **scale_of(values)}
    if read.background:
        kept["background"] = read.background
    return Raw(
        values,
        np.array([label for _, label in rows], dtype=object),
        f"folder of images {shown(folder.resolve().name)}",
        given_test=len(test),
        given_validation=given_validation,
        images=kept,
        notices=(*notices, *resized_notice(looks.sizes, to), *looks.notices(values), *pixels.notices),
    )


def read_images(preprocessing: Mapping[str, Any], given: Any) -> Array:
    """Return new images [N, C, H, W] (uint8 or float32) on the scale of those that a network was trained on.

    Args:
        preprocessing: of kind "images": `shape` [C, H, W], and the `divisor` of bytes.
        given: a folder of image files (any folders in it, in the order of `image_files`), one such file, an .npz or .npy file, or an
            array [N, H, W], [N, C, H, W] or [N, H, W, C].

    Raises:
        UserError: no images, damaged ones, arrays of another shape, values that are missing or infinite.
    """
    channels, height, width = (int(length) for length in preprocessing["shape"])
    shape = (channels, height, width)
    if not isinstance(given, str | Path):
        values = arrays_on_scale(_fitting(to_array(given, "images"), shape), preprocessing)
    elif Path(given).suffix.lower() in ENDS:
        values = arrays_on_scale(_fitting(read_inputs_file(Path(given)), shape), preprocessing)
    else:
        values = _read_new(image_files(Path(given)), shape, preprocessing)
    if values.dtype == np.uint8:
        return values
    return values.astype(np.float32)


def _read_new(files: list[Path], shape: Shape, preprocessing: Mapping[str, Any]) -> Array:
    """Return new image files' pixels on the scale of those that were trained on."""
    looks = look_at(files)
    pixels = read_pixels(files, shape, deep=looks.any_deep, background=preprocessing.get("background"))
    looks.notices(pixels.values)  # refuses a mix
    return files_on_scale(pixels.values, preprocessing)


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder, or the one that is given, in the order of `read_images`; a UserError says that there are none."""
    images: list[Path] = []
    if path.is_dir():
        images, _ = _find_images(path)
    elif is_image(path):
        images = [path]
    if not images:
        raise UserError(
            f"no images in {shown_path(path)}. Give a folder of images, an image, or an array (.npz, .npy)."
        )
    return images


def _fitting(values: Array, shape: Shape) -> Array:
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


def _find_images(folder: Path) -> tuple[list[Path], int]:
    """Return the images in a folder, whatever is below it, in the order of their paths, and how many other files there are."""
    files = sorted(_files(folder))
    images = [file for file in files if is_image(file)]
    return images, len(files) - len(images)


def _images_of(layout: Layout, part: str) -> Labelled:
    """Return the images of a part, with their classes."""
    return list(chain.from_iterable(starmap(_class_images, layout.parts.get(part, ()))))


def _class_images(folder: Path, label: str) -> Labelled:
    """Return the images of a class's folder."""
    images, _ = _find_images(folder)
    if not images:
        raise UserError(f"class folder {shown_path(folder)} holds no images ({KINDS}). Add some or remove it.")
    if not label.isprintable():
        raise UserError(f"class folder {shown_path(folder)}: its name does not print. Rename it.")
    return [(image, label) for image in images]


def _check_layout(layout: Layout, folder: Path) -> None:
    """Refuse a folder without a folder for a class."""
    if any(layout.parts.values()):
        return
    loose, _ = _find_images(folder)
    what = "no images"
    if loose:
        what = f"{len(loose):,} images, but no folder for a class"
    raise UserError(
        f"{shown_path(folder)} holds {what}. Expected: a folder for each class with its images ({KINDS}) in it."
    )


def _ignored_notice(layout: Layout) -> tuple[str, ...]:
    """Return the notice about files that are passed over, if there are some."""
    ignored = sum(_count_files(path) for path in layout.passed)
    for folder, _ in chain.from_iterable(layout.parts.values()):
        _, others = _find_images(folder)
        ignored += others
    if not ignored:
        return ()
    files = counted(ignored, "file")
    return (f"Ignored {files} that are no images by their names, or lie in no class's folder.",)


def _count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.iterdir() if not path.name.startswith("."))


def _joined_notice(layout: Layout) -> str:
    names = f"{shown(layout.names['validation'])} joined those of {shown(layout.names['train'])}"
    own = "--set data.validation=given: they alone validate"
    return f"The images of {names}; validation rows are drawn of both ({own})."


def _check_classes(training: Labelled, others: Labelled, folder: Path, part: str) -> None:
    """Refuse training rows of one class, and rows of another part with other classes than the training rows have."""
    known = {label for _, label in training}
    tested = {label for _, label in others}
    if len(known) < 2:
        raise UserError(
            f"{shown_path(folder)} holds 1 class ({listed([*known])}), at least 2 needed. Give a folder for each class."
        )
    for lacking, absent in (("training", tested - known), (part, known - tested)):
        if others and absent:
            raise UserError(
                f"class {listed(sorted(absent))} has no {lacking} images in {shown_path(folder)}. Add some or remove it."
            )


def _subfolders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"folder {shown_path(folder)}: {error.strerror}. Give a folder of images that can be read."
        ) from None
    folders = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    return [_contained(path, folder) for path in folders if path.name != "__MACOSX"]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, hidden ones aside; the folder itself may be a link."""
    for here, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            _contained(Path(here, name), folder)
        yield from (_contained(Path(here, name), folder) for name in names if not name.startswith("."))


def _contained(path: Path, folder: Path) -> Path:
    """Return a path, if it is no link that leaves the folder, nor one to a folder, which would not be followed."""
    if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(folder.resolve())):
        raise UserError(f"{shown_path(path)} is a link that leaves its folder. Put the files themselves there.")
    return path


def _refuse(error: OSError) -> None:
    raise UserError(f"{shown_path(error.filename)}: {error.strerror}. Give a folder of images that can be read.")
