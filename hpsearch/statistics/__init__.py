"""The statistics: from what was measured to a number, and how sure that number is. Pure functions of plain numbers.

`resampling` draws bootstrap samples and reads intervals off them; `shares` and `targets` measure one arm (how often, how soon),
`scaling` and `stability` a whole range of batch sizes and learning rates, `comparing` two arms that share their seeds, `tuning` the
search itself, `quality` the end of a run.

Three rules hold everywhere. A time that was never reached is `math.inf` and takes part as that, since the mean of the finishers
flatters those that rarely finish. Random draws are seeded from the input, so that one input has one answer. Every interval is a 95 % one.
"""

from hpsearch.statistics.resampling import Estimate

__all__ = ["Estimate"]
