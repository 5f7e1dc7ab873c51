"""Held-out rows that a network has seen: all of their inputs are those of a training row.

Where they are copies (an augmented image, one patient twice, a table that was joined wrongly), a score says how well rows are remembered,
not how well new ones are predicted. In a table of few categories rows come again by chance, and that is no news: a share of the training
rows comes again there too.
"""

import numpy as np
from torch import Tensor

from hpsearch.data.cells import Array

FEWEST = 5  # rows that come again; fewer are not worth a sentence
SHARE = 0.01  # of a part's rows, likewise
MANY = 0.5  # of the training rows, which come again by chance where so many do
CHUNK = 4096  # rows hashed at a time


def repeats_notice(part: str, rows: Tensor, training: Tensor) -> list[str]:
    """Return a sentence where a part's rows [M, F] are training rows [N, F] too, none where few are or where that is chance."""
    if not len(rows) or not len(training):
        return []
    known = np.unique(_hashes(training))
    if len(known) < MANY * len(training):
        return []
    count = int(np.isin(_hashes(rows), known).sum())
    if count < max(FEWEST, SHARE * len(rows)):
        return []
    return [
        f"{count:,} of {len(rows):,} {part} rows have the inputs of a training row: where they are copies, their score says how well "
        "rows are remembered. Take copies out, or keep them in one part (group)."
    ]


def _hashes(rows: Tensor) -> Array:
    """Return a number of 64 bits for each row of float32 [N, F], equal where rows are, and hardly ever where they are not."""
    factors = np.random.default_rng(0).integers(1, 2**63, rows.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), CHUNK):
        cells = rows[start : start + CHUNK].numpy() + np.float32(0)  # -0 is 0
        hashes[start : start + CHUNK] = cells.view(np.uint32).astype(np.uint64) @ factors
    return hashes
