"""What differs between studies: their settings, and what keeps them from being compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.locales import Texts
from hpsearch.reporting.formatting import number, readable, visible
from hpsearch.reporting.pieces import PageTable, Paragraph, Section
from hpsearch.storage import ComparisonRecord, StudyRecord

Record = StudyRecord | ComparisonRecord
LEFT_OUT = {"study.name", "study.question", "data.root"}  # say nothing of how a study was done
LONGEST = 120  # characters of a setting


def labels(records: Sequence[Record]) -> list[str]:
    """Return what each study is called: its name, with a number where several have it."""
    names = [visible(record.name, 60) for record in records]
    labelled = []
    for place, name in enumerate(names):
        before = names[:place].count(name)
        labelled.append(f"{name} ({before + 1})" if names.count(name) > 1 else name)
    return labelled


def differences(records: Sequence[Record], texts: Texts) -> Section:
    """Return the settings that are not the same in all studies, a row each."""
    flat = [dict(_flattened(record.settings, "")) for record in records]
    names = dict.fromkeys(name for table in flat for name in table)
    rows = []
    for name in names:
        values = [_text(table.get(name)) for table in flat]
        if name not in LEFT_OUT and len(set(values)) > 1:
            rows.append([readable(name, 80), *values])
    title = texts("several.settings.title")
    contents: list[Any] = [Paragraph(texts("several.settings.none"))]
    if rows:
        head = [texts("several.settings.name"), *labels(records)]
        contents = [Paragraph(texts("several.settings.question"), "ask"), PageTable(head, rows, label=title)]
    return Section("settings", title, contents)


def _flattened(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield settings by the path of their keys; a range of a space is one setting."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        is_range = isinstance(value, Mapping) and {"low", "high"} <= value.keys()
        if isinstance(value, Mapping) and value and not is_range:
            yield from _flattened(value, f"{name}.")
        else:
            yield name, value


def _text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "–"
    if isinstance(value, Mapping):
        range_ = f"{number(value['low'])} … {number(value['high'])}"
        return f"{range_}, log" if value.get("log") else range_
    if isinstance(value, list | tuple):
        return visible(", ".join(map(_text, value)), LONGEST)
    return visible(number(value), LONGEST)


def obstacles(records: Sequence[Record], texts: Texts) -> list[str]:
    """Return what keeps studies from being compared, a sentence each: other tasks, metrics, data or rows."""
    found = []
    for name in ("task", "metric"):
        values = [visible(record.data.get(name) or "–", 60) for record in records]
        if len(set(values)) > 1:
            found.append(texts(f"several.obstacle.{name}", values=_listed(records, values)))
    hashes = {record.data.get("hash") for record in records}
    if len(hashes) > 1:
        titles = [visible(record.data.get("title") or record.data.get("name") or "–", 80) for record in records]
        key = "data" if len(set(titles)) > 1 else "rows"
        found.append(texts(f"several.obstacle.{key}", values=_listed(records, titles), title=titles[0]))
    return found


def _listed(records: Sequence[Record], values: Sequence[str]) -> str:
    pairs = zip(labels(records), values, strict=True)
    return ", ".join(f"{label}: {value}" for label, value in pairs)
