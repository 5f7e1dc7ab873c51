"""`completion`: a script with which the Tab key completes commands, options, and the names of studies, for bash, zsh and fish.

The script is made from the parsers, so that it knows what the command line knows. It starts no Python when it completes.
"""

import argparse
from collections.abc import Callable
from importlib import import_module

from hpsearch.commands import COMMANDS
from hpsearch.errors import look_up

STUDIES = "$(ls reports 2>/dev/null)"  # words of a command that takes a study, in the words of the shell
STORED = ("show", "open", "report", "dashboard", "log", "predict", "export", "refit", "replay", "verify")
OF_ALL = ("--help", "--debug")
BASH = """_hpsearch() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    fi
    _hpsearch_begin "$word" $words
    if [ "$COMP_CWORD" -gt 1 ] && [ -z "${{COMPREPLY[*]}}" ]; then
        _hpsearch_begin "$word" $(compgen -f -- "$word")
    fi
}}
_hpsearch_begin() {{
    local word="$1" each
    shift
    COMPREPLY=()
    for each in "$@"; do
        case "$each" in "$word"*) COMPREPLY+=("$each") ;; esac
    done
}}
complete -F _hpsearch hpsearch
"""
USE = {
    "bash": "# Once: hpsearch completion bash > ~/.hpsearch-completion; in ~/.bashrc: source ~/.hpsearch-completion\n",
    "zsh": "# Once: hpsearch completion zsh > ~/.hpsearch-completion; in ~/.zshrc: source ~/.hpsearch-completion\n",
    "fish": "# Once: hpsearch completion fish > ~/.config/fish/completions/hpsearch.fish\n",
}


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("shell", metavar="SHELL", help=", ".join(SHELLS))


def call(options: argparse.Namespace) -> None:
    """Print the script, and before it the line that puts it to use."""
    script = look_up(SHELLS, options.shell, "shell")
    print(f"{USE[options.shell]}{script()}", end="")


def bash() -> str:
    """Return bash's script: commands first, then the options and words of the command, else files."""
    cases = [f'        {name}) words="{" ".join(words)}" ;;' for name, words in _words().items()]
    return BASH.format(commands=" ".join(COMMANDS), cases="\n".join(cases))


def zsh() -> str:
    """Return zsh's script: bash's, which zsh understands."""
    return f"autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n{bash()}"


def fish() -> str:
    """Return fish's script."""
    lines = []
    for name, row in COMMANDS.items():
        lines.append(f'complete -c hpsearch -n __fish_use_subcommand -f -a {name} -d "{row.purpose}"')
    for name, words in _words().items():
        condition = f'complete -c hpsearch -n "__fish_seen_subcommand_from {name}"'
        lines += [f"{condition} -l {word.removeprefix('--')}" for word in words if word.startswith("--")]
        others = " ".join(word for word in words if not word.startswith("--"))
        if others:
            lines.append(f'{condition} -a "{others.replace(STUDIES, "(ls reports 2>/dev/null)")}"')
    return "\n".join([*lines, ""])


SHELLS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _words() -> dict[str, list[str]]:
    """Return what may follow each command: its options, and the words that it takes where they are known."""
    return {name: [*_others(name), *_options(name), *OF_ALL] for name in COMMANDS}


def _options(name: str) -> list[str]:
    """Return the long options of a command."""
    parser = argparse.ArgumentParser(add_help=False)
    import_module(f"hpsearch.commands.{name}").add(parser)
    return [option for option in parser._option_string_actions if option.startswith("--")]


def _others(name: str) -> list[str]:
    """Return the words besides options that a command takes."""
    from hpsearch.commands import help as topics
    from hpsearch.commands import list as kinds

    known = {"list": [kinds.STUDIES, *kinds.TABLES], "help": topics.read_pages(), "completion": SHELLS}
    if name in STORED:
        return [STUDIES]
    return [*known.get(name, ())]
