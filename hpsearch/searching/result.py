"""The result of a study, and how far it can be trusted: plain values, which the storage keeps.

    trial, seed       the winner, and which of its runs is the single network (a fresh seed; None: its run in the search)
    networks          trial and seed of each network of the selected model: the single network, or an ensemble's, that one first
    choice            how one network and several together were judged (see `ensemble`); None where one network was asked for
    combination       how the networks predict together: `shares`, `temperature`, `errors` on held-out rows; `single`: how the first of
                      several predicts by itself
    held_out          what rows say that trained nothing: which `candidates` were trained for it, how many `rows` there are, the `loss`
                      there and the `calibrated_loss`, the metric's `value` with its interval over rows; None where nothing was held out
    validation        the single network's value on the validation rows, the best of several runs; of an ensemble its mean in `choice`
    search            the search's best: `trial` and `value`, the best of many
    fresh             the winner's mean over `runs` fresh seeds, with its interval; None where nothing was confirmed
    confirmed         every confirmed trial, the best mean first, with the value in the search, the mean and each run
    gaps              `search`: how much better the search's best value is than the same hyperparameters' mean on fresh seeds;
                      `test`: how much better the selected model's mean is than its test value
    refitted          whether the networks were trained once more, on training and validation rows (always after a cross-validation);
                      `rows`: how many rows they trained on; `refit_declined`: whether such networks were worse, so that they stayed.
                      What stands above is of the networks before: no validation row has trained them
    test              the selected model's figures on the test rows; no other model is scored there. `looks` counts how often a model was
                      scored on them, models that were selected earlier and refits included
    baseline          what the trivial predictor reaches: `strategy` (scikit-learn's name), `answer`, and the metric on `validation` and
                      `test` rows
    predicted         the selected model's predictions of single rows. `rows`: which ones, `count`: how many, `networks`: how many predict
                      together. Of up to 20 classes `classes` and `confusion`: rows by true class (outer) and predicted class (inner).
                      Of more classes `right`, and `pairs`: the most frequent confusions, [true, predicted, rows, rows of the true
                      class]. Of several labels `labels` and `label_counts`: rows without and with each, by whether they were taken
                      for it: [neither, wrongly taken, missed, both]. Of classes too `right_rows`: whether each
                      row is right, a bit a row, in base64, of at most 50,000 rows. Of numbers `points`: [true, predicted] of at most 2,000
                      rows; `targets`: how many there are, the first is shown; `errors`: half and nine tenths of the rows are
                      no farther off; `tenths`: see `tenths_of`

An interval that is not bounded has None for an end. `predicted` and `baseline` say where the model is wrong, and whether it is better than
one answer for every row. Their rows are the test rows, where there are none the validation rows. After a cross-validation the networks
have trained on the validation rows too: without test rows nothing is said of them then.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hpsearch.data.baseline import baseline, strategy_of
from hpsearch.data.dataset import Data, Rows
from hpsearch.data.metrics import confusion, label_counts, labels
from hpsearch.model.combination import Combination
from hpsearch.model.models import versions
from hpsearch.searching.ensemble import Selection, named
from hpsearch.searching.networks import joined
from hpsearch.searching.refitting import FinalNetworks
from hpsearch.searching.replicates import ConfirmedTrial, plain_estimate
from hpsearch.searching.scoring import (
    combined_prediction,
    made,
    outputs_of,
    parameters_of,
    parts_of,
    score_test,
)
from hpsearch.statistics import Estimate
from hpsearch.statistics.estimates import difference, finite
from hpsearch.storage.records import StudyResult
from hpsearch.training.network import DNN, registration
from hpsearch.trial import Direction, TrialSpec, derive_seed

MOST_CLASSES = 20  # of which every pair is counted
MOST_LABELS = 100  # that are counted, each by itself
PAIRS = 20
MOST_BITS = 50_000  # rows of which is kept whether each is right: 8 kilobytes
POINTS = 2_000
FEWEST_ROWS = 50  # below which tenths of them say nothing
Array = npt.NDArray[Any]
SCORED = ("test", "refit", "baseline", "predicted")  # of the result, that the test rows gave


def test_scores(known: Mapping[str, Any], data: Data, selection: Selection, final: FinalNetworks) -> dict[str, Any]:
    """Return the figures on the test rows: the stored ones where an earlier process scored the same model, else by scoring them now.

    Without test rows the validation rows are predicted, by networks that did not train on them.
    """
    selected = StudyResult.of(known)
    count = selected.looks
    networks = tuple((network.trial, network.seed) for network in selection.networks)
    before = selected.tested.get(networks)
    if networks == selected.networks and not _combination(known, len(networks)).predicts_as(selection.combination):
        before = None
    if bool(known.get("refitted")) != final.refitted:
        before = None
    if before is None:
        combination = selection.combination
        members = final.members if len(data.test) else final.own or ()
        outputs = [outputs_of(member, predicted_rows(data).inputs) for member in members]
        figures = predicted(data, outputs, combination, final.refitted)
        scores = {"test": score_test(data, members, combination, outputs), **figures}
        count = count + 1 if len(data.test) else 0
    else:
        scores = {key: known[key] for key in SCORED if key in known} | {"test": before}
    return {**scores, "looks": count} if count else scores


def _combination(known: Mapping[str, Any], networks: int) -> Combination:
    """Return how the networks of a result predict together."""
    return Combination.of(known.get("combination"), networks)


def make_result(
    confirmed: Sequence[ConfirmedTrial],
    best: ConfirmedTrial,
    asked: int,
    selection: Selection,
    data: Data,
    final: FinalNetworks,
    scores: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the result of a study; `best` is the search's best, `asked` how many seeds were asked for."""
    winner = confirmed[0]
    kept = selection.networks[0]
    choice = selection.choice
    together = None
    mean = winner.mean
    if choice and choice["kept"] == "ensemble":
        together = choice["ensemble"]
        mean = _estimate(together)
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
        **final.figures,
        "networks": named(selection.networks),
        **selection.result,
        **scores,
        "parameters": parameters_of(kept.spec),
        **_form(kept.spec),
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
    if direction == "maximize":
        return difference(a, b)
    return difference(b, a)


def _estimate(known: Mapping[str, float | None]) -> Estimate:
    """Return an estimate of plain values; its missing ends are not bounded."""
    low, high = known["low"], known["high"]
    assert known["value"] is not None
    return Estimate(known["value"], -inf if low is None else low, inf if high is None else high)


def _form(spec: TrialSpec) -> dict[str, Any]:
    """Return what a network is made of: `architecture` and `registered` of a dense one, `layers` of any."""
    architecture = spec.architecture
    if architecture is None:
        return {"architecture": {}, "layers": _layers(made(spec))}
    with torch.device("meta"):
        layers = _layers(DNN(architecture))
    described = asdict(architecture) | {"widths": list(architecture.widths)}
    return {"architecture": described, "layers": layers, "registered": registration(architecture)}


def _layers(network: nn.Module) -> list[dict[str, Any]]:
    tensors = network.state_dict()
    return [{"name": name, "shape": list(tensor.shape), "count": tensor.numel()} for name, tensor in tensors.items()]


# ------------------------------------------------------------------ predictions of single rows


def predicted_rows(data: Data) -> Rows:
    """Return the rows to predict: the test rows; without any, the validation rows where the networks did not train on them."""
    if len(data.test) or data.folds:
        return data.test
    return data.validation


def predicted(
    data: Data, outputs: Sequence[Tensor], combination: Combination, refitted: bool = False
) -> dict[str, Any]:
    """Return `baseline` and `predicted`; `outputs` [N, ...] are those of each network for `predicted_rows`."""
    rows = predicted_rows(data)
    if not len(rows):
        return {"baseline": baseline_figures(data, refitted)}
    predictions = combined_prediction(data, outputs, combination)
    details = _details(data, predictions, rows)
    part = "test" if len(data.test) else "validation"
    figures = {"rows": part, "count": len(rows), "networks": len(outputs), **details}
    return {"baseline": baseline_figures(data, refitted), "predicted": figures}


def baseline_figures(data: Data, refitted: bool) -> dict[str, Any]:
    """Return what the trivial predictor reaches: on validation rows fitted as a trial is, on test rows as the selected model is."""
    parts = parts_of(data)
    values = []
    for part in parts:
        _, predictions = baseline(part, part.training, part.validation)
        values.append(part.metric_of(predictions, part.validation))
    training = data.training
    if data.folds or (refitted and len(data.test)):
        training = joined(data.training, data.validation)
    rows = data.test if len(data.test) else data.validation
    answer, predictions = baseline(data, training, rows)
    test = None
    if len(data.test):
        test = data.metric_of(predictions, rows)
    validation = finite(float(np.mean(values)))
    return {"strategy": strategy_of(data), "answer": answer, "validation": validation, "test": finite(test)}


def _classes(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    if len(data.classes) <= MOST_CLASSES:
        table = confusion(predictions, rows.targets).long().tolist()
        return {"classes": list(data.classes), "confusion": table}
    taken, known = (numbers.flatten().long().cpu() for numbers in labels(predictions, rows.targets))  # [N]
    classes = len(data.classes)
    wrong = (known * classes + taken)[taken != known]
    codes, counts = np.unique(wrong.numpy(), return_counts=True)
    rows_of = known.bincount(minlength=classes).tolist()
    pairs = []
    for index in np.argsort(-counts, kind="stable")[:PAIRS]:
        true, other = divmod(int(codes[index]), classes)
        pairs.append([data.classes[true], data.classes[other], int(counts[index]), rows_of[true]])
    return {"right": int((taken == known).sum()), "pairs": pairs}


def _right_rows(predictions: Tensor, rows: Rows) -> dict[str, Any]:
    """Return whether each row is right, in the order of the rows; nothing of too many rows."""
    taken, known = (numbers.flatten().cpu() for numbers in labels(predictions, rows.targets))  # [N]
    if len(known) > MOST_BITS:
        return {}
    packed = np.packbits((taken == known).numpy())
    return {"right_rows": b64encode(packed.tobytes()).decode()}


def _details(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    if data.classes:
        return {**_classes(data, predictions, rows), **_right_rows(predictions, rows)}
    if data.labels:
        counts = label_counts(predictions, rows.targets).long().flatten(1)  # [L, 4]
        return {"labels": list(data.labels[:MOST_LABELS]), "label_counts": counts[:MOST_LABELS].tolist()}
    return _numbers(data, predictions, rows)


def _numbers(data: Data, predictions: Tensor, rows: Rows) -> dict[str, Any]:
    true = data.original(rows.targets)[:, 0].cpu().double().numpy()  # [N]
    predicted = predictions[:, 0].cpu().double().numpy()
    chosen = sample(len(true))
    points = [[_short(a), _short(b)] for a, b in zip(true[chosen], predicted[chosen], strict=True)]
    half, most = np.quantile(np.abs(predicted - true), [0.5, 0.9], method="inverted_cdf").tolist()
    return {
        "targets": predictions.shape[1],
        "points": points,
        "errors": {"half": finite(half), "most": finite(most)},
        "tenths": tenths_of(true, predicted),
    }


def sample(rows: int) -> Array:
    """Return the numbers of the rows whose points are kept: all, or a random choice that depends on their number alone."""
    if rows <= POINTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(derive_seed("predicted", rows) % 2**32).choice(rows, POINTS, replace=False))


def tenths_of(true: Array, predicted: Array) -> list[list[float | None]]:
    """Return ten groups of rows by their true value [N], each as [from, to, rows, 10 %, 50 % and 90 % quantile of predicted minus true]."""
    if len(true) < FEWEST_ROWS:
        return []
    groups = np.array_split(np.argsort(true, kind="stable"), 10)
    tenths = []
    for group in groups:
        low, middle, high = np.quantile((predicted - true)[group], [0.1, 0.5, 0.9])
        ends = [_short(true[group[0]]), _short(true[group[-1]]), len(group)]
        tenths.append([*ends, _short(low), _short(middle), _short(high)])
    return tenths


def _short(value: float) -> float | None:
    """Return six significant digits, all that a figure can show."""
    return finite(float(f"{value:.6g}"))
