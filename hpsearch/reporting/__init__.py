"""The report of a study: tables as CSV and one self-contained page that answers its question in plain language.

`write_report` needs nothing but a `StudyRecord`: no network, no torch, no storage. The page begins with what was asked and what came
out, then what to beware of, then the evidence: each figure under the question that it answers, with a sentence that reads it and its
numbers beside it. It is derived from the storage and can be made again at any time, also while the search runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.files import write_file
from hpsearch.reporting import findings
from hpsearch.reporting.derived import derived
from hpsearch.reporting.figures import DARK, FIGURES, LIGHT, Figure, plotly_script
from hpsearch.reporting.figures.pareto import trade_off
from hpsearch.reporting.formatting import (
    USABLE,
    MetricFormat,
    best,
    count,
    ranked,
    readable,
    sentence,
    tally,
    visible,
)
from hpsearch.reporting.page import (
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
from hpsearch.reporting.plain import plain as as_json
from hpsearch.reporting.selection import model, off_front, trials_of, why
from hpsearch.reporting.tables import TABLES, Frames, cells, frames, leaders, write
from hpsearch.reporting.trust import honesty
from hpsearch.storage import StudyRecord

MOST_COLUMNS = 100  # of the data's that the page lists
PREVIEW = 20  # rows of a table that the page shows; the file has all of them


def write_report(record: StudyRecord, folder: Path) -> Path:
    """Write `folder/tables/*.csv` and `folder/report.html`, and return the page's path.

    Args:
        record: the study as it was read from its storage; it may be running, empty or without a usable trial.
        folder: the study's folder, made where it is missing. Files in it with these names are replaced, each in one step.

    Raises:
        StorageError: a file cannot be written, or the record is not as hpsearch writes it.

    """
    with derived(record.name):
        tables = frames(record)
        made = page(record, tables)
        write(tables, folder / "tables", MetricFormat.of(record))
    write_file(folder / "report.html", made)
    return folder / "report.html"


def page(record: StudyRecord, tables: Frames) -> str:
    """Return the report as one HTML document."""
    rows = {name: row for name, row in FIGURES.items() if row.applies(record)}
    drawn = {name: figure for name, row in rows.items() if (figure := row.draw(tables, record)) is not None}
    plain = {name: as_json(figure) for name, figure in drawn.items()}
    edges = [row for row in tables["hyperparameters"].to_dict("records") if row["edge"]]
    body = [
        _headline(record),
        _result(record),
        _warnings(record, edges),
        _contents(record),
        _leaderboard(record, tables),
    ]
    body += [_figure(row, record, tables, plain.get(name)) for name, row in rows.items()]
    body += [
        _parameters(record, tables),
        _hyperparameters(record, tables),
        _columns(record),
        _outcomes(record, tables),
        _protocol(record),
        _footer(record),
    ]
    dark = {LIGHT[name]: DARK[name] for name in LIGHT}
    return document(
        f"{visible(record.name, 100)}: hyperparameter search", body, plain, dark, plotly_script() if plain else ""
    )


def _headline(record: StudyRecord) -> Html:
    question = findings.table_of(record, "study").get("question")
    name = visible(findings.table_of(record, "study").get("name") or record.name, 200)
    return Html(
        paragraph(f"Hyperparameter search, as of {record.as_of}", "kind")
        + element("h1", text(name))
        + paragraph(question, "question")
        + "".join(paragraph(line) for line in findings.asked(record))
    )


def _result(record: StudyRecord) -> Html:
    sentence_ = findings.best_network(record)
    if not sentence_:
        none = "No trial has ended with a usable network yet." if record.trials else "No trial has begun yet."
        return element("div", element("h2", text("Result")), paragraph(none, "best"), class_="result")
    boxes = [
        element("div", element("dt", text(sentence(name))), element("dd", text(value), element("small", text(remark))))
        for name, value, remark in findings.numbers(record)
    ]
    kept = f"The model that is kept: {model(len(trials_of(record.result)))}"
    title = kept if record.result else "The best network so far"
    inner = [
        element("h2", text(title)),
        paragraph(sentence_, "best"),
        paragraph(why(record.result.get("choice"), MetricFormat.of(record))),
        paragraph(off_front(record)),
        paragraph(trade_off(record)),
        element("dl", *boxes, class_="numbers"),
    ]
    return element("div", *inner, paragraph(honesty(record), "note"), class_="result")


def _warnings(record: StudyRecord, edges: list[Mapping[str, Any]]) -> Html:
    found = findings.warnings(record, edges)
    return element("div", paragraph("Please note"), bullets(found), class_="warnings") if found else Html("")


def _contents(record: StudyRecord) -> Html:
    places = [
        ("leaderboard", "Best trials"),
        *((f"about-{n}", row.title) for n, row in FIGURES.items() if row.applies(record)),
    ]
    places += [
        ("parameters", "Parameters"),
        ("space", "Hyperparameters"),
        *([("columns", "Columns")] if record.data.get("columns") else []),
        ("outcomes", "Outcomes"),
        ("protocol", "Protocol"),
    ]
    return element("nav", *(link(title, f"#{anchor}") for anchor, title in places)) if record.trials else Html("")


def _leaderboard(record: StudyRecord, tables: Frames) -> Html:
    board = leaders(tables)
    if not len(board):
        return Html("")
    leader = best(record)
    chosen = next((i for i, number in enumerate(board["trial"]) if leader and number == leader.number), -1)
    metric = MetricFormat.of(record)
    said = {"value": metric.name, "standard_error": "standard error over folds", "seconds": "time"}
    head = [said.get(name) or readable(name, 60) for name in board.columns]
    which = f"The {'highest' if metric.maximize else 'lowest'} validation values of all {tally(record)}." + (
        f" The marked one{_among(record)} has the best mean over fresh seeds." if record.result.get("fresh") else ""
    )
    return section(
        "leaderboard",
        "The best trials",
        paragraph(which, "ask"),
        table(head, cells(board, metric), _right(board, head), chosen, pinned=True),
        element("p", link("all trials (CSV)", "tables/trials.csv"), class_="note"),
    )


def _among(record: StudyRecord) -> str:
    networks = len(trials_of(record.result))
    return f", the first of the {networks} networks that are kept," if networks > 1 else " is kept: it"


def _right(frame: Any, head: list[str]) -> list[str]:
    """Return the headings of the columns that hold numbers."""
    return [title for title, name in zip(head, frame.columns, strict=True) if frame[name].dtype.kind in "if"]


def _figure(row: Figure, record: StudyRecord, tables: Frames, plain: Mapping[str, Any] | None) -> Html:
    if not record.trials:
        return Html("")
    meta = (plain or {}).get("layout", {}).get("meta") or {}
    places = [
        element("div", id=f"switch-{row.name}", class_="switch"),
        element("div", id=f"figure-{row.name}", class_="figure", role="img", aria_label=row.title),
    ]
    inner = [paragraph(row.question, "ask"), paragraph(row.reading(tables, record)), *(places if plain else [])]
    if plain:
        inner += [
            element("div", id=f"save-{row.name}", class_="switch save"),
            paragraph(meta.get("thinned"), "note"),
            paragraph(meta.get("note"), "note"),
            _numbers(row.table, record, tables),
        ]
    return section(f"about-{row.name}", row.title, *inner)


def _numbers(name: str, record: StudyRecord, tables: Frames) -> Html:
    """Return the table behind a figure, folded: its first rows, what its columns mean, and the file with all of them."""
    frame, metric = tables[name], MetricFormat.of(record)
    head = list(frame.columns)
    first = table(head, cells(frame.head(PREVIEW), metric), _right(frame, head))
    rest = f"The first {PREVIEW} of {len(frame):,} rows; all of them: " if len(frame) > PREVIEW else "As a file: "
    few = f" ({frame.attrs['thinned']})" if "thinned" in frame.attrs else ""
    where = element("p", text(rest), link(f"tables/{name}.csv", f"tables/{name}.csv"), text(few), class_="note")
    meanings = [(c.name, f"{c.meaning} ({c.unit})" if c.unit else c.meaning) for c in TABLES[name].columns]
    return element("details", element("summary", text("The numbers")), first, where, facts(meanings))


def _parameters(record: StudyRecord, tables: Frames) -> Html:
    rows = tables["parameters"].to_dict("records")
    if not rows:
        return Html("")
    learned = [row for row in rows if row["kind"] == "parameter"]
    chosen = [row for row in rows if row["kind"] == "hyperparameter"]
    total = sum(row["count"] for row in learned)
    parts = (
        [_side(f"Parameters: {total:,} numbers, set by training", ("tensor", "shape", "numbers"), learned, total)]
        if learned
        else []
    )
    parts.append(
        _side(f"Hyperparameters: {len(chosen)} choices, set before training", ("name", "value", "set by"), chosen, 0)
    )
    said = (
        "Parameters are the numbers that training learns from the training rows; hyperparameters are the choices made before, "
        "which the search compares on the validation rows."
    )
    where = element("p", text("As a file: "), link("tables/parameters.csv", "tables/parameters.csv"), class_="note")
    return section(
        "parameters",
        "Parameters and hyperparameters",
        paragraph(said, "ask"),
        element("div", *parts, class_="pair"),
        paragraph(findings.registered(record), "note"),
        where,
    )


def _side(title: str, head: tuple[str, str, str], rows: list[Mapping[str, Any]], total: int) -> Html:
    if head[2] == "numbers":
        body = [[row["name"], row["value"], f"{row['count']:,}"] for row in rows] + [["together", "", f"{total:,}"]]
    else:
        body = [[readable(row["name"], 60), row["value"], row["set_by"].split(":")[0].split(",")[0]] for row in rows]
    return element("div", element("h3", text(title)), table(head, body, ("numbers", "shape")))


def _hyperparameters(record: StudyRecord, tables: Frames) -> Html:
    rows = tables["hyperparameters"].to_dict("records")
    if not rows:
        return Html("")
    frame = tables["hyperparameters"][["hyperparameter", "domain", "best", "edge"]]
    body = [
        [readable(name, 60), allowed, value or allowed.partition("fixed at ")[2] or "–", at]
        for name, allowed, value, at in cells(frame)
    ]
    return section(
        "space",
        "What could vary",
        table(["hyperparameter", "allowed", "kept trial" if record.result else "best trial", "at an edge?"], body),
    )


def _columns(record: StudyRecord) -> Html:
    """Return how a table was read and what became of its columns, where the study's data are one."""
    columns = [column for column in record.data.get("columns") or [] if isinstance(column, Mapping)]
    if not columns:
        return Html("")
    told = [[column.get(key) or "" for key in ("name", "kind", "inputs", "note")] for column in columns[:MOST_COLUMNS]]
    body = [[visible(cell, 200) for cell in row] for row in told]
    left = len(columns) - MOST_COLUMNS
    return section(
        "columns",
        "What the network sees",
        paragraph("Each column of the table, and how many inputs it became, by what the training rows hold.", "ask"),
        bullets([visible(sentence, 300) for sentence in record.data.get("reading") or []]),
        table(["column", "kind", "inputs", "remark"], body, ("inputs",)),
        paragraph(f"and {left:,} columns more" if left > 0 else "", "note"),
    )


def _outcomes(record: StudyRecord, tables: Frames) -> Html:
    frame = tables["outcomes"]
    if not len(frame):
        return Html("")
    counted = paragraph(f"{USABLE}: {len(ranked(record)):,} of {count(len(record.trials), 'trial')}.", "ask")
    said = table(["outcome", "trials", "meaning"], cells(frame), ("trials",))
    return section("outcomes", "How the trials ended", counted, said)


def _protocol(record: StudyRecord) -> Html:
    return section("protocol", "How it was done", facts(findings.protocol(record)))


def _footer(record: StudyRecord) -> Html:
    said = f"Made by hpsearch from the study's storage, as of {record.as_of}. The page holds all that it shows and loads nothing. "
    return element(
        "footer",
        text(said),
        text("What the columns of the tables mean: "),
        link("tables/columns.csv", "tables/columns.csv"),
    )
