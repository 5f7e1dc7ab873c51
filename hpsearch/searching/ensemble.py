"""One network or several together: the model that is kept is the one that predicts better on validation rows.

A best of several runs is flattered by having been chosen, and the single network's most of all: the runs that were kept, and the seeds
by which the winner won, cannot judge. So the hyperparameters of every candidate are trained on `SEEDS` further seeds, which chose
nothing. On each of them the single network's value is the metric of the winner's run, the ensemble's that of the mean of all the
candidates' predictions: the winner's own run, the same rows, the same seed are in both.

The runs are of the kind that is kept. Where rows are divided once, that is a run of the search with the weights of its best evaluation,
judged on the validation rows. With folds the kept networks are trained on all rows but the test rows, for a fixed number of passes; so
each judging run trains on a fold's training rows for as many passes, its last weights predict the fold's validation rows, and a seed's
value is the mean over the folds, as a trial's is: every row is predicted by a network that has not seen it.

The mean over the seeds decides, equal ones for the single network. That the hyperparameters were searched on the same validation rows
flatters both values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isclose, isfinite
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import Stopped
from hpsearch.progress import Observer
from hpsearch.searching.networks import longer, member
from hpsearch.searching.replicate_seeds import fresh
from hpsearch.searching.replicates import PERFECT, Network, counted, plain
from hpsearch.searching.scoring import outputs_of, together
from hpsearch.searching.stopping import stopping
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import student_mean
from hpsearch.training import Engine, Several
from hpsearch.trial import TrainingRun, TrialSpec, derive_seed

SEEDS = 3

Choice = Mapping[
    str, Any
]  # candidates as [trial, seed]; which is kept, `single` or `ensemble`, the estimate of each; seeds and folds


def known_choice(known: Mapping[str, Any], candidates: Sequence[Network]) -> Choice | None:
    """Return how an earlier run judged the same candidates, None where none did."""
    choice = known.get("choice")
    return choice if choice and [*map(list, choice["candidates"])] == named(candidates) else None


def named(networks: Sequence[Network]) -> list[list[int | None]]:
    """Return which networks they are, as plain values: the trial and the fresh seed of each."""
    return [[network.trial, network.seed] for network in networks]


def _better(ensemble: Estimate, single: Estimate, maximize: bool) -> bool:
    """Whether the ensemble is better than the single network; not where they are equal up to rounding."""
    return not isclose(ensemble.value, single.value, rel_tol=1e-9) and (ensemble.value > single.value) == maximize


def judge_candidates(
    candidates: Sequence[Network],
    data: Data,
    study_seed: int,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Choice:
    """Train the candidates, the winner first, on further seeds, and return what one and what all of them are worth.

    Raises:
        Stopped: a signal ended the training.
    """
    parts = [data.fold(number) for number in range(max(1, len(data.folds)))]
    runs = len(candidates) * SEEDS * len(parts)
    observer.announce(
        f"judging an ensemble of {len(candidates)} networks against one of them on {SEEDS} further seeds: {runs} runs"
    )
    values = [_values(candidates, data, part, study_seed, engine_for, observer) for part in parts]  # [folds][2][seeds]
    single, ensemble = (
        [sum(value) / len(parts) for value in zip(*(fold[which] for fold in values), strict=True)] for which in (0, 1)
    )
    worst = float(data.summary["worst"])
    ends = sorted((worst, PERFECT[data.metric.direction]))
    one, all_ = student_mean(single, *ends), student_mean(ensemble, *ends)
    return {
        "candidates": named(candidates),
        "parameters": sum(network.spec.architecture.parameters for network in candidates if network.spec.architecture),
        "kept": "ensemble" if _better(all_, one, data.metric.direction == "maximize") else "single",
        "single": plain(one),
        "ensemble": plain(all_),
        "seeds": SEEDS,
        "folds": len(data.folds),
    }


def _values(
    candidates: Sequence[Network],
    data: Data,
    part: Data,
    study_seed: int,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> tuple[list[float], list[float]]:
    """Return the values of the first candidate and of all together on each seed, on the validation rows of one part."""
    specs = [_judging(network, data, part, study_seed, seed) for seed in range(SEEDS) for network in candidates]
    source = Several([replace(spec, number=number) for number, spec in enumerate(specs)])
    with stopping(source, observer) as status:
        engine_for(part).run(source)
    if status():
        raise Stopped("stopped before one network and the ensemble were judged; every result is told", status())
    width = len(candidates)
    seeds = [[*zip(candidates, (source.runs[s * width + i] for i in range(width)), strict=True)] for s in range(SEEDS)]
    return [_value(pairs[:1], part) for pairs in seeds], [_value(pairs, part) for pairs in seeds]


def _judging(network: Network, data: Data, part: Data, study_seed: int, number: int) -> TrialSpec:
    """Return the run of a candidate on a further seed, as long as the kept one."""
    spec = longer(network, data, part) if data.folds else network.spec
    return replace(fresh(spec, derive_seed(study_seed, "judging"), number), rungs=(), fold=0)


def _value(pairs: Sequence[tuple[Network, TrainingRun]], part: Data) -> float:
    """Return the metric of the runs together on a part's validation rows; if one failed the worst there is."""
    worst, direction = float(part.summary["worst"]), part.metric.direction
    weights = [(network, run.weights) for network, run in pairs if run.weights is not None]
    if len(weights) < len(pairs):
        return worst
    outputs = [outputs_of(member(network, own), part.validation.inputs) for network, own in weights]
    value = part.metric_of(together(part, outputs), part.validation.targets)
    return counted(value if isfinite(value) else None, direction, worst)
