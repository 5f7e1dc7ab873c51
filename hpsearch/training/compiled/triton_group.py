"""`TritonLane`: the resident engine on a GPU. Each trial is one block of threads, which trains it alone from launch to launch.

At batch sizes of a few rows a step is too little work for a GPU, however many trials are batched, and a launch for each operation costs
more than the operation. Here one launch trains all trials of a lane through many updates: unpadded, none waiting for another.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training.compiled import losses, triton_state, triton_tables
from hpsearch.training.compiled.activations import CODES
from hpsearch.training.compiled.triton_tables import Launch, architecture
from hpsearch.training.groups import Window
from hpsearch.training.progress import Weights
from hpsearch.trial import TrialSpec

LARGEST = 16  # rows of a batch
OUTPUTS = 1024  # of a network: a batch's are one tile
PATIENCE = 0.2  # seconds of a launch, so that Ctrl-C is heard
FIRST = 64  # updates of the first launch, which tells how long they take
GROWTH = 8  # times as many updates in the next launch, at most
NUMBERS = 2**22  # in a launch's tables, at most
TILE = 64  # inputs and units of a tile of weights; half as many where registers are scarce
WARPS = 8  # of 32 threads in a block


def fits(spec: TrialSpec, data: Data) -> str | None:
    """Return why `TritonLane` cannot train a trial, in words; None where it can."""
    network, dtype = spec.architecture, data.training.inputs.dtype
    if network is None:
        return "a network of one's own trains in the reference engine"
    obstacles = {
        "Triton is not installed": find_spec("triton") is None,
        f"batch size {spec.batch_size:,} is above {LARGEST}": spec.batch_size > LARGEST,
        f"the kernel has no activation '{network.activation}'": network.activation not in CODES,
        f"the kernel has no task '{data.task.name}'": data.task.name not in losses.CODES,
        "the kernel has no class weights": data.class_weights is not None,
        f"{network.outputs:,} outputs are above {OUTPUTS:,}": network.outputs > OUTPUTS,
        f"the kernel has no {dtype}": dtype not in (torch.float32, torch.float64),
    }
    return next((reason for reason, stands in obstacles.items() if stands), None)


class TritonLane:
    """A `Lane` of trials that `fits` allows, with one batch size, one study's order of batches and the same evaluations.

    `data` decides the device (CUDA; the CPU for Triton's interpreter) and the type of weights.

    Raises:
        UserError: Triton is not installed.
    """

    def __init__(self, specs: Sequence[TrialSpec], data: Data) -> None:
        self.kernel = _kernel()
        assert len({spec.order_seed for spec in specs}) == 1, "the trials of a lane belong to one study"
        self.specs, self.data, self.like = list(specs), data, data.training.inputs
        self.constants = _constants(specs[0], data)
        self.evaluations, self.done, self.seconds = 0, 0, 0.0
        self.scores: dict[int, tuple[float, float]] = {}
        self.gone: set[int] = set()
        self.updates = FIRST  # of the next launch
        self._settle(triton_state.initial(self.specs, self.like))
        self._run(triton_tables.launch(self.specs, self.like, 0, 0, len(data.training)))  # compiles, and trains nothing

    def advance(self, stopping: Callable[[], bool]) -> Mapping[int, Window] | None:
        """Train every trial to its next evaluation (see `Lane`)."""
        self._pack()
        until = self.specs[0].evaluate_at[self.evaluations]
        fresh = until > self.done
        seen = self._train(until, stopping)  # [updates, T]
        if seen is None:
            return None
        if fresh:
            self.scores = {spec.number: self._score(trial) for trial, spec in enumerate(self.specs)}
        self.evaluations += 1
        return {
            spec.number: Window(seen[:, trial].clone(), self.scores[spec.number], self.seconds)
            for trial, spec in enumerate(self.specs)
        }

    def weights(self, number: int) -> Weights:
        """Return a copy of a trial's weights as they are now (see `Lane`)."""
        trial = next(trial for trial, spec in enumerate(self.specs) if spec.number == number)
        return triton_state.named(self._flat(trial), architecture(self.specs[trial]))

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials that have ended (see `Lane`); the next `advance` packs, where a lack of memory is handled."""
        self.gone.update(numbers)

    def _pack(self) -> None:
        if not self.gone:
            return
        staying = [trial for trial, spec in enumerate(self.specs) if spec.number not in self.gone]
        state = triton_state.packed(self.state, self.specs, staying)
        self.specs = [self.specs[trial] for trial in staying]
        self.gone.clear()
        self._settle(state)

    def _settle(self, state: Sequence[torch.Tensor]) -> None:
        """Make the tables of the trials that there are now."""
        self.state = self.kernel.State(*state)
        room = triton_tables.room(self.specs)
        self.room = self.kernel.Room(self.like.new_zeros(room), self.like.new_zeros(room))
        integers, layers = triton_tables.integers(self.specs), triton_tables.layers(self.specs)
        numbers = triton_tables.numbers(self.specs, _share(self.specs[0], self.data)).to(self.like.dtype)
        self.trials = self.kernel.Trials(*(table.to(self.like.device) for table in (integers, numbers, layers)))

    def _train(self, until: int, stopping: Callable[[], bool]) -> torch.Tensor | None:
        """Train to an update; return the losses [updates, T] on the host."""
        start, seen = perf_counter(), [self.like.new_empty(0, len(self.specs))]
        launch = self._launch(self.done, until)
        while launch.count:
            if stopping():
                return None
            launched = perf_counter()
            seen.append(self._run(launch))
            self.done += launch.count
            following = self._launch(self.done, until)  # while the device trains
            self._wait(launch.count, launched)
            launch = following
        self.seconds += (perf_counter() - start) / len(self.specs)
        return torch.cat(seen).cpu()

    def _launch(self, start: int, until: int) -> Launch:
        """Return the tables of the next launch; of none where all is done."""
        most = max(1, NUMBERS // (3 * len(self.specs) + self.specs[0].batch_size))
        count = min(self.updates, most, until - start)
        return triton_tables.launch(self.specs, self.like, start, count, len(self.data.training))

    def _run(self, launch: Launch) -> torch.Tensor:
        """Train through a launch's updates; return the losses [updates, T] on the device, which may still be at it."""
        seen = self.like.new_full((launch.count, len(self.specs)), torch.nan)
        rows = self.kernel.Rows(self.data.training.inputs, self.data.training.targets)
        feed = self.kernel.Feed(launch.steps, launch.batches, seen)
        arguments = self.state, self.room, rows, self.trials, feed, launch.count, launch.start
        with torch.cuda.device(self.like.get_device()):  # -1, the CPU, changes nothing
            self.kernel.train[(len(self.specs),)](*arguments, **self.constants, num_warps=WARPS, num_stages=1)
        return seen

    def _wait(self, count: int, launched: float) -> None:
        """Wait for the device; learn from a whole launch how many updates take as long as one should."""
        if self.like.is_cuda:
            torch.cuda.synchronize(self.like.device)
        if count == self.updates:
            fitting = int(count * PATIENCE / (perf_counter() - launched))
            self.updates = max(1, min(fitting, count * GROWTH))

    def _flat(self, trial: int) -> torch.Tensor:
        flat: torch.Tensor = self.state.weights[triton_tables.weight_parts(self.specs)[trial]]
        return flat

    def _score(self, trial: int) -> tuple[float, float]:
        """Return loss and metric on the validation rows."""
        rows = self.data.validation
        outputs = triton_state.outputs(self._flat(trial), architecture(self.specs[trial]), rows.inputs)
        return self.data.score(outputs, rows)


def _kernel() -> Any:
    """Return the module of the kernel, which needs Triton to be imported."""
    if find_spec("triton") is None:
        raise UserError("the resident engine needs Triton on a GPU, and it is not installed: choose the engine 'fused'")
    from hpsearch.training.compiled import triton_kernel

    return triton_kernel


def _constants(spec: TrialSpec, data: Data) -> dict[str, int]:
    """Return the numbers that a lane's kernel is compiled for."""
    size, outputs = spec.batch_size, architecture(spec).outputs
    scarce = size > 4 or data.training.inputs.dtype == torch.float64
    powers = {"row_tile": 1 << (size - 1).bit_length(), "output_tile": 1 << (outputs - 1).bit_length()}
    return {"task": losses.CODES[data.task.name], "batch": size, "side": TILE // 2 if scarce else TILE, **powers}


def _share(spec: TrialSpec, data: Data) -> float:
    """Return one over the numbers that a batch's loss is the mean of."""
    several = losses.CODES[data.task.name] == losses.MULTICLASS
    return 1 / (spec.batch_size * (1 if several else architecture(spec).outputs))
