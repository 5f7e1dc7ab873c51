"""The one door to the engines: which of them trains a trial, and why. Search, tables and report do not know which it was."""

from collections.abc import Callable, Sequence

import torch
from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.training import Engine
from hpsearch.training.lanes import Lane, Plan, PullingEngine
from hpsearch.training.reference import ReferenceEngine
from hpsearch.trial import TrialSpec

ENGINES = {
    "auto": "the fastest for each trial's device, batch size and network (the default)",
    "reference": "one trial at a time in plain torch: the specification of training",
    "fused": "trials of one batch size as one batched computation; a CUDA graph of it on a GPU",
    "resident": "a compiled kernel for each trial, its weights staying in a core's cache",
}
MOST_PLACES = 256
ARRAYS = 6  # weights, gradient, two moments, the best weights, room for padding


def make_engine(
    name: str,
    data: Data,
    places: int | None = None,
    precision: str = "float32",
    explain: Callable[[str], None] = lambda line: None,
) -> Engine:
    """Return the engine of a name for this data, with `places` for trials in flight (None: as many as train at the same time).

    `explain` is told, once for each batch size, which engine trains it and why.
    """
    if name == "reference":
        explain("reference engine, as asked: one trial at a time")
        return ReferenceEngine(data)
    count = places or workers(data)
    told: set[str] = set()

    def planned(spec: TrialSpec) -> Plan:
        plan = choose(name, spec, data, count, precision)
        line = f"batch size {spec.batch_size:,}: {plan.engine} engine, {plan.reason}"
        if line not in told:
            told.add(line)
            explain(line)
        return plan

    return PullingEngine(data, planned, places=count, workers=workers(data))


def choose(name: str, spec: TrialSpec, data: Data, places: int, precision: str) -> Plan:
    """Return how trials like this one are to train."""
    cuda, cohort = data.training.inputs.is_cuda, -(-places // workers(data))
    if name == "fused":
        return Plan("fused", "as asked", cohort, _fused(precision))
    if cuda:
        return Plan(
            "fused", "many trials as one captured step: a GPU waits for launches otherwise", cohort, _fused(precision)
        )
    return Plan("resident", "a trial a core, unpadded: on a CPU ahead of batched trials at every size", 1, _resident)


def workers(data: Data) -> int:
    """Return how many lanes train at once: the cores that this process may use (a container's limit included); one for a GPU."""
    return 1 if data.training.inputs.is_cuda else int(cpu_count())


def default_places(data: Data, parameters: int) -> int:
    """Return how many trials to have in flight: one a core; on a GPU what half of its memory holds of networks this large."""
    device = data.training.inputs.device
    if device.type != "cuda":
        return workers(data)
    free, _ = torch.cuda.mem_get_info(device)
    trial = parameters * ARRAYS * data.training.inputs.element_size()
    return max(1, min(MOST_PLACES, free // 2 // trial))


def _fused(precision: str) -> Callable[[Sequence[TrialSpec], Data], Lane]:
    from hpsearch.training.fused import FusedLane

    products = "float32" if precision == "float64" else precision  # the data's type says float64
    return lambda specs, data: FusedLane(specs, data, products)


def _resident(specs: Sequence[TrialSpec], data: Data) -> Lane:
    from hpsearch.training.resident import ResidentLane  # numba takes half a second to import

    (spec,) = specs
    return ResidentLane(spec, data)
