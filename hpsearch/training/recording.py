"""A run in slow motion: a trial trained again, to any update, with the length of each step and the weights at hand.

A run is a function of (specification, data, precision), so what is measured here belongs to the run that was recorded before. On a CPU
it is the resident engine's own machine code, bit for bit; elsewhere, and for what that engine cannot train, plain torch.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from hpsearch.data.dataset import Data
from hpsearch.training import draws
from hpsearch.training.batches import Batches
from hpsearch.training.network import DNN
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.progress import Weights
from hpsearch.training.steps import learning_rates
from hpsearch.trial import TrialSpec

Floats = npt.NDArray[np.float64]


class Recorder(Protocol):
    """A trial on its way."""

    def advance(self, until: int) -> Floats:
        """Train to an update (from 0, never backwards); return the Euclidean length of each step [updates], NaN after divergence."""
        ...

    def weights(self) -> Weights:
        """Return a copy of the weights as they are now, by their names in `DNN`."""
        ...


def make_recorder(spec: TrialSpec, data: Data) -> Recorder:
    """Return the recorder of a trial."""
    if not data.training.inputs.is_cuda:
        from hpsearch.training.compiled.group import fits

        if fits(spec, data) is None:
            return ResidentRecorder(spec, data)
    return TorchRecorder(spec, data)


class ResidentRecorder:
    """A recorder that drives the resident engine's lane."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        from hpsearch.training.compiled.group import ResidentLane

        self.lane, self.number = ResidentLane(spec, data), spec.number

    def advance(self, until: int) -> Floats:
        """Train to an update (see `Recorder`)."""
        norms = np.full(until - self.lane.done, np.nan)
        self.lane.train(until, lambda: False, norms)
        return norms

    def weights(self) -> Weights:
        """Return a copy of the weights (see `Recorder`)."""
        return self.lane.weights(self.number)


class TorchRecorder:
    """A recorder in plain torch, as `reference.train` trains."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        assert spec.architecture is not None, "a comparison trains dense networks"
        inputs = data.training.inputs
        self.spec, self.loss_of, self.done = spec, data.trained_task.loss, 0
        self.network = DNN.initialized(spec.architecture, spec.seed).to(inputs.device, inputs.dtype)
        self.batches = Batches(data.training, spec)
        self.optimizer: Any = OPTIMIZERS[spec.optimizer].build(
            self.network.parameters(), spec.learning_rate, spec.weight_decay, spec.coefficients
        )

    def advance(self, until: int) -> Floats:
        """Train to an update (see `Recorder`)."""
        norms = np.full(until - self.done, np.nan)
        rates = learning_rates(self.spec, self.done, until).tolist()
        for index, update in enumerate(range(self.done, until)):
            before = [parameter.detach().clone() for parameter in self.network.parameters()]
            if not self._update(update, rates[index]):
                break
            steps = [
                (p.detach() - b).double().square().sum() for p, b in zip(self.network.parameters(), before, strict=True)
            ]
            norms[index] = float(torch.stack(steps).sum().sqrt())
        self.done = until
        return norms

    def _update(self, update: int, rate: float) -> bool:
        rows, targets = self.batches[update]
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss = self.loss_of(self.network(rows, draws.Noise(self.spec.order_seed, update)), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return bool(torch.isfinite(loss))

    def weights(self) -> Weights:
        """Return a copy of the weights (see `Recorder`)."""
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
