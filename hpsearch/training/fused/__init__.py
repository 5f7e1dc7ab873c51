"""The fused engine: a cohort of trials that differ in almost everything, trained as one batched computation by hand.

`layout` orders the cohort by depth and gives every weight a place in a few flat buffers, `parameters` are such buffers with views of
them, `network` goes forward and backward through the whole cohort, `activations`, `dropout` and `losses` are its parts, `update` is
every optimizer as one formula, `precision` the one place where matrices are multiplied. `feed` holds on the device what changes from
update to update, so that `step`, one update, is a function of the device's state, which `capture` records once and replays on a GPU.
`lane` drives it from evaluation to evaluation.
"""

from hpsearch.training.fused.group import FusedLane

__all__ = ["FusedLane"]
