"""The statistics: from what was measured to a number, and how sure that number is. Pure functions of plain numbers.

`estimates` has estimates with intervals (medians, means, shares, times) and the bootstrap; `learning_curves` reads one run,
`scaling` a range of batch sizes, `tuning` the trials of a search, `luck` what tuning again would change, `paired` compares two arms
that share their seeds, `pareto` finds the front of several objectives.

Three rules hold everywhere. A time that was never reached is `math.inf` and takes part as that, since the mean of the finishers
flatters those that rarely finish. Random draws are seeded from the input, so that one input has one answer. Every interval is a 95 % one.
"""

from hpsearch.statistics.estimates import Estimate

__all__ = ["Estimate"]
