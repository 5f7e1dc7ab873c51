"""`completion`: what the Tab key completes, asked of the shells themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hpsearch.cli import main
from hpsearch.commands import COMMANDS

ASK = {  # a shell prints what it would complete; the words of the line are its arguments
    "bash": 'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _hpsearch; printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": 'autoload -Uz compinit; compinit -D -u; source ./script; COMP_WORDS=("$@"); COMP_CWORD=$((ARGC - 1));'
    " ask() { emulate -L sh; setopt kshglob noshglob braceexpand; _hpsearch; };"
    ' ask; print -l -- "${COMPREPLY[@]}"',
    "fish": "source ./script; complete -C (string join ' ' -- $argv)",
}
LINES = [
    (["hpsearch", "sh"], {"show"}),
    (["hpsearch", ""], set(COMMANDS)),
    (["hpsearch", "run", "--tri"], {"--trials"}),
    (["hpsearch", "show", "flow"], {"flowers"}),
    (["hpsearch", "list", "opt"], {"optimizers"}),
    (["hpsearch", "completion", "f"], {"fish"}),
    (["hpsearch", "run", "mi"], {"mine.toml"}),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a study and a file, in which the shell stands."""
    (tmp_path / "reports" / "flowers").mkdir(parents=True)
    (tmp_path / "mine.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(("words", "completed"), LINES, ids=[" ".join(words) for words, _ in LINES])
def test_a_shell_completes(
    shell: str, words: list[str], completed: set[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell itself completes commands, options of a command, its words, studies of the folder, and files."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    (place / "script").write_text(capsys.readouterr().out)
    command = [shell, "-c", ASK[shell], *(["shell"] if shell != "fish" else []), *words]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert asked.stderr == ""
    assert {line.split("\t")[0] for line in asked.stdout.splitlines()} == completed


def test_every_command_is_in_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell's script has every command, with an option of each."""
    for shell in ASK:
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert all(name in script for name in COMMANDS)
        assert script.count("debug") == len(COMMANDS)


def test_an_unknown_shell_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell without a script is refused with those that have one."""
    assert main(["completion", "tcsh"]) == 2
    assert "unknown shell 'tcsh'. Known: bash, fish, zsh." in capsys.readouterr().err
