"""argparse with our errors: whatever it refuses is one line that says what was given and what was expected, and raises `UserError`."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from hpsearch.errors import LONGEST, UserError, shown, suggestion

KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """A parser, of the whole command line or of one command, that raises where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Refuse, in our words where argparse's message is known.

        Raises:
            UserError: always.
        """
        name, problem = re.fullmatch(r"(?:argument (\S+): )?(.*)", message, re.DOTALL).groups()  # type: ignore[union-attr]
        raise UserError(self._told(name or "", problem))

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and refuse what is left over; a command's parser does so for its own options.

        Raises:
            UserError: an unknown option, or an argument too many.
        """
        options, left = super().parse_known_args(args, namespace)
        if left and left[0].startswith("-"):
            raise UserError(
                f"unknown option {shown(left[0])}. {suggestion(left[0].split('=')[0], self._option_string_actions)}"
            )
        if left:
            raise UserError(f"one argument too many: {shown(left[0])}. See {self.prog} --help.")
        return options, left

    def _told(self, name: str, problem: str) -> str:
        """Return one of argparse's messages in our words, one that is not known as it is."""
        if found := re.fullmatch(r"invalid (int|float) value: (.*)", problem, re.DOTALL):
            value = found[2] if len(found[2]) <= LONGEST else f"{found[2][: LONGEST - 1]}…"
            return f"{name} {value}: {KINDS[found[1]]} expected."
        if found := re.fullmatch(r"invalid choice: .(.*). \(choose from .*\)", problem, re.DOTALL):
            return f"unknown command {shown(found[1])}. {suggestion(found[1], self._commands())}"
        if found := re.fullmatch(r"the following arguments are required: (.*)", problem):
            known = f" Known: {', '.join(self._commands())}." if self._commands() else ""
            return f"{found[1]} is missing.{known} See {self.prog} --help."
        return f"{name}: a value expected." if problem == "expected one argument" else f"{name} {problem}.".strip()

    def _commands(self) -> list[str]:
        """Return the names of the commands, where this is the whole command line's parser."""
        return sorted(name for action in self._actions if isinstance(action.choices, dict) for name in action.choices)
