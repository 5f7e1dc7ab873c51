"""The compiled engine: one trial's weights stay in one core's cache while a compiled kernel trains it from evaluation to evaluation.

On a CPU small networks wait for calls, not for arithmetic, and padding them to equal shapes wastes the arithmetic that there is. So each
trial has a core and its own shapes; matrix products are BLAS's, all between them is one pass of compiled code (numba). `group` goes from
a `TrialSpec` to the kernel and back, `kernel` trains on batches, `single_row` on batches of one row, `activations` and `losses` are
their parts, `jit` says how all of this is compiled.

On a GPU many trials share each launch of a kernel, at every batch size (`triton`).
"""
