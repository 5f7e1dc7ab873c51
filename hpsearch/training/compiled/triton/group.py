"""`TritonGroup`: trains many trials on a GPU, each of whose updates is a few launches for all of them.

A launch computes one layer of all trials, unpadded, from tables of tiles. The step is recorded once and replayed (`capture`). A trial's
bits do not depend on the trials beside it.
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
        self.done = 0  # updates
        self.seconds = 0.0
        self.dropped: set[int] = set()
        self._use(specs, tables.initial(specs, data.training.inputs))

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update (see `TrialGroup`)."""
        self._pack()
        losses = self._train(until, stopping)  # [updates, T]
        if losses is None:
            return None
        return {spec.number: losses[:, trial].clone() for trial, spec in enumerate(self.specs)}

    def scores(self) -> Mapping[int, Score]:
        """Return loss and metric on the validation rows (see `TrialGroup`)."""
        rows = self.data.validation
        outputs = self.step.outputs(self.specs)  # [T, rows, K]
        return {spec.number: self.data.score(outputs[trial], rows) for trial, spec in enumerate(self.specs)}

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now (see `TrialGroup`)."""
        trial = next(trial for trial, spec in enumerate(self.specs) if spec.number == number)
        flat = self.state[0][tables.weight_parts(self.specs)[trial]]
        return named_weights(layers_of(flat, self.specs[trial].dense_architecture))

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended (see `TrialGroup`); the next `train` packs, where a lack of memory is handled."""
        self.dropped.update(numbers)

    def _use(self, specs: Sequence[TrialSpec], state: Sequence[torch.Tensor]) -> None:
        """Go on with these trials from a state."""
        self.specs = list(specs)
        self.state = state
        self.step = _steps()(specs, self.data, state, self.precision)
        self.repeated = Repeated(self.step, partial(self.graph, self.device), mark_on(self.device))

    def _pack(self) -> None:
        if not self.dropped:
            return
        staying = [trial for trial, spec in enumerate(self.specs) if spec.number not in self.dropped]
        state = tables.packed(self.state, self.specs, staying)
        self.dropped.clear()
        self._use([self.specs[trial] for trial in staying], state)

    def _train(self, until: int, stopping: Stopping) -> torch.Tensor | None:
        """Train to an update; return the losses [updates, T] on the host."""
        start = perf_counter()
        feed = self.step.feed
        blocks = [feed.losses[:0]]
        while self.done < until:
            block = min(feed.updates, until - self.done)
            feed.load(self.done, self.done + block)
            if not self.repeated.run(block, stopping):
                return None
            blocks.append(feed.losses[:block].clone())
            self.done += block
        losses = torch.cat(blocks).cpu()  # waits for the device
        self.seconds += (perf_counter() - start) / len(self.specs)
        return losses


def _steps() -> Any:
    """Return the class of a group's step, which needs Triton to be imported."""
    if find_spec("triton") is None:
        raise UserError("the compiled engine needs Triton on a GPU, and it is not installed: choose the engine 'fused'")
    from hpsearch.training.compiled.triton.step import Step

    return Step
