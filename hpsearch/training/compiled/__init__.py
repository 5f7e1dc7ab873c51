"""The resident engine: one trial's weights stay in one core's cache while a compiled kernel trains it from evaluation to evaluation.

On a CPU small networks wait for calls, not for arithmetic, and padding them to equal shapes wastes the arithmetic that there is. So each
trial has a core and its own shapes; matrix products are BLAS's, all between them is one pass of compiled code (numba). On a GPU a trial has
a block of threads (Triton, the modules named `triton_`), for batches of a few rows.
"""

from hpsearch.training.compiled.group import ResidentLane

__all__ = ["ResidentLane"]
