"""Each promise on security and reliability names the tests that try it, and each test that is named is there."""

import re
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT, read

SECURITY = ROOT / ".github" / "SECURITY.md"
RELIABILITY = DOCS / "reliability.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> list[str]:
    """Return the promises: the points of the page on security, and the rows of the tables on reliability."""
    page = read(SECURITY)
    promised = page[page.index("## What is promised") : page.index("## What is not")]
    points = re.findall(r"^- (.*?)(?=^- |^$)", promised, re.DOTALL | re.MULTILINE)
    rows = [line for line in read(RELIABILITY).splitlines() if line.startswith("|")]
    return points + [row for row in rows if not row.startswith(("| fault", "| file", "|---"))]


@pytest.mark.parametrize("promise", promises(), ids=range(len(promises())))
def test_each_promise_names_a_test(promise: str) -> None:
    """No promise is without a test."""
    assert TEST.search(promise), promise


@pytest.mark.parametrize("page", [SECURITY, RELIABILITY], ids=lambda page: page.stem)
def test_each_named_test_exists(page: Path) -> None:
    """Whoever renames a test renames it in the promise too."""
    named = TEST.findall(read(page))
    assert named
    missing = [(file, name) for file, name in named if f"\ndef {name}(" not in read(ROOT / file)]
    assert missing == []
