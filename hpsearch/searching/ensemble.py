"""One network or several together: the selected model is the one that predicts better for rows that chose nothing of it.

A best of several runs looks better than it is because it was selected, and the single network's most of all: the stored runs, and the seeds
by which the winner won, cannot judge. So the hyperparameters of every candidate are trained on further seeds, which selected nothing, and
predict validation rows that they did not train on. From these predictions come the shares of the networks in an ensemble, the
temperature of its probabilities and the errors behind its intervals, all of them cross-fitted (see `held_out`). The loss decides: how
sure networks were of each row tells them apart where the share of right rows cannot. Several predict better than one nearly always, so
they are kept unless the one's loss is the same, or lower by more than the standard error of the difference over the rows: on few rows
the luck of some decides below that.

The judging runs are like those of the search. Where rows are divided once, that is a run of the search with the weights of its best
evaluation. With folds the selected networks train on all rows but the test rows, for a fixed number of passes. So each judging run
trains on a fold's training rows for as many passes, its last weights predict the fold's validation rows, and a seed's value of the
metric is the mean over the folds, as a trial's is: every row is predicted by a network that has not trained on it.

Both values are optimistic in one respect: the hyperparameters, and the evaluation of a run on rows that are divided once, were searched
on the same validation rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, isfinite
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.dataset import Data
from hpsearch.errors import counted
from hpsearch.model.combination import ALONE, Combination
from hpsearch.model.intervals import HeldOutErrors
from hpsearch.progress import Observer, PhaseProgress
from hpsearch.searching.held_out import (
    FEWEST_ROWS,
    Fitted,
    HeldOut,
    absolute_errors,
    by_part,
    fitted,
    metric_values,
    standard_error,
)
from hpsearch.searching.networks import joined, member_of, on_other_rows
from hpsearch.searching.replicates import TrainedNetwork, metric_mean, plain_estimate
from hpsearch.searching.scoring import interval_over_parts, outputs_of, parameters_of, parts_of
from hpsearch.searching.specifications import replicate
from hpsearch.searching.stopping import train_until_stopped
from hpsearch.statistics.estimates import finite
from hpsearch.training import Engine
from hpsearch.trial import TrainingRun, derive_seed

JUDGING = "judging the ensemble"
HOLDING_OUT = "predicting held-out rows"
FEWEST_FOR_TENTHS = 9  # rows of which an error is not exceeded by nine tenths
SEEDS = 3  # of each of several candidates; one alone is not judged, and is trained once

# How one network and several were judged: the candidates as [trial, seed]; which is kept, `single` or `ensemble`; the metric's estimate and
# the `loss` of each; the number of seeds and of folds. None where there was one candidate.
Choice = Mapping[str, Any]


def judging_runs(candidates: int) -> int:
    """Return how many trials' worth of training it takes to judge so many candidates."""
    return candidates * _seeds(candidates)


def _seeds(candidates: int) -> int:
    return SEEDS if candidates > 1 else 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which networks were selected, why, and how they predict; `single` is how the first of several predicts by itself.

    `figures` are what the held-out rows say of them, as plain values for the study's result, None where nothing was held out.
    """

    networks: Sequence[TrainedNetwork]
    choice: Choice | None = None
    combination: Combination = ALONE
    single: Combination | None = None
    figures: Mapping[str, Any] | None = None

    @property
    def result(self) -> dict[str, Any]:
        """What the study's result keeps of it."""
        single = self.single.plain() if self.single else None
        return {
            "choice": self.choice,
            "combination": self.combination.plain(),
            "single": single,
            "held_out": self.figures,
        }


def named(networks: Sequence[TrainedNetwork]) -> list[list[int | None]]:
    """Return which networks they are, as plain values: the trial and the fresh seed of each."""
    return [[network.trial, network.seed] for network in networks]


def known_selection(known: Mapping[str, Any], candidates: Sequence[TrainedNetwork]) -> Selection | None:
    """Return how an earlier process judged the same candidates, None where none did.

    An earlier version kept all candidates or one, by the plain mean, and held nothing out.
    """
    choice = known.get("choice")
    judged = (known.get("held_out") or choice or {}).get("candidates")
    if judged is None and "held_out" not in known:
        judged = known.get("networks")
    if judged is None or [*map(list, judged)] != named(candidates):
        return None
    networks = [network for network in candidates if [network.trial, network.seed] in map(list, known["networks"])]
    stored = known.get("single")
    return Selection(
        networks,
        choice,
        Combination.of(known.get("combination"), len(networks)),
        Combination.of(stored, 1) if stored else None,
        known.get("held_out"),
    )


def judge_candidates(
    candidates: Sequence[TrainedNetwork],
    data: Data,
    study_seed: int,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Selection:
    """Train the candidates, the winner first, on further seeds, and select one of them or several together.

    Raises:
        Stopped: a signal ended the training.
    """
    held, usable = _hold_out(candidates, data, study_seed, engine_for, observer)
    if held is None or len(held) < 2:
        return Selection(candidates[:1], figures={"candidates": named(candidates), "rows": 0})
    alone = fitted(held, study_seed, several=False)
    single = _combination(held, alone, [1.0])
    about = {"candidates": named(candidates), "rows": len(held)}
    figures = {**about, **_figures(held, alone, single)}
    if len(candidates) == 1:
        return Selection(candidates, None, single, None, figures)
    together = fitted(held, study_seed, several=True)
    error = standard_error(held, together, alone)
    are_kept = _keeps_several(together, alone, error)
    choice = {
        "candidates": named(candidates),
        "kept": "ensemble" if are_kept else "single",
        "single": _estimate(held, alone),
        "ensemble": _estimate(held, together),
        "loss": {"single": finite(alone.loss), "ensemble": finite(together.loss), "error": finite(error)},
        "seeds": held.seeds,
        "folds": len(data.folds),
    }
    if not are_kept:
        return Selection(candidates[:1], choice, single, None, figures)
    pairs = [pair for pair in zip(usable, together.shares.tolist(), strict=True) if pair[1] > 0]
    networks = [network for network, _ in pairs]
    combination = _combination(held, together, [share for _, share in pairs])
    choice["parameters"] = sum(parameters_of(network.spec) for network in networks)
    return Selection(networks, choice, combination, single, {**about, **_figures(held, together, combination)})


def _keeps_several(several: Fitted, one: Fitted, error: float) -> bool:
    """Whether several networks are kept: unless they are equal to one up to rounding, or that one is better by more than the error."""
    return several.loss < one.loss + error and not isclose(several.loss, one.loss, rel_tol=1e-9)


def _combination(held: HeldOut, fit: Fitted, shares: Sequence[float]) -> Combination:
    """Return how the networks of these shares predict, with the errors of predicted numbers."""
    errors = None
    if held.data.task.predicts == "values":
        errors = HeldOutErrors(len(held), tuple(map(tuple, absolute_errors(held, fit.predictions))))
    return Combination(tuple(shares), fit.temperature, errors)


def _figures(held: HeldOut, fit: Fitted, combination: Combination) -> dict[str, Any]:
    """Return the loss before and after the temperature, and the interval over rows of the metric of the first seed.

    Besides the errors that nine tenths of the rows do not exceed, or the fewest rows that it takes to fit a temperature.
    """
    first = by_part(held, fit.predictions[0])
    low, high = interval_over_parts([(part, part.validation, part.predicted(own)) for part, own in first])
    certain: dict[str, Any] = {}
    if combination.errors and len(held) >= FEWEST_FOR_TENTHS:
        certain["nine_tenths"] = combination.errors.half_widths(0.9)
    if held.data.task.predicts != "values" and not held.data.task.has_own_loss:
        certain["fewest"] = FEWEST_ROWS
    return {
        **certain,
        "loss": finite(fit.plain_loss),
        "calibrated_loss": finite(fit.loss),
        "value": finite(metric_values(held, fit.predictions[:1])[0]),
        "low": finite(low),
        "high": finite(high),
    }


def _estimate(held: HeldOut, fit: Fitted) -> dict[str, float | None]:
    """Return the mean of the metric over the seeds as plain values."""
    worst = float(held.data.summary["worst"])
    values = metric_values(held, fit.predictions)
    known = [value if isfinite(value) else worst for value in values]
    return plain_estimate(metric_mean(known, held.data.metric, worst))


# ------------------------------------------------------------------ the runs that hold rows out


def _hold_out(
    candidates: Sequence[TrainedNetwork],
    data: Data,
    study_seed: int,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> tuple[HeldOut | None, list[TrainedNetwork]]:
    """Return the predictions of the candidates whose runs all have a network, and these candidates; None without the winner's."""
    parts = parts_of(data)
    seeds = _seeds(len(candidates))
    runs = counted(len(candidates) * seeds * len(parts), "run")
    phase = JUDGING if len(candidates) > 1 else HOLDING_OUT
    if len(candidates) > 1:
        observer.announce(
            f"judging an ensemble of up to {len(candidates)} networks against one of them on {seeds} further seeds: {runs}"
        )
    else:
        observer.announce(f"predicting held-out rows by the selected hyperparameters on a further seed: {runs}")
    trained = []
    for number, part in enumerate(parts):
        observer.phase(PhaseProgress(phase, number, len(parts), 0))
        trained.append(_judging_runs(candidates, data, part, study_seed, engine_for(part), observer))
    observer.phase(PhaseProgress(phase, len(parts), len(parts), 0))
    places = [place for place in range(len(candidates)) if _has_weights(trained, place)]
    if not places or places[0] != 0:
        return None, []
    predictions = [_predictions(candidates, runs, part, places) for runs, part in zip(trained, parts, strict=True)]
    every = torch.cat(predictions, dim=2)  # [S, C, N, K]
    rows = joined(*(part.validation for part in parts))
    weights = [part.weights_of(part.validation) for part in parts]
    known = [weight for weight in weights if weight is not None]
    of_loss = torch.cat(known) if known else None
    sizes = tuple((part, len(part.validation)) for part in parts)
    return HeldOut(data, every, rows, of_loss, sizes), [candidates[place] for place in places]


def _judging_runs(
    candidates: Sequence[TrainedNetwork],
    data: Data,
    part: Data,
    study_seed: int,
    engine: Engine,
    observer: Observer,
) -> list[list[TrainingRun]]:
    """Return each seed's runs of the candidates, trained on one part of the data for as long as the selected ones."""
    specs = []
    for seed in range(_seeds(len(candidates))):
        for network in candidates:
            spec = replicate(on_other_rows(network, data, part), derive_seed(study_seed, "judging"), seed)
            specs.append(replace(spec, rungs=(), fold=0))
    reason = "stopped before the candidates were judged; every result is stored"
    runs = train_until_stopped(engine, specs, observer, reason)
    count = len(candidates)
    return [runs[start : start + count] for start in range(0, len(runs), count)]


def _has_weights(trained: Sequence[Sequence[Sequence[TrainingRun]]], place: int) -> bool:
    """Whether every run of a candidate, on each part and seed, has a network."""
    return all(runs[place].weights is not None for seeds in trained for runs in seeds)


def _predictions(
    candidates: Sequence[TrainedNetwork], seeds: Sequence[Sequence[TrainingRun]], part: Data, places: Sequence[int]
) -> Tensor:
    """Return the predictions [S, C, n, K] of a part's runs for its validation rows, after the head."""
    found = []
    for runs in seeds:
        each = []
        for place in places:
            weights = runs[place].weights
            assert weights is not None, "only runs with a network predict"
            outputs = outputs_of(member_of(candidates[place], weights), part.validation.inputs)
            each.append(part.task.head(outputs))
        found.append(torch.stack(each))
    return torch.stack(found)
