"""Runs that are killed, stopped or told to end."""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli_studies import (
    LONG_STUDY,
    CliStudy,
    Uninterrupted,
    assert_finished,
    assert_resumes,
    assert_unchanged,
    is_clean,
)
from tests.support.forked import ForkedCommand, ForkServer
from tests.support.servers import postgres
from tests.support.stored import is_locked


@pytest.mark.slow
def test_kill_9(server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool) -> None:
    """After kill -9 at any moment, several times in one study, the same command ends with the trials of the uninterrupted study."""
    draws = random.Random(9)  # noqa: S311
    wanted = 100 if long else 3
    kills = 0
    while kills < wanted:
        study = CliStudy(new_folder())
        for _ in range(min(3, wanted - kills)):
            before = study.ended_trials()
            command = server.start(*study.command)
            time.sleep(draws.uniform(0, 1.05 * uninterrupted.seconds))
            command.send(signal.SIGKILL)
            kills += command.wait() == -signal.SIGKILL
            assert is_clean(command.output), command.output
            assert_unchanged(before, study.ended_trials())
        assert_resumes(server, study, uninterrupted.trials)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "status", "seconds"),
    [
        ((signal.SIGINT,), 130, 20.0),
        ((signal.SIGINT, signal.SIGINT), 130, 8.0),
        ((signal.SIGTERM,), 143, 20.0),
        ((signal.SIGHUP,), 129, 20.0),
    ],
    ids=["SIGINT", "SIGINT twice", "SIGTERM", "SIGHUP"],
)
def test_signals(
    signals: tuple[int, ...],
    status: int,
    seconds: float,
    server: ForkServer,
    uninterrupted: Uninterrupted,
    new_folder: Callable[[], Path],
    long: bool,
) -> None:
    """A signal at any moment ends a run in time with its status and a line; the same command ends as the uninterrupted study."""
    draws = random.Random(sum(signals))  # noqa: S311
    for _ in range(10 if long else 1):
        study = CliStudy(new_folder())
        command = server.start(*study.command)
        time.sleep(draws.uniform(0.1, uninterrupted.seconds))
        sent = time.monotonic()
        for number in signals:
            command.send(number)
            time.sleep(0.1)
        ended = command.wait()
        assert ended in (status, 0), command.output  # 0: it was done before
        assert time.monotonic() - sent < seconds
        assert is_clean(command.output), command.output
        assert ended == 0 or "to go on: " in command.output
        assert_resumes(server, study, uninterrupted.trials)


@pytest.mark.slow
def test_a_trial_in_training_is_trained_again(server: ForkServer, tmp_path: Path) -> None:
    """SIGTERM during training ends within the grace period; the trials in training get no result and are trained again."""
    study = CliStudy(tmp_path, LONG_STUDY)
    command = server.start(*study.command, "--grace", "20")
    study.wait_for_trials(2)
    sent = time.monotonic()
    command.send(signal.SIGTERM)
    assert command.wait() == 143
    assert time.monotonic() - sent < 20
    running = [trial for trial in study.record().trials if trial.state == "running"]
    assert running
    resumed = server.start(*study.command)
    resumed.wait_for_output(f"training {len(running)} interrupted trial")
    resumed.send(signal.SIGKILL)
    resumed.wait()


@pytest.mark.slow
def test_the_grace_period_ends(server: ForkServer, tmp_path: Path) -> None:
    """A process that cannot end cleanly, here since its storage is unreachable, ends with SIGTERM's status after the grace period."""
    pytest.importorskip("psycopg")
    with postgres() as database:
        if database is None:
            pytest.skip("PostgreSQL is not installed")
        study = CliStudy(tmp_path, LONG_STUDY, storage=database.url)
        command = server.start(*study.command, "--grace", "3")
        study.wait_for_trials(2)
        database.stop()
        command.wait_for_output("storage unreachable, retrying")
        sent = time.monotonic()
        command.send(signal.SIGTERM)
        assert command.wait() == 143
        assert 2 < time.monotonic() - sent < 30  # its storage is waited for far longer
        assert "stopped at the end of the grace period" in command.output
        assert is_clean(command.output), command.output


@pytest.mark.slow
def test_a_stopped_process_continues(server: ForkServer, uninterrupted: Uninterrupted, tmp_path: Path) -> None:
    """A process that is stopped and continued, as on a laptop that sleeps, ends as the uninterrupted study."""
    study = CliStudy(tmp_path)
    command = server.start(*study.command)
    command.wait_for_output("trials/s")
    command.stop()
    threading.Timer(1.5, lambda: command.send(signal.SIGCONT)).start()
    assert command.wait() == 0
    assert_finished(study, uninterrupted.trials)


def stop_between_writes(study: CliStudy, command: ForkedCommand) -> None:
    """Stop a run that has ended a trial; one that is stopped within a write keeps the database locked for everybody."""
    study.wait_for_trials(1)
    command.stop()
    while is_locked(study.folder / "study.db"):
        command.send(signal.SIGCONT)
        time.sleep(0.005)
        command.stop()


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["this machine", "another machine"])
def test_a_process_that_is_stopped_longer_than_its_lease(
    machine: str, server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool
) -> None:
    """One that is stopped for longer than its lease loses the study to one that joins, and once continued says so and writes nothing."""
    study = CliStudy(new_folder())
    lease = [] if long else ["short_lease"]
    place = ["elsewhere"] if machine == "another machine" else []
    stopped = server.start(*study.command, prepare=[*place, *lease])
    stop_between_writes(study, stopped)
    joined = server.start(*study.command, "--join", prepare=lease)
    joined.wait_for_output("waiting: another process runs this study")
    assert joined.wait(200) == 0, joined.output
    assert_finished(study, uninterrupted.trials)
    stopped.send(signal.SIGCONT)
    assert stopped.wait() == 3, stopped.output
    assert "error: another process took this study over" in stopped.output
    assert is_clean(stopped.output + joined.output)
    assert_finished(study, uninterrupted.trials)


@pytest.mark.slow
def test_a_clock_that_jumps(server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path]) -> None:
    """A clock that jumps by hours, days and years, forwards and backwards, changes no trial, no lease, and no time of the report."""
    study = CliStudy(new_folder())
    status = server.start(*study.command, prepare=["jumping_clock"]).wait()
    assert status == 0
    assert_finished(study, uninterrupted.trials)
    trials = study.record().trials
    begun = [trial.started or 0.0 for trial in trials]
    assert begun == sorted(begun)
    assert begun[-1] < 60
    study = CliStudy(new_folder())
    first = server.start(*study.command, prepare=["jumping_clock"])
    stop_between_writes(study, first)
    joined = server.start(*study.command, "--join", prepare=["jumping_clock"])
    joined.wait_for_output("waiting: another process runs this study")
    first.send(signal.SIGKILL)
    assert joined.wait() == 0, joined.output
    assert is_clean(joined.output), joined.output
    assert_resumes(server, study, uninterrupted.trials)  # makes the page where the first run was killed at that
