"""How much each hyperparameter mattered, and how sure that is.

Optuna's PED-ANOVA compares where the best trials lie with where all trials lie, one hyperparameter at a time (Watanabe et al.,
IJCAI 2023; with conditional hyperparameters, KDD 2026); the shares add up to 1. An importance from a few dozen trials is a rough
estimate, so each one carries an interval: the trials are drawn again with replacement and the importance computed anew.

A hyperparameter that does not matter has some importance by chance, and never none. So the values of the trials are shuffled too, after
which none of them matters: where an importance is no greater than what most of these shuffles give (a permutation test), its interval
begins at 0.

The method is built on an in-memory study made from the record's trials. Failed trials take part with their worst value and pruned
ones with the value that they had: left out, the picture of where trials *went* would be wrong.
"""

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.ranking import hyperparameters, is_number, space_of
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.optuna_internals import quiet_study, renumber

ENOUGH = 20  # trials with a value, failed and pruned ones among them; below, an importance is noise
OWN = 10  # of these, that have the hyperparameter itself
SHUFFLES = 20
LEVEL = 0.05  # of the permutation test
TOP = 5  # trials wanted among the best, so that a share of them means something
MOST = 1_000  # trials used; of more, as many are drawn


@dataclass(frozen=True, slots=True)
class Importance:
    """One hyperparameter's share of the importance, 0 to 1, with a 90 % interval; None, and a reason in `note`, where it is unknown.

    The interval begins at 0 where chance alone may give as much.
    """

    name: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    trials: int = 0
    note: str = ""


def importances(record: StudyRecord, resamples: int = 30) -> tuple[Importance, ...]:
    """Return the importance of every searched hyperparameter, in the study's order; the same record gives the same numbers.

    `resamples` are the bootstrap's.
    """
    generator = np.random.default_rng(0)
    trials = _used_trials(record, generator)
    rows = tuple(_without_share(name, trials) for name in hyperparameters(record))
    known = {row.name: _distribution(row.name, record, trials) for row in rows if not row.note}
    if not known:
        return rows
    frozen = [_frozen(trial, known) for trial in trials]
    point = _shares(frozen, record.direction, known)
    draws = []
    for _ in range(resamples):
        again = generator.integers(0, len(frozen), len(frozen))
        draws.append(_shares([frozen[i] for i in again], record.direction, known))
    chance = _by_chance(frozen, record.direction, known, generator)
    return tuple(_with_share(row, len(trials), point, draws, row.name in chance) for row in rows)


def _by_chance(
    trials: list[optuna.trial.FrozenTrial],
    direction: str,
    known: Mapping[str, BaseDistribution],
    generator: np.random.Generator,
) -> set[str]:
    """Return the hyperparameters whose importance more than `LEVEL` of the shuffles of the values reach."""
    observed = _importances(trials, direction, known)
    reached = dict.fromkeys(known, 1)  # the trials as they are count as one
    values = [trial.value for trial in trials]
    for _ in range(SHUFFLES):
        shuffled = []
        for trial, place in zip(trials, generator.permutation(len(trials)), strict=True):
            other = copy(trial)
            other.value = values[place]
            shuffled.append(other)
        for name, importance in _importances(shuffled, direction, known).items():
            reached[name] += importance >= observed[name]
    return {name for name, count in reached.items() if count > LEVEL * (SHUFFLES + 1)}


def _used_trials(record: StudyRecord, generator: np.random.Generator) -> list[TrialRecord]:
    """Return the trials with a value; of very many as many as are used, drawn."""
    trials = [trial for trial in record.trials if _has_value(trial)]
    if len(trials) <= MOST:
        return trials
    return [trials[i] for i in sorted(generator.choice(len(trials), MOST, replace=False))]


def _has_value(trial: TrialRecord) -> bool:
    ended = trial.state in ("complete", "pruned") and trial.repeats is None
    return ended and is_number(trial.value)


def _without_share(name: str, trials: list[TrialRecord]) -> Importance:
    """Return a row without a share: how many trials have the hyperparameter, and why it has no importance, if there is a reason."""
    having = sum(name in trial.params for trial in trials)
    return Importance(name, trials=having, note=_why_unknown(name, trials, ENGLISH))


def why_unknown(name: str, record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say why a hyperparameter of a study has no importance; "" where it has one."""
    return _why_unknown(name, _used_trials(record, np.random.default_rng(0)), texts)


def _why_unknown(name: str, trials: list[TrialRecord], texts: Texts) -> str:
    values = [str(trial.params[name]) for trial in trials if name in trial.params]
    if len(trials) < ENOUGH:
        return texts("search.importance.few", trials=texts.count("trial", len(trials)), enough=ENOUGH)
    if len(values) < OWN:
        return texts("search.importance.few_own", trials=texts.count("trial", len(values)), enough=OWN)
    if len(set(values)) < 2:
        return texts("search.importance.constant")
    return ""


def _distribution(name: str, record: StudyRecord, trials: list[TrialRecord]) -> BaseDistribution:
    """Return the domain, widened to what the trials really had: a record may come from anyone's storage."""
    values = [trial.params[name] for trial in trials if name in trial.params]
    given = space_of(record).get(name)
    if isinstance(given, list | tuple) or not all(map(is_number, values)):
        return CategoricalDistribution(sorted({str(value) for value in values}))
    known = given if isinstance(given, Mapping) else {}
    ends = [known[key] for key in ("low", "high") if is_number(known.get(key))]
    low, high = min([*values, *ends]), max([*values, *ends])
    log = bool(known.get("log")) and low > 0
    if all(isinstance(value, int) for value in (*values, low, high)):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _frozen(trial: TrialRecord, known: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    """Return a trial as Optuna knows it, with the known hyperparameters only."""
    distributions = {name: distribution for name, distribution in known.items() if name in trial.params}
    params = {}
    for name, distribution in distributions.items():
        params[name] = trial.params[name]
        if isinstance(distribution, CategoricalDistribution):
            params[name] = str(trial.params[name])
    return optuna.trial.create_trial(params=params, distributions=distributions, value=trial.value)


def _shares(trials: list[optuna.trial.FrozenTrial], direction: str, known: Mapping[str, Any]) -> dict[str, float]:
    """Return PED-ANOVA's importances as shares that add up to 1, or are all 0."""
    found = _importances(trials, direction, known)
    total = sum(found.values())
    return {name: importance / total if total else 0.0 for name, importance in found.items()}


def _importances(trials: list[optuna.trial.FrozenTrial], direction: str, known: Mapping[str, Any]) -> dict[str, float]:
    """Return PED-ANOVA's importances; optuna's own warnings (few trials, equal values) are answered by the intervals."""
    quantile = min(0.5, max(0.1, TOP / len(trials)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importances = get_param_importances(
            _Resampled(trials, direction),  # type: ignore[arg-type]
            evaluator=evaluator,
            params=list(known),
            normalize=False,
        )
    return {name: float(importances.get(name, 0.0)) for name in known}


class _Resampled:
    """A study of given trials. Optuna would copy them one by one, which takes half a minute for a thousand trials drawn thirty times."""

    def __init__(self, trials: list[optuna.trial.FrozenTrial], direction: str) -> None:
        self._trials = [copy(trial) for trial in trials]
        self._study = quiet_study("maximize" if direction == "maximize" else "minimize")
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


def _with_share(
    row: Importance, valued: int, point: Mapping[str, float], draws: list[dict[str, float]], by_chance: bool
) -> Importance:
    """Return the row with its share and interval, where there was no reason against one."""
    if row.note:
        return row
    low, high = np.quantile([draw[row.name] for draw in draws], [0.05, 0.95])
    share = point[row.name]
    note = ""
    if row.trials != valued:
        note = ENGLISH("search.importance.over", trials=f"{row.trials:,}", valued=f"{valued:,}")
    least = 0.0 if by_chance else min(share, float(low))
    return replace(row, share=share, low=least, high=max(share, float(high)), note=note)
