"""Fresh seeds: a trial trained again, each run with other initial weights and another order of the rows.

Run k of every trial has the same initial weights where the networks are equal, and the same order of rows where the batch sizes are, so
that runs are compared in pairs. The best of n trials is an optimistic figure for its hyperparameters; these runs were chosen by nobody.
"""

from dataclasses import replace

from hpsearch.trial import TrialSpec, derive_seed


def fresh(spec: TrialSpec, study_seed: int, number: int) -> TrialSpec:
    """Return run `number` of a trial: its initial weights and its order of rows are functions of (study seed, number) alone."""
    return replace(
        spec,
        number=number,
        seed=initial_seed(study_seed, number),
        order_seed=derive_seed(study_seed, "fresh order", number) % 2**32,
    )


def initial_seed(study_seed: int, number: int) -> int:
    """Return the seed of the initial weights of run `number`, of whatever trial."""
    return derive_seed(study_seed, "fresh", number)
