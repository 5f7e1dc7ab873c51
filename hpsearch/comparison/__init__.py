"""A comparison: gradient descent, mini-batches and SGD on one data set, each tuned with the same budget, measured, and stored.

From the file to the verdicts: `study` opens the storage and goes through the stages. `arms` says what is compared. `stages` set the
budgets, tune every arm (`context` feeds all arms' searches to one engine) and choose the winners, `replicates` trains those
again on fresh seeds. `measuring` replays some of these runs and measures them (`instrumentation`, by the functions of
`measurements`), `shared_plane` compares paths of several batch sizes, `escape` has tests of their own. Everything is in one storage: a
study for the comparison, one for each arm's tuning, one for each winner's replicates. From it alone `analysis` computes numbers with
intervals and verdicts, `figures` draws them, and `page` makes the report.
"""
