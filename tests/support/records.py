"""Fabricated studies for the report's tests: plausible, seeded, no training.

A study of the handwritten digits with a space like ours: momentum exists only beside plain SGD, bad learning rates diverge, a
median rule prunes, and later trials gather around the best one as a sampler's would.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log, log10
from random import Random
from typing import Any

from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import Architecture, History

ROWS = {"training": 1257, "validation": 270, "test": 270}
EVALUATIONS = 40
EPOCHS = 20

SPACE: dict[str, Any] = {
    "depth": {"low": 0, "high": 4},
    "width": {"low": 16, "high": 256, "log": True},
    "activation": ["relu", "tanh", "gelu", "sigmoid"],
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": ["sgd", "adam", "adamw"],
    "learning_rate": {"low": 1e-4, "high": 0.3, "log": True},
    "momentum": {"low": 0.0, "high": 0.99},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": [1, 16, 32, 128, "full"],
    "initialization": "kaiming_normal",
}

DATA: dict[str, Any] = {
    "name": "digits",
    "title": "Handwritten digits",
    "source": "scikit-learn, load_digits (UCI, 1998)",
    "task": "multiclass",
    "task_reason": "The target holds whole numbers with 10 distinct values, so each is taken as a class.",
    "metric": "accuracy",
    "direction": "maximize",
    "head": "softmax",
    "loss": "cross-entropy",
    "inputs": 64,
    "shape": [8, 8],
    "outputs": 10,
    "classes": [str(digit) for digit in range(10)],
    "rows": ROWS,
    "hash": "sha256:9f2c51d0c0ffee00b8a1d2e3f4a5968778695a4b3c2d1e0f9f2c51d0c0ffee00",
    "notices": ["3 pixels are constant over all training rows and were dropped"],
    "worst": 0.0,
}


def draw(random: Random, near: dict[str, Any] | None) -> dict[str, Any]:
    """One trial's hyperparameters, around `near` if there is one."""
    params: dict[str, Any] = {}
    for name, domain in SPACE.items():
        if name == "momentum" and params["optimizer"] != "sgd":
            continue
        if isinstance(domain, list):
            params[name] = near[name] if near and random.random() < 0.7 else random.choice(domain)
        elif isinstance(domain, dict):
            params[name] = _number(random, domain, near.get(name) if near else None)
    return params


def _number(random: Random, domain: dict[str, Any], near: float | None) -> float:
    into, back = (log, exp) if domain.get("log") else (float, float)
    low, high = into(domain["low"]), into(domain["high"])
    at = random.uniform(low, high) if near is None else random.gauss(into(near), 0.15 * (high - low))
    value: float = back(min(max(at, low), high))
    if isinstance(domain["low"], int):
        return round(value)
    return float(min(max(value, domain["low"]), domain["high"]))


def quality(params: dict[str, Any]) -> float:
    """Return the accuracy that these hyperparameters end with, before noise."""
    best_rate = {"sgd": -1.1, "adam": -2.6, "adamw": -2.5}[params["optimizer"]]
    rate = abs(log10(params["learning_rate"]) - best_rate)
    depth = {0: 0.03, 1: 0.01, 2: 0.0, 3: 0.002, 4: 0.006}[params["depth"]]
    batch = {1: 0.02, 16: 0.002, 32: 0.0, 128: 0.008, "full": 0.06}[params["batch_size"]]
    activation = {"relu": 0.0, "gelu": 0.001, "tanh": 0.004, "sigmoid": 0.03}[params["activation"]]
    width = 0.012 * (log(256) - log(params["width"])) / log(16)
    dropout = 0.05 * float(params["dropout"]) ** 2
    misfit: float = 0.055 * rate**1.7
    return 0.984 - misfit - depth - batch - activation - width - dropout


def history(random: Random, value: float, rate: float, batch: Any, count: int = EVALUATIONS) -> History:
    """Return a learning curve that ends near `value`, with over-fitting where learning is fast."""
    run, speed = History(), 2.5 + 2 * rate
    rows = ROWS["training"] if batch == "full" else batch
    for evaluation in range(1, count + 1):
        share = evaluation / EVALUATIONS
        metric = 0.1 + (value - 0.1) * (1 - exp(-speed * 4 * share)) + random.gauss(0, 0.002)
        fit = exp(-speed * 2.2 * share)
        examples = round(share * EPOCHS * ROWS["training"])
        run = run.append(
            evaluation=evaluation,
            update=max(1, examples // rows),
            examples=examples,
            seconds=0.35 * evaluation,
            training_loss=0.01 + 2.2 * fit,
            validation_loss=0.05 + (1 - value) + 2.2 * fit + 0.06 * max(0.0, share - 0.5),
            metric=min(1.0, metric),
        )
    return run


def _trial(number: int, random: Random, params: dict[str, Any], rung: float, pruned_share: float = 1.0) -> TrialRecord:
    architecture = Architecture(64, (params["width"],) * params["depth"], 10)
    value = max(0.1, min(0.996, quality(params) + random.gauss(0, 0.004)))
    base = TrialRecord(number, "complete", params, parameters=architecture.parameters, started=0.0)
    if params["learning_rate"] > (0.25 if params["optimizer"] == "sgd" else 0.05):
        detail = f"diverged at update {random.randint(20, 900)} (loss = nan)"
        curve = history(random, 0.3, 0.1, params["batch_size"], random.randint(1, 6))
        return replace(base, outcome="diverged", detail=detail, value=0.0, history=curve, seconds=1.0)
    pruned = number > 8 and value < rung and (pruned_share == 1.0 or random.random() < pruned_share)
    curve = history(
        random, value, min(1.0, params["learning_rate"] * 30), params["batch_size"], 10 if pruned else EVALUATIONS
    )
    best = max(range(len(curve)), key=curve.metric.__getitem__)
    return replace(
        base,
        state="pruned" if pruned else "complete",
        outcome="pruned" if pruned else ("stopped early" if number % 7 == 5 else "finished"),
        value=curve.metric[best],
        validation_loss=curve.validation_loss[best],
        best_evaluation=best + 1,
        history=curve,
        seconds=0.4 * len(curve) * random.uniform(0.8, 1.3),
        rungs={10: curve.metric[9]},
    )


def trials(count: int, seed: int = 0, places: int = 4, pruned_share: float = 1.0) -> tuple[TrialRecord, ...]:
    """Return `count` ended trials, run `places` at a time; of those below the median so large a share is pruned."""
    random = Random(seed)  # noqa: S311 - no secret is drawn
    free_from = [0.0] * places
    made: list[TrialRecord] = []
    for number in range(count):
        usable = best_first(made)
        near = dict(usable[0].params) if usable and number > 15 and random.random() < 0.6 else None
        rung = value_of(usable[len(usable) // 2]) if usable else 0.0
        trial = _trial(number, random, draw(random, near), rung, pruned_share)
        place = free_from.index(min(free_from))
        made.append(replace(trial, started=free_from[place]))
        free_from[place] += (trial.seconds or 0.0) + 0.3
    return tuple(made)


def value_of(trial: TrialRecord) -> float:
    """Return a trial's value, 0 where it has none."""
    return trial.value or 0.0


def best_first(made: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that ended and did not diverge, by their values."""
    usable = [trial for trial in made if trial.state == "complete" and trial.outcome != "diverged"]
    return sorted(usable, key=value_of, reverse=True)


def result(best: TrialRecord, distinct: int) -> dict[str, Any]:
    """Return the confirmation of the best trial on the test rows."""
    widths = [best.params["width"]] * best.params["depth"]
    sizes = [64, *widths, 10]
    layers = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers += [{"name": f"layers.{i}.weight", "shape": [b, a], "count": a * b}]
        layers += [{"name": f"layers.{i}.bias", "shape": [b], "count": b}]
    return {
        "trial": best.number,
        "validation": best.value,
        "test": {
            "metric": "accuracy",
            "value": 0.974,
            "low": 0.947,
            "high": 0.987,
            "loss": 0.0921,
            "rows": ROWS["test"],
        },
        "parameters": best.parameters,
        "architecture": {"inputs": 64, "widths": widths, "outputs": 10}
        | {"activation": best.params["activation"], "dropout": best.params["dropout"]},
        "layers": layers,
        "device": "cpu",
        "versions": {"hpsearch": "0.1.0", "python": "3.11.9", "torch": "2.11.0", "optuna": "5.0.0"},
        "distinct": distinct,
        "seconds": 268.4,
    }


def settings(name: str, count: int) -> dict[str, Any]:
    """Return the study's TOML file as it is read."""
    return {
        "study": {
            "name": name,
            "question": "How small a dense network reads the 8 × 8 digits as well as any?",
            "seed": 7,
        },
        "data": {"name": "digits"},
        "space": SPACE,
        "training": {"epochs": EPOCHS, "patience": 12, "precision": "float32"},
        "search": {"sampler": "tpe", "trials": count, "timeout": None, "pruner": "median", "lag": 4},
    }


def study(count: int = 64, seed: int = 0, name: str = "digits", pruned_share: float = 1.0) -> StudyRecord:
    """Return a finished study of `count` trials; without a usable trial it has no result."""
    made = trials(count, seed, pruned_share=pruned_share)
    usable = [trial for trial in made if trial.state == "complete" and trial.outcome != "diverged"]
    best = max(usable, key=lambda trial: trial.value or 0.0) if usable else None
    return StudyRecord(
        name=name,
        direction="maximize",
        settings=settings(name, count),
        data=DATA,
        result=result(best, count) if best else {},
        trials=made,
        as_of="2026-03-14 14:02",
    )


def confirmed(record: StudyRecord, *, winner: int = 1, failed: bool = False) -> StudyRecord:
    """Return the study with its three best trials trained again on five fresh seeds; the one at place `winner` has the best mean."""
    leaders = best_first(record.trials)[:3]
    order = [leaders[winner], *(trial for trial in leaders if trial is not leaders[winner])]
    rows = [_replicated(trial, place, failed=failed and place == 0) for place, trial in enumerate(order)]
    first = rows[0]
    top = next(row for row in rows if row["trial"] == leaders[0].number)
    gap = value_of(leaders[0]) - top["value"]
    result = {
        **record.result,
        "trial": first["trial"],
        "seed": 4,
        "validation": first["runs"][4]["value"],
        "search": {"trial": leaders[0].number, "value": leaders[0].value},
        "fresh": {"value": first["value"], "low": first["low"], "high": first["high"], "runs": 5, "asked": 5},
        "confirmed": rows,
        "gaps": {
            "search": {"value": gap, "low": gap - 0.006, "high": gap + 0.006},
            "test": {"value": first["value"] - 0.974, "low": -0.018, "high": 0.025},
        },
        "networks": [[first["trial"], 4]],
        "refitted": False,
        "choice": None,
        "looks": 1,
    }
    confirm = {"trials": 3, "seeds": 5, "ensemble": 1}
    return replace(record, result=result, settings={**record.settings, "confirm": confirm})


def _replicated(trial: TrialRecord, place: int, *, failed: bool) -> dict[str, Any]:
    """Return a confirmed trial with its five runs, the mean lower with each place; the first run may have failed."""
    values = [round(0.972 - 0.004 * place + step / 270, 6) for step in (-1, 0, 0, 1, 2)]
    mean = sum(values) / 5
    runs: list[dict[str, Any]] = [
        {"seed": seed, "outcome": "finished", "value": value, "loss": 0.1, "best": 30, "detail": ""}
        for seed, value in enumerate(values)
    ]
    if failed:
        runs[0] |= {"outcome": "diverged", "value": None, "loss": None, "best": 0, "detail": "diverged at update 3"}
    row = {"trial": trial.number, "search": trial.value, "value": mean, "low": mean - 0.006, "high": mean + 0.006}
    return {**row, "runs": runs}


def ensembled(record: StudyRecord, *, kept: bool = True) -> StudyRecord:
    """Return a confirmed study whose three confirmed trials were judged together, and selected together or not."""
    made = confirmed(record)
    networks = [[row["trial"], 4] for row in made.result["confirmed"]]
    choice = {
        "candidates": networks,
        "kept": "ensemble" if kept else "single",
        "seeds": 3,
        "folds": 0,
        "single": estimate(0.968 if kept else 0.979),
        "ensemble": estimate(0.979 if kept else 0.968),
        "parameters": 123_456,
    }
    more: dict[str, Any] = {"networks": networks if kept else networks[:1], "choice": choice}
    if kept:
        more["validation"] = 0.979
    return replace(made, result={**made.result, **more})


def estimate(value: float) -> dict[str, float]:
    """Return a mean with an interval of a percentage point to both sides."""
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def of_earlier_version(record: StudyRecord) -> StudyRecord:
    """Return a confirmed study as the version wrote it that kept an ensemble without judging it, and scored one network beside it."""
    made = confirmed(record)
    networks = [[row["trial"], 4] for row in made.result["confirmed"]]
    result = {key: value for key, value in made.result.items() if key not in ("choice", "looks")}
    together = {**made.result["test"], "value": 0.965, "low": 0.936, "high": 0.981}
    ensemble = {"trials": [trial for trial, _ in networks], "validation": None, "test": together}
    return replace(made, result={**result, "networks": networks, "ensemble": ensemble, "scorings": 1})


def unfinished(count: int = 12) -> StudyRecord:
    """Return a study that is still running: three trials train, no result yet."""
    record = study(count)
    running = tuple(
        TrialRecord(count + i, "running", draw(Random(i), None), started=60.0 + i)  # noqa: S311 - likewise
        for i in range(3)
    )
    return replace(record, trials=record.trials + running, result={})
