"""Data sets: from a name, a file or arrays to tensors that are checked, split, standardised and ready to train on.

`load` takes a row of `DATASETS`, `load_file` a file, `from_frame` and `from_arrays` what a Python user has at hand; all give one frozen
`Data`. Each step is one module: `loaders` read a source, `cells` checks arrays, `columns` turns a table's columns into numbers, `targets`
encodes labels, `tasks` decides what is predicted and with which head, loss and `metrics`, `splits` divides the rows, `scaling` standardises
them by the training rows' statistics, and `assemble` puts all together.

The public names are resolved when they are first used, so that the tables of names need neither torch, scikit-learn nor torchvision.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.data.dataset import Data, Rows
    from hpsearch.data.loaders.arrays import from_arrays, from_frame
    from hpsearch.data.loaders.datasets import DATASETS, load
    from hpsearch.data.loaders.files import load_file
    from hpsearch.data.metrics import METRICS
    from hpsearch.data.tasks import TASKS

PUBLIC = {
    "DATASETS": "hpsearch.data.loaders.datasets",
    "Data": "hpsearch.data.dataset",
    "METRICS": "hpsearch.data.metrics",
    "Rows": "hpsearch.data.dataset",
    "TASKS": "hpsearch.data.tasks",
    "from_arrays": "hpsearch.data.loaders.arrays",
    "from_frame": "hpsearch.data.loaders.arrays",
    "load": "hpsearch.data.loaders.datasets",
    "load_file": "hpsearch.data.loaders.files",
}

__all__ = ["DATASETS", "METRICS", "TASKS", "Data", "Rows", "from_arrays", "from_frame", "load", "load_file"]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'hpsearch.data' has no attribute '{name}'. Public names: {', '.join(__all__)}.")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
