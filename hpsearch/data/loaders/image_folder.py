"""A folder of images: a sub-folder for each class, whose name is the label (torchvision's `ImageFolder` layout).

    pictures/cats/1.png            pictures/train/cats/1.png
    pictures/dogs/2.png      or    pictures/train/dogs/2.png
                                   pictures/test/cats/3.png …

With `train` there are test rows: those of `test`, else of `val`; where there are both, `val` joins the training rows, of which the
validation rows are drawn by seed like everywhere. Hidden files are passed over, links that leave the folder are refused.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hpsearch.data.cells import Raw
from hpsearch.data.loaders.pixels import (
    FORMATS,
    common_size,
    read_headers,
    read_pixels,
    resized_notice,
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
    files = [file for file, _ in [*training, *test]]
    headers = read_headers(files)
    sizes = {(header.height, header.width) for header in headers}
    height, width = common_size(sizes, size)
    channels = 1 if all(header.grey for header in headers) else 3
    return Raw(
        without_colour(read_pixels(files, (channels, height, width))),
        np.array([label for _, label in [*training, *test]], dtype=object),
        f"folder of images {shown(folder.resolve().name)}",
        given_test=len(test),
        images={"source": "folder", "size": None if sizes == {(height, width)} else height, "divisor": 1},
        notices=(*notices, *resized_notice(sizes, (height, width))),
    )


def find_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images in a folder, whatever is below it, in the order of their paths, and the other files.

    Raises:
        UserError: no such folder, or a link that leaves it.
    """
    images: list[Path] = []
    others: list[Path] = []
    for file in sorted(_files(folder)):
        is_image = file.suffix.lower() in FORMATS and file.is_file()
        (images if is_image else others).append(file)
    return images, others


def _find_parts(folder: Path) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Return training rows, test rows and what a reader should know."""
    parts = _parts(folder)
    if parts is None:
        labelled, ignored = _classes(folder)
        _check_classes(labelled, [], folder)
        return labelled, [], _ignored_notice(ignored)
    read = {part: _classes(path) for part, path in parts.items()}
    training, validation, test = (read.get(part, ([], 0))[0] for part in ("train", "val", "test"))
    notices = _ignored_notice(sum(ignored for _, ignored in read.values()))
    if "test" not in read:
        test = validation
    elif "val" in read:
        training = training + validation
        names = f"{parts['val'].name} joined those of {parts['train'].name}"
        notices += (f"The images of {names}; validation rows are drawn of both.",)
    _check_classes(training, test, folder)
    return training, test, notices


def _parts(folder: Path) -> dict[str, Path] | None:
    """Return the folders of the parts where the sub-folders are parts and not classes."""
    inside = _subfolders(folder)
    parts = {PARTS[place.name.lower()]: place for place in inside if place.name.lower() in PARTS}
    return parts if "train" in parts and len(parts) == len(inside) else None


def _classes(folder: Path) -> tuple[Labelled, int]:
    """Return the images of a folder with their classes, and how many other files there are."""
    labelled: Labelled = []
    ignored = sum(path.is_file() for path in folder.iterdir() if not path.name.startswith("."))
    for class_folder in _subfolders(folder):
        images, others = find_images(class_folder)
        if not images:
            raise UserError(
                f"class folder {shown(str(class_folder), 300)} holds no images ({KINDS}). Add some or remove it."
            )
        label = _label(class_folder)
        labelled += [(image, label) for image in images]
        ignored += len(others)
    if not labelled:
        loose, _ = find_images(folder)
        what = f"{len(loose):,} images, but no folder for a class" if loose else "no images"
        raise UserError(
            f"{shown(str(folder), 300)} holds {what}. Expected: a folder for each class with its images ({KINDS}) in it."
        )
    return labelled, ignored


def _check_classes(training: Labelled, test: Labelled, folder: Path) -> None:
    """Refuse training rows of one class, and test rows of other classes than the training rows have."""
    known = {label for _, label in training}
    tested = {label for _, label in test}
    if len(known) < 2:
        raise UserError(
            f"{shown(str(folder), 300)} holds 1 class ({listed([*known])}), at least 2 needed. Give a folder for each class."
        )
    for part, absent in (("training", tested - known), ("test", known - tested)):
        if test and absent:
            raise UserError(
                f"class {listed(sorted(absent))} has no {part} images in {shown(str(folder), 300)}. Add some or remove it."
            )


def _label(folder: Path) -> str:
    """Return a class's name."""
    if not folder.name.isprintable():
        raise UserError(f"class folder {shown(str(folder), 300)}: its name does not print. Rename it.")
    return folder.name


def _ignored_notice(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"Ignored {count:,} file{'s' * (count > 1)} that are no images by their names, or lie in no class's folder.",
    )


def _subfolders(folder: Path) -> list[Path]:
    try:
        inside = sorted(
            place for place in folder.iterdir() if not place.name.startswith(".") and place.name != "__MACOSX"
        )
    except OSError as error:
        raise UserError(
            f"folder {shown(str(folder), 300)}: {error.strerror}. Give a folder of images that can be read."
        ) from None
    return [_contained(place, folder) for place in inside if place.is_dir()]


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
        raise UserError(f"{shown(str(path), 300)} is a link that leaves its folder. Put the files themselves there.")
    return path


def _refuse(error: OSError) -> None:
    raise UserError(f"{shown(str(error.filename), 300)}: {error.strerror}. Give a folder of images that can be read.")
