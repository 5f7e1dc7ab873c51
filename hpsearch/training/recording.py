"""A trial trained again update by update, with the length of each step and the weights after any of them.

A run is a function of (specification, data, precision), so what is measured here belongs to the run that was recorded before. On a CPU
the compiled engine's own machine code trains, bit for bit; elsewhere, and what that engine cannot train, plain torch.
"""

import numpy as np
import torch

from hpsearch.data.dataset import Data
from hpsearch.training.progress import Weights
from hpsearch.training.reference import ReferenceTrial
from hpsearch.training.schedules import Floats, each_learning_rate
from hpsearch.trial import TrialSpec


class CompiledRecorder:
    """A recorder that trains with the compiled engine."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        from hpsearch.training.compiled.group import CompiledTrial

        self.trial = CompiledTrial(spec, data)

    def advance(self, until: int) -> Floats:
        """Train to an update (from 0, never backwards); return the Euclidean length of each step [updates], NaN after divergence."""
        lengths = np.full(until - self.trial.done, np.nan)
        self.trial.train(until, lambda: False, lengths)
        return lengths

    def weights(self) -> Weights:
        """Return a copy of the weights as they are now, by their names in `DNN`."""
        return self.trial.weights(self.trial.spec.number)


class TorchRecorder:
    """A recorder that trains as the reference engine does."""

    def __init__(self, spec: TrialSpec, data: Data) -> None:
        self.trial = ReferenceTrial(spec, data)

    def advance(self, until: int) -> Floats:
        """Train to an update (see `CompiledRecorder`)."""
        start = self.trial.done
        lengths = np.full(until - start, np.nan)
        for index, rate in enumerate(each_learning_rate(self.trial.spec, start, until)):
            before = [parameter.detach().clone() for parameter in self.trial.network.parameters()]
            loss = self.trial.update(start + index, rate)
            if not bool(torch.isfinite(loss)):
                break
            lengths[index] = self._distance(before)
        self.trial.done = until
        return lengths

    def weights(self) -> Weights:
        """Return a copy of the weights (see `CompiledRecorder`)."""
        return self.trial.weights(self.trial.spec.number)

    def _distance(self, before: list[torch.Tensor]) -> float:
        """Return the Euclidean distance of the parameters from what they were."""
        pairs = zip(self.trial.network.parameters(), before, strict=True)
        squares = [(parameter.detach() - old).double().square().sum() for parameter, old in pairs]
        return float(torch.stack(squares).sum().sqrt())


def make_recorder(spec: TrialSpec, data: Data) -> CompiledRecorder | TorchRecorder:
    """Return the recorder of a trial."""
    if data.training.inputs.device.type == "cpu":
        from hpsearch.training.compiled.group import CAPABILITIES

        if CAPABILITIES.obstacle(spec, data) is None:
            return CompiledRecorder(spec, data)
    return TorchRecorder(spec, data)
