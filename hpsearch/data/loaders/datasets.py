"""Named data sets: a literal table, and `load`. A new one is one row.

A row's loader fixes what is particular to its source and takes (root, download). Importing this module imports none of the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.data.cells import Raw
from hpsearch.data.loaders.idx import idx_images
from hpsearch.data.options import SplitOptions, TaskOptions
from hpsearch.errors import UserError, look_up, normalized

if TYPE_CHECKING:
    from hpsearch.data.dataset import Data


@dataclass(frozen=True, slots=True)
class NamedData:
    """A row of `DATASETS`: `kind` is "embedded" or "folder" (then it needs `root`), `validation` the default size of that part."""

    title: str
    kind: str
    description: str
    loader: Callable[[Path | None, bool], Raw]
    validation: float | int | None = None


MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
QMNIST_FILES = (
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-labels-idx2-int",
    "qmnist-test-images-idx3-ubyte",
    "qmnist-test-labels-idx2-int",
)
EMNIST_FILES = (
    "emnist-balanced-train-images-idx3-ubyte",
    "emnist-balanced-train-labels-idx1-ubyte",
    "emnist-balanced-test-images-idx3-ubyte",
    "emnist-balanced-test-labels-idx1-ubyte",
)
DIGITS = tuple("0123456789")


def embedded(
    function: str,
    root: Path | None,
    download: bool,
    *,
    shape: tuple[int, ...] = (),
    options: Mapping[str, bool] | None = None,
) -> Raw:
    """Return a data set from scikit-learn's wheel; it needs neither folder nor network."""
    import sklearn
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, function)(**(options or {}))
    inputs = bunch.data.reshape(-1, *shape) if shape else bunch.data
    classes = tuple(str(name) for name in getattr(bunch, "target_names", ()))
    return Raw(inputs, bunch.target, f"scikit-learn {sklearn.__version__}, {function}", classes)


def emnist(root: Path | None, download: bool) -> Raw:
    """Return EMNIST upright: its files hold every image transposed."""
    raw = idx_images("EMNIST", root, download, files=EMNIST_FILES, options={"split": "balanced"})
    return replace(raw, inputs=raw.inputs.transpose(1, 2))


def cifar10(root: Path | None, download: bool) -> Raw:
    """Return CIFAR-10. Its files are pickles, which run code when read; torchvision's constructor checks their MD5 before that."""
    import numpy as np

    from hpsearch.data.loaders.torchvision_sets import open_both, required_folder, source_of, where_read

    folder = required_folder(root, download=download)
    batches = folder / "cifar-10-batches-py"
    if not download and not batches.is_dir():
        raise UserError(
            f"no folder {batches}. Pass the folder that holds cifar-10-batches-py, or add --download to fetch it."
        )
    training, test = open_both("CIFAR10", root=folder, download=download)
    images = np.concatenate((training.data, test.data)).transpose(0, 3, 1, 2)  # [N, H, W, C] → [N, C, H, W]
    labels = training.targets + test.targets
    return Raw(
        images,
        labels,
        source_of("CIFAR10"),
        tuple(training.classes),
        given_test=len(test.data),
        notices=where_read(root),
    )


DATASETS = {
    "digits": NamedData(
        "Handwritten digits, 8×8",
        "embedded",
        "1,797 grey images of 8×8 pixels, 10 classes (E. Alpaydin, C. Kaynak 1998).",
        partial(embedded, "load_digits", shape=(1, 8, 8)),
    ),
    "breast_cancer": NamedData(
        "Breast cancer, Wisconsin",
        "embedded",
        "569 tumours, 30 measurements, malignant or benign (W. Wolberg, O. Mangasarian, N. Street 1995).",
        partial(embedded, "load_breast_cancer"),
    ),
    "iris": NamedData(
        "Iris",
        "embedded",
        "150 flowers, 4 measurements, 3 species (R. A. Fisher 1936).",
        partial(embedded, "load_iris"),
    ),
    "wine": NamedData(
        "Wine",
        "embedded",
        "178 wines, 13 measurements, 3 growers (M. Forina 1991).",
        partial(embedded, "load_wine"),
    ),
    "diabetes": NamedData(
        "Diabetes progression",
        "embedded",
        "442 patients, 10 measurements, progression after a year (B. Efron and others 2004).",
        # scikit-learn's scaled form was scaled with the statistics of all rows, test rows too.
        partial(embedded, "load_diabetes", options={"scaled": False}),
    ),
    "mnist": NamedData(
        "MNIST handwritten digits",
        "folder",
        "60,000 and 10,000 test images of 28×28 grey pixels, 10 digits (Y. LeCun, C. Cortes, C. Burges 1998).",
        partial(idx_images, "MNIST", files=MNIST_FILES, classes=DIGITS),
        5_000,
    ),
    "fashion_mnist": NamedData(
        "Fashion-MNIST",
        "folder",
        "60,000 and 10,000 test images of 28×28 grey pixels, 10 kinds of clothing (H. Xiao and others 2017).",
        partial(idx_images, "FashionMNIST", files=MNIST_FILES),
        5_000,
    ),
    "kmnist": NamedData(
        "Kuzushiji-MNIST",
        "folder",
        "60,000 and 10,000 test images of 28×28 grey pixels, 10 cursive Hiragana (T. Clanuwat and others 2018).",
        partial(idx_images, "KMNIST", files=MNIST_FILES),
        5_000,
    ),
    "qmnist": NamedData(
        "QMNIST handwritten digits",
        "folder",
        "60,000 and 60,000 test images of 28×28 grey pixels, 10 digits (C. Yadav, L. Bottou 2019).",
        partial(idx_images, "QMNIST", files=QMNIST_FILES, classes=DIGITS),
        5_000,
    ),
    "emnist": NamedData(
        "EMNIST balanced letters and digits",
        "folder",
        "112,800 and 18,800 test images of 28×28 grey pixels, 47 characters (G. Cohen and others 2017).",
        emnist,
        5_000,
    ),
    "cifar10": NamedData(
        "CIFAR-10",
        "folder",
        "50,000 and 10,000 test images of 32×32 pixels in 3 colours, 10 things (A. Krizhevsky 2009).",
        cifar10,
        5_000,
    ),
}


def load(
    name: str,
    *,
    root: str | Path | None = None,
    download: bool = False,
    task: TaskOptions = TaskOptions(),
    split: SplitOptions = SplitOptions(),
    size: int | None = None,
) -> Data:
    """Return a row of `DATASETS`, or any data set of torchvision's whose items are (image, class), as `Data`, float32 on the CPU.

    Args:
        name: a row of `DATASETS`, or torchvision's name.
        root: the folder that holds the files, for data sets that have some; MNIST's are in ROOT/MNIST/raw.
        download: whether files that are missing may be fetched; without it nothing touches the network.
        task: what is predicted.
        split: which rows train, validate and test; the row's own default of `validation` if left out, and no `test` for data sets with
            test rows of their own.
        size: the side in pixels that torchvision's images are resized to, where they are no row of `DATASETS`.

    Raises:
        UserError: no such data set, no folder, missing or damaged files, options that do not fit.
    """
    name, row = _find(name, size)
    try:
        raw = row.loader(None if root is None else Path(root).expanduser(), download)
    except UserError as error:
        raise UserError(f"data '{name}': {error}") from None
    from hpsearch.data.assemble import assemble

    if split.validation is None and not isinstance(split.folds, int):
        split = replace(split, validation=row.validation)
    return assemble(raw, name, row.title, task, split)


def _own_name(name: str) -> str | None:
    """Return a data set's name as `DATASETS` spells it, None where it has none; only letters and digits count."""
    return {normalized(key): key for key in DATASETS}.get(normalized(name))


def find_name(name: str) -> str | None:
    """Return a data set's name as `DATASETS` or torchvision spells it, None where neither has it; only letters and digits count."""
    own = _own_name(name)
    if own is not None:
        return own
    if not name.isidentifier():
        return None
    from hpsearch.data.loaders.torchvision_sets import find_set

    return find_set(name)


def _find(name: str, size: int | None) -> tuple[str, NamedData]:
    """Return a data set by its name, whatever its case; torchvision is looked into for names that `DATASETS` has not."""
    key = _own_name(name)
    if key is not None and size is not None:
        raise UserError(f"data '{key}': size {size}: its images keep their size. Remove data.size.")
    if key is not None:
        return key, DATASETS[key]
    from hpsearch.data.loaders.torchvision_sets import find_set, read_set

    if (kind := find_set(name)) is None:
        return name, look_up(DATASETS, name, "data set")
    description = "images and classes, from torchvision"
    return kind, NamedData(kind, "folder", description, lambda root, download: read_set(kind, root, download, size))
