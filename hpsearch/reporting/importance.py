"""How much each hyperparameter mattered, and how sure that is.

Optuna's PED-ANOVA compares where the best trials lie with where all trials lie, one hyperparameter at a time (Watanabe et al.,
IJCAI 2023; with conditional hyperparameters, KDD 2026); the shares add up to 1. An importance from a few dozen trials is a rough
estimate, so each one carries an interval: the trials are drawn again with replacement and the importance computed anew.

The method is built on an in-memory study made from the record's trials. Failed trials take part with their worst value and pruned
ones with the value that they had: left out, the picture of where trials *went* would be wrong.
"""

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from hpsearch.reporting.formatting import count, hyperparameters, space_of
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.optuna_internals import renumber

ENOUGH = 20  # trials with a value, failed and pruned ones among them; below, an importance is noise
OWN = 10  # of these, that have the hyperparameter itself
TOP = 5  # trials wanted among the best, so that a share of them means something


@dataclass(frozen=True, slots=True)
class Importance:
    """One hyperparameter's share of the importance, 0 to 1, with a 90 % interval; None, and a reason in `note`, where it is unknown."""

    name: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    trials: int = 0
    note: str = ""


def importances(record: StudyRecord, resamples: int = 30, seed: int = 0, most: int = 1000) -> tuple[Importance, ...]:
    """Return the importance of every searched hyperparameter, in the study's order.

    `most` caps the trials used (a seeded draw of them), `resamples` are the bootstrap's. The same record gives the same numbers.
    """
    generator = np.random.default_rng(seed)
    trials = [trial for trial in record.trials if _counts(trial)]
    if len(trials) > most:
        trials = [trials[i] for i in sorted(generator.choice(len(trials), most, replace=False))]
    rows = tuple(_reasoned(name, trials) for name in hyperparameters(record))
    known = {row.name: _distribution(row.name, record, trials) for row in rows if not row.note}
    if not known:
        return rows
    frozen = [_frozen(trial, known) for trial in trials]
    point = _shares(frozen, record.direction, known)
    drawn = ([frozen[i] for i in _draw(generator, len(frozen))] for _ in range(resamples))
    draws = [_shares(again, record.direction, known) for again in drawn]
    return tuple(_row(row, len(trials), point, draws) for row in rows)


def _counts(trial: TrialRecord) -> bool:
    ended = trial.state in ("complete", "pruned") and trial.repeats is None
    return ended and trial.value is not None and isfinite(trial.value)


def _reasoned(name: str, trials: list[TrialRecord]) -> Importance:
    """Return a row without a share: the trials that have the hyperparameter, and what speaks against one, if anything."""
    values = [str(trial.params[name]) for trial in trials if name in trial.params]
    if len(trials) < ENOUGH:
        note = f"not enough evidence: {count(len(trials), 'trial')} with a value, failed and pruned ones too; at least {ENOUGH} are needed"
    elif len(values) < OWN:
        note = f"not enough evidence: only {count(len(values), 'trial')} with a value had it, at least {OWN} are needed"
    else:
        note = "never varied" if len(set(values)) < 2 else ""
    return Importance(name, trials=len(values), note=note)


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _distribution(name: str, record: StudyRecord, trials: list[TrialRecord]) -> BaseDistribution:
    """Return the domain, widened to what the trials really had: a record may come from anyone's storage."""
    values = [trial.params[name] for trial in trials if name in trial.params]
    wanted = space_of(record).get(name)
    if isinstance(wanted, list | tuple) or not all(map(_numeric, values)):
        return CategoricalDistribution(sorted({str(value) for value in values}))
    ends = [wanted[key] for key in ("low", "high") if _numeric(wanted.get(key))] if isinstance(wanted, Mapping) else []
    low, high = min([*values, *ends]), max([*values, *ends])
    log = isinstance(wanted, Mapping) and bool(wanted.get("log")) and low > 0
    if all(isinstance(value, int) for value in (*values, low, high)):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _frozen(trial: TrialRecord, known: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    own = {name: distribution for name, distribution in known.items() if name in trial.params}
    params = {
        name: str(trial.params[name]) if isinstance(distribution, CategoricalDistribution) else trial.params[name]
        for name, distribution in own.items()
    }
    return optuna.trial.create_trial(params=params, distributions=own, value=trial.value)


def _draw(generator: np.random.Generator, size: int) -> list[int]:
    return [int(i) for i in generator.integers(0, size, size)]


def _shares(trials: list[optuna.trial.FrozenTrial], direction: str, known: Mapping[str, Any]) -> dict[str, float]:
    """PED-ANOVA's shares; optuna's own warnings (few trials, equal values) are answered by the intervals."""
    quantile = min(0.5, max(0.1, TOP / len(trials)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = get_param_importances(_Drawn(trials, direction), evaluator=evaluator, params=list(known))  # type: ignore[arg-type]
    return {name: float(shares.get(name, 0.0)) for name in known}


class _Drawn:
    """A study of given trials, which Optuna would copy one by one: a thousand trials drawn thirty times are half a minute of copying."""

    def __init__(self, trials: list[optuna.trial.FrozenTrial], direction: str) -> None:
        self._trials, self._study = [copy(trial) for trial in trials], _empty(direction)
        for number, trial in enumerate(self._trials):  # one that was drawn twice is two
            renumber(trial, number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials."""
        return self._trials

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[optuna.trial.FrozenTrial]:
        """Return the trials in these states."""
        return [trial for trial in self._trials if states is None or trial.state in states]


def _empty(direction: str) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # "A new study created in memory" is nobody's news
    try:
        return optuna.create_study(direction="maximize" if direction == "maximize" else "minimize")
    finally:
        optuna.logging.set_verbosity(verbosity)


def _row(row: Importance, valued: int, point: Mapping[str, float], draws: list[dict[str, float]]) -> Importance:
    """Return the row with its share and interval, where there was no reason against."""
    if row.note:
        return row
    low, high = np.quantile([draw[row.name] for draw in draws], [0.05, 0.95])
    share = point[row.name]
    only = "" if row.trials == valued else f"over the {row.trials:,} of {valued:,} trials with a value that have it"
    return replace(row, share=share, low=min(share, float(low)), high=max(share, float(high)), note=only)
