"""The Slurm script of the page on schedulers does what the page says, with stand-ins for Slurm's commands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.storage.reading import read_study
from tests.support.pages import DOCS, ROOT, marked

STUDY = """
[data]
name = "iris"
[space]
width = { low = 4, high = 8 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[training]
epochs = 300
[search]
trials = 12
[confirm]
trials = 0
"""
STAND_INS = {
    "srun": 'echo $$ > "$STEP"\nexec "$@" --engine reference --device cpu\n',  # what Slurm signals is what srun starts
    "scontrol": 'echo "$@" >> requeued\n',
    "python": f'exec "{sys.executable}" "$@"\n',
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return a folder with the script, its paths in this folder, and the stand-ins."""
    script = marked(DOCS / "schedulers.md", "slurm").replace("/shared", f"{tmp_path}/shared")
    (tmp_path / "mine.sh").write_text(script)
    (tmp_path / "mine.toml").write_text(STUDY)
    (tmp_path / "shared").mkdir()
    (tmp_path / "bin").mkdir()
    for name, body in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def submit(job: Path, task: int) -> "subprocess.Popen[bytes]":
    """Start the script as Slurm starts a task of the array."""
    environment = {
        **os.environ,
        "PATH": f"{job / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_ID": str(70 + task),
        "STEP": str(job / f"step-{task}"),
    }
    return subprocess.Popen(["bash", "mine.sh"], cwd=job, env=environment)


def trials(job: Path) -> list[tuple[object, ...]]:
    record = read_study(f"journal:///{job / 'shared/mine.log'}")
    return [(trial.number, trial.params, trial.value) for trial in record.trials if trial.state == "complete"]


def wait_for_trials(job: Path) -> None:
    """Wait until some trials are stored."""
    for _ in range(600):
        time.sleep(0.1)
        if (job / "shared/mine.log").is_file() and (job / "shared/mine.log").read_text().count("hpsearch:run") > 1:
            return
    raise AssertionError("no trial in a minute")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs bash and SIGTERM")
def test_the_script_is_requeued_and_completes_the_study(job: Path) -> None:
    """Before its time is up a job ends with 143 and asks to be run again; run again, two tasks end with 0 and the study is whole."""
    first = submit(job, 0)
    wait_for_trials(job)
    os.kill(int((job / "step-0").read_text()), signal.SIGTERM)
    assert first.wait(300) == 143
    assert (job / "requeued").read_text() == "requeue 70\n"
    before = trials(job)
    assert 1 <= len(before) < 12
    tasks = [submit(job, task) for task in (0, 1)]
    assert [task.wait(120) for task in tasks] == [0, 0]
    assert (job / "requeued").read_text() == "requeue 70\n"
    after = trials(job)
    assert len(after) == 12
    assert after[: len(before)] == before
    assert (job / "shared/reports/mine/report.html").is_file()
