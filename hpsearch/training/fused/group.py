"""The lane of the fused engine: drives a cohort from evaluation to evaluation, and packs it anew where enough trials have left."""

from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter

import torch

from hpsearch.data.dataset import Data
from hpsearch.training.fused.capture import Graph, Repeated, graph_on
from hpsearch.training.fused.cohort import Cohort
from hpsearch.training.fused.layout import ordered
from hpsearch.training.fused.precision import Products
from hpsearch.training.groups import Window
from hpsearch.training.progress import Weights
from hpsearch.trial import TrialSpec

NAMES = ("weight", "bias")  # of a layer in a state of `DNN`
LEAVERS = 1 / 4  # share of a cohort whose leaving is worth the packing, and a recording of the step


class FusedLane:
    """A `Lane` of trials with one batch size, one study's order of batches and the same evaluations.

    `data` decides the device and the type of weights; `precision`, one of `PRECISIONS`, how matrices are multiplied; `graph` gives a
    recorder of the step, None for none.

    Raises:
        UserError: no such precision.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        data: Data,
        precision: str = "float32",
        graph: Callable[[torch.device], Graph | None] = graph_on,
    ) -> None:
        self.data, self.graph, self.device = data, graph, data.training.inputs.device
        self.products = Products(precision, self.device)
        self.evaluate_at, self.evaluations, self.done, self.seconds = specs[0].evaluate_at, 0, 0, 0.0
        self.scores: dict[int, tuple[float, float]] = {}
        self.gone: set[int] = set()
        self.cohort = self._cohort(specs)
        self.cohort.draw()

    def advance(self, stopping: Callable[[], bool]) -> Mapping[int, Window] | None:
        """Train every trial to its next evaluation; return each one's window by its number, None where `stopping` said so."""
        until = self.evaluate_at[self.evaluations]
        with torch.no_grad(), self.products.scoped():
            self._pack()
            fresh = until > self.done
            losses = self._train(until, stopping)  # [updates, T]
            if losses is None:
                return None
            if fresh:
                self.scores = self._scores()
        self.evaluations += 1
        return {
            number: Window(losses[:, trial].clone(), self.scores[number], self.seconds)
            for trial, number in self._staying()
        }

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now, by their names in `DNN`."""
        trial = next(trial for trial, known in self._staying() if known == number)
        layers = self.cohort.network.weights.of(trial)
        named = {f"layers.{i}.{n}": t for i, pair in enumerate(layers) for n, t in zip(NAMES, pair, strict=True)}
        return {name: tensor.clone() for name, tensor in named.items()}

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended; at least one stays. The next `advance` packs, where a lack of memory is handled."""
        self.gone.update(numbers)

    def _staying(self) -> list[tuple[int, int]]:
        """Return place and number of the trials that train on."""
        return [(t, spec.number) for t, spec in enumerate(self.cohort.specs) if spec.number not in self.gone]

    def _cohort(self, specs: Sequence[TrialSpec]) -> Cohort:
        cohort = Cohort(ordered(specs), self.data, self.products)
        self.step = Repeated(cohort.step, self.graph(self.device))
        return cohort

    def _pack(self) -> None:
        """Leave out the trials that have gone, once there are enough of them."""
        before = self.cohort
        if not self.gone or len(self.gone) < LEAVERS * len(before.specs):
            return
        self.cohort = self._cohort([before.specs[trial] for trial, _ in self._staying()])
        self.cohort.take_over(before)
        self.gone.clear()

    def _train(self, until: int, stopping: Callable[[], bool]) -> torch.Tensor | None:
        """Train to an update; return the losses [updates, T] on the host."""
        feed, start = self.cohort.feed, perf_counter()
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

    def _scores(self) -> dict[int, tuple[float, float]]:
        """Return loss and metric on the validation rows by number."""
        rows = self.data.validation
        outputs = self.cohort.outputs(rows.inputs)  # [T, C, rows]
        return {number: self.data.score(outputs[trial].T, rows) for trial, number in self._staying()}
