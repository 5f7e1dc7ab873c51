"""The end of a study: what its result says, and how far it can be trusted. Plain values, kept in the storage.

    trial, seed       the winner, and which of its runs was kept (a fresh seed; None: its run in the search)
    validation        the kept network's value on the validation rows: the best of several runs, so optimistic
    search            the search's best: `trial` and `value`, optimistic too
    fresh             the winner's mean over `runs` fresh seeds, with its interval; None where nothing was confirmed
    confirmed         every confirmed trial, the best mean first, with the value in the search, the mean and each run
    gaps              `search`: how much better the search's best value is than the same hyperparameters' mean on fresh seeds;
                      `test`: how much better the winner's mean is than the test value of the kept network
    refitted          whether the network was trained once more, on all rows but the test rows, as after a cross-validation
    test, ensemble    figures on the test rows, which are looked at once for these networks; `scorings` counts the looks
    baseline          what one answer for all rows reaches; `predicted`: what the kept networks say of single rows (see `predicted.py`)

An interval that is not bounded has None for an end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.model import Member
from hpsearch.model.provenance import versions
from hpsearch.searching.confirm import Confirmed, Network
from hpsearch.searching.predicted import predicted, shown_rows
from hpsearch.searching.scoring import outputs_of, score_test, score_validation
from hpsearch.statistics import Estimate
from hpsearch.statistics.means import difference
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction

SCORED = ("test", "ensemble", "scorings", "refit", "baseline", "predicted")  # what is known of the test rows


def same_networks(known: Mapping[str, Any], networks: Sequence[Network]) -> bool:
    """Whether an earlier run scored the same networks, so that the test rows need no other look."""
    before = known.get("networks") or [[known.get("trial"), None]]
    return [*map(list, before)] == [[network.trial, network.seed] for network in networks]


def scored(
    known: Mapping[str, Any], data: Data, networks: Sequence[Network], members: Sequence[Member]
) -> dict[str, Any]:
    """Return what is known of the test rows: as before where the networks are the same, else by scoring them now."""
    if same_networks(known, networks):
        return {key: known[key] for key in SCORED if key in known}
    outputs = [outputs_of(member, shown_rows(data).inputs) for member in members]  # once, for all that is told
    found: dict[str, Any] = {"test": score_test(data, members[:1], outputs[:1]), **predicted(data, outputs)}
    if len(members) > 1:
        found["ensemble"] = {
            "trials": [member.trial for member in members],
            "validation": None if data.folds else score_validation(data, members),
            "test": score_test(data, members, outputs),
        }
    looked = known.get("scorings", 0)  # a study that was extended has looked at the test rows before
    return found | ({"scorings": looked + 1} if len(data.test) else {})


def result_of(
    confirmed: Sequence[Confirmed],
    best: Confirmed,
    asked: int,
    networks: Sequence[Network],
    data: Data,
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the result of a study; `best` is the search's best, `asked` how many seeds were asked for."""
    winner, kept, direction = confirmed[0], networks[0], data.metric.direction
    architecture = kept.spec.architecture
    assert architecture is not None, "a search trains dense networks"
    return {
        "trial": kept.trial,
        "seed": kept.seed,
        "validation": kept.value,
        "search": {"trial": best.found.number, "value": best.found.value},
        "fresh": None if winner.mean is None else {**_plain(winner.mean), "runs": len(winner.runs), "asked": asked},
        "confirmed": [_confirmed(trial) for trial in confirmed if trial.mean is not None],
        "gaps": _gaps(winner.mean, best, scores.get("test") or {}, direction),
        "refitted": bool(data.folds),
        "networks": [[network.trial, network.seed] for network in networks],
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
    return {"trial": trial.found.number, "search": trial.found.value, **_plain(trial.mean), "runs": runs}


def _gaps(mean: Estimate | None, best: Confirmed, test: Mapping[str, Any], direction: Direction) -> dict[str, Any]:
    """Return how much better each figure is than the more honest one after it, in the metric's units.

    The search's value is one number and not an estimate, so its gap is as uncertain as the mean. Mean and test value know nothing of each
    other: other seeds, other rows. That the validation rows are a sample too is in neither interval.
    """
    found = {}
    if best.mean is not None and best.found.value is not None:
        searched = Estimate(best.found.value, best.found.value, best.found.value)
        found["search"] = _plain(_ahead(searched, best.mean, direction))
    if mean is not None and None not in (test.get("value"), test.get("low"), test.get("high")):
        found["test"] = _plain(_ahead(mean, Estimate(test["value"], test["low"], test["high"]), direction))
    return found


def _ahead(a: Estimate, b: Estimate, direction: Direction) -> Estimate:
    """Return how much better a is than b: above where the metric is to be high, below where it is to be low."""
    return difference(a, b) if direction == "maximize" else difference(b, a)


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {name: value if isfinite(value) else None for name, value in asdict(estimate).items()}


def _layers(network: Network) -> list[dict[str, Any]]:
    assert network.spec.architecture is not None
    with torch.device("meta"):
        tensors = DNN(network.spec.architecture).state_dict()
    return [{"name": n, "shape": list(w.shape), "count": w.numel()} for n, w in tensors.items()]
