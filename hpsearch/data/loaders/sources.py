"""Sources: where named data sets come from. scikit-learn carries some in its wheel; torchvision reads the others from a folder.

A loader takes what its row in `DATASETS` fixes, then the folder and whether files may be fetched, and returns `Raw`. Nothing touches the
network unless it may. torchvision and scikit-learn are imported by the loader that needs them, since that takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.data.loaders.idx import check_idx_files
from hpsearch.data.raw import Raw
from hpsearch.errors import UserError


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


def idx_images(
    kind: str,
    root: Path | None,
    download: bool,
    *,
    files: tuple[str, ...],
    classes: tuple[str, ...] = (),
    options: Mapping[str, str] | None = None,
) -> Raw:
    """Return images that torchvision's MNIST and its kin read from ROOT/KIND/raw, after the files have been checked.

    Raises:
        UserError: no folder, legacy files, files that are missing or damaged, a download that failed.
    """
    folder = folder_given(root)
    fetch = not check_idx_files(folder, kind, files, download)
    training, test = _opened(kind, folder, fetch, options or {})
    import torch

    labels = torch.cat((training.targets, test.targets))
    labels = labels[:, 0] if labels.dim() == 2 else labels  # QMNIST's further columns say who wrote the digit
    return Raw(
        torch.cat((training.data, test.data)),
        labels,
        source_of(kind),
        classes or tuple(training.classes),
        len(test.data),
    )


def idx_letters(
    kind: str, root: Path | None, download: bool, *, files: tuple[str, ...], options: Mapping[str, str]
) -> Raw:
    """Return EMNIST upright: its files hold every image transposed."""
    raw = idx_images(kind, root, download, files=files, options=options)
    return replace(raw, inputs=raw.inputs.transpose(1, 2))


def cifar10(kind: str, root: Path | None, download: bool) -> Raw:
    """Return CIFAR-10. Its files are pickles, which run code when read; torchvision's constructor checks their MD5 before that.

    Raises:
        UserError: no folder, files that are missing or not the published ones, a download that failed.
    """
    import numpy as np

    folder = folder_given(root)
    batches = folder / "cifar-10-batches-py"
    if not download and not batches.is_dir():
        raise UserError(
            f"no folder {batches}. Pass the folder that holds cifar-10-batches-py, or add --download to fetch it."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4 finds the way in which these files of 2009 spell a type outdated
        training, test = _opened(kind, folder, download, {})
    images = np.concatenate((training.data, test.data)).transpose(0, 3, 1, 2)  # [N, H, W, C] → [N, C, H, W]
    return Raw(images, training.targets + test.targets, source_of(kind), tuple(training.classes), len(test.data))


def folder_given(root: Path | None) -> Path:
    """Return the folder of a data set's files, which has to be given."""
    if root is None:
        raise UserError("its files are read from a folder. Pass --data-root DIR (in Python: root=DIR).")
    return root


def _opened(kind: str, root: Path, download: bool, options: Mapping[str, str]) -> tuple[Any, Any]:
    """Return torchvision's training and test set; its complaints become ours."""
    import torchvision

    construct: Callable[..., Any] = getattr(torchvision.datasets, kind)
    try:
        parts = [construct(root, train=train, download=download, **options) for train in (True, False)]
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        what = "could not fetch the files" if download else "files are missing or not the published ones (by their MD5)"
        advice = (
            "Try again, or copy the files there" if download else "Delete them and add --download to fetch them again"
        )
        raise UserError(f"{what}, folder {root}: {' '.join(str(error).split())[:300]}. {advice}.") from None
    return parts[0], parts[1]


def source_of(kind: str) -> str:
    """Return where a data set of torchvision's comes from."""
    import torchvision

    return f"torchvision {torchvision.__version__}, {kind}"
