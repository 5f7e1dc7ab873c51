"""`replay`: one recorded trial trained again exactly, its history compared with the record, its network kept this time.

A cross-validated trial has a network for each fold and none of its own. Its folds are compared, and the network that is kept is trained
once more as the selected model is: on all rows but the test rows, for as many passes as were best for the folds.

On the machine, versions and engine of the record the histories are equal bit for bit. Elsewhere they drift, since each rounds its sums
in another order. A control says whether a gap is no more than that: the same trial with a learning rate that is one rounding larger.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.model import Model, model_of
from hpsearch.model.models import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.full_training import passes_of
from hpsearch.searching.networks import member_of, members_of
from hpsearch.searching.replicates import TrainedNetwork
from hpsearch.searching.specifications import recorded_specification
from hpsearch.searching.verify import COLUMNS, GROWN, Gaps, RecordedStudy, largest_gaps
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training import Engine, train_all
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

EXACT, ROUNDING, DIFFERS = "equal bit for bit", "equal up to rounding, grown by training", "differs"

FEW = 10  # roundings of one that no training has grown


@dataclass(frozen=True, slots=True)
class Replayed:
    """A trial trained again: evaluations compared, the largest gap of each column and the control's, the verdict."""

    spec: TrialSpec
    run: TrainingRun
    evaluations: int
    gaps: Gaps
    control: Gaps | None
    verdict: str


def find_trial(record: StudyRecord, number: int) -> TrialRecord:
    """Return a trial with its history; where it took over the result of an equal one, that one.

    Raises:
        UserError: there is no such trial, or it was not trained.
    """
    if not 0 <= number < len(record.trials):
        raise UserError(f"study '{record.name}' has no trial {number}: give one from 0 to {len(record.trials) - 1}.")
    trial = record.trials[number]
    trial = trial if trial.repeats is None else record.trials[trial.repeats]
    if trial.history is None or not trial.outcome:
        raise UserError(f"trial {number} of study '{record.name}' was not trained to its end. Run the study first.")
    return trial


def replay(record: StudyRecord, trial: TrialRecord, study: RecordedStudy, engine: Engine) -> Replayed:
    """Train a recorded trial again, to the rung where it was pruned if it was, and compare the whole history."""
    history = trial.history
    assert history is not None, "`find_trial` gives trials with a history"
    spec = recorded_specification(study.config, trial.params, trial.number, study.data)
    pruned_at = history.evaluation[-1] if trial.outcome == Outcome.PRUNED and len(history) else None
    run = _train(spec, engine, pruned_at)
    gaps = largest_gaps(history, run.history)
    compared = len(set(history.evaluation) & set(run.history.evaluation))
    if trial.outcome == run.outcome and _same(history, run.history):
        return Replayed(spec, run, compared, gaps, None, EXACT)
    rounding = float(torch.finfo(study.data.training.inputs.dtype).eps)
    nudged = _train(replace(spec, learning_rate=spec.learning_rate * (1 + rounding)), engine, pruned_at)
    control = largest_gaps(run.history, nudged.history)
    return Replayed(spec, run, compared, gaps, control, _verdict(gaps, control, rounding))


def model_again(
    record: StudyRecord,
    study: RecordedStudy,
    replayed: Replayed,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Model | None:
    """Return the model of a replayed trial, None where it failed; with folds it is trained now, on rows that `engine_for` is asked for.

    Raises:
        SearchFailed: on all rows it gave no usable network.
        Stopped: a signal ended the training.
    """
    data, spec, run = study.data, replayed.spec, replayed.run
    if run.value is None or not run.best:
        return None
    metrics: dict[str, Any] = {
        "metric": data.metric.name,
        "direction": data.metric.direction,
        "validation": run.value,
        "validation_loss": run.loss,
        "evaluation": run.best,
    }
    network = TrainedNetwork(run.number, None, spec, run.value, run.best)
    if data.folds:
        members = members_of([network], {}, data, engine_for, observer)
        rows = len(data.training) + len(data.validation)
        metrics |= {"refitted": True, "rows": rows, "passes": passes_of(spec, run.best, len(data.training))}
    else:
        assert run.weights is not None, "a trial with a value has a network"
        members = [member_of(network, run.weights)]
    provenance = provenance_of(data, study=record.name, seed=study.config.study.seed, trials=[run.number])
    return model_of(data, members, metrics=metrics, provenance={**provenance, "made_by": "replay"})


def _train(spec: TrialSpec, engine: Engine, pruned_at: int | None) -> TrainingRun:
    """Train a trial again, to the evaluation where the pruner ended it; None: none did."""

    def pruned(evaluation: int, metric: float) -> bool:
        return pruned_at is not None and evaluation >= pruned_at

    (run,) = train_all(engine, [spec], pruned)
    return run


def _same(recorded: History, again: History) -> bool:
    """Whether every number of the record, which is thinned where it was long, is in the new history, and both end alike."""
    if not len(recorded) or not len(again):
        return len(recorded) == len(again)
    if recorded.evaluation[-1] != again.evaluation[-1]:
        return False
    indices = {evaluation: index for index, evaluation in enumerate(again.evaluation)}
    for name in ("update", *COLUMNS):
        before, now = getattr(recorded, name), getattr(again, name)
        if any(before[i] != now[indices[evaluation]] for i, evaluation in enumerate(recorded.evaluation)):
            return False
    return True


def _verdict(gaps: Gaps, control: Gaps, rounding: float) -> str:
    """Return whether the losses are no further apart than rounding explains; the metric may step where they do not."""
    explained = max(FEW * rounding, GROWN * max(control[:2]))
    return ROUNDING if max(gaps[:2]) <= explained else DIFFERS
