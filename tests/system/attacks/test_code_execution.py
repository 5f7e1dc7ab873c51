"""Nothing that a stranger brings runs as code: no pickle is read, no text is evaluated."""

import ast
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import JournalStorage, RDBStorage
from optuna.trial import create_trial

from hpsearch.data import load_file
from hpsearch.data.loaders.datasets import load
from hpsearch.errors import UserError
from hpsearch.storage.opening import open_storage
from hpsearch.storage.urls import sqlite_url
from tests.support.attacks import MemoryJournal, PickleBomb, change_rows
from tests.support.scripted import SMALL, SPACE, Stage

PACKAGE = Path(__file__).parents[3] / "hpsearch"
FORBIDDEN_IMPORTS = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "yaml",
    "xml",
    "lxml",
    "jsonpickle",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.hub.load",
    "joblib.load",
    "onnx.load",
    "pandas.read_pickle",
    "pd.read_pickle",
    "Styler.to_html",
    "urlopen",
    "urlretrieve",
}


def dotted_name(node: ast.expr) -> str:
    """Return the dotted name that is called, ? for what has none; `network.eval()` is not `eval()`."""
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    return getattr(node, "id", "?")


def unsafe_imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield what an import statement imports and must not."""
    module = getattr(node, "module", None) or ""
    names = {alias.name for alias in node.names}
    roots = {name.split(".")[0] for name in {module, *names}}
    yield from roots & FORBIDDEN_IMPORTS
    yield from {f"{module}.{name}" for name in names} & FORBIDDEN_CALLS


def unsafe_calls(node: ast.Call) -> Iterator[str]:
    """Yield a call that must not be made, or not with these arguments."""
    name = dotted_name(node.func)
    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    pickles_by_default = name.endswith("np.load")
    if name in FORBIDDEN_CALLS:
        yield name
    if arguments.get("shell", "False") != "False":
        yield f"{name} in a shell"
    if arguments.get("allow_pickle", str(pickles_by_default)) != "False":
        yield f"{name} with pickles"


def unsafe_uses(code: str) -> list[str]:
    """Return all unsafe imports and calls in a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += unsafe_imports(node)
        if isinstance(node, ast.Call):
            found += unsafe_calls(node)
    return found


def test_no_module_reads_code_from_data() -> None:
    """No module imports a pickle, YAML or XML reader, evaluates text, starts a shell, or lets NumPy or torch unpickle."""
    modules = sorted(PACKAGE.rglob("*.py"))
    unsafe = {str(path): unsafe_uses(path.read_text()) for path in modules}
    assert len(modules) > 100
    assert {path: uses for path, uses in unsafe.items() if uses} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import xml.etree",
        "from yaml import safe_load",
        "from concurrent import dill",
        "from joblib import load",
        "eval('1')",
        "torch.load('x')",
        "np.load('x')",
        "np.load('x', allow_pickle=True)",
        "read(allow_pickle=given)",
        "subprocess.run('x', shell=True)",
    ],
)
def test_unsafe_code_is_recognised(code: str) -> None:
    """The test above would see each of these."""
    assert len(unsafe_uses(code)) == 1


def test_a_bomb_goes_off_where_it_is_unpickled(tmp_path: Path) -> None:
    """The canary of the tests below detects what it is for."""
    pickle.loads(pickle.dumps(PickleBomb(tmp_path / "code-ran")))  # noqa: S301
    assert (tmp_path / "code-ran").exists()


def test_a_journals_snapshot_is_neither_read_nor_written(
    journal: type[MemoryJournal], canary: Path, tmp_path: Path
) -> None:
    """Optuna unpickles the snapshot that a Redis server holds, and would run the bomb; our storage never reads it."""
    journal.snapshot = pickle.dumps(PickleBomb(tmp_path / "optuna"))
    JournalStorage(MemoryJournal(""))
    assert (tmp_path / "optuna").exists(), "Optuna alone runs it: if it no longer does, our own journal can go"
    snapshot = pickle.dumps(PickleBomb(canary))
    journal.snapshot = snapshot
    storage = open_storage("redis://127.0.0.1:1/0")
    for number in range(120):  # Optuna writes a snapshot every hundred entries
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], f"study {number}")
    assert journal.snapshot == snapshot


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "space"), [("cmaes", SPACE), ("tpe", SMALL)])
def test_a_pickle_in_a_trials_row_is_not_read(sampler: str, space: object, canary: Path, tmp_path: Path) -> None:
    """A resumed search does not read a pickled optimizer in a shared storage's trials, where Optuna's CMA-ES keeps its own."""
    database = tmp_path / "study.db"
    stage = Stage(RDBStorage(sqlite_url(database)), sampler=sampler, space=space)
    stage.run(8)
    value = json.dumps(pickle.dumps(PickleBomb(canary)).hex())
    insert = "insert into trial_system_attributes (trial_id, key, value_json) values (?, ?, ?)"
    for key in ("cma:optimizer", "cma:optimizer:0", "cma:n_restarts", "sepcma:optimizer:0", "cmawm:optimizer:0"):
        change_rows(database, insert, *((trial, key, value) for trial in range(1, 9)))
    stage.run(14)
    assert len(stage.trials()) == 14


def test_optunas_own_sampler_would_read_it(tmp_path: Path) -> None:
    """The attribute of the test above is the one that Optuna's CMA-ES unpickles from the storage that it works on."""
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=1))
    domains: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in "xy"}
    attributes = {"cma:optimizer:0": pickle.dumps(PickleBomb(tmp_path / "code-ran")).hex()}
    point = {"x": 0.5, "y": 0.5}
    for _ in range(3):
        study.add_trial(create_trial(params=point, distributions=domains, value=0.0, system_attrs=attributes))
    study.ask(domains)
    assert (tmp_path / "code-ran").exists()


@pytest.mark.slow
def test_cifars_pickles_are_checked_before_they_are_read(canary: Path, tmp_path: Path) -> None:
    """CIFAR-10's files are pickles: files other than the published ones are refused unread."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(PickleBomb(canary)))
    with pytest.raises(UserError, match="not the published ones"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize(("file", "target"), [("x.npz", None), ("x.npy", "y.npy")])
def test_pickles_in_arrays_are_refused(file: str, target: str | None, canary: Path, tmp_path: Path) -> None:
    """An .npz and an .npy of Python objects are refused by their headers."""
    bombs = np.array([PickleBomb(canary)] * 4, dtype=object)
    np.savez(tmp_path / "x.npz", X=bombs, y=np.zeros(4))
    np.save(tmp_path / "x.npy", bombs, allow_pickle=True)
    np.save(tmp_path / "y.npy", np.zeros(4))
    with pytest.raises(UserError, match="Python objects"):
        load_file(tmp_path / file, target)
