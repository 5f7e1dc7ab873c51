"""The one door to the engines: which of them trains a trial, and why. Search, tables and report do not know which it was."""

import logging
from collections.abc import Callable, Sequence

from hpsearch.data.dataset import Data
from hpsearch.training import Engine
from hpsearch.training.devices import workers
from hpsearch.training.folds import FoldEngine
from hpsearch.training.groups import Lane, Plan, PullingEngine
from hpsearch.training.reference import ReferenceEngine
from hpsearch.trial import TrialSpec

LOGGER = logging.getLogger(__name__)
ENGINES = {
    "auto": "the fastest for each trial's device, batch size and network (the default)",
    "reference": "one trial at a time in plain torch: the specification of training",
    "fused": "trials of one batch size as one batched computation; a CUDA graph of it on a GPU",
    "resident": "a compiled kernel for each trial, its weights staying in a core's cache",
}


def make_engine(
    name: str,
    data: Data,
    places: int | None = None,
    precision: str = "float32",
) -> Engine:
    """Return the engine of a name for this data, with `places` for trials in flight (None: as many as train at the same time).

    Where the data have folds a place is for one fold of a trial. Which engine trains and why is logged, once for each reason.
    """
    engine = fold_engine(name, data, places, precision)
    return FoldEngine(engine, data) if data.folds else engine


def fold_engine(name: str, data: Data, places: int | None, precision: str) -> Engine:
    """Return the engine of a name whose trials are single runs, each on the fold of the data that its specification names."""
    if name == "reference":
        LOGGER.info("reference engine, as asked: one trial at a time")
        return ReferenceEngine(data)
    count = places or workers(data)
    told: set[str] = set()

    def planned(spec: TrialSpec) -> Plan:
        plan = choose(name, spec, data, count, precision)
        line = f"{plan.engine} engine, {plan.reason}"
        if line not in told:
            told.add(line)
            LOGGER.info(line)
        return plan

    return PullingEngine(data, planned, places=count, workers=workers(data))


def compiles(name: str, data: Data) -> bool:
    """Whether an engine is about to compile its kernels, since none is kept on disk: the only seconds in which nothing is seen."""
    if data.training.inputs.is_cuda or name not in ("auto", "resident"):
        return False
    from hpsearch.training.compiled.jit import kept
    from hpsearch.training.compiled.kernel import predict

    return not kept(predict)


def choose(name: str, spec: TrialSpec, data: Data, places: int, precision: str) -> Plan:
    """Return how trials like this one are to train."""
    cuda, cohort = data.training.inputs.is_cuda, -(-places // workers(data))

    def fused(reason: str) -> Plan:
        return Plan("fused", reason, cohort, _fused(precision))

    if name == "fused":
        return fused("as asked")
    if cuda and name == "auto":  # the resident kernel for CUDA has not been timed on a GPU yet
        return fused("many trials as one captured step: a GPU waits for launches otherwise")
    if obstacle := _obstacle(spec, data):
        return fused(f"since {obstacle}")
    if cuda:
        return Plan("resident", "a block of threads for each trial, as asked", cohort, _triton)
    return Plan("resident", "a trial a core, unpadded: on a CPU ahead of batched trials at every size", 1, _resident)


def _obstacle(spec: TrialSpec, data: Data) -> str | None:
    """Return why the resident engine cannot train a trial, None where it can."""
    if data.training.inputs.is_cuda:
        from hpsearch.training.compiled.triton_group import fits
    else:
        from hpsearch.training.compiled.group import fits
    return fits(spec, data)


def _fused(precision: str) -> Callable[[Sequence[TrialSpec], Data], Lane]:
    from hpsearch.training.fused import FusedLane

    products = "float32" if precision == "float64" else precision  # the data's type says float64
    return lambda specs, data: FusedLane(specs, data, products)


def _resident(specs: Sequence[TrialSpec], data: Data) -> Lane:
    from hpsearch.training.compiled import ResidentLane  # numba takes half a second to import

    (spec,) = specs
    return ResidentLane(spec, data)


def _triton(specs: Sequence[TrialSpec], data: Data) -> Lane:
    from hpsearch.training.compiled.triton_group import TritonLane

    return TritonLane(specs, data)
