"""A comparison: gradient descent, mini-batches and SGD on one data set, each tuned with equal means, measured, and kept.

`arms` says what is compared. `stages` train: `tuning` feeds all arms' searches to one engine, `winners` chooses, `fresh` trains the
winners again on fresh seeds. `measuring` looks at some of those runs update by update (`looking`, at `moments` that all batch sizes share),
`sharing` and `contours` at several together. `study` takes them in turn and keeps everything in one storage: a study for the whole, one
for each arm's tuning, one for each winner's fresh seeds. A report is made from that storage alone.
"""
