"""Runs of one study at once, and workers that are killed or stopped."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.storage import TrialRecord
from tests.support.cli_studies import (
    STUDY,
    TRIALS,
    CliStudy,
    Uninterrupted,
    assert_finished,
    assert_unchanged,
    comparable,
    is_clean,
)
from tests.support.forked import ForkedCommand, ForkServer, wait_until
from tests.support.servers import Server, postgres
from tests.support.worker_pools import WORKER_READY, kill_worker, workers

WORKER_STUDY = STUDY.replace("epochs = 4", "epochs = 300\nevaluations = 50")


@pytest.mark.slow
def test_two_writers_at_once(
    server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool
) -> None:
    """Of two runs of one new study that start at once one runs it; the other names the first, or finds the study complete."""
    for _ in range(20 if long else 1):
        study = CliStudy(new_folder())
        runs = [server.start(*study.command) for _ in range(2)]
        ended = sorted(run.wait() for run in runs)
        output = "\n".join(run.output for run in runs)
        assert ended in ([0, 2], [0, 0]), output
        assert is_clean(output), output
        assert ended == [0, 0] or "another process runs this study" in output
        assert_finished(study, uninterrupted.trials)


def writer_of(runs: list[ForkedCommand]) -> ForkedCommand:
    """Return the run that trains, or the first one where all is done."""
    for run in runs:
        if "trials/s" in run.output and "report  " not in run.output:
            return run
    return runs[0]


@pytest.mark.slow
def test_join(server: ForkServer, uninterrupted: Uninterrupted, new_folder: Callable[[], Path], long: bool) -> None:
    """Three runs join one study; the one that writes is killed, another takes over at once, and all that live end with 0."""
    draws = random.Random(7)  # noqa: S311
    for _ in range(10 if long else 1):
        study = CliStudy(new_folder())
        runs = [server.start(*study.command, "--join") for _ in range(3)]
        wait_until(lambda: any("trials/s" in run.output for run in runs))  # noqa: B023
        time.sleep(draws.uniform(0, uninterrupted.seconds / 3))
        before = study.ended_trials()
        writer_of(runs).send(signal.SIGKILL)
        ended = [run.wait() for run in runs]
        output = "\n".join(run.output for run in runs)
        killed = ended.count(-signal.SIGKILL)
        assert killed <= 1, output
        assert ended.count(0) == 3 - killed, output
        assert is_clean(output), output
        assert "waiting: another process runs this study" in output
        assert "study 'flowers' is complete (by " in output
        assert_unchanged(before, study.ended_trials())
        assert_finished(study, uninterrupted.trials)


@pytest.fixture(scope="module")
def in_one_process(
    server: ForkServer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[TrialRecord]:
    """Return the trials of a longer study that is trained in its own process."""
    if not request.config.getoption("--long"):
        pytest.skip("only with --long: each study starts processes of its own (the short form is test_workers')")
    study = CliStudy(tmp_path_factory.mktemp("one-process"), WORKER_STUDY, "--engine", "reference")
    assert server.start(*study.command).wait(300) == 0
    return comparable(study.record().trials)


def restart_storage(database: Server) -> None:
    """Stop a server for ten seconds."""
    database.stop()
    time.sleep(10)
    database.start()


def stop_worker(command: ForkedCommand, draws: random.Random) -> None:
    """Stop a worker for some seconds."""
    worker = draws.choice(workers(command))
    os.kill(worker, signal.SIGSTOP)
    time.sleep(draws.uniform(1, 5))
    os.kill(worker, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "stopped", "PostgreSQL away"])
def test_workers(
    fault: str, server: ForkServer, in_one_process: list[TrialRecord], new_folder: Callable[[], Path]
) -> None:
    """A study on two processes that are killed or stopped, or whose storage goes away, ends as in one process, trial by trial."""
    draws = random.Random(15)  # noqa: S311
    recovery: list[float] = []
    with postgres() as database:
        if fault == "PostgreSQL away" and database is None:
            pytest.skip("PostgreSQL is not installed")
        for attempt in range(5):
            storage = database.url if database and fault == "PostgreSQL away" else None
            study = CliStudy(
                new_folder(),
                WORKER_STUDY,
                "--engine=reference",
                "-v",
                name=f"flowers-{attempt}",
                storage=storage,
                devices="--devices=cpu,cpu",
            )
            command = server.start(*study.command)
            for _ in range(1 if storage else 2):
                command.wait_for_output(WORKER_READY, max(2, command.output.count(WORKER_READY)), 120)
                time.sleep(draws.uniform(0, 3))
                if storage and database:
                    restart_storage(database)
                elif fault == "stopped" and workers(command):
                    stop_worker(command, draws)
                elif workers(command):
                    recovery.append(kill_worker(command, draws))
            status = command.wait(300)
            assert (status, is_clean(command.output)) == (0, True), command.output
            assert comparable(study.record().trials) == in_one_process
    print(
        f"workers {fault}: 5 studies as in one process; seconds to recover: {[round(s, 1) for s in sorted(recovery)]}"
    )


@pytest.mark.parametrize("trials", [100, 1_000])
def test_many_trials_with_workers_killed_at_random(
    trials: int, server: ForkServer, memory_folder: Path, request: pytest.FixtureRequest, long: bool
) -> None:
    """Many trials on four processes, of which one is killed every few seconds for `--minutes`, are those of the unbroken study."""
    if not long:
        pytest.skip("takes minutes: --long")
    text = STUDY.replace(f"trials = {TRIALS}", f'trials = {trials}\nsampler = "random"').replace(
        "epochs = 4", "epochs = 10"
    )
    for name in ("unbroken", "killed"):
        (memory_folder / name).mkdir()
    unbroken = CliStudy(memory_folder / "unbroken", text, "--engine=reference")
    assert server.start(*unbroken.command).wait(1800) == 0
    wanted = comparable(unbroken.record().trials)
    assert len(wanted) == trials
    draws = random.Random(18)  # noqa: S311
    devices = "--devices=cpu,cpu,cpu,cpu"
    study = CliStudy(memory_folder / "killed", text, "--engine=reference", "-v", devices=devices)
    command = server.start(*study.command)
    command.wait_for_output(WORKER_READY, 4, 300)
    end = time.monotonic() + 60 * request.config.getoption("--minutes")
    kills = 0
    while time.monotonic() < end and command.status is None:
        if running := workers(command):
            os.kill(draws.choice(running), signal.SIGKILL)
            kills += 1
        time.sleep(draws.uniform(1, 8))
    status = command.wait(1800)
    print(f"workers killed at random: {kills}, {command.output.count('is lost')} lost, {trials:,} trials")
    assert (status, is_clean(command.output)) == (0, True), command.output
    assert kills > 1
    assert comparable(study.record().trials) == wanted
