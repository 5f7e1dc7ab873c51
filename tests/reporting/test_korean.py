"""The page of a search and the screens in Korean: no English sentence is left, whatever the study."""

import ast
import io
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import optuna
import pytest
from rich.cells import cell_len
from rich.console import Console

from hpsearch.config import find_study, read_config
from hpsearch.data.tasks import infer_task
from hpsearch.locales import ENGLISH, LANGUAGES, Texts, sentences, usual_language
from hpsearch.progress import PhaseProgress, SearchStatus
from hpsearch.reporting import page, write_report
from hpsearch.reporting.figures.points import trial_label
from hpsearch.reporting.formatting import MetricFormat, interval, short
from hpsearch.reporting.screen import Screen
from hpsearch.reporting.tables import frames
from hpsearch.storage import StudyRecord
from hpsearch.storage.reading import read
from tests.support.korean import is_korean
from tests.support.records import confirmed, ensembled, study, trials, unfinished

PACKAGE = Path(__file__).parents[2] / "hpsearch"
KOREAN = Texts("ko")
ENGLISH_WORDS = re.compile(r"[A-Za-z]{3,}(?: [a-z]{2,}){3}")  # four words beside each other: a sentence
WORDS = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
GIVEN = (  # by the author of a study, in made records, and by torch
    "How small a dense network",
    "each is taken as a class",
    "pixels are constant over all training rows",
    "optimizer got an empty parameter list",
    "fresh seed",
    "python -m hpsearch",
)


class Shown(HTMLParser):
    """Collects what a reader sees of a page, folded sections included, the tables behind the figures (which are files) aside."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.within: list[tuple[str, bool]] = []  # elements, and whether they hide what is in them

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where something is hidden."""
        if tag in ("script", "style", "details"):
            self.within.append((tag, ("class", "more") not in attrs))

    def handle_endtag(self, tag: str) -> None:
        """Note where it ends."""
        if self.within and self.within[-1][0] == tag:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not any(is_hidden for _, is_hidden in self.within):
            self.texts.append(data)


def left_in_english(lines: Iterator[str] | list[str]) -> list[str]:
    """Return the lines with an English sentence, those that a study's author wrote aside."""
    return [line for line in lines if ENGLISH_WORDS.search(line) and not any(text in line for text in GIVEN)]


def shown(record: StudyRecord) -> list[str]:
    """Return the texts of a study's page in Korean."""
    parser = Shown()
    parser.feed(page(record, frames(record), KOREAN))
    return parser.texts


def lost() -> StudyRecord:
    """Return a study in which every trial diverged."""
    made = [replace(trial, outcome="diverged", value=None, state="complete") for trial in trials(6)]
    failed = [replace(trial, detail=f"diverged at update {trial.number + 1} (loss = nan)") for trial in made]
    return replace(study(6), trials=tuple(failed), result={})


def two_objectives() -> StudyRecord:
    """Return a study of accuracy and parameters."""
    record = study(30)
    several = tuple(
        replace(trial, values=(trial.value or 0.0, float(trial.parameters or 0))) for trial in record.trials
    )
    return replace(record, trials=several, objectives={"accuracy": "maximize", "parameters": "minimize"})


STUDIES: dict[str, Callable[[], StudyRecord]] = {
    "finished": study,
    "running": unfinished,
    "confirmed": lambda: confirmed(study(64)),
    "failed replicates": lambda: confirmed(study(64), failed=True),
    "ensemble": lambda: ensembled(confirmed(study(64))),
    "lost": lost,
    "objectives": two_objectives,
    "few trials": lambda: study(3),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_a_page_has_no_english_sentence(kind: str) -> None:
    """What a reader sees of a Korean page is Korean, and as many things are said as in English."""
    texts = shown(STUDIES[kind]())
    assert left_in_english(texts) == []
    assert sum(bool(re.search("[가-힣]", text)) for text in texts) > 20


def test_why_a_trial_failed_is_said_in_korean() -> None:
    """A failed trial's point says in Korean what happened, which the storage keeps in English."""
    metric = MetricFormat.named("accuracy", maximize=True, texts=KOREAN)
    said = trial_label(lost().trials[2], metric, KOREAN)
    assert "3번째 업데이트에서 발산(손실 = nan)" in said
    assert "diverged" not in said


def test_a_column_keeps_its_name() -> None:
    """The table of columns says kinds and notes in Korean, and a name as it is, also where it is an English word."""
    column = {"name": "date", "kind": "number", "inputs": 1, "missing": 0, "note": "it counts the rows"}
    record = study()
    texts = shown(replace(record, data={**record.data, "columns": [column]}))
    assert "date" in texts
    assert {"수", "행의 번호이다"} <= {*texts}
    assert "날짜" not in texts


def test_a_foreign_study_has_no_english_sentence(tmp_path: Path) -> None:
    """The page of a study that another program made is Korean too, and stands beside the English one; the files are English."""
    url = f"sqlite:///{tmp_path}/any.db"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(study_name="any", storage=url)
    made.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=8)
    record = read(url, None, foreign=True)
    assert isinstance(record, StudyRecord)
    assert left_in_english(shown(record)) == []
    assert write_report(record, tmp_path / "report", "ko").name == "report.ko.html"
    assert write_report(record, tmp_path / "report").name == "report.html"
    meanings = (tmp_path / "report/tables/columns.csv").read_text(encoding="utf-8")
    assert not re.search("[가-힣]", meanings)


def test_numbers_are_written_as_koreans_do() -> None:
    """Intervals have a tilde, differences of percentages are points, and English is as it was."""
    metric = MetricFormat.named("accuracy", maximize=True, texts=KOREAN)
    assert metric.between(0.951, 0.965) == "95.1~96.5\u00a0%"
    assert metric.gap(0.97, 0.96) == "1.0 %p"
    assert metric.named_text(0.5) == "정확도 50.0\u00a0%"
    assert interval(1.0, None, short) == "1 to –"
    assert MetricFormat.named("accuracy", maximize=True).gap(0.97, 0.96) == "1.0 percentage point"


TARGETS = {
    "fractions": np.array([0.5, 1.25, 2.0]),
    "two classes": np.array(["yes", "no", "yes"], dtype=object),
    "classes": np.array(["a", "b", "c", "a"], dtype=object),
    "whole numbers": np.arange(40),
    "few whole numbers": np.arange(60) % 3,
    "several numbers": np.array([[0.5, 1.0], [2.0, 3.0]]),
    "labels": np.array([[0, 1], [1, 1], [1, 0]]),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_why_a_task_was_chosen_is_said_in_korean(kind: str) -> None:
    """Every reason for a task, which the storage keeps in English, is Korean on the page."""
    _, reason = infer_task(TARGETS[kind])
    assert not re.search(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", KOREAN.word(reason)), reason


@cache
def constants() -> str:
    """Return every text in the code."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(found)


@pytest.mark.parametrize("language", set(LANGUAGES) - {"en"})
def test_sentences_with_gaps_are_those_of_the_code(language: str) -> None:
    """What a language says instead of an English sentence with values has all words of one in the code, and the same gaps."""
    patterns = {key.removeprefix("word."): text for key, text in sentences(language).items() if key.startswith("word.")}
    known = set(WORDS.findall(constants()))
    for english, text in patterns.items():
        if "{" in english:
            assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", text)), english
            assert set(WORDS.findall(re.sub(r"\{\w+\}", "", english))) <= known, english


def test_a_sentence_with_values_is_translated_with_them() -> None:
    """A notice keeps its values, and a name in a gap has its own word."""
    said = "training the best 3 trials again on fresh seeds: 15 runs (5 of 15 are stored)"
    assert KOREAN.word(said) == "가장 좋은 시행 3개를 새 시드로 다시 학습: 실행 15개(15개 중 5개는 저장되어 있음)"
    said = "Column 'id' is not used (identifier): it counts the rows."
    assert KOREAN.word(said) == "'id' 열은 쓰지 않는다(식별자): 행의 번호이다."
    assert ENGLISH.word(said) == said


def test_a_sentence_of_parts_is_translated_part_by_part() -> None:
    """Parts that are joined are Korean each, whatever their number; numbers and shares are told from other text before the same words."""
    note = "102 distinct texts in 120 rows; 81 % of its cells are numbers, the others 'k.A.': if these mean a missing cell, "
    note += "missing_values = ['k.A.'] reads them so (--missing-value 'k.A.'), and the column is a number"
    said = KOREAN.word(f"Column 'dose' is not used (text): {note}.")
    assert said.startswith(
        "'dose' 열은 쓰지 않는다(텍스트): 120행에 서로 다른 텍스트 102개가 있다; 칸의 81 %가 수이고 나머지는 'k.A.'."
    )
    assert is_korean(f"Column 'dose' is not used (text): {note}.")
    said = "kinds: number ('a', 'b'), category ('c'), date ('d' and 2 more) (otherwise: --set data.columns.a=category)"
    assert (
        KOREAN.word(said)
        == "열의 종류: 수('a', 'b'), 범주('c'), 날짜('d' 외 2개) (다르면: --set data.columns.a=category)"
    )
    years = "years of two digits are 1969 to 2068; if these are no dates: --set b."
    said = KOREAN.word(f"Column 'day': read as %d.%m.%y, %y.%m.%d would fit too (--set a), {years}")
    assert said.startswith("'day' 열: %d.%m.%y 형식으로 읽었다. %y.%m.%d 형식도 맞는다(--set a). 두 자리 연도는")
    assert KOREAN.word("whatever 3 cells") == "whatever 3 cells"


def test_a_sentence_without_korean_is_seen() -> None:
    """What the tests ask of all that is said tells a sentence, or a part of one, that is left in English; values may be English."""
    assert is_korean("Column 'a b c d' is not used (identifier): it counts the rows.")
    assert not is_korean("Column 'a' is not used (identifier): it was seen on the moon.")
    assert not is_korean("Nobody has translated this sentence.")


def printed_by(width: int) -> tuple[Screen, io.StringIO]:
    """Return a Korean screen on a terminal of so many columns, and what it prints."""
    out = io.StringIO()
    screen = Screen("accuracy", KOREAN)
    screen.console = Console(
        highlight=False, markup=False, soft_wrap=True, width=width, file=out, force_terminal=True, color_system=None
    )
    return screen, out


def test_the_screens_of_a_run_are_korean_and_fit() -> None:
    """How a search begins and what it found stands within 80 cells, Korean letters counted as two, and is Korean."""
    screen, out = printed_by(80)
    record = ensembled(confirmed(study(64)))
    given = [("search.patience", 5), ("search.target_value", 0.9), ("training.max_seconds", 60)]
    screen.introduce_search(read_config(find_study("digits"), given))
    screen.introduce_data({**record.data, "shape": [8, 8], "classes": ["a", "b"], "outputs": 2})
    screen.conclude(record, "report.ko.html")
    screen.announce("search complete 3/3")
    lines = out.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert left_in_english(lines) == []
    assert lines[-1] == "탐색 완료 3/3"


def test_the_live_line_is_korean() -> None:
    """The line of progress counts trials and says how they ended, that of a phase which stage it is."""
    screen, _ = printed_by(80)
    counts = {"pruned": 4, "diverged": 2, "out_of_memory": 1, "repeated": 3}
    line = screen.line(SearchStatus(9, 12, 0.5, 1, seconds=1.0, trained=9, left=65.0, **counts))
    expected = "시행 12개 중 9개, 가장 좋은 정확도 50.0 % (#1), 초당 9.0개, 모두 1 min 5 s 남음"
    assert line == f"{expected}, 가지치기 4, 발산 2, 메모리 부족 1, 되풀이 3"
    out = io.StringIO()
    screen.console = Console(file=out, soft_wrap=True, width=80)
    screen.phase(PhaseProgress("training the best trials again on fresh seeds", 0, 25))
    assert out.getvalue() == "가장 좋은 시행을 새 시드로 다시 학습: 0/25\n"


def test_the_language_is_that_of_the_locale() -> None:
    """LC_ALL goes before LC_MESSAGES and that before LANG; a language that is not there is English."""
    assert usual_language({"LANG": "ko_KR.UTF-8"}) == "ko"
    assert usual_language({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}) == "en"
    assert usual_language({"LANG": "C", "LC_MESSAGES": "ko"}) == "ko"
    assert usual_language({"LANG": "de_DE.UTF-8"}) == usual_language({}) == "en"


def test_questions_of_the_studies_that_come_along_are_korean() -> None:
    """The question of every study in `studies/` has Korean, which the page shows; an author's own stays as it is."""
    files = [*Path(__file__).parents[2].joinpath("studies").glob("*.toml")]
    assert len(files) > 5
    for file in files:
        question = tomllib.loads(file.read_text(encoding="utf-8"))["study"]["question"]
        assert KOREAN.word(question) != question
    record = study(5)
    asked = {
        **record.settings,
        "study": {**record.settings["study"], "question": "Which dense network predicts the class best?"},
    }
    assert "클래스를 가장 잘 예측하는 밀집 신경망은 무엇인가?" in page(
        replace(record, settings=asked), frames(record), KOREAN
    )
    assert "How small a dense network reads" in page(record, frames(record), KOREAN)
