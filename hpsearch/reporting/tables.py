"""A study's numbers as pandas tables, each with declared columns: name, unit, meaning.

`TABLES` lists them; `frames` builds all of them from a `StudyRecord` alone, `write` saves them as CSV files. Figures and the report
are made from these frames, so every number that is drawn can be looked up. A searched hyperparameter is a column of its own name
where a table says `<hyperparameter>`. Files are derived: they can always be built again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, isnan, log
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.errors import StorageError
from hpsearch.files import inert, make_folder, write_file
from hpsearch.reporting.formatting import (
    MetricFormat,
    best,
    domain,
    duration,
    hyperparameters,
    judged,
    number,
    ranked,
    space_of,
    usable,
    visible,
)
from hpsearch.reporting.importance import importances
from hpsearch.statistics.pareto import on_front
from hpsearch.storage import StudyRecord, TrialRecord
from hpsearch.storage.results import networks_of, test_of
from hpsearch.trial import History, Outcome

LEADERS = 20
VALUES = ("value", "metric", "standard_error", "value_low", "value_high")  # columns that are read as the metric is
MOST_EVALUATIONS = 300_000  # rows of the table of learning curves: 20 megabytes
EDGE = 0.05  # share of a range that counts as its edge

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its unit ("" for none) and what it says."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `build` makes it from the record and the tables listed before it.

    An `optional` one is of some kinds of study alone: without rows it has no file.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    build: Callable[[StudyRecord, Frames], pd.DataFrame]
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError(f"table '{self.name}': its name and its columns' names must be plain and distinct")


def _frame(name: str, rows: Iterable[Mapping[str, Any]], extra: Iterable[str] = ()) -> pd.DataFrame:
    """Rows as a frame with the declared columns, also where there is no row; `extra` stand for the column in angle brackets."""
    declared = [column.name for column in COLUMNS[name]]
    at = next((i for i, column in enumerate(declared) if column.startswith("<")), len(declared))
    names = [*declared[:at], *extra, *declared[at + 1 :]]
    rows = list(rows)
    return pd.DataFrame(
        {column: pd.Series([row.get(column) for row in rows], dtype=_dtype(rows, column)) for column in names}
    )


def _dtype(rows: list[Mapping[str, Any]], column: str) -> str:
    """Numbers are kept as numbers (whole ones as whole ones, gaps and all); a column with any text is kept as it is."""
    kinds = {type(row.get(column)) for row in rows} - {type(None)}
    if kinds == {int} and all(abs(row.get(column) or 0) < 2**62 for row in rows):
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"


@lru_cache(maxsize=1000)
def column(name: str) -> str:
    """Return the column of a hyperparameter; one that is called like a declared column gets a suffix."""
    taken = {declared.name for declared in COLUMNS["trials"]} | {declared.name for declared in COLUMNS["leaderboard"]}
    return f"{name} (hyperparameter)" if name in taken else name


def _params(names: Sequence[str], trial: TrialRecord) -> dict[str, Any]:
    return {column(name): _plain(trial.params.get(name)) for name in names}


def _plain(value: Any) -> Any:
    return value if value is None or type(value) in (int, float, str) else str(value)


def _examples(trial: TrialRecord) -> int:
    """Examples trained; a repeat trained nothing."""
    return trial.history.examples[-1] if trial.history and len(trial.history) and trial.repeats is None else 0


def _trials(record: StudyRecord, done: Frames) -> pd.DataFrame:
    names = hyperparameters(record)
    rows = [
        {
            "trial": trial.number,
            "outcome": trial.outcome or trial.state,
            "value": trial.value,
            **_params(names, trial),
            "validation_loss": trial.validation_loss,
            "best_evaluation": trial.best_evaluation or None,
            "evaluations": len(trial.history) if trial.history else None,
            "examples": _examples(trial),
            "parameters": trial.parameters,
            "started": trial.started,
            "seconds": trial.seconds,
            "repeats": trial.repeats,
            "detail": trial.detail,
        }
        for trial in record.trials
    ]
    return _frame("trials", rows, map(column, names))


def _leaderboard(record: StudyRecord, done: Frames) -> pd.DataFrame:
    names = hyperparameters(record)
    rows = [
        {
            "rank": rank,
            "trial": trial.number,
            "value": trial.value,
            "standard_error": trial.standard_error,
            **_params(names, trial),
            "parameters": trial.parameters,
            "seconds": trial.seconds,
        }
        for rank, trial in enumerate(ranked(record)[:LEADERS], 1)
    ]
    return _frame("leaderboard", rows, map(column, names))


def _curves(record: StudyRecord, done: Frames) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {declared.name: [] for declared in COLUMNS["curves"]}
    trials = _with_curves(record)
    for trial in trials:
        history = trial.history or History()
        columns["trial"] += [trial.number] * len(history)
        for name, values in history.columns().items():
            columns[name] += values
    frame = pd.DataFrame(columns)
    if len(trials) < len(record.trials):
        frame.attrs["thinned"] = f"the curves of {len(trials):,} of {len(record.trials):,} trials; the storage has all"
    return frame


def _with_curves(record: StudyRecord) -> Sequence[TrialRecord]:
    """Return the trials whose curves are in the table: all of them, of very many the best and an even choice of the rest."""
    total = sum(len(trial.history or ()) for trial in record.trials)
    if total <= MOST_EVALUATIONS:
        return record.trials
    leading = {trial.number for trial in ranked(record)[:LEADERS]}
    step = -(-total // MOST_EVALUATIONS)
    return [trial for trial in record.trials if trial.number % step == 0 or trial.number in leading]


def _progress(record: StudyRecord, done: Frames) -> pd.DataFrame:
    ended = [trial for trial in record.trials if trial.value is not None and trial.state != "running"]
    timed = sorted((t for t in ended if t.started is not None and t.seconds is not None), key=_end)
    total, examples = 0, []
    for trial in timed or ended:
        total += _examples(trial)
        examples.append((total, trial))
    rows = _steps(record, "trial", [(trial.number, trial) for trial in ended])
    rows += _steps(record, "examples", examples)
    rows += _steps(record, "seconds", [(_end(trial), trial) for trial in timed])
    return _frame("progress", rows)


def _end(trial: TrialRecord) -> float:
    return (trial.started or 0.0) + (trial.seconds or 0.0)


def _steps(record: StudyRecord, axis: str, points: Sequence[tuple[float, TrialRecord]]) -> list[dict[str, Any]]:
    metric, best, rows = MetricFormat.of(record), None, []
    for position, trial in points:
        if usable(trial) and trial.value is not None and (best is None or metric.better(trial.value, best)):
            best = trial.value
        row = {"axis": axis, "position": float(position), "trial": trial.number, "outcome": trial.outcome}
        rows.append(row | {"value": trial.value, "best": best})
    return rows


def _importance(record: StudyRecord, done: Frames) -> pd.DataFrame:
    rows = [
        {
            "hyperparameter": i.name,
            "importance": i.share,
            "low": i.low,
            "high": i.high,
            "trials": i.trials,
            "note": i.note,
        }
        for i in importances(record)
    ]
    return _frame("importance", sorted(rows, key=lambda row: -(row["importance"] or 0.0)))


def _hyperparameters(record: StudyRecord, done: Frames) -> pd.DataFrame:
    space = space_of(record)
    leader = best(record)
    known = {row["hyperparameter"]: row for row in done["importance"].to_dict("records")}
    rows = []
    searched = hyperparameters(record)
    for name in searched + [name for name in space if name not in searched]:
        value = _plain(leader.params.get(name)) if leader else None
        row = {"hyperparameter": name, "domain": domain(space[name]) if name in space else "", "best": value}
        row |= {"edge": edge(space.get(name), value)}
        rows.append(row | {key: known[name][key] for key in ("importance", "low", "high", "note") if name in known})
    return _frame("hyperparameters", rows)


def edge(wanted: Any, value: Any) -> str:
    """Return "low" or "high" where a value lies within 5 % of an end of its range, "" elsewhere.

    A low end of 0 is no edge to widen: dropout, momentum and depth cannot go below.
    """
    if not isinstance(wanted, Mapping) or "low" not in wanted or not isinstance(value, int | float):
        return ""
    low, high, value = (float(number) for number in (wanted["low"], wanted["high"], value))
    if not (low < high and isfinite(low) and isfinite(high)):
        return ""
    if wanted.get("log") and low > 0 and value > 0:
        low, high, value = log(low), log(high), log(value)
    position = (value - low) / (high - low)
    if position <= EDGE and wanted["low"] != 0:
        return "low"
    return "high" if position >= 1 - EDGE else ""


def _parameters(record: StudyRecord, done: Frames) -> pd.DataFrame:
    learned = [
        {"kind": "parameter", "name": layer.get("name"), "value": " × ".join(str(n) for n in layer.get("shape") or [])}
        | {"count": layer.get("count"), "set_by": "training: the optimizer, from the training rows"}
        for layer in record.result.get("layers") or []
    ]
    chosen = [
        {"kind": "hyperparameter", "name": row["hyperparameter"], "value": _cell(row["best"]), "count": 1}
        | {
            "set_by": "the study's author: one value"
            if row["domain"].startswith("fixed")
            else "the search, on the validation rows"
        }
        for row in done["hyperparameters"].to_dict("records")
        if best(record)
    ]
    for row, space in zip(chosen, done["hyperparameters"]["domain"], strict=False):
        if space.startswith("fixed at "):
            row["value"] = space.removeprefix("fixed at ")
    return _frame("parameters", learned + [row for row in chosen if row["value"] != ""])


def _cell(value: Any) -> str:
    missing = value is None or (isinstance(value, float) and isnan(value))
    return "" if missing else number(value)


def _timeline(record: StudyRecord, done: Frames) -> pd.DataFrame:
    now = max((_end(trial) for trial in record.trials), default=0.0)
    free: list[float] = []
    rows = []
    for trial in sorted((t for t in record.trials if t.started is not None), key=lambda t: (t.started, t.number)):
        start, end = trial.started or 0.0, _end(trial) if trial.seconds is not None else max(now, trial.started or 0.0)
        place = next((i for i, until in enumerate(free) if until <= start + 1e-9), len(free))
        free[place : place + 1] = [end]
        row = {"trial": trial.number, "outcome": trial.outcome or trial.state, "place": place + 1}
        rows.append(row | {"start": float(start), "end": float(end)})
    return _frame("timeline", rows)


def _confirmed(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Each confirmed trial's value in the search, its runs on fresh seeds and their mean; then the kept model on test rows.

    An ensemble has no trial; its mean is there where it was judged.
    """
    result, rows = record.result, []
    ensemble, choice = len(networks_of(result)) > 1, result.get("choice")
    kept = (result.get("trial"), result.get("seed"))
    for trial in result.get("confirmed") or []:
        number, counted = trial["trial"], len(trial["runs"])
        rows.append(_figure(number, "search", trial["search"], kept=kept == (number, None)))
        rows += [
            _figure(number, "fresh seed", run["value"], seed=run["seed"], kept=kept == (number, run["seed"]))
            | {"outcome": run["outcome"]}
            for run in trial["runs"]
        ]
        rows.append(_figure(number, "mean", trial["value"], trial) | {"runs": counted})
    if rows and choice:
        together = choice["ensemble"]
        rows.append(_figure(None, "mean", together["value"], together, kept=ensemble) | {"runs": choice["seeds"]})
    if rows and (test := test_of(result)):
        of = {} if ensemble else {"seed": result.get("seed")}
        rows.append(_figure(None if ensemble else result["trial"], "test rows", test["value"], test, kept=True, **of))
    return _frame("confirmed", rows)


def _figure(
    trial: int | None,
    what: str,
    value: float | None,
    ends: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    kept: bool = False,
) -> dict[str, Any]:
    low, high = ((ends or {}).get(end) for end in ("low", "high"))
    row = {"trial": trial, "what": what, "seed": seed, "value": value, "value_low": low, "value_high": high}
    return row | {"kept": "yes" if kept else None}


def _pareto(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Each usable trial's values in several objectives, those on the front first; no row where there is one objective."""
    if not record.objectives:
        return _frame("pareto", [])
    trials, maximize = judged(record), [better == "maximize" for better in record.objectives.values()]
    front = on_front([trial.values for trial in trials], maximize)
    rows = [
        {"trial": trial.number, **_values(record, trial), "front": "yes" if on else None}
        for trial, on in sorted(zip(trials, front, strict=True), key=lambda pair: not pair[1])
    ]
    return _frame("pareto", rows, record.objectives)


def _values(record: StudyRecord, trial: TrialRecord) -> dict[str, float | int]:
    """Return a trial's values in several objectives by name; a count is whole."""
    named = zip(record.objectives, trial.values, strict=True)
    return {name: round(value) if name == "parameters" else value for name, value in named}


def _confusion(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return how many rows of each class the kept network took for each class; of many classes the most frequent confusions alone."""
    said = record.result.get("predicted") or {}
    classes, rows = said.get("classes") or [], []
    for label, counts in zip(classes, said.get("confusion") or [], strict=True):
        rows += [(label, other, amount, sum(counts)) for other, amount in zip(classes, counts, strict=True)]
    rows += [tuple(pair) for pair in said.get("pairs") or []]
    told = [{"true": true, "predicted": other, "rows": amount, "of": of} for true, other, amount, of in rows]
    return _frame("confusion", [{**row, "share": row["rows"] / row["of"] if row["of"] else None} for row in told])


def _predictions(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return single rows of a regression: the target's value and the kept network's, as far as both are numbers."""
    points = (record.result.get("predicted") or {}).get("points") or []
    known = [(float(true), float(made)) for true, made in points if true is not None and made is not None]
    return _frame("predictions", [{"true": true, "predicted": made, "error": made - true} for true, made in known])


def _errors(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return a regression's errors by tenths of the rows, ordered by the target."""
    tenths = (record.result.get("predicted") or {}).get("tenths") or []
    names = ("low", "high", "rows", "error_low", "error", "error_high")
    return _frame("errors", [dict(zip(names, tenth, strict=True)) for tenth in tenths])


def _outcomes(record: StudyRecord, done: Frames) -> pd.DataFrame:
    names = [trial.outcome or trial.state for trial in record.trials]
    meanings = {outcome.value: outcome.meaning for outcome in Outcome} | STATES
    known = [name for name in meanings if name in names]
    order = known + sorted(set(names) - set(known))
    rows = [
        {"outcome": n, "trials": names.count(n), "meaning": meanings.get(n, "not known to this version")} for n in order
    ]
    return _frame("outcomes", rows)


STATES = {
    "running": "training now",
    "waiting": "queued, not yet begun",
    "fail": "ended by an error of the program or the machine; the sampler does not see it",
    "complete": "ended; the storage does not say how",
}

HYPERPARAMETER = Column(
    "<hyperparameter>", "", "one column for each searched hyperparameter; empty where the trial has none"
)
TRIAL = Column("trial", "", "the trial's number, from 0, in the order in which they were proposed")
OUTCOME = Column("outcome", "", "how the trial ended, or its state while it has not")
VALUE = Column("value", "metric", "the study's metric on the validation rows, at the trial's best evaluation")
PARAMETERS = Column("parameters", "count", "trainable numbers of the network")
SECONDS = Column("seconds", "s", "wall time of the trial")

COLUMNS: dict[str, tuple[Column, ...]] = {
    "trials": (
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
    ),
    "leaderboard": (
        Column("rank", "", "1 is the best"),
        TRIAL,
        VALUE,
        Column("standard_error", "metric", "of the value, over the folds of a cross-validation"),
        HYPERPARAMETER,
        PARAMETERS,
        SECONDS,
    ),
    "curves": (
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
    ),
    "progress": (
        Column("axis", "", "what `position` counts: trial, examples or seconds"),
        Column(
            "position", "", "trial number; examples trained so far by all trials; seconds since the first trial began"
        ),
        TRIAL,
        OUTCOME,
        VALUE,
        Column("best", "metric", "the best value of a usable trial so far"),
    ),
    "importance": (
        Column("hyperparameter", "", "its name"),
        Column("importance", "share", "PED-ANOVA: the part of what sets the best trials apart, all together 1"),
        Column("low", "share", "lower end of the 90 % bootstrap interval"),
        Column("high", "share", "upper end of the 90 % bootstrap interval"),
        Column("trials", "count", "trials with a value that have the hyperparameter, failed and pruned ones too"),
        Column("note", "", "why it is unknown, or over which trials it holds"),
    ),
    "hyperparameters": (
        Column("hyperparameter", "", "its name"),
        Column("domain", "", "what the study allowed"),
        Column("best", "", "its value in the kept trial, in the best one so far while the search runs"),
        Column("edge", "", "low or high: that value lies within 5 % of that end of the range"),
        Column("importance", "share", "see the table importance"),
        Column("low", "share", "lower end of the interval"),
        Column("high", "share", "upper end of the interval"),
        Column("note", "", "why the importance is unknown, or over which trials it holds"),
    ),
    "parameters": (
        Column("kind", "", "parameter: learned from the training rows; hyperparameter: chosen before training"),
        Column("name", "", "tensor or hyperparameter"),
        Column("value", "", "a tensor's shape, a hyperparameter's value in the best trial"),
        Column("count", "count", "numbers in it"),
        Column("set_by", "", "who sets it, and from which rows"),
    ),
    "timeline": (
        TRIAL,
        OUTCOME,
        Column("place", "", "trials that run at the same time have different places, from 1"),
        Column("start", "s", "since the study's first trial"),
        Column("end", "s", "since the study's first trial; of a running trial the latest time known"),
    ),
    "confirmed": (
        Column("trial", "", "the trial's number; empty for the ensemble"),
        Column(
            "what", "", "search: its value there; fresh seed: one run; mean: over those; test rows: the kept model's"
        ),
        Column("seed", "", "of a run on a fresh seed, from 0"),
        Column("value", "metric", "the study's metric, on the validation rows or on the test rows"),
        Column("value_low", "metric", "lower end of the 95 % interval: Student's over seeds, on test rows over rows"),
        Column("value_high", "metric", "upper end of the 95 % interval"),
        Column("runs", "count", "runs of the mean; a failed one counts with the metric's worst value"),
        OUTCOME,
        Column("kept", "", "yes: the network that was kept is this run's, or the row is of the ensemble that was kept"),
    ),
    "pareto": (
        TRIAL,
        Column(
            "<objective>",
            "",
            "one column for each objective, where the study has several: its value on the validation rows",
        ),
        Column("front", "", "yes: no other trial is as good in every objective and better in one"),
    ),
    "confusion": (
        Column("true", "", "the class of the rows"),
        Column("predicted", "", "the class that the kept network took them for"),
        Column("rows", "count", "rows of this class that were taken for that one"),
        Column("of", "count", "rows of this class in all"),
        Column("share", "share", "the first of the second"),
    ),
    "predictions": (
        Column("true", "target", "the target's value of a row; of many rows a random choice"),
        Column("predicted", "target", "the kept network's value"),
        Column("error", "target", "predicted minus true"),
    ),
    "errors": (
        Column("low", "target", "the lowest true value of a tenth of the rows"),
        Column("high", "target", "the highest"),
        Column("rows", "count", "rows in this tenth"),
        Column("error_low", "target", "predicted minus true: a tenth of the rows lies lower"),
        Column("error", "target", "predicted minus true: the median"),
        Column("error_high", "target", "predicted minus true: a tenth of the rows lies higher"),
    ),
    "outcomes": (OUTCOME, Column("trials", "count", "trials with it"), Column("meaning", "", "what it means")),
}

_ROWS = (
    Table("trials", "All trials", COLUMNS["trials"], _trials),
    Table("leaderboard", "The best trials", COLUMNS["leaderboard"], _leaderboard),
    Table("curves", "Learning curves", COLUMNS["curves"], _curves),
    Table("progress", "Best value so far", COLUMNS["progress"], _progress),
    Table("importance", "Importance of the hyperparameters", COLUMNS["importance"], _importance),
    Table("hyperparameters", "Hyperparameters", COLUMNS["hyperparameters"], _hyperparameters),
    Table("parameters", "Parameters and hyperparameters", COLUMNS["parameters"], _parameters),
    Table("timeline", "When each trial ran", COLUMNS["timeline"], _timeline),
    Table("confirmed", "The best trials on fresh seeds", COLUMNS["confirmed"], _confirmed),
    Table("pareto", "Several objectives", COLUMNS["pareto"], _pareto, optional=True),
    Table("confusion", "Which classes are confused", COLUMNS["confusion"], _confusion, optional=True),
    Table("predictions", "Predicted and true values", COLUMNS["predictions"], _predictions, optional=True),
    Table("errors", "Errors along the target", COLUMNS["errors"], _errors, optional=True),
    Table("outcomes", "How the trials ended", COLUMNS["outcomes"], _outcomes),
)
TABLES: dict[str, Table] = {table.name: table for table in _ROWS}


def frames(record: StudyRecord) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES` by name; a study without trials gives tables without rows."""
    done: dict[str, pd.DataFrame] = {}
    for table in TABLES.values():
        done[table.name] = table.build(record, done)
    return done


def write(tables: Frames, folder: Path, metric: MetricFormat | None = None) -> list[Path]:
    """Write each table as `folder/NAME.csv`, the leaderboard as Markdown too, and what the columns mean as `columns.csv`.

    An optional table without rows does not apply to the study: it is not written, and one of an earlier version is removed.

    Args:
        tables: what `frames` returned.
        folder: made where it is missing.
        metric: writes the leaderboard's values as percentages where they are; None leaves plain numbers.

    Returns:
        The files written.

    Raises:
        StorageError: a file cannot be written; the one before it is left as it was.

    """
    make_folder(folder)
    left_out = {name for name, frame in tables.items() if TABLES[name].optional and not len(frame)}
    for name in left_out:
        _remove(folder / f"{name}.csv")
    texts = {f"{name}.csv": _csv(frame) for name, frame in tables.items() if name not in left_out}
    meanings = [
        (t.name, c.name, c.unit, c.meaning) for t in TABLES.values() for c in t.columns if t.name not in left_out
    ]
    texts["columns.csv"] = _csv(pd.DataFrame(meanings, columns=["table", "column", "unit", "meaning"]))
    texts["leaderboard.md"] = markdown(leaders(tables), metric)
    for name, content in texts.items():
        write_file(folder / name, content.encode("utf-8", "backslashreplace"))  # a name may hold half a character
    return [folder / name for name in texts]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}. Mend the folder, then run the same command.") from error


def leaders(tables: Frames) -> pd.DataFrame:
    """Return the leaderboard as readers see it: without what only a cross-validation has where there was none."""
    board = tables["leaderboard"]
    return board.drop(columns="standard_error") if board["standard_error"].isna().all() else board


def _csv(frame: pd.DataFrame) -> str:
    safe = frame.rename(columns=inert)
    for i, name in enumerate(frame.columns):
        if frame[name].dtype.kind in "OUT":
            safe.isetitem(i, pd.Series([inert(value) for value in frame[name]], index=frame.index, dtype="object"))
    return str(safe.to_csv(index=False, lineterminator="\n"))


def markdown(frame: pd.DataFrame, metric: MetricFormat | None = None) -> str:
    """Return a table as Markdown, its cells as the report shows them."""
    head = f"| {' | '.join(_bar(name) for name in frame.columns)} |\n|{' --- |' * len(frame.columns)}\n"
    return head + "".join(f"| {' | '.join(_bar(cell) for cell in row)} |\n" for row in cells(frame, metric))


def _bar(text: object) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")
    return escaped.replace("[", "\\[").replace("`", "\\`")


def cells(frame: pd.DataFrame, metric: MetricFormat | None = None) -> list[list[str]]:
    """Return a frame's cells as readable text: rounded numbers, shares and seconds with their unit, "" where empty."""
    names = list(frame.columns)
    return [
        [_shown(name, value, metric) for name, value in zip(names, row, strict=True)]
        for row in frame.to_numpy(dtype=object)
    ]


def _shown(name: str, value: Any, metric: MetricFormat | None) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and isnan(value)):
        return ""
    if name in VALUES and metric and isinstance(value, int | float):
        return metric.text(float(value), 2)
    if name in ("seconds", "started", "start", "end"):
        return duration(float(value))
    if name in ("trial", "rank", "repeats", "evaluation", "seed"):
        return str(value)
    return number(value.item() if hasattr(value, "item") else value)
