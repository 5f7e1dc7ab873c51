"""From the `[space]` of a study's file to a `SearchSpace`: every value is checked, and all problems are listed at once."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.errors import shown, suggestion
from hpsearch.space import SearchSpace
from hpsearch.space.hyperparameters import (
    COEFFICIENTS,
    HYPERPARAMETERS,
    Choice,
    Domain,
    Hyperparameter,
    Integer,
    Real,
)
from hpsearch.training.optimizers import OPTIMIZERS

LARGEST_GRID = 10_000  # points of one range


def read_space(raw: Mapping[str, Any]) -> tuple[SearchSpace, list[str]]:
    """Return the space and its problems, each as `space.KEY: what is wrong`; with problems the space is of no use."""
    domains: dict[str, Domain] = {}
    problems: list[str] = []
    for name, value in raw.items():
        if name not in HYPERPARAMETERS:
            problems.append(f"space.{name}: unknown key. {suggestion(name, HYPERPARAMETERS)}")
            continue
        own_problems = list(_problems(name, HYPERPARAMETERS[name], value))
        problems += [f"space.{name}{problem}" for problem in own_problems]
        if not own_problems:
            domains[name] = _domain(HYPERPARAMETERS[name], value)
    width = raw.get("width")
    per_layer = isinstance(width, Mapping) and bool(width.get("per_layer"))
    space = SearchSpace(domains, per_layer)
    return space, problems or list(_conflicts(space))


def _problems(name: str, row: Hyperparameter, value: Any) -> Iterator[str]:
    """Yield what is wrong with one domain, as text that follows its name."""
    if isinstance(value, Mapping):
        yield from _table_problems(name, row, value)
    elif isinstance(value, list):
        yield from _list_problems(row, value)
    elif problem := row.problem(value):
        yield f" {problem}"


def _list_problems(row: Hyperparameter, values: list[Any]) -> Iterator[str]:
    if not values:
        yield " is an empty list. Give at least one value"
    problems = [f" {problem}" for problem in map(row.problem, values) if problem]
    yield from dict.fromkeys(problems)
    if not problems and len(set(values)) < len(values):
        twice, _ = Counter(values).most_common(1)[0]
        yield f" lists a value twice: {shown(twice)}. Give each once"


def _table_problems(name: str, row: Hyperparameter, table: Mapping[str, Any]) -> Iterator[str]:
    known = _known_keys(name, row, table)
    unknown = [key for key in table if key not in known]
    for key in unknown:
        yield f".{key}: unknown key. {suggestion(key, known)}"
    for key in ("log", "per_layer"):
        if key in table and not isinstance(table[key], bool):
            yield f".{key} is {shown(table[key])}; expected true or false"
    if "values" in table and not isinstance(table["values"], list):
        yield f".values is {shown(table['values'])}; expected a list"
    elif "values" in table:
        yield from _list_problems(row, table["values"])
    elif not unknown:
        yield from _range_problems(row, table)


def _known_keys(name: str, row: Hyperparameter, table: Mapping[str, Any]) -> set[str]:
    if "values" in table:
        known = {"values"}
    else:
        known = {"low", "high", "log", "step" if row.kind is int else "grid"}
    if name == "width":
        known.add("per_layer")
    return known


def _range_problems(row: Hyperparameter, table: Mapping[str, Any]) -> Iterator[str]:
    if row.kind is str:
        yield f" is a name, not a range. Give a list of: {', '.join(row.names)}"
        return
    for key in ("low", "high"):
        if key not in table:
            yield f" is a range without '{key}'. Write {{ low = ..., high = ... }}"
            return
    wrong_ends = [problem for key in ("low", "high") if (problem := _end_problem(row, key, table[key]))]
    yield from wrong_ends
    if not wrong_ends:
        yield from _order_problems(table["low"], table["high"], table.get("log"))
    for key in ("step", "grid"):
        if key in table and not (type(table[key]) is int and 1 <= table[key] <= LARGEST_GRID):
            yield f".{key} is {shown(table[key])}; expected a whole number ≥ 1 and ≤ {LARGEST_GRID:,}"
    if table.get("log") and "step" in table:
        yield " has both 'log' and 'step'. Drop one"


def _end_problem(row: Hyperparameter, key: str, value: Any) -> str:
    """Return what is wrong with an end of a range, nothing if it is a number of the hyperparameter's."""
    if problem := row.problem(value):
        return f".{key} {problem}"
    if isinstance(value, str):
        return f".{key} is {shown(value)}; the ends of a range are numbers"
    return ""


def _order_problems(low: float, high: float, log: object) -> Iterator[str]:
    if low > high:
        yield f" is reversed: low = {low} is above high = {high}. Swap them"
    if log and low <= 0:
        yield f" is logarithmic from low = {low}; expected low > 0. Raise 'low' or drop 'log'"


def _domain(row: Hyperparameter, value: Any) -> Domain:
    """Return the domain of values that have no problem."""
    if isinstance(value, Mapping):
        if "values" not in value:
            return _range(row, value)
        value = value["values"]
    values = value if isinstance(value, list) else [value]
    return Choice(tuple(item if isinstance(item, str) else row.kind(item) for item in values))


def _range(row: Hyperparameter, table: Mapping[str, Any]) -> Domain:
    low = row.kind(table["low"])
    high = row.kind(table["high"])
    log = table.get("log", False)
    step = table.get("step", 1)
    if row.kind is int:
        high = low + (high - low) // step * step  # the last step
    if low == high:
        return Choice((low,))
    if row.kind is int:
        return Integer(low, high, log, step)
    return Real(low, high, log, table.get("grid", 0))


def _conflicts(space: SearchSpace) -> Iterator[str]:
    """Yield what cannot stand together, above all options that would do nothing."""
    optimizers = [str(name) for name in space.domain("optimizer").points()]
    used = {name for optimizer in optimizers for name in OPTIMIZERS[optimizer].coefficients}
    for name in sorted((COEFFICIENTS & space.domains.keys()) - used):
        owners = [optimizer for optimizer, row in OPTIMIZERS.items() if name in row.coefficients]
        yield (
            f"space.{name}: none of the optimizers {', '.join(optimizers)} has it. "
            f"Remove it, or add one that does: {', '.join(owners)}"
        )
    if space.per_layer and "taper" in space.domains:
        yield "space.taper: with a width per layer there is nothing to taper. Remove 'taper' or 'per_layer'"
