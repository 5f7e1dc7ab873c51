"""Who won: of an arm's tuning trials, the one that reached the target in the fewest updates, and the one of the best quality."""

from collections.abc import Iterable, Mapping
from math import inf, nextafter

from hpsearch.statistics.learning_curves import first_reached
from hpsearch.trial import Direction, History, TrainingRun, ranking_key


def reached(history: History, target: float, direction: Direction) -> float:
    """Return the first update after which the metric is strictly better than the target, infinity if there is none."""
    return first_reached(history.update, history.metric, target, direction == "maximize")


def fastest(runs: Mapping[int, TrainingRun], target: float, direction: Direction) -> int | None:
    """Return the trial that reached the target first; of equals the one with the lowest validation loss. None reached it: None."""
    ranks = {}
    for number, run in runs.items():
        updates = reached(run.history, target, direction)
        if updates < inf:
            loss = inf if run.loss is None else run.loss
            ranks[number] = (updates, loss, number)
    return min(ranks, key=ranks.__getitem__, default=None)


def best(runs: Mapping[int, TrainingRun], direction: Direction) -> int | None:
    """Return the trial of the best metric; of equals the one with the lowest validation loss. None is usable: None."""
    ranks = {}
    for number, run in runs.items():
        if run.value is not None:
            ranks[number] = ranking_key(direction, run.value, run.loss, number)
    return min(ranks, key=ranks.__getitem__, default=None)


def common_target(arms: Iterable[Mapping[int, TrainingRun]], direction: Direction) -> float | None:
    """Return a target that the best trial of every arm with a usable one passes: just below what the worst of them reached.

    It is the next worse value of that trial's own history, so that the target is passed strictly.
    """
    values: list[tuple[float, History]] = []  # of the best trial of each arm
    for runs in arms:
        number = best(runs, direction)
        value = None if number is None else runs[number].value
        if number is not None and value is not None:
            values.append((value, runs[number].history))
    if not values:
        return None
    if direction == "maximize":
        value, history = min(values, key=lambda pair: pair[0])
        return max((metric for metric in history.metric if metric < value), default=nextafter(value, -inf))
    value, history = max(values, key=lambda pair: pair[0])
    return min((metric for metric in history.metric if metric > value), default=nextafter(value, inf))
