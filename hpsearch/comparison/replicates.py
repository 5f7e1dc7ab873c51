"""The winners' runs on fresh seeds, each stored as a trial of its winner's own study with the scores of its network."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.comparison.arms import SEEDS, Arm, ArmPlan
from hpsearch.comparison.context import ComparisonContext, train_together
from hpsearch.comparison.forecast import REPLICATES
from hpsearch.data.dataset import Data, Rows
from hpsearch.progress import PhaseProgress
from hpsearch.searching.loop import Search
from hpsearch.searching.specifications import recorded_specification
from hpsearch.storage.reading import SEED, winner_study
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import TrialQueue
from hpsearch.training.network import DNN
from hpsearch.trial import TrainingRun, TrialSpec

CHUNK = 8192  # rows that are predicted at a time
BLOCK_BITS = 6
BLOCKS = 2**BLOCK_BITS  # of the test rows
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


@dataclass(frozen=True, slots=True)
class Winner:
    """An arm's winner: its name, its specification and the study of its runs on fresh seeds."""

    name: str
    spec: TrialSpec
    writer: StudyWriter


class WinnerReplicates:
    """A winner's runs on fresh seeds; `source` gives an engine those that are missing."""

    def __init__(self, winner: Winner, context: ComparisonContext) -> None:
        seeds = context.compare.seeds
        stored = winner.writer.previous_trials()
        finished = {number for number, trial in enumerate(stored) if trial.finished}
        missing = [context.replicate(winner.spec, number) for number in range(seeds) if number not in finished]
        self.writer = winner.writer
        self.context = context
        self.stored = len(stored)
        self.done = seeds - len(missing)
        self.training: dict[int, tuple[TrialSpec, float]] = {}  # by number, with the time of its begin
        self.source = TrialQueue(missing, on_begin=self._begin, on_finish=self._finish)

    def _begin(self, spec: TrialSpec) -> None:
        if spec.number >= self.stored:
            self.writer.begin(spec.number, {SEED: spec.number}, {SEED: SEEDS})
        self.training[spec.number] = (spec, time.monotonic())

    def _finish(self, run: TrainingRun) -> None:
        spec, started = self.training.pop(run.number)
        seconds = time.monotonic() - started
        worst = float(self.context.data.summary["worst"])
        value = worst if run.value is None else run.value
        self.writer.finish(run, value, {}, seconds, None, scores(spec, run, self.context.rows_of(spec)))
        self.done += 1


def train_replicates(
    context: ComparisonContext, arms: list[Arm], searches: list[Search], plan: Mapping[str, Any]
) -> list[Winner]:
    """Train the winners on fresh seeds; return the fastest of each arm."""
    compare = context.compare
    fastest_winners: list[Winner] = []
    replicates: list[WinnerReplicates] = []
    names: list[str] = []  # of their arms
    for arm, search in zip(arms, searches, strict=True):
        for (number, rate), is_fastest in ArmPlan(**plan["arms"][arm.name]).winners().items():
            winner = _open_winner(context, arm, search, number, rate)
            replicates.append(WinnerReplicates(winner, context))
            names.append(arm.name)
            if is_fastest:
                fastest_winners.append(winner)
    target = plan["target"] if compare.train_until == "target" else None
    train_together(
        context,
        names,
        [winner.source for winner in replicates],
        target,
        lambda: PhaseProgress(
            REPLICATES,
            sum(winner.done for winner in replicates),
            len(replicates) * compare.seeds,
        ),
    )
    return fastest_winners


def _open_winner(context: ComparisonContext, arm: Arm, search: Search, number: int, rate: float | None) -> Winner:
    """Open the study of a winner's runs; it has the trial's hyperparameters, and the learning rate where one is given."""
    params = dict(search.view.trials[number].params)
    if rate is not None:
        params["learning_rate"] = rate
    spec = recorded_specification(arm.config, params, number, context.data)
    settings = {**arm.config.settings(), "winner": {"trial": number, "params": params}}
    name = winner_study(arm.name, number, rate)
    return Winner(name, spec, context.open(name, settings))


# ---- the test rows


def scores(spec: TrialSpec, run: TrainingRun, data: Data) -> dict[str, Any]:
    """Return loss and metric of a run's best network on training and test rows, and of its last one on test rows: their only use.

    `left_out` has for both networks what the metric is without each block of test rows (`blocks`), from which the analysis learns how
    much of a difference is due to which rows test it.
    """
    found: dict[str, Any] = {}
    left_out: dict[str, list[float]] = {}
    for part, weights in (("test", run.weights), ("last", run.last_weights)):
        if weights is None or spec.architecture is None:
            continue
        network = DNN(spec.architecture).to(data.test.inputs.device, data.test.inputs.dtype)
        network.load_state_dict(dict(weights))
        if part == "test":
            found["training"] = _score(_outputs(network, data.training), data.training, data)
        outputs = _outputs(network, data.test)
        found[part] = _score(outputs, data.test, data)
        left_out[part] = _without_blocks(outputs, data)
    return found | ({"left_out": left_out} if left_out else {})


@torch.no_grad()
def _outputs(network: DNN, rows: Rows) -> Tensor:
    return torch.cat([network(chunk) for chunk in torch.split(rows.inputs, CHUNK)])


def _score(outputs: Tensor, rows: Rows, data: Data) -> dict[str, float]:
    loss, metric = data.score(outputs, rows)
    return {"loss": loss, "metric": metric}


def blocks(rows: Rows) -> Tensor:
    """Return the block of each row [N], from 0 to `BLOCKS` - 1: a row's is the same wherever it tests, rows of a group share one.

    It is the top of the row's number times the golden ratio (Knuth, The Art of Computer Programming 3, §6.4), which spreads neighbours.
    """
    units = rows.units
    if units is None:
        units = torch.arange(len(rows))
    hashed = units.numpy().astype(np.uint64) * GOLDEN  # modulo 2^64
    return torch.from_numpy((hashed >> np.uint64(64 - BLOCK_BITS)).astype(np.int64))


def _without_blocks(outputs: Tensor, data: Data) -> list[float]:
    """Return the metric on the test rows without each block of them; nothing where it is not a number without one of them."""
    block = blocks(data.test).to(outputs.device)
    values = []
    for left_out in range(BLOCKS):
        kept = block != left_out
        if not bool(kept.any()):
            return []
        values.append(data.measure(data.metric, outputs[kept], data.test.take(kept)))
    return values if all(map(isfinite, values)) else []
