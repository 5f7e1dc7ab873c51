"""From the `[space]` of a study's file to a `SearchSpace`: every value is checked, and all problems are listed at once."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hpsearch.errors import shortened, shown, suggestion
from hpsearch.space import SearchSpace
from hpsearch.space.hyperparameters import (
    COEFFICIENTS,
    HYPERPARAMETERS,
    Choice,
    Domain,
    Hyperparameter,
    Integer,
    Real,
    coefficients_of,
)
from hpsearch.training.optimizers import OPTIMIZERS

MOST_POINTS = 10_000  # of one range of a grid


def read_space(raw: Mapping[str, Any]) -> tuple[SearchSpace, list[str]]:
    """Return the space and its problems, each as `space.KEY: what is wrong`; with problems the space is of no use."""
    entries, own_rates = _entries(raw)
    domains: dict[str, Domain] = {}
    problems: list[str] = []
    for key, value in entries.items():
        name = key.partition(".")[0]
        if name not in HYPERPARAMETERS:
            problems.append(f"space.{shortened(name)}: unknown key. {suggestion(name, HYPERPARAMETERS)}")
            continue
        own_problems = list(_problems(name, HYPERPARAMETERS[name], value))
        problems += [f"space.{key}{problem}" for problem in own_problems]
        if not own_problems:
            domains[key] = _domain(HYPERPARAMETERS[name], value)
    width = raw.get("width")
    per_layer = isinstance(width, Mapping) and bool(width.get("per_layer"))
    rates = {optimizer: domains.pop(key) for optimizer, key in own_rates.items() if key in domains}
    space = SearchSpace(domains, per_layer, rates)
    problems = problems or list(_conflicts(space))
    return space if problems else _simplified(space), problems


def narrowed(raw: Mapping[str, Any], keep: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return a space without what none of its optimizers has, and what that was; what `keep` names (`momentum`) stays.

    That is coefficients, and learning rates of optimizers that the space does not have.
    """
    optimizers = _optimizers(raw)
    if not optimizers <= OPTIMIZERS.keys():
        return dict(raw), []
    unused = COEFFICIENTS - coefficients_of(optimizers) - {*keep}
    dropped = [name for name in raw if name in unused]
    space = {name: value for name, value in raw.items() if name not in dropped}
    rates = raw.get("learning_rate")
    if isinstance(rates, Mapping):
        foreign = [name for name in rates if name in OPTIMIZERS.keys() - optimizers]
        foreign = [name for name in foreign if f"learning_rate.{name}" not in keep]
        dropped += [f"learning_rate.{name}" for name in foreign]
        space["learning_rate"] = {name: value for name, value in rates.items() if name not in foreign}
    return space, dropped


def _optimizers(raw: Mapping[str, Any]) -> set[str]:
    """Return the optimizers of a space as a study's file has it, as far as they can be read."""
    given = raw.get("optimizer", HYPERPARAMETERS["optimizer"].default)
    if isinstance(given, Mapping):
        given = given.get("values", [])
    return {str(name) for name in (given if isinstance(given, list) else [given])}


def _entries(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the space says of each key, texts read as numbers where they are; and the key of each optimizer's own learning rate."""
    entries: dict[str, Any] = {}
    own_rates: dict[str, str] = {}
    for name, value in raw.items():
        row = HYPERPARAMETERS.get(name)
        given = _read(row, value) if row else value
        if name != "learning_rate" or not isinstance(given, Mapping) or not given.keys() & OPTIMIZERS.keys():
            entries[name] = given
            continue
        own_rates = {optimizer: f"{name}.{optimizer}" for optimizer in given if optimizer in OPTIMIZERS}
        shared = {key: value for key, value in given.items() if key not in OPTIMIZERS}
        if shared:
            entries[name] = shared
        entries |= {key: given[optimizer] for optimizer, key in own_rates.items()}
    return entries, own_rates


def _read(row: Hyperparameter, value: Any, levels: int = 3) -> Any:
    """Return a domain as it is given, texts that are numbers read as such where the hyperparameter is one."""
    if isinstance(value, Mapping) and levels:
        return {key: _read(row, part, levels - 1) for key, part in value.items()}
    if isinstance(value, list) and levels:
        return [_read(row, part, levels - 1) for part in value]
    return row.read(value)


def _simplified(space: SearchSpace) -> SearchSpace:
    """Return a space of one optimizer with its own learning rate as the learning rate."""
    optimizers = space.domain("optimizer").points()
    if len(optimizers) > 1 or not space.rates:
        return space
    (rate,) = space.rates.values()
    return SearchSpace({**space.domains, "learning_rate": rate}, space.per_layer)


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
        yield f".{shortened(key)}: unknown key. {suggestion(key, known)}"
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
    if name == "learning_rate":
        known |= OPTIMIZERS.keys()
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
        if key in table and not (type(table[key]) is int and 1 <= table[key] <= MOST_POINTS):
            yield f".{key} is {shown(table[key])}; expected a whole number ≥ 1 and ≤ {MOST_POINTS:,}"
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
    for name in sorted((COEFFICIENTS & space.domains.keys()) - coefficients_of(optimizers)):
        owners = [optimizer for optimizer, row in OPTIMIZERS.items() if name in row.coefficients]
        yield (
            f"space.{name}: none of the optimizers {', '.join(optimizers)} has it. "
            f"Remove it, or add one that does: {', '.join(owners)}"
        )
    yield from _rate_conflicts(space, optimizers)
    if space.per_layer and "taper" in space.domains:
        yield "space.taper: with a width per layer there is nothing to taper. Remove 'taper' or 'per_layer'"


def _rate_conflicts(space: SearchSpace, optimizers: list[str]) -> Iterator[str]:
    """Yield learning rates of optimizers that the space does not have, and optimizers without one where others have their own."""
    for name in sorted(space.rates.keys() - {*optimizers}):
        yield f"space.learning_rate.{name}: the optimizers are {', '.join(optimizers)}. Remove it, or add {name} to them"
    without = [name for name in optimizers if name not in space.rates]
    if space.rates and without and "learning_rate" not in space.domains:
        others = ", ".join(without)
        yield f"space.learning_rate: no range for {others}. Add space.learning_rate.{without[0]}, or low and high for all others"
