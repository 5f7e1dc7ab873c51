"""What several tests of the whole need."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli_studies import CliStudy, Uninterrupted, comparable
from tests.support.forked import ForkServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Start a process that runs the command line without the seconds of its imports."""
    with ForkServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def uninterrupted(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    """Run the study of `cli_studies` from end to end, twice, since the first run compiles kernels."""
    for attempt in range(2):
        study = CliStudy(tmp_path_factory.mktemp(f"uninterrupted{attempt}"))
        began = time.monotonic()
        assert server.start(*study.command).wait(300) == 0
    return Uninterrupted(comparable(study.record().trials), time.monotonic() - began, study)


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """Return a folder in memory where there is such a one: a disk is waited for, not computed."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[], Path]:
    """Return a function that makes another empty folder at each call."""

    def make() -> Path:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return folder

    return make
