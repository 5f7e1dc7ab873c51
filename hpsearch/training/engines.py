"""Which engine trains a trial, and why. Search, tables and report do not know which it was."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.training import Engine, engine_name
from hpsearch.training.costs import cores_are_cheaper
from hpsearch.training.devices import REDUCED, device_of, worker_threads
from hpsearch.training.folds import FoldEngine
from hpsearch.training.groups import ConcurrentEngine, Cores, OpenGroup, Plan
from hpsearch.training.progress import TrialGroup
from hpsearch.training.reference import ReferenceEngine, ReferenceTrial
from hpsearch.trial import TrialSpec

LOGGER = logging.getLogger(__name__)
LAUNCHES = "a few launches for an update of many trials, unpadded"
ON_CORES = "a trial a core beside the GPU, which at small batches waits for launches"
CAPTURED = "many trials as one captured step: a GPU waits for launches otherwise"


def make_engine(
    name: str,
    data: Data,
    max_concurrency: int | None = None,
    precision: str = "float32",
    logged: set[str] | None = None,
) -> Engine:
    """Return the engine of a name for these data, with at most `max_concurrency` trials in flight (None: as many as train at once).

    Where trials are cross-validated, each fold of one counts. Which engine trains and why is logged, once for each reason; as a warning
    where no other than the reference can train a trial. `logged` are the lines that were logged already, by other engines of the same run.

    Raises:
        UserError: there is no such engine.
    """
    engine = single_fold_engine(name, data, max_concurrency, precision, logged)
    return FoldEngine(engine, data) if data.cross_validated else engine


def single_fold_engine(
    name: str, data: Data, max_concurrency: int | None, precision: str, logged: set[str] | None = None
) -> Engine:
    """Return the engine of a name whose trials train once each, on the fold of the data that their specification names."""
    lines = set() if logged is None else logged
    name = engine_name(name)
    if name == "reference":
        log_once("reference engine, as asked: one trial at a time", lines)
        return ReferenceEngine(data)
    threads = worker_threads(data)
    slots = max_concurrency or threads
    cores = _cores_beside(name, data, precision)

    def plan(spec: TrialSpec) -> Plan:
        chosen = choose(name, spec, data, slots, precision, cores)
        left_to_reference = chosen.engine == "reference"  # much slower: worth a notice
        level = logging.WARNING if left_to_reference else logging.INFO
        log_once(f"{chosen.engine} engine, {chosen.reason}", lines, level)
        return chosen

    return ConcurrentEngine(data, plan, max_concurrency=slots, threads=threads, cores=cores)


def _cores_beside(name: str, data: Data, precision: str) -> Cores | None:
    """Return the cores that train beside a GPU, all but one, which proposes and launches; None where none do."""
    threads = int(cpu_count()) - 1
    if device_of(data).type != "cuda" or name != "auto" or precision in REDUCED or threads < 1:
        return None
    return Cores(data, threads)


def log_once(line: str, logged: set[str], level: int = logging.INFO) -> None:
    """Log a line, unless it is among those that were `logged` before, of which it is then."""
    if line not in logged:
        logged.add(line)
        LOGGER.log(level, line)


def will_compile(name: str, data: Data) -> bool:
    """Whether an engine is about to compile its kernels, since none is cached on disk: the only seconds in which nothing is seen."""
    if device_of(data).type != "cpu" or engine_name(name) not in ("auto", "compiled"):
        return False
    from hpsearch.training.compiled.jit import is_cached
    from hpsearch.training.compiled.kernel import predict

    return not is_cached(predict)


def engine_for(engine: Engine, spec: TrialSpec) -> str | None:
    """Return the name of what trains a trial in an engine of this process; None where workers choose for themselves."""
    if isinstance(engine, FoldEngine):
        return engine_for(engine.engine, spec)
    if isinstance(engine, ConcurrentEngine):
        return engine.plan(spec).engine
    return "reference" if isinstance(engine, ReferenceEngine) else None


def choose(
    name: str, spec: TrialSpec, data: Data, max_concurrency: int, precision: str, cores: Cores | None = None
) -> Plan:
    """Return how a trial is to train: by the first engine that can train it. The last one, the reference, always can.

    It trains on the `cores` beside a GPU where that is cheaper.
    """
    if cores is not None and cores_are_cheaper(spec, max_concurrency, cores.threads):
        plan = replace(_compiled(), reason=ON_CORES, on_cores=True)
        if plan.capabilities is not None and plan.capabilities.obstacle(spec, cores.data) is None:
            return plan
    obstacle = None
    for plan in _plans(engine_name(name), data, max_concurrency, precision):
        next_obstacle = None
        if plan.capabilities is not None:
            next_obstacle = plan.capabilities.obstacle(spec, data)
        if next_obstacle is not None:
            obstacle = next_obstacle
        elif obstacle is not None:
            return replace(plan, reason=f"since {obstacle}")
        else:
            return plan
    raise AssertionError("the reference can train every trial")


def _plans(name: str, data: Data, max_concurrency: int, precision: str) -> Iterator[Plan]:
    """Yield how the engines that a name stands for train on the data's device, the best one first."""
    cuda = device_of(data).type == "cuda"
    size = max_concurrency if cuda else -(-max_concurrency // worker_threads(data))
    if name in ("auto", "compiled"):
        yield _triton(size, precision) if cuda else _compiled()
    yield _fused(size, precision, "as asked" if name == "fused" else CAPTURED)
    yield Plan("reference", "one trial at a time", 1, _group_of_one(ReferenceTrial))


def _compiled() -> Plan:
    from hpsearch.training.compiled.group import CAPABILITIES, CompiledTrial  # numba takes half a second to import

    reason = "a trial a core, unpadded: on a CPU ahead of batched trials at every size"
    return Plan("compiled", reason, 1, _group_of_one(CompiledTrial), CAPABILITIES)


def _triton(size: int, precision: str) -> Plan:
    from hpsearch.training.compiled.triton.group import CAPABILITIES, TritonGroup

    group = partial(TritonGroup, precision=_products(precision))
    return Plan("compiled", LAUNCHES, size, group, CAPABILITIES, any_order=True, joins=True)


def _fused(size: int, precision: str, reason: str) -> Plan:
    from hpsearch.training.fused.group import CAPABILITIES, FusedGroup

    return Plan("fused", reason, size, partial(FusedGroup, precision=_products(precision)), CAPABILITIES)


def _products(precision: str) -> str:
    """Return the precision of products; float64 is said by the data's type."""
    return "float32" if precision == "float64" else precision


def _group_of_one(open_trial: Callable[[TrialSpec, Data], TrialGroup]) -> OpenGroup:
    """Return how a group is opened that is one trial."""

    def open_group(specs: Sequence[TrialSpec], data: Data) -> TrialGroup:
        (spec,) = specs
        return open_trial(spec, data)

    return open_group
