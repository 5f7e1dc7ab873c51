"""Other operating systems and optimised bytecode, as far as they can be simulated: hpsearch runs where POSIX's modules are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import platforms

WITHOUT_POSIX = '''
import builtins, signal

MISSING = {"fcntl", "resource", "pwd", "grp", "termios"}
real = builtins.__import__


def without_posix(name, globals=None, locals=None, fromlist=(), level=0):
    """Other packages do without these modules on Windows by themselves; here hpsearch has to."""
    importer = (globals or {}).get("__name__", "")
    if name in MISSING and importer.split(".")[0] == "hpsearch":
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return real(name, globals, locals, fromlist, level)


builtins.__import__ = without_posix
for name in ("SIGHUP", "pthread_sigmask", "pthread_kill"):
    delattr(signal, name)
'''
RUN = """
from hpsearch.cli import main

status = main(["run", "--trials", "2", "--engine", "reference", "--set", "training.epochs=1", "--set", "confirm.trials=0"])
assert status == 0 or exit(status)
"""
SEARCH = """
from pathlib import Path
from sklearn.datasets import load_iris
from hpsearch import search

found = search(*load_iris(return_X_y=True), trials=2, confirm=0)
print("found", len(found.record.trials))
"""


def python(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_help_needs_no_posix(tmp_path: Path) -> None:
    """The command line shows its help where there is no `fcntl`, no `resource` and no SIGHUP."""
    script = WITHOUT_POSIX + "from hpsearch.cli import main\nmain(['--help'])"
    done = python(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "COMMAND" in done.stdout


@pytest.mark.slow
def test_a_run_needs_no_posix(tmp_path: Path) -> None:
    """A study runs there to its report, with optimised bytecode too."""
    done = python(WITHOUT_POSIX + RUN, tmp_path, PYTHONOPTIMIZE="1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "digits" / "report.html").is_file()


@pytest.mark.slow
def test_a_search_needs_no_posix(tmp_path: Path) -> None:
    """So does a search of arrays."""
    done = python(WITHOUT_POSIX + SEARCH, tmp_path, PYTHONOPTIMIZE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "found 2"


BAD_COMMANDS = [
    ["run", "nosuch"],
    ["run", "--set", "space.depth=-1"],
    ["run", "--data", "nosuch.csv", "--target", "y"],
    ["run", "--data", "digits", "--folds", "1"],
    ["run", "--engine", "nosuch"],
    ["run", "--parallel", "0"],
    ["run", "--sampler", "nosuch"],
    ["run", "--metric", "nosuch"],
    ["run", "--storage", "nosuch"],
    ["run", "--devices", "cpu", "--ray", "local"],
    ["compare", "nosuch"],
    ["report", "nosuch"],
    ["predict", "nosuch", "nosuch.csv"],
    ["list", "nosuch"],
]


@pytest.mark.slow
def test_bad_input_is_refused_without_asserts(tmp_path: Path) -> None:
    """No refusal depends on an `assert`: with optimised bytecode, which has none, the same input ends with the same error."""
    script = f"import sys\nfrom hpsearch.cli import main\nfor command in {BAD_COMMANDS!r}: print(main(command), file=sys.stderr)"
    plain = python(script, tmp_path)
    optimised = python(script, tmp_path, PYTHONOPTIMIZE="1")
    assert optimised.stderr == plain.stderr
    assert plain.stderr.splitlines().count("2") == len(BAD_COMMANDS), plain.stderr


def test_signals_are_those_of_the_system() -> None:
    """Where SIGHUP is, it ends a run as SIGTERM does; Ctrl-C stops one everywhere."""
    assert {signal.name for signal in platforms.STOPPING_SIGNALS} == {"SIGINT", "SIGTERM", "SIGHUP"}
    assert {signal.name for signal in platforms.ENDING_SIGNALS} == {"SIGTERM", "SIGHUP"}


def test_a_process_runs_until_it_has_ended() -> None:
    """A process is known to run while it does."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert platforms.is_running(process.pid)
        process.communicate(b"\n")
    assert not platforms.is_running(process.pid)


def test_memory_is_counted_in_bytes() -> None:
    """The peak of this process, which has loaded pytest at least, is megabytes."""
    peak = platforms.peak_memory()
    assert peak is not None
    assert 2**23 < peak < 2**40
