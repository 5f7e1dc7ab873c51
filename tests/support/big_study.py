"""A large study as a SQLite file, in seconds: `python -m tests.support.big_study TRIALS FILE`.

Its trials have ten hyperparameters, ten rungs and 27 evaluations. Optuna's own calls take a transaction for every trial, an hour
for 100,000; here Optuna makes the tables and each takes a thousand trials' rows at once.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain
from math import log10
from pathlib import Path
from random import Random
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from hpsearch.config import check_config
from hpsearch.storage.attributes import PREFIX, RUN, SCHEMA, identity, trial_facts, with_checksum
from hpsearch.storage.urls import sqlite_url
from tests.support.records import DATA

EVALUATIONS, RUNGS = 27, 10
RAW: dict[str, Any] = {
    "study": {"name": "big", "question": "How big?"},
    "data": {"name": "digits"},
    "space": {
        "depth": {"low": 1, "high": 4},
        "width": {"low": 16, "high": 256, "log": True},
        "activation": ["relu", "tanh", "gelu", "silu"],
        "dropout": {"low": 0.0, "high": 0.5},
        "optimizer": ["sgd", "momentum", "adam"],
        "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
        "momentum": {"low": 0.5, "high": 0.99},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "batch_size": [8, 16, 32, 64, 128, 256, "full"],
        "schedule": ["constant", "cosine"],
    },
    "search": {"trials": 1000, "pruner": "median"},
    "training": {"epochs": EVALUATIONS},
}
Rows = dict[str, list[tuple[Any, ...]]]  # by table
TABLES = {
    "trials": "trial_id, number, study_id, state, datetime_start, datetime_complete",
    "trial_params": "trial_id, param_name, param_value, distribution_json",
    "trial_values": "trial_id, objective, value, value_type",
    "trial_user_attributes": "trial_id, key, value_json",
    "trial_system_attributes": "trial_id, key, value_json",
    "trial_intermediate_values": "trial_id, step, intermediate_value, intermediate_value_type",
}


def write_study(file: Path, trials: int) -> str:
    """Write a finished study and return its storage's URL."""
    storage = RDBStorage(sqlite_url(file))
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "big")
    settings = check_config(RAW, "big").settings()
    storage.set_study_user_attr(study, f"{PREFIX}schema", SCHEMA)
    for key, value in {"data": DATA, "identity": identity(storage, study), "settings": settings}.items():
        storage.set_study_user_attr(study, PREFIX + key, with_checksum(value, key))
    with closing(sqlite3.connect(file)) as connection:
        for rows in _portions(study, trials):
            _insert(connection, rows)
    return sqlite_url(file)


def _portions(study: int, trials: int) -> Iterator[list[Rows]]:
    """Yield the rows of a thousand trials at a time."""
    random = Random(0)  # noqa: S311
    domains = {name: _domain(given) for name, given in RAW["space"].items()}
    for start in range(0, trials, 1000):
        numbers = range(start, min(trials, start + 1000))
        yield [_trial(number, study, random, domains) for number in numbers]


def _insert(connection: sqlite3.Connection, trials: list[Rows]) -> None:
    """Insert the rows of many trials, table by table."""
    with connection:
        for table, columns in TABLES.items():
            rows = chain.from_iterable(trial[table] for trial in trials)
            marks = ", ".join("?" * len(columns.split(",")))
            connection.executemany(f"insert into {table} ({columns}) values ({marks})", rows)  # noqa: S608


def _domain(given: Any) -> BaseDistribution:
    if isinstance(given, list):
        return CategoricalDistribution(given)
    if isinstance(given["low"], int):
        return IntDistribution(**given)
    return FloatDistribution(**given)


def _trial(number: int, study: int, random: Random, domains: dict[str, BaseDistribution]) -> Rows:
    """Return the rows of a trial by table: one hill over the learning rate, a tenth of the trials diverge."""
    params = _params(random, domains)
    rate = params["learning_rate"]
    score = 1 / (1 + abs(log10(rate) + 2) + 0.1 * random.random())
    curve = [score * (1 - 2.0 ** -(step + 1)) for step in range(EVALUATIONS)]
    rungs = dict(enumerate(curve[:RUNGS], 1))
    failed = rate > 0.4
    value = 0.0 if failed else curve[-1]
    run = {
        "outcome": "diverged" if failed else "finished",
        "detail": "",
        "best": EVALUATIONS,
        "value": curve[-1],
        "validation_loss": 1.1 - score,
        "parameters": int(5000 * params["depth"]),
        "seconds": 0.3,
        "repeats": None,
        "rungs": [*rungs],
        "history": _history(curve),
    }
    represented = {name: domains[name].to_external_repr(param) for name, param in params.items()}
    facts = trial_facts(represented, "complete", [value], rungs)
    trial = number + 1
    begin = datetime(2026, 1, 1) + timedelta(seconds=0.3 * number)
    end = begin + timedelta(seconds=0.3)
    return {
        "trials": [(trial, number, study, "COMPLETE", str(begin), str(end))],
        "trial_params": [(trial, name, param, distribution_to_json(domains[name])) for name, param in params.items()],
        "trial_values": [(trial, 0, value, "FINITE")],
        "trial_user_attributes": [(trial, RUN, json.dumps(with_checksum(run, facts)))],
        "trial_system_attributes": [(trial, "constraints:failed", json.dumps(1.0 if failed else -1.0))],
        "trial_intermediate_values": [(trial, rung, metric, "FINITE") for rung, metric in rungs.items()],
    }


def _params(random: Random, domains: dict[str, BaseDistribution]) -> dict[str, float]:
    """Draw hyperparameters as Optuna's tables hold them; only trials of the optimizer momentum have a momentum."""
    with_momentum = random.random() < 1 / 3
    params: dict[str, float] = {}
    for name, domain in domains.items():
        if name == "momentum" and not with_momentum:
            continue
        if name == "optimizer":
            sgd_or_adam = 2 * random.randrange(2)
            params[name] = 1 if with_momentum else sgd_or_adam
        elif isinstance(domain, CategoricalDistribution):
            params[name] = random.randrange(len(domain.choices))
        elif isinstance(domain, IntDistribution | FloatDistribution):
            params[name] = _number(random, domain)
    return params


def _number(random: Random, domain: IntDistribution | FloatDistribution) -> float:
    """Draw a number uniformly, or uniformly on a logarithmic scale."""
    scaled = log10 if domain.log else float
    number = random.uniform(scaled(domain.low), scaled(domain.high))
    if domain.log:
        number = 10**number
    return round(number) if isinstance(domain, IntDistribution) else number


def _history(curve: list[float]) -> dict[str, list[float]]:
    steps = range(1, len(curve) + 1)
    return {
        "evaluation": [*steps],
        "update": [10 * step for step in steps],
        "examples": [320 * step for step in steps],
        "seconds": [0.01 * step for step in steps],
        "training_loss": [1 - metric for metric in curve],
        "validation_loss": [1.1 - metric for metric in curve],
        "metric": curve,
    }


if __name__ == "__main__":
    print(write_study(Path(sys.argv[2]), int(sys.argv[1])))
