"""The sentences of a comparison's report, apart from the code that fills them in: a language is one TOML file beside this module.

A key is a path through the file's tables, `figure.steps.title`; `{names}` in a sentence are filled with values that are text already.
Every language has the keys and names of English (a test proves it), so that a translation is one file and nothing else.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from hpsearch.errors import look_up

LANGUAGES = {"en": "English", "ko": "한국어"}


class Texts:
    """One language; `texts("figure.steps.title")` is a sentence, `texts.has(key)` whether there is one."""

    def __init__(self, language: str = "en") -> None:
        self.name = look_up(LANGUAGES, language, "language")
        self.language = language
        self._sentences = sentences(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence with its names filled in."""
        return self._sentences[key].format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences


@cache
def sentences(language: str) -> dict[str, str]:
    """Return all sentences of a language by their keys."""
    text = (Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", str(value))]
    return found
