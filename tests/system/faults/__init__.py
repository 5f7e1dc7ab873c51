"""Faults: whatever breaks during a run, no result is lost. Real processes are killed, stopped and starved at seeded random moments.

A short form runs always; `--long` runs the counts that the table in `hpsearch/docs/reliability.md` gives. Each study ends as the
uninterrupted one, or the run says in a line what happened and ends with a status of its own; there is never a traceback.
"""
