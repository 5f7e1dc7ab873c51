"""From the `[space]` of a study's file to a `SearchSpace`: every value checked, every problem told at once."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.errors import shown, suggestion
from hpsearch.space import SearchSpace
from hpsearch.space.domains import Choice, Domain, Integer, Real
from hpsearch.space.hyperparameters import COEFFICIENTS, HYPERPARAMETERS, Hyperparameter
from hpsearch.training.optimizers import OPTIMIZERS

RANGE = {"low", "high", "log"}
LARGEST_GRID = 10_000  # points of one range


def read_space(raw: Mapping[str, Any]) -> tuple[SearchSpace, list[str]]:
    """Return the space and its problems, each as `space.KEY: what is wrong`; with problems the space is of no use."""
    domains: dict[str, Domain] = {}
    problems: list[str] = []
    for name, value in raw.items():
        if name not in HYPERPARAMETERS:
            problems.append(f"space.{name}: unknown key. {suggestion(name, HYPERPARAMETERS)}")
            continue
        found = list(_problems(name, HYPERPARAMETERS[name], value))
        problems += [f"space.{name}{problem}" for problem in found]
        if not found:
            domains[name] = _domain(HYPERPARAMETERS[name], value)
    width = raw.get("width")
    space = SearchSpace(domains, per_layer=isinstance(width, Mapping) and bool(width.get("per_layer")))
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
        yield f" lists a value twice: {shown(Counter(values).most_common(1)[0][0])}. Give each once"


def _table_problems(name: str, row: Hyperparameter, table: Mapping[str, Any]) -> Iterator[str]:
    known = {"values"} if "values" in table else RANGE | {"step" if row.kind is int else "grid"}
    known |= {"per_layer"} if name == "width" else set()
    unknown = [key for key in table if key not in known]
    yield from (f".{key}: unknown key. {suggestion(key, known)}" for key in unknown)
    yield from (
        f".{key} is {shown(table[key])}; expected true or false"
        for key in ("log", "per_layer")
        if key in table and not isinstance(table[key], bool)
    )
    if "values" in table and not isinstance(table["values"], list):
        yield f".values is {shown(table['values'])}; expected a list"
    elif "values" in table:
        yield from _list_problems(row, table["values"])
    elif not unknown:
        yield from _range_problems(row, table)


def _range_problems(row: Hyperparameter, table: Mapping[str, Any]) -> Iterator[str]:
    if row.kind is str:
        yield f" is a name, not a range. Give a list of: {', '.join(row.names)}"
        return
    if missing := [key for key in ("low", "high") if key not in table]:
        yield f" is a range without '{missing[0]}'. Write {{ low = ..., high = ... }}"
        return
    low, high = table["low"], table["high"]
    wrong = [
        f".{key} {row.problem(value) or f'is {shown(value)}; the ends of a range are numbers'}"
        for key, value in (("low", low), ("high", high))
        if isinstance(value, str) or row.problem(value)
    ]
    yield from wrong
    if not wrong and low > high:
        yield f" is reversed: low = {low} is above high = {high}. Swap them"
    if not wrong and table.get("log") and low <= 0:
        yield f" is logarithmic from low = {low}; expected low > 0. Raise 'low' or drop 'log'"
    for key in ("step", "grid"):
        if key in table and not (type(table[key]) is int and 1 <= table[key] <= LARGEST_GRID):
            yield f".{key} is {shown(table[key])}; expected a whole number ≥ 1 and ≤ {LARGEST_GRID:,}"
    if table.get("log") and "step" in table:
        yield " has both 'log' and 'step'. Drop one"


def _domain(row: Hyperparameter, value: Any) -> Domain:
    if isinstance(value, list):
        return Choice(tuple(item if isinstance(item, str) else row.kind(item) for item in value))
    if not isinstance(value, Mapping):
        return _domain(row, [value])
    if "values" in value:
        return _domain(row, value["values"])
    low, high, log = row.kind(value["low"]), row.kind(value["high"]), value.get("log", False)
    step = value.get("step", 1)
    high = low + (high - low) // step * step if row.kind is int else high  # the last step
    if low == high:
        return Choice((low,))
    return Integer(low, high, log, step) if row.kind is int else Real(low, high, log, value.get("grid", 0))


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
