"""The report of a comparison: one page from the storage alone, first the answer in a figure and a table, then verdicts, then the evidence.

Every sentence is one of `hpsearch.locales` filled with the record's numbers, so that the page can be had in any language there
is; HTML is made of its pieces as of a search's page. Tables are written beside it as CSV, one for each figure.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from hpsearch.comparison.analysis.judgement import Value, Verdict
from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.verdicts import verdicts
from hpsearch.comparison.figures import CHAPTERS, COMPARISON_FIGURES, OPENING, ComparisonFigure
from hpsearch.comparison.figures.appearance import (
    bounds_text,
    engine_text,
    gap_texts,
    percent,
    regime_name,
    share_gap_texts,
    significant,
)
from hpsearch.comparison.figures.figure import Rows
from hpsearch.comparison.page.closing import checks, protocol, runs_table
from hpsearch.comparison.page.opening import all_sizes, introduction, summary_remark, warnings
from hpsearch.comparison.page.picture import write_picture
from hpsearch.comparison.page.standings import ranked_table
from hpsearch.comparison.plotting import comparison_figures
from hpsearch.files import inert, make_folder, write_file
from hpsearch.locales import Texts
from hpsearch.reporting import pieces
from hpsearch.reporting.failures import what_happened
from hpsearch.reporting.formatting import MetricFormat, number, sentence, visible
from hpsearch.reporting.rendering import document, figure_json, reading_record
from hpsearch.reporting.study_page import PREVIEW, remarks_of, script_texts, title_of_numbers
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

PHASES = ("before", "after")
SHARES = frozenset(  # read as percentages; the spread of a logarithm is about a relative change
    {f"{end}_{measure}_{phase}" for end in ("one", "full") for measure in ("rising", "deviation") for phase in PHASES}
    | {"one_pass", "full_pass", "sgd", "gd", "isotropic", "frozen", "stuck", "lost"}
    | {"best_noise", "best_larger", "diverged_sgd", "diverged_larger"}
)
SHARE_GAPS = frozenset({"isotropic_gap", "frozen_gap"})  # differences of shares
GAPS = frozenset({"test", "last", "equal_epochs", "equal_updates", "difference"})  # differences of the metric
RATIOS = frozenset(  # how many times as much
    {"steps", "epochs", "seconds", "plain", "one_own", "full_own", "one_plain", "full_plain"}
)
# Known between bounds alone, as is a critical batch size that is 0 or infinite.
RANGES = frozenset({"one_octaves", "full_octaves"})
FRACTIONS = dict(
    enumerate(("half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), start=2)
)
NEAR = 0.15  # relative distance from 1/k at which a ratio is called about 1/k


def write_comparison(record: ComparisonRecord, folder: Path, language: str = "en") -> Path:
    """Write `folder/tables/*.csv`, the page, `report.html` (in another language than English `report.LANGUAGE.html`), and its first figure.

    Args:
        record: the comparison as it was read from its storage; it may be running or empty.
        folder: its folder, made where it is missing. Files in it with these names are replaced, each in one step.
        language: a row of `hpsearch.locales.LANGUAGES`.

    Raises:
        UserError: no such language.
        StorageError: a file cannot be written, or the record is not as hpsearch writes it.
    """
    texts = Texts(language)
    with reading_record(record.name):
        numbers = {figure.name: figure.numbers(record) for figure in COMPARISON_FIGURES}
        tables = {name: _csv(rows) for name, rows in numbers.items() if rows}
        html = page(record, texts)
    make_folder(folder / "tables")
    for name, content in tables.items():
        write_file(folder / "tables" / f"{name}.csv", content)
    path = folder / texts.page_name
    write_file(path, html)
    with reading_record(record.name):
        opening = OPENING.draw(record, texts) if record.arms else None
    if opening is not None:
        write_picture(opening, OPENING.reading(record, texts), summary_remark(record, texts), path)
    return path


def page(record: ComparisonRecord, texts: Texts) -> str:
    """Return the report as one HTML document: the answer in a figure, a table and verdicts, then chapters with the evidence.

    Where no trial gave a usable network it says so, and what to try.
    """
    settings = record.settings.get("study", {})
    lost = _lost(record, texts)
    content = lost or _evidence(record, texts)
    content += [_done(record, texts), pieces.Footer(texts("page.footer", date=record.as_of))]
    return document(
        pieces.Page(
            window=texts("page.window", name=visible(record.name, 100)),
            language=texts.language,
            kind=texts("page.kind", date=record.as_of),
            heading=visible(settings.get("name") or record.name, 200),
            question=visible(texts.word(str(settings.get("question") or "")), 400),
            introduction=[] if lost else list(introduction(record, texts)),
            pieces=content,
            script_texts=script_texts(texts),
        )
    )


def _lost(record: ComparisonRecord, texts: Texts) -> list[object]:
    """Return how the trials ended where all did and none gave a usable network, [] elsewhere."""
    trials = [trial for arm in record.arms for trial in arm.trials]
    all_failed = trials and all(trial.state == "complete" and trial.failed for trial in trials)
    if not all_failed or record.minima or any(arm.fastest or arm.best for arm in record.arms):
        return []
    lines = [pieces.Paragraph(line, "best") for line in what_happened(trials, texts)]
    return [pieces.Result(texts("search.result.lost"), lines)]


def _evidence(record: ComparisonRecord, texts: Texts) -> list[object]:
    """Return the answer, the verdicts, what to beware of, and the chapters."""
    figures = {name: _figure(row, record, texts) for name, row in comparison_figures(record).items()}
    drawn = {name for name, figure in figures.items() if figure.plot is not None}
    content: list[object] = [*_opening(figures.get(OPENING.name), record, texts)]
    claims = _claims(record, drawn, texts)
    content.append(pieces.Verdicts(texts("page.verdicts"), texts("page.verdicts_said"), claims))
    cautions = warnings(record, texts)
    if cautions:
        content.append(pieces.Warnings(texts("page.note"), cautions, compact=True))
    chapters = _chapters(figures, texts)
    links = [pieces.Link(chapter.title, f"#{chapter.anchor}") for chapter in chapters]
    links.append(pieces.Link(texts("chapter.done"), "#done"))
    return [*content, pieces.Contents(links), *chapters]


def _opening(figure: pieces.FigureSection | None, record: ComparisonRecord, texts: Texts) -> list[object]:
    """Return the answer: the figure under the sentence that it shows, the table of three, and all batch sizes."""
    if figure is None:
        return []
    found: list[object] = []
    if figure.plot is not None:
        found.append(replace(figure, title=" ".join(figure.reading), question="", reading=()))
    found += ranked_table(record, texts)
    sizes = all_sizes(record, texts)
    if sizes:
        found.append(pieces.Folded(texts("glance.title"), sizes, "glance"))
    return found


def _chapters(figures: Mapping[str, pieces.FigureSection], texts: Texts) -> list[pieces.Chapter]:
    """Return the chapters that have a figure; those for specialists are folded, their titles said."""
    found = []
    for chapter in CHAPTERS:
        shown = [replace(figures[row.name], level=3) for row in chapter.shown if row.name in figures]
        more = [replace(figures[row.name], level=3) for row in chapter.folded if row.name in figures]
        folded = None
        if more:
            titles = " · ".join(section.title for section in more)
            folded = pieces.Folded(texts("page.more", titles=titles), more)
        if shown or more:
            found.append(pieces.Chapter(chapter.name, texts(f"chapter.{chapter.name}"), shown, folded))
    return found


def _done(record: ComparisonRecord, texts: Texts) -> pieces.Chapter:
    """Return the last chapter, how it was done, folded."""
    found = (runs_table(record, texts), checks(record, texts), protocol(record, texts))
    sections = [replace(section, level=3) for section in found if section]
    titles = " · ".join(section.title for section in sections)
    return pieces.Chapter("done", texts("chapter.done"), [], pieces.Folded(titles, sections))


def _claims(record: ComparisonRecord, drawn: set[str], texts: Texts) -> list[pieces.Claim]:
    """Return the claims with their verdicts; what the details of one have said, those of the next do not repeat."""
    told: set[str] = set()
    claims = []
    for verdict in verdicts(record):
        (first, *further), limits = verdict_texts(verdict, record, texts)
        claims.append(
            pieces.Claim(
                text=texts(f"claim.{verdict.claim}"),
                judgement=verdict.judgement,
                judgement_text=texts(f"judgement.{verdict.judgement}"),
                sentence=first,
                details=" ".join(line for line in further if line not in told),
                details_title=texts("page.verdict_details"),
                figures=[_link(name, texts) for name in verdict.figures if name in drawn],
                limits=" ".join(limits),
            )
        )
        told.update(further)
    return claims


def _link(figure: str, texts: Texts) -> pieces.Link:
    return pieces.Link(texts(f"figure.{figure}.title"), f"#about-{figure}")


def verdict_texts(verdict: Verdict, record: ComparisonRecord, texts: Texts) -> tuple[list[str], list[str]]:
    """Return the sentences of a verdict, and those on what limits it."""
    values = value_texts(verdict.values, record, texts)
    keys = [verdict_key(verdict.claim, name, texts) for name in (verdict.reason, *verdict.remarks)]
    limits = [f"limit.{name}" for name in verdict.limits]
    return [texts(key, **values) for key in keys], [texts(key, **values) for key in limits]


def verdict_key(claim: str, name: str, texts: Texts) -> str:
    """Return the key of a sentence of a claim; some are the same for several claims."""
    own = f"verdict.{claim}.{name}"
    return own if texts.has(own) else f"verdict.{name}"


def value_texts(values: Mapping[str, Value], record: ComparisonRecord, texts: Texts) -> dict[str, str]:
    """Return values as they stand in a sentence.

    An estimate has its interval, a share is in percent, a difference of the metric in points, a small ratio a fraction. `engine` says
    whose seconds were taken.
    """
    filled = {name: _text(name, value, record, texts) for name, value in values.items()}
    return {**filled, "engine": engine_text(record, texts)}


def _text(name: str, value: Value, record: ComparisonRecord, texts: Texts) -> str:
    if value is None:
        return number(None)
    if isinstance(value, str):
        return visible(value, 100)
    if isinstance(value, tuple):
        return texts.listing(_named(item, record, texts) for item in value)
    if name == "margin" and isinstance(value, float):
        return MetricFormat.of(record, texts).gap(value, 0.0)
    if isinstance(value, Estimate) and name in GAPS:
        return texts("page.interval", **gap_texts(record, value, texts))
    if isinstance(value, Estimate) and name in SHARE_GAPS:
        return texts("page.interval", **share_gap_texts(value, texts))
    write = percent if name in SHARES else significant
    if not isinstance(value, Estimate | Spread):
        return number(value) if isinstance(value, int) else write(value)
    ends = {"value": write(value.value), "low": write(value.low), "high": write(value.high)}
    if isinstance(value, Estimate) and name in RATIOS:
        return _ratio(value, ends, texts)
    if isinstance(value, Spread) and ends["low"] == ends["high"]:
        return ends["value"]
    unbounded = name == "critical" and not 0 < value.value < inf
    if isinstance(value, Estimate) and (name in RANGES or unbounded):
        return bounds_text(value, texts)
    return texts("page.interval", **ends)


def _named(item: int | str, record: ComparisonRecord, texts: Texts) -> str:
    """Return the name of a batch size, or of a kind of them that is lacking."""
    if isinstance(item, int):
        return regime_name(item, record.rows, texts)
    return texts(f"lacking.{item}")


def _ratio(value: Estimate, ends: Mapping[str, str], texts: Texts) -> str:
    """Return `3.1 (3 to 3.2) times`, `at least 3 times` or `about a third (0.32, 0.28 to 0.35)`."""
    ratio = value.value
    if ratio == inf:
        return texts("ratio.least", **ends)
    if value.high == inf:
        return texts("ratio.open", **ends)
    parts = round(1 / ratio) if ratio > 0 else 0
    if parts < 2 or abs(ratio * parts - 1) > NEAR:
        return texts("ratio.times", **ends)
    if parts in FRACTIONS:
        return texts(f"ratio.{FRACTIONS[parts]}", **ends)
    return texts("ratio.part", parts=number(parts), **ends)


def _figure(row: ComparisonFigure, record: ComparisonRecord, texts: Texts) -> pieces.FigureSection:
    drawn = row.draw(record, texts)
    reading = row.reading(record, texts).splitlines()
    shown = reading if drawn is None else reading[: row.lines]
    return pieces.FigureSection(
        name=row.name,
        title=texts.get(f"figure.{row.name}.title", sentence(row.description)),
        question=texts.get(f"figure.{row.name}.question", ""),
        reading=shown,
        plot=None if drawn is None else figure_json(drawn),
        numbers=None if drawn is None else _numbers(row, record, texts, [*reading[len(shown) :], *remarks_of(drawn)]),
    )


def _numbers(
    row: ComparisonFigure, record: ComparisonRecord, texts: Texts, remarks: Sequence[str]
) -> pieces.Numbers | None:
    """Return the numbers behind a figure: the first rows, what the columns mean, and the file with all of them."""
    rows = row.numbers(record)
    if not rows:
        return None
    head = list(rows[0])
    body = [[_cell(line[name], texts) for name in head] for line in rows[:PREVIEW]]
    numeric = [name for name in head if any(isinstance(line[name], int | float) for line in rows)]
    address = f"tables/{row.name}.csv"
    before = texts("page.rows", shown=min(PREVIEW, len(rows)), rows=len(rows))
    meanings = [(name, texts.get(f"column.{name}", "")) for name in head]
    file = pieces.Link(address, address, f"{before} ")
    table = pieces.PageTable(head, body, numeric, label=f"{row.name}.csv")
    return pieces.Numbers(title_of_numbers(remarks, texts), table, file, pieces.Facts(meanings), remarks)


def _cell(value: object, texts: Texts) -> str:
    if isinstance(value, bool):
        return texts("page.yes" if value else "page.no")
    return number(value)


def _csv(rows: Rows) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return file.getvalue()
