"""What texts of a target look like, other than the classes they are taken for: numbers with a unit, several labels, missing cells.

Such texts can be classes all the same. So each look is a notice, with what to do if it is what they are; where they cannot be classes (too
many, too rare) it is the error.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from hpsearch.data.cells import Array
from hpsearch.errors import listed, shown

LABEL_MARKS = (",", ";", "|", "+", "&", "/")  # between several labels in a cell
NUMBER = r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?"
WITH_UNIT = re.compile(rf"([$€£¥]\s?)?({NUMBER})(\s?(?:[$€£¥%‰]|°?[A-Za-zµ²³/]{{1,5}}))?")
MISSING = frozenset(
    ["na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing", "k.a.", "nat", "<na>"]
)


def looks_of(labels: Array) -> Iterator[str]:
    """Yield what a target's texts [N] look like and what to do about it, as a sentence each; nothing of one that is no text."""
    if labels.dtype.kind != "O" or labels.ndim != 1:
        return
    counts = Counter(map(str, labels))
    texts = [*counts]
    found = (_with_unit(texts), _several_labels(texts), _missing(counts))
    yield from (sentence for sentence in found if sentence)


def _with_unit(texts: Sequence[str]) -> str:
    units = set()
    for text in texts:
        found = WITH_UNIT.fullmatch(text.strip())
        if found is None:
            return ""
        units.add(((found[1] or "") + (found[3] or "")).strip())
    if len(units) != 1 or units == {""} or len(texts) < 2:
        return ""
    return (
        f"The target's texts look like numbers with {shown(units.pop())} ({listed(texts, 2)}): "
        "write the numbers alone, and a number is predicted (regression)."
    )


def _several_labels(texts: Sequence[str]) -> str:
    """Return the sentence on cells that may hold several labels: the labels come in other cells too, alone or in another place."""
    for mark in LABEL_MARKS:
        cells = {text: [part.strip() for part in text.split(mark)] for text in texts}
        divided = {text: parts for text, parts in cells.items() if len(parts) > 1}
        several = [text for text, parts in divided.items() if all(parts)]
        labels = sorted({*chain.from_iterable(cells.values())} - {""})
        places = {*chain.from_iterable(map(enumerate, cells.values()))}  # (place, label)
        alone = {parts[0] for parts in cells.values() if len(parts) == 1}
        if not any(map(str.isalpha, "".join(labels))):  # 1,3 is a number, 01/03/2024 a date
            continue
        shared = not alone.isdisjoint(chain.from_iterable(divided.values()))
        if several and len(labels) <= len(texts) and (shared or len(places) > len(labels)):
            return (
                f"The target's texts look like several labels in one cell ({listed(several, 2)}): each combination is a class of its own. "
                f"If a row has several labels, write a column of 0 and 1 for each ({listed(labels, 4)}) and give them all as the target."
            )
    return ""


def _missing(counts: Mapping[str, int]) -> str:
    texts = [text for text in counts if text.strip().lower() in MISSING]
    if not texts:
        return ""
    rows = sum(counts[text] for text in texts)
    options = " ".join(f"--missing-value {shown(text)}" for text in texts)
    count = "1 row has" if rows == 1 else f"{rows:,} rows have"
    are = "is a class" if len(texts) == 1 else "are classes"
    return (
        f"The target's {listed(texts)} {are} ({count} it). If it means that the target is missing, "
        f"missing_values = [{listed(texts)}] reads it so ({options}), and those rows must be dropped."
    )
