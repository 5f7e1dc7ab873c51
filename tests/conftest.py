"""What all tests share."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ["LC_ALL"] = "C.UTF-8"  # the screen is in English, whoever runs the tests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`: tests that draw many cases draw many more; and the seed of those that draw with a new one."""
    parser.addoption("--long", action="store_true", help="draw many more cases in the tests that draw them")
    parser.addoption(
        "--fuzz-seed",
        type=int,
        metavar="N",
        help="repeat the mutants of tests/system/fuzz that a run printed the seed of",
    )
    parser.addoption("--fuzz-cases", type=int, metavar="N", help="so many mutants of each kind in tests/system/fuzz")
    parser.addoption(
        "--minutes", type=float, default=3.0, help="how long a --long test kills processes at random (default: 3)"
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, as the engines do: threads that wait for each other on a busy machine took 20 times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def korean_too(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which something is said, of data or of a run, that has no Korean: `hpsearch/locales/ko.toml` lacks it."""
    from hpsearch.data import assemble
    from hpsearch.progress import SilentObserver
    from tests.support.korean import is_korean, sentences_of
    from tests.support.observers import RecordingObserver

    said: set[str] = set()
    assembled = assemble._assemble

    def assemble_and_note(*given: Any, **options: Any) -> Any:
        data = assembled(*given, **options)
        said.update(sentences_of(data.summary))
        return data

    def announce_and_note(self: RecordingObserver, sentence: str) -> None:
        said.add(sentence)
        self.sentences.append(sentence)

    monkeypatch.setattr(assemble, "_assemble", assemble_and_note)
    monkeypatch.setattr(SilentObserver, "announce", lambda self, sentence: said.add(sentence))
    monkeypatch.setattr(RecordingObserver, "announce", announce_and_note)
    yield
    english = sorted(sentence for sentence in said if not is_korean(sentence))
    assert not english, "ko.toml has no Korean for these sentences"


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Tell whether to run the long form of a test."""
    return bool(request.config.getoption("--long"))
