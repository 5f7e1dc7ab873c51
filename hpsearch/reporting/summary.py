"""What was asked and what came out, in sentences for a reader who was not there.

Every sentence is made from the record's numbers; where a number is missing the sentence is left out, never guessed. Standard library only.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import SPACE, MetricFormat, identifier, number, sentence, share, visible
from hpsearch.reporting.pieces import Value
from hpsearch.reporting.ranking import best, settings_of, space_of
from hpsearch.reporting.replicates import winner_failed
from hpsearch.reporting.selection import all_trials, network, of_trials, usable_trials
from hpsearch.reporting.trust import always, beside, mean_remark
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.trial import PIECEWISE

OF_THE_NETWORK = re.compile(r"depth|width|width_\d+|activation|initialization|taper")  # said by the network's shape
MOST_LAYERS = 100


def introduction(record: StudyRecord, texts: Texts = ENGLISH) -> list[str]:
    """Say on which data what was predicted, and why with this head, loss and metric."""
    return [line for line in (_data(record, texts), _task(record, texts)) if line]


def _data(record: StudyRecord, texts: Texts) -> str:
    """Say how many rows and inputs the data have, and how the rows were split."""
    data = record.data
    rows = {name: amount for name, amount in (data.get("rows") or {}).items() if isinstance(amount, int)}
    folds = rows.pop("folds", None)  # a number of divisions, not of rows
    title = visible(data.get("title") or data.get("name") or texts("search.asked.untitled"), 200)
    if not rows:
        return f"{title}."
    parts = []
    for name, amount in rows.items():
        parts.append(texts("search.asked.part", rows=f"{amount:,}", part=texts.get(f"search.rows.{name}", name)))
    split = texts.listing(parts)
    if folds:
        split = texts("search.asked.first_fold", split=split, folds=number(folds))
    if not any(rows.values()):
        return f"{title}; {split}."
    inputs = _inputs(data, texts)
    return texts("search.asked.data", title=title, rows=f"{sum(rows.values()):,}", inputs=inputs, split=split)


def _inputs(data: Mapping[str, Any], texts: Texts) -> str:
    """Return `each 8 × 8 (64 inputs)`."""
    sides = [number(side) for side in data.get("shape") or []]
    inputs = number(data.get("inputs"))
    if len(sides) < 2:
        return texts("search.asked.inputs", inputs=inputs)
    return texts("search.asked.shape", shape=" × ".join(sides), inputs=inputs)


def _task(record: StudyRecord, texts: Texts) -> str:
    data = record.data
    task = data.get("task")
    if not task:
        return ""
    sentences = [f"{sentence(visible(texts.word(task), 40))}."]
    if texts.has(f"search.task.{task}"):
        sentences = [texts(f"search.task.{task}", classes=number(data.get("outputs")))]
    if data.get("task_reason"):
        reason = texts.word(str(data["task_reason"]))
        sentences.append(f"{sentence(visible(reason, 300)).rstrip('.')}.")
    head_and_loss = _head_and_loss(record, texts)
    if head_and_loss:
        sentences.append(head_and_loss)
        if task in TASKS:
            sentences.append(texts.word(TASKS[task].reason))
    if data.get("metric"):
        better = "higher" if data.get("direction") == "maximize" else "lower"
        metric = METRICS.get(str(data["metric"]))
        name = MetricFormat.of(record, texts).name
        if metric:
            name = texts.word(metric.title[0].lower() + metric.title[1:])
        sentences.append(texts(f"search.asked.{better}", metric=name))
    return " ".join(sentences)


def _head_and_loss(record: StudyRecord, texts: Texts) -> str:
    data = record.data
    parts = []
    if data.get("head"):
        parts.append(texts("search.asked.head", head=visible(texts.word(data["head"]), 60)))
    if data.get("loss"):
        balanced = settings_of(record, "training").get("class_weights") == "balanced"
        key = "balanced_loss" if balanced else "loss"
        parts.append(texts(f"search.asked.{key}", loss=visible(texts.word(data["loss"]), 60)))
    return f"{sentence(texts.listing(parts))}." if parts else ""


def best_network(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Describe the best network in one sentence, of an ensemble its first one; "" where there is none."""
    leader = best(record)
    if leader is None:
        return ""
    described = _described(record, leader, texts)
    trials = record.selected.trials
    if len(trials) > 1:
        ensemble = sentence(of_trials(trials, texts))
        return texts("search.result.ensemble", ensemble=ensemble, first=described)
    return f"{sentence(described)}."


def _described(record: StudyRecord, leader: TrialRecord, texts: Texts) -> str:
    """Return the layers, then how they were trained."""
    shape = _shape(record, leader)
    params = dict(leader.params)
    layers = []
    if shape:
        params = {name: value for name, value in params.items() if not OF_THE_NETWORK.fullmatch(name)}
        layers.append(network(shape["widths"], str(shape.get("activation") or ""), texts))
        if params.pop("number_encoding", None) == PIECEWISE:
            layers.append(texts("search.phrase.piecewise"))
        if "dropout" in params:
            layers.append(_setting("dropout", params.pop("dropout")))
    optimizer = params.pop("optimizer", None)
    descent = optimizer == "sgd" and not params.get("momentum")
    settings = [_setting(name, value) for name, value in params.items() if name != "batch_size"]
    if "batch_size" in params:
        settings.append(_batches(params["batch_size"], descent, texts))
    trained = texts.listing(settings)
    if optimizer:
        key = "trained_with" if trained else "trained"
        trained = texts(f"search.result.{key}", optimizer=visible(optimizer, 40), settings=trained)
    return "; ".join(filter(None, [", ".join(layers), trained]))


def _batches(size: Any, descent: bool, texts: Texts) -> str:
    """Return the batch size; one of all rows is gradient descent only where nothing but the gradient moves the weights (`descent`)."""
    if size != "full":
        return _setting("batch_size", size)
    return texts(f"search.phrase.{'gradient_descent' if descent else 'full_batches'}")


def _setting(name: str, value: Any) -> str:
    """Return a hyperparameter and its value, short: `learning rate 0.0028`."""
    is_finite = isinstance(value, float) and isfinite(value)
    return f"{identifier(name, 60)} {number(value, digits=2) if is_finite else number(value)}"


def _shape(record: StudyRecord, leader: TrialRecord) -> Mapping[str, Any]:
    """Return the confirmed architecture; before that what the hyperparameters say of it, {} where they do not say enough."""
    known = record.result.get("architecture")
    if isinstance(known, Mapping) and isinstance(known.get("widths"), list):
        return known
    values = {name: value for name, value in space_of(record).items() if not isinstance(value, dict | list)}
    values |= leader.params
    depth = values.get("depth")
    if not isinstance(depth, int) or not 0 <= depth <= MOST_LAYERS or values.get("taper", 1) != 1:
        return {}
    widths = [values.get(f"width_{layer}", values.get("width")) for layer in range(1, depth + 1)]
    if not all(isinstance(width, int) for width in widths):
        return {}
    return {"widths": widths, "activation": values.get("activation")}


def result_values(record: StudyRecord, texts: Texts = ENGLISH) -> list[Value]:
    """Return the numbers of the result: test, baseline, validation, size, trial."""
    leader = best(record)
    trials = record.selected.trials
    if leader is None:
        return []
    if len(trials) > 1:
        return _ensemble_values(record, trials, texts)
    values = [*scores(record, texts).values()]
    parameters = record.result.get("parameters") or leader.parameters
    if parameters:
        values.append(_size(parameters, texts))
    of_all = texts("search.result.of_trials", trials=all_trials(record, texts))
    return [*values, Value(texts("search.result.trial"), str(leader.number), of_all)]


def _ensemble_values(record: StudyRecord, trials: list[int], texts: Texts) -> list[Value]:
    networks = texts.count("network", len(trials))
    members = _members(record, trials, texts)
    values = [Value(texts("search.result.model"), networks, members), *scores(record, texts).values()]
    parameters = (record.result.get("choice") or {}).get("parameters")
    if parameters:
        return [*values, _size(parameters, texts)]
    return values


def _members(record: StudyRecord, trials: list[int], texts: Texts) -> str:
    """Return the trials of an ensemble, with each network's share where they differ."""
    shares = (record.result.get("combination") or {}).get("shares") or []
    if len(set(shares)) < 2:
        return texts("search.result.mean_of_predictions", trials=texts.listing(map(str, trials)))
    weighted = [f"{trial} ({share(part)})" for trial, part in zip(trials, shares, strict=True)]
    return texts("search.result.weighted", trials=texts.listing(weighted))


def _size(parameters: int, texts: Texts) -> Value:
    return Value(texts("search.result.parameters"), number(parameters), texts("search.result.learned"))


def scores(record: StudyRecord, texts: Texts = ENGLISH) -> dict[str, Value]:
    """Return what is known of `test`, `baseline` (on the rows of the one before it) and `mean` (on validation rows)."""
    known = {"test": _test(record, texts), "baseline": _baseline(record, texts), "mean": _validation(record, texts)}
    return {name: value for name, value in known.items() if value is not None}


def _test(record: StudyRecord, texts: Texts) -> Value | None:
    metric = MetricFormat.of(record, texts)
    test = record.selected.test
    if not test:
        return None
    remarks = []
    low, high = test.low, test.high
    if low is not None and high is not None:
        remarks.append(texts("search.trust.over_rows", interval=metric.between(low, high)))
    if test.count:
        remarks.append(texts.count("row", test.count).replace(" ", SPACE))
    name = texts("search.result.test", metric=metric.name)
    return Value(sentence(name), metric.text(test.value), ", ".join(remarks))


def _validation(record: StudyRecord, texts: Texts) -> Value | None:
    """Return the mean over fresh seeds, else the search's best value; an ensemble that was not judged has neither."""
    metric = MetricFormat.of(record, texts)
    mean = record.selected.mean
    several = record.selected.is_ensemble
    name = sentence(texts("search.result.validation", metric=metric.name))
    if mean:
        seeds = "further" if several else "fresh"
        remark = mean_remark(record, seeds, winner_failed(record, texts), texts)
        return Value(name, metric.text(mean.value), remark)
    leader = best(record)
    if several or leader is None:
        return None
    value = record.result.get("validation", leader.value)
    return Value(name, metric.text(value), texts("search.result.best_of", trials=usable_trials(record, texts)))


def _baseline(record: StudyRecord, texts: Texts) -> Value | None:
    metric = MetricFormat.of(record, texts)
    both = beside(record)
    if both is None:
        return None
    name = texts(f"search.result.baseline_{both.rows}", metric=metric.name)
    return Value(sentence(name), metric.text(both.baseline), always(record, texts))
