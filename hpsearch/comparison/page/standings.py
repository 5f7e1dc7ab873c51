"""The table under the first figure: GD, a mini-batch and SGD by what they needed and became, and who can be told apart."""

from collections.abc import Sequence
from math import inf, isfinite

from hpsearch.comparison.analysis.contrasts import of_first
from hpsearch.comparison.analysis.measured import Spread
from hpsearch.comparison.analysis.standings import Standing, Value, compared_sizes, standings
from hpsearch.comparison.analysis.times import UNITS, optimizers, times
from hpsearch.comparison.figures.appearance import engine_text, percent, regime_name, short_name, significant
from hpsearch.locales import Texts
from hpsearch.reporting.formatting import MetricFormat, duration, number
from hpsearch.reporting.pieces import Paragraph, RankedCell, RankedTable
from hpsearch.reporting.regimes import regime_of
from hpsearch.storage import ArmRecord, ComparisonRecord

SYMBOLS = {"ahead": "▲", "between": "◆", "behind": "▼"}  # so that colour is not the only sign


def ranked_table(record: ComparisonRecord, texts: Texts) -> list[RankedTable | Paragraph]:
    """Return the table and what it means; nothing before a run on a fresh seed has ended."""
    found = dict(standings(record))
    if not found:
        return []
    first = optimizers(record)[0]
    arms = {arm.batch_size: arm for arm in record.arms if arm.optimizer == first}
    compared = [arms[size] for size in compared_sizes(record)]
    names = {arm.batch_size: _shortest_name(arm, compared, record, texts) for arm in compared}
    rows = []
    for arm in compared:
        cells = [_cell(unit, of_sizes.get(arm.batch_size), names, record, texts) for unit, of_sizes in found.items()]
        rows.append((short_name(arm, record, texts), _what(arm, record, texts), cells))
    head = [texts("standing.method"), *(texts(f"standing.{name}") for name in found)]
    notes = [texts("standing.note"), texts("standing.note_seconds", engine=engine_text(record, texts))]
    if "minima" in found:
        notes.append(texts("standing.note_minima"))
    others = _least_of_others(record, texts)
    if others:
        notes.append(texts("standing.note_least", parts=", ".join(others)))
    return [RankedTable(texts("standing.title"), head, rows), Paragraph(" ".join(notes), "note")]


def _least_of_others(record: ComparisonRecord, texts: Texts) -> list[str]:
    """Return the costs of which a batch size that is not in the table needs least, with that batch size."""
    shown = compared_sizes(record)
    found = []
    for unit in UNITS:
        arms = [arm for arm in of_first(record, times(record)).values() if unit in arm.costs]
        least = min(arms, key=lambda arm: arm.costs[unit].median.value, default=None)
        if least is None or least.batch_size in shown or not isfinite(least.costs[unit].median.value):
            continue
        name = regime_name(least.batch_size, record.rows, texts)
        value = _written(unit, least.costs[unit].median.value, record, texts)
        found.append(texts("standing.least", what=texts(f"standing.{unit}"), value=value, name=name))
    return found


def _shortest_name(arm: ArmRecord, compared: Sequence[ArmRecord], record: ComparisonRecord, texts: Texts) -> str:
    """Return an arm's name for the remarks in cells: a mini-batch has no number where it is the only one."""
    minis = [other for other in compared if regime_of(other.batch_size, record.rows) == "some"]
    if arm.optimizer == "sgd" and minis == [arm]:
        return texts("standing.mini")
    return short_name(arm, record, texts)


def _what(arm: ArmRecord, record: ComparisonRecord, texts: Texts) -> str:
    return texts(f"standing.{regime_of(arm.batch_size, record.rows)}", rows=number(arm.batch_size))


def _cell(
    criterion: str, standing: Standing | None, names: dict[int, str], record: ComparisonRecord, texts: Texts
) -> RankedCell:
    if standing is None or not standing.values:
        return RankedCell([(texts("standing.unknown"), "")])
    lines = [_line(criterion, name, value, record, texts) for name, value in standing.values.items()]
    if standing.other_size is not None:
        lines.append(("", texts("standing.other_size", batch_size=number(standing.other_size))))
    rank = _rank(standing)
    return RankedCell(lines, rank, _rank_text(rank, standing, names, texts))


def _rank(standing: Standing) -> str:
    if standing.ahead and standing.behind:
        return "between"
    if standing.ahead:
        return "ahead"
    return "behind" if standing.behind else ""


def _rank_text(rank: str, standing: Standing, names: dict[int, str], texts: Texts) -> str:
    if not rank:
        return texts("standing.alike")
    values = {
        "ahead": _names(standing.ahead, names, texts),
        "behind": _names(standing.behind, names, texts),
    }
    return f"{SYMBOLS[rank]} {texts(f'standing.is_{rank}', **values)}"


def _names(sizes: Sequence[int], names: dict[int, str], texts: Texts) -> str:
    if len(sizes) > 1 and len(sizes) == len(names) - 1:
        return texts("standing.both")
    return texts.listing([names[size] for size in sizes])


def _line(criterion: str, name: str, value: Value, record: ComparisonRecord, texts: Texts) -> tuple[str, str]:
    """Return a value and its interval as text."""

    def write(number_: float) -> str:
        return _written(criterion, number_, record, texts)

    text = write(value.value)
    if criterion == "stability":
        text = texts(f"standing.{name}", value=text)
    if isinstance(value, Spread) and value.runs == 1:
        return text, ""
    if value.low == inf or write(value.low) == write(value.high):
        return text, ""
    if criterion == "path":
        return text, texts("range.between", low=significant(value.low), high=significant(value.high))
    return text, texts("range.between", low=write(value.low), high=write(value.high))


def _written(criterion: str, value: float, record: ComparisonRecord, texts: Texts) -> str:
    if not isfinite(value):
        return texts("page.never")
    if criterion == "seconds":
        return duration(value)
    if criterion in UNITS:
        return significant(value)
    if criterion == "path":
        return texts("standing.times", value=significant(value))
    if criterion in ("stability", "minima"):
        return percent(value)
    return MetricFormat.of(record).text(value)
