"""The README is short, its links lead somewhere, and every command and setting that a page names exists."""

import re
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

import tests.benchmarks.__main__ as benchmarks
from hpsearch import cli
from hpsearch.config.reading import read_comparison, read_config
from hpsearch.config.sections import StudyConfig
from tests.support.pages import DOCS, GUIDES, PAGES, README, ROOT, blocks, name_of, read, spans

LONGEST = 6_000  # bytes of the README
LINK = re.compile(r"\]\(([^)#\s]+)\)")
COMMAND = re.compile(r"python -m (hpsearch|tests\.benchmarks)\b(.*)")
PARSERS = {"hpsearch": cli.parser, "tests.benchmarks": benchmarks.parser}


def targets(page: Path) -> list[Path]:
    """Return the files that a page links to."""
    return [(page.parent / link).resolve() for link in LINK.findall(read(page)) if "://" not in link]


def commands(page: Path) -> list[tuple[str, str]]:
    """Return (module, arguments) of each command that a page shows, in a block or in a sentence."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    found = [COMMAND.search(text) for text in [*lines, *spans(page)]]
    return [(match[1], match[2]) for match in found if match and "COMMAND" not in match[2]]


SHOWN = {f"{name_of(page)}:{number}": shown for page in GUIDES for number, shown in enumerate(commands(page))}


def test_the_readme_is_short() -> None:
    """The README has at most 6 kB; what is more goes to a page of its own."""
    assert len(README.read_bytes()) <= LONGEST


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link of a page, pictures included, leads to a file of the repository."""
    missing = [target for target in targets(page) if not target.exists()]
    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    """The README links to each page of the documentation."""
    assert {page for page in targets(README) if page.parent == DOCS} == set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_opens_with_a_sentence(page: Path) -> None:
    """A page is a heading, then one sentence on a line of its own that says what the page answers."""
    heading, empty, sentence, after = read(page).splitlines()[:4]
    assert heading.startswith("# ")
    assert (empty, after) == ("", "")
    assert re.fullmatch(r"[A-Z][^.]*\.", sentence)


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
def test_commands_exist_and_parse(shown: tuple[str, str]) -> None:
    """The command line takes each command that a page shows, with its options."""
    module, arguments = shown
    with suppress(SystemExit):  # --version and --help end; an unknown option is a UserError
        PARSERS[module]().parse_args(shlex.split(arguments, comments=True))


def test_options_exist() -> None:
    """An option that a sentence names is one of a command's, or of the tests."""
    helps = [
        [sys.executable, "-m", "hpsearch", command, "--help"]
        for command in ("run", "check", "compare", "predict", "list")
    ]
    known = {
        option
        for command in helps
        for option in re.findall(r"--[a-z][a-z-]*", subprocess.run(command, capture_output=True, text=True).stdout)
    }
    known |= {*re.findall(r'addoption\(\s*"(--[a-z-]+)"', read(ROOT / "tests" / "conftest.py"))}
    named = {span.split()[0] for page in [README, *PAGES] for span in spans(page) if span.startswith("--")}
    assert named - known == set()


def test_settings_exist() -> None:
    """A setting that a sentence names as `[table] key` is one of a study's."""
    for page in [README, *PAGES]:
        for table, key in re.findall(r"`\[(\w+)\] (\w+)", read(page)):
            section = StudyConfig.model_fields[table].annotation
            assert isinstance(section, type)
            assert issubclass(section, BaseModel)
            assert key in section.model_fields, f"{page.name}: [{table}] {key}"


STUDY_BLOCKS = [(page, block) for page in [README, *PAGES] for block in blocks(page, "toml")]


@pytest.mark.parametrize(("page", "block"), STUDY_BLOCKS, ids=[page.stem for page, _ in STUDY_BLOCKS])
def test_studies_are_valid(page: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each TOML block of a page is a study's file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    file = tmp_path / "shown.toml"
    file.write_text(block, encoding="utf-8")
    config = read_comparison(str(file))[0] if "[compare]" in block else read_config(file)
    assert config.study.name == "shown"


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "tests" / "system" / "faults" / "__init__.py"], ids=name_of)
def test_paths_exist(page: Path) -> None:
    """Each path of the repository that a page names exists."""
    named = re.findall(r"\b(?:hpsearch|tests|studies)/[\w/.-]*\w/?", read(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_rooms_are_named() -> None:
    """The table of rooms has every folder and module of the package."""
    table = re.findall(r"`hpsearch/([^`]+)`", read(DOCS / "internals.md"))
    rooms = {path.name + "/" * path.is_dir() for path in (ROOT / "hpsearch").iterdir() if path.name[0] not in "_."}
    assert rooms - {"py.typed"} <= set(table)


def test_rows_are_where_contributing_says() -> None:
    """Each table of rows is in the module that CONTRIBUTING names."""
    text = read(ROOT / ".github" / "CONTRIBUTING.md")
    named = re.findall(r"`([A-Z]+)` in `(hpsearch/[\w/]+)\.py`", text)
    assert len(named) > 10
    for table, path in named:
        assert len(getattr(import_module(path.replace("/", ".")), table)) > 1
