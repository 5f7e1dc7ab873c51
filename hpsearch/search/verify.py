"""`verify`: trains recorded trials again with the reference engine and says how far the histories are apart, as a user's proof.

In float32 correct engines drift: each rounds its sums in another order, and training amplifies that. So the same trials can be trained
in float64 with both engines too, where nothing but rounding at 1e-16 is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hpsearch.config import StudyConfig, check_config
from hpsearch.data.dataset import Data
from hpsearch.errors import UserError, look_up
from hpsearch.search.place import Place, prepare_data
from hpsearch.space.answers import fixed
from hpsearch.storage.records import StudyRecord, TrialRecord
from hpsearch.training import Engine, Several, Single
from hpsearch.training.engines import ENGINES, make_engine
from hpsearch.training.reference import train_safely
from hpsearch.trial import History, TrainingRun, TrialSpec

COLUMNS = ("training_loss", "validation_loss", "metric")


@dataclass(frozen=True, slots=True)
class Verified:
    """One trial trained again: evaluations compared, the largest gap of each column of `COLUMNS`, the outcomes of both."""

    number: int
    evaluations: int
    gaps: tuple[float, float, float]
    recorded: str
    again: str
    exact: tuple[float, float, float] | None = None  # the same between the engine and the reference, both in float64


def choose_trials(record: StudyRecord, count: int) -> list[TrialRecord]:
    """Return so many of the trials that were trained, evenly spread over the study.

    Raises:
        UserError: fewer than one asked for, or none was trained.
    """
    trained = [t for t in record.trials if t.history is not None and len(t.history) and t.repeats is None]
    if count < 1:
        raise UserError(f"--trials {count}: a number from 1 expected.")
    if not trained:
        raise UserError(f"study '{record.name}' has no trained trial yet. Run it first.")
    count = min(count, len(trained))
    return [trained[i * (len(trained) - 1) // max(1, count - 1)] for i in range(count)]


@dataclass(frozen=True, slots=True)
class Question:
    """What a comparison needs of a study: its settings, its data, and an engine with the data in float64, where that is asked for."""

    config: StudyConfig
    data: Data
    exact: tuple[Engine, Data] | None


def prepare(record: StudyRecord, *, root: str | None, device: str | None, engine: str | None) -> Question:
    """Load a recorded study's data (from `root` where its files have moved) and make the engine to compare in float64, if any.

    Raises:
        UserError: the data are not those of the study; no such engine or device.
    """
    data_section = {**record.settings["data"], **({"root": root} if root else {})}
    config = check_config({**record.settings, "data": data_section}, f"study '{record.name}'")
    data = prepare_data(config, Place(Path(), "", device))
    if data.summary["hash"] != record.data.get("hash"):
        raise UserError(
            f"the data are not those that study '{record.name}' was trained on. Give the right --data-root."
        )
    if engine is None:
        return Question(config, data, None)
    look_up(ENGINES, engine, "engine")
    double = data.to(data.training.inputs.device, torch.float64)
    return Question(config, data, (make_engine(engine, double), double))


def verify(question: Question, trials: Sequence[TrialRecord]) -> Iterator[Verified]:
    """Yield each trial's comparison as it is done."""
    for trial in trials:
        spec = _specification(question.config, trial, question.data)
        assert trial.history is not None
        again = _reference(spec, question.data, len(trial.history) if trial.outcome == "pruned" else None)
        yield Verified(
            trial.number,
            len(trial.history),
            largest_gaps(trial.history, again.history),
            trial.outcome,
            str(again.outcome),
            None if question.exact is None else _exact(spec, *question.exact),
        )


def largest_gaps(one: History, other: History) -> tuple[float, float, float]:
    """Return the largest difference of each column of `COLUMNS`, over the evaluations that both have."""
    places = {evaluation: index for index, evaluation in enumerate(other.evaluation)}
    shared = [(index, places[e]) for index, e in enumerate(one.evaluation) if e in places]
    a, b, c = (
        max((abs(getattr(one, name)[i] - getattr(other, name)[j]) for i, j in shared), default=0.0) for name in COLUMNS
    )
    return a, b, c


def _exact(spec: TrialSpec, engine: Engine, data: Data) -> tuple[float, float, float]:
    source = Several([spec])
    engine.run(source)
    return largest_gaps(source.runs[spec.number].history, _reference(spec, data, None).history)


def _reference(spec: TrialSpec, data: Data, until: int | None) -> TrainingRun:
    """Train with the reference, to the evaluation where the recorded trial was pruned if it was."""
    run = train_safely(spec, data, Single(lambda evaluation, metric: evaluation == until))
    assert run is not None, "nobody stops a single trial"
    return run


def _specification(config: StudyConfig, trial: TrialRecord, data: Data) -> TrialSpec:
    values: Mapping[str, Any] = config.space.suggest(fixed(trial.params))
    return config.space.specification(
        values,
        number=trial.number,
        seed=config.study.seed,
        budget=config.budget,
        inputs=data.inputs,
        outputs=data.outputs,
        rows=len(data.training),
    )
