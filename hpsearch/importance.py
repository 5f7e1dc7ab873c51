"""How much each hyperparameter mattered, and how sure that is.

Optuna's PED-ANOVA compares where the best trials lie with where all trials lie, one hyperparameter at a time (Watanabe et al.,
IJCAI 2023; with conditional hyperparameters, KDD 2026); the shares add up to 1. An importance from a few dozen trials is a rough
estimate, so each one carries an interval: the trials are drawn again with replacement and the importance computed anew.

The method is built on an in-memory study made from the record's trials. Failed trials take part with their worst value and pruned
ones with the value that they had: left out, the picture of where trials *went* would be wrong.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.words import count, hyperparameters

ENOUGH = 20  # usable trials; below, an importance is noise
OWN = 10  # usable trials that have the hyperparameter itself
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
    having = {name: sum(name in trial.params for trial in trials) for name in hyperparameters(record)}
    notes = {name: _reason(name, len(trials), trials, amount) for name, amount in having.items()}
    known = {name: _distribution(name, record, trials) for name, note in notes.items() if not note}
    if not known:
        return tuple(Importance(name, trials=having[name], note=notes[name]) for name in having)
    frozen = [_frozen(trial, known) for trial in trials]
    point = _shares(frozen, record.direction, known)
    draws = [_shares([frozen[i] for i in _draw(generator, len(frozen))], record.direction, known) for _ in range(resamples)]
    return tuple(_row(name, having[name], len(trials), notes[name], point, draws) for name in having)


def _counts(trial: TrialRecord) -> bool:
    ended = trial.state in ("complete", "pruned") and trial.repeats is None
    return ended and trial.value is not None and isfinite(trial.value)


def _reason(name: str, usable: int, trials: list[TrialRecord], having: int) -> str:
    if usable < ENOUGH:
        return f"not enough evidence: {count(usable, 'usable trial')}, at least {ENOUGH} are needed"
    if having < OWN:
        return f"not enough evidence: only {count(having, 'usable trial')} had it, at least {OWN} are needed"
    if len({str(trial.params[name]) for trial in trials if name in trial.params}) < 2:
        return "never varied"
    return ""


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _distribution(name: str, record: StudyRecord, trials: list[TrialRecord]) -> BaseDistribution:
    """The domain, widened to what the trials really had: a record may come from anyone's storage."""
    values = [trial.params[name] for trial in trials if name in trial.params]
    wanted = (record.settings.get("space") or {}).get(name)
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
    study = _study(trials, direction)
    quantile = min(0.5, max(0.1, TOP / len(trials)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile), params=list(known)
        )
    return {name: float(shares.get(name, 0.0)) for name in known}


def _study(trials: list[optuna.trial.FrozenTrial], direction: str) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # "A new study created in memory" is nobody's news
    try:
        study = optuna.create_study(direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(trials)
    return study


def _row(
    name: str, having: int, usable: int, note: str, point: Mapping[str, float], draws: list[dict[str, float]]
) -> Importance:
    if note:
        return Importance(name, trials=having, note=note)
    low, high = np.quantile([draw[name] for draw in draws], [0.05, 0.95])
    share = point[name]
    only = "" if having == usable else f"over the {having:,} of {usable:,} usable trials that have it"
    return Importance(name, share, min(share, float(low)), max(share, float(high)), having, only)
