"""argparse with our errors and our tables: a refusal is one line, and a help text names the rows of a table.

Where a help text has the name of a kind in braces, as `{samplers}`, the names of its table take its place when the help is shown; so
`--help` of the whole command line imports none of the tables, and no list is written twice.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from hpsearch.errors import LONGEST, UserError, shown, suggestion

TYPES = {"int": "a whole number", "float": "a number"}
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Parser(argparse.ArgumentParser):
    """A parser, of the whole command line or of one command, that raises where argparse would print its usage and exit."""

    def format_help(self) -> str:
        """Return the help, the names of tables filled in."""
        from hpsearch.commands.tables import descriptions_of

        for action in self._actions:
            if action.help:
                action.help = PLACEHOLDER.sub(lambda match: ", ".join(descriptions_of(match[1])), action.help)
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
            value = match[2] if len(match[2]) <= LONGEST else f"{match[2][: LONGEST - 1]}…"
            return f"{name} {value}: {TYPES[match[1]]} expected."
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
        return sorted(name for action in self._actions if isinstance(action.choices, dict) for name in action.choices)
