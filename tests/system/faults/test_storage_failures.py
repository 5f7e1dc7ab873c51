"""Storages that fill up, cannot be written or go away."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cli_studies import CliStudy, Uninterrupted, assert_resumes, comparable, is_clean
from tests.support.forked import ForkServer
from tests.support.servers import installed


def mount(*arguments: str) -> None:
    """Mount, or skip the test where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a disk of so many bytes on a folder."""
    if os.getuid() or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_full_disk(
    kind: str, server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool
) -> None:
    """A disk that fills at any point gives a line and status 3; with room again the same command ends as the uninterrupted study."""
    draws = random.Random(3)  # noqa: S311
    for _ in range(10 if long else 1):
        size = draws.randrange(8, 300) * 4096
        with small_disk(new_folder(), size) as disk:
            storage = f"journal:///{disk}/study.log" if kind == "journal" else None
            study = CliStudy(disk, storage=storage)
            status, output = server.run(*study.command)
            assert status in (2, 3), output
            assert is_clean(output), output
            assert "error: " in output
            mount("-o", "remount,size=64m", str(disk))
            assert_resumes(server, study, uninterrupted.trials)


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the content of each file in a folder."""
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_read_only_folder(server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path]) -> None:
    """A folder that cannot be written is reported before the first trial, and nothing in it changes."""
    with small_disk(new_folder(), 2**26) as disk:
        study = CliStudy(disk)
        shutil.copytree(uninterrupted.study.folder, study.folder)
        mount("-o", "remount,ro", str(disk))
        before = contents(study.folder)
        status, output = server.run(*study.command, "--trials", "20")
        assert status in (2, 3), output
        assert is_clean(output), output
        assert "Read-only" in output or "readonly" in output
        assert contents(study.folder) == before
        new_study = CliStudy(new_folder())
        assert server.run(*new_study.command, "--reports", str(disk / "new"))[0] in (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("pause", ["restarted", "stopped"])
def test_postgres_goes_away(
    pause: str, server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool
) -> None:
    """With PostgreSQL restarted, or stopped for 2 seconds (--long: ten), during a run the study ends as the uninterrupted one."""
    draws = random.Random(5)  # noqa: S311
    with installed("PostgreSQL") as database:
        for attempt in range(5 if long else 1):
            study = CliStudy(new_folder(), storage=database.url, name=f"flowers-{attempt}")
            command = server.start(*study.command)
            if pause == "restarted":
                command.wait_for_output("data  ")
                time.sleep(draws.uniform(0, uninterrupted.seconds / 2))
                database.stop()
            else:
                command.wait_for_output("trials/s")
                database.stop()
                time.sleep(10 if long else 2)
            database.start()
            status = command.wait(120)
            assert (status, is_clean(command.output)) == (0, True), command.output
            assert comparable(study.record().trials) == uninterrupted.trials


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Redis", "gRPC"])
def test_a_server_goes_away(
    kind: str, server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool
) -> None:
    """With Redis or Optuna's gRPC proxy stopped for a second and started again during a run the study ends as the uninterrupted one."""
    with installed(kind) as storage:
        for attempt in range(5 if long else 1):
            study = CliStudy(new_folder(), storage=storage.url, name=f"flowers-{attempt}")
            command = server.start(*study.command)
            command.wait_for_output("trials/s")
            storage.stop()
            time.sleep(1)
            storage.start()
            status = command.wait(120)
            assert (status, is_clean(command.output)) == (0, True), command.output
            assert comparable(study.record().trials) == uninterrupted.trials
