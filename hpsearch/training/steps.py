"""What changes from update to update of a trial, as one table for every engine: the numbers of the formula in `optimizers.Update`."""

import numpy as np

from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.schedules import SCHEDULES, Floats
from hpsearch.trial import TrialSpec


def learning_rates(spec: TrialSpec, start: int, stop: int) -> Floats:
    """Return the learning rate [stop - start] of updates start … stop - 1, counted from 0."""
    return spec.learning_rate * SCHEDULES[spec.schedule].factors(start, stop, spec.updates)


def step_table(spec: TrialSpec, start: int, stop: int) -> Floats:
    """Return `step`, `scale` and `shrink` [stop - start, 3] of updates start … stop - 1, counted from 0."""
    update = OPTIMIZERS[spec.optimizer].update(spec.coefficients)
    rates, count = learning_rates(spec, start, stop), np.arange(start, stop) + 1.0
    table = np.ones((stop - start, 3))
    table[:, 0] = rates
    if update.corrected:  # Kingma, Ba 2015, section 3
        table[:, 0] /= 1 - update.first_keep**count
        table[:, 1] = 1 / np.sqrt(1 - update.second_keep**count)
    if update.decoupled:
        table[:, 2] = 1 - rates * spec.weight_decay
    return table
