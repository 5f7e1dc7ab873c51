"""Any Optuna study as a `StudyRecord`, one that hpsearch never saw included: what its trials say, and no more.

What hpsearch's own `Objective` kept with the study and its trials is read where it is there. The space is put together from the domains
that the trials were drawn from, and what they reported on the way becomes their curves.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from math import isfinite, nan
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from hpsearch.storage.attributes import PREFIX, RUN, read_run, read_table
from hpsearch.storage.optuna_internals import TrialRow, metric_names, read_trials
from hpsearch.storage.records import FAILED, INFEASIBLE, INFINITE, StudyRecord, TrialRecord
from hpsearch.storage.trial_records import trial_record
from hpsearch.trial import History, Outcome

OF_OBJECTIVE = ("outcome", "detail", "parameters")  # user attributes of `Objective`, without a table of their own
LONGEST = 300  # characters of an attribute


def foreign_record(storage: BaseStorage, study_id: int) -> StudyRecord:
    """Return what an open storage says about a study that `run` did not make.

    Raises:
        StorageError: what it holds is damaged.
    """
    attributes = storage.get_study_user_attrs(study_id)
    rows = read_trials(storage, study_id, None)
    directions = [direction.name.lower() for direction in storage.get_study_directions(study_id)]
    names = _names(metric_names(storage, study_id), len(directions))
    data = _table(attributes, rows, "data")
    settings = _table(attributes, rows, "settings")
    first_start = min((row.started for row in rows if row.started is not None), default=0.0)
    name = storage.get_study_name_from_id(study_id)
    objectives = {}
    if len(names) > 1:
        objectives = dict(zip(names, directions, strict=True))
    return StudyRecord(
        name=name,
        direction=directions[0],
        settings={"study": {"name": name}, **settings, "space": _fixed(settings.get("space")) | _space(rows)},
        data=data or {"metric": names[0]},
        result=read_table(attributes, "result"),
        trials=tuple(_trial(row, first_start) for row in rows),
        as_of=time.strftime("%Y-%m-%d %H:%M"),
        objectives=objectives,
        foreign=not data,
        attributes=_plain(attributes),
    )


def _names(given: Sequence[str], objectives: int) -> list[str]:
    """Return the names of the objectives; numbered ones where the study gave none, or not one each."""
    if len(set(given)) == objectives:
        return list(given)
    if objectives == 1:
        return ["value"]
    return [f"objective {place}" for place in range(1, objectives + 1)]


def _table(attributes: Mapping[str, Any], rows: Iterable[TrialRow], key: str) -> dict[str, Any]:
    """Return a table that `Objective` kept with the study, or with a trial; {} where it kept none."""
    if found := read_table(attributes, key):
        return found
    tables = (read_table(row.attributes, key) for row in rows if PREFIX + key in row.attributes)
    return next(tables, {})


def _fixed(space: Any) -> dict[str, Any]:
    """Return the values that `Objective` held fixed."""
    if not isinstance(space, Mapping):
        return {}
    return {name: value for name, value in space.items() if not isinstance(value, Mapping | list | tuple)}


def _space(rows: Iterable[TrialRow]) -> dict[str, Any]:
    """Return each hyperparameter's domain over all trials, as a study's settings have it."""
    found: dict[str, list[BaseDistribution]] = {}
    for row in rows:
        for name, domain in row.domains.items():
            known = found.setdefault(name, [])
            if domain not in known:  # a domain whose choices are lists has no hash
                known.append(domain)
    space = {name: _domain(domains) for name, domains in found.items()}
    return {name: domain for name, domain in space.items() if domain is not None}


def _domain(domains: Sequence[Any]) -> Any:
    """Return the domain that holds all that the trials had for one name: choices, a range, or one value; None where they do not mix."""
    kinds = {isinstance(domain, CategoricalDistribution) for domain in domains}
    if len(kinds) > 1:
        return None
    if kinds == {True}:
        choices = chain.from_iterable(domain.choices for domain in domains)
        return list(dict.fromkeys(map(_value, choices)))
    low = min(domain.low for domain in domains)
    high = max(domain.high for domain in domains)
    if low == high:
        return low
    steps = {domain.step for domain in domains} - {None, 1}
    step = steps.pop() if len(steps) == 1 else None
    return {"low": low, "high": high, "log": all(domain.log for domain in domains), "step": step}


def _trial(row: TrialRow, first_start: float) -> TrialRecord:
    run = _run(row)
    trial = trial_record(row, first_start, run)
    seconds = trial.seconds
    if seconds is None and row.started is not None and row.ended is not None:
        seconds = max(0.0, row.ended - row.started)
    return replace(
        trial,
        params={name: _value(value) for name, value in row.params.items()},
        outcome=_outcome(row, run),
        seconds=seconds,
        history=trial.history or _curve(row.intermediate_values),
        attributes=_attributes(row, run),
    )


def _run(row: TrialRow) -> dict[str, Any]:
    """Return what `Objective` kept of a trial, {} of any other."""
    if RUN in row.attributes:
        return read_run(row, {})
    if row.attributes.get("outcome") in [outcome.value for outcome in Outcome] and "failed" in row.constraints:
        return {name: row.attributes.get(name) for name in OF_OBJECTIVE}
    return {}


def _outcome(row: TrialRow, run: Mapping[str, Any]) -> str:
    """Return how a trial ended, "" while it has not."""
    known = run.get("outcome")
    if isinstance(known, str) and known:
        return known
    if not row.state.is_finished():
        return ""
    if row.state is TrialState.FAIL:
        return FAILED
    if row.state is TrialState.PRUNED:
        return Outcome.PRUNED.value
    if not all(map(isfinite, row.values)):
        return INFINITE
    constraints = [value for value in row.constraints.values() if isinstance(value, int | float)]
    is_broken = any(value > 0 for value in constraints)
    return INFEASIBLE if is_broken else Outcome.FINISHED.value


def _curve(reported: Mapping[int, float]) -> History | None:
    """Return what a trial reported on the way, step by step, as a learning curve of which nothing else is known."""
    if not reported:
        return None
    steps = sorted(reported)
    zeros = (0,) * len(steps)
    unknown = (nan,) * len(steps)
    metric = tuple(float(reported[step]) for step in steps)
    return History(tuple(steps), zeros, zeros, unknown, unknown, unknown, metric)


def _attributes(row: TrialRow, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's user attributes, without those that are read as something else."""
    own = OF_OBJECTIVE if run else ()
    return _plain({name: value for name, value in row.attributes.items() if name not in own})


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return user attributes that hpsearch did not write, each as a number or as text."""
    own = {name: value for name, value in attributes.items() if not name.startswith(PREFIX)}
    return {name: _text(value) for name, value in own.items() if value is not None}


def _text(value: Any) -> Any:
    """Return a number or a text as it is, a truth value, list or table as JSON."""
    if type(value) in (int, float, str):
        return value[:LONGEST] if isinstance(value, str) else value
    return json.dumps(value, ensure_ascii=False)[:LONGEST]


def _value(value: Any) -> Any:
    """Return a hyperparameter's value; what is neither number nor text nor truth value as text."""
    if isinstance(value, int | float | str):
        return value
    return str(value)
