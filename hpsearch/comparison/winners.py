"""Who won: of an arm's tuning trials, the one that reached the target in the fewest updates, and the one of the best quality."""

from collections.abc import Iterable, Mapping
from math import inf, nextafter

from hpsearch.statistics.targets import first_reached
from hpsearch.trial import Direction, History, TrainingRun, ranking_key


def reached(history: History, target: float, direction: Direction) -> float:
    """Return the first update after which the metric is strictly better than the target, infinity if there is none."""
    return first_reached(history.update, history.metric, target, direction == "maximize")


def fastest(runs: Mapping[int, TrainingRun], target: float, direction: Direction) -> int | None:
    """Return the trial that reached the target first; of equals the one with the lowest validation loss. None reached it: None."""
    ranks = [
        (updates, run.loss if run.loss is not None else inf, number)
        for number, run in runs.items()
        if (updates := reached(run.history, target, direction)) < inf
    ]
    return min(ranks)[2] if ranks else None


def best(runs: Mapping[int, TrainingRun], direction: Direction) -> int | None:
    """Return the trial of the best metric; of equals the one with the lowest validation loss. None is usable: None."""
    ranks = {
        number: ranking_key(direction, run.value, run.loss, number)
        for number, run in runs.items()
        if run.value is not None
    }
    return min(ranks, key=ranks.__getitem__, default=None)


def common_target(arms: Iterable[Mapping[int, TrainingRun]], direction: Direction) -> float | None:
    """Return a target that the best trial of every arm with a usable one passes: just below what the worst of them reached.

    It is the next worse value of that trial's own history, so that the target is passed strictly.
    """
    leaders = [runs[number] for runs in arms if (number := best(runs, direction)) is not None]
    if not leaders:
        return None
    maximize = direction == "maximize"
    worst = (min if maximize else max)(leaders, key=lambda run: run.value if run.value is not None else inf)
    assert worst.value is not None, "a leader has a value"
    below = [metric for metric in worst.history.metric if (metric < worst.value if maximize else metric > worst.value)]
    if not below:
        return nextafter(worst.value, -inf if maximize else inf)
    return max(below) if maximize else min(below)
