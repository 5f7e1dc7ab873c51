"""The search: ask → engine → tell.

`samplers` and `pruners` are literal tables over Optuna's; `view` is what a sampler sees, revealed in the order of trial numbers;
`loop` drives an engine and writes to the storage. Then `confirm` trains the best trials again on `fresh` seeds, `networks` keeps the
winner's, `scoring` looks at the test rows, once, and `concluding` says how far the result can be trusted.
"""
