"""The command line: parse, call, print.

argparse is kept, with our errors and our tables: a refusal is one line, and where a help text has the name of a kind in braces, as
`{samplers}`, the names of its table take its place when the help is shown, so that no list is written twice.
"""

import argparse
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from errno import EACCES, ELOOP, ENAMETOOLONG
from importlib import import_module
from itertools import chain, groupby
from typing import Any, NoReturn

from hpsearch import __version__
from hpsearch.commands import COMMANDS, SHOWN_ONLY, CommandRow
from hpsearch.errors import LONGEST_PLACE, HpsearchError, Stopped, UserError, masked, shortened, shown, suggestion
from hpsearch.locales import ENGLISH, LANGUAGES, Texts, usual_language
from hpsearch.searching.stopping import GRACE, RESUMES, ending

PROGRAM = "python -m hpsearch"
PURPOSE = """Hyperparameter search for deep neural networks:
a data set in, the best network and a report out."""
FIRST_STEPS = f"""examples:
  {PROGRAM} run                                  # on embedded digits
  {PROGRAM} check sales.csv --target price       # what it would do
  {PROGRAM} run --data sales.csv --target price  # search
  {PROGRAM} show sales                           # its result
  {PROGRAM} predict sales new.csv                # new rows

{PROGRAM} COMMAND --help lists a command's options, with examples.
Studies that come along: digits, mnist; comparisons: compare-digits,
compare-mnist, compare-table, compare-optimizers, minima."""
# of paths: one that may not be looked at, goes round in links, or is too long for any file
NO_PLACE = (EACCES, ELOOP, ENAMETOOLONG)
TYPES = {"int": "a whole number", "float": "a number"}
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 the user's input, 3 storage, 4 every trial failed, 128 + signal."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser("").print_help()
        return 0
    asked = next((argument for argument in given if not argument.startswith("-")), "")
    try:
        options = parser(asked).parse_args(given)
    except UserError as error:
        return refuse(error, usual_language())
    language = getattr(options, "lang", "en")
    left = COMMANDS[options.command].stopped
    try:
        if left != SHOWN_ONLY and sys.stderr.isatty():
            print(Texts(language)("screen.progress.loading"), file=sys.stderr, flush=True)  # which takes seconds
        with ending(getattr(options, "grace", GRACE), left):
            options.call(options)
    except Stopped as stopped:
        _say_stopped(str(stopped), left.again, given, language)
        return stopped.status
    except (HpsearchError, OSError) as error:
        told = _of_a_path(error) if isinstance(error, OSError) else error
        if told is None:
            raise
        if options.debug:
            print(masked(traceback.format_exc()), file=sys.stderr, end="")
        return refuse(told, language)
    except KeyboardInterrupt:
        _say_stopped("stopped at once" if left == RESUMES else left.sentence, left.again, given, language)
        return 130
    return 0


def _of_a_path(error: OSError) -> UserError | None:
    """Return the error about a path that no file can have; None where it is about something else."""
    if error.errno not in NO_PLACE or error.filename is None:
        return None
    return UserError(f"{shown(str(error.filename), LONGEST_PLACE)}: {error.strerror}. Give another path.")


def refuse(error: HpsearchError, language: str = "en") -> int:
    """Print an error's lines and return its exit status."""
    from hpsearch.reporting.formatting import printable

    texts = _known(language)
    for line in str(error).splitlines():
        print(texts("screen.stopped.error", error=printable(masked(texts.word(line)))), file=sys.stderr)
    return error.status


def _say_stopped(reason: str, again: str, given: Sequence[str], language: str) -> None:
    """Print what is left of a command that was stopped, and the command that goes on or begins again."""
    texts = _known(language)
    reason = texts.word(reason)
    print(texts("screen.stopped.again", reason=reason, again=texts.word(again), command=_again(given)), file=sys.stderr)


def _known(language: str) -> Texts:
    """Return a language's texts, English ones where there is no such language, which is what the error is about."""
    return Texts(language) if language in LANGUAGES else ENGLISH


def _again(given: Sequence[str]) -> str:
    """Return the command to go on with; a password in it is left out, since screens are seen and logs are kept."""
    return shlex.join(["python", "-m", "hpsearch", *map(masked, given)])


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the options of the command that is asked for; without one those of all commands."""
    root = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [options]",
        description=f"{PURPOSE}\n\n{_overview()}",
        epilog=FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=__version__, help="print the version")
    commands = root.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog=PROGRAM, help=argparse.SUPPRESS
    )
    for name, row in COMMANDS.items():
        command = commands.add_parser(
            name,
            description=f"{row.purpose[:1].upper()}{row.purpose[1:]}.",
            epilog=_examples(row),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if asked in (name, None):
            _add_options(command, name)
    return root


def _overview() -> str:
    """Return the commands by their groups, a line each."""
    width = max(map(len, COMMANDS))
    lines = []
    for group, rows in groupby(COMMANDS.items(), lambda item: item[1].group):
        lines.append(f"{group}:")
        lines += [f"  {name:<{width}}  {row.purpose}" for name, row in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def _examples(row: CommandRow) -> str:
    """Return a command's examples, a line each."""
    return "\n".join(["examples:", *(f"  {PROGRAM} {example}" for example in row.examples)])


def _add_options(command: argparse.ArgumentParser, name: str) -> None:
    """Add a command's options, and what it does, from its module."""
    module = import_module(f"hpsearch.commands.{name}")
    module.add(command)
    arguments = [_written(action) for action in command._actions if not action.option_strings]
    command.usage = " ".join([command.prog, *arguments, "[options]"])
    command.add_argument("--debug", action="store_true", help="show tracebacks")
    command.set_defaults(call=module.call)


def _written(argument: argparse.Action) -> str:
    """Return an argument as a usage line has it, in brackets where it may be left out."""
    name = str(argument.metavar or argument.dest).upper()
    return f"[{name}]" if argument.nargs == "?" else name


def _names(match: re.Match[str]) -> str:
    """Return the names of a kind's tables."""
    from hpsearch.commands.list import descriptions_of

    return ", ".join(descriptions_of(match[1]))


class Parser(argparse.ArgumentParser):
    """A parser, of the whole command line or of one command, that raises where argparse would print its usage and exit."""

    def format_help(self) -> str:
        """Return the help, the names of tables filled in."""
        for action in self._actions:
            if action.help:
                action.help = PLACEHOLDER.sub(_names, action.help)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Refuse, in our words where argparse's message is known.

        Raises:
            UserError: always.
        """
        match = re.fullmatch(r"(?:argument (\S+): )?(.*)", message, re.DOTALL)
        name, problem = match.groups() if match else ("", message)
        raise UserError(self._reworded(name or "", problem))

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and refuse what is left over; a command's parser does so for its own options.

        Raises:
            UserError: an unknown option, or an argument too many.
        """
        options, rest = super().parse_known_args(args, namespace)
        if rest and rest[0].startswith("-"):
            hint = suggestion(rest[0].split("=")[0], self._option_string_actions)
            raise UserError(f"unknown option {shown(rest[0])}. {hint}")
        if rest:
            raise UserError(f"one argument too many: {shown(rest[0])}. See {self.prog} --help.")
        return options, rest

    def _reworded(self, name: str, problem: str) -> str:
        """Return one of argparse's messages in our words, one that is not known as it is."""
        if match := re.fullmatch(r"invalid (int|float) value: (.*)", problem, re.DOTALL):
            return f"{name} {shortened(match[2])}: {TYPES[match[1]]} expected."
        if match := re.fullmatch(r"invalid choice: .(.*). \(choose from .*\)", problem, re.DOTALL):
            return f"unknown command {shown(match[1])}. {suggestion(match[1], self._commands())}"
        if match := re.fullmatch(r"the following arguments are required: (.*)", problem):
            commands = self._commands()
            known = f" Known: {', '.join(commands)}." if commands else ""
            return f"{match[1]} is missing.{known} See {self.prog} --help."
        if problem == "expected one argument":
            return f"{name}: a value expected."
        return f"{name} {problem}.".strip()

    def _commands(self) -> list[str]:
        """Return the names of the commands, where this is the whole command line's parser."""
        tables = [action.choices for action in self._actions if isinstance(action.choices, dict)]
        return sorted(chain.from_iterable(tables))
