"""The fused engine: a cohort of trials that differ in almost everything, trained as one batched computation by hand.

`layout` orders the cohort by depth and gives every weight its position in a few flat buffers, `network` goes forward and backward
through the whole cohort, `activations` (with dropout) are a part of it, `update` is every optimizer as one formula, `precision` is the
only module that multiplies matrices. `cohort` has the step, one update; its feed holds on the device what changes from update to update,
so that the step is a function of the device's state. `group` drives it from evaluation to evaluation, on a GPU recorded once and replayed.
"""
