"""One network or several together: the selected model is the one that predicts better on validation rows.

A best of several runs looks better than it is because it was selected, and the single network's most of all: the stored runs, and the seeds
by which the winner won, cannot judge. So the hyperparameters of every candidate are trained on `SEEDS` further seeds, which selected
nothing. On each of them the single network's value is the metric of the winner's run, the ensemble's that of the mean of all the
candidates' predictions: both include the winner's own run, on the same rows, from the same seed.

The judging runs are like those of the selected model. Where rows are divided once, that is a run of the search with the weights of its
best evaluation, judged on the validation rows. With folds the selected networks train on all rows but the test rows, for a fixed number
of passes. So each judging run trains on a fold's training rows for as many passes, its last weights predict the fold's validation rows,
and a seed's value is the mean over the folds, as a trial's is: every row is predicted by a network that has not trained on it.

The mean over the seeds decides, of equal ones for the single network. Both values are optimistic in one respect: the hyperparameters were
searched on the same validation rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isclose, isfinite
from typing import Any

from hpsearch.data.dataset import Data
from hpsearch.errors import counted
from hpsearch.progress import Observer
from hpsearch.searching.networks import member_of, on_other_rows
from hpsearch.searching.replicates import TrainedNetwork, metric_mean, plain_estimate
from hpsearch.searching.scoring import mean_prediction, outputs_of, parameters_of, parts_of
from hpsearch.searching.specifications import replicate
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.statistics import Estimate
from hpsearch.training import Engine
from hpsearch.trial import TrainingRun, derive_seed

SEEDS = 3

# The candidates as [trial, seed]; which is kept, `single` or `ensemble`; the estimate of each; the number of seeds and of folds.
Choice = Mapping[str, Any]


def judging_runs(candidates: int) -> int:
    """Return how many trials' worth of training judges so many candidates: none where there is one."""
    return candidates * SEEDS if candidates > 1 else 0


def known_choice(known: Mapping[str, Any], candidates: Sequence[TrainedNetwork]) -> Choice | None:
    """Return how an earlier process judged the same candidates, None where none did."""
    choice = known.get("choice")
    if choice and [*map(list, choice["candidates"])] == named(candidates):
        return dict(choice)
    return None


def named(networks: Sequence[TrainedNetwork]) -> list[list[int | None]]:
    """Return which networks they are, as plain values: the trial and the fresh seed of each."""
    return [[network.trial, network.seed] for network in networks]


def judge_candidates(
    candidates: Sequence[TrainedNetwork],
    data: Data,
    study_seed: int,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Choice:
    """Train the candidates, the winner first, on further seeds, and return the value of one and of all together.

    Raises:
        Stopped: a signal ended the training.
    """
    parts = parts_of(data)
    runs = len(candidates) * SEEDS * len(parts)
    observer.announce(
        f"judging an ensemble of {len(candidates)} networks against one of them on {SEEDS} further seeds: {counted(runs, 'run')}"
    )
    single_values: list[list[float]] = [[] for _ in range(SEEDS)]  # by seed: of each fold
    ensemble_values: list[list[float]] = [[] for _ in range(SEEDS)]
    for part in parts:
        for seed, pairs in enumerate(_judging_runs(candidates, data, part, study_seed, engine_for(part), observer)):
            single_values[seed].append(_value(pairs[:1], part))
            ensemble_values[seed].append(_value(pairs, part))
    worst = float(data.summary["worst"])
    single = metric_mean([sum(values) / len(parts) for values in single_values], data.metric, worst)
    ensemble = metric_mean([sum(values) / len(parts) for values in ensemble_values], data.metric, worst)
    better = _better(ensemble, single, data.metric.direction == "maximize")
    return {
        "candidates": named(candidates),
        "parameters": sum(parameters_of(network.spec) for network in candidates),
        "kept": "ensemble" if better else "single",
        "single": plain_estimate(single),
        "ensemble": plain_estimate(ensemble),
        "seeds": SEEDS,
        "folds": len(data.folds),
    }


Pairs = Sequence[tuple[TrainedNetwork, TrainingRun]]


def _judging_runs(
    candidates: Sequence[TrainedNetwork],
    data: Data,
    part: Data,
    study_seed: int,
    engine: Engine,
    observer: Observer,
) -> list[Pairs]:
    """Return the runs of the candidates on each further seed, trained on one part of the data for as long as the selected ones."""
    specs = []
    for seed in range(SEEDS):
        for network in candidates:
            spec = replicate(on_other_rows(network, data, part), derive_seed(study_seed, "judging"), seed)
            specs.append(replace(spec, rungs=(), fold=0))
    reason = "stopped before one network and the ensemble were judged; every result is stored"
    runs = train_until_stopped(engine, specs, observer, reason)
    count = len(candidates)
    return [[*zip(candidates, runs[seed * count : (seed + 1) * count], strict=True)] for seed in range(SEEDS)]


def _value(pairs: Pairs, part: Data) -> float:
    """Return the metric of the runs together on a part's validation rows; if one failed, the worst there is."""
    worst = float(part.summary["worst"])
    outputs = []
    for network, run in pairs:
        if run.weights is None:
            return worst
        outputs.append(outputs_of(member_of(network, run.weights), part.validation.inputs))
    value = part.metric_of(mean_prediction(part, outputs), part.validation)
    return value if isfinite(value) else worst


def _better(ensemble: Estimate, single: Estimate, maximize: bool) -> bool:
    """Whether the ensemble is better than the single network; not where they are equal up to rounding."""
    return not isclose(ensemble.value, single.value, rel_tol=1e-9) and (ensemble.value > single.value) == maximize
