"""Tables of the search space: each hyperparameter's importance and range, and what training learns beside what is chosen before."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite, log
from operator import itemgetter
from typing import Any

import pandas as pd

from hpsearch.reporting.formatting import domain, number
from hpsearch.reporting.importance import importances
from hpsearch.reporting.ranking import best, hyperparameters, space_of
from hpsearch.reporting.tables.table import Column, Frames, Row, Table, frame, plain
from hpsearch.storage import StudyRecord

EDGE = 0.05  # share of a range that counts as its edge

IMPORTANCE = (
    Column("hyperparameter", "", "its name"),
    Column("importance", "share", "PED-ANOVA: the part of what sets the best trials apart; all parts add up to 1"),
    Column("low", "share", "lower end of the 90 % bootstrap interval"),
    Column("high", "share", "upper end of the 90 % bootstrap interval"),
    Column("trials", "count", "trials with a value that have the hyperparameter, failed and pruned ones too"),
    Column("note", "", "why it is unknown, or which trials it is about"),
)


def _importance(record: StudyRecord, done: Frames) -> pd.DataFrame:
    found = sorted(importances(record), key=lambda one: -(one.share or 0.0))
    return frame(IMPORTANCE, [asdict(one) | {"hyperparameter": one.name, "importance": one.share} for one in found])


HYPERPARAMETERS = (
    Column("hyperparameter", "", "its name"),
    Column("domain", "", "what the study allowed"),
    Column("best", "", "its value in the selected trial, in the best one so far while the search runs"),
    Column("edge", "", "low or high: that value lies within 5 % of that end of the range"),
    Column("importance", "share", "see the table importance"),
    Column("low", "share", "lower end of the interval"),
    Column("high", "share", "upper end of the interval"),
    Column("note", "", "why the importance is unknown, or which trials it is about"),
)


def _hyperparameters(record: StudyRecord, done: Frames) -> pd.DataFrame:
    space = space_of(record)
    leader = best(record)
    searched = hyperparameters(record)
    importance = {row["hyperparameter"]: row for row in done["importance"].to_dict("records")}
    rows = []
    for name in dict.fromkeys([*searched, *space]):
        value = plain(leader.params.get(name)) if leader else None
        row = {"hyperparameter": name, "domain": "", "best": value, "edge": edge(space.get(name), value)}
        if name in space:
            row["domain"] = domain(space[name])
        rows.append(importance.get(name, {}) | row)
    return frame(HYPERPARAMETERS, rows)


def edge(given: Any, value: Any) -> str:
    """Return "low" or "high" where a value lies within 5 % of an end of its range, "" elsewhere.

    A low end of 0 is no edge to widen: dropout, momentum and depth cannot go below.
    """
    if not isinstance(given, Mapping) or "low" not in given or not isinstance(value, int | float):
        return ""
    low, high, at = float(given["low"]), float(given["high"]), float(value)
    if not (low < high and isfinite(low) and isfinite(high)):
        return ""
    if given.get("log") and low > 0 and at > 0:
        low, high, at = log(low), log(high), log(at)
    position = (at - low) / (high - low)
    if position <= EDGE and given["low"] != 0:
        return "low"
    return "high" if position >= 1 - EDGE else ""


PARAMETERS = (
    Column("kind", "", "parameter: learned from the training rows; hyperparameter: chosen before training"),
    Column("name", "", "tensor or hyperparameter"),
    Column("value", "", "a tensor's shape, a hyperparameter's value in the best trial"),
    Column("count", "count", "numbers in it"),
    Column("set_by", "", "who sets it, and from which rows"),
)


def _parameters(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return the tensors that training learns, then the hyperparameters of the best trial; of a foreign study nobody knows."""
    if record.foreign:
        return frame(PARAMETERS, [])
    rows = [_tensor(layer) for layer in record.result.get("layers") or []]
    if best(record):
        rows += filter(itemgetter("value"), map(_hyperparameter, done["hyperparameters"].to_dict("records")))
    return frame(PARAMETERS, rows)


def _tensor(layer: Mapping[str, Any]) -> Row:
    shape = " × ".join(map(str, layer.get("shape") or []))
    setter = "training: the optimizer, from the training rows"
    return {
        "kind": "parameter",
        "name": layer.get("name"),
        "value": shape,
        "count": layer.get("count"),
        "set_by": setter,
    }


def _hyperparameter(row: Row) -> Row:
    value = row["best"]
    setter = "the search, on the validation rows"
    if row["domain"].startswith("fixed"):
        value = row["domain"].removeprefix("fixed at ")
        setter = "the study's author: one value"
    else:
        value = "" if pd.isna(value) else number(value)
    name = row["hyperparameter"]
    return {"kind": "hyperparameter", "name": name, "value": value, "count": 1, "set_by": setter}


IMPORTANCES = Table("importance", "Importance of the hyperparameters", IMPORTANCE, _importance)
SPACE = Table("hyperparameters", "Hyperparameters", HYPERPARAMETERS, _hyperparameters)
NUMBERS = Table("parameters", "Parameters and hyperparameters", PARAMETERS, _parameters)
