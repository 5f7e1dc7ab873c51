"""The sentences: all languages have the same, none is empty, every one that the code asks for is there, and none is never asked for."""

import ast
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from hpsearch.comparison.figures import COMPARISON_FIGURES
from hpsearch.data.metrics import METRICS
from hpsearch.data.tasks import TASKS
from hpsearch.errors import UserError
from hpsearch.locales import ENGLISH, LANGUAGES, Texts, sentences
from hpsearch.reporting.figures import FIGURES
from hpsearch.reporting.formatting import MetricFormat
from hpsearch.reporting.tables import TABLES as TABLES_OF_A_SEARCH
from hpsearch.reporting.tables.trials import FOREIGN_OUTCOMES, STATES
from hpsearch.trial import Outcome
from tests.support.comparisons import comparison
from tests.support.drawn_escapes import drawn, shares
from tests.support.escapes import minima, textbook

PACKAGE = Path(__file__).parents[2] / "hpsearch"
COMPARISON = PACKAGE / "comparison"
SPEAKING = [
    "check",
    "compare",
    "export",
    "init",
    "list",
    "open",
    "predict",
    "recorded",
    "refit",
    "replay",
    "report",
    "run",
    "show",
    "verify",
]
COMMANDS = [f"commands/{name}.py" for name in SPEAKING]
REPORTING = PACKAGE / "reporting"
READERS = sorted(
    {
        *COMPARISON.glob("figures/*.py"),
        *COMPARISON.glob("page/*.py"),
        COMPARISON / "screen.py",
        *REPORTING.glob("[!r]*.py"),  # all but rendering.py and ranking.py, which say nothing
        REPORTING / "regimes.py",
        REPORTING / "replicates.py",
        PACKAGE / "cli.py",
        *(PACKAGE / command for command in COMMANDS),
        PACKAGE / "locales" / "__init__.py",
        REPORTING / "tables" / "space.py",
        REPORTING / "tables" / "writing.py",
        *REPORTING.glob("figures/*.py"),
        *REPORTING.glob("several/*.py"),
    }
)
KEY = re.compile(r"[a-z_]+(\.[a-z_0-9-]+)+")
TABLES = {key.partition(".")[0] for key in sentences("en")}
VERDICTS = [f"comparison/analysis/{path.name}" for path in sorted(COMPARISON.glob("analysis/*.py"))]
# What fills the gap of `texts(f"moment.{name}")` stands in the module itself, but for these tables, whose names come from elsewhere.
ELSEWHERE = {
    "several": ["reporting/several/contrast.py"],
    "regime": ["reporting/regimes.py"],
    "screen": ["reporting/overview.py", "reporting/screen.py", "comparison/screen.py", *COMMANDS],
    "figure": [
        "comparison/analysis/tuning.py",
        "comparison/analysis/noise.py",
        "statistics/tuning.py",
        "comparison/analysis/quality.py",
    ],
    "claim": ["comparison/analysis/verdicts.py"],
    "verdict": VERDICTS,
    "judgement": VERDICTS,
    "limit": VERDICTS,
    "lacking": VERDICTS,
    "page": ["reporting/study_page.py"],
    "search": [
        "data/tasks.py",
        "reporting/figures/predictions.py",
        "reporting/figures/confirmed.py",
        "reporting/figures/history.py",
        "reporting/selection.py",
        "reporting/shapes.py",
        "reporting/tables/regimes.py",
        "reporting/summary.py",
        "reporting/trust.py",
        "reporting/tables/results.py",
        "reporting/tables/space.py",
        "storage/records.py",
    ],
    "chapter": ["comparison/figures/__init__.py"],
    "standing": ["comparison/analysis/standings.py", "comparison/analysis/times.py", "reporting/regimes.py"],
    "moment": ["comparison/analysis/noise.py", "comparison/figures/appearance.py"],
    "class": ["comparison/analysis/escape.py"],
    "method": ["comparison/analysis/escape.py", "comparison/escape/cells.py", "comparison/escape/teacher.py"],
    "metric": ["data/metrics.py", "data/tasks.py"],
    "check": ["data/tasks.py"],
    "head": ["data/tasks.py"],
    "cost": ["data/tasks.py"],
    "protocol": ["config/sections.py"],
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def words(path: Path) -> frozenset[str]:
    """Every string that stands in a module, its names of arguments too: what a gap may be filled with."""
    nodes = list(ast.walk(tree(path)))
    plain = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset({word.replace(" ", "_") for word in plain} | plain)


@cache
def made_words(path: Path) -> frozenset[str]:
    """Every word that a module puts together, as `f"frozen_{how}"`, its gaps as patterns."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            fixed = "".join(filter(None, parts))
            if re.fullmatch(r"[a-z0-9-]+_[a-z_0-9-]*|[a-z_0-9-]*_[a-z0-9-]+", fixed):
                found.add("".join(re.escape(part) if part else "[a-z_0-9-]+" for part in parts))
    return frozenset(found)


def is_key(value: object) -> bool:
    return isinstance(value, str) and bool(KEY.fullmatch(value)) and value.partition(".")[0] in TABLES


def asked(path: Path) -> Iterator[tuple[list[str | None], ast.AST]]:
    """Yield what a module asks for: literal parts of keys, with None for each gap."""
    inside = {id(part) for node in ast.walk(tree(path)) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
            first = parts[0] or ""
            if first.partition(".")[0] in TABLES and "." in first:
                yield parts, node
        elif isinstance(node, ast.Constant) and id(node) not in inside and is_key(node.value):
            yield [str(node.value)], node


@cache
def pattern(path: Path, parts: tuple[str | None, ...]) -> re.Pattern[str]:
    """The keys that a module's request can be for: its gaps are filled with words of the module, or of where they come from."""
    homes = [path, *(PACKAGE / home for home in ELSEWHERE.get(str(parts[0]).partition(".")[0], []))]
    known = frozenset().union(*(words(home) for home in homes), {row.name for row in COMPARISON_FIGURES})
    plain = {re.escape(word) for word in known if re.fullmatch(r"[a-z_0-9-]*", word)}
    gap = "|".join(plain.union(*(made_words(home) for home in homes)))
    return re.compile("".join(f"(?:{gap})" if part is None else re.escape(part) for part in parts))


def requests() -> list[tuple[str, re.Pattern[str]]]:
    """Every request of the code, with where it stands."""
    found = [(path, tuple(parts), node) for path in READERS for parts, node in asked(path)]
    return [(f"{path.name}:{node.lineno} {parts}", pattern(path, parts)) for path, parts, node in found]  # type: ignore[attr-defined]


def nouns() -> set[str]:
    """What the code counts with `texts.count(noun, amount)`; a gap in it is `*`."""
    calls = [node for path in READERS for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    counts = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "count"]
    return {pattern_of(call.args[0]) for call in counts if len(call.args) == 2}


def pattern_of(noun: ast.expr) -> str:
    parts = noun.values if isinstance(noun, ast.JoinedStr) else [noun]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)


def without_words(keys: Iterable[str]) -> set[str]:
    """The keys of sentences: those that every language has."""
    return {key for key in keys if not key.startswith("word.")}


def columns() -> set[str]:
    """The columns of all figures' tables."""
    record = comparison(optimizers=("sgd", "adam"), minima=minima(), textbook=textbook())
    fresh = replace(record, minima=drawn(shares(sgd=0.8, isotropic=0.1), 0))  # best settings were measured anew
    rows = [line for row in COMPARISON_FIGURES for each in (record, fresh) for line in row.numbers(each)]
    return {name for line in rows for name in line}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_sentences_and_their_names(language: str) -> None:
    """Every language has English's keys and no other; each sentence has English's names, and something to say."""
    english, own = sentences("en"), sentences(language)
    assert without_words(own) == without_words(english)

    def names(sentence: str) -> list[str]:
        return sorted({name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None})

    for key in without_words(own):
        assert names(own[key]) == names(english[key]), key
        assert own[key].strip(), key
        assert "" not in names(own[key]), f"{key}: a gap without a name"


NAMES = re.compile(r"<[^>]+>|\{\w+\}|python -m hpsearch( [\w-]+)*")  # what every language writes as English does


@pytest.mark.parametrize("language", set(LANGUAGES) - {"en"})
def test_a_language_is_a_translation(language: str) -> None:
    """No sentence is left in English: nowhere do three of its words follow each other, commands aside."""
    for key, sentence in sentences(language).items():
        rest = NAMES.sub("", sentence)
        assert not re.search(r"[A-Za-z]{3,}( [a-z]{2,}){2}", rest), f"{key}: {sentence}"


def names_in_the_code() -> set[str]:
    """What the code's tables call things in English, and what pages show in the reader's language."""
    tables = TABLES_OF_A_SEARCH.values()
    found = {text for table in tables for column in table.columns for text in (column.meaning, column.unit)} - {"", "s"}
    found |= {text for outcome in Outcome for text in (outcome.value, outcome.meaning)}
    found |= {text for row in (STATES, FOREIGN_OUTCOMES) for pair in row.items() for text in pair}
    for task in TASKS.values():
        found |= {task.name, task.head_name, task.loss_name, task.reason}
    for metric in METRICS.values():
        found |= {MetricFormat.named(metric.name, maximize=True).name, metric.title[0].lower() + metric.title[1:]}
    return found


@pytest.mark.parametrize("language", set(LANGUAGES) - {"en"})
def test_what_the_code_names_in_english_has_a_word(language: str) -> None:
    """Every outcome, task, metric and column's meaning has a word, abbreviations aside."""
    abbreviations = {"F1", "MCC", "ROC AUC", "RMSE", "MAE", "R²"}
    assert names_in_the_code() - abbreviations - {key.removeprefix("word.") for key in sentences(language)} == set()


def test_a_name_without_a_word_stays_as_it_is() -> None:
    """English needs no words; a name of a user's own is nobody's to translate."""
    assert ENGLISH.word("out of memory") == "out of memory"
    assert Texts("ko").word("out of memory") == "메모리 부족"
    assert Texts("ko").word("my_metric") == "my_metric"


@pytest.mark.slow
def test_every_request_is_for_a_sentence_that_exists() -> None:
    """Every key that stands in the code is a sentence; every key with gaps can be filled in so that it is one."""
    for where, wanted in requests():
        optional = "'search.column." in where  # a translation of what the table says
        assert optional or any(wanted.fullmatch(key) for key in sentences("en")), where
    counted = {key.split(".")[2] for key in sentences("en") if key.startswith("search.count.")}
    for noun in nouns():
        assert any(fnmatch(known, noun) for known in counted), noun


@pytest.mark.slow
def test_every_sentence_is_asked_for() -> None:
    """No sentence is dead: a module asks for its key, or for a pattern whose gaps it can fill so; a column is one of a figure's table."""
    titles = {f"figure.{row.name}.{part}" for row in COMPARISON_FIGURES for part in ("title", "question")}
    titles |= {f"search.figure.{name}.{part}" for name in FIGURES for part in ("title", "question")}
    titles |= {f"search.count.{noun}.{form}" for noun in counted() for form in ("none", "one", "many")}
    used = titles | {f"column.{name}" for name in columns()}
    asked_for = [wanted for where, wanted in requests() if "'column." not in where]
    used |= {
        f"search.column.{name}.{column.name}" for name, table in TABLES_OF_A_SEARCH.items() for column in table.columns
    }
    keys = {
        key.replace("search.foreign.", "search.", 1) for key in sentences("en")
    }  # in other words for other programs' studies
    dead = [key for key in keys if key not in used and not any(w.fullmatch(key) for w in asked_for)]
    assert dead == []


def test_a_variant_says_the_same_in_other_words() -> None:
    """Every sentence for other programs' studies stands for one of hpsearch's own, and has no name that it lacks."""
    for key, sentence in sentences("en").items():
        own = key.replace("search.foreign.", "search.", 1)
        if own != key and not own.startswith("search.column."):
            needed, given = (
                {name for _, name, _, _ in string.Formatter().parse(text) if name}
                for text in (sentence, sentences("en")[own])
            )
            assert needed <= given | {"step"}, key
    assert Texts().of("foreign")("search.outcomes.usable", usable=1, trials="2 trials") != ENGLISH(
        "search.outcomes.usable", usable=1, trials="2 trials"
    )


def counted() -> set[str]:
    """The nouns of the locales that the code counts."""
    known = {key.split(".")[2] for key in sentences("en") if key.startswith("search.count.")}
    return {noun for noun in known if any(fnmatch(noun, asked_for) for asked_for in nouns())}


def test_every_column_has_its_meaning() -> None:
    """Every column of every figure's table is explained."""
    assert {f"column.{name}" for name in columns()} - sentences("en").keys() == set()


def test_a_language_that_is_not_there_is_told() -> None:
    """An unknown language is an error that lists those there are."""
    with pytest.raises(UserError, match=r"unknown language 'xx'.*en, ko"):
        Texts("xx")
