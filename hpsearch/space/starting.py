"""A study's own first settings: from what a user gives, or from a trial of another study, to the parameters of a trial of the space."""

from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.errors import shortened, shown, suggestion
from hpsearch.space import OWN_RATE, SearchSpace, row_of
from hpsearch.space.hyperparameters import COEFFICIENTS, HYPERPARAMETERS
from hpsearch.training.optimizers import OPTIMIZERS


def starting_parameters(space: SearchSpace, given: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters of a trial with the given settings, the others known-good ones, and the problems, as text after a name.

    A setting has the name of a hyperparameter or of a parameter: `learning_rate`, `width`, `width_2`.
    """
    if not isinstance(given, Mapping):
        return {}, [f" is {shown(given)}; expected a table, for example {{ learning_rate = 0.01 }}"]
    read = {str(key): _read(str(key), value) for key, value in given.items()}
    problems: list[str] = []
    for key, value in read.items():
        problems += _problems_alone(key, value)
    if problems:
        return {}, problems
    values = {key: _of_kind(key, value) for key, value in read.items()}
    return space.completed(values), list(_problems_inside(space, values))


def settings_of_trial(space: SearchSpace, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all hyperparameters of a trial of a space by name; one width where the layers have equal ones."""
    values = space.completed(params)
    own_rate = f"{OWN_RATE}{values['optimizer']}"
    if own_rate in values:
        values["learning_rate"] = values.pop(own_rate)
    widths = {name: value for name, value in values.items() if name.startswith("width_")}
    if len(set(widths.values())) == 1:
        values["width"] = next(iter(widths.values()))
        values = {name: value for name, value in values.items() if name not in widths}
    return values


def _read(key: str, value: Any) -> Any:
    row = HYPERPARAMETERS.get(row_of(key))
    return row.read(value) if row else value


def _of_kind(key: str, value: Any) -> Any:
    """Return a value that has no problem as the hyperparameter's kind of number."""
    if isinstance(value, str):
        return value
    return HYPERPARAMETERS[row_of(key)].kind(value)


def _problems_alone(key: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a setting in any space."""
    row = HYPERPARAMETERS.get(row_of(key))
    if row is None:
        yield f".{shortened(key)}: unknown key. {suggestion(key, HYPERPARAMETERS)}"
    elif problem := row.problem(value):
        yield f".{shortened(key)} {problem}"


def _problems_inside(space: SearchSpace, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield which settings are no values of the space."""
    trial = space.completed(values)
    used: set[str] = set()
    for name, domain in space.parameters(trial):
        key = name if name in values else row_of(name)
        used.add(key)
        if key in values and not domain.has(values[key]):
            yield f".{key} is {shown(values[key])}; the space has {domain}. {_how_to_widen(space, name)}"
    for key, value in values.items():
        if key not in used and not _is_default(key, value, str(trial["optimizer"])):
            yield f".{shortened(key)}: {_reason_of_absence(space, key, trial)}"


def _how_to_widen(space: SearchSpace, name: str) -> str:
    key = row_of(name)
    if name.startswith(OWN_RATE):
        key = f"learning_rate.{name.removeprefix(OWN_RATE)}"
    verb = "Widen" if key in space.by_key else "Add"
    return f"{verb} space.{key}, or leave {row_of(name)} out"


def _is_default(key: str, value: Any, optimizer: str) -> bool:
    """Whether a coefficient that the space does not search has the value that it has in every trial."""
    return bool(OPTIMIZERS[optimizer].coefficients.get(key) == value)


def _reason_of_absence(space: SearchSpace, key: str, trial: Mapping[str, Any]) -> str:
    """Return why a trial has no such setting, and what to do."""
    if key in COEFFICIENTS:
        default = OPTIMIZERS[trial["optimizer"]].coefficients.get(key)
        if default is None:
            return f"the optimizer {trial['optimizer']} has none. Leave it out"
        return f"in every trial of the space it is {default:g}. Add space.{key}, or leave it out"
    if key.startswith(OWN_RATE):
        return "the trial has another learning rate. Give learning_rate"
    if space.per_layer:
        return f"a network of depth {trial['depth']} has no such layer. Leave it out"
    return "the space has one width for all layers. Give width"
