"""The fused engine: a cohort of trials that differ in almost everything, trained as one batched computation by hand.

`layout` orders the cohort by depth and gives every weight its position in a few flat buffers, `network` goes forward and backward
through the whole cohort, `activations` (with dropout) and `losses` are its parts, `update` is every optimizer as one formula,
`precision` is the only module that multiplies matrices. `feed` holds on the device what changes from update to update, so that
`Cohort.step`, one update, is a function of the device's state, which `capture` records once and replays on a GPU. `group` drives it from
evaluation to evaluation.
"""
