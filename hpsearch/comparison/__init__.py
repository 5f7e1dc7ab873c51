"""A comparison: gradient descent, mini-batches and SGD on one data set, each tuned with equal means, measured, and kept.

`arms` says what is compared; `tuning` searches each arm's hyperparameters; `fresh` trains the winners again on fresh seeds; `measuring`
looks at some of those runs update by update; `study` takes them in turn and keeps everything in one storage: a study for the whole, one
for each arm's tuning, one for each winner's fresh seeds. A report is made from that storage alone.
"""
