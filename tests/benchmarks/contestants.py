"""Who competes: one row each. `train` takes trials that differ in seed and network, and returns the seconds of training them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hpsearch.data import Data
from hpsearch.errors import UserError
from hpsearch.training import ENGINES, TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.trial import Outcome, TrialSpec
from tests.benchmarks.machine import clock
from tests.benchmarks.usual import usual_loop


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to train.

    `together`: it trains trials beside each other, so their number matters. `mixed`: it takes trials whose networks differ. `full`: it
    is measured on the full batch too.
    """

    title: str
    train: Callable[[Sequence[TrialSpec], Data], float]
    together: bool = True
    mixed: bool = True
    full: bool = True


def run_engine(name: str, specs: Sequence[TrialSpec], data: Data) -> float:
    """Train with one of our engines, all trials in flight.

    Raises:
        UserError: a trial ended before its time.
    """
    device, source = data.training.inputs.device, TrialQueue(list(specs))
    start = clock(device)
    make_engine(name, data, len(specs)).run(source)
    seconds = clock(device) - start
    for run in source.runs.values():
        if run.outcome is not Outcome.FINISHED:
            raise UserError(f"engine {name}, {len(specs)} trials: {run.outcome} ({run.detail}). Give fewer --trials.")
    assert len(source.runs) == len(specs), "nobody stops an engine here"
    return seconds


def run_jax(specs: Sequence[TrialSpec], data: Data) -> float:
    """Train with JAX, which is imported now."""
    from tests.benchmarks.vmapped import train

    return train(specs, data)[0]


CONTESTANTS = {
    "usual loop": Contestant(
        "DataLoader (shuffled), nn.Sequential, torch.optim; one trial",
        usual_loop,
        together=False,
        mixed=False,
        full=False,
    ),
    "reference": Contestant(
        "hpsearch in plain torch, tensors in memory; one trial at a time, on a CPU on one thread",
        partial(run_engine, "reference"),
        together=False,
    ),
    **{
        name: Contestant(row.description, partial(run_engine, name))
        for name, row in ENGINES.items()
        if name != "reference"
    },
    "jax": Contestant("JAX, vmap over the trials, scan over the updates, one compiled call", run_jax, mixed=False),
}
USUAL, REFERENCE = "usual loop", "reference"  # whom the others are compared with
RIVALS = ("jax",)  # asked for with --vs
