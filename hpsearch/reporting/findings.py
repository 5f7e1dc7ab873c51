"""What a study found, in sentences that a reader who was not there understands: what was asked, what came out, what to beware of.

Every sentence is made from the record's numbers; where a number is missing the sentence is left out, never guessed.
Standard library only.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS
from hpsearch.reporting.baseline import always, beside, caution
from hpsearch.reporting.formatting import (
    SPACE,
    MetricFormat,
    best,
    count,
    duration,
    listing,
    network,
    number,
    of_all,
    ranked,
    readable,
    sentence,
    sentences,
    share,
    space_of,
    tally,
    usable,
    visible,
)
from hpsearch.reporting.selection import of_trials, trials_of
from hpsearch.reporting.trust import cautions, mean_box
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.results import mean_of, test_of
from hpsearch.trial import UNSAID

ARCHITECTURE = re.compile(r"depth|width|width_\d+|activation|initialization|taper")  # told by the network itself
KINDS = {
    "multiclass": "classification: each row belongs to one of {classes} classes",
    "binary": "classification: each row belongs to one of two classes",
    "regression": "regression: for each row a number is predicted",
}
FEW = 20
LOST = 0.3  # share of failed trials that is worth a warning


def table_of(record: StudyRecord, name: str) -> Mapping[str, Any]:
    """Return one table of the study's settings, {} where it has none."""
    found = record.settings.get(name)
    return found if isinstance(found, Mapping) else {}


def asked(record: StudyRecord) -> list[str]:
    """Say on which data what was predicted, and why with this head, loss and metric."""
    data, rows = record.data, {**(record.data.get("rows") or {})}
    folds = rows.pop("folds", None)  # a number of divisions, not of rows
    title = visible(data.get("title") or data.get("name") or "the study's data", 200)
    total = sum(value for value in rows.values() if isinstance(value, int))
    shape = " × ".join(number(side) for side in data.get("shape") or [])
    each = (
        f"each {shape} ({number(data.get('inputs'))} inputs)"
        if "×" in shape
        else f"each of {number(data.get('inputs'))} inputs"
    )
    first = f"{title}: {total:,} rows, {each}" if total else title
    split = listing([f"{value:,} for {name}" for name, value in rows.items() if isinstance(value, int)])
    split += f", in the first of {number(folds)} folds" if folds else ""
    lines = [f"{first}; {split}." if split else f"{first}."]
    return lines + [line for line in (_task(record, data),) if line]


def _task(record: StudyRecord, data: Mapping[str, Any]) -> str:
    if not data.get("task"):
        return ""
    kind = KINDS.get(data["task"], "{task}").format(task=visible(data["task"], 40), classes=number(data.get("outputs")))
    reason = f" {sentence(visible(data['task_reason'], 300)).rstrip('.')}." if data.get("task_reason") else ""
    why = f" {TASKS[data['task']].reason}" if data["task"] in TASKS else ""
    parts = [
        f"the output goes through the {visible(data['head'], 60)} head" if data.get("head") else "",
        f"the loss is {visible(data['loss'], 60)}{_weighed(record)}" if data.get("loss") else "",
    ]
    uses = listing([part for part in parts if part])
    known = METRICS[data["metric"]].title if data.get("metric") in METRICS else ""
    title = f"{known[0].lower()}{known[1:]}" if known else MetricFormat.of(record).name
    metric = f" Networks are compared by {title}; {_direction(data)}." if data.get("metric") else ""
    return f"{sentence(kind)}.{reason}" + (f" {sentence(uses)}.{why}" if uses else "") + metric


def _weighed(record: StudyRecord) -> str:
    training = record.settings.get("training")
    balanced = isinstance(training, Mapping) and training.get("class_weights") == "balanced"
    return ", in which every class weighs the same, however rare it is" if balanced else ""


def _direction(data: Mapping[str, Any]) -> str:
    return "higher is better" if data.get("direction") == "maximize" else "lower is better"


def best_network(record: StudyRecord) -> str:
    """Describe the best network in one sentence, of an ensemble its first one; "" where there is none."""
    leader = best(record)
    if leader is None:
        return ""
    shape = _shape(record, leader)
    parts = [network(shape["widths"], str(shape.get("activation") or ""))] if shape else []
    params = {name: value for name, value in leader.params.items() if not (shape and ARCHITECTURE.fullmatch(name))}
    parts += [phrase("dropout", params.pop("dropout"))] if "dropout" in params and shape else []
    optimizer = params.pop("optimizer", None)
    rest = listing([phrase(name, value) for name, value in params.items()])
    trained = f"trained by {visible(optimizer, 40)}" + (f" with {rest}" if rest else "") if optimizer else rest
    said = "; ".join([", ".join(parts), trained]) if parts and trained else trained or ", ".join(parts)
    trials = trials_of(record.result)
    if len(trials) > 1:
        return f"{sentence(of_trials(trials))}, the mean of whose predictions counts. The first of them: {said}."
    return f"{sentence(said)}."


def _shape(record: StudyRecord, leader: TrialRecord) -> Mapping[str, Any]:
    """Return the confirmed architecture; before that what the hyperparameters say of it, {} where they do not say enough."""
    known = record.result.get("architecture")
    if isinstance(known, Mapping) and isinstance(known.get("widths"), list):
        return known
    values = {name: value for name, value in space_of(record).items() if not isinstance(value, dict | list)}
    values |= leader.params
    depth = values.get("depth")
    if not isinstance(depth, int) or not 0 <= depth <= 100:
        return {}
    widths = [values.get(f"width_{layer}", values.get("width")) for layer in range(1, depth + 1)]
    known_all = all(isinstance(width, int) for width in widths) and values.get("taper", 1) == 1
    return {"widths": widths, "activation": values.get("activation")} if known_all else {}


def phrase(name: str, value: Any) -> str:
    """Return a hyperparameter and its value, short: `learning rate 0.0028`."""
    if name == "batch_size" and value == "full":
        return "full batches (plain gradient descent)"
    shown = number(float(f"{value:.2g}")) if isinstance(value, float) and isfinite(value) else number(value)
    return f"{readable(name, 60)} {shown}"


def numbers(record: StudyRecord) -> list[tuple[str, str, str]]:
    """Return the result's figures as (name, value, remark)."""
    metric, leader, test, trials = (
        MetricFormat.of(record),
        best(record),
        test_of(record.result),
        trials_of(record.result),
    )
    if leader is None:
        return []
    found = [_test(metric, test)] if test else []
    if mean := mean_of(record.result):
        found.append(mean_box(metric, mean, "further" if len(trials) > 1 else "fresh"))
    elif len(trials) < 2:
        value = record.result.get("validation", leader.value)
        found.append((f"validation {metric.name}", metric.text(value), f"best of {tally(record)}"))
    if (other := beside(record)) is not None:
        found.insert(
            len(found) - 1 if other.rows == "test" else len(found),
            (f"{other.rows} {metric.name}, baseline", metric.text(other.baseline), always(record)),
        )
    parameters = record.result.get("parameters") or leader.parameters
    if len(trials) > 1:
        parameters = (record.result.get("choice") or {}).get("parameters")
        found.insert(
            0,
            (
                "model",
                f"{len(trials)} networks",
                f"an ensemble: the mean of their predictions; trials {listing(map(str, trials))}",
            ),
        )
    if parameters:
        found.append(("parameters", number(parameters), "numbers learned from the training rows"))
    return found if len(trials) > 1 else [*found, ("trial", str(leader.number), f"of {of_all(record)}")]


def _test(metric: MetricFormat, test: Mapping[str, Any]) -> tuple[str, str, str]:
    name = f"test {metric.name}"
    low, high = test.get("low"), test.get("high")
    parts = []
    if low is not None and high is not None:
        parts.append(f"95{SPACE}% interval {metric.between(low, high)}")
    if test.get("rows"):
        parts.append(count(test["rows"], "row").replace(" ", SPACE))
    return name, metric.text(test.get("value")), ", ".join(parts)


def warnings(record: StudyRecord, edges: list[Mapping[str, Any]]) -> list[str]:
    """Return what a careful reader would object; `edges` are the rows of the hyperparameters' table that lie on an edge."""
    found = [
        _unfinished(record),
        _few(record),
        _lost(record),
        *_edges(record, edges),
        _repeats(record),
        _overlap(record),
    ]
    found += [*cautions(record), _optimism(record), caution(record, MetricFormat.of(record))]
    return [line for line in found if line]


def _state(record: StudyRecord, *states: str) -> int:
    return sum(trial.state in states for trial in record.trials)


def _unfinished(record: StudyRecord) -> str:
    if record.result:
        return ""
    running, ended = _state(record, "running"), len(record.trials) - _state(record, "running", "waiting")
    wanted = table_of(record, "search").get("trials")
    of = f" of {wanted:,}" if isinstance(wanted, int) else ""
    if table_of(record, "confirm").get("trials") and not running and isinstance(wanted, int) and ended >= wanted:
        return f"Not finished: as of {record.as_of}, the search is done, and its best trials are being trained again on fresh seeds."
    return f"Not finished: as of {record.as_of}, {ended:,}{of} trials have ended and {running:,} {'is' if running == 1 else 'are'} running."


def _few(record: StudyRecord) -> str:
    trained = len(ranked(record))
    ended = len(record.trials) - _state(record, "running", "waiting")
    if ended and not trained:
        return (
            f"None of the {count(ended, 'ended trial')} gave a usable network. The outcomes below say why."
            if ended > 1
            else "The only ended trial gave no usable network."
        )
    return f"Only {tally(record)}: read every comparison as a hint." if 0 < trained < FEW else ""


def _lost(record: StudyRecord) -> str:
    ended = [trial for trial in record.trials if trial.state not in ("running", "waiting")]
    for outcome, advice in (
        ("diverged", "a lower upper end of the learning rate would save them"),
        ("out of memory", "smaller networks or batches would fit"),
        ("killed its worker", "a device or a machine's memory gave way"),
    ):
        lost = sum(trial.outcome == outcome for trial in ended)
        if ended and lost > LOST * len(ended):
            return f"{share(lost / len(ended))} of the trials ({lost:,}) ended as “{outcome}”; perhaps {advice}."
    return ""


def _edges(record: StudyRecord, edges: list[Mapping[str, Any]]) -> list[str]:
    which = "kept" if record.result else "best"
    return [
        f"The {which} trial's {readable(row['hyperparameter'], 60)}, {number(row['best'])}, lies at the {row['edge']} end of its range "
        f"({row['domain']}). A wider range may hold a better network."
        for row in edges
    ]


def _repeats(record: StudyRecord) -> str:
    repeated = sum(trial.repeats is not None for trial in record.trials)
    return (
        f"{count(repeated, 'trial')} repeated the hyperparameters of an earlier one and took over its result."
        if repeated
        else ""
    )


def _overlap(record: StudyRecord) -> str:
    """Say how many trials the validation rows cannot tell from the best."""
    metric, rows = MetricFormat.of(record), (record.data.get("rows") or {}).get("validation") or 0
    leaders = ranked(record)
    if not metric.percent or not rows or len(leaders) < 2:
        return ""
    top = min(max(leaders[0].value or 0.0, 0.5 / rows), 1 - 0.5 / rows)
    error = leaders[0].standard_error or (top * (1 - top) / rows) ** 0.5
    near = sum(usable(trial) and (leaders[0].value or 0.0) - (trial.value or 0.0) <= error for trial in leaders[1:])
    if not near:
        return ""
    others = f"{near:,} other trials lie" if near > 1 else "One other trial lies"
    judges = f"{len(leaders[0].folds)} folds" if leaders[0].standard_error else f"{rows:,} validation rows"
    return f"{others} within one standard error ({metric.gap(error, 0)}) of the best: {judges} cannot tell them apart."


def _optimism(record: StudyRecord) -> str:
    """Say where the validation value, or its mean over fresh seeds, is no value that the test rows allow."""
    metric, result = MetricFormat.of(record), record.result
    test, fresh = test_of(result), mean_of(result)
    value, low, high = fresh.get("value", result.get("validation")), test.get("low"), test.get("high")
    if value is None or low is None or high is None or low <= value <= high:
        return ""
    if len(trials_of(result)) > 1 and not fresh:  # an ensemble that nobody judged on validation rows
        return ""
    what = (
        f"The mean over fresh seeds, {metric.text(value)},"
        if fresh
        else f"The validation {metric.name}, {metric.text(value)},"
    )
    said = f"{what} lies outside the test rows' 95{SPACE}% interval ({metric.between(low, high)})"
    if not (metric.better(value, low) and metric.better(value, high)):
        return f"{said}, on the worse side: the two sets of rows may differ in kind, so look at how they were split."
    if fresh:
        return f"{said}: hyperparameters and best evaluations were chosen on the validation rows, which flatters. Rely on the test value."
    return f"{said}: as the best of {tally(record)} the choice flatters it (the search's optimism). Rely on the test value."


def protocol(record: StudyRecord) -> list[tuple[str, str]]:
    """Return how the study was done, as names and what they are."""
    study, training, search = (table_of(record, name) for name in ("study", "training", "search"))
    data, result = record.data, record.result
    budget = _budget(training)
    patience = (
        f"; a trial stops after {number(training['patience'])} evaluations without a better metric"
        if training.get("patience")
        else ""
    )
    versions = ", ".join(
        f"{visible(name, 40)} {visible(version, 40)}" for name, version in (result.get("versions") or {}).items()
    )
    timeout = search.get("timeout")
    return [
        (
            "Trials",
            f"{number(search.get('trials'))}"
            + (f", at most {duration(float(timeout))}" if isinstance(timeout, int | float) else ""),
        ),
        ("Budget of a trial", budget + patience),
        ("Cross-validation", _folds(record)),
        ("Sampler", _with(search, "sampler", "lag", "trial k is proposed from the results of trials 0 to k − {}")),
        ("Pruner", number(search.get("pruner") or "none")),
        ("Confirmation", _confirmation(table_of(record, "confirm"))),
        ("Seed", number(study.get("seed")).replace(",", "")),
        ("Precision", number(training["precision"]) if training.get("precision") else ""),
        ("Data", visible(data.get("source") or "", 400)),
        ("Fingerprint of the data", visible(data.get("hash") or "", 100)),
        ("Notices about the data", sentences(visible(notice, 300) for notice in data.get("notices") or [])),
        ("Device", visible(result.get("device") or "", 100)),
        ("Versions", versions),
        ("Distinct trials", number(result["distinct"]) if result.get("distinct") is not None else ""),
        ("Wall time", duration(float(result["seconds"])) if result.get("seconds") else ""),
    ]


def _budget(training: Mapping[str, Any]) -> str:
    """Return what each trial trained for; what the study did not say is the default, as the search took it."""
    if not training:
        return "–"
    said = [(name, training[name]) for name in ("epochs", "updates", "examples") if training.get(name)]
    return listing([f"{number(amount)} {unit}" for unit, amount in said or [UNSAID]])


def _confirmation(confirm: Mapping[str, Any]) -> str:
    trials, seeds, ensemble = (confirm.get(name) for name in ("trials", "seeds", "ensemble"))
    if not isinstance(trials, int):
        return ""
    text = (
        f"the best {count(trials, 'trial')} again on {number(seeds)} fresh seeds; the best mean wins"
        if trials
        else "none"
    )
    return (
        f"{text}; {number(ensemble)} networks together, where that is better on validation rows"
        if isinstance(ensemble, int) and ensemble > 1
        else text
    )


def _folds(record: StudyRecord) -> str:
    """Say how a study with folds was done, "" without folds."""
    folds = max((len(trial.folds) for trial in record.trials), default=0)
    return (
        f"{folds} folds: each trial trains once on each, its curve and its value are the means over them; an epoch is a pass over "
        "a fold's training rows, and every fold makes as many updates as the first"
        if folds
        else ""
    )


def _with(search: Mapping[str, Any], name: str, extra: str, said: str) -> str:
    text = number(search.get(name) or "–")
    return f"{text}; {said.format(number(search[extra]))}" if search.get(extra) else text


def registered(record: StudyRecord) -> str:
    """Say what torch registers of the best network, and what it would of the same layers in a plain list; "" where it was not looked at."""
    found = record.result.get("registered")
    if not isinstance(found, Mapping):
        return ""
    kept, hidden = found["module_list"], found["plain_list"]
    moved = listing([number(float(f"{distance:.3g}")) for distance in found["moved"]])
    return (
        f"The layers sit in an nn.ModuleList, so torch registers {count(kept['tensors'], 'tensor')} ({kept['numbers']:,} numbers) and "
        f"the optimizer trains them all. The same layers in a plain Python list: {count(hidden['tensors'], 'tensor')}, and "
        f"torch.optim.SGD says: {visible(found.get('error', 'nothing'), 200)}. With all but the output layer in a plain list no error "
        f"comes; in ten updates the layers then moved by {moved}: what is not registered stays as it was."
    )
