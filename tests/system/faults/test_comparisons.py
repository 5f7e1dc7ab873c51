"""Comparisons that are killed, whose workers are killed, or whose storage goes away: each ends as the one that nothing broke."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.storage import ArmRecord, ComparisonRecord, WinnerRecord
from hpsearch.storage.reading import read
from tests.support.cli_studies import COMPARISON, CliStudy, comparable, is_clean
from tests.support.forked import ForkServer
from tests.support.servers import installed
from tests.support.worker_pools import kill_worker, workers

pytestmark = pytest.mark.slow


def comparison_in(folder: Path, *options: str, **more: Any) -> CliStudy:
    """Return a small comparison and the command that runs it."""
    return CliStudy(folder, COMPARISON, "--engine=reference", *options, verb="compare", **more)


def timeless(record: ComparisonRecord) -> ComparisonRecord:
    """Return a comparison without its times, which differ between two runs."""
    return replace(record, arms=tuple(map(_timeless_arm, record.arms)), plain={}, as_of="")


def _timeless_arm(arm: ArmRecord) -> ArmRecord:
    return replace(
        arm,
        trials=tuple(comparable(arm.trials)),
        fastest=_timeless_winner(arm.fastest),
        best=_timeless_winner(arm.best),
        refined=tuple(comparable(arm.refined)),
    )


def _timeless_winner(winner: WinnerRecord | None) -> WinnerRecord | None:
    return winner and replace(winner, runs=tuple(comparable(winner.runs)))


def record_of(comparison: CliStudy) -> ComparisonRecord:
    """Return what is stored of a comparison, without its times."""
    record = read(comparison.url, comparison.name)
    assert isinstance(record, ComparisonRecord)
    return timeless(record)


@pytest.fixture(scope="module")
def unbroken(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[ComparisonRecord, float]:
    """Run the comparison in one process from end to end; return its record and how long it took."""
    comparison = comparison_in(tmp_path_factory.mktemp("unbroken"))
    began = time.monotonic()
    command = server.start(*comparison.command)
    assert command.wait(300) == 0, command.output
    return record_of(comparison), time.monotonic() - began


def assert_as_unbroken(comparison: CliStudy, unbroken: ComparisonRecord) -> None:
    """Check that a comparison has the trials, winners and measurements of the unbroken one, and a page."""
    found = record_of(comparison)
    for field in fields(ComparisonRecord):
        assert getattr(found, field.name) == getattr(unbroken, field.name), field.name
    assert (comparison.folder / "report.html").stat().st_size > 10_000


def test_kill_9(
    server: ForkServer, unbroken: tuple[ComparisonRecord, float], new_folder: Callable[[], Path], long: bool
) -> None:
    """After kill -9 at random moments, up to three in one comparison, the same command ends as the unbroken one."""
    draws = random.Random(9)  # noqa: S311
    wanted = 30 if long else 1
    kills = 0
    while kills < wanted:
        comparison = comparison_in(new_folder())
        for _ in range(3):
            command = server.start(*comparison.command)
            time.sleep(draws.uniform(0, 0.8 * unbroken[1]))
            command.send(signal.SIGKILL)
            kills += command.wait() == -signal.SIGKILL
            assert is_clean(command.output), command.output
        status, output = server.run(*comparison.command)
        assert (status, is_clean(output)) == (0, True), output
        assert_as_unbroken(comparison, unbroken[0])


def test_workers_killed(
    server: ForkServer, unbroken: tuple[ComparisonRecord, float], new_folder: Callable[[], Path], long: bool
) -> None:
    """A comparison on two processes that are killed again and again ends as in one process."""
    draws = random.Random(4)  # noqa: S311
    for _ in range(5 if long else 1):
        comparison = comparison_in(new_folder(), "-v", devices="--devices=cpu,cpu")
        command = server.start(*comparison.command)
        command.wait_for_output(": room for", 2, 120)
        kills = 0
        while kills < 3 and command.status is None:
            if workers(command):
                kill_worker(command, draws)
                kills += 1
        assert command.wait(300) == 0, command.output
        assert is_clean(command.output), command.output
        assert kills == command.output.count(" is lost ") == 3
        assert_as_unbroken(comparison, unbroken[0])


@pytest.mark.parametrize("kind", ["PostgreSQL", "Redis", "gRPC"])
def test_a_storage_server_goes_away(
    kind: str,
    server: ForkServer,
    unbroken: tuple[ComparisonRecord, float],
    new_folder: Callable[[], Path],
    long: bool,
) -> None:
    """With the storage's server stopped and started again amid a comparison it ends as the unbroken one."""
    draws = random.Random(6)  # noqa: S311
    for _ in range(5 if long else 1):
        with installed(kind) as storage:
            comparison = comparison_in(new_folder(), storage=storage.url)
            command = server.start(*comparison.command)
            command.wait_for_output("tuning: ")
            time.sleep(draws.uniform(0, unbroken[1] / 3))
            storage.stop()
            time.sleep(draws.uniform(1, 10 if long else 2))
            storage.start()
            assert command.wait(300) == 0, command.output
            assert is_clean(command.output), command.output
            assert_as_unbroken(comparison, unbroken[0])
