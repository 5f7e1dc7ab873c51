"""What an engine can train, stated as data, so that the choice of an engine is one loop."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from hpsearch.data.dataset import Data
from hpsearch.training.devices import device_of
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.trial import TrialSpec


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can train; None: no limit.

    `engine` is how messages call it. `package` has to be installed. All of these engines train dense networks whose optimizer has a
    formula; what none of them can train is left to the reference engine, which can train everything.
    """

    engine: str
    device_types: Collection[str]
    tasks: Collection[str]
    activations: Collection[str] | None = None
    dtypes: Collection[torch.dtype] = (torch.float32, torch.float64)
    class_weights: bool = True
    max_batch_size: int | None = None
    max_outputs: int | None = None
    package: str | None = None

    def obstacle(self, spec: TrialSpec, data: Data) -> str | None:
        """Return why the engine cannot train a trial, in words; None where it can."""
        return next(self._obstacles(spec, data), None)

    def _obstacles(self, spec: TrialSpec, data: Data) -> Iterator[str]:
        network = spec.architecture
        if network is None:
            yield "a network of one's own trains in the reference engine"
            return
        if self.package is not None and find_spec(self.package) is None:
            yield f"{self.package.capitalize()} is not installed"
        device_type = device_of(data).type
        if device_type not in self.device_types:
            yield f"{self.engine} does not train on {device_type}"
        if self.max_batch_size is not None and spec.batch_size > self.max_batch_size:
            yield f"batch size {spec.batch_size:,} is above {self.max_batch_size}"
        if OPTIMIZERS[spec.optimizer].formula is None:
            yield f"the optimizer '{spec.optimizer}' has no formula"
        if self.activations is not None and network.activation not in self.activations:
            yield f"{self.engine} has no activation '{network.activation}'"
        if data.task.name not in self.tasks:
            yield f"{self.engine} has no task '{data.task.name}'"
        if data.class_weights is not None and not self.class_weights:
            yield f"{self.engine} has no class weights"
        if self.max_outputs is not None and network.outputs > self.max_outputs:
            yield f"{network.outputs:,} outputs are above {self.max_outputs:,}"
        if data.training.inputs.dtype not in self.dtypes:
            yield f"{self.engine} has no {data.training.inputs.dtype}"
