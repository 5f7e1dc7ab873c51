"""The search: ask → engine → tell.

`samplers` and `pruners` are literal tables over Optuna's; `view` is what a sampler sees, revealed in the order of trial numbers;
`loop` drives an engine and writes to the storage; `confirm` scores the best network on the test rows, once.
"""
