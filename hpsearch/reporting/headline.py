"""The first thing that a reader wants to know: how good the selected model is, how sure that is, what no model at all reaches."""

import shlex
from pathlib import PurePath

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.formatting import MetricFormat, sentence
from hpsearch.reporting.pieces import Headline, Value
from hpsearch.reporting.ranking import best, settings_of
from hpsearch.reporting.selection import usable_trials
from hpsearch.reporting.summary import result_values, scores
from hpsearch.reporting.trust import always, beside
from hpsearch.storage import StudyRecord

REPORTS = PurePath("reports")  # where commands look for studies
SAID = ("test", "baseline")  # scores that the headline has


def headline(record: StudyRecord, texts: Texts = ENGLISH) -> Headline | None:
    """Return the most honest value that there is, with its remark and the baseline on the same rows; None without a usable trial."""
    metric = MetricFormat.of(record, texts)
    leader = best(record)
    if leader is None:
        return None
    selected = record.selected
    if selected.test:
        rows, value = "test", selected.test.value
    elif selected.mean:
        rows, value = "mean", selected.mean.value
    else:
        rows, value = "best", record.result.get("validation", leader.value)
    order = "percent" if metric.percent else "number"
    text = texts(f"search.headline.{order}_{rows}", value=metric.text(value), metric=metric.name)
    return Headline(text, _remark(record, rows, texts), _baseline(record, metric, texts))


def _remark(record: StudyRecord, rows: str, texts: Texts) -> str:
    """Return the interval and what it is over; of a search's best value that it is one."""
    if rows == "best":
        return texts("search.headline.flattering", trials=usable_trials(record, texts))
    known = scores(record, texts)
    return known[rows].remark if rows in known else ""


def _baseline(record: StudyRecord, metric: MetricFormat, texts: Texts) -> str:
    both = beside(record)
    if both is None:
        return ""
    return texts("search.headline.baseline", always=sentence(always(record, texts)), value=metric.text(both.baseline))


def further_values(record: StudyRecord, texts: Texts = ENGLISH) -> list[Value]:
    """Return the numbers of a result that its headline has not."""
    known = scores(record, texts)
    said = [known[name] for name in SAID if name in known]
    return [value for value in result_values(record, texts) if value not in said]


def next_command(record: StudyRecord, folder: PurePath | None = None) -> str:
    """Return the command that predicts new rows with the selected model; "" before there is one, and of arrays, which no file holds.

    A study that does not lie where commands look for its name is called by its `folder`.
    """
    data = settings_of(record, "data")
    if not record.selected.networks or record.foreign or not (data.get("name") or data.get("file")):
        return ""
    suffix = PurePath(str(data.get("file") or "")).suffix or ".csv"
    source = record.name
    if folder is not None:
        source = folder.name if folder.parent == REPORTS else str(folder)
    return f"python -m hpsearch predict {shlex.quote(source)} new{suffix} -o predictions.csv"


def compare_command(record: StudyRecord) -> str:
    """Return the command that compares the regimes on the study's data, tuned alike; a file's or a program's need a study of their own."""
    name = settings_of(record, "data").get("name")
    if isinstance(name, str) and name and not record.from_python:
        return f"python -m hpsearch compare {shlex.quote(name)}"
    return "python -m hpsearch compare STUDY.toml"
