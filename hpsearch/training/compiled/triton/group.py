"""`TritonGroup`: trains many trials with one launch of the GPU's kernel after another.

At batch sizes of a few rows a step is too little work for a GPU, however many trials are batched, and a launch for each operation costs
more than the operation. Here one launch trains all trials of a group through many updates: unpadded, none waiting for another.
"""

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training.compiled import losses
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.group import layers_of
from hpsearch.training.compiled.triton import tables
from hpsearch.training.compiled.triton.tables import Launch
from hpsearch.training.groups import Capabilities
from hpsearch.training.progress import Score, Stopping, Weights, named_weights
from hpsearch.trial import TrialSpec

CAPABILITIES = Capabilities(
    "the compiled engine for CUDA",
    device_types=("cuda", "cpu"),  # the CPU in Triton's interpreter
    tasks=losses.CODES,
    activations=CODES,
    weights=False,
    max_batch_size=16,
    max_outputs=1024,  # a batch's are one tile
    package="triton",
)
LAUNCH_SECONDS = 0.2  # of a launch, so that Ctrl-C is answered soon
FIRST_UPDATES = 64  # of the first launch, which tells how long they take
GROWTH = 8  # times as many updates in the next launch, at most
TABLE_NUMBERS = 2**22  # in a launch's tables, at most
TILE = 64  # inputs and units of a tile of weights; half as many where registers are scarce
WARPS = 8  # of 32 threads in a block


class TritonGroup:
    """A `TrialGroup` of trials that `CAPABILITIES` allows, with one batch size, one study's order of batches and the same evaluations.

    `data` decides the device (CUDA; the CPU for Triton's interpreter) and the type of weights.

    Raises:
        UserError: Triton is not installed.
    """

    def __init__(self, specs: Sequence[TrialSpec], data: Data) -> None:
        assert len({spec.order_seed for spec in specs}) == 1, "the trials of a group belong to one study"
        self.kernel = _kernel()
        self.specs = list(specs)
        self.data = data
        self.like = data.training.inputs
        self.constants = _constants(specs[0], data)
        self.done = 0  # updates
        self.seconds = 0.0
        self.dropped: set[int] = set()
        self.updates = FIRST_UPDATES  # of the next launch
        self._use_state(tables.initial(self.specs, self.like))
        self._run(tables.launch(self.specs, self.like, 0, 0, len(data.training)))  # compiles, and trains nothing

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
        scores: dict[int, Score] = {}
        for trial, spec in enumerate(self.specs):
            outputs = tables.outputs(self._flat(trial), spec.dense_architecture, rows.inputs)
            scores[spec.number] = self.data.score(outputs, rows)
        return scores

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now (see `TrialGroup`)."""
        trial = next(trial for trial, spec in enumerate(self.specs) if spec.number == number)
        return named_weights(layers_of(self._flat(trial), self.specs[trial].dense_architecture))

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended (see `TrialGroup`); the next `train` packs, where a lack of memory is handled."""
        self.dropped.update(numbers)

    def _pack(self) -> None:
        if not self.dropped:
            return
        staying = [trial for trial, spec in enumerate(self.specs) if spec.number not in self.dropped]
        state = tables.packed(self.state, self.specs, staying)
        self.specs = [self.specs[trial] for trial in staying]
        self.dropped.clear()
        self._use_state(state)

    def _use_state(self, state: Sequence[torch.Tensor]) -> None:
        """Go on from a state: make the tables of the trials that there are now."""
        self.state = self.kernel.State(*state)
        size = tables.scratch_size(self.specs)
        self.scratch = self.kernel.Scratch(self.like.new_zeros(size), self.like.new_zeros(size))
        device = self.like.device
        integers = tables.integers(self.specs).to(device)
        numbers = tables.numbers(self.specs, _loss_share(self.specs[0], self.data)).to(self.like.dtype).to(device)
        layers = tables.layers(self.specs).to(device)
        self.trials = self.kernel.Trials(integers, numbers, layers)

    def _train(self, until: int, stopping: Stopping) -> torch.Tensor | None:
        """Train to an update; return the losses [updates, T] on the host."""
        start = perf_counter()
        losses = [self.like.new_empty(0, len(self.specs))]
        launch = self._launch(self.done, until)
        while launch.count:
            if stopping():
                return None
            launched = perf_counter()
            losses.append(self._run(launch))
            self.done += launch.count
            following = self._launch(self.done, until)  # while the device trains
            self._wait(launch.count, launched)
            launch = following
        self.seconds += (perf_counter() - start) / len(self.specs)
        return torch.cat(losses).cpu()

    def _launch(self, start: int, until: int) -> Launch:
        """Return the tables of the next launch; of an empty one where all is done."""
        most = max(1, TABLE_NUMBERS // (3 * len(self.specs) + self.specs[0].batch_size))
        count = min(self.updates, most, until - start)
        return tables.launch(self.specs, self.like, start, count, len(self.data.training))

    def _run(self, launch: Launch) -> torch.Tensor:
        """Train through a launch's updates; return the losses [updates, T] on the device, which may still be computing them."""
        losses = self.like.new_full((launch.count, len(self.specs)), torch.nan)
        rows = self.kernel.Rows(self.data.training.inputs, self.data.training.targets)
        feed = self.kernel.Feed(launch.steps, launch.batches, losses)
        arguments = self.state, self.scratch, rows, self.trials, feed, launch.count, launch.start
        with torch.cuda.device(self.like.get_device()):  # -1, the CPU, changes nothing
            self.kernel.train[(len(self.specs),)](*arguments, **self.constants, num_warps=WARPS, num_stages=1)
        return losses

    def _wait(self, count: int, launched: float) -> None:
        """Wait for the device; learn from a full launch how many updates take as long as one should."""
        if self.like.is_cuda:
            torch.cuda.synchronize(self.like.device)
        if count == self.updates:
            fitting = int(count * LAUNCH_SECONDS / (perf_counter() - launched))
            self.updates = max(1, min(fitting, count * GROWTH))

    def _flat(self, trial: int) -> torch.Tensor:
        flat: torch.Tensor = self.state.weights[tables.weight_parts(self.specs)[trial]]
        return flat


def _kernel() -> Any:
    """Return the module of the kernel, which needs Triton to be imported."""
    if find_spec("triton") is None:
        raise UserError("the compiled engine needs Triton on a GPU, and it is not installed: choose the engine 'fused'")
    from hpsearch.training.compiled.triton import kernel

    return kernel


def _constants(spec: TrialSpec, data: Data) -> dict[str, int]:
    """Return the numbers that a group's kernel is compiled for."""
    registers_are_scarce = spec.batch_size > 4 or data.training.inputs.dtype == torch.float64
    return {
        "task": losses.CODES[data.task.name],
        "batch": spec.batch_size,
        "side": TILE // 2 if registers_are_scarce else TILE,
        "row_tile": _power_of_two(spec.batch_size),
        "output_tile": _power_of_two(spec.dense_architecture.outputs),
    }


def _power_of_two(size: int) -> int:
    """Return the smallest power of two that is not below a size."""
    return 1 << (size - 1).bit_length()


def _loss_share(spec: TrialSpec, data: Data) -> float:
    """Return one over the numbers that a batch's loss is the mean of."""
    if losses.CODES[data.task.name] == losses.MULTICLASS:
        return 1 / spec.batch_size
    return 1 / (spec.batch_size * spec.dense_architecture.outputs)
