"""The rooms of the house: imports point one way, and each heavy dependency has its home."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hpsearch"

# A room may import rooms below it (further down this list) and its own modules.
ROOMS = [
    ["__main__"],
    ["cli"],
    ["commands"],
    ["estimators", "interactive", "objective", "testing"],
    ["comparison"],
    ["reporting"],
    ["searching"],
    ["model"],
    ["config"],
    ["space"],
    ["storage"],
    ["training"],
    ["data"],
    ["statistics"],
    ["trial", "files", "progress"],
    ["errors"],
]
HOMES = {
    "torch": {
        "training",
        "data",
        "model",
        "searching",
        "comparison",
        "objective",
        "testing",
        "estimators",
        "reporting",
    },
    "torchvision": {"data"},
    "PIL": {"data"},
    "sklearn": {"data", "estimators"},
    "optuna": {"searching", "comparison", "storage", "reporting", "objective"},
    "pandas": {"reporting", "data"},
    "pyarrow": {"data"},
    "plotly": {"reporting", "comparison"},
    "pydantic": {"config"},
    "rich": {"reporting", "comparison", "commands"},
    "safetensors": {"searching", "model"},
    "numba": {"training", "comparison"},
    "ray": {"training"},
    "mlflow": {"reporting"},
    "optuna_dashboard": {"commands"},
    "onnx": {"model"},
    "onnxruntime": {"model"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it, those for annotations only aside."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """No module imports from a room above its own, or beside it."""
    level = {name: number for number, names in enumerate(ROOMS) for name in names} | {"__init__": len(ROOMS)}
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "hpsearch" and len(parts) > 1 and parts[1] != room(path):
            assert level[parts[1]] > level[room(path)], f"{room(path)} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_dependencies_have_a_home(path: Path) -> None:
    """Each heavy dependency is imported in its own rooms only."""
    for name in imports(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or room(path) in homes, f"{room(path)} imports {name}"


def loaded_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*(m for m in sys.modules if '.' not in m))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_help_waits_for_nothing() -> None:
    """`--help` and `import hpsearch` import none of the heavy packages."""
    loaded = loaded_after("import hpsearch, hpsearch.cli; hpsearch.cli.parser().format_help()")
    assert not loaded & {"torch", "optuna", "pandas", "pyarrow", "plotly", "sklearn", "numpy", "pydantic", "rich"}


def test_a_config_is_checked_without_torch() -> None:
    """Errors in a study's file are told without waiting for torch."""
    loaded = loaded_after("from hpsearch.config import *; read_config(find_study('digits'))")
    assert not loaded & {"torch", "optuna", "pandas", "pyarrow", "sklearn"}


def test_the_report_needs_no_torch() -> None:
    """The report is made without torch, on a machine that did not train."""
    assert "torch" not in loaded_after("import hpsearch.reporting, hpsearch.comparison.page, hpsearch.storage.reading")
