"""Several comparisons of GD, SGD and mini-batches side by side: the verdict on each claim, and what each batch size needed."""

from collections.abc import Sequence
from dataclasses import replace

from hpsearch.comparison.analysis.judgement import Judgement
from hpsearch.comparison.analysis.verdicts import verdicts
from hpsearch.comparison.figures.appearance import target_text
from hpsearch.comparison.page.opening import all_sizes
from hpsearch.locales import ENGLISH, Texts
from hpsearch.reporting.pieces import PageTable, Paragraph, Section, Warnings
from hpsearch.reporting.several import page_of
from hpsearch.reporting.several.settings import differences, labels
from hpsearch.storage import ComparisonRecord


def several_comparisons(records: Sequence[ComparisonRecord], texts: Texts = ENGLISH) -> str:
    """Return comparisons, two or more, side by side as one HTML document."""
    first: list[Section | Warnings] = [_verdicts(records, texts)]
    targets = [_target(record, texts) for record in records]
    if len(set(targets)) > 1:
        listed = ", ".join(f"{name}: {target}" for name, target in zip(labels(records), targets, strict=True))
        first.append(Warnings(texts("page.note"), [texts("several.obstacle.target", values=listed)]))
    sections = [
        _regimes(record, place, name, texts)
        for place, (record, name) in enumerate(zip(records, labels(records), strict=True))
    ]
    return page_of(records, first, [*filter(None, sections), differences(records, texts)], texts)


def _target(record: ComparisonRecord, texts: Texts) -> str:
    if record.target is None:
        return "–"
    return target_text(record, texts)


def _verdicts(records: Sequence[ComparisonRecord], texts: Texts) -> Section:
    """Return a row for each claim and a column for each comparison."""
    judged = [{verdict.claim: verdict.judgement for verdict in verdicts(record)} for record in records]
    claims = dict.fromkeys(claim for table in judged for claim in table)
    rows = []
    for claim in claims:
        words = [_judgement(table.get(claim), texts) for table in judged]
        rows.append([texts(f"claim.{claim}"), *words])
    head = [texts("several.verdicts.claim"), *labels(records)]
    title = texts("several.verdicts.title")
    contents = [Paragraph(texts("several.verdicts.question"), "ask"), PageTable(head, rows, label=title)]
    return Section("verdicts", title, contents)


def _judgement(judgement: Judgement | None, texts: Texts) -> str:
    return texts(f"judgement.{judgement}") if judgement else "–"


def _regimes(record: ComparisonRecord, place: int, name: str, texts: Texts) -> Section | None:
    """Return what each batch size of a comparison needed, None where nothing was trained."""
    sizes = all_sizes(record, texts)
    if not sizes:
        return None
    title = texts("several.verdicts.regimes", name=name)
    contents: list[PageTable | Paragraph] = []
    for piece in sizes:
        if isinstance(piece, PageTable):
            contents.append(replace(piece, label=title))
        else:
            contents.append(piece)
    return Section(f"glance-{place + 1}", title, contents)
