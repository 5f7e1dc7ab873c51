"""The rooms of the house: imports point one way, no files import each other in a circle, each heavy dependency has its home."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hpsearch"

# A room may import rooms below it (further down this list) and its own modules.
ROOMS = [
    ["__main__"],
    ["cli"],
    ["commands"],
    ["objective"],
    ["estimators", "interactive", "study_report", "testing"],
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
    ["trial", "files", "progress", "platforms", "locales"],
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
    "optuna": {"searching", "comparison", "storage", "reporting", "objective", "study_report"},
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


def import_nodes(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import of a file, wherever in it, those for annotations only aside."""
    tree = ast.parse(path.read_text())
    typing_only: set[ast.AST] = set()
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test):
            for statement in block.body:
                typing_only |= set(ast.walk(statement))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in typing_only:
            yield node


def imports(path: Path) -> set[str]:
    """Every module that a file imports."""
    names: set[str] = set()
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names.add(node.module)
    return names


def file_of(module: str) -> Path | None:
    """The file of a module of the package, None if there is no such module."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def imported_files(path: Path) -> set[Path]:
    """Every file of the package that a file names in an import."""
    files: set[Path | None] = set()
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            files |= {file_of(alias.name) for alias in node.names}
        elif node.module and node.module.startswith("hpsearch"):
            files |= {file_of(f"{node.module}.{alias.name}") or file_of(node.module) for alias in node.names}
    return {file for file in files if file is not None} - {path}


def circles(graph: Mapping[str, Set[str]]) -> list[set[str]]:
    """The sets of nodes of which each can be reached from each (strongly connected components of more than one node)."""
    reach = {node: reachable(graph, node) for node in graph}
    together = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph}
    return [set(nodes) for nodes in together if nodes]


def reachable(graph: Mapping[str, Set[str]], start: str) -> set[str]:
    """The nodes that can be reached from one, itself only on a way through others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for node in graph[waiting.pop()] - seen:
            seen.add(node)
            waiting.append(node)
    return seen


def test_no_files_import_each_other_in_a_circle() -> None:
    """Files can be read one after another: what a file imports, in functions too, never leads back to it."""
    graph = {
        str(path.relative_to(PACKAGE)): {str(file.relative_to(PACKAGE)) for file in imported_files(path)}
        for path in modules()
    }
    assert circles(graph) == []


def test_circles_are_found() -> None:
    """The search for circles finds one of two files and one of three, and no other file in them."""
    graph = {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"e"}, "e": {"c"}, "f": {"a"}}
    assert sorted(map(sorted, circles(graph))) == [["a", "b"], ["c", "d", "e"]]


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


def is_of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def private_names_used(path: Path) -> set[str]:
    """Names with one leading underscore that a file uses of objects other than `self`, or imports, modules included."""
    attributes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in attributes if not is_of_self(node)}
    for node in import_nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("optuna"):
            names |= {*node.module.split("."), *(alias.name for alias in node.names)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def private_names_defined(path: Path) -> set[str]:
    """Private names that a file defines: functions, classes, variables, and attributes of `self` that it sets."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_of_self(node):
            names.add(node.attr)
    return {name for name in names if name.startswith("_")}


@pytest.mark.slow
def test_one_file_knows_optunas_private_names() -> None:
    """In a file that imports Optuna every private name is one that hpsearch defines; only `optuna_internals` uses Optuna's."""
    own = {name for path in modules() for name in private_names_defined(path)} - {"_storage"}  # a study's too
    users = {path for path in modules() if any(name.split(".")[0] == "optuna" for name in imports(path))}
    foreign = {str(path.relative_to(PACKAGE)): private_names_used(path) - own for path in users}
    assert {path for path, names in foreign.items() if names} == {"storage/optuna_internals.py"}


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


@pytest.mark.slow
def test_the_report_needs_no_torch() -> None:
    """The report is made without torch, on a machine that did not train."""
    assert "torch" not in loaded_after("import hpsearch.reporting, hpsearch.comparison.page, hpsearch.storage.reading")
