"""The public names of hpsearch, pinned."""

import subprocess
import sys

import pytest

import hpsearch


def test_public_names() -> None:
    """The public names are these; taking one away breaks users."""
    assert dir(hpsearch) == [
        "ComparisonResult",
        "DNN",
        "DNNClassifier",
        "DNNRegressor",
        "Objective",
        "SearchResult",
        "__version__",
        "load",
        "report",
        "search",
    ]
    assert all(getattr(hpsearch, name) for name in dir(hpsearch))


def test_unknown_name() -> None:
    """An unknown name raises the usual error and lists the names there are."""
    with pytest.raises(AttributeError, match="Public names: __version__, ComparisonResult, DNN, DNNClassifier"):
        hpsearch.nothing  # noqa: B018


def test_import_is_light() -> None:
    """`import hpsearch` loads neither torch nor Optuna."""
    code = "import sys, hpsearch; print('torch' in sys.modules, 'optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
