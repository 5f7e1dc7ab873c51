"""Tables of the trials: all of them, the best, their curves, the course of the search, their times and their outcomes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import pandas as pd

from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.ranking import hyperparameters, ranked, with_all_objectives, with_value
from hpsearch.reporting.tables.table import OUTCOME, TRIAL, VALUE, Column, Frames, Row, Table, end_of, frame, plain
from hpsearch.statistics.pareto import on_front
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.records import FAILED, INFEASIBLE, INFINITE
from hpsearch.trial import History, Outcome

LEADERS = 10
ATTRIBUTES = 100  # user attributes that are columns, of a foreign study
SHOWN_ATTRIBUTES = 4  # of them, in the leaderboard
OF_NETWORKS = (  # columns that a study has whose trials train networks of hpsearch's
    "standard_error",
    "validation_loss",
    "best_evaluation",
    "evaluations",
    "examples",
    "parameters",
    "repeats",
    "detail",
)
# Columns that are written in a way of their own.
SPECIAL = {"metric", "value_low", "value_high", "start", "end", "evaluation", "seed"}
MOST_EVALUATIONS = 300_000  # rows of the table of learning curves: 20 megabytes

HYPERPARAMETER = Column(
    "<hyperparameter>", "", "one column for each searched hyperparameter; empty where the trial has none"
)
PARAMETERS = Column("parameters", "count", "trainable numbers of the network")
SECONDS = Column("seconds", "s", "wall time of the trial")

TRIALS = (
    TRIAL,
    OUTCOME,
    VALUE,
    HYPERPARAMETER,
    Column("validation_loss", "loss", "the loss on the validation rows at the best evaluation"),
    Column("best_evaluation", "", "the evaluation, from 1, with the best metric"),
    Column("evaluations", "count", "how often the network was evaluated"),
    Column("examples", "count", "training examples seen, repeats of a row counted"),
    PARAMETERS,
    Column("started", "s", "start, since the study's first trial"),
    SECONDS,
    Column("repeats", "", "the earlier trial with the same hyperparameters whose result was taken over"),
    Column("detail", "", "what happened, in words"),
)
LEADERBOARD = (
    Column("rank", "", "1 is the best"),
    TRIAL,
    VALUE,
    Column("standard_error", "metric", "of the value, over the folds of a cross-validation"),
    HYPERPARAMETER,
    PARAMETERS,
    SECONDS,
)


@lru_cache(maxsize=1000)
def column(name: str) -> str:
    """Return the column of a hyperparameter; one that is called like a declared column gets a suffix."""
    if name in _taken_names():
        return f"{name} (hyperparameter)"
    return name


def _taken_names() -> set[str]:
    """Return the names that a column of a study's own cannot have."""
    return {declared.name for declared in (*TRIALS, *LEADERBOARD)} | SPECIAL


def _foreign_columns(record: StudyRecord) -> dict[str, dict[str, str]]:
    """Return the columns that a foreign study's tables have besides: kind → name → column, each with a name of its own."""
    hyper = [column(name) for name in hyperparameters(record)]
    attributes = dict.fromkeys(chain.from_iterable(trial.attributes for trial in record.trials))
    names = {"objective": [*record.objectives][1:], "attribute": list(attributes)[:ATTRIBUTES]}
    taken = _taken_names() | {*hyper}
    found: dict[str, dict[str, str]] = {}
    for kind, own in names.items():
        found[kind] = {name: f"{name} ({kind})" if name in taken else name for name in own}
        taken |= {*found[kind].values()}
    return found


def _foreign(record: StudyRecord, columns: Sequence[Column], trials: Iterable[TrialRecord], most: int) -> pd.DataFrame:
    """Return trials of a foreign study with all objectives and the user attributes, without columns of which nothing is known."""
    names = hyperparameters(record)
    own = _foreign_columns(record)
    attributes = dict(list(own["attribute"].items())[:most])
    rows = []
    for rank, trial in enumerate(trials, 1):
        row = _row(trial, names) | {"rank": rank}
        values = dict(zip([*record.objectives][1:], trial.values[1:], strict=False))
        row |= {title: values.get(name) for name, title in own["objective"].items()}
        rows.append(row | {title: trial.attributes.get(name) for name, title in attributes.items()})
    table = frame(columns, rows, [*own["objective"].values(), *map(column, names), *attributes.values()])
    optional = [name for name in OF_NETWORKS if name in table.columns]
    return table.drop(columns=[name for name in optional if not table[name].any()])


def _row(trial: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    """Return what the tables have of a trial, with the hyperparameters of these names."""
    return {
        "trial": trial.number,
        "outcome": trial.outcome or trial.state,
        "value": trial.value,
        "standard_error": trial.standard_error,
        **{column(name): plain(trial.params.get(name)) for name in names},
        "validation_loss": trial.validation_loss,
        "best_evaluation": trial.best_evaluation or None,
        "evaluations": trial.history.last if trial.history else None,
        "examples": _examples(trial),
        "parameters": trial.parameters,
        "started": trial.started,
        "seconds": trial.seconds,
        "repeats": trial.repeats,
        "detail": trial.detail,
    }


def _examples(trial: TrialRecord) -> int:
    """Return the examples trained; a repeat trained none."""
    if not trial.history or trial.repeats is not None:
        return 0
    return trial.history.examples[-1]


def _trials(record: StudyRecord, done: Frames) -> pd.DataFrame:
    if record.foreign:
        return _foreign(record, TRIALS, record.trials, ATTRIBUTES)
    names = hyperparameters(record)
    return frame(TRIALS, [_row(trial, names) for trial in record.trials], map(column, names))


def _leaderboard(record: StudyRecord, done: Frames) -> pd.DataFrame:
    if record.foreign:
        return _foreign(record, LEADERBOARD, _leaders(record)[:LEADERS], SHOWN_ATTRIBUTES)
    names = hyperparameters(record)
    rows = [_row(trial, names) | {"rank": rank} for rank, trial in enumerate(ranked(record)[:LEADERS], 1)]
    return frame(LEADERBOARD, rows, map(column, names))


def _leaders(record: StudyRecord) -> Sequence[TrialRecord]:
    """Return a foreign study's best trials: of several objectives those on the Pareto front, by the first one."""
    trials = with_all_objectives(record)
    if not trials:
        return ranked(record)
    maximize = [better == "maximize" for better in record.objectives.values()]
    front = on_front([trial.values for trial in trials], maximize)
    return [trial for trial, on in zip(trials, front, strict=True) if on]


CURVES = (
    Column(
        "trial",
        "",
        f"the trial's number; of more than {MOST_EVALUATIONS:,} evaluations those of the best trials and an even choice of the rest",
    ),
    Column("evaluation", "", "counted from 1"),
    Column("update", "count", "weight updates so far"),
    Column("examples", "count", "training examples seen so far"),
    Column("seconds", "s", "time in training so far"),
    Column("training_loss", "loss", "mean over the batches since the evaluation before"),
    Column("validation_loss", "loss", "the loss on the validation rows"),
    Column("metric", "metric", "the study's metric on the validation rows"),
)


def _curves(record: StudyRecord, done: Frames) -> pd.DataFrame:
    names = [declared.name for declared in CURVES]
    if record.foreign:
        names = ["trial", "evaluation", "metric"]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    trials = _with_curves(record)
    for trial in trials:
        history = trial.history or History()
        columns["trial"] += [trial.number] * len(history)
        for name, values in history.columns().items():
            if name in columns:
                columns[name] += values
    table = pd.DataFrame(columns)
    if len(trials) < len(record.trials):
        table.attrs["thinned"] = (len(trials), len(record.trials))
    return table


def _with_curves(record: StudyRecord) -> Sequence[TrialRecord]:
    """Return the trials whose curves are in the table: all of them, of very many the best and an even choice of the rest."""
    total = sum(len(trial.history or ()) for trial in record.trials)
    if total <= MOST_EVALUATIONS:
        return record.trials
    leading = {trial.number for trial in ranked(record)[:LEADERS]}
    step = -(-total // MOST_EVALUATIONS)
    return [trial for trial in record.trials if trial.number in leading or trial.number % step == 0]


PROGRESS = (
    Column("axis", "", "what `position` counts: trial, examples or seconds"),
    Column("position", "", "trial number; examples trained so far by all trials; seconds since the first trial began"),
    TRIAL,
    OUTCOME,
    VALUE,
    Column("best", "metric", "the best value of a usable trial so far"),
)


def _progress(record: StudyRecord, done: Frames) -> pd.DataFrame:
    ended = with_value(record)
    timed = [trial for trial in ended if None not in (trial.started, trial.seconds)]
    timed.sort(key=end_of)
    in_time = timed or ended
    totals = list(accumulate(map(_examples, in_time)))
    rows = _steps(record, "trial", ended, [trial.number for trial in ended])
    rows += _steps(record, "examples", in_time, totals)
    rows += _steps(record, "seconds", timed, list(map(end_of, timed)))
    return frame(PROGRESS, rows)


def _steps(record: StudyRecord, axis: str, trials: Sequence[TrialRecord], positions: Sequence[float]) -> list[Row]:
    """Return each trial's value and the best so far along one axis."""
    metric = MetricFormat.of(record)
    best: float | None = None
    rows: list[Row] = []
    for trial, position in zip(trials, positions, strict=True):
        if trial.usable and trial.value is not None and (best is None or metric.better(trial.value, best)):
            best = trial.value
        row = {"axis": axis, "position": float(position), "trial": trial.number, "outcome": trial.outcome}
        rows.append(row | {"value": trial.value, "best": best})
    return rows


TIMELINE = (
    TRIAL,
    OUTCOME,
    Column("place", "", "trials that run at the same time have different places, from 1"),
    Column("start", "s", "since the study's first trial"),
    Column("end", "s", "since the study's first trial; of a running trial the latest time known"),
)


def _timeline(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return when each trial ran; trials that ran at the same time have different places."""
    started = [trial for trial in record.trials if trial.started is not None]
    now = max((end_of(trial) for trial in record.trials), default=0.0)
    free_from: list[float] = []  # by place
    rows = []
    for trial in sorted(started, key=lambda trial: (trial.started, trial.number)):
        start = trial.started or 0.0
        end = max(now, start) if trial.seconds is None else end_of(trial)
        place = next((i for i, until in enumerate(free_from) if until <= start + 1e-9), len(free_from))
        free_from[place : place + 1] = [end]
        row = {"trial": trial.number, "outcome": trial.outcome or trial.state, "place": place + 1}
        rows.append(row | {"start": float(start), "end": float(end)})
    return frame(TIMELINE, rows)


STATES = {
    "running": "training now",
    "waiting": "queued, not yet begun",
    "fail": "ended by an error of the program or the machine; the sampler does not see it",
    "complete": "ended; the storage does not say how",
}
FOREIGN_OUTCOMES = {
    "finished": "returned a value",
    "pruned": "stopped on its way, by the study's pruner or by itself",
    FAILED: "raised an error, or returned no number",
    INFINITE: "returned a value that is not finite",
    INFEASIBLE: "returned a value, but broke a constraint",
    "running": "running now, or left behind by a program that was stopped",
}
OUTCOMES = (OUTCOME, Column("trials", "count", "trials with it"), Column("meaning", "", "what it means"))


def _outcomes(record: StudyRecord, done: Frames) -> pd.DataFrame:
    counts = Counter(trial.outcome or trial.state for trial in record.trials)
    meanings = {outcome.value: outcome.meaning for outcome in Outcome} | STATES
    if record.foreign:
        meanings |= FOREIGN_OUTCOMES
    rows: list[Row] = []
    for name in dict.fromkeys([*meanings, *sorted(counts)]):
        if name in counts:
            meaning = meanings.get(name, "not known to this version")
            rows.append({"outcome": name, "trials": counts[name], "meaning": meaning})
    return frame(OUTCOMES, rows)


ALL_TRIALS = Table("trials", "All trials", TRIALS, _trials)
BEST_TRIALS = Table("leaderboard", "The best trials", LEADERBOARD, _leaderboard)
LEARNING_CURVES = Table("curves", "Learning curves", CURVES, _curves)
BEST_SO_FAR = Table("progress", "Best value so far", PROGRESS, _progress)
TIMES = Table("timeline", "When each trial ran", TIMELINE, _timeline)
ENDINGS = Table("outcomes", "How the trials ended", OUTCOMES, _outcomes)
