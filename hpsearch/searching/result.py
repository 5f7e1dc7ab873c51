"""The result of a study, and how far it can be trusted: plain values, which the storage keeps.

    trial, seed       the winner, and which of its runs is the single network (a fresh seed; None: its run in the search)
    networks          trial and seed of each network of the selected model: the single network, or an ensemble's, that one first
    choice            how one network and several together were judged (see `ensemble`); None where one network was asked for
    validation        the single network's value on the validation rows, the best of several runs; of an ensemble its mean in `choice`
    search            the search's best: `trial` and `value`, the best of many
    fresh             the winner's mean over `runs` fresh seeds, with its interval; None where nothing was confirmed
    confirmed         every confirmed trial, the best mean first, with the value in the search, the mean and each run
    gaps              `search`: how much better the search's best value is than the same hyperparameters' mean on fresh seeds;
                      `test`: how much better the selected model's mean is than its test value
    refitted          whether the networks were trained once more, on all rows but the test rows, as after a cross-validation
    test              the selected model's figures on the test rows; no other model is scored there. `looks` counts how often a model was
                      scored on them, models that were selected earlier and refits included
    baseline          what the trivial predictor reaches; `predicted`: the selected model's predictions (see `row_predictions`)

An interval that is not bounded has None for an end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.model import Member
from hpsearch.model.models import versions
from hpsearch.searching.ensemble import Choice, named
from hpsearch.searching.replicates import ConfirmedTrial, TrainedNetwork, plain_estimate
from hpsearch.searching.row_predictions import predicted, predicted_rows
from hpsearch.searching.scoring import outputs_of, score_test
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference
from hpsearch.storage.records import StudyResult
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction

SCORED = ("test", "refit", "baseline", "predicted")  # of the result, that the test rows gave


def test_scores(
    known: Mapping[str, Any], data: Data, networks: Sequence[TrainedNetwork], members: Sequence[Member]
) -> dict[str, Any]:
    """Return the figures on the test rows: the stored ones where an earlier process scored the same networks, else by scoring them now."""
    selected = StudyResult.of(known)
    count = selected.looks
    before = selected.tested.get(tuple((network.trial, network.seed) for network in networks))
    if before is None:
        outputs = [outputs_of(member, predicted_rows(data).inputs) for member in members]
        scores = {"test": score_test(data, members, outputs), **predicted(data, outputs)}
        count = count + 1 if len(data.test) else 0
    else:
        scores = {key: known[key] for key in SCORED if key in known} | {"test": before}
    return {**scores, "looks": count} if count else scores


def make_result(
    confirmed: Sequence[ConfirmedTrial],
    best: ConfirmedTrial,
    asked: int,
    networks: Sequence[TrainedNetwork],
    choice: Choice | None,
    data: Data,
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the result of a study; `best` is the search's best, `asked` how many seeds were asked for."""
    winner = confirmed[0]
    kept = networks[0]
    architecture = kept.spec.architecture
    assert architecture is not None, "a search trains dense networks"
    together = choice["ensemble"] if choice and choice["kept"] == "ensemble" else None
    mean = _estimate(together) if together else winner.mean
    fresh = None
    if winner.mean is not None:
        fresh = {**plain_estimate(winner.mean), "runs": len(winner.runs), "asked": asked}
    return {
        "trial": kept.trial,
        "seed": kept.seed,
        "validation": together["value"] if together else kept.value,
        "search": {"trial": best.search_run.number, "value": best.search_run.value},
        "fresh": fresh,
        "confirmed": [_confirmed(trial) for trial in confirmed if trial.mean is not None],
        "gaps": _gaps(mean, best, scores.get("test") or {}, data.metric.direction),
        "refitted": bool(data.folds),
        "networks": named(networks),
        "choice": choice,
        **scores,
        "parameters": architecture.parameters,
        "architecture": asdict(architecture) | {"widths": list(architecture.widths)},
        "layers": _layers(kept),
        "registered": registration(architecture),
        "device": str(data.training.inputs.device),
        "versions": versions(),
    }


def _confirmed(trial: ConfirmedTrial) -> dict[str, Any]:
    assert trial.mean is not None
    runs = [{"seed": seed, **run} for seed, run in trial.runs.items()]
    return {
        "trial": trial.search_run.number,
        "search": trial.search_run.value,
        **plain_estimate(trial.mean),
        "runs": runs,
    }


def _gaps(mean: Estimate | None, best: ConfirmedTrial, test: Mapping[str, Any], direction: Direction) -> dict[str, Any]:
    """Return how much better each figure is than the more honest one after it, in the metric's units.

    The search's value is one number and no estimate, so its gap is as uncertain as the mean. Mean and test value are independent: other
    seeds, other rows. That the validation rows are a sample too is in neither interval.
    """
    gaps = {}
    if best.mean is not None and best.search_run.value is not None:
        searched = Estimate(best.search_run.value, best.search_run.value, best.search_run.value)
        gaps["search"] = plain_estimate(_ahead(searched, best.mean, direction))
    if mean is not None and None not in (test.get("value"), test.get("low"), test.get("high")):
        gaps["test"] = plain_estimate(_ahead(mean, Estimate(test["value"], test["low"], test["high"]), direction))
    return gaps


def _ahead(a: Estimate, b: Estimate, direction: Direction) -> Estimate:
    """Return how much better a is than b: above where the metric is to be high, below where it is to be low."""
    return difference(a, b) if direction == "maximize" else difference(b, a)


def _estimate(known: Mapping[str, float | None]) -> Estimate:
    """Return an estimate of plain values; its missing ends are not bounded."""
    value, low, high = known["value"], known["low"], known["high"]
    assert value is not None
    return Estimate(value, -inf if low is None else low, inf if high is None else high)


def _layers(network: TrainedNetwork) -> list[dict[str, Any]]:
    assert network.spec.architecture is not None
    with torch.device("meta"):
        tensors = DNN(network.spec.architecture).state_dict()
    return [{"name": name, "shape": list(tensor.shape), "count": tensor.numel()} for name, tensor in tensors.items()]
