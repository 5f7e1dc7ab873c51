"""A large study as a SQLite file, in seconds: `python -m tests.support.big_study TRIALS FILE`.

Its trials have ten hyperparameters, ten rungs and 27 evaluations. Optuna's own calls take a transaction for every trial, an hour
for 100,000; here its tables are made by Optuna and filled in one go.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
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
    config = check_config(RAW, "big")
    kept = {"data": DATA, "identity": identity(storage, study), "settings": config.settings()}
    storage.set_study_user_attr(study, f"{PREFIX}schema", SCHEMA)
    for key, value in kept.items():
        storage.set_study_user_attr(study, PREFIX + key, with_checksum(value, key))
    random, domains = Random(0), {name: _domain(given) for name, given in RAW["space"].items()}  # noqa: S311
    with sqlite3.connect(file) as connection:
        for start in range(0, trials, 1000):
            rows = [_trial(number, study, random, domains) for number in range(start, min(trials, start + 1000))]
            for table, columns in TABLES.items():
                places = ", ".join("?" * len(columns.split(",")))
                found = (row for trial in rows for row in trial[table])
                connection.executemany(f"insert into {table} ({columns}) values ({places})", found)  # noqa: S608
    connection.close()
    return sqlite_url(file)


def _domain(given: Any) -> BaseDistribution:
    if isinstance(given, list):
        return CategoricalDistribution(given)
    return (IntDistribution if isinstance(given["low"], int) else FloatDistribution)(**given)


def _trial(number: int, study: int, random: Random, domains: dict[str, BaseDistribution]) -> dict[str, list[Any]]:
    """Return the rows of a trial by table: one hill over the learning rate, a tenth of the trials diverge."""
    params = dict(_params(random, domains))
    rate = params["learning_rate"][0]
    value, failed = 1 / (1 + abs(log10(rate) + 2) + 0.1 * random.random()), rate > 0.4
    curve = [value * (1 - 2.0 ** -(step + 1)) for step in range(EVALUATIONS)]
    trial, begun = number + 1, datetime(2026, 1, 1) + timedelta(seconds=0.3 * number)
    run = {"outcome": "diverged" if failed else "finished", "detail": "", "best": EVALUATIONS, "value": curve[-1]}
    run |= {"validation_loss": 1.1 - value, "parameters": int(5000 * params["depth"][0]), "seconds": 0.3}
    run |= {"repeats": None, "rungs": list(range(1, RUNGS + 1)), "history": _history(curve)}
    told, shown = 0.0 if failed else curve[-1], dict(enumerate(curve[:RUNGS], 1))
    facts = trial_facts(
        {name: domains[name].to_external_repr(value) for name, (value, _) in params.items()}, "complete", [told], shown
    )
    return {
        "trials": [(trial, number, study, "COMPLETE", str(begun), str(begun + timedelta(seconds=0.3)))],
        "trial_params": [(trial, name, value, text) for name, (value, text) in params.items()],
        "trial_values": [(trial, 0, told, "FINITE")],
        "trial_user_attributes": [(trial, RUN, json.dumps(with_checksum(run, facts)))],
        "trial_system_attributes": [(trial, "constraints:failed", json.dumps(1.0 if failed else -1.0))],
        "trial_intermediate_values": [(trial, rung, metric, "FINITE") for rung, metric in shown.items()],
    }


def _params(random: Random, domains: dict[str, BaseDistribution]) -> Iterator[tuple[str, tuple[float, str]]]:
    """Yield (name, (value as Optuna's tables hold it, distribution as JSON)); momentum is one optimizer's alone."""
    momentum = random.random() < 1 / 3
    for name, domain in domains.items():
        if name == "momentum" and not momentum:
            continue
        value: float
        if isinstance(domain, CategoricalDistribution):
            sgd_or_adam = 2 * random.randrange(2)
            value = random.randrange(len(domain.choices)) if name != "optimizer" else 1 if momentum else sgd_or_adam
        else:
            assert isinstance(domain, IntDistribution | FloatDistribution)
            low, high = (log10(end) if domain.log else end for end in (domain.low, domain.high))
            value = random.uniform(low, high)
            value = 10**value if domain.log else value
            value = value if isinstance(domain, FloatDistribution) else round(value)
        yield name, (value, distribution_to_json(domain))


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
