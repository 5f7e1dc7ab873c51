"""The model that a search keeps, in sentences: what it is, why it and no other, how often the test rows were used.

One place for what page, figures, terminal, notebook and the commands on a model all say. Each sentence is made from the numbers of the
result, and left out where they are missing. Standard library only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.reporting.formatting import MetricFormat, count, judged, listing, ranked
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.results import looks, networks_of

MOST = 8  # trials that are named
ROUNDING = 1e-9  # a gap below which two values are one


def model(networks: int) -> str:
    """Return what a model of so many networks is: `an ensemble of 5 networks`."""
    return f"an ensemble of {networks:,} networks" if networks > 1 else "one network"


def of_trials(trials: Sequence[int]) -> str:
    """Return what a model of networks of these trials is: `one network (trial 3)`."""
    named = [str(trial) for trial in trials[:MOST]] + ["others"] * (len(trials) > MOST)
    return f"{model(len(trials))} (trial{'s' * (len(trials) > 1)} {listing(named)})"


def trials_of(result: Mapping[str, Any]) -> list[int]:
    """Return the trial of each network of the model that is kept, the single network's first."""
    return [trial for trial, _ in networks_of(result) if trial is not None]


def why(choice: Mapping[str, Any] | None, metric: MetricFormat) -> str:
    """Say why one network is kept, or why several, with the values of both; "" where one alone was asked for."""
    if not choice:
        return ""
    single, ensemble = metric.compared(choice["single"]["value"], choice["ensemble"]["value"])
    where = "On rows that were left out of training, fold by fold," if choice["folds"] else "On the validation rows"
    values = (
        f"{count(len(choice['candidates']), 'network')} together reach {metric.name} {ensemble}, one of them {single}"
    )
    kept = "the ensemble" if choice["kept"] == "ensemble" else "the one network"
    return f"{where} {values} (means over {choice['seeds']} further seeds, the same runs in both): {kept} is kept."


def single(networks: int) -> str:
    """Say what one network is that comes from an ensemble of so many."""
    return f"It is the first network of {model(networks)}; the study keeps the ensemble."


def off_front(record: StudyRecord) -> str:
    """Say that the kept trial is not on the Pareto front, which trial is better, and why it is kept; "" where it is on it."""
    trials, kept = judged(record), trials_of(record.result)[:1]
    own = next((trial for trial in trials if [trial.number] == kept), None)
    better = next((trial for trial in trials if own and _dominates(trial, own, MetricFormat.each(record))), None)
    if own is None or better is None:
        return ""
    first = "the first that is kept" if len(trials_of(record.result)) > 1 else "which is kept"
    return (
        f"Trial {own.number}, {first}, is not on the Pareto front: in the search, trial {better.number} is at least as good in every "
        f"objective and better in one. What is kept is chosen by the first objective alone, {_reason(record, own, better)}."
    )


def _dominates(trial: TrialRecord, other: TrialRecord, objectives: Sequence[MetricFormat]) -> bool:
    """Whether a trial is at least as good as another in every objective, and better in one."""
    both = list(zip(objectives, trial.values, other.values, strict=True))
    return not any(o.better(b, a) for o, a, b in both) and any(o.better(a, b) for o, a, b in both)


def _reason(record: StudyRecord, own: TrialRecord, better: TrialRecord) -> str:
    """Say by what the kept trial was chosen, with the values of both trials where they are known."""
    metric = MetricFormat.of(record)
    confirmed = record.result.get("confirmed") or []
    means = {row["trial"]: row["value"] for row in confirmed if row["value"] is not None}
    if not means:
        return f"{metric.name} in the search"
    by = f"{metric.name}, by its mean over fresh seeds"
    if own.number not in means:
        return by
    if better.number not in means:
        return f"{by} ({metric.text(means[own.number])}; trial {better.number} was not trained on any)"
    mine, its = metric.compared(means[own.number], means[better.number])
    return f"{by}: {mine}, trial {better.number}'s is {its}"


def looked(result: Mapping[str, Any]) -> str:
    """Say how often the test rows were used, and what that does to their value; "" where they never were."""
    times = looks(result)
    if times < 2:
        return "The test rows were used once, by the model that is kept." if times else ""
    return (
        f"The test rows were looked at {times} times in all, by other models too (kept earlier, refitted, or scored beside it): whoever "
        "went on because of such a look has made the value flattering."
    )


def luck(result: Mapping[str, Any], metric: MetricFormat) -> str:
    """Say how the search's best value compares with the same hyperparameters on fresh seeds, as far as the numbers tell."""
    gap = (result.get("gaps") or {}).get("search")
    if not gap or gap["value"] is None:
        return "as the best of many it tends to be too good"
    if gap["value"] <= ROUNDING:
        return "no better than its own hyperparameters on fresh seeds"
    better = f"{metric.gap(gap['value'], 0)} better than its own hyperparameters on fresh seeds"
    lucky = gap["low"] is not None and gap["low"] > 0
    return f"{better}: optimistic" if lucky else f"{better}, which may be chance"


@dataclass(frozen=True, slots=True)
class Mark:
    """Trials that figures mark alike, and what the legend calls them; `kept` are those of the model that is kept."""

    name: str
    trials: tuple[int, ...]
    kept: bool


def marks(record: StudyRecord) -> list[Mark]:
    """Return what figures mark: the kept trials, and the search's best where it is another one; before that the best so far."""
    first = next(iter(ranked(record)), None)
    best = (record.result.get("search") or {}).get("trial", first.number if first else None)
    kept = tuple(dict.fromkeys(trials_of(record.result)))
    if not kept:
        return [] if best is None else [Mark("best so far", (best,), kept=True)]
    found = [Mark("kept" if len(kept) == 1 else f"kept in the ensemble of {len(kept)}", kept, kept=True)]
    return found if best in (None, kept[0]) else [*found, Mark("best of the search", (best,), kept=False)]


def marked(record: StudyRecord, trial: int) -> str:
    """Return what a trial is marked as, "" for any other."""
    return ", ".join(mark.name for mark in marks(record) if trial in mark.trials)
