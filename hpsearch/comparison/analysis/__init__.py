"""What a comparison's record says, as numbers with intervals: computed here once, for figures, tables and verdicts alike.

Every function takes a `ComparisonRecord` and returns frozen values; where the record has too little, None or an empty list, never a
guess. No drawing, no prose, no torch. `times`, `tuning` and `quality` are about the trials and replicates, `noise`, `stability` and
`trajectories` about measured runs (`measured`), `escape` about the escape tests; `contrasts` sets SGD, a mini-batch and gradient
descent against each other, and `verdicts` judges the textbook's claims by that.
"""
