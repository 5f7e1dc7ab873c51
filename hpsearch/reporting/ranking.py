"""Which trials may be called the best, in which order, and which hyperparameters a study searches."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from math import isfinite
from typing import Any

from hpsearch.reporting.formatting import MetricFormat, visible
from hpsearch.storage import StudyRecord, TrialRecord

KEYS_OF_RANGES = ("low", "high", "log", "step", "grid", "values")
WIDTH_OF_A_LAYER = re.compile(r"width_\d{1,3}")


@lru_cache(maxsize=2)
def ranked(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the usable trials without repeats, best first; trials of one value in the order of their validation loss."""
    trials = [trial for trial in record.trials if trial.usable and trial.repeats is None]
    return tuple(sorted(trials, key=lambda trial: trial.rank(record.direction)))


def best(record: StudyRecord) -> TrialRecord | None:
    """Return the trial that the search selected; while it runs, the best so far."""
    number = record.result.get("trial")
    for trial in record.trials:
        if trial.number == number:
            return trial
    return next(iter(ranked(record)), None)


def ended(trial: TrialRecord) -> bool:
    """Whether a trial is neither training nor waiting."""
    return trial.state not in ("running", "waiting")


def with_value(record: StudyRecord) -> list[TrialRecord]:
    """Return the trials that ended with a value, or failed."""
    over = filter(ended, record.trials)
    return [trial for trial in over if trial.value is not None or trial.failed]


def with_all_objectives(record: StudyRecord) -> list[TrialRecord]:
    """Return the ranked trials that have a value in each of several objectives; none where there is one objective."""
    wanted = len(record.objectives)
    if not wanted:
        return []
    complete = [trial for trial in ranked(record) if len(trial.values) == wanted]
    return [trial for trial in complete if all(map(isfinite, trial.values))]


def of_objective(record: StudyRecord, place: int) -> StudyRecord:
    """Return a study of several objectives as one of the objective at a place (from 0) alone, from which nothing was selected."""
    name, direction = list(record.objectives.items())[place]
    trials = tuple(replace(trial, value=_value_at(trial, place), validation_loss=None) for trial in record.trials)
    data = {**record.data, "metric": name}
    return replace(record, direction=direction, data=data, result={}, trials=trials, objectives={})


def _value_at(trial: TrialRecord, place: int) -> float | None:
    return trial.values[place] if place < len(trial.values) else None


def close_to(trials: Sequence[TrialRecord], metric: MetricFormat) -> float:
    """Return how far from the best value is still close: a percentage point, else a twentieth of the values' range."""
    if metric.percent:
        return 0.01
    values = [trial.value for trial in trials if trial.usable and trial.value is not None]
    return 0.05 * abs(max(values) - min(values))


@lru_cache(maxsize=2)
def _names_in_trials(record: StudyRecord) -> tuple[str, ...]:
    """Return the names of all hyperparameters that the trials have, in the order in which they first occur."""
    return tuple(dict.fromkeys(chain.from_iterable(trial.params for trial in record.trials)))


def settings_of(record: StudyRecord, name: str) -> Mapping[str, Any]:
    """Return one table of the study's settings, {} where it has none."""
    table = record.settings.get(name)
    return table if isinstance(table, Mapping) else {}


def space_of(record: StudyRecord) -> dict[str, Any]:
    """Return each hyperparameter's domain as {low, high, ...}, a list of at least two choices, or a plain value.

    A width per layer (`width_1`, `width_2`, ...) has the domain of `width`, a learning rate of an optimizer's own (`learning_rate_sgd`)
    what stands under the optimizer's name.
    """
    domains: dict[str, Any] = {}
    for name, given in settings_of(record, "space").items():
        domains |= _own_rates(name, given) or {name: _domain_of(given)}
    layers = [name for name in _names_in_trials(record) if WIDTH_OF_A_LAYER.fullmatch(name)]
    if not layers or "width" not in domains:
        return domains
    expanded: dict[str, Any] = {}
    for name, domain in domains.items():
        own = [name]
        if name == "width":
            own = sorted(layers, key=lambda layer: (len(layer), layer))
        expanded |= dict.fromkeys(own, domain)
    return expanded


def _own_rates(name: str, given: Any) -> dict[str, Any]:
    """Return the domains of a hyperparameter that optimizers have their own of, by parameter; {} where none has."""
    if name != "learning_rate" or not isinstance(given, Mapping):
        return {}
    shared = {key: value for key, value in given.items() if key in KEYS_OF_RANGES}
    own = {f"{name}_{key}": _domain_of(value) for key, value in given.items() if key not in KEYS_OF_RANGES}
    if own and shared:
        return {name: _domain_of(shared), **own}
    return own


def _domain_of(given: Any) -> Any:
    """Return a domain as it is used: lists of one choice as that choice, tables that are no range as text."""
    if isinstance(given, Mapping) and isinstance(given.get("values"), list | tuple):
        given = given["values"]
    if isinstance(given, list | tuple):
        return list(given) if len(given) != 1 else given[0]
    if not isinstance(given, Mapping):
        return given
    is_range = is_number(given.get("low")) and is_number(given.get("high"))
    return dict(given) if is_range else visible(given)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def hyperparameters(record: StudyRecord) -> list[str]:
    """Return the names of all searched hyperparameters: in the study's order, then what else the trials have."""
    space = space_of(record)
    varied = [name for name, domain in space.items() if isinstance(domain, dict | list)]
    return [*varied, *(name for name in _names_in_trials(record) if name not in space)]
