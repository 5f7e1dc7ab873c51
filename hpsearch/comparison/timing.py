"""Timing: what an update takes in the plain loop of torch, at each batch size, beside the engine that trained the runs.

Seconds depend on the way of training: a kernel that keeps the weights in a core's cache gains most at batch size 1, where the plain loop
waits for Python. So the arms' winners are timed in both. The plain loop (`training.reference`: tensors in memory, autograd, `torch.optim`,
on one thread of a CPU as every run) makes updates of all batch sizes in turn, again and again, so that whatever else the machine does
hits all of them alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.comparison.context import ComparisonContext
from hpsearch.comparison.forecast import TIMING
from hpsearch.comparison.replicates import Winner
from hpsearch.progress import PhaseProgress
from hpsearch.training.devices import device_of, one_thread
from hpsearch.training.engines import engine_for
from hpsearch.training.reference import ReferenceTrial

REPEATS = 5  # of each batch size
REPEAT_SECONDS = 0.2  # of one, at least an update
WARM_UP = 3  # updates


@dataclass(eq=False)
class _Loop:
    """A winner in the plain loop: the updates of a repeat, and the seconds of an update in each so far."""

    winner: Winner
    trial: ReferenceTrial
    updates: int
    seconds: list[float]

    def repeat(self) -> None:
        """Time an update once more."""
        before = self.trial.seconds
        self.trial.train(self.trial.done + self.updates, lambda: False)
        self.seconds.append((self.trial.seconds - before) / self.updates)


def time_plain_loop(context: ComparisonContext, winners: Sequence[Winner]) -> None:
    """Store what an update of each winner takes in the plain loop, and which engine trains it; unless that is done for these winners."""
    names = [winner.name for winner in winners]
    if not names or context.writer.read_attribute("plain").get("winners") == names:
        return
    with one_thread(device_of(context.data)):
        loops = [_loop(context, winner) for winner in winners]
        for number in range(REPEATS):
            context.observer.phase(PhaseProgress(TIMING, number, REPEATS))
            for loop in loops:
                if context.stopping:
                    return
                loop.repeat()
    context.writer.write_attribute("plain", _table(context, loops, names))
    context.observer.phase(PhaseProgress(TIMING, REPEATS, REPEATS))


def _loop(context: ComparisonContext, winner: Winner) -> _Loop:
    """Return a winner in the plain loop, warmed up; a repeat has as many updates as fit into `REPEAT_SECONDS`."""
    trial = ReferenceTrial(winner.spec, context.data)
    trial.train(WARM_UP, lambda: False)
    before = trial.seconds
    trial.train(trial.done + 1, lambda: False)
    return _Loop(winner, trial, max(1, round(REPEAT_SECONDS / (trial.seconds - before))), [])


def _table(context: ComparisonContext, loops: Sequence[_Loop], names: Sequence[str]) -> dict[str, Any]:
    """Return, by optimizer and batch size, seconds of an update, a value a repeat, and the engine that trains the winner, if known."""
    seconds: dict[str, dict[str, list[float]]] = {}
    engines: dict[str, dict[str, str]] = {}
    for loop in loops:
        spec = loop.winner.spec
        size = str(spec.batch_size)
        seconds.setdefault(spec.optimizer, {})[size] = loop.seconds
        engine = engine_for(context.engine, spec)
        if engine is not None:
            engines.setdefault(spec.optimizer, {})[size] = engine
    return {"winners": list(names), "seconds": seconds, "engines": engines}
