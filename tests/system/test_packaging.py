"""What pip installs: one version, the oldest and the tested versions of dependencies, the command, the files of wheel and sdist."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hpsearch import __version__
from hpsearch.model import models

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def installed() -> list[Requirement]:
    """Return what the tests install: the dependencies, and the extra `test` with the extras that it names."""
    extras = PROJECT["optional-dependencies"]
    requirements = [Requirement(line) for line in [*PROJECT["dependencies"], *extras["test"]]]
    own = [requirement for requirement in requirements if requirement.name == "hpsearch"]
    named = [Requirement(line) for requirement in own for extra in requirement.extras for line in extras[extra]]
    return [requirement for requirement in [*requirements, *named] if requirement.name != "hpsearch"]


def pins(name: str) -> dict[str, Version]:
    """Return the versions of a file of constraints, by the packages' canonical names."""
    lines = (ROOT / ".ci" / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def test_ci_s_versions_are_allowed() -> None:
    """constraints.txt has each package that the tests install, in a version that pyproject.toml allows."""
    versions = pins("constraints.txt")
    rows = {canonicalize_name(row.name): row for row in installed()}
    assert rows.keys() - versions.keys() == set()
    assert [str(row) for name, row in rows.items() if versions[name] not in row.specifier] == []


def test_the_oldest_versions_are_the_oldest_allowed() -> None:
    """oldest.txt has the lower bound of each package that has one."""
    bounds = {
        canonicalize_name(row.name): Version(bound.version)
        for row in installed()
        for bound in row.specifier
        if bound.operator == ">="
    }
    assert pins("oldest.txt") == bounds


def test_a_model_knows_the_version_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's provenance has the version of the code that made it, which need not be installed."""
    monkeypatch.setattr(models, "__version__", "9.9")
    assert list(models.versions()) == ["hpsearch", "torch", "optuna", "numpy"]
    assert models.versions()["hpsearch"] == "9.9"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    code = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


def test_the_wheel_has_what_runs(built: Path) -> None:
    """The wheel holds studies, styles and documentation, so that an installed hpsearch runs from any folder, and no tests."""
    (wheel,) = built.glob("*.whl")
    files = zipfile.ZipFile(wheel)
    names = set(files.namelist())
    assert {"hpsearch/studies/digits.toml", "hpsearch/studies/mnist.toml", "hpsearch/py.typed"} <= names
    assert {f"hpsearch/docs/{page.name}" for page in (ROOT / "hpsearch" / "docs").glob("*.md")} <= names
    about = f"hpsearch-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"hpsearch", about}
    assert f"{about}/licenses/LICENSE" in names
    assert "hpsearch = hpsearch.__main__:run" in files.read(f"{about}/entry_points.txt").decode()
    assert f"\nVersion: {__version__}\n" in files.read(f"{about}/METADATA").decode()


def test_the_sdist_is_small(built: Path) -> None:
    """The sdist holds code, tests and studies, and of the recorded studies only what the documentation shows."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "studies/digits.toml", "tests/conftest.py", ".github/CONTRIBUTING.md"} <= names
    assert "reports/digits-showcase/report.png" in names
    assert sdist.stat().st_size < 3_000_000


@pytest.mark.slow
def test_the_wheel_runs_as_installed(built: Path, tmp_path: Path) -> None:
    """The wheel, installed where no checkout is, gives a command that prints its help, trains a study and writes its page."""
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip())
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (own / "tested_with.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    environment = {"PATH": str(place / "bin"), "HOME": str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [str(place / "bin" / "hpsearch"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import hpsearch; print(hpsearch.__file__)"
    found = subprocess.run(
        [python, "-c", where], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(own)
    assert "run a study" in run("--help")
    settings = ["search.trials=2", "training.epochs=1", "confirm.trials=0", "search.sampler=random"]
    run("run", "iris", "--device", "cpu", *(word for setting in settings for word in ("--set", setting)))
    assert (tmp_path / "reports/iris/report.html").is_file()


@pytest.mark.slow
def test_the_command_ends_as_the_module(tmp_path: Path) -> None:
    """The command that pip installs ends with the exit status of `python -m hpsearch`."""
    script = "import sys; sys.argv[0] = 'hpsearch'; from hpsearch.__main__ import run; sys.exit(run())"
    for arguments, status in (["--version"], 0), (["help", "data"], 0), (["run", "nothing.toml"], 2):
        ends: list[Any] = [
            subprocess.run([sys.executable, *start, *arguments], cwd=tmp_path, capture_output=True, text=True)
            for start in (["-c", script], ["-m", "hpsearch"])
        ]
        assert [end.returncode for end in ends] == [status, status]
        assert ends[0].stderr == ends[1].stderr
