"""Where a model comes from: the study, the data and the versions that made it, as plain values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from hpsearch import __version__
from hpsearch.data.dataset import Data

PACKAGES = ("torch", "optuna", "numpy")


def provenance_of(data: Data, *, study: str, seed: int, trials: Sequence[int]) -> dict[str, Any]:
    """Return the provenance of a model: the study and its seed, the trials, the data by name and hash, versions, device, date (UTC)."""
    return {
        "study": study,
        "seed": seed,
        "trials": list(trials),
        "data": {"name": data.name, "title": data.title, "hash": data.summary.get("hash")},
        "versions": versions(),
        "device": str(data.training.inputs.device),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a result; hpsearch's own is the code's, installed or not."""
    return {"hpsearch": __version__} | {package: version(package) for package in PACKAGES}
