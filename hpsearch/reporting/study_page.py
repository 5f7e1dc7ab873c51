"""The page of a search: what was asked, what came out, what to beware of, then the evidence under the questions that it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting import pieces
from hpsearch.reporting.failures import is_lost, what_happened
from hpsearch.reporting.figures import FIGURES, Figure
from hpsearch.reporting.figures.pareto import trade_off
from hpsearch.reporting.foreign import foreign_introduction, foreign_protocol, foreign_result
from hpsearch.reporting.formatting import MetricFormat, domain, identifier, number, sentence, visible
from hpsearch.reporting.headline import further_values, headline, next_command
from hpsearch.reporting.protocol import protocol, registered_modules
from hpsearch.reporting.ranking import best, of_objective, ranked, settings_of, space_of
from hpsearch.reporting.rendering import document, figure_json
from hpsearch.reporting.replicates import of_completed_runs
from hpsearch.reporting.selection import certainty, model, off_front, usable_trials, why
from hpsearch.reporting.summary import best_network, introduction
from hpsearch.reporting.tables import TABLES, Frames
from hpsearch.reporting.tables.writing import cells, columns_of, leaders, meaning
from hpsearch.reporting.trust import expectation, warnings
from hpsearch.storage import StudyRecord

MOST_COLUMNS = 100  # of the data's that the page lists
MOST_ROWS = 5000  # trials that the page lists
NOT_SEARCHED = ("rank", "trial", "value", "standard_error", "parameters", "seconds")  # columns of the best trials
PREVIEW = 20  # rows of a table that the page shows; the file has all of them
FIRST = 5  # of the best trials that are shown at once, more where the selected one comes later
SCRIPT_TEXTS = (  # what the page's scripts say
    "switch",
    "save",
    "failed",
    "scale",
    "fitted",
    "every_value",
    "filter",
    "trial",
    "clear_trial",
    "clear_filter",
    "no_column",
    "number_needed",
)
BLANKS = {name: f"{{{name}}}" for name in ("trial", "name", "term", "kept")}  # which the scripts fill in


def page(record: StudyRecord, tables: Frames, texts: Texts = ENGLISH, folder: Path | None = None) -> str:
    """Return the report as one HTML document; `folder` is the study's, where it is known."""
    record = of_completed_runs(record)
    if record.foreign:
        texts = texts.of("foreign")
    figures = _sections(record, tables, texts)
    shown = [section for section in figures if not section.folded]
    board = leaderboard(record, tables, texts)
    sections = [section for section in (board, *shown) if section is not None]
    done = _done(record, tables, texts)
    settings = settings_of(record, "study")
    columns = pieces.Link("tables/columns.csv", "tables/columns.csv", texts("search.footer.columns"))
    content = [
        _result(record, texts, folder),
        _warnings(record, tables, texts),
        _contents(record, [*sections, done], texts),
        *sections,
        _for_specialists([section for section in figures if section.folded], texts),
        done,
        pieces.Footer(texts("search.footer.text", date=record.as_of), columns),
    ]
    return document(
        pieces.Page(
            window=texts("search.window", name=visible(record.name, 100)),
            language=texts.language,
            kind=texts("search.kind", date=record.as_of),
            heading=visible(settings.get("name") or record.name, 200),
            question=visible(texts.word(str(settings.get("question") or ""))),
            introduction=foreign_introduction(record, texts) if record.foreign else [],
            pieces=[piece for piece in content if piece is not None],
            script_texts=script_texts(texts),
            linked=True,
        )
    )


def script_texts(texts: Texts) -> dict[str, str]:
    """Return what a page's scripts say, with the blanks that they fill in."""
    return {key: texts(f"page.{key}", **BLANKS) for key in SCRIPT_TEXTS}


def _sections(record: StudyRecord, tables: Frames, texts: Texts) -> list[pieces.FigureSection]:
    """Return the figures with what they say, that of several objectives first.

    Of a foreign study only those that can be drawn: no more will come; of one that ended without a usable trial that of its failures.
    """
    if not record.trials:
        return []
    figures = sorted(FIGURES.values(), key=lambda row: row.name != "pareto")
    if is_lost(record):
        figures = [FIGURES["failures"]]
    sections: list[pieces.FigureSection] = []
    for row in figures:
        if row.applies(record):
            sections += _of_objectives(row, record, tables, texts)
    if record.foreign:
        return [section for section in sections if section.plot]
    return sections


def _for_specialists(sections: Sequence[pieces.FigureSection], texts: Texts) -> pieces.Folded | None:
    """Return the figures that open when the reader asks for them, under their titles."""
    if not sections:
        return None
    titles = " · ".join(section.title for section in sections)
    return pieces.Folded(texts("page.more", titles=titles), [replace(section, level=3) for section in sections])


def _done(record: StudyRecord, tables: Frames, texts: Texts) -> pieces.Chapter:
    """Return the last chapter: the network in numbers, the space, the data, how trials ended and how all was done, folded."""
    found = [
        _parameters(record, tables, texts),
        _hyperparameters(record, tables, texts),
        _columns(record, texts),
        _outcomes(record, tables, texts),
        _how(record, texts),
    ]
    sections = [replace(section, level=3) for section in found if section is not None]
    titles = " · ".join(section.title for section in sections)
    return pieces.Chapter("done", texts("chapter.done"), [], pieces.Folded(titles, sections))


def _how(record: StudyRecord, texts: Texts) -> pieces.Section:
    """Return what was asked of which data, and how the study was done."""
    asked = [] if record.foreign else introduction(record, texts)
    if not _has_intervals(record):
        asked.append(certainty(record, texts))
    contents = [*map(pieces.Paragraph, asked), pieces.Facts(_protocol(record, texts))]
    return pieces.Section("protocol", texts("search.protocol.title"), contents)


def _protocol(record: StudyRecord, texts: Texts) -> list[tuple[str, str]]:
    if record.foreign:
        return foreign_protocol(record, texts)
    return protocol(record, texts)


def _result(record: StudyRecord, texts: Texts, folder: Path | None) -> pieces.Result:
    if record.foreign:
        return foreign_result(record, texts)
    network = best_network(record, texts)
    if not network:
        if is_lost(record):
            lines = [pieces.Paragraph(line, "best") for line in what_happened(record.trials, texts)]
            return pieces.Result(texts("search.result.lost"), lines)
        key = "no_network" if record.trials else "no_trial"
        return pieces.Result(texts("search.result.title"), [pieces.Paragraph(texts(f"search.result.{key}"), "best")])
    title = texts("search.result.best_so_far")
    if record.result:
        title = texts("search.result.selected", model=model(len(record.selected.networks), texts))
    summary: list[Any] = [
        pieces.Paragraph(network, "best"),
        pieces.Paragraph(why(record.result.get("choice"), MetricFormat.of(record, texts), texts)),
        pieces.Paragraph(certainty(record, texts) if _has_intervals(record) else ""),
        pieces.Paragraph(off_front(record, texts)),
        pieces.Paragraph(trade_off(record, texts)),
    ]
    command = next_command(record, folder)
    if command:
        summary.append(pieces.Command(command, texts("search.result.predict")))
    values = further_values(record, texts)
    return pieces.Result(title, summary, values, expectation(record, texts), headline(record, texts))


def _has_intervals(record: StudyRecord) -> bool:
    """Whether it is known how far predicted numbers are off, which belongs to the result; how probabilities are calibrated does not."""
    return bool((record.result.get("held_out") or {}).get("nine_tenths"))


def _warnings(record: StudyRecord, tables: Frames, texts: Texts) -> pieces.Warnings | None:
    if is_lost(record):  # the result says all
        return None
    table = tables["hyperparameters"]
    found = warnings(record, table[table["edge"] != ""].to_dict("records"), texts)
    if found:
        return pieces.Warnings(texts("page.note"), found)
    return None


def _contents(
    record: StudyRecord, sections: Sequence[pieces.Section | pieces.FigureSection | pieces.Chapter], texts: Texts
) -> pieces.Contents | None:
    """Return links to the sections that the page has, once there are trials."""
    if not record.trials:
        return None
    return pieces.Contents([pieces.Link(section.title, f"#{section.anchor}") for section in sections])


def leaderboard(record: StudyRecord, tables: Frames, texts: Texts = ENGLISH) -> pieces.Section | None:
    """Return the best trials, the selected one marked."""
    board = leaders(tables)
    if not len(board):
        return None
    metric = MetricFormat.of(record, texts)
    leader = best(record)
    numbers = board["trial"].tolist()
    chosen = -1
    if leader and leader.number in numbers:
        chosen = numbers.index(leader.number)
    board = board.head(max(FIRST, chosen + 1))
    names = {
        "value": metric.name,
        "standard_error": texts("search.leaderboard.standard_error"),
        "seconds": texts("search.leaderboard.time"),
        **{name: texts.word(name) for name in ("rank", "trial", "parameters")},
    }
    head = [names.get(name) or identifier(name, 60) for name in board.columns]
    more = _other_trials(record, tables, board, texts)
    listed = len(board) + len(more)
    every = texts.count("trial", listed)
    more_text = texts("search.leaderboard.more", trials=every)
    key = "kept" if listed == len(record.trials) else "kept_of_best"
    title = texts("search.leaderboard.title")
    table = pieces.PageTable(
        head=head,
        rows=cells(board, metric),
        numeric=_numeric(board, head),
        chosen=chosen,
        pinned=True,
        name="leaderboard",
        more=more,
        more_text=more_text,
        label=title,
        trial=list(board.columns).index("trial"),
        kept_text=texts(f"search.leaderboard.{key}", listed=every, **BLANKS),
        example=_filter_example(board, head, metric),
    )
    note = texts("search.leaderboard.light")
    if listed < len(record.trials):
        note += f" {texts('search.leaderboard.best_alone', best=every, of=f'{len(record.trials):,}')}"
    contents = [
        pieces.Paragraph(_leaders_text(record, texts), "ask"),
        pieces.Paragraph(note, "note pointer"),
        table,
        pieces.Link(texts("search.leaderboard.file"), "tables/trials.csv"),
    ]
    return pieces.Section("leaderboard", title, contents)


def _filter_example(board: pd.DataFrame, head: Sequence[str], metric: MetricFormat) -> str:
    """Return what may be typed into the filter of the best trials: a choice, a hyperparameter's bound and one of the metric."""
    titles = dict(zip(board.columns, head, strict=True))
    numbers = [name for name in board.columns if board[name].dtype.kind in "if"]
    varied = [name for name in board.columns if name not in NOT_SEARCHED and board[name].nunique() > 1]
    choice = next((name for name in varied if name not in numbers), None)
    bounded = next((name for name in varied if name in numbers), None)
    parts = []
    if choice:
        parts.append(visible(board[choice].dropna().iloc[0], 40))
    if bounded:
        parts.append(f"{titles[bounded]} > {number(float(board[bounded].median()), digits=2)}")
    sign = ">=" if metric.maximize else "<="
    parts.append(f"{titles['value']} {sign} {number(float(board['value'].iloc[-1]), digits=3)}")
    return ", ".join(parts)


def _other_trials(record: StudyRecord, tables: Frames, board: pd.DataFrame, texts: Texts) -> list[list[str]]:
    """Return the trials below the best ones, ranked ones first; of one that was pruned or failed the value says so."""
    places = {trial.number: place for place, trial in enumerate(ranked(record), 1)}
    shown = {*board["trial"]}
    table = tables["trials"]
    rest = table[~table["trial"].isin(shown)]
    ranks = rest["trial"].map(places)
    order = ranks.sort_values(na_position="last", kind="stable").index[: MOST_ROWS - len(board)]
    rest = rest.loc[order]
    more = rest.assign(rank=None if record.foreign else ranks.loc[order].astype("Int64")).reindex(columns=board.columns)
    rows = cells(more, MetricFormat.of(record, texts))
    at = list(board.columns).index("value")
    failed = {trial.number for trial in record.trials if trial.failed}
    for row, trial, outcome in zip(rows, rest["trial"], rest["outcome"], strict=True):
        if trial in failed:
            row[at] = visible(texts.word(outcome), 40)
        elif trial not in places and row[at]:
            row[at] = f"{row[at]} ({visible(texts.word(outcome), 40)})"
    return rows


def _leaders_text(record: StudyRecord, texts: Texts) -> str:
    if record.foreign and record.objectives:
        return texts("search.foreign_study.front_trials", first=MetricFormat.of(record, texts).name)
    metric = MetricFormat.of(record, texts)
    key = "highest" if metric.maximize else "lowest"
    text = texts(f"search.leaderboard.{key}", trials=usable_trials(record, texts))
    if not record.result.get("fresh"):
        return text
    networks = len(record.selected.networks)
    key = "selected_first" if networks > 1 else "selected"
    return f"{text} {texts(f'search.leaderboard.{key}', networks=networks)}"


def _numeric(table: pd.DataFrame, head: list[str]) -> list[str]:
    """Return the headings of the columns that hold numbers."""
    return [title for title, name in zip(head, table.columns, strict=True) if table[name].dtype.kind in "if"]


def _figure(row: Figure, record: StudyRecord, tables: Frames, texts: Texts) -> pieces.FigureSection:
    drawn = row.draw(tables, record, texts)
    reading = row.reading(tables, record, texts)
    section = pieces.FigureSection(
        name=row.name,
        title=texts.get(f"search.figure.{row.name}.title", sentence(row.description)),
        question=texts.get(f"search.figure.{row.name}.question", ""),
        reading=[reading] if reading else [],
        above=row.pieces(tables, record, texts) if row.pieces else [],
    )
    if drawn is None:
        return section
    numbers = _numbers(row.table, record, tables, texts, remarks_of(drawn))
    return replace(section, plot=figure_json(drawn), numbers=numbers, folded=row.folded)


def _of_objectives(row: Figure, record: StudyRecord, tables: Frames, texts: Texts) -> list[pieces.FigureSection]:
    """Return a figure, once for each of several objectives where it shows one at a time; the files have the numbers of the first."""
    first = _figure(row, record, tables, texts)
    if not row.by_objective or not record.objectives:
        return [first]
    sections = [first]
    for place in range(1, len(record.objectives)):
        own = of_objective(record, place)
        section = _figure(row, own, {**tables, row.table: TABLES[row.table].build(own, tables)}, texts)
        sections.append(replace(section, name=f"{row.name}_{place + 1}", numbers=None))
    names = [metric.name for metric in MetricFormat.objectives(record, texts)]
    return [
        replace(section, title=texts("search.figure.of_objective", title=section.title, objective=name))
        for section, name in zip(sections, names, strict=True)
    ]


def remarks_of(drawn: go.Figure) -> list[str]:
    """Return the remarks on a figure that are folded."""
    remark = (drawn.layout.meta or {}).get("more")
    return [remark] if remark else []


def title_of_numbers(remarks: Sequence[str], texts: Texts) -> str:
    """Return under which title the numbers behind a figure are folded, with remarks or without."""
    return texts("page.notes_and_numbers" if remarks else "page.numbers")


def _numbers(name: str, record: StudyRecord, tables: Frames, texts: Texts, remarks: Sequence[str]) -> pieces.Numbers:
    """Return the table behind a figure: its first rows, what its columns mean, and the file with all of them."""
    table = tables[name]
    metric = MetricFormat.of(record, texts)
    head = list(table.columns)
    trial = head.index("trial") if "trial" in head else -1
    objectives = dict(zip(record.objectives, MetricFormat.objectives(record, texts), strict=False))
    rows = cells(table.head(PREVIEW), metric, objectives if name == "pareto" else None)
    first = pieces.PageTable(head, rows, _numeric(table, head), label=f"{name}.csv", trial=trial)
    before = texts("search.numbers.file")
    if len(table) > PREVIEW:
        before = texts("search.numbers.first_rows", shown=PREVIEW, rows=f"{len(table):,}")
    after = ""
    if "thinned" in table.attrs:
        drawn, of = table.attrs["thinned"]
        after = texts("search.numbers.curves_thinned", drawn=f"{drawn:,}", of=f"{of:,}")
    address = f"tables/{name}.csv"
    meanings = [(column.name, meaning(name, column, texts)) for column in columns_of(name, table)]
    file = pieces.Link(address, address, before, after)
    return pieces.Numbers(title_of_numbers(remarks, texts), first, file, pieces.Facts(meanings), remarks)


def _parameters(record: StudyRecord, tables: Frames, texts: Texts) -> pieces.Section | None:
    table = tables["parameters"]
    if not len(table) or record.foreign or is_lost(record):
        return None
    learned = table[table["kind"] == "parameter"]
    parts = [_learned(learned, texts)] if len(learned) else []
    parts.append(_chosen(table[table["kind"] == "hyperparameter"], texts))
    contents = [
        pieces.Paragraph(texts("search.parameters.introduction"), "ask"),
        pieces.SideBySide(parts),
        pieces.Paragraph(registered_modules(record, texts), "note"),
        pieces.Link("tables/parameters.csv", "tables/parameters.csv", texts("search.numbers.file")),
    ]
    return pieces.Section("parameters", texts("search.parameters.title"), contents)


def _learned(table: pd.DataFrame, texts: Texts) -> pieces.Part:
    """Return the tensors, with how many numbers they hold together."""
    head = [texts(f"search.parameters.{name}") for name in ("tensor", "shape", "numbers")]
    total = f"{table['count'].sum():,}"
    body = cells(table[["name", "value", "count"]])
    body.append([texts("search.parameters.together"), "", total])
    title = texts("search.parameters.learned", total=total)
    return pieces.Part(title, pieces.PageTable(head, body, head[1:], label=title))


def _chosen(table: pd.DataFrame, texts: Texts) -> pieces.Part:
    head = [texts(f"search.parameters.{name}") for name in ("name", "value", "set_by")]
    setters = table["set_by"].str.split("[:,]", n=1).str[0].map(texts.word)  # without from which rows
    body = list(zip([identifier(name, 60) for name in table["name"]], table["value"], setters, strict=True))
    title = texts("search.parameters.chosen", total=len(table))
    return pieces.Part(title, pieces.PageTable(head, body, label=title))


def _hyperparameters(record: StudyRecord, tables: Frames, texts: Texts) -> pieces.Section | None:
    table = tables["hyperparameters"]
    if not len(table):
        return None
    title = texts("search.space.title")
    if is_lost(record):  # no trial to compare with
        head = [texts(f"search.space.{name}") for name in ("hyperparameter", "allowed")]
        body = [[identifier(name, 60), domain(given, texts)] for name, given in space_of(record).items()]
        return pieces.Section("space", title, [pieces.PageTable(head, body, label=title)])
    third = "selected" if record.result else "best"
    head = [texts(f"search.space.{name}") for name in ("hyperparameter", "allowed", third, "edge")]
    body = cells(table[["hyperparameter", "domain", "best", "edge"]])
    space = space_of(record)
    for row in body:
        given = space.get(row[0])
        if row[0] in space:
            row[1] = domain(given, texts)
        if not row[2]:
            row[2] = number(given) if _is_fixed(given) else "–"
        row[0] = identifier(row[0], 60)
        row[3] = texts.word(row[3])
    return pieces.Section("space", title, [pieces.PageTable(head, body, label=title)])


def _is_fixed(given: Any) -> bool:
    """Whether a domain is one value."""
    return given is not None and not isinstance(given, Mapping | list)


def _data_columns(record: StudyRecord) -> list[Mapping[str, Any]]:
    return [column for column in record.data.get("columns") or [] if isinstance(column, Mapping)]


def _column_row(column: Mapping[str, Any], texts: Texts) -> list[str]:
    """Return the cells of a column's row; its name is its author's, whatever it means in English."""
    said = [texts.word(str(column.get(key) or "")) for key in ("kind", "inputs", "note")]
    return [visible(text, 200) for text in (str(column.get("name") or ""), *said)]


def _columns(record: StudyRecord, texts: Texts) -> pieces.Section | None:
    """Return how a table was read and what became of its columns, where the study's data are one."""
    columns = _data_columns(record)
    if not columns:
        return None
    title = texts("search.columns.title")
    head = [texts(f"search.columns.{name}") for name in ("column", "kind", "inputs", "remark")]
    body = [_column_row(column, texts) for column in columns[:MOST_COLUMNS]]
    contents: list[Any] = [
        pieces.Paragraph(texts("search.columns.introduction"), "ask"),
        pieces.Bullets([visible(texts.word(str(line)), 300) for line in record.data.get("reading") or []]),
        pieces.PageTable(head, body, head[2:3], label=title),
    ]
    more = len(columns) - MOST_COLUMNS
    if more > 0:
        contents.append(pieces.Paragraph(texts("search.columns.more", columns=f"{more:,}"), "note"))
    return pieces.Section("columns", title, contents)


def _outcomes(record: StudyRecord, tables: Frames, texts: Texts) -> pieces.Section | None:
    table = tables["outcomes"]
    if not len(table):
        return None
    trials = texts.count("trial", len(record.trials))
    usable = texts("search.outcomes.usable", usable=f"{len(ranked(record)):,}", trials=trials)
    head = [texts(f"search.outcomes.{name}") for name in ("outcome", "trials", "meaning")]
    body = cells(table.assign(outcome=table["outcome"].map(texts.word), meaning=table["meaning"].map(texts.word)))
    title = texts("search.outcomes.title")
    contents = [pieces.Paragraph(usable, "ask"), pieces.PageTable(head, body, head[1:2], label=title)]
    return pieces.Section("outcomes", title, contents)
