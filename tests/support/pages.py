"""The README and the pages of the documentation, and the blocks of code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "hpsearch" / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.glob("*.md"))
GUIDES = [README, *PAGES, ROOT / ".github" / "CONTRIBUTING.md", ROOT / ".github" / "SECURITY.md"]


def read(path: Path) -> str:
    """Return a page's text."""
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    """Return the blocks of code of a language in a page, those with a mark in a comment before them aside."""
    return re.findall(rf"^(?<!-->\n)```{language}\n(.*?)^```$", read(path), re.DOTALL | re.MULTILINE)


def marked(path: Path, mark: str) -> str:
    """Return the block of code after a mark such as `<!-- onnx -->`."""
    found = re.search(rf"^<!-- {mark} -->\n```\w+\n(.*?)^```$", read(path), re.DOTALL | re.MULTILINE)
    assert found, f"{path.name} has no block marked {mark}"
    return found[1]


def spans(path: Path) -> list[str]:
    """Return the spans of code within the sentences of a page."""
    prose = re.sub(r"^```.*?^```$", "", read(path), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def name_of(path: Path) -> str:
    """Return a page's name, as a test shows it."""
    return path.stem
