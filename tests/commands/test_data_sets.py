"""Data sets by name on the command line: `run wine`, names in any spelling, and files in a cache where no folder is given."""

from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.data import load
from hpsearch.data.loaders.datasets import find_name
from hpsearch.data.loaders.torchvision_sets import cache_folder, required_folder
from hpsearch.data.options import SplitOptions
from hpsearch.errors import UserError
from hpsearch.storage.folders import STUDY_FILE
from hpsearch.storage.reading import read_study
from hpsearch.storage.urls import sqlite_url
from tests.data.test_files import write

QUICK = ["--trials", "1", "--set", "training.epochs=2", "--set", "confirm.trials=0", "--set", "data.validation=0.2"]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "Breast-Cancer"])
def test_run_a_data_set(tmp_path: Path, name: str) -> None:
    """The name of a data set, in any spelling, is a study as `--data` makes it: of that name, in that folder, with the space of tables."""
    if name == "wine":
        assert main(["run", name, *QUICK]) == 0
        record = read_study(sqlite_url(tmp_path / "reports" / name / STUDY_FILE), name)
        assert record.settings["data"]["name"] == "wine"
        assert main(["run", "--data", name, *QUICK]) == 0, "the same study"
        return
    assert find_name(name) == "breast_cancer"


def test_a_folder_of_that_name_is_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies on the disk under a data set's name is not passed over for it."""
    (tmp_path / "wine").mkdir()
    assert main(["run", "wine"]) == 2
    assert "Is it a folder of images by class? Then --data names it." in capsys.readouterr().err


def test_names() -> None:
    """Data sets of torchvision's are found too, in any spelling; files and nonsense are none."""
    assert [find_name(name) for name in ("FashionMNIST", "fashion-mnist", "svhn", "wine.csv", "nosuch", "")] == [
        *("fashion_mnist", "fashion_mnist", "SVHN", None, None, None)
    ]


def test_files_in_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder, files that were fetched before are read from the cache, and that is said with the option of another folder."""
    write(cache_folder(), "fashion_mnist")
    data = load("fashion_mnist", split=SplitOptions(validation=10))
    said = f"Files are those in {cache_folder()}, where --download keeps them (--data-root DIR: another folder)."
    assert said in data.summary["notices"]
    assert main(["run", "fashion_mnist", "--download", *QUICK[:-1], "data.validation=10"]) == 0
    assert "where --download keeps them" in " ".join(capsys.readouterr().out.split())
    named = load("fashion_mnist", root=cache_folder(), split=SplitOptions(validation=10))
    assert named.summary["hash"] == data.summary["hash"]
    assert said not in named.summary["notices"]


def test_no_folder() -> None:
    """Nothing is fetched unasked: without a cache and --download the error names both ways; --download makes the cache."""
    with pytest.raises(UserError, match=r"Pass --data-root DIR .* or --download .* to fetch them to .*cache/hpsearch"):
        required_folder(None)
    assert required_folder(None, download=True) == cache_folder()
    assert cache_folder().is_dir()


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    """A cache that cannot be made is one line."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cache/hpsearch: .*Pass --data-root DIR"):
        required_folder(None, download=True)


URLS = {
    "sqlite:///{0}/s.db": "For the absolute path write four slashes: sqlite:////{0}/s.db",
    "journal:///{0}/s.log": "For the absolute path write four slashes: journal:////{0}/s.log",
    "journal://{0}/s.log": "two slashes. Write three for a path from here (journal:///{0}/s.log), four for an absolute one",
    "journal:////{0}/s.log": "",
}


@pytest.mark.parametrize("url", URLS)
def test_absolute_paths_of_storages(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A path with too few slashes is refused with the URL that means it; with four it is absolute, for SQLite and journals alike."""
    path = str(tmp_path / "kept").lstrip("/")
    (tmp_path / "kept").mkdir()
    status = main(["run", "wine", *QUICK, "--storage", url.format(path)])
    screen = capsys.readouterr()
    assert status == (2 if URLS[url] else 0)
    assert URLS[url].format(path) in screen.err
    assert (tmp_path / "kept/s.log").exists() == (not URLS[url])
