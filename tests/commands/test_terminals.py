"""Where the output goes: a terminal that obeys control characters, a pipe that takes bytes, an encoding of few characters."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import __main__ as program
from hpsearch import platforms
from hpsearch.commands.predict import TerminalText

HOSTILE = "label\x1b[2J\x07,é\u202e\n"


def test_a_terminal_gets_control_characters_spelled_out() -> None:
    """What a terminal would obey is spelled out, line ends stay, and a letter may be cut between two writes."""
    terminal = io.StringIO()
    output = TerminalText(terminal)
    content = HOSTILE.encode()
    for place in range(len(content)):
        assert output.write(content[place : place + 1]) == 1
    assert terminal.getvalue() == "label\\x1b[2J\\x07,é\\u202e\n"


def test_a_character_that_the_encoding_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ASCII output shows a `?` in the place of other characters, where Python would raise; one that says what to do keeps its way."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    platforms.show_all_texts()
    print("97 % – done", flush=True)
    assert raw.getvalue() == b"97 % ? done\n"
    escaped = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(escaped, "ascii", errors="backslashreplace"))
    platforms.show_all_texts()
    print("–", flush=True)
    assert escaped.getvalue() == b"\\u2013\n"


@pytest.mark.slow
def test_a_run_on_an_ascii_output(tmp_path: Path) -> None:
    """A batch system's ASCII output ends no run: it trains, and its page is written."""
    (tmp_path / "my.toml").write_text(
        '[data]\nname = "iris"\n[search]\ntrials = 2\n[training]\nepochs = 1\n[confirm]\ntrials = 0\n'
    )
    command = [sys.executable, "-m", "hpsearch", "run", "my.toml", "--device", "cpu"]
    environment = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert (tmp_path / "reports/my/report.html").is_file()


@pytest.mark.parametrize("error", [ImportError("libtorch_cpu.so: failed to map segment"), MemoryError()])
def test_too_little_address_space(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a limit of the address space ends the loading of torch, a line says so; without a limit the error is one of ours."""

    def fail() -> int:
        raise error

    monkeypatch.setattr("hpsearch.cli.main", fail)
    monkeypatch.setattr(program, "address_space", lambda: 3_000_000_000)
    with pytest.raises(SystemExit) as caught:
        program.run()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: out of memory (")
    assert "this process may have 3.0 GB of address space, and torch alone takes about 4 GB. Raise the limit" in line
    monkeypatch.setattr(program, "address_space", lambda: None)
    with pytest.raises(type(error)):
        program.run()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners of files here")
def test_folders_that_others_can_write_to(tmp_path: Path) -> None:
    """A folder that everybody can write to is seen, and one that has such a folder in it; a private one is not."""
    own = tmp_path / "own"
    (own / "inner").mkdir(parents=True)
    own.chmod(0o700)
    (own / "inner").chmod(0o700)
    assert not platforms.can_others_write(own)
    (own / "inner").chmod(0o777)
    assert platforms.can_others_write(own)
    assert platforms.can_others_write(own / "inner")
    assert not platforms.can_others_write(tmp_path / "none")
