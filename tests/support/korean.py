"""Whether what the code says in English is Korean on a Korean screen: every sentence that a test makes is looked at."""

import re
from collections.abc import Mapping
from typing import Any

from hpsearch.locales import Texts

KOREAN = Texts("ko")
VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[\w-]+(?: [^\s()]+)?")  # names in quotes, options with what is given
ENGLISH = re.compile(r"[A-Za-z]{2,}(?: [a-z]{2,}){2}")  # three words beside each other
HANGUL = re.compile("[가-힣]")


def is_korean(sentence: str) -> bool:
    """Whether a sentence, or a note of one word, is Korean on a Korean screen, all its parts too; values and options aside."""
    shown = KOREAN.word(sentence)
    return bool(HANGUL.search(shown)) and not ENGLISH.search(VALUES.sub("", shown))


def sentences_of(summary: Mapping[str, Any]) -> set[str]:
    """Return what a data set's summary says to a reader: notices, how it was read, why it has its task, and what of its columns."""
    notes = {str(column.get("note") or "") for column in summary.get("columns", ())}
    said = {*summary["notices"], *summary.get("reading", ()), summary["task_reason"], *notes}
    return said - {"", "Parquet"}
