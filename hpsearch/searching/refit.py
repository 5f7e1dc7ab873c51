"""`refit`: the best trial's hyperparameters trained once more on all rows but the test rows, for as long as served the search best.

Nothing is held out to tell when to stop, so the run is as long as the best evaluation was late: as many passes over the rows, which are
more now, and so more updates. The schedule of the learning rate spans this new budget, and the last weights are kept.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FixedTrial

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, UserError
from hpsearch.model import Member, Model, model_of
from hpsearch.model.provenance import provenance_of
from hpsearch.searching.scoring import score_test
from hpsearch.searching.study import specification
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.storage.results import looks
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, TrialQueue
from hpsearch.trial import TrainingRun, TrialSpec


@dataclass(frozen=True, slots=True)
class Refitted:
    """The network trained on `rows` rows for `passes` over them, which are `updates`; its model; its figures on the test rows, if any."""

    spec: TrialSpec
    rows: int
    passes: float
    updates: int
    model: Model
    test: Mapping[str, Any]


def best_trial(record: StudyRecord) -> TrialRecord:
    """Return the trial that a finished study chose.

    Raises:
        UserError: the study has no result yet.
    """
    number = record.result.get("trial")
    if not isinstance(number, int) or number >= len(record.trials):
        raise UserError(f"study '{record.name}' has no result yet. Run it to its end first.")
    return record.trials[number]


def passes_of(spec: TrialSpec, evaluation: int, rows: int) -> float:
    """Return the passes over the training rows up to an evaluation, counted from 1, of a trial."""
    return spec.evaluate_at[evaluation - 1] * spec.batch_size / rows


def refit(spec: TrialSpec, data: Data, passes: float, engine: Engine) -> TrainingRun:
    """Train a trial, as specified for these data, for so many passes over their rows, and keep the last weights.

    There is one evaluation, after the last update: none could stop the run earlier, and no pruner is asked.

    Raises:
        SearchFailed: it gave no usable network.
    """
    updates = max(1, round(passes * len(data.training) / spec.batch_size))
    source = TrialQueue([replace(spec, evaluate_at=(updates,), rungs=(), patience=None, target=None)])
    engine.run(source)
    run = source.runs[spec.number]
    if run.weights is None:
        raise SearchFailed(
            f"trial {spec.number} on {len(data.training):,} rows: {run.detail or run.outcome}. Refit another."
        )
    return run


def refit_best(record: StudyRecord, config: StudyConfig, data: Data, whole: Data, engine: Engine) -> Refitted:
    """Train the best trial on the `whole` data (training and validation rows), and score the test rows; `data` are the search's.

    Raises:
        UserError: the study has no result yet.
        SearchFailed: the run gave no usable network.
    """
    trial = best_trial(record)
    values = config.space.suggest(FixedTrial(dict(trial.params)))
    searched = specification(config, values, trial.number, data)
    spec = specification(config, values, trial.number, whole)
    passes = passes_of(searched, trial.best_evaluation, len(data.training))
    run = refit(spec, whole, passes, engine)
    assert run.weights is not None
    assert spec.architecture is not None
    member = Member(spec.architecture, run.weights, trial.number, spec.seed)
    test = score_test(whole, [member])
    figures = {"test": test, "rows": len(whole.training), "passes": passes, "updates": run.history.update[-1]}
    provenance = provenance_of(whole, study=record.name, seed=config.study.seed, trials=[trial.number])
    model = model_of(whole, [member], metrics=figures, provenance={**provenance, "made_by": "refit"})
    return Refitted(spec, len(whole.training), passes, run.history.update[-1], model, test)


def count_scoring(url: str, record: StudyRecord, refitted: Refitted, take_over: bool) -> int:
    """Write into the study's result that its test rows were looked at once more; return how often they were in all.

    Raises:
        UserError, StorageError: the study cannot be written.
    """
    looked = looks(record.result) + bool(refitted.test)
    figures = dict(refitted.model.metrics)
    opened = StudyWriter.open(url, record.name, record.direction, record.settings, record.data, take_over=take_over)
    with closing(opened) as writer:
        writer.write_attribute("result", {**writer.read_attribute("result"), "refit": figures, "looks": looked})
    return looked
