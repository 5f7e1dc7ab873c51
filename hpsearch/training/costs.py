"""What an update of many trials costs on a GPU, and on the cores beside it: by a model, by which `auto` chooses.

Small batches are bound by launches on a GPU and by a core's cache on a CPU, so that a few trials of batch size 1 are trained sooner on
the cores. A kind of trial trains where a number of them like it takes less time; the choice follows from the trial, the number of slots
and of cores alone, never from what happens to be in training.

The figures of a core are measured: seconds of the processor for an update of the compiled engine at batch sizes 1, 8 and 64, one and two
hidden layers of 16 to 256 units, 64 and 784 inputs, SGD and Adam, on an AMD EPYC. Most lie within a factor of 1.6 of what follows from the
table. Those of the GPU are of an H200's data sheet, and nobody has measured them here. A figure that is wrong costs time, and changes no
result but in its rounding.
"""

from dataclasses import dataclass

from hpsearch.training.optimizers import OPTIMIZERS, make_rule
from hpsearch.trial import TrialSpec

KINDS = 8  # into which trials in flight fall by their batch sizes, about: the default space has so many
PASSES = 3  # products of all weights with a batch: forward, by the values below, by the weights
LAUNCHES = (4, 2)  # of an update on the GPU, and of each hidden layer besides


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of a call, of a weight and of a moment of a weight that are read and written, of a multiply-add of at least so many rows."""

    call: float
    weight: float
    moment: float
    product: float
    rows: int


CORE = Costs(call=1e-6, weight=1.7e-10, moment=3.5e-10, product=2.3e-11, rows=1)
# A launch within a CUDA graph: about 2 µs. An H200 moves 4.3e12 bytes a second, of which 85 %, and makes 3.3e13 multiply-adds in float32,
# of which half; tiles have 16 rows at least.
GPU = Costs(call=2e-6, weight=2.2e-12, moment=2.2e-12, product=6e-14, rows=16)


def seconds_on_cores(spec: TrialSpec, trials: int, cores: int) -> float:
    """Return the seconds in which cores train so many trials like one, a core each, by one update."""
    return -(-trials // cores) * (CORE.call + _work(CORE, spec))


def seconds_on_gpu(spec: TrialSpec, trials: int) -> float:
    """Return the seconds in which a GPU trains a group of so many trials like one by one update."""
    of_any, of_a_layer = LAUNCHES
    launches = of_any + of_a_layer * len(spec.dense_architecture.widths)
    return max(launches * GPU.call, trials * _work(GPU, spec))


def _work(costs: Costs, spec: TrialSpec) -> float:
    """Return the seconds that a trial's weights take in an update."""
    rule = make_rule(spec)
    moments = costs.moment * (rule.first + rule.second)
    products = costs.product * PASSES * max(costs.rows, spec.batch_size)
    return spec.dense_architecture.parameters * (costs.weight + moments + products)


def cores_are_cheaper(spec: TrialSpec, slots: int, cores: int) -> bool:
    """Whether cores train a kind of trial sooner than the GPU, of which its share of the slots is in flight."""
    if spec.architecture is None or OPTIMIZERS[spec.optimizer].formula is None:
        return False  # the reference engine trains it
    company = max(1, slots // KINDS)
    return seconds_on_cores(spec, company, cores) < seconds_on_gpu(spec, company)
