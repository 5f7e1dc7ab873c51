"""`verify`: trains recorded trials again with the reference engine and measures how far the histories are apart, as a user's proof.

Correct engines drift: each rounds its sums in another order, and training amplifies that; where it is unstable, a thousandfold an epoch,
so that in float64 too 1e-16 becomes visible. So the same trials can be trained in float64 by engine and reference, beside a control:
the reference against itself with a learning rate that is one rounding larger. An engine that is right is about as far away as that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter
from pathlib import Path

import torch

from hpsearch.config import StudyConfig, check_config
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.searching.run_options import RunOptions, prepare_data
from hpsearch.searching.specifications import recorded_specification
from hpsearch.storage.fingerprint import describe_data_change
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training import Engine, train_all
from hpsearch.training.engines import make_engine
from hpsearch.training.folds import train_alone
from hpsearch.trial import History, Outcome, TrainingRun, TrialSpec

EQUAL = 1e-10  # losses that are no further apart are the same run
GROWN = 100  # times the control's gap: rounding that grew differently
VERDICTS = ("equal", "rounding, grown by training", "differs")
AT_HAND = ("arrays", "pandas frame")  # sources of data that came from Python
COLUMNS = ("training_loss", "validation_loss", "metric")


Gaps = tuple[float, float, float]


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
        return grown if all(gap <= max(EQUAL, GROWN * control) for gap, control in losses) else differs


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


@dataclass(frozen=True, slots=True)
class RecordedStudy:
    """A recorded study with its data, to train its trials again; `exact` is an engine with the data in float64, where that is asked for."""

    config: StudyConfig
    data: Data
    exact: tuple[Engine, Data] | None


def prepare(
    record: StudyRecord, *, root: str | None, device: str | None, engine: str | None, file: str | None = None
) -> RecordedStudy:
    """Load a recorded study's data (from `root` or `file` where they have moved) and make the engine in float64, if one is asked for.

    Raises:
        UserError: the data are not those of the study, or came from Python; no such engine or device.
    """
    if record.settings["data"].get("file") is None and record.data.get("source") in AT_HAND:
        raise UserError(
            f"study '{record.name}' was searched from Python, on data that no file holds, so it cannot be trained again here. "
            "Save its data as a file, and run that (run --data FILE)."
        )
    moved = {name: path for name, path in (("root", root), ("file", file)) if path}
    data_section = {**record.settings["data"], **moved}
    config = check_config({**record.settings, "data": data_section}, f"study '{record.name}'")
    data = prepare_data(config, RunOptions(Path(), "", device))
    if data.summary["hash"] != record.data.get("hash"):
        raise UserError(
            f"study '{record.name}': {describe_data_change(record.data, data.summary, config.data.file)}. "
            "Give the old data (--data, --data-root)."
        )
    if engine is None:
        return RecordedStudy(config, data, None)
    double = data.to(data.training.inputs.device, torch.float64)
    return RecordedStudy(config, data, (make_engine(engine, double, len(double.folds) or None), double))


def verify(study: RecordedStudy, trials: Sequence[TrialRecord]) -> Iterator[Verified]:
    """Yield each trial's comparison as it is done."""
    for trial in trials:
        assert trial.history is not None
        evaluations = len(trial.history)
        spec = recorded_specification(study.config, trial.params, trial.number, study.data)
        run = _reference(spec, study.data, evaluations if trial.outcome == Outcome.PRUNED else None)
        gaps = largest_gaps(trial.history, run.history)
        exact, control = _exact(spec, *study.exact, evaluations) if study.exact else (None, None)
        yield Verified(trial.number, evaluations, gaps, trial.outcome, str(run.outcome), exact, control)


def largest_gaps(one: History, other: History, most: float = inf) -> Gaps:
    """Return the largest difference of each column of `COLUMNS`, over the evaluations up to `most` that both have."""
    indices = {evaluation: index for index, evaluation in enumerate(other.evaluation) if evaluation <= most}
    shared = [(index, indices[value]) for index, value in enumerate(one.evaluation) if value in indices]

    def gap(column: str) -> float:
        first, second = getattr(one, column), getattr(other, column)
        return max((abs(first[i] - second[j]) for i, j in shared), default=0.0)

    return gap("training_loss"), gap("validation_loss"), gap("metric")


def _exact(spec: TrialSpec, engine: Engine, data: Data, evaluations: int) -> tuple[Gaps, Gaps]:
    """Return the gaps of the engine and of the control from the reference, over as many evaluations as are recorded."""
    (run,) = train_all(engine, [spec])
    nudged = replace(spec, learning_rate=nextafter(spec.learning_rate, inf))
    reference = _reference(spec, data, None).history
    control = _reference(nudged, data, None).history
    return largest_gaps(run.history, reference, evaluations), largest_gaps(control, reference, evaluations)


def _reference(spec: TrialSpec, data: Data, until: int | None) -> TrainingRun:
    """Train with the reference, to the evaluation where the recorded trial was pruned if it was."""
    return train_alone(spec, data, lambda evaluation, metric: evaluation == until)
