"""The networks of a model trained once more, on all rows: nothing is held out any longer, since nothing is left to be chosen.

A run that is nobody's choice may be an unlucky one, its last weights above all where the learning rate is high to the end. One that fits
the rows that it trained on worse than the network that was found, which has not seen all of them, is dropped.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
from optuna.trial import FixedTrial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data, Rows
from hpsearch.errors import SearchFailed
from hpsearch.model import Member, Model, model_of
from hpsearch.searching.refit import passes_of, refit
from hpsearch.searching.replicate_seeds import fresh
from hpsearch.searching.scoring import outputs_of
from hpsearch.searching.study import specification
from hpsearch.storage import StudyRecord
from hpsearch.training import Engine


def refit_model(
    model: Model, record: StudyRecord, config: StudyConfig, searched: Data, whole: Data, engine: Engine
) -> Model:
    """Return a model whose networks trained on the `whole` data, for as many passes as served each best on the `searched` ones.

    The model itself comes back where one of these runs diverges, or where together they fit the rows worse than it does.
    """
    try:
        members = [
            _refitted(record, config, searched, whole, engine, *network) for network in record.result["networks"]
        ]
    except SearchFailed:
        return model
    if _error(members, whole, [whole.training]) > _error(
        model.members, searched, [searched.training, searched.validation]
    ):
        return model
    metrics, provenance = model.metrics, {**model.provenance, "made_by": "refit"}
    return model_of(whole, members, metrics=metrics, provenance=provenance, class_kind=model.class_kind or None)


def _refitted(
    record: StudyRecord,
    config: StudyConfig,
    searched: Data,
    whole: Data,
    engine: Engine,
    trial: int,
    seed: int | None,
) -> Member:
    """Return one network: of a trial, on a fresh seed (None: the trial's own)."""
    values = config.space.suggest(FixedTrial(dict(record.trials[trial].params)))
    before, now = (specification(config, values, trial, data) for data in (searched, whole))
    passes = passes_of(before, _best_evaluation(record, trial, seed), len(searched.training))
    spec = now if seed is None else replace(fresh(now, config.study.seed, seed), number=trial)
    run = refit(spec, whole, passes, engine)
    assert spec.architecture is not None
    assert run.weights is not None
    return Member(spec.architecture, run.weights, trial, spec.seed)


def _best_evaluation(record: StudyRecord, trial: int, seed: int | None) -> int:
    if seed is None:
        return record.trials[trial].best_evaluation
    (confirmed,) = [entry for entry in record.result["confirmed"] if entry["trial"] == trial]
    return int(next(run["best"] for run in confirmed["runs"] if run["seed"] == seed))


def _error(members: Sequence[Member], data: Data, parts: Sequence[Rows]) -> float:
    """Return the networks' mean loss on rows, in the target's own units."""
    rows = Rows(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]))
    losses = [data.score(outputs_of(member, rows.inputs), rows)[0] for member in members]
    return fmean(losses) * float(data.target_scale.square().mean())
