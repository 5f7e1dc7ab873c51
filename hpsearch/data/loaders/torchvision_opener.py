"""Open a part of one of torchvision's data sets, where its errors become ours. Nothing touches the network unless it may."""

import re
import warnings
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError, shown


def required_folder(root: Path | None) -> Path:
    """Return the folder of a data set's files, which has to be given."""
    if root is None:
        raise UserError("its files are read from a folder. Pass --data-root DIR (in Python: root=DIR).")
    return root


def source_of(kind: str) -> str:
    """Return where one of torchvision's data sets comes from."""
    import torchvision

    return f"torchvision {torchvision.__version__}, {kind}"


def open_part(kind: str, **arguments: Any) -> Any:
    """Return `torchvision.datasets.KIND(**arguments)`, None where the data set has no part of that name.

    Raises:
        UserError: files are missing, damaged, or could not be fetched.
    """
    from torchvision import datasets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy 2.4 warns of how old files spell a type
            return getattr(datasets, kind)(**arguments)
    except Exception as error:  # damaged files make their readers raise almost anything
        if re.search("unknown (value|split)", str(error), re.IGNORECASE):
            return None
        raise _unreadable(kind, error, arguments.get("download")) from None


def _unreadable(kind: str, error: Exception, download: bool | None) -> UserError:
    """Return the error on a part that cannot be opened; `download` is None where torchvision cannot fetch the files."""
    reason = shown(" ".join(str(error).split()) or type(error).__name__, 300)
    if download is None:
        return UserError(f"torchvision's {kind} cannot be read: {reason}. Copy the published files there.")
    if download:
        return UserError(
            f"torchvision's {kind}: could not fetch the files: {reason}. Try again, or copy the published files there."
        )
    return UserError(
        f"torchvision's {kind} cannot be read: {reason}. Files are missing or not the published ones (by their MD5). "
        "Add --download to fetch them; delete damaged ones first."
    )
