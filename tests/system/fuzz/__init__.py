"""Fuzzing: whatever a file holds, it is refused in one line or read as another program reads it.

200 mutants of each kind run always, with one seed; `--long` runs 5,000 with a new seed, which is printed (`--fuzz-seed` repeats it).
What a fuzz run found is a named case beside it.
"""
