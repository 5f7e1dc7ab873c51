"""A folder of images: a sub-folder for each class, whose name is the label (torchvision's `ImageFolder` layout).

    pictures/cats/1.png            pictures/train/cats/1.png
    pictures/dogs/2.png      or    pictures/train/dogs/2.png
                                   pictures/test/cats/3.png …

With `train` there are test rows: those of `test`, else of `val`; where there are both, `val` joins the training rows, of which the
validation rows are drawn by seed like everywhere. Hidden files are passed over, links that leave the folder are refused.

New images for a trained network lie in a folder in any way, or in an array. They are read as those were that it was trained on.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.cells import NUMBERS, Array, Raw, to_array
from hpsearch.data.loaders.array_files import ENDS, read_inputs_file
from hpsearch.data.loaders.pixels import (
    FORMATS,
    Shape,
    common_size,
    read_pixels,
    read_sizes,
    resized_notice,
    shown_path,
    without_colour,
)
from hpsearch.errors import UserError, listed, shown

PARTS = {"train": "train", "training": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
KINDS = ", ".join(sorted(end[1:] for end in FORMATS))

Labelled = list[tuple[Path, str]]  # image files with their classes


def read_image_folder(folder: Path, size: int | None = None) -> Raw:
    """Return the images of a folder as bytes [N, C, H, W], with their classes' names as targets.

    Images keep their common size where all have one of at most 64 pixels; otherwise, or where a `size` (pixels) is asked for, they become
    squares. C is 1 where no image has colour, else 3.

    Raises:
        UserError: no images, fewer than two classes, a class without images, damaged images, links that leave the folder, too many for
            the memory.
    """
    training, test, notices = _find_parts(folder)
    rows = [*training, *test]
    files = [file for file, _ in rows]
    sizes, grey = read_sizes(files)
    to = common_size(sizes, size)
    channels = 1 if grey else 3
    return Raw(
        without_colour(read_pixels(files, (channels, *to))),
        np.array([label for _, label in rows], dtype=object),
        f"folder of images {shown(folder.resolve().name)}",
        given_test=len(test),
        images={"source": "folder", "size": None if sizes == {to} else to[0], "divisor": 1},
        notices=(*notices, *resized_notice(sizes, to)),
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
        values = _fitting(to_array(given, "images"), shape)
    elif Path(given).suffix.lower() in ENDS:
        values = _fitting(read_inputs_file(Path(given)), shape)
    else:
        values = read_pixels(image_files(Path(given)), shape)
    if values.dtype != np.uint8:
        return values.astype(np.float32)
    if preprocessing["divisor"] == 1:
        return values
    return (values / np.float32(preprocessing["divisor"])).astype(np.float32)


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder, or the one that is given, in the order of `read_images`; a UserError says that there are none."""
    images: list[Path] = []
    if path.is_dir():
        images, _ = _find_images(path)
    elif _is_image(path):
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
    images = [file for file in files if _is_image(file)]
    return images, len(files) - len(images)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in FORMATS and file.is_file()


def _find_parts(folder: Path) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Return training rows, test rows and what a reader should know."""
    parts = _parts(folder)
    read = {part: _classes(path) for part, path in parts.items()}
    training, validation, test = (read.get(part, ([], 0))[0] for part in ("train", "val", "test"))
    ignored = sum(others for _, others in read.values())
    notices = []
    if ignored:
        files = f"{ignored:,} file{'s' * (ignored > 1)}"
        notices.append(f"Ignored {files} that are no images by their names, or lie in no class's folder.")
    if "test" not in read:
        test = validation
    elif "val" in read:
        training = training + validation
        names = f"{parts['val'].name} joined those of {parts['train'].name}"
        notices.append(f"The images of {names}; validation rows are drawn of both.")
    _check_classes(training, test, folder)
    return training, test, tuple(notices)


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts; where the sub-folders are classes, the folder itself is that of the training rows."""
    inside = _subfolders(folder)
    parts = {PARTS[path.name.lower()]: path for path in inside if path.name.lower() in PARTS}
    if "train" not in parts or len(parts) < len(inside):
        return {"train": folder}
    return parts


def _classes(folder: Path) -> tuple[Labelled, int]:
    """Return the images of a folder with their classes, and how many other files there are."""
    labelled: Labelled = []
    ignored = sum(path.is_file() for path in folder.iterdir() if not path.name.startswith("."))
    for class_folder in _subfolders(folder):
        images, others = _find_images(class_folder)
        if not images:
            raise UserError(
                f"class folder {shown_path(class_folder)} holds no images ({KINDS}). Add some or remove it."
            )
        if not class_folder.name.isprintable():
            raise UserError(f"class folder {shown_path(class_folder)}: its name does not print. Rename it.")
        labelled += [(image, class_folder.name) for image in images]
        ignored += others
    if not labelled:
        loose, _ = _find_images(folder)
        what = "no images"
        if loose:
            what = f"{len(loose):,} images, but no folder for a class"
        raise UserError(
            f"{shown_path(folder)} holds {what}. Expected: a folder for each class with its images ({KINDS}) in it."
        )
    return labelled, ignored


def _check_classes(training: Labelled, test: Labelled, folder: Path) -> None:
    """Refuse training rows of one class, and test rows of other classes than the training rows have."""
    known = {label for _, label in training}
    tested = {label for _, label in test}
    if len(known) < 2:
        raise UserError(
            f"{shown_path(folder)} holds 1 class ({listed([*known])}), at least 2 needed. Give a folder for each class."
        )
    for part, absent in (("training", tested - known), ("test", known - tested)):
        if test and absent:
            raise UserError(
                f"class {listed(sorted(absent))} has no {part} images in {shown_path(folder)}. Add some or remove it."
            )


def _subfolders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"folder {shown_path(folder)}: {error.strerror}. Give a folder of images that can be read."
        ) from None
    visible = [path for path in inside if not path.name.startswith(".") and path.name != "__MACOSX"]
    return [_contained(path, folder) for path in visible if path.is_dir()]


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
