"""What differs between studies: their settings, and what keeps them from being compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.locales import Texts
from hpsearch.reporting.formatting import number, readable, visible
from hpsearch.reporting.pieces import PageTable, Paragraph, Section
from hpsearch.reporting.ranking import KEYS_OF_RANGES
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
            rows.append([readable(name, 80), *(visible(value, LONGEST) for value in values)])
    title = texts("several.settings.title")
    contents: list[Any] = [Paragraph(texts("several.settings.none"))]
    if rows:
        head = [texts("several.settings.name"), *labels(records)]
        contents = [Paragraph(texts("several.settings.question"), "ask"), PageTable(head, rows, label=title)]
    return Section("settings", title, contents)


def _flattened(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield settings by the path of their keys; a range of a space is one setting, one that an optimizer has for itself another."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and _is_range(value):
            yield name, {part: value[part] for part in KEYS_OF_RANGES if part in value}
            own = {part: one for part, one in value.items() if part not in KEYS_OF_RANGES}
            yield from _flattened(own, f"{name}.")
        elif isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{name}.")
        else:
            yield name, value


def _is_range(table: Mapping[str, Any]) -> bool:
    return {"low", "high"} <= table.keys()


def _text(value: Any) -> str:
    """Return a setting in full: `8 … 512, log` of a range, `depth 2, width 64; depth 3` of a list of tables."""
    if value is None or value in ({}, []):
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(_parts(value))
    if isinstance(value, list | tuple):
        has_tables = any(isinstance(one, Mapping) for one in value)
        return ("; " if has_tables else ", ").join(map(_text, value))
    return number(value)


def _parts(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a range, or a table of settings in a list, consists of."""
    named = dict(table)
    if _is_range(table):
        yield f"{number(named.pop('low'))} … {number(named.pop('high'))}"
        if named.pop("log", False):
            yield "log"
    for name, value in named.items():
        yield f"{name} {_text(value)}"


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
