"""The end of a comparison's page: how every run ended, what was checked, and how it was all done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp

from hpsearch.comparison.analysis.times import optimizers, winner_of
from hpsearch.comparison.analysis.tuning import UNFIT
from hpsearch.comparison.figures.appearance import arm_name, engine_text, optimizer_name, significant, sizes_of
from hpsearch.comparison.page.opening import budget, data_title, row_counts
from hpsearch.locales import Texts
from hpsearch.reporting.formatting import number, sentence, visible
from hpsearch.reporting.pieces import Facts, PageTable, Paragraph, Section
from hpsearch.reporting.selection import network
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord, WinnerRecord

ENDS = ("reached", "complete", "diverged", "memory")


def runs_table(record: ComparisonRecord, texts: Texts) -> Section | None:
    """Return how the runs of every arm ended, in tuning and on fresh seeds: none is left out."""
    if not record.arms:
        return None
    head = [texts(f"runs.{name}") for name in ("arm", "kind", *ENDS, "total")]
    rows = [row for arm in record.arms for row in _rows(arm, record, texts)]
    contents = [Paragraph(texts("runs.said"), "ask"), PageTable(head, rows, head[2:], label=texts("page.runs"))]
    return Section("runs", texts("page.runs"), contents)


def _rows(arm: ArmRecord, record: ComparisonRecord, texts: Texts) -> list[list[str]]:
    name = arm_name(arm, record, texts)
    if len(optimizers(record)) > 1:
        name = f"{optimizer_name(arm.optimizer)}, {name}"
    return [[name, texts(f"runs.{kind}"), *_counts(trials, record)] for kind, trials in _groups(arm) if trials]


def _groups(arm: ArmRecord) -> list[tuple[str, Sequence[TrialRecord]]]:
    """Return all runs of an arm; one setting may be both the fastest and the best."""
    tuned = [("tuning", arm.trials), ("refined", arm.refined)]
    if arm.fastest and arm.best and _setting_of(arm.fastest) != _setting_of(arm.best):
        return [*tuned, ("fresh_fastest", arm.fastest.runs), ("fresh_best", arm.best.runs)]
    winner = winner_of(arm)
    return [*tuned, ("fresh", winner.runs if winner else ())]


def _setting_of(winner: WinnerRecord) -> tuple[int, Mapping[str, object]]:
    return winner.trial, winner.params


def _counts(trials: Sequence[TrialRecord], record: ComparisonRecord) -> list[str]:
    """Return how many of the runs reached the target, trained on without, diverged, did not fit or killed their workers, and all."""
    ends = Counter(_end(trial, record) for trial in trials if trial.state == "complete")
    return [number(ends[end]) for end in ENDS] + [number(sum(ends.values()))]


def _end(trial: TrialRecord, record: ComparisonRecord) -> str:
    if trial.outcome == "diverged":
        return "diverged"
    if trial.outcome in UNFIT:
        return "memory"
    if record.passed(trial) < float("inf"):
        return "reached"
    return "complete"


def checks(record: ComparisonRecord, texts: Texts) -> Section | None:
    """Return the checks: parameters against hyperparameters, output and cost, registered against unregistered modules."""
    if not record.made:
        return None
    rows = {
        "counts": _parameter_counts(record, texts),
        "output": _output(record, texts),
        "registered": _registered(record, texts),
    }
    facts = Facts([(texts(f"check.{name}"), text) for name, text in rows.items()])
    return Section("checks", texts("page.checks"), [facts])


def _parameter_counts(record: ComparisonRecord, texts: Texts) -> str:
    hyperparameters = len(record.settings["space"]) + 1  # and the batch size
    parameters = number(record.made["parameters"])
    return texts("check.counts_said", parameters=parameters, hyperparameters=number(hyperparameters))


def _output(record: ComparisonRecord, texts: Texts) -> str:
    data = record.data
    head = f"head.{data['head']}_{data['task']}"
    if not texts.has(head):
        head = f"head.{data['head']}"
    text = texts(
        "check.output_said",
        activation=visible(record.made["architecture"]["activation"], 40),
        head=texts(head),
        loss=texts(f"cost.{str(data['loss']).replace(' ', '_')}"),
    )
    reason = f"check.reason_{data['task']}"
    if texts.has(reason):
        return f"{text} {texts(reason, **_saturated())}"
    return text


def _registered(record: ComparisonRecord, texts: Texts) -> str:
    registered = record.made["registered"]
    return texts(
        "check.registered_said",
        tensors=number(registered["module_list"]["tensors"]),
        numbers=number(registered["module_list"]["numbers"]),
        hidden=number(registered["plain_list"]["tensors"]),
        error=visible(registered.get("error", ""), 200),
        moved=", ".join(map(significant, registered["moved"])),
    )


def _saturated(output: float = -6.0) -> dict[str, str]:
    """Return the gradients by an output that is far on the wrong side (target 1): of cross-entropy, p - 1, and of ½ (p - 1)²."""
    p = 1 / (1 + exp(-output))
    gradients = {"output": output, "entropy": p - 1, "squared": (p - 1) * p * (1 - p)}
    return {name: significant(value) for name, value in gradients.items()}


def protocol(record: ComparisonRecord, texts: Texts) -> Section:
    """Return how it was done, as the checklist of Dodge et al. 2019 has it."""
    rows: dict[str, str] = {}
    if record.arms:
        rows |= _compared(record, texts)
    if record.arms and record.made:
        slots = record.made["places"]
        key = "device_one" if slots == 1 else "device_said"
        rows["device"] = texts(f"protocol.{key}", device=record.made["device"], places=number(slots))
        rows["engine"] = sentence(engine_text(record, texts))
        rows["versions"] = ", ".join(f"{name} {version}" for name, version in record.made["versions"].items())
    if record.minima:
        asked = record.minima.get("asked", {})
        sizes = {name: number(asked.get(name, 0)) for name in ("seeds", "starts")}
        rows["minima"] = texts("protocol.minima_said", **sizes)
        marks = record.minima.get("teacher", {}).get("settings", {}).get("marks")
        if marks:
            rows["minima"] += " " + texts("protocol.minima_fresh", marks=", ".join(map(number, marks)))
    rows["again"] = f"python -m hpsearch compare … --name {visible(record.name, 60)}"
    facts = Facts([(texts(f"protocol.{name}"), text) for name, text in rows.items()])
    return Section("protocol", texts("page.protocol"), [facts])


def _compared(record: ComparisonRecord, texts: Texts) -> dict[str, str]:
    """Return the facts of a comparison on data."""
    compare = record.settings["compare"]
    shape = record.made.get("architecture")
    made = "–"
    if shape:
        made = network(shape["widths"], shape["activation"], texts)
    sizes = sorted(sizes_of(record.arms))
    until = texts(f"protocol.until_{compare.get('train_until', 'budget')}")
    winners = _winners(record, texts)
    return {
        "data": texts(
            "protocol.data_said",
            name=data_title(record, 100),
            hash=str(record.data.get("hash", ""))[:12],
            **row_counts(record),
        ),
        "network": made,
        "arms": f"{', '.join(map(optimizer_name, optimizers(record)))}; {', '.join(map(number, sizes))}",
        "space": _space(record),
        "tuning": _tuning(record, texts),
        **({"winners": winners} if winners else {}),
        "fresh": texts("protocol.fresh_said", seeds=number(compare["seeds"]), until=until),
        "judged": _judged(record, texts),
        "budget": _budget(record, texts),
        "batches": texts("protocol.batches_said"),
        "seed": number(record.settings["study"]["seed"]),
    }


def _tuning(record: ComparisonRecord, texts: Texts) -> str:
    compare = record.settings["compare"]
    sampler = record.settings["search"]["sampler"]
    text = texts("protocol.tuning_said", settings=texts.count("setting", compare["trials"]), sampler=sampler)
    if compare.get("refine"):
        text = f"{text} {texts('protocol.refined_said', seeds=texts.count('further_seed', compare['refine']))}"
    if compare.get("tune_until") == "target":
        return f"{text} {texts('protocol.capped')}"
    return text


def _winners(record: ComparisonRecord, texts: Texts) -> str:
    """Return the hyperparameters of each arm's fastest winner, where more than the learning rate was tuned."""
    parts = []
    for arm in record.arms:
        params = arm.fastest.params if arm.fastest else {}
        others = {name: value for name, value in params.items() if not name.startswith("learning_rate")}
        if others:
            settings = ", ".join(f"{name} {_setting(value)}" for name, value in others.items())
            name = arm_name(arm, record, texts)
            if len(optimizers(record)) > 1:
                name = f"{optimizer_name(arm.optimizer)}, {name}"
            parts.append(texts("protocol.winners_said", name=name, settings=settings))
    return "; ".join(parts)


def _setting(value: object) -> str:
    if isinstance(value, float):
        return significant(value)
    return visible(value, 40)


def _judged(record: ComparisonRecord, texts: Texts) -> str:
    """Return on which rows the winners' runs were judged."""
    if record.divisions > 1:
        tests = "drawn" if record.data.get("tests_drawn") else "given"
        divisions = texts("protocol.judged_divisions", divisions=number(record.divisions))
        return f"{divisions} {texts(f'protocol.judged_tests_{tests}')}"
    if record.own_rows:
        return texts("protocol.judged_half", rows=number(record.data["rows"]["validation"]))
    return texts("protocol.judged_same")


def _budget(record: ComparisonRecord, texts: Texts) -> str:
    patience = record.settings["training"].get("patience")
    resolution = f"{100 * record.settings['compare']['resolution']:g}\u00a0%"
    text = texts("protocol.budget_said", budget=budget(record, texts), resolution=resolution)
    if patience:
        return f"{text} {texts('protocol.patience', patience=number(patience))}"
    return text


def _space(record: ComparisonRecord) -> str:
    """Return what varied, of each optimizer where they differ, as the study's file has it."""
    spaces = {arm.optimizer: arm.settings["space"] for arm in record.arms}
    common = record.settings["space"]
    names = dict.fromkeys(name for space in (*spaces.values(), common) for name in space)
    parts = []
    for name in sorted(names, key=lambda name: name != "learning_rate"):
        given = {optimizer: _range(space[name]) for optimizer, space in spaces.items() if name in space}
        if name in ("optimizer", "batch_size"):
            continue
        if len(set(given.values())) < 2 and name != "learning_rate":
            parts.append(f"{name}: {next(iter(given.values()), '') or _range(common[name])}")
        else:
            parts += [f"{name} ({optimizer}): {text}" for optimizer, text in given.items()]
    return "; ".join(parts)


def _range(given: object) -> str:
    if isinstance(given, list):
        return visible(", ".join(map(str, given)), 100)
    if not isinstance(given, dict) or "low" not in given:
        return visible(given, 100)
    ends = f"{number(given['low'])} – {number(given['high'])}"
    return f"{ends} (log)" if given.get("log") else ends
