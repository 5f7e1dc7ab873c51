"""`TritonGroup`: trains many trials on a GPU, each of whose updates is a few launches for all of them.

A launch computes one layer of all trials, unpadded, from tables of tiles. The step is recorded once and replayed (`capture`). Trials leave
and join by a change of the tables, each at its own update, so that it is recorded anew only where there is no room left. A trial's bits
depend neither on the trials beside it nor on when they came.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training.capture import Graph, Repeated, graph_on, mark_on
from hpsearch.training.compiled import losses
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.group import layers_of
from hpsearch.training.compiled.triton import tables
from hpsearch.training.devices import device_of
from hpsearch.training.groups import Capabilities
from hpsearch.training.progress import Score, Stopping, Weights, named_weights
from hpsearch.trial import TrialSpec

CAPABILITIES = Capabilities(
    "the compiled engine for CUDA",
    device_types=("cuda", "cpu"),  # the CPU in Triton's interpreter
    tasks=losses.CODES,
    activations=CODES,
    max_outputs=1024,  # a row's are in one tile
    package="triton",
)


class TritonGroup:
    """A `TrialGroup` of trials that `CAPABILITIES` allows, with one batch size and the same evaluations, in any orders of batches.

    `data` decides the device (CUDA; the CPU for Triton's interpreter) and the type of weights; `precision`, one of `PRECISIONS`, how
    matrices are multiplied; `graph` gives a recorder of the step, None for none.

    Raises:
        UserError: Triton is not installed.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        data: Data,
        precision: str = "float32",
        graph: Callable[[torch.device], Graph | None] = graph_on,
    ) -> None:
        self.data = data
        self.precision = precision
        self.graph = graph
        self.device = device_of(data)
        self.seconds = 0.0
        self.done: dict[int, int] = {}  # updates of each trial by its number
        self.dropped: set[int] = set()
        self.joining: list[TrialSpec] = []
        self._open(specs, tables.initial(specs, data.training.inputs))

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update (see `TrialGroup`)."""
        return self.train_each(lambda number: until, stopping)

    def train_each(self, until: Callable[[int], int], stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update of its own (see `GrowingGroup`)."""
        self._pack()
        updates = [range(self.done[spec.number], until(spec.number)) for spec in self.specs]
        losses = self._train(updates, stopping)  # [updates, T]
        if losses is None:
            return None
        self.done = {spec.number: own.stop for spec, own in zip(self.specs, updates, strict=True)}
        trials = enumerate(zip(self.specs, updates, strict=True))
        return {spec.number: losses[: len(own), trial].clone() for trial, (spec, own) in trials}

    def scores(self) -> Mapping[int, Score]:
        """Return loss and metric on the validation rows (see `TrialGroup`)."""
        scores = self.data.scores(self.step.outputs(self.specs), self.data.validation)  # of [T, rows, K]
        return {spec.number: score for spec, score in zip(self.specs, scores, strict=True)}

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now (see `TrialGroup`)."""
        trial = next(trial for trial, spec in enumerate(self.specs) if spec.number == number)
        flat = self.step.state.weights[tables.weight_parts(self.specs)[trial]]
        return named_weights(layers_of(flat, self.specs[trial].dense_architecture))

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended (see `TrialGroup`); the next training packs, where a lack of memory is handled."""
        self.dropped.update(numbers)

    def join(self, specs: Sequence[TrialSpec]) -> None:
        """Take trials that begin with the next window (see `GrowingGroup`)."""
        self.joining += specs

    def _open(self, specs: Sequence[TrialSpec], state: Sequence[torch.Tensor]) -> None:
        """Make a step for these trials."""
        self.specs = list(specs)
        self.done = {spec.number: self.done.get(spec.number, 0) for spec in specs}
        self.step = _steps()(specs, self.data, state, self.precision)
        self.repeated = Repeated(self.step, partial(self.graph, self.device), mark_on(self.device))

    def _pack(self) -> None:
        """Leave out the trials that have been dropped, and take in those that join: in place where the step has room."""
        if not self.dropped and not self.joining:
            return
        staying = [trial for trial, spec in enumerate(self.specs) if spec.number not in self.dropped]
        state = tables.packed(self.step.state[:3], self.specs, staying)
        specs = [self.specs[trial] for trial in staying] + self.joining
        if self.joining:
            begun = tables.initial(self.joining, self.data.training.inputs)
            state = [torch.cat(pair) for pair in zip(state, begun, strict=True)]
        self.dropped.clear()
        self.joining = []
        if not self.step.holds(specs):
            del self.step, self.repeated  # the new one may need their memory
            self._open(specs, state)
            return
        self.specs = specs
        self.done = {spec.number: self.done.get(spec.number, 0) for spec in specs}
        self.step.use(specs, state)

    def _train(self, updates: Sequence[range], stopping: Stopping) -> torch.Tensor | None:
        """Train each trial by these updates; return the losses [updates, T] on the host, a trial's at the beginning."""
        start = perf_counter()
        feed = self.step.feed
        blocks = [feed.losses[:0]]
        most = max(map(len, updates))
        for first in range(0, most, feed.updates):
            count = min(feed.updates, most - first)
            feed.load([own[first : first + count] for own in updates])
            if not self.repeated.run(count, stopping):
                return None
            blocks.append(feed.losses[:count].clone())
        losses = torch.cat(blocks).cpu()  # waits for the device
        self.seconds += (perf_counter() - start) / len(self.specs)
        return losses


def _steps() -> Any:
    """Return the class of a group's step, which needs Triton to be imported."""
    if find_spec("triton") is None:
        raise UserError("the compiled engine needs Triton on a GPU, and it is not installed: choose the engine 'fused'")
    from hpsearch.training.compiled.triton.step import Step

    return Step
