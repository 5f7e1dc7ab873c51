"""What several tests of attacks need."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support.attacks import MemoryJournal

STUDY = """
[data]
name = "iris"
[space]
depth = { low = 0, high = 2 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[training]
epochs = 2
[search]
trials = 3
[confirm]
trials = 0
"""


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Give a path that exists only if a bomb went off; the test fails if it does."""
    path = tmp_path / "code-ran"
    yield path
    assert not path.exists()


@pytest.fixture
def study_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder with `my.toml`, a tiny study, the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> type[MemoryJournal]:
    """Put a journal in memory in place of Redis."""
    monkeypatch.setattr(MemoryJournal, "logs", [])
    monkeypatch.setattr(MemoryJournal, "snapshot", b"")
    monkeypatch.setattr("hpsearch.storage.optuna_internals.JournalRedisBackend", MemoryJournal)
    monkeypatch.setattr("hpsearch.storage.journals._client", lambda url: Mock())
    return MemoryJournal
