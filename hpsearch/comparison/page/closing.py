"""The end of a comparison's page: how every run ended, what was checked, and how it was all done."""

from collections import Counter
from collections.abc import Sequence
from math import exp

from hpsearch.comparison.analysis.times import optimizers, winner_of
from hpsearch.comparison.analysis.tuning import UNFIT
from hpsearch.comparison.figures.appearance import arm_name, optimizer_name
from hpsearch.comparison.page.opening import budget
from hpsearch.comparison.page.said import short
from hpsearch.reporting.formatting import network, number, visible
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.page import Html, element, facts, paragraph, section, table
from hpsearch.storage import ArmRecord, ComparisonRecord, TrialRecord

ENDS = ("reached", "complete", "diverged", "memory")


def runs_table(record: ComparisonRecord, texts: Texts) -> Html:
    """Return how the runs of every arm ended, in tuning and on fresh seeds: none is left out."""
    if not record.arms:
        return Html("")
    head = [texts(f"runs.{name}") for name in ("arm", "kind", *ENDS, "total")]
    rows = [row for arm in record.arms for row in _rows(arm, record, texts)]
    said = paragraph(texts("runs.said"), "ask")
    return section("runs", texts("page.runs"), said, table(head, rows, head[2:]))


def _rows(arm: ArmRecord, record: ComparisonRecord, texts: Texts) -> list[list[str]]:
    several = len(optimizers(record)) > 1
    name = arm_name(arm.optimizer, arm.batch_size, record.rows, texts)
    name = f"{optimizer_name(arm.optimizer)}, {name}" if several else name
    return [[name, texts(f"runs.{kind}"), *_counts(trials, record)] for kind, trials in _groups(arm) if trials]


def _groups(arm: ArmRecord) -> list[tuple[str, Sequence[TrialRecord]]]:
    """Return all runs of an arm; one setting may be both the fastest and the best."""
    if arm.fastest and arm.best and arm.fastest.trial != arm.best.trial:
        return [("tuning", arm.trials), ("fresh_fastest", arm.fastest.runs), ("fresh_best", arm.best.runs)]
    winner = winner_of(arm)
    return [("tuning", arm.trials), ("fresh", winner.runs if winner else ())]


def _counts(trials: Sequence[TrialRecord], record: ComparisonRecord) -> list[str]:
    """Return how many of the runs reached the target, trained on without, diverged, did not fit or killed their workers, and all."""
    ends = Counter(_end(trial, record) for trial in trials if trial.state == "complete")
    return [number(ends[end]) for end in ENDS] + [number(sum(ends.values()))]


def _end(trial: TrialRecord, record: ComparisonRecord) -> str:
    if trial.outcome == "diverged":
        return "diverged"
    if trial.outcome in UNFIT:
        return "memory"
    return "reached" if record.passed(trial) < float("inf") else "complete"


def checks(record: ComparisonRecord, texts: Texts) -> Html:
    """Return the checks: parameters against hyperparameters, output and cost, registered against unregistered modules."""
    made = record.made
    if not made:
        return Html("")
    shape, registered, data = made["architecture"], made["registered"], record.data
    chosen = len(record.settings["space"]) + 1  # and the batch size
    task = str(data["task"])
    reason = texts(f"check.reason_{task}", **_saturated()) if texts.has(f"check.reason_{task}") else ""
    rows = [
        (
            texts("check.counts"),
            texts("check.counts_said", parameters=number(made["parameters"]), hyperparameters=number(chosen)),
        ),
        (
            texts("check.output"),
            texts(
                "check.output_said",
                activation=visible(shape["activation"], 40),
                head=texts(f"head.{data['head']}"),
                loss=texts(f"cost.{str(data['loss']).replace(' ', '_')}"),
            )
            + f" {reason}",
        ),
        (
            texts("check.registered"),
            texts(
                "check.registered_said",
                tensors=number(registered["module_list"]["tensors"]),
                numbers=number(registered["module_list"]["numbers"]),
                hidden=number(registered["plain_list"]["tensors"]),
                error=visible(registered.get("error", ""), 200),
                moved=", ".join(short(distance) for distance in registered["moved"]),
            ),
        ),
    ]
    return section("checks", texts("page.checks"), element("div", facts(rows)))


def _saturated(output: float = -6.0) -> dict[str, str]:
    """Return the gradients by an output that is far on the wrong side (target 1): of cross-entropy, p - 1, and of ½ (p - 1)²."""
    p = 1 / (1 + exp(-output))
    return {"output": short(output), "entropy": short(p - 1), "squared": short((p - 1) * p * (1 - p))}


def protocol(record: ComparisonRecord, texts: Texts) -> Html:
    """Return how it was done, as the checklist of Dodge et al. 2019 has it."""
    rows = [*_compared(record, texts), *_versions(record, texts)] if record.arms else []
    rows += [(texts("protocol.minima"), texts("protocol.minima_said", **_sizes(record)))] if record.minima else []
    again = f"python -m hpsearch compare … --name {visible(record.name, 60)}"
    rows.append((texts("protocol.again"), again))
    return section("protocol", texts("page.protocol"), facts(rows))


def _sizes(record: ComparisonRecord) -> dict[str, str]:
    asked = record.minima.get("asked", {})
    return {name: number(asked.get(name, 0)) for name in ("seeds", "starts")}


def _compared(record: ComparisonRecord, texts: Texts) -> list[tuple[str, str]]:
    settings, data, rows = record.settings, record.data, record.data["rows"]
    compare, made, patience = settings["compare"], record.made, settings["training"].get("patience")
    sizes = sorted({arm.batch_size for arm in record.arms})
    shape = made.get("architecture", {})
    until = texts(f"protocol.until_{compare.get('train_until', 'budget')}")
    return [
        (
            texts("protocol.data"),
            texts(
                "protocol.data_said",
                name=visible(data.get("title") or data["name"], 100),
                **{part: number(rows[part]) for part in ("training", "validation", "test")},
                hash=str(data.get("hash", ""))[:12],
            ),
        ),
        (texts("protocol.network"), network(shape["widths"], shape["activation"]) if shape else "–"),
        (
            texts("protocol.arms"),
            f"{', '.join(map(optimizer_name, optimizers(record)))}; {', '.join(map(number, sizes))}",
        ),
        (texts("protocol.space"), _space(record)),
        (
            texts("protocol.tuning"),
            texts(
                "protocol.tuning_said",
                trials=number(compare["trials"]),
                sampler=settings["search"]["sampler"],
            )
            + (f" {texts('protocol.capped')}" if compare.get("tune_until") == "target" else ""),
        ),
        (texts("protocol.fresh"), texts("protocol.fresh_said", seeds=number(compare["seeds"]), until=until)),
        (
            texts("protocol.budget"),
            texts(
                "protocol.budget_said",
                budget=budget(record, texts),
                resolution=f"{100 * compare['resolution']:g}\u00a0%",
            )
            + (f" {texts('protocol.patience', patience=number(patience))}" if patience else ""),
        ),
        (texts("protocol.batches"), texts("protocol.batches_said")),
        (texts("protocol.seed"), number(settings["study"]["seed"])),
    ]


def _space(record: ComparisonRecord) -> str:
    """Return what varied, of each optimizer where they differ, as the study's file has it."""
    own = {arm.optimizer: arm.settings["space"].get("learning_rate") for arm in record.arms}
    parts = [f"learning_rate ({name}): {_range(wanted)}" for name, wanted in own.items()]
    rest = {k: v for k, v in record.settings["space"].items() if k not in ("learning_rate", "optimizer", "batch_size")}
    return "; ".join([*parts, *(f"{name}: {_range(wanted)}" for name, wanted in rest.items())])


def _range(wanted: object) -> str:
    if isinstance(wanted, dict) and "low" in wanted:
        return f"{number(wanted['low'])} – {number(wanted['high'])}" + (" (log)" if wanted.get("log") else "")
    return visible(wanted, 100)


def _versions(record: ComparisonRecord, texts: Texts) -> list[tuple[str, str]]:
    made = record.made
    if not made:
        return []
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    device = texts("protocol.device_said", device=made["device"], places=number(made["places"]))
    return [(texts("protocol.device"), device), (texts("protocol.versions"), versions)]
