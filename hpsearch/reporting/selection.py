"""The selected model and the trials in sentences: how many there are, what a network is, why it was selected, which trials figures mark.

Page, figures, terminal, notebook and the commands on a model all take their sentences from here. A sentence is made from the numbers of
the result, and left out where they are missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import MetricFormat, apart, number, precise, visible
from hpsearch.reporting.ranking import ranked, with_all_objectives
from hpsearch.statistics.pareto import on_front
from hpsearch.storage import StudyRecord, TrialRecord

MOST = 8  # trials that are named
ROUNDING = 1e-9  # a gap below which two values are one


def usable_trials(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return how many trials are usable: `9 usable trials`."""
    return texts.count("usable_trial", len(ranked(record)))


def all_trials(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Return how many trials there are, and how many of them are usable where they differ: `10 trials, 9 of them usable`."""
    trials = texts.count("trial", len(record.trials))
    usable = len(ranked(record))
    if usable == len(record.trials):
        return trials
    return texts("search.phrase.of_them_usable", trials=trials, usable=f"{usable:,}")


def network(widths: Iterable[int], activation: str, texts: Texts = ENGLISH) -> str:
    """Return an architecture in words: `2 hidden layers of 96 units, relu`."""
    sizes = [f"{size:,}" for size in widths]
    if not sizes:
        return texts("search.phrase.linear")
    units = sizes[0] if len(set(sizes)) == 1 else texts.listing(sizes)
    layers = texts("search.phrase.layers", layers=texts.count("hidden_layer", len(sizes)), units=units)
    if activation:
        return f"{layers}, {visible(activation, 40)}"
    return layers


def model(networks: int, texts: Texts = ENGLISH) -> str:
    """Return what a model of so many networks is: `an ensemble of 5 networks`."""
    if networks > 1:
        return texts("search.selection.ensemble", networks=f"{networks:,}")
    return texts("search.selection.network")


def of_trials(trials: Sequence[int], texts: Texts = ENGLISH) -> str:
    """Return what a model of networks of these trials is: `one network (trial 3)`."""
    if len(trials) == 1:
        return texts("search.selection.of_trial", model=model(1, texts), trial=trials[0])
    named = [str(trial) for trial in trials[:MOST]]
    if len(trials) > MOST:
        named.append(texts("search.selection.others"))
    return texts("search.selection.of_trials", model=model(len(trials), texts), trials=texts.listing(named))


def why(choice: Mapping[str, Any] | None, metric: MetricFormat, texts: Texts = ENGLISH) -> str:
    """Say why one network is selected, or why several, with the values of both; "" where only one was asked for."""
    if not choice:
        return ""
    single, ensemble = metric.distinct(choice["single"]["value"], choice["ensemble"]["value"])
    loss = choice.get("loss") or {}
    losses: dict[str, str] = {}
    if None not in (loss.get("single"), loss.get("ensemble")):  # an earlier version compared the metric
        single_loss, ensemble_loss = apart(loss["single"], loss["ensemble"], precise)
        losses = {"single_loss": single_loss, "ensemble_loss": ensemble_loss, "rule": _rule(loss, texts)}
    where = "folds" if choice["folds"] else "validation"
    selected = "ensemble" if choice["kept"] == "ensemble" else "single"
    return texts(
        f"search.selection.{'by_loss' if losses else 'why'}_{where}",
        networks=texts.count("trial" if losses else "network", len(choice["candidates"])),
        **losses,
        metric=metric.name,
        ensemble=ensemble,
        single=single,
        seeds=choice["seeds"],
        selected=texts(f"search.selection.selected_{selected}"),
    )


def _rule(loss: Mapping[str, float], texts: Texts) -> str:
    """Say how losses decided; an earlier version took the lower one."""
    if loss.get("error") is None:
        return texts("search.selection.rule_lower")
    if isclose(loss["single"], loss["ensemble"]):
        return texts("search.selection.rule_equal")
    return texts("search.selection.rule_error", error=number(loss["error"]))


def trained_on(figures: Mapping[str, Any], texts: Texts = ENGLISH) -> str:
    """Say that the networks of a result trained once more on training and validation rows, and on how many; "" where it is not known."""
    if not figures.get("refitted") or "rows" not in figures:
        return ""
    return texts("search.selection.trained_on", rows=texts.count("row", figures["rows"]))


def certainty(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say how the probabilities are calibrated, or how far predicted numbers are off, on held-out rows; "" where that is not known."""
    held_out = record.result.get("held_out")
    if not held_out:
        return ""
    rows = texts.count("row", held_out["rows"])
    if halves := held_out.get("nine_tenths"):
        values = [number(half, digits=3) for half in halves]
        if len(values) == 1:
            return texts("search.certainty.interval", rows=rows, half=values[0])
        return texts("search.certainty.intervals", rows=rows, halves=texts.listing(values))
    if "fewest" not in held_out:
        return ""
    before, after = held_out["loss"], held_out["calibrated_loss"]
    if held_out["rows"] < held_out["fewest"]:
        return texts("search.certainty.few_rows", rows=rows, enough=held_out["fewest"])
    temperature = record.result["combination"]["temperature"]
    if temperature == 1 or before is None or after is None:
        return texts("search.certainty.not_calibrated", rows=rows, before=number(before))
    first, second = apart(before, after, precise)
    return texts(
        "search.certainty.calibrated", rows=rows, temperature=number(temperature, digits=3), before=first, after=second
    )


def first_of(networks: int, texts: Texts = ENGLISH) -> str:
    """Say that a network is the first of an ensemble of so many."""
    return texts("search.selection.first_of", model=model(networks, texts))


def off_front(record: StudyRecord, texts: Texts = ENGLISH) -> str:
    """Say that the selected trial is not on the Pareto front, which trial is better, and why it was selected; "" where it is on it."""
    trials = with_all_objectives(record)
    selected = record.selected.trials[:1]
    own = next((trial for trial in trials if [trial.number] == selected), None)
    if own is None:
        return ""
    maximize = [better == "maximize" for better in record.objectives.values()]
    dominating = (trial for trial in trials if not on_front([trial.values, own.values], maximize)[1])
    better = next(dominating, None)
    if better is None:
        return ""
    several = record.selected.is_ensemble
    key = "off_front_ensemble" if several else "off_front"
    reason = _reason(record, own, better, texts)
    return texts(f"search.selection.{key}", trial=own.number, better=better.number, reason=reason)


def _reason(record: StudyRecord, own: TrialRecord, better: TrialRecord, texts: Texts) -> str:
    """Say by what the selected trial was chosen, with the values of both trials where they are known."""
    metric = MetricFormat.of(record, texts)
    confirmed = record.result.get("confirmed") or []
    means = {row["trial"]: row["value"] for row in confirmed if row["value"] is not None}
    if not means:
        return texts("search.selection.by_search", metric=metric.name)
    if own.number not in means:
        return texts("search.selection.by_mean", metric=metric.name)
    if better.number not in means:
        mean = metric.text(means[own.number])
        return texts("search.selection.by_mean_alone", metric=metric.name, mean=mean, trial=better.number)
    mean, other = metric.distinct(means[own.number], means[better.number])
    return texts("search.selection.by_both_means", metric=metric.name, mean=mean, trial=better.number, other=other)


def uses_of_test_rows(times: int, texts: Texts = ENGLISH) -> str:
    """Say how often the test rows were used, and what that does to their value; "" where they never were."""
    if times == 0:
        return ""
    if times == 1:
        return texts("search.selection.used_once")
    return texts("search.selection.used_often", times=times)


def luck(result: Mapping[str, Any], metric: MetricFormat, texts: Texts = ENGLISH) -> str:
    """Say how the search's best value compares with the same hyperparameters on fresh seeds, as far as the numbers tell."""
    gap = (result.get("gaps") or {}).get("search")
    if not gap or gap["value"] is None:
        return texts("search.luck.unknown")
    if gap["value"] <= ROUNDING:
        return texts("search.luck.none")
    certain = gap["low"] is not None and gap["low"] > 0
    return texts("search.luck.certain" if certain else "search.luck.chance", gap=metric.gap(gap["value"], 0))


@dataclass(frozen=True, slots=True)
class Mark:
    """Trials that figures mark alike, and their name in the legend; `selected`: they are those of the selected model."""

    name: str
    trials: tuple[int, ...]
    selected: bool


def marks(record: StudyRecord, texts: Texts = ENGLISH) -> list[Mark]:
    """Return what figures mark: the selected trials and the search's best where it is another; before that the best so far."""
    first = next(iter(ranked(record)), None)
    best = (record.result.get("search") or {}).get("trial", first.number if first else None)
    selected = tuple(dict.fromkeys(record.selected.trials))
    if not selected:
        if best is None:
            return []
        key = "best" if record.foreign else "best_so_far"
        return [Mark(texts(f"search.mark.{key}"), (best,), selected=True)]
    if len(selected) == 1:
        name = texts("search.mark.selected")
    else:
        name = texts("search.mark.selected_ensemble", networks=len(selected))
    found = [Mark(name, selected, selected=True)]
    if best not in (None, selected[0]):
        found.append(Mark(texts("search.mark.best"), (best,), selected=False))
    return found


def marked(record: StudyRecord, trial: int, texts: Texts = ENGLISH) -> str:
    """Return what a trial is marked as, "" for any other."""
    return ", ".join(mark.name for mark in marks(record, texts) if trial in mark.trials)
