"""`replay`: one recorded trial trained again exactly, its history compared with the record, its network kept this time.

A cross-validated trial has a network for each fold and none of its own. Its folds are compared, and the network that is kept is trained
once more as the search's last one is: on all rows that are not test rows, for as many passes as served the folds best.

On the machine, versions and engine of the record the histories are equal bit for bit. Elsewhere they drift, since each rounds its sums
in another order; whether a gap is that is told by a control, the same trial with a learning rate that is one rounding larger.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from optuna.trial import FixedTrial

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.model import Model, model_of
from hpsearch.model.provenance import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.networks import member, members_of
from hpsearch.searching.refit import passes_of
from hpsearch.searching.replicates import Network
from hpsearch.searching.study import specification
from hpsearch.searching.verify import COLUMNS, GROWN, Gaps, Question, largest_gaps
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training import Engine, TrialQueue
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


def replay(record: StudyRecord, trial: TrialRecord, question: Question, engine: Engine) -> Replayed:
    """Train a recorded trial again, to the rung where it was pruned if it was, and compare the whole history."""
    config, data, history = question.config, question.data, trial.history
    assert history is not None
    spec = specification(config, config.space.suggest(FixedTrial(dict(trial.params))), trial.number, data)
    until = history.evaluation[-1] if trial.outcome == Outcome.PRUNED and len(history) else None
    run = _train(spec, engine, until)
    gaps, control = largest_gaps(history, run.history), None
    verdict = EXACT if _same(history, run.history) and trial.outcome == run.outcome else ""
    if not verdict:
        rounding = float(torch.finfo(data.training.inputs.dtype).eps)
        nudged = _train(replace(spec, learning_rate=spec.learning_rate * (1 + rounding)), engine, until)
        control = largest_gaps(run.history, nudged.history)
        verdict = _judge(gaps, control, rounding)
    return Replayed(spec, run, _shared(history, run.history), gaps, control, verdict)


def model_again(
    record: StudyRecord,
    question: Question,
    replayed: Replayed,
    engine_for: Callable[[Data], Engine],
    observer: Observer,
) -> Model | None:
    """Return the model of a replayed trial, None where it failed; with folds it is trained now, on rows that `engine_for` is asked for.

    Raises:
        SearchFailed: on all rows it gave no usable network.
        Stopped: a signal ended the training.
    """
    data, spec, run = question.data, replayed.spec, replayed.run
    if run.value is None or not run.best:
        return None
    figures: dict[str, Any] = {"metric": data.metric.name, "direction": data.metric.direction, "validation": run.value}
    figures |= {"validation_loss": run.loss, "evaluation": run.best}
    if data.folds:
        found = members_of([Network(run.number, None, spec, run.value, run.best)], {}, data, engine_for, observer)
        rows = len(data.training) + len(data.validation)
        figures |= {"refitted": True, "rows": rows, "passes": passes_of(spec, run.best, len(data.training))}
    else:
        assert run.weights is not None, "a trial with a value has a network"
        found = [member(Network(run.number, None, spec, run.value, run.best), run.weights)]
    provenance = provenance_of(data, study=record.name, seed=question.config.study.seed, trials=[run.number])
    return model_of(data, found, metrics=figures, provenance={**provenance, "made_by": "replay"})


def _train(spec: TrialSpec, engine: Engine, until: int | None) -> TrainingRun:
    source = TrialQueue([spec], prunes=lambda evaluation, metric: until is not None and evaluation >= until)
    engine.run(source)
    return source.runs[spec.number]


def _same(recorded: History, again: History) -> bool:
    """Whether every number of the record, which is thinned where it was long, is in the new history, and both end alike."""
    places = {evaluation: index for index, evaluation in enumerate(again.evaluation)}
    if not len(recorded) or not len(again):
        return len(recorded) == len(again)
    return recorded.evaluation[-1] == again.evaluation[-1] and all(
        getattr(recorded, name)[index] == getattr(again, name)[places[evaluation]]
        for index, evaluation in enumerate(recorded.evaluation)
        for name in ("update", *COLUMNS)
    )


def _shared(recorded: History, again: History) -> int:
    return len(set(recorded.evaluation) & set(again.evaluation))


def _judge(gaps: Gaps, control: Gaps, rounding: float) -> str:
    """Return whether the losses are no further apart than rounding explains; the metric may step where they do not."""
    return ROUNDING if max(gaps[:2]) <= max(FEW * rounding, GROWN * max(control[:2])) else DIFFERS
