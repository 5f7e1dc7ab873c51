"""The search: ask → engine → tell.

`samplers` and `pruners` are literal tables over Optuna's; `sampler_view` is what they see, revealed in the order of trial numbers; `loop`
drives an engine and writes to the storage, for the metric and the other `objectives`. Then `replicates` trains the best trials again on
fresh seeds, `ensemble` judges one network against several, `networks` has the weights of the selected ones, `scoring` looks at the test
rows, once, and `result` says how far they can be trusted. `study` is all of it in order; `replay` trains recorded trials again.
"""
