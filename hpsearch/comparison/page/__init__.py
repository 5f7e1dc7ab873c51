"""The report of a comparison: one page from the storage alone, first the verdicts on what the textbook claims, then the evidence.

Every sentence is a text of `hpsearch.reporting.locales` filled with the record's numbers, so that the page can be had in any
language there is. Tables are written beside it as CSV, one for each figure.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.comparison.analysis.verdicts import Verdict, verdicts
from hpsearch.comparison.figures import COMPARISON_FIGURES, ComparisonFigure
from hpsearch.comparison.page.cautions import cautions
from hpsearch.comparison.page.closing import checks, protocol, runs_table
from hpsearch.comparison.page.opening import asked, glance
from hpsearch.comparison.page.said import said
from hpsearch.files import inert, make_folder, write_file
from hpsearch.reporting.derived import derived
from hpsearch.reporting.figures import DARK, LIGHT, plotly_script
from hpsearch.reporting.formatting import number, visible
from hpsearch.reporting.locales import Texts
from hpsearch.reporting.page import (
    WORDS,
    Html,
    bullets,
    document,
    element,
    facts,
    link,
    paragraph,
    section,
    table,
    text,
)
from hpsearch.reporting.plain import plain
from hpsearch.storage import ComparisonRecord

PREVIEW = 20  # rows of a table that the page shows; the file has all of them


def write_comparison(record: ComparisonRecord, folder: Path, language: str = "en") -> Path:
    """Write `folder/tables/*.csv` and the page, `report.html` (in another language than English `report.LANGUAGE.html`).

    Args:
        record: the comparison as it was read from its storage; it may be running or empty.
        folder: its folder, made where it is missing. Files in it with these names are replaced, each in one step.
        language: a row of `hpsearch.reporting.locales.LANGUAGES`.

    Raises:
        UserError: no such language.
        StorageError: a file cannot be written, or the record is not as hpsearch writes it.
    """
    texts = Texts(language)
    with derived(record.name):
        tables = {figure.name: _csv(rows) for figure in COMPARISON_FIGURES if (rows := figure.numbers(record))}
        made = page(record, texts)
    make_folder(folder / "tables")
    for table_, content in tables.items():
        write_file(folder / "tables" / f"{table_}.csv", content)
    name = "report.html" if language == "en" else f"report.{language}.html"
    write_file(folder / name, made)
    return folder / name


def page(record: ComparisonRecord, texts: Texts) -> str:
    """Return the report as one HTML document."""
    drawn = {row.name: figure for row in COMPARISON_FIGURES if (figure := row.draw(record, texts)) is not None}
    data = {name: plain(figure) for name, figure in drawn.items()}
    closing = {"runs": runs_table(record, texts), "checks": checks(record, texts), "protocol": protocol(record, texts)}
    body = [
        _headline(record, texts),
        _verdicts(record, data, texts),
        glance(record, texts),
        _cautions(record, texts),
        _contents(data, [name for name, piece in closing.items() if piece], texts),
        *(_figure(row, record, texts, data.get(row.name)) for row in COMPARISON_FIGURES if _asked(row, record)),
        *closing.values(),
        _footer(record, texts),
    ]
    dark = {LIGHT[name]: DARK[name] for name in LIGHT}
    words = {key: texts(f"page.{key}") for key in WORDS}
    script = plotly_script() if data else ""
    title = texts("page.window", name=visible(record.name, 100))
    return document(title, body, data, dark, script, texts.language, words)


def _headline(record: ComparisonRecord, texts: Texts) -> Html:
    study = record.settings.get("study", {})
    return Html(
        paragraph(texts("page.kind", date=record.as_of), "kind")
        + element("h1", text(visible(study.get("name") or record.name, 200)))
        + paragraph(visible(study.get("question") or "", 400), "question")
        + "".join(paragraph(line) for line in asked(record, texts))
    )


def _verdicts(record: ComparisonRecord, data: Mapping[str, Any], texts: Texts) -> Html:
    """Return the claims with their verdicts: the first thing on the page."""
    rows = [_verdict(verdict, record, data, texts) for verdict in verdicts(record)]
    inner = [element("h2", text(texts("page.verdicts"))), paragraph(texts("page.verdicts_said"), "note"), *rows]
    return element("div", *inner, class_="result verdicts", id="verdicts")


def _verdict(verdict: Verdict, record: ComparisonRecord, data: Mapping[str, Any], texts: Texts) -> Html:
    key = f"verdict.{verdict.claim}.{verdict.reason}"
    sentence = texts(key if texts.has(key) else f"verdict.{verdict.reason}", **said(verdict.values, record, texts))
    links = [link(texts(f"figure.{name}.title"), f"#about-{name}") for name in verdict.figures if name in data]
    shown = [piece for one in links for piece in (text(" · "), one)][1:]
    return element(
        "div",
        element("span", text(texts(f"judgement.{verdict.judgement}")), class_=f"badge {verdict.judgement}"),
        element("h3", text(texts(f"claim.{verdict.claim}"))),
        paragraph(sentence),
        element("p", *shown, class_="note") if shown else Html(""),
        class_="verdict",
    )


def _cautions(record: ComparisonRecord, texts: Texts) -> Html:
    found = cautions(record, texts)
    head = paragraph(texts("page.note"))
    return element("div", head, bullets(found), class_="warnings", id="warnings") if found else Html("")


def _asked(row: ComparisonFigure, record: ComparisonRecord) -> bool:
    """Whether a figure belongs to what was asked: the escape tests, a comparison on data, or both."""
    return bool(record.minima if row.name.startswith("escape_") else record.arms)


def _contents(data: Mapping[str, Any], closing: Sequence[str], texts: Texts) -> Html:
    places = [
        (f"about-{row.name}", texts(f"figure.{row.name}.title")) for row in COMPARISON_FIGURES if row.name in data
    ]
    places += [(name, texts(f"page.{name}")) for name in closing]
    return element("nav", *(link(title, f"#{anchor}") for anchor, title in places))


def _figure(row: ComparisonFigure, record: ComparisonRecord, texts: Texts, data: Mapping[str, Any] | None) -> Html:
    title, question = texts(f"figure.{row.name}.title"), texts(f"figure.{row.name}.question")
    lines = row.reading(record, texts).splitlines()
    inner = [paragraph(question, "ask"), bullets(lines) if len(lines) > 1 else paragraph("".join(lines))]
    if data is not None:
        inner += [
            element("div", id=f"switch-{row.name}", class_="switch"),
            element("div", id=f"figure-{row.name}", class_="figure", role="img", aria_label=title),
            element("div", id=f"save-{row.name}", class_="switch save"),
            paragraph((data["layout"].get("meta") or {}).get("note"), "note"),
            _numbers(row, record, texts),
        ]
    return section(f"about-{row.name}", title, *inner)


def _numbers(row: ComparisonFigure, record: ComparisonRecord, texts: Texts) -> Html:
    """Return the numbers behind a figure, folded: the first rows, what the columns mean, and the file with all of them."""
    rows = row.numbers(record)
    if not rows:
        return Html("")
    head = list(rows[0])
    cells = [[_cell(line[name], texts) for name in head] for line in rows[:PREVIEW]]
    numeric = [name for name in head if any(isinstance(line[name], int | float) for line in rows)]
    where = f"tables/{row.name}.csv"
    said_ = texts("page.rows", shown=min(PREVIEW, len(rows)), rows=len(rows))
    return element(
        "details",
        element("summary", text(texts("page.numbers"))),
        table(head, cells, numeric),
        element("p", text(f"{said_} "), link(where, where), class_="note"),
        facts([(name, texts(f"column.{name}")) for name in head if texts.has(f"column.{name}")]),
    )


def _cell(value: object, texts: Texts) -> str:
    if isinstance(value, bool):
        return texts("page.yes" if value else "page.no")
    return "–" if value is None else number(value)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _footer(record: ComparisonRecord, texts: Texts) -> Html:
    return element("footer", text(texts("page.footer", date=record.as_of)))
