"""The sentences of both reports, apart from the code that fills them in: a language is one TOML file beside this module.

A key is the path to a sentence through the file's tables, such as `figure.steps.title`. `{names}` in a sentence are filled with values
that are text already. Every language has every sentence (a test proves it). A study that hpsearch did not run is told of in its own words
where `search.foreign.…` has them.

What the rooms below say in English (outcomes, metrics, notices about the data, the stages of a run) is English in storages and files.
The table `word` of another language has what to say instead: its keys are the English texts, with `{gaps}` where they have values.
What a gap holds is looked up in the same way, so a sentence of parts needs a key for each part, not one for each combination. Gaps of
some names hold one kind of value only (see `HELD`), which tells `2 rows` from any other text that ends with `rows`.
"""

import os
import re
import string
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hpsearch.errors import look_up

LANGUAGES = {"en": "English", "ko": "한국어"}
WORD = "word."
GAP = re.compile(r"\{\w+\}")
HELD = {  # by a gap of this name; any other may hold anything
    "count": r"\d[\d,]*",
    "share": r"\d+ ?%",
    "format": r"%[^()]+?",  # of dates
}


def usual_language(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of the locale (`LC_ALL`, `LC_MESSAGES` or `LANG`, the first that is set), English where there is no other."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = next(filter(None, names), "").partition("_")[0].partition(".")[0]
    return language if language in LANGUAGES else "en"


def language_words(language: str) -> list[str]:
    """Return the words that ask for a language on the command line, none for the locale's."""
    return [] if language == usual_language() else ["--lang", language]


class Texts:
    """One language: `texts("figure.steps.title")` is a sentence."""

    def __init__(self, language: str = "en", variant: str = "") -> None:
        self.name = look_up(LANGUAGES, language, "language")
        self.language = language
        self.variant = variant

    def of(self, variant: str) -> "Texts":
        """Return the same language with the sentences of a variant, as `foreign`, where it has its own."""
        return Texts(self.language, variant)

    @property
    def page_name(self) -> str:
        """The file of a report in this language: `report.html`, `report.ko.html`."""
        if self.language == "en":
            return "report.html"
        return f"report.{self.language}.html"

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence with its names filled in."""
        return self._sentences[key].format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences

    def get(self, key: str, default: str) -> str:
        """Return a sentence without names, or the default where there is none."""
        return self._sentences.get(key, default)

    def word(self, english: str) -> str:
        """Return what the language has for a name or a sentence that is English in the code; the English text where it has nothing."""
        return _worded(self.language, english)

    def interval(self, low: str, high: str) -> str:
        """Return `0.31 to 0.35`."""
        return self("number.interval", low=low, high=high)

    @property
    def _sentences(self) -> dict[str, str]:
        return _with_english(self.language, self.variant)

    def count(self, noun: str, amount: int) -> str:
        """Return an amount of something: `1 trial`, `no trials` or `1,000 trials`."""
        form = {0: "none", 1: "one"}.get(amount, "many")
        return self(f"search.count.{noun}.{form}", amount=f"{amount:,}")

    def listing(self, items: Iterable[str]) -> str:
        """Return `a, b and c`."""
        *first, last = list(items) or [""]
        if first:
            return self("search.listing", first=", ".join(first), last=last)
        return last


ENGLISH = Texts()


@cache
def sentences(language: str) -> dict[str, str]:
    """Return the sentences of a language's file by their keys."""
    text = (Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8")
    return _flattened(tomllib.loads(text), "")


@cache
def _with_english(language: str, variant: str) -> dict[str, str]:
    found = sentences("en") | sentences(language)
    if not variant:
        return found
    part = f".{variant}."  # of the keys of the variant's own sentences
    own = {key.replace(part, ".", 1): text for key, text in found.items() if key.startswith("search" + part)}
    return found | own


@lru_cache(maxsize=4096)
def _worded(language: str, english: str) -> str:
    plain = sentences(language).get(f"{WORD}{english}")
    if plain is not None:
        return plain
    for pattern, text in _patterns(language):
        if found := pattern.fullmatch(english):
            return text.format(**{name: _worded(language, value) for name, value in found.groupdict().items()})
    return english


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Return the English texts with gaps as patterns, the longest first, each with what the language says instead."""
    words = {key.removeprefix(WORD): text for key, text in sentences(language).items() if key.startswith(WORD)}
    with_gaps = sorted(filter(GAP.search, words), key=lambda english: len(GAP.sub("", english)), reverse=True)
    return [(gaps_pattern(english), words[english]) for english in with_gaps]


def gaps_pattern(english: str) -> re.Pattern[str]:
    """Return the pattern of an English text whose `{gaps}` may hold what `HELD` says; what they hold has its own words."""
    pattern = ""
    for plain, name, _, _ in string.Formatter().parse(english):
        pattern += re.escape(plain)
        if name:
            pattern += f"(?P<{name}>{HELD.get(name, '.+?')})"
    return re.compile(pattern, re.DOTALL)


def _flattened(table: dict[str, Any], prefix: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
