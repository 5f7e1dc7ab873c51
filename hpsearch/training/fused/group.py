"""The group of the fused engine: drives a cohort from evaluation to evaluation, and packs it anew where enough trials have left.

On a GPU, where launching takes longer than computing, the cohort's step is recorded once and replayed without Python. A CUDA graph is the
sequence of kernels that a function launched, with their addresses. So it replays a function of the device's state alone; that the step is
one, a test proves without a GPU.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from time import perf_counter
from typing import Protocol

import torch

from hpsearch.data.dataset import Data
from hpsearch.training.devices import RECORDING, device_of, out_of_memory
from hpsearch.training.fused.cohort import Cohort
from hpsearch.training.fused.layout import ordered
from hpsearch.training.fused.network import LOSSES
from hpsearch.training.fused.precision import Products
from hpsearch.training.groups import Capabilities
from hpsearch.training.progress import Score, Stopping, Weights, named_weights
from hpsearch.trial import TrialSpec

LOGGER = logging.getLogger(__name__)
CAPABILITIES = Capabilities("the fused engine", device_types=("cpu", "cuda"), tasks=LOSSES)
REPACK_SHARE = 1 / 4  # of a cohort that has left: worth packing the others anew, and another recording of the step
WARM_UP = 3  # runs before the recording, in which libraries set themselves up


class Graph(Protocol):
    """A recorder of what a function does on a device."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run the function."""

    def capture(self, function: Callable[[], None]) -> None:
        """Record the function without running it."""

    def replay(self) -> None:
        """Run what was recorded."""


class CudaGraph:
    """A CUDA graph, warmed up and recorded on a stream of its own, replayed on the current one."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.graph = torch.cuda.CUDAGraph()

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run the function on the stream of the recording, after all before it and before all after it."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            function()
        current.wait_stream(self.stream)

    def capture(self, function: Callable[[], None]) -> None:
        """Record the function; other threads may use the device meanwhile, but not free its memory."""
        with RECORDING, torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            function()

    def replay(self) -> None:
        """Launch all of it at once."""
        self.graph.replay()


def graph_on(device: torch.device) -> Graph | None:
    """Return a recorder for the device, None where there is none."""
    return CudaGraph(device) if device.type == "cuda" else None


class Repeated:
    """A function of the device's state that is run again and again: as it is, or recorded after its first runs.

    Where it cannot be recorded, it runs as it is, which takes longer; that is said once.
    """

    def __init__(self, function: Callable[[], None], graph: Graph | None) -> None:
        self.function = function
        self.graph = graph
        self.runs = 0

    def __call__(self) -> None:
        """Run once more."""
        if self.graph is not None and self.runs == WARM_UP:
            self.graph = _recorded(self.graph, self.function)
        if self.graph is None:
            self.function()
        elif self.runs < WARM_UP:
            self.graph.warm_up(self.function)
        else:
            self.graph.replay()
        self.runs += 1


def _recorded(graph: Graph, function: Callable[[], None]) -> Graph | None:
    """Record a function; return None where that fails."""
    try:
        graph.capture(function)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        _warn(f"{type(error).__name__}: {error}")
        return None
    return graph


@cache
def _warn(reason: str) -> None:
    """Log once for each reason that a step is not recorded."""
    LOGGER.warning(
        "a step could not be recorded as a CUDA graph and runs kernel by kernel, which is slower (%s)", reason
    )


class FusedGroup:
    """A `TrialGroup` of trials with one batch size, one study's order of batches and the same evaluations.

    `data` decides the device and the type of weights; `precision`, one of `PRECISIONS`, how matrices are multiplied; `graph` gives a
    recorder of the step, None for none.

    Raises:
        UserError: there is no such precision.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        data: Data,
        precision: str = "float32",
        graph: Callable[[torch.device], Graph | None] = graph_on,
    ) -> None:
        self.data = data
        self.graph = graph
        self.device = device_of(data)
        self.products = Products(precision, self.device)
        self.done = 0  # updates
        self.seconds = 0.0
        self.dropped: set[int] = set()
        self.cohort = self._cohort(specs)
        self.cohort.draw()

    def train(self, until: int, stopping: Stopping) -> Mapping[int, torch.Tensor] | None:
        """Train every trial to an update (see `TrialGroup`)."""
        with torch.no_grad(), self.products.scoped():
            self._pack()
            losses = self._train(until, stopping)  # [updates, T]
        if losses is None:
            return None
        return {number: losses[:, trial].clone() for trial, number in self._staying()}

    def scores(self) -> Mapping[int, Score]:
        """Return loss and metric on the validation rows (see `TrialGroup`)."""
        rows = self.data.validation
        with torch.no_grad(), self.products.scoped():
            outputs = self.cohort.outputs(rows.inputs)  # [T, C, rows]
        return {number: self.data.score(outputs[trial].T, rows) for trial, number in self._staying()}

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now (see `TrialGroup`)."""
        trial = next(trial for trial, other in self._staying() if other == number)
        return named_weights(self.cohort.network.weights.of(trial))

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended (see `TrialGroup`). The next `train` packs, where a lack of memory is handled."""
        self.dropped.update(numbers)

    def _staying(self) -> list[tuple[int, int]]:
        """Return position and number of the trials that train on."""
        specs = enumerate(self.cohort.specs)
        return [(trial, spec.number) for trial, spec in specs if spec.number not in self.dropped]

    def _cohort(self, specs: Sequence[TrialSpec]) -> Cohort:
        cohort = Cohort(ordered(specs), self.data, self.products)
        self.step = Repeated(cohort.step, self.graph(self.device))
        return cohort

    def _pack(self) -> None:
        """Leave out the trials that have been dropped, once there are enough of them."""
        before = self.cohort
        if not self.dropped or len(self.dropped) < REPACK_SHARE * len(before.specs):
            return
        self.cohort = self._cohort([before.specs[trial] for trial, _ in self._staying()])
        self.cohort.take_over(before)
        self.dropped.clear()

    def _train(self, until: int, stopping: Stopping) -> torch.Tensor | None:
        """Train to an update; return the losses [updates, T] on the host."""
        start = perf_counter()
        feed = self.cohort.feed
        blocks = [feed.losses[:0]]
        while self.done < until:
            block = min(feed.updates, until - self.done)
            feed.load(self.done, self.done + block)
            for _ in range(block):
                if stopping():
                    return None
                self.step()
            blocks.append(feed.losses[:block].clone())
            self.done += block
        losses = torch.cat(blocks).cpu()  # waits for the device
        self.seconds += (perf_counter() - start) / len(self._staying())
        return losses
