"""A budget in seconds, as updates: measured once for each arm before it is tuned, so that a run stays a function of its specification."""

from dataclasses import replace

from optuna.trial import FixedTrial

from hpsearch.comparison.arms import Arm
from hpsearch.data.dataset import Data
from hpsearch.searching.study import specification
from hpsearch.training import Engine, TrialQueue

LONG = 0.25  # seconds of training that tell an update's time
MOST = 100_000  # updates
TINY = 1e-9  # a learning rate that never diverges: time does not depend on it


def updates_in(seconds: float, arm: Arm, data: Data, engine: Engine) -> int:
    """Return how many updates of the arm's known-good trial the engine makes in so many seconds of training; at least one."""
    space = arm.config.space
    spec = specification(arm.config, space.suggest(FixedTrial(space.defaults())), 0, data)
    count = 4
    while True:
        source = TrialQueue([replace(spec, learning_rate=TINY, evaluate_at=(count, 2 * count))])
        engine.run(source)
        first, both = source.runs[0].history.seconds
        taken = both - first  # of the first window compiling may be a part
        if taken >= LONG or count >= MOST:
            return max(1, round(seconds * count / taken))
        count = min(MOST, 4 * count)
