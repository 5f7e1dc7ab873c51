"""The end of a study: what its result says, and how far it can be trusted. Plain values, kept in the storage.

    trial, seed       the winner, and which of its runs is the single network (a fresh seed; None: its run in the search)
    networks          trial and seed of each network of the model that is kept: the single network's, or an ensemble's, that one first
    choice            how one network and several together were judged (see `choosing`); None where one alone was asked for
    validation        the single network's value on the validation rows, the best of several runs; of an ensemble its mean in `choice`
    search            the search's best: `trial` and `value`, the best of many
    fresh             the winner's mean over `runs` fresh seeds, with its interval; None where nothing was confirmed
    confirmed         every confirmed trial, the best mean first, with the value in the search, the mean and each run
    gaps              `search`: how much better the search's best value is than the same hyperparameters' mean on fresh seeds;
                      `test`: how much better the kept model's mean is than its test value
    refitted          whether the networks were trained once more, on all rows but the test rows, as after a cross-validation
    test              the figures of the model that is kept, of no other, on the test rows; `looks` counts how often these were looked at,
                      by models that an earlier run of the study kept and by refits too
    baseline          what one answer for all rows reaches; `predicted`: what the kept model says of single rows (see `predicted.py`)

An interval that is not bounded has None for an end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.model import Member
from hpsearch.model.provenance import versions
from hpsearch.searching.ensemble import Choice, named
from hpsearch.searching.predicted import predicted, shown_rows
from hpsearch.searching.replicates import Confirmed, Network, plain
from hpsearch.searching.scoring import outputs_of, score_test
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference
from hpsearch.storage.results import looks, test_before
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction

SCORED = ("test", "refit", "baseline", "predicted")  # what is known of the test rows


def scored(
    known: Mapping[str, Any], data: Data, networks: Sequence[Network], members: Sequence[Member]
) -> dict[str, Any]:
    """Return what is known of the test rows: as before where an earlier run scored the same networks, else by one look at them."""
    looked, before = looks(known), test_before(known, named(networks))
    if before is not None:
        found = {key: known[key] for key in SCORED if key in known} | {"test": before}
        return found | ({"looks": looked} if looked else {})
    outputs = [outputs_of(member, shown_rows(data).inputs) for member in members]  # once, for all that is told
    found = {"test": score_test(data, members, outputs), **predicted(data, outputs)}
    return found | ({"looks": looked + 1} if len(data.test) else {})


def result_of(
    confirmed: Sequence[Confirmed],
    best: Confirmed,
    asked: int,
    networks: Sequence[Network],
    choice: Choice | None,
    data: Data,
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the result of a study; `best` is the search's best, `asked` how many seeds were asked for."""
    winner, kept, direction = confirmed[0], networks[0], data.metric.direction
    architecture = kept.spec.architecture
    assert architecture is not None, "a search trains dense networks"
    together = choice["ensemble"] if choice and choice["kept"] == "ensemble" else None
    mean = _estimate(together) if together else winner.mean
    return {
        "trial": kept.trial,
        "seed": kept.seed,
        "validation": together["value"] if together else kept.value,
        "search": {"trial": best.found.number, "value": best.found.value},
        "fresh": None if winner.mean is None else {**plain(winner.mean), "runs": len(winner.runs), "asked": asked},
        "confirmed": [_confirmed(trial) for trial in confirmed if trial.mean is not None],
        "gaps": _gaps(mean, best, scores.get("test") or {}, direction),
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


def _confirmed(trial: Confirmed) -> dict[str, Any]:
    assert trial.mean is not None
    runs = [{"seed": seed, **run} for seed, run in trial.runs.items()]
    return {"trial": trial.found.number, "search": trial.found.value, **plain(trial.mean), "runs": runs}


def _gaps(mean: Estimate | None, best: Confirmed, test: Mapping[str, Any], direction: Direction) -> dict[str, Any]:
    """Return how much better each figure is than the more honest one after it, in the metric's units.

    The search's value is one number and not an estimate, so its gap is as uncertain as the mean. Mean and test value know nothing of each
    other: other seeds, other rows. That the validation rows are a sample too is in neither interval.
    """
    found = {}
    if best.mean is not None and best.found.value is not None:
        searched = Estimate(best.found.value, best.found.value, best.found.value)
        found["search"] = plain(_ahead(searched, best.mean, direction))
    if mean is not None and None not in (test.get("value"), test.get("low"), test.get("high")):
        found["test"] = plain(_ahead(mean, Estimate(test["value"], test["low"], test["high"]), direction))
    return found


def _ahead(a: Estimate, b: Estimate, direction: Direction) -> Estimate:
    """Return how much better a is than b: above where the metric is to be high, below where it is to be low."""
    return difference(a, b) if direction == "maximize" else difference(b, a)


def _estimate(known: Mapping[str, float | None]) -> Estimate:
    """Return an estimate of plain values; its missing ends are not bounded."""
    value, low, high = (known[name] for name in ("value", "low", "high"))
    assert value is not None
    return Estimate(value, -inf if low is None else low, inf if high is None else high)


def _layers(network: Network) -> list[dict[str, Any]]:
    assert network.spec.architecture is not None
    with torch.device("meta"):
        tensors = DNN(network.spec.architecture).state_dict()
    return [{"name": n, "shape": list(w.shape), "count": w.numel()} for n, w in tensors.items()]
