"""Tables of a result: the best trials on fresh seeds, several objectives, and the predictions of single rows."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import repeat
from typing import Any

import pandas as pd

from hpsearch.reporting.ranking import with_all_objectives
from hpsearch.reporting.replicates import failed_runs
from hpsearch.reporting.tables.table import OUTCOME, TRIAL, Column, Frames, Row, Table, frame
from hpsearch.statistics.pareto import on_front
from hpsearch.storage import StudyRecord

CONFIRMED = (
    Column("trial", "", "the trial's number; empty for the ensemble"),
    Column(
        "what", "", "search: its value there; fresh seed: one run; mean: over those; test rows: the selected model's"
    ),
    Column("seed", "", "of a run on a fresh seed, from 0"),
    Column("value", "metric", "the study's metric, on the validation rows or on the test rows"),
    Column("value_low", "metric", "lower end of the 95 % interval: Student's over seeds, on test rows over rows"),
    Column("value_high", "metric", "upper end of the 95 % interval"),
    Column("runs", "count", "runs with a value, over which the mean is"),
    OUTCOME,
    Column("kept", "", "yes: the selected network is this run's, or the row is that of the selected ensemble"),
)


def _confirmed(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return each confirmed trial's value in the search, its runs on fresh seeds and their mean; then the selected model on test rows.

    An ensemble has no trial; its mean is there where it was judged.
    """
    result = record.result
    choice = record.result.get("choice")
    rows: list[Row] = []
    for trial in result.get("confirmed") or []:
        rows += _of_trial(trial, selected=(result.get("trial"), result.get("seed")))
    if not rows:
        return frame(CONFIRMED, rows)
    is_ensemble = record.selected.is_ensemble
    if choice:
        ensemble = choice["ensemble"]
        mean = _scored(None, "mean", ensemble["value"], ensemble, selected=is_ensemble)
        rows.append(mean | {"runs": choice["seeds"]})
    test = record.selected.test
    if test:
        seed = None if is_ensemble else result.get("seed")
        trial = None if is_ensemble else result["trial"]
        rows.append(_scored(trial, "test rows", test.value, asdict(test), seed=seed, selected=True))
    return frame(CONFIRMED, rows)


def _of_trial(trial: Mapping[str, Any], selected: tuple[int | None, int | None]) -> list[Row]:
    """Return a confirmed trial's rows; `selected` is the trial and the seed of the selected network."""
    number = trial["trial"]
    runs = trial["runs"]
    rows: list[Row] = [_scored(number, "search", trial["search"], selected=selected == (number, None))]
    for run in runs:
        seed = run["seed"]
        row = _scored(number, "fresh seed", run["value"], seed=seed, selected=selected == (number, seed))
        rows.append(row | {"outcome": run["outcome"]})
    rows.append(_scored(number, "mean", trial["value"], trial) | {"runs": len(runs) - failed_runs(trial).total()})
    return rows


def _scored(
    trial: int | None,
    what: str,
    value: float | None,
    ends: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    selected: bool = False,
) -> dict[str, Any]:
    """Return one row; `ends` has the ends of its interval."""
    row = {"trial": trial, "what": what, "seed": seed, "value": value, "kept": "yes" if selected else None}
    if ends:
        row |= {"value_low": ends.get("low"), "value_high": ends.get("high")}
    return row


PARETO = (
    TRIAL,
    Column(
        "<objective>",
        "",
        "one column for each objective, where the study has several: its value on the validation rows",
    ),
    Column("front", "", "yes: no other trial is as good in every objective and better in one"),
)


def _pareto(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return each usable trial's values in several objectives, those on the front first; no row where there is one objective."""
    if not record.objectives:
        return frame(PARETO, [])
    trials = with_all_objectives(record)
    front = on_front(
        [trial.values for trial in trials], [better == "maximize" for better in record.objectives.values()]
    )
    rows = []
    for trial, on in sorted(zip(trials, front, strict=True), key=lambda pair: not pair[1]):
        row = {"trial": trial.number, **dict(zip(record.objectives, trial.values, strict=True))}
        if "parameters" in row:
            row["parameters"] = round(row["parameters"])  # a count is an integer
        rows.append(row | {"front": "yes" if on else None})
    return frame(PARETO, rows, record.objectives)


CONFUSION = (
    Column("true", "", "the class of the rows"),
    Column("predicted", "", "the class that the selected model took them for"),
    Column("rows", "count", "rows of this class that were taken for that one"),
    Column("of", "count", "all rows of this class"),
    Column("share", "share", "`rows` divided by `of`"),
)


def predicted_of(record: StudyRecord) -> dict[str, Any]:
    """Return what the storage has of the predictions of single rows, {} without them."""
    return record.result.get("predicted") or {}


def _confusion(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return how many rows of each class were taken for each class; of many classes the most frequent confusions only."""
    predicted = predicted_of(record)
    classes = predicted.get("classes") or []
    cells: list[Any] = []
    for label, counts in zip(classes, predicted.get("confusion") or [], strict=True):
        cells += zip(repeat(label), classes, counts, repeat(sum(counts)), strict=False)
    cells += predicted.get("pairs") or []
    return frame(CONFUSION, [_cell(*cell) for cell in cells])


def _cell(true: str, other: str, amount: int, of: int) -> Row:
    return {"true": true, "predicted": other, "rows": amount, "of": of, "share": amount / of if of else None}


LABELS = (
    Column("label", "", "a label that rows may have"),
    Column("rows", "count", "rows that have it"),
    Column("found", "count", "of these, rows that were taken for it"),
    Column("missed", "count", "of these, rows that were not"),
    Column("wrong", "count", "rows that were taken for it and have it not"),
    Column("neither", "count", "rows that have it not and were not taken for it"),
    Column("precision", "share", "of the rows that were taken for it, those that have it"),
    Column("recall", "share", "`found` divided by `rows`"),
    Column("f1", "", "harmonic mean of precision and recall"),
)


def _labels(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return how many rows have each label, and how many of them were taken for it."""
    predicted = predicted_of(record)
    names = predicted.get("labels") or []
    counts = predicted.get("label_counts") or []
    return frame(LABELS, [_label_row(name, *numbers) for name, numbers in zip(names, counts, strict=True)])


def _label_row(name: str, neither: int, wrong: int, missed: int, found: int) -> Row:
    rows = found + missed
    taken = found + wrong
    return {
        "label": name,
        "rows": rows,
        "found": found,
        "missed": missed,
        "wrong": wrong,
        "neither": neither,
        "precision": found / taken if taken else None,
        "recall": found / rows if rows else None,
        "f1": 2 * found / (rows + taken) if rows + taken else None,
    }


PREDICTIONS = (
    Column("true", "target", "the target's value of a row; of many rows a random choice"),
    Column("predicted", "target", "the selected model's value"),
    Column("error", "target", "predicted minus true"),
)


def _predictions(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return single rows of a regression: the target's value and the selected model's, as far as both are numbers."""
    rows = []
    for true, made in predicted_of(record).get("points") or []:
        if true is not None and made is not None:
            rows.append({"true": float(true), "predicted": float(made), "error": float(made) - float(true)})
    return frame(PREDICTIONS, rows)


ERRORS = (
    Column("low", "target", "the lowest true value of a bin, which holds a tenth of the rows"),
    Column("high", "target", "the highest"),
    Column("rows", "count", "rows in this bin"),
    Column("error_low", "target", "predicted minus true: the 10th percentile"),
    Column("error", "target", "predicted minus true: the median"),
    Column("error_high", "target", "predicted minus true: the 90th percentile"),
)


def _errors(record: StudyRecord, done: Frames) -> pd.DataFrame:
    """Return a regression's errors in bins of a tenth of the rows each, ordered by the target."""
    names = [column.name for column in ERRORS]
    bins = predicted_of(record).get("tenths") or []
    return frame(ERRORS, [dict(zip(names, values, strict=True)) for values in bins])


REPLICATES = Table("confirmed", "The best trials on fresh seeds", CONFIRMED, _confirmed)
OBJECTIVES = Table("pareto", "Several objectives", PARETO, _pareto, optional=True)
CLASSES = Table("confusion", "Which classes are confused", CONFUSION, _confusion, optional=True)
OF_LABELS = Table("labels", "Which labels are found", LABELS, _labels, optional=True)
ROWS = Table("predictions", "Predicted and true values", PREDICTIONS, _predictions, optional=True)
BINS = Table("errors", "Errors along the target", ERRORS, _errors, optional=True)
