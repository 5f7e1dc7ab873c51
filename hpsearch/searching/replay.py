"""Recorded trials trained again: `verify` compares their histories with the reference engine's, `replay` keeps the network of one.

On the machine, versions and engine of the record a replayed history is equal bit for bit. Elsewhere correct engines drift: each rounds its
sums in another order, and training amplifies that; where it is unstable, a thousandfold an epoch, so that in float64 too 1e-16 becomes
visible. A control says whether a gap is no more than that: the same trial with a learning rate that is one rounding larger. `verify` can
train its trials in float64 by engine and reference, beside such a control: an engine that is right is about as far away as that.

A cross-validated trial has a network for each fold and none of its own. Its folds are compared, and the network that `replay` keeps is
trained once more as the selected model is: on all rows but the test rows, for as many passes as were best for the folds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter
from pathlib import Path
from typing import Any

import torch

from hpsearch.config import StudyConfig, check_config
from hpsearch.config.own import OwnCode
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.model import Model, model_of
from hpsearch.model.models import provenance_of
from hpsearch.progress import Observer
from hpsearch.searching.networks import member_of, members_of, passes_of
from hpsearch.searching.replicates import TrainedNetwork
from hpsearch.searching.run_options import RunOptions, prepare_data
from hpsearch.searching.specifications import recorded_specification
from hpsearch.storage.fingerprint import Fingerprint, describe_data_change, refuse_other_inputs, stated
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training import Engine, train_all
from hpsearch.training.engines import make_engine
from hpsearch.training.folds import train_trial
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

EQUAL = 1e-10  # losses that are no further apart are the same run
GROWN = 100  # times the control's gap: rounding that grew differently
FEW = 10  # roundings of one that no training has grown
VERDICTS = ("equal", "rounding, grown by training", "differs")
EXACT, ROUNDING, DIFFERS = "equal bit for bit", "equal up to rounding, grown by training", "differs"
CUT_SHORT = (Outcome.PRUNED, Outcome.TIMED_OUT)  # outcomes of trials that could have trained on
COLUMNS = ("training_loss", "validation_loss", "metric")

Gaps = tuple[float, float, float]  # the largest difference in each of `COLUMNS`


@dataclass(frozen=True, slots=True)
class RecordedStudy:
    """A recorded study with its data, to train its trials again; `exact` is an engine with the data in float64, where that is asked for."""

    config: StudyConfig
    data: Data
    exact: tuple[Engine, Data] | None


def prepare(
    record: StudyRecord,
    *,
    root: str | None,
    device: str | None,
    engine: str | None,
    file: str | None = None,
    code: OwnCode | None = None,
    reading: Mapping[str, Any] | None = None,
) -> RecordedStudy:
    """Load a recorded study's data (from `root` or `file` where they have moved) and make the engine in float64, if one is asked for.

    `code` is the user's own code that the study was searched with; `reading` are keys of `[data]` that say how the file is read, where
    the study left it open.

    Raises:
        UserError: the data are not those of the study, or came from Python; no such engine or device; code is missing, or too much.
    """
    if record.from_python:
        raise UserError(
            f"study '{record.name}' was searched from Python, on data that no file holds, so it cannot be trained again here. "
            "Save its data as a file, and run that (run --data FILE)."
        )
    moved = {name: path for name, path in (("root", root), ("file", file)) if path}
    reading = dict(reading or {})
    columns = {**(record.settings["data"].get("columns") or {}), **reading.pop("columns", {})}
    recorded = stated(record.settings, record.data)["data"]
    known = {**recorded, "task": recorded.get("task") or record.data.get("task")}
    data_section = {**known, **moved, **reading, "columns": columns}
    config = check_config({**record.settings, "data": data_section}, f"study '{record.name}'")
    config = config.with_code(code or OwnCode())
    _refuse_other_code(config)
    data = prepare_data(config, RunOptions(Path(), "", device))
    if data.summary["hash"] != record.data.get("hash"):
        raise UserError(
            f"study '{record.name}': {describe_data_change(record.data, data.summary, config.data.file)}. "
            "Give the old data (--data, --data-root)."
        )
    now = Fingerprint(record.name, (), config.settings(), data.summary)
    refuse_other_inputs(Fingerprint(record.name, (), record.settings, record.data), now)
    if engine is None:
        return RecordedStudy(config, data, None)
    double = data.to(data.training.inputs.device, torch.float64)
    return RecordedStudy(config, data, (engine_of(config, engine, double, len(double.folds) or None), double))


def engine_of(config: StudyConfig, name: str, data: Data, slots: int | None = None) -> Engine:
    """Return the engine of a name for a study's data; a network of the user's own trains in the reference.

    Raises:
        UserError: there is no such engine.
    """
    if config.code.build is not None:
        return make_engine("reference", data)
    return make_engine(name, data, slots, config.training.precision)


def _refuse_other_code(config: StudyConfig) -> None:
    """Refuse code of the user's own in place of hpsearch's, with which the study was searched."""
    code = config.code
    given = {"--model": code.build, "--loss": code.loss, "--metric": code.metric}
    for option, function in given.items():
        if function is not None and option not in config.named_functions:
            raise UserError(
                f"{option}: study '{config.study.name}' was searched with hpsearch's own. Leave {option} out."
            )


def compared_evaluations(one: History, other: History) -> int:
    """Return how many evaluations both histories have."""
    return len({*one.evaluation} & {*other.evaluation})


def largest_gaps(one: History, other: History, most: float = inf) -> Gaps:
    """Return the largest difference of each column of `COLUMNS`, over the evaluations up to `most` that both have."""
    indices = {evaluation: index for index, evaluation in enumerate(other.evaluation) if evaluation <= most}
    shared = [(index, indices[value]) for index, value in enumerate(one.evaluation) if value in indices]

    def gap(column: str) -> float:
        first = getattr(one, column)
        second = getattr(other, column)
        return max((abs(first[i] - second[j]) for i, j in shared), default=0.0)

    return gap("training_loss"), gap("validation_loss"), gap("metric")


# ------------------------------------------------------------------ the command verify


@dataclass(frozen=True, slots=True)
class Verified:
    """A trial trained again: how many evaluations were compared, the largest gap of each of `COLUMNS`, both outcomes."""

    number: int
    evaluations: int
    gaps: Gaps
    recorded_outcome: str
    reference_outcome: str
    exact: Gaps | None = None  # the same between the engine and the reference, both in float64
    control: Gaps | None = None  # and between the reference and the reference one rounding away

    @property
    def verdict(self) -> str:
        """What the gaps in float64 mean: one of `VERDICTS`, or nothing where there are none."""
        if self.exact is None or self.control is None:
            return ""
        equal, grown, differs = VERDICTS
        losses = list(zip(self.exact[:2], self.control[:2], strict=True))
        if all(gap <= EQUAL for gap, _ in losses):
            return equal
        if all(gap <= max(EQUAL, GROWN * control) for gap, control in losses):
            return grown
        return differs


def choose_trials(record: StudyRecord, count: int) -> list[TrialRecord]:
    """Return `count` of the trained trials, evenly spread over the study.

    Raises:
        UserError: fewer than one asked for, or none was trained.
    """
    trained = [trial for trial in record.trials if trial.history and trial.repeats is None]
    if count < 1:
        raise UserError(f"--trials {count}: a number from 1 expected.")
    if not trained:
        raise UserError(f"study '{record.name}' has no trained trial yet. Run it first.")
    count = min(count, len(trained))
    return [trained[i * (len(trained) - 1) // max(1, count - 1)] for i in range(count)]


def verify(study: RecordedStudy, trials: Sequence[TrialRecord]) -> Iterator[Verified]:
    """Yield each trial's comparison as it is done."""
    for trial in trials:
        assert trial.history is not None
        last = trial.history.last
        spec = _unlimited(recorded_specification(study.config, trial.params, trial.number, study.data), trial)
        run = _reference(spec, study.data, last if trial.outcome in CUT_SHORT else None)
        gaps = largest_gaps(trial.history, run.history)
        in_float64: tuple[Gaps, ...] = ()
        if study.exact:
            in_float64 = _exact(spec, *study.exact, last)
        compared = compared_evaluations(trial.history, run.history)
        outcome = _outcome(trial, run)
        yield Verified(trial.number, compared, gaps, trial.outcome, str(outcome), *in_float64)


def _exact(spec: TrialSpec, engine: Engine, data: Data, last: int) -> tuple[Gaps, Gaps]:
    """Return the gaps of the engine and of the control from the reference, up to the last evaluation that is recorded."""
    (run,) = train_all(engine, [spec])
    nudged = replace(spec, learning_rate=nextafter(spec.learning_rate, inf))
    reference = _reference(spec, data, None).history
    control = _reference(nudged, data, None).history
    return largest_gaps(run.history, reference, last), largest_gaps(control, reference, last)


def _reference(spec: TrialSpec, data: Data, until: int | None) -> TrainingRun:
    """Train with the reference, to the evaluation where the recorded trial was pruned if it was."""
    return train_trial(spec, data, lambda evaluation, metric: evaluation == until)


# ------------------------------------------------------------------ the command replay


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
    if trial.repeats is not None:
        trial = record.trials[trial.repeats]
    if trial.history is None or not trial.outcome:
        raise UserError(f"trial {number} of study '{record.name}' was not trained to its end. Run the study first.")
    return trial


def replay(record: StudyRecord, trial: TrialRecord, study: RecordedStudy, engine: Engine) -> Replayed:
    """Train a recorded trial again, to the rung where it was pruned if it was, and compare the whole history."""
    history = trial.history
    assert history is not None, "`find_trial` gives trials with a history"
    spec = _unlimited(recorded_specification(study.config, trial.params, trial.number, study.data), trial)
    pruned_at = None
    if trial.outcome in CUT_SHORT and len(history):
        pruned_at = history.last
    run = _train(spec, engine, pruned_at)
    gaps = largest_gaps(history, run.history)
    compared = compared_evaluations(history, run.history)
    run = replace(run, outcome=_outcome(trial, run))
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
    data = study.data
    run = replayed.run
    if run.value is None or not run.best:
        return None
    metrics: dict[str, Any] = {
        "metric": data.metric.name,
        "direction": data.metric.direction,
        "validation": run.value,
        "validation_loss": run.loss,
        "evaluation": run.best,
    }
    network = TrainedNetwork(run.number, None, replayed.spec, run.value, run.best)
    if data.folds:
        members = members_of([network], {}, data, engine_for, observer)
        rows = len(data.training) + len(data.validation)
        metrics |= {"refitted": True, "rows": rows, "passes": passes_of(replayed.spec, run.best, len(data.training))}
    else:
        assert run.weights is not None, "a trial with a value has a network"
        members = [member_of(network, run.weights)]
    provenance = provenance_of(data, study=record.name, seed=study.config.study.seed, trials=[run.number])
    return model_of(data, members, metrics=metrics, provenance={**provenance, "made_by": "replay"})


def _outcome(trial: TrialRecord, run: TrainingRun) -> Outcome:
    """Return how a trial that was trained again ended; where it was cut short as its record was, it ended as that."""
    if trial.outcome in CUT_SHORT and run.outcome is Outcome.PRUNED:
        return Outcome(trial.outcome)
    return run.outcome


def _unlimited(spec: TrialSpec, trial: TrialRecord) -> TrialSpec:
    """Return a trial without its time limit; where that ended it, it can be ended at every evaluation."""
    if trial.outcome == Outcome.TIMED_OUT:
        return replace(spec, max_seconds=None, rungs=tuple(range(1, len(spec.evaluate_at))))
    return replace(spec, max_seconds=None)


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
    if recorded.last != again.last:
        return False
    indices = {evaluation: index for index, evaluation in enumerate(again.evaluation)}
    for name in ("update", *COLUMNS):
        before = getattr(recorded, name)
        now = getattr(again, name)
        if any(before[i] != now[indices[evaluation]] for i, evaluation in enumerate(recorded.evaluation)):
            return False
    return True


def _verdict(gaps: Gaps, control: Gaps, rounding: float) -> str:
    """Return whether the losses are no further apart than rounding explains; the metric may step where they do not."""
    explained = max(FEW * rounding, GROWN * max(control[:2]))
    return ROUNDING if max(gaps[:2]) <= explained else DIFFERS
