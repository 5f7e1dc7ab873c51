"""What the reader of a source assumed, each with its reason and with what says otherwise: one list for `check`, `run` and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from hpsearch.data.options import column_setting
from hpsearch.errors import listed, shortened, shown

LONGEST = 280  # characters of a line
LONGEST_NAME = 80  # of a column that is typed
MOST_NAMES = 8  # of columns in a line


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that was assumed: what it is, what was found, and why; `otherwise` is the option that says otherwise, as it is typed."""

    what: str
    found: str = ""
    why: str = ""
    otherwise: str = ""

    @property
    def sentence(self) -> str:
        """The assumption as one line."""
        head = " ".join(filter(None, (self.what, self.found)))
        line = ": ".join(filter(None, (head, self.why)))
        if not self.otherwise:
            return shortened(line, LONGEST)
        return f"{shortened(line, LONGEST - len(self.otherwise))} (otherwise: {self.otherwise})"


def option(name: str, value: str, *, of_file: bool = True) -> str:
    """Return an option with its value, as it is typed in a shell, or as Python's argument for a frame."""
    if of_file:
        return f"--{name} {quote(value)}"
    return f"{name}={value!r}"


def of_columns(columns: Sequence[Mapping[str, Any]], *, of_file: bool) -> list[Assumption]:
    """Return what was assumed of a table's columns (see `fitting.SUMMARY`): the kind of each, and which are left out and why."""
    by_kind: dict[str, list[str]] = {}
    for column in columns:
        by_kind.setdefault(str(column["kind"]), []).append(str(column["name"]))
    dropped = by_kind.pop("dropped", [])
    reasons = {str(column["name"]): str(column["note"]) for column in columns}
    found = []
    if by_kind:
        kinds = ", ".join(f"{kind} ({listed_names(list(map(shown, names)))})" for kind, names in by_kind.items())
        kind, names = next(iter(by_kind.items()))
        other = "drop" if kind == "category" else "category"
        found.append(Assumption("kinds", "", kinds, kind_option(names[0], other, of_file=of_file)))
    if dropped:
        told = [f"{shown(name)} ({reasons[name]})" for name in dropped]
        found.append(
            Assumption("left out", "", listed_names(told), kind_option(dropped[0], "category", of_file=of_file))
        )
    return found


def kind_option(name: str, kind: str, *, of_file: bool = True) -> str:
    """Return what gives a column a kind by force: an option of the command line, or Python's for a frame; nothing for an odd name."""
    if not name.isprintable() or len(name) > LONGEST_NAME:
        return ""
    if of_file:
        return column_setting(name, kind)
    return f"columns={{{name!r}: {kind!r}}}"


def listed_names(names: Sequence[str]) -> str:
    """Return names (some with what is said of them), the first of many."""
    first = ", ".join(shortened(name, 60) for name in names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        return f"{first} and {len(names) - MOST_NAMES:,} more"
    return first


def of_missing(missing_values: Sequence[str], *, of_file: bool) -> Assumption:
    """Return which texts are taken for missing cells."""
    own = ""
    if missing_values:
        own = f", in any column {listed(missing_values)}"
    otherwise = "missing_values=['TEXT']"
    if of_file:
        otherwise = "--missing-value TEXT"
    return Assumption(
        "missing cells", "", f"the empty ones, in numbers and dates also NA, NaN, null, ?, -{own}", otherwise
    )
