"""Any data set of torchvision's by name, read by its signature: root, `train` or `split`, `download`.

Its items have to be (image, class). Two that keep pickles check them against published sums before they are read; a set that would
unpickle unchecked is refused, by a look at its source, since later versions of torchvision bring others.
"""

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hpsearch.data.cells import Array
from hpsearch.data.loaders.pixels import (
    check_pixels,
    common_size,
    resized_notice,
    to_pixels,
    without_colour,
)
from hpsearch.data.loaders.sources import folder_given, source_of
from hpsearch.data.raw import Raw
from hpsearch.errors import UserError, normalized, shown

CHECKED = ("CIFAR10", "CIFAR100")  # unpickle, once the MD5 of each file is the published one
NOT_NAMED = {  # classes for building data sets, and what to do instead
    "ImageFolder": "Give the folder itself: data.file = FOLDER (--data FOLDER).",
    "DatasetFolder": "Give the folder itself: data.file = FOLDER (--data FOLDER).",
    "VisionDataset": "It is the base of the others.",
}
UNPICKLES = re.compile(
    r"pickle\.loads?\(|Unpickler|allow_pickle\s*=\s*True|torch\.load\((?!.*weights_only\s*=\s*True)|\beval\("
)
TRAINING = ("trainval", "train", "train-standard")  # values of `split`, the first that there is
VALIDATION = ("val", "valid")
TEST = ("test", *VALIDATION)


def find_set(name: str) -> str | None:
    """Return torchvision's spelling of a data set's name, which is known by its letters and digits whatever their case."""
    from torchvision import datasets

    known = {
        normalized(spelled): spelled for spelled in datasets.__all__ if isinstance(getattr(datasets, spelled), type)
    }
    return known.get(normalized(name))


def read_set(kind: str, root: Path | None, download: bool, size: int | None = None) -> Raw:
    """Return a data set of torchvision's as bytes [N, C, H, W] with its classes; its own test rows, if it has some, are the last.

    `size` is as of `read_image_folder`.

    Raises:
        UserError: its items are not (image, class), it would run pickled code, it needs more arguments, no folder, missing files.
    """
    training, test = _parts(kind, root, download)
    parts = [*training, *([test] if test is not None else [])]
    values, labels, sizes = _collected(kind, parts, size)
    to = values.shape[2:]
    targets, classes = _classes(labels, getattr(training[0], "classes", ()))
    return Raw(
        without_colour(values),
        targets,
        source_of(kind),
        classes,
        given_test=len(test) if test is not None else 0,
        images={"source": "torchvision", "size": None if sizes == {to} else to[0], "divisor": 1},
        notices=resized_notice(sizes, to),
    )


def _parts(kind: str, root: Path | None, download: bool) -> tuple[list[Any], Any]:
    """Return the parts that are searched on, and the test part or None."""
    construct = _constructor(kind)
    known = inspect.signature(construct).parameters
    fixed: dict[str, Any] = {"root": folder_given(root)} if "root" in known else {}
    if "download" in known:  # two sets fetch their files where nothing is said
        fixed["download"] = download

    def opened(**part: Any) -> Any:
        return _constructed(kind, partial(construct, **fixed, **part), "download" in known and not download)

    if "train" in known:
        return [opened(train=True)], opened(train=False)
    if "split" not in known:
        return [opened()], None
    return _splits(kind, lambda split: opened(split=split))


def _splits(kind: str, opened: Callable[[str], Any]) -> tuple[list[Any], Any]:
    """Return the parts of a set by the names that it has for them: validation images join the training ones if there are test images."""

    def first(splits: Iterable[str]) -> tuple[str, Any]:
        return next(((split, part) for split in splits if (part := opened(split)) is not None), ("", None))

    (name, training), (tested, test) = first(TRAINING), first(TEST)
    if training is None:
        raise UserError(f"torchvision's {kind} has no part for training. Choose another data set.")
    more = first(VALIDATION)[1] if name == "train" and tested == "test" else None
    return [part for part in (training, more) if part is not None], test


def _constructor(kind: str) -> Callable[..., Any]:
    """Return a class of torchvision's, if a name is all that it needs, and its code unpickles nothing unchecked."""
    from torchvision import datasets

    found: type = getattr(datasets, kind)
    if kind in NOT_NAMED:
        raise UserError(f"torchvision's {kind} is no data set. {NOT_NAMED[kind]}")
    if kind not in CHECKED and unpickles(found):
        raise UserError(
            f"torchvision's {kind} unpickles files unchecked, and that can run code. Give its images as a folder (data.file)."
        )
    needed = [
        name
        for name, parameter in inspect.signature(found).parameters.items()
        if name != "root" and parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if needed:
        raise UserError(
            f"torchvision's {kind} needs {', '.join(needed)} beside its name. Give its images as a folder (data.file)."
        )
    return found


def unpickles(kind: type) -> bool:
    """Whether the source of a data set's class, or of what it builds on, loads pickles or evaluates text."""
    modules = {base.__module__ for base in kind.__mro__ if base.__module__.startswith("torchvision.")}
    return any(UNPICKLES.search(inspect.getsource(sys.modules[module])) for module in modules)


def _constructed(kind: str, construct: Callable[[], Any], fetchable: bool) -> Any:
    """Return a part of a data set, None where there is none of that name; torchvision's complaints become ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files spell types in ways that NumPy finds outdated
            return construct()
    except Exception as error:  # damaged files make their readers raise almost anything
        if re.search("unknown (value|split)", str(error), re.IGNORECASE):
            return None
        reason = shown(" ".join(str(error).split()) or type(error).__name__, 300)
        advice = "Add --download to fetch the files" if fetchable else "Copy the published files there"
        raise UserError(f"torchvision's {kind} cannot be read: {reason}. {advice}.") from None


def _collected(kind: str, parts: list[Any], size: int | None) -> tuple[Array, list[int], set[tuple[int, int]]]:
    """Return images [N, 3, H, W], their labels, and the sizes that they had. All shrink once one is too large or of another size."""
    values: list[Array] = []
    labels: list[int] = []
    sizes: set[tuple[int, int]] = set()
    to = (0, 0)
    for image, label in (item for part in parts for item in _items(kind, part)):
        if (image.height, image.width) not in sizes:
            sizes.add((image.height, image.width))
            to = common_size(sizes, size)
            check_pixels(sum(map(len, parts)), (3, *to))
            values = [to_pixels(Image.fromarray(before.transpose(1, 2, 0)), (3, *to)) for before in values]
        values.append(to_pixels(image, (3, *to)))
        labels.append(label)
    if not values:
        raise UserError(f"torchvision's {kind} holds no images. Copy the published files to its folder.")
    return np.stack(values), labels, sizes


def _items(kind: str, part: Any) -> Iterator[tuple[Image.Image, int]]:
    """Yield a part's images with their class numbers."""
    for index in range(len(part)):
        try:
            item = part[index]
        except Exception as error:
            reason = shown(" ".join(str(error).split()), 200)
            raise UserError(
                f"torchvision's {kind}: item {index} cannot be read: {reason}. Fetch its files again."
            ) from None
        image, label = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        label = label.item() if getattr(label, "ndim", None) == 0 else label
        if not isinstance(image, Image.Image) or not isinstance(label, Integral) or isinstance(label, bool):
            raise UserError(
                f"torchvision's {kind} gives {_kinds(item)}, (image, class) expected. Choose a set of classes."
            )
        yield image, int(label)


def _kinds(item: Any) -> str:
    """Return what an item holds, whose images are closed."""
    values = item if isinstance(item, tuple) else (item,)
    for image in (value for value in values if isinstance(value, Image.Image)):
        image.close()
    return f"({', '.join('image' if isinstance(value, Image.Image) else type(value).__name__ for value in values)})"


def _classes(labels: list[int], names: Any) -> tuple[Array, tuple[str, ...]]:
    """Return targets and the names of classes: names where each class has one of its own and rows, else text, else numbers."""
    texts = tuple(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)
    if len({*texts}) < len(texts) or not all(0 <= label < len(texts) for label in labels):
        return np.array(labels, dtype=np.int64), ()
    if len({*labels}) == len(texts):
        return np.array(labels, dtype=np.int64), texts
    return np.array([texts[label] for label in labels], dtype=object), ()
