"""The networks of a model trained once more, on all rows: nothing is held out any longer, since nothing is left to be chosen."""

from dataclasses import replace

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.model import Member, Model, model_of
from hpsearch.searching.fresh import fresh
from hpsearch.searching.refit import passes_of, refit
from hpsearch.searching.study import specification
from hpsearch.space.answers import fixed
from hpsearch.storage import StudyRecord
from hpsearch.training import Engine


def refit_model(
    model: Model, record: StudyRecord, config: StudyConfig, searched: Data, whole: Data, engine: Engine
) -> Model:
    """Return a model whose networks trained on the `whole` data, for as many passes as served each best on the `searched` ones.

    Raises:
        SearchFailed: a run gave no usable network.
    """
    members = [_refitted(record, config, searched, whole, engine, *network) for network in record.result["networks"]]
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
    values = config.space.suggest(fixed(record.trials[trial].params))
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
