"""Several searches side by side on one page: which is best on new data, each in a line, their courses, winners and settings.

`contrast` compares their scores, `settings` says what differs and what keeps them from being compared, `progress` draws their courses.
"""

from collections.abc import Sequence
from typing import Any

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting import pieces
from hpsearch.reporting.formatting import MetricFormat, duration, identifier, number, visible
from hpsearch.reporting.ranking import best, ended, ranked, settings_of
from hpsearch.reporting.rendering import document, figure_json
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.selection import network
from hpsearch.reporting.several.contrast import Contrast, basis, contrasts, differing, score_of
from hpsearch.reporting.several.progress import progress_figure
from hpsearch.reporting.several.settings import Record, differences, labels, obstacles
from hpsearch.reporting.study_page import script_texts
from hpsearch.reporting.tables.table import end_of
from hpsearch.storage import StudyRecord
from hpsearch.storage.records import Score

COLUMNS = (
    "study",
    "test",
    "validation",
    "network",
    "trials",
    "time",
    "data",
    "rows",
    "metric",
    "seed",
    "version",
)
NUMBERS = ("test", "validation", "trials", "rows", "seed")


def several_page(records: Sequence[StudyRecord], texts: Texts = ENGLISH) -> str:
    """Return searches, two or more, side by side as one HTML document."""
    records = [of_completed_runs(record) for record in records]
    judged = basis(records)
    found = contrasts(records, judged)
    sections = [
        _table(records, found, texts),
        _courses(records, texts),
        _winners(records, texts),
        differences(records, texts),
    ]
    return page_of(
        records, [_answer(records, judged, found, texts)], [section for section in sections if section], texts
    )


def page_of(records: Sequence[Record], first: Sequence[Any], sections: Sequence[Any], texts: Texts) -> str:
    """Return a page of several studies: what comes first, what keeps them from being compared, then the sections."""
    cautions = obstacles(records, texts)
    content = [*first]
    if cautions:
        content.append(pieces.Warnings(texts("page.note"), cautions))
    content += [*sections, pieces.Footer(texts("several.footer", date=max(record.as_of for record in records)))]
    names = texts.listing(labels(records))
    return document(
        pieces.Page(
            window=texts("several.window", names=visible(names, 100)),
            language=texts.language,
            kind=texts("several.kind", date=max(record.as_of for record in records)),
            heading=visible(names, 200),
            question="",
            introduction=[],
            pieces=content,
            script_texts=script_texts(texts),
        )
    )


# ------------------------------------------------------------------ the answer


def _answer(records: Sequence[StudyRecord], judged: str, found: Sequence[Contrast], texts: Texts) -> pieces.Result:
    """Return which study is best on new data, and how sure that is."""
    title = texts("several.answer.title")
    if name := differing(records):
        return pieces.Result(title, [pieces.Paragraph(texts(f"several.answer.other_{name}"), "best")])
    if not found:
        return pieces.Result(title, [pieces.Paragraph(texts("several.answer.too_few"), "best")])
    names = dict(zip(map(id, records), labels(records), strict=True))
    first = found[0].best
    key = "best" if all(one.is_clear for one in found) else "unclear"
    value, remark = _value_of(first, judged, texts)
    shown = pieces.Headline(texts(f"several.answer.{key}", best=names[id(first)], answer=value), remark, "")
    lines = [pieces.Paragraph(_against(one, names[id(one.other)], judged, texts)) for one in found]
    without = [names[id(record)] for record in records if not score_of(record, judged)]
    if without:
        lines.append(pieces.Paragraph(texts("several.answer.without", names=texts.listing(without))))
    note = texts(f"several.answer.{judged}_note")
    if len(found) > 1:
        note = f"{note} {texts('several.answer.several_note')}"
    return pieces.Result(title, lines, note=note, headline=shown)


def _value_of(record: StudyRecord, judged: str, texts: Texts) -> tuple[str, str]:
    """Return a study's value by which it is judged, and its interval; "" without one."""
    metric = MetricFormat.of(record, texts)
    score = score_of(record, judged)
    assert score is not None, "a study that is judged has a score"
    order = "percent" if metric.percent else "number"
    value = texts(f"search.headline.{order}_{judged}", value=metric.text(score.value), metric=metric.name)
    if score.low is None or score.high is None:
        return value, ""
    over = "seeds" if judged == "mean" else "rows"
    return value, texts(f"search.trust.over_{over}", interval=metric.between(score.low, score.high))


def _against(one: Contrast, other: str, judged: str, texts: Texts) -> str:
    """Say by how much the best study is better than another one, and what the interval is of."""
    metric = MetricFormat.of(one.best)
    score = score_of(one.other, judged)
    value = metric.text(score.value if score else None)
    if one.gap is None:
        return texts("several.answer.no_interval", other=other, value=value)
    ends = metric.differences(one.gap.low, one.gap.high)
    how = texts(f"several.how.{one.how}", rows=number(score.count if score else None))
    gap = metric.gap(one.gap.value, 0.0)
    key = "clear" if one.is_clear else "not_apart"
    return texts(f"several.answer.{key}", other=other, value=value, gap=gap, interval=ends, how=how)


# ------------------------------------------------------------------ the studies


def _table(records: Sequence[StudyRecord], found: Sequence[Contrast], texts: Texts) -> pieces.Section:
    """Return a line on each study; the best one is marked."""
    head = [texts(f"several.column.{name}") for name in COLUMNS]
    rows = []
    for record, label in zip(records, labels(records), strict=True):
        cells = {"study": label, **_cells(record, texts)}
        rows.append([cells[name] for name in COLUMNS])
    numeric = [texts(f"several.column.{name}") for name in NUMBERS]
    chosen = next((place for place, record in enumerate(records) if found and record is found[0].best), -1)
    title = texts("several.studies")
    table = pieces.PageTable(head, rows, numeric, chosen=chosen, pinned=True, label=title)
    return pieces.Section("studies", title, [table])


def _cells(record: StudyRecord, texts: Texts) -> dict[str, str]:
    """Return what the table has of a study, by column."""
    metric = MetricFormat.of(record, texts)
    seconds = max((end_of(trial) for trial in record.trials if trial.seconds is not None), default=None)
    versions = record.result.get("versions") or {}
    return {
        "data": visible(record.data.get("title") or record.data.get("name") or "–", 80),
        "rows": _rows(record),
        "metric": metric.name,
        "trials": f"{sum(map(ended, record.trials)):,} ({len(ranked(record)):,})",
        "network": _network(record, texts),
        "validation": _interval(score_of(record, "mean") or score_of(record, "best"), metric),
        "test": _interval(score_of(record, "test"), metric),
        "time": duration(seconds),
        "seed": str(settings_of(record, "study").get("seed", "–")),
        "version": visible(versions.get("hpsearch") or "–", 40),
    }


def _rows(record: StudyRecord) -> str:
    rows = record.data.get("rows")
    if not rows:
        return "–"
    return " / ".join(number(rows.get(part)) for part in ("training", "validation", "test"))


def _network(record: StudyRecord, texts: Texts) -> str:
    """Return the selected model's shape in a few words."""
    if record.selected.is_ensemble:
        return texts.count("network", len(record.selected.networks))
    shape = record.result.get("architecture")
    if isinstance(shape, dict) and isinstance(shape.get("widths"), list):
        return network(shape["widths"], str(shape.get("activation") or ""), texts)
    leader = best(record)
    if leader is None:
        return "–"
    return texts("search.points.trial", trial=leader.number)


def _interval(score: Score | None, metric: MetricFormat) -> str:
    if score is None:
        return "–"
    if score.low is None or score.high is None:
        return metric.text(score.value)
    return f"{metric.text(score.value)} ({metric.between(score.low, score.high)})"


def _courses(records: Sequence[StudyRecord], texts: Texts) -> pieces.FigureSection | None:
    """Return the best value so far of each study, where all have one metric."""
    drawn = None
    if len({record.data.get("metric") for record in records}) == 1:
        drawn = progress_figure(records, texts)
    if drawn is None:
        return None
    title, question, reading = (texts(f"several.courses.{name}") for name in ("title", "question", "reading"))
    return pieces.FigureSection("courses", title, question, [reading], figure_json(drawn))


def _winners(records: Sequence[StudyRecord], texts: Texts) -> pieces.Section | None:
    """Return the hyperparameters of each study's selected trial, a column a study."""
    leaders = [best(record) for record in records]
    params = [dict(leader.params) if leader else {} for leader in leaders]
    names = dict.fromkeys(name for table in params for name in table)
    if not names:
        return None
    rows = [[identifier(name, 60), *(_value(table, name) for table in params)] for name in names]
    head = [texts("several.winners.name"), *labels(records)]
    title = texts("several.winners.title")
    return pieces.Section("winners", title, [pieces.PageTable(head, rows, label=title)])


def _value(params: dict[str, Any], name: str) -> str:
    return visible(number(params[name]), 60) if name in params else "–"
