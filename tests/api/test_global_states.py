"""Importing and using hpsearch leaves the process as it was: what belongs to all of a program is nobody's library's to change."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest

from hpsearch.storage.optuna_internals import quiet_optuna, quiet_study

ROOT = Path(__file__).parents[2]
LIBRARIES = """
import numba, numpy, optuna, pandas, plotly.offline, plotly.graph_objs._deprecations, rich.progress, sklearn.model_selection, torch._dynamo
optuna.logging.get_verbosity()
"""  # what importing these changes is theirs

PROGRAM = """
import numpy as np
import optuna

from tests.support.global_states import changes, snapshot

optuna.logging.disable_default_handler()
inputs = np.random.default_rng(0).normal(size=(60, 4))
targets = (inputs[:, 0] > 0).astype(int)
short = {"training": {"epochs": 2}}


def build(trial, shape, outputs):
    import random
    import torch
    random.random(), np.random.rand()
    return torch.nn.Linear(*shape, outputs)


def check(step):
    global before
    after = snapshot()
    for name, values in changes(before, after).items():
        print("CHANGED", step, name, *map(repr, values))
    before = after


before = snapshot()
import hpsearch
check("import")
hpsearch.Objective, hpsearch.search, hpsearch.report, hpsearch.DNN
check("names")
result = hpsearch.search(inputs, targets, trials=3, confirm=1, seeds=2, ensemble=2, name="kept", **short)
check("search")
hpsearch.search(inputs, targets, trials=2, confirm=0, build=build, verbose=True, **short)
check("search with a network of one's own")
for objective in (hpsearch.Objective((inputs, targets), **short), hpsearch.Objective((inputs, targets), build=build, **short)):
    study = optuna.create_study(direction=objective.direction)
    study.optimize(objective, n_trials=2)
    check("Objective")
hpsearch.report(study, "page.html")
check("report")
hpsearch.DNNClassifier(trials=2, epochs=2, random_state=0).fit(inputs, targets).predict(inputs)
check("estimator")
again = hpsearch.load("kept")
again.predict(inputs), again.trials, again.study.trials, again.report("again.html")
check("load")
"""


@pytest.mark.slow
def test_nothing_global_is_left_changed(tmp_path: Path) -> None:
    """Random states, threads, signals, warnings, log levels, torch's settings and the environment are after each call as before it."""
    command = [sys.executable, "-c", LIBRARIES + PROGRAM]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("CHANGED")] == []


def test_import_keeps_optunas_log_level() -> None:
    """A program's own Optuna studies are logged at the level that it chose, hpsearch imported or not."""
    code = "import optuna, hpsearch.objective, hpsearch.interactive, hpsearch.study_report; print(optuna.logging.get_verbosity())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(logging.INFO)]


def test_quiet_is_this_thread_alone() -> None:
    """While hpsearch asks Optuna in one thread, a study of another thread is logged; afterwards the first thread's are too."""
    lines = _Lines()
    optuna.logging.get_verbosity()
    logger = logging.getLogger("optuna")
    logger.addHandler(lines)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with quiet_optuna():
            quiet_study(name="own")
            optuna.create_study(study_name="inside")
            other = threading.Thread(target=optuna.create_study, kwargs={"study_name": "other"})
            other.start()
            other.join()
        optuna.create_study(study_name="after")
    finally:
        optuna.logging.set_verbosity(verbosity)
        logger.removeHandler(lines)
    assert [line.rpartition(" ")[2] for line in lines.texts] == ["other", "after"]
    assert not lines.filters


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.texts.append(record.getMessage())
