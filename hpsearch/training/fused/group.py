"""The group of the fused engine: drives a cohort from evaluation to evaluation, and packs it anew where enough trials have left.

On a GPU, where launching takes longer than computing, the cohort's step is recorded once and replayed (`capture`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from time import perf_counter

import torch

from hpsearch.data.dataset import Data
from hpsearch.training.capture import Graph, Repeated, graph_on, mark_on
from hpsearch.training.devices import device_of
from hpsearch.training.fused.cohort import Cohort
from hpsearch.training.fused.layout import ordered
from hpsearch.training.fused.network import LOSSES
from hpsearch.training.fused.precision import Products
from hpsearch.training.groups import Capabilities
from hpsearch.training.progress import Score, Stopping, Weights, named_weights
from hpsearch.trial import TrialSpec

CAPABILITIES = Capabilities("the fused engine", device_types=("cpu", "cuda"), tasks=LOSSES)
REPACK_SHARE = 1 / 4  # of a cohort that has left: worth packing the others anew, and another recording of the step


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
        staying = self._staying()
        if self.dropped:
            outputs = torch.stack([outputs[trial] for trial, _ in staying])
        scores = self.data.scores(outputs.mT, rows)  # of [T, rows, C]
        return {number: score for (_, number), score in zip(staying, scores, strict=True)}

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
        self.step = Repeated(cohort.step, partial(self.graph, self.device), mark_on(self.device))
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
        tables = feed.tables
        blocks = [tables.losses[:0]]
        while self.done < until:
            block = min(tables.updates, until - self.done)
            feed.load(self.done, self.done + block)
            if not self.step.run(block, stopping):
                return None
            blocks.append(tables.losses[:block].clone())
            self.done += block
        losses = torch.cat(blocks).cpu()  # waits for the device
        self.seconds += (perf_counter() - start) / len(self._staying())
        return losses
