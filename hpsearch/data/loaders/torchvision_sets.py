"""Any data set of torchvision's by name, read by its signature: root, `train` or `split`, `download`.

Its items have to be (image, class). Two that keep pickles check them against published sums before they are read; a set that would
unpickle unchecked is refused, by a look at its source, since later versions of torchvision bring others.
"""

import inspect
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from numbers import Integral
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hpsearch.data.cells import Array, Raw
from hpsearch.data.image_scale import scale_of
from hpsearch.data.loaders.pixels import check_pixels, common_size, resized_notice, to_pixels, without_colour
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
    """Return torchvision's spelling of a data set's name, None where it has no such set; only letters and digits count, in any case."""
    from torchvision import datasets

    classes = [spelled for spelled in datasets.__all__ if isinstance(getattr(datasets, spelled), type)]
    return {normalized(spelled): spelled for spelled in classes}.get(normalized(name))


def read_set(kind: str, root: Path | None, download: bool, size: int | None = None) -> Raw:
    """Return a data set of torchvision's as bytes [N, C, H, W] with its classes; its own test rows, if it has some, are the last.

    `size` is as of `read_image_folder`.

    Raises:
        UserError: its items are not (image, class), it would run pickled code, it needs more arguments, no folder, missing files.
    """
    parts = _parts(kind, root, download)
    values, labels, sizes = _collect(kind, parts, size)
    to = values.shape[2:]
    targets, classes = _classes(labels, getattr(parts[0], "classes", ()))
    return Raw(
        without_colour(values),
        targets,
        source_of(kind),
        classes,
        given_test=len(parts[-1]) if len(parts) > 1 else 0,
        images={"source": "torchvision", "size": None if sizes == {to} else to[0], **scale_of(values)},
        notices=(*resized_notice(sizes, to), *(where_read(root) if "root" in _arguments(kind) else ())),
    )


def required_folder(root: Path | None, *, download: bool = False) -> Path:
    """Return the folder of a data set's files: the one that is given, else the cache, to fetch them to or where they were before.

    Raises:
        UserError: none is given, nothing was fetched before, and nothing is to be.
    """
    if root is not None:
        return root
    cache = cache_folder()
    if not download and not cache.is_dir():
        raise UserError(
            "its files are read from a folder. Pass --data-root DIR (in Python: root=DIR), or --download (download=True) to fetch them "
            f"to {cache}."
        )
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{cache}: {error.strerror}. Pass --data-root DIR (in Python: root=DIR).") from None
    return cache


def cache_folder() -> Path:
    """Return the folder in which files are kept where none is given: in that of the system's caches."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hpsearch")


def where_read(root: Path | None) -> tuple[str, ...]:
    """Return the sentence that says where files are, if that was not given."""
    if root is not None:
        return ()
    return (f"Files are those in {cache_folder()}, where --download keeps them (--data-root DIR: another folder).",)


def source_of(kind: str) -> str:
    """Return where one of torchvision's data sets comes from."""
    import torchvision

    return f"torchvision {torchvision.__version__}, {kind}"


def open_both(kind: str, **arguments: Any) -> tuple[Any, Any]:
    """Return the training and the test part of one of torchvision's data sets; refuse files that are missing or damaged."""
    return _open_part(kind, train=True, **arguments), _open_part(kind, train=False, **arguments)


def _open_part(kind: str, **arguments: Any) -> Any:
    """Return `torchvision.datasets.KIND(**arguments)`, None where the data set has no part of that name."""
    from torchvision import datasets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy 2.4 warns of how old files spell a type
            return getattr(datasets, kind)(**arguments)
    except Exception as error:  # damaged files make their readers raise almost anything
        if re.search("unknown (value|split)", str(error), re.IGNORECASE):
            return None
        reason = shown(" ".join(str(error).split()) or type(error).__name__, 300)
        raise UserError(_advice(kind, reason, arguments.get("download"))) from None


def _advice(kind: str, reason: str, download: bool | None) -> str:
    """Return the error on a part that cannot be opened; `download` is None where torchvision cannot fetch the files."""
    if download:
        return (
            f"torchvision's {kind}: could not fetch the files: {reason}. Try again, or copy the published files there."
        )
    unreadable = f"torchvision's {kind} cannot be read: {reason}."
    if download is None:
        return f"{unreadable} Copy the published files there."
    return (
        f"{unreadable} Files are missing or not the published ones (by their MD5). "
        "Add --download to fetch them; delete damaged ones first."
    )


def _parts(kind: str, root: Path | None, download: bool) -> list[Any]:
    """Return the parts of a set, the training rows first; of several the last are the test rows."""
    arguments = _arguments(kind)
    fixed: dict[str, Any] = {}
    if "root" in arguments:
        fixed["root"] = required_folder(root, download=download)
    if "download" in arguments:  # two sets fetch their files unless this is False
        fixed["download"] = download
    if "train" in arguments:
        return [part for part in open_both(kind, **fixed) if part is not None]
    if "split" in arguments:
        return _parts_by_split(kind, fixed)
    return [_open_part(kind, **fixed)]


def _parts_by_split(kind: str, fixed: Mapping[str, Any]) -> list[Any]:
    """Return the parts of a set by its names of splits: validation images join the training ones if there are test images."""
    name, training = _first_part(kind, fixed, TRAINING)
    test_name, test = _first_part(kind, fixed, TEST)
    if training is None:
        raise UserError(f"torchvision's {kind} has no part for training. Choose another data set.")
    parts = [training]
    if name == "train" and test_name == "test":
        _, validation = _first_part(kind, fixed, VALIDATION)
        parts.append(validation)
    parts.append(test)
    return [part for part in parts if part is not None]


def _first_part(kind: str, fixed: Mapping[str, Any], splits: Iterable[str]) -> tuple[str, Any]:
    """Return the first of these splits that there is, and its images."""
    for split in splits:
        part = _open_part(kind, **fixed, split=split)
        if part is not None:
            return split, part
    return "", None


def _arguments(kind: str) -> Mapping[str, inspect.Parameter]:
    """Return what a class of torchvision's takes, if a name is all that it needs, and its code unpickles nothing unchecked."""
    from torchvision import datasets

    if kind in NOT_NAMED:
        raise UserError(f"torchvision's {kind} is no data set. {NOT_NAMED[kind]}")
    data_set: type = getattr(datasets, kind)
    if kind not in CHECKED and unpickles(data_set):
        raise UserError(
            f"torchvision's {kind} unpickles files unchecked, and that can run code. Give its images as a folder (data.file)."
        )
    arguments = inspect.signature(data_set).parameters
    needed = [name for name, argument in arguments.items() if _is_required(argument)]
    needed = [name for name in needed if name != "root"]
    if needed:
        raise UserError(
            f"torchvision's {kind} needs {', '.join(needed)} beside its name. Give its images as a folder (data.file)."
        )
    return arguments


def _is_required(argument: inspect.Parameter) -> bool:
    return argument.default is argument.empty and argument.kind is argument.POSITIONAL_OR_KEYWORD


def unpickles(kind: type) -> bool:
    """Whether the source of a data set's class, or of what it builds on, loads pickles or evaluates text."""
    modules = {base.__module__ for base in kind.__mro__ if base.__module__.startswith("torchvision.")}
    return any(UNPICKLES.search(inspect.getsource(sys.modules[module])) for module in modules)


def _collect(kind: str, parts: list[Any], size: int | None) -> tuple[Array, list[int], set[tuple[int, int]]]:
    """Return images [N, 3, H, W], their labels, and the sizes that they had. All shrink once one is too large or of another size."""
    values: list[Array] = []
    labels: list[int] = []
    sizes: set[tuple[int, int]] = set()
    shape = (3, 0, 0)
    for image, label in chain.from_iterable(_items(kind, part) for part in parts):
        if (image.height, image.width) not in sizes:
            sizes.add((image.height, image.width))
            shape = (3, *common_size(sizes, size))
            check_pixels(sum(map(len, parts)), shape)
            values = [to_pixels(Image.fromarray(before.transpose(1, 2, 0)), shape) for before in values]
        values.append(to_pixels(image, shape))
        labels.append(label)
    if not values:
        raise UserError(f"torchvision's {kind} holds no images. Copy the published files to its folder.")
    return np.stack(values), labels, sizes


def _items(kind: str, part: Any) -> Iterator[tuple[Image.Image, int]]:
    """Yield a part's images with their class numbers."""
    for index in range(len(part)):
        try:
            item = part[index]
        except Exception as error:  # damaged files make their readers raise almost anything
            reason = shown(" ".join(str(error).split()), 200)
            raise UserError(
                f"torchvision's {kind}: item {index} cannot be read: {reason}. Fetch its files again."
            ) from None
        yield _checked_item(kind, item)


def _checked_item(kind: str, item: Any) -> tuple[Image.Image, int]:
    """Return an item's image and class number."""
    if isinstance(item, tuple) and len(item) == 2:
        image, label = item
        if getattr(label, "ndim", None) == 0:
            label = label.item()
        is_class = isinstance(label, Integral) and not isinstance(label, bool)
        if isinstance(image, Image.Image) and is_class:
            return image, int(label)
    raise UserError(f"torchvision's {kind} gives {_content(item)}, (image, class) expected. Choose a set of classes.")


def _content(item: Any) -> str:
    """Return what an item holds, and close its images."""
    names = []
    for value in item if isinstance(item, tuple) else (item,):
        is_image = isinstance(value, Image.Image)
        names.append("image" if is_image else type(value).__name__)
        if is_image:
            value.close()
    return f"({', '.join(names)})"


def _classes(labels: list[int], names: Any) -> tuple[Array, tuple[str, ...]]:
    """Return targets and the names of classes: names where each class has one of its own and rows, else text, else numbers."""
    texts = tuple(name if isinstance(name, str) else ", ".join(map(str, name)) for name in names)
    distinct = len({*texts}) == len(texts)
    if not distinct or not all(0 <= label < len(texts) for label in labels):
        return np.array(labels, dtype=np.int64), ()
    if len({*labels}) == len(texts):
        return np.array(labels, dtype=np.int64), texts
    return np.array([texts[label] for label in labels], dtype=object), ()
