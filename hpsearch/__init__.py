"""hpsearch: hyperparameter search for deep neural networks.

The public names, listed once and resolved when first used, so that `import hpsearch` waits for neither torch nor Optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.comparison.result import ComparisonResult
    from hpsearch.estimators import DNNClassifier, DNNRegressor
    from hpsearch.interactive import SearchResult, load, search
    from hpsearch.objective import Objective
    from hpsearch.study_report import report
    from hpsearch.training.network import DNN

__version__ = "0.1.0"

PUBLIC = {
    "ComparisonResult": "hpsearch.comparison.result",
    "DNN": "hpsearch.training.network",
    "DNNClassifier": "hpsearch.estimators",
    "DNNRegressor": "hpsearch.estimators",
    "Objective": "hpsearch.objective",
    "SearchResult": "hpsearch.interactive",
    "load": "hpsearch.interactive",
    "report": "hpsearch.study_report",
    "search": "hpsearch.interactive",
}

__all__ = [
    "DNN",
    "ComparisonResult",
    "DNNClassifier",
    "DNNRegressor",
    "Objective",
    "SearchResult",
    "__version__",
    "load",
    "report",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(
            f"module 'hpsearch' has no attribute '{name}'. Public names: {', '.join(sorted(__all__, key=str.lower))}."
        )
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
