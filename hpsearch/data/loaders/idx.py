"""IDX files: MNIST's format, checked before torchvision reads it, since torchvision's own errors say too little.

A file is two zero bytes, a type, the number of dimensions, each dimension's size as a big-endian 32-bit integer, and the values.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".

Nothing is unpickled here or later: torchvision prefers legacy files ROOT/KIND/processed/*.pt to the raw ones and in some versions
loads them with `weights_only=False`, which runs whatever code they hold; a folder that has them is refused.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

from hpsearch.data.cells import Raw
from hpsearch.errors import UserError

BYTES_OF_TYPE = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
GZIP = b"\x1f\x8b"  # how a gzip begins
REPLACE = "Delete the damaged file and add --download to fetch it again, or copy a sound one there."


def idx_images(
    kind: str,
    root: Path | None,
    download: bool,
    *,
    files: tuple[str, ...],
    classes: tuple[str, ...] = (),
    options: Mapping[str, str] | None = None,
) -> Raw:
    """Return images that torchvision's MNIST and its kin read from ROOT/KIND/raw, after the files have been checked."""
    import torch

    from hpsearch.data.loaders.torchvision_sets import open_both, required_folder, source_of, where_read

    folder = required_folder(root, download=download)
    complete = _check_files(folder, kind, files, download)
    training, test = open_both(kind, root=folder, download=not complete, **(options or {}))
    labels = torch.cat((training.targets, test.targets))
    if labels.dim() == 2:  # QMNIST's further columns say who wrote the digit
        labels = labels[:, 0]
    return Raw(
        torch.cat((training.data, test.data)),
        labels,
        source_of(kind),
        classes or tuple(training.classes),
        given_test=len(test.data),
        notices=where_read(root),
    )


def _check_files(root: Path, kind: str, files: tuple[str, ...], download: bool) -> bool:
    """Check ROOT/KIND/raw/FILE for images and labels in turn; return whether all are there (else they are to be fetched)."""
    _refuse_legacy(root / kind / "processed")
    paths = [root / kind / "raw" / file for file in files]
    missing = [path for path in paths if not path.is_file()]
    if missing and not download:
        names = ", ".join(path.name for path in missing)
        raise UserError(f"{names} missing in {root / kind / 'raw'}. {_advice(root, kind, missing)}")
    rows = {path: _rows(path) for path in paths if path not in missing}
    if missing:
        return False
    for images, labels in zip(paths[::2], paths[1::2], strict=True):
        if rows[images] != rows[labels]:
            raise UserError(
                f"{images} has {rows[images]:,} images, but {labels.name} {rows[labels]:,} labels. {REPLACE}"
            )
    return True


def _refuse_legacy(processed: Path) -> None:
    legacy = sorted(path.name for path in processed.glob("*.pt"))
    if legacy:
        raise UserError(
            f"{processed} holds legacy files ({', '.join(legacy[:3])}), which torchvision would unpickle, and that can run code. "
            "Move that folder away; the files in raw/ are enough."
        )


def _rows(path: Path) -> int:
    """Return the rows that a file's header promises, once the file has the size that follows from it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4)
            dimensions = start[3] if len(start) == 4 else 0
            header = file.read(4 * dimensions)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from None
    is_idx = len(start) == 4 and start[:2] == b"\x00\x00" and start[2] in BYTES_OF_TYPE
    if not is_idx or not 1 <= dimensions <= 3:
        advice = REPLACE
        if start[:2] == GZIP:
            advice = "It is gzip data: gunzip it."
        raise UserError(f"{path} is no IDX file (it begins with {start.hex() or 'nothing'}). {advice}")
    shape = [int.from_bytes(header[i : i + 4], "big") for i in range(0, 4 * dimensions, 4)]
    expected = 4 + 4 * dimensions + prod(shape) * BYTES_OF_TYPE[start[2]]
    if size != expected:
        short = "truncated" if size < expected else "too long"
        raise UserError(f"{path} is {short}: {size:,} bytes, {expected:,} expected from its header. {REPLACE}")
    return shape[0]


def _advice(root: Path, kind: str, missing: list[Path]) -> str:
    """Return what to do about missing files, which may be there in another form or place."""
    first = missing[0]
    if not root.is_dir():
        return f"There is no folder {root}: pass another --data-root, or add --download to fetch the files into it."
    packed = [path.name + ".gz" for path in missing if path.with_name(path.name + ".gz").is_file()]
    if packed:
        return f"They are there compressed: gunzip {' '.join(packed)} in that folder."
    other = _other_case(first.parent, root)
    if other is not None:
        return f"Found {other}, a folder of another case: rename it to {first.parent.relative_to(root)}."
    similar = [path.name for path in _listing(first.parent) if _without_dots(path.name) == _without_dots(first.name)]
    if similar:
        return f"Found {similar[0]} there: rename it to {first.name}."
    if (root / "raw" / first.name).is_file() or (root / first.name).is_file():
        return f"Found files in {root} itself: pass the folder that holds {kind}/raw as --data-root."
    return f"Add --download to fetch the files into {root}."


def _other_case(wanted: Path, root: Path) -> Path | None:
    """Return the folder that differs from the wanted one in case only."""
    here = root
    for part in wanted.relative_to(root).parts:
        folders = filter(Path.is_dir, _listing(here))
        near = [path for path in folders if path.name.casefold() == part.casefold()]
        if not near:
            return None
        here = next((path for path in near if path.name == part), near[0])
    return here.relative_to(root) if here != wanted else None


def _listing(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _without_dots(name: str) -> str:
    return name.casefold().replace(".", "-")
