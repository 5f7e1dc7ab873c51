"""Data sets of torchvision's that hold their images as one array: MNIST and its kin, and CIFAR-10.

A loader takes what its row of `DATASETS` fixes, then the folder and whether files may be fetched. torchvision is imported by the loader,
since that takes seconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hpsearch.data.cells import Raw
from hpsearch.data.loaders.idx import check_idx_files
from hpsearch.data.loaders.torchvision_opener import open_part, required_folder, source_of
from hpsearch.errors import UserError


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
    import torch

    folder = required_folder(root)
    fetch = not check_idx_files(folder, kind, files, download)
    training = open_part(kind, root=folder, train=True, download=fetch, **(options or {}))
    test = open_part(kind, root=folder, train=False, download=fetch, **(options or {}))
    labels = torch.cat((training.targets, test.targets))
    if labels.dim() == 2:  # QMNIST's further columns say who wrote the digit
        labels = labels[:, 0]
    return Raw(
        torch.cat((training.data, test.data)),
        labels,
        source_of(kind),
        classes or tuple(training.classes),
        given_test=len(test.data),
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

    folder = required_folder(root)
    batches = folder / "cifar-10-batches-py"
    if not download and not batches.is_dir():
        raise UserError(
            f"no folder {batches}. Pass the folder that holds cifar-10-batches-py, or add --download to fetch it."
        )
    training = open_part(kind, root=folder, train=True, download=download)
    test = open_part(kind, root=folder, train=False, download=download)
    images = np.concatenate((training.data, test.data)).transpose(0, 3, 1, 2)  # [N, H, W, C] → [N, C, H, W]
    labels = training.targets + test.targets
    return Raw(images, labels, source_of(kind), tuple(training.classes), given_test=len(test.data))
