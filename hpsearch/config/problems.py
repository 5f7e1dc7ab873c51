"""What is wrong with a study's file, as lines: KEY: what is given, what is expected, what to do.

`conflicts` finds settings that are valid each for itself and cannot stand together; `lines_of` words what pydantic finds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.config.sections import SAMPLED, CompareSection, DataSection, StudyConfig
from hpsearch.data.metrics import METRICS, OBJECTIVES
from hpsearch.data.tasks import TASKS
from hpsearch.errors import UserError, counted, escaped, shortened, shown, suggestion
from hpsearch.space.starting import starting_parameters
from hpsearch.trial import BUDGET_UNITS

KEYS_OF_FILES = ("target", "separator", "header", "encoding")
KEYS_OF_TABLES = ("group", "time", "columns", "missing_values", "decimal", "thousands", "drop_rows", "weight")
KEYS_OF_IMAGES = ("size", "parts", "background")
TYPES = {
    "object": "a table",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def error_of(problems: Iterable[str], where: str, overridden: Sequence[str]) -> UserError:
    """Return the error of all problems, each with where it is: the file, or the command line that overrode these keys."""
    lines = []
    for problem in problems:
        place = where
        if problem.startswith(tuple(overridden)):
            place = "command line"
        lines.append(escaped(f"{place}: {problem.rstrip('.')}."))
    return UserError("\n".join(lines))


def is_folder(name: str) -> bool:
    """Whether a name is that of a folder."""
    with suppress(OSError, ValueError):  # a name that no folder can have
        return bool(name) and Path(name).is_dir()
    return False


def conflicts(config: StudyConfig, *, in_memory: bool = False) -> Iterator[str]:
    """Yield what cannot stand together; data `in_memory` are arrays or a frame, whose columns can be named without a file."""
    if len([unit for unit in BUDGET_UNITS if getattr(config.training, unit)]) > 1:
        yield f"training: more than one of {', '.join(BUDGET_UNITS)}. Keep one"
    name = config.study.name
    if not name.isprintable() or not name.strip():
        yield f"study.name is {shown(name)}; expected 1 to 200 characters that print. Give another name (--name)"
    task = TASKS.get(config.data.task or "")
    if config.training.class_weights != "none" and task and not task.has_classes:
        yield f"training.class_weights: {task.noun} has no classes to weigh. Remove it"
    yield from _data_conflicts(config.data, in_memory)
    yield from _objective_conflicts(config)
    yield from _start_conflicts(config)
    if config.compare:
        yield from _comparison_conflicts(config, config.compare)
        yield from _space_conflicts(config, config.compare)


def _data_conflicts(data: DataSection, in_memory: bool) -> Iterator[str]:
    """Yield what is wrong with where the data come from, and with which rows go where."""
    if data.file is None and data.name is None:
        yield "data.name: missing. Give the name of a data set, or a file (data.file, --data FILE)"
    if data.file is None:
        for key in (*KEYS_OF_FILES, *KEYS_OF_TABLES, *KEYS_OF_IMAGES[1:]):
            if getattr(data, key) and not (in_memory and key in KEYS_OF_TABLES):
                yield f"data.{key}: only a file has it. Give data.file"
    elif (only := [key for key in KEYS_OF_IMAGES if getattr(data, key)]) and not is_folder(data.file):
        yield f"data.{only[0]}: only images have one, and this is no folder. Give a folder of images, or remove it"
    elif data.target and is_folder(data.file):
        yield "data.target: the classes of images are their folders' names. Remove it"
    if isinstance(data.folds, int) and data.validation is not None:
        yield "data.validation: with folds each of them validates in turn. Keep one of the two"
    if data.group and data.time:
        yield "data.group, data.time: rows are divided by the one or the other. Keep one"
    if data.time and isinstance(data.folds, int):
        yield "data.folds: with a time column the earliest rows train and the latest validate. Remove it"


def _objective_conflicts(config: StudyConfig) -> Iterator[str]:
    """Yield what several objectives cannot have."""
    search = config.search
    objectives = search.objectives
    if not objectives:
        return
    for name in objectives:
        if name not in OBJECTIVES:
            yield f"search.objectives: no metric is called {shown(name)}. {suggestion(name, OBJECTIVES)}"
    first = objectives[0]
    if first in OBJECTIVES and first not in METRICS:
        yield f"search.objectives: '{first}' is the first, which training tracks. Put a metric before it"
    if isinstance(config.data.folds, int):
        for name in search.secondary_of_rows:
            yield f"search.objectives: with folds only the first is measured on rows. Remove {shown(name)}"
    if search.pruner != "none":
        yield 'search.pruner: a trial of several objectives is compared at its end only. Give pruner = "none" (--pruner none)'
    if search.metric and search.metric != first:
        yield "search.metric: the first of search.objectives is the metric. Remove it"
    if len(set(objectives)) < len(objectives):
        yield "search.objectives names one twice. Give each once"


def _start_conflicts(config: StudyConfig) -> Iterator[str]:
    """Yield what is wrong with the first settings of a study's own."""
    start = config.search.start
    if start is not None and config.search.sampler == "grid":
        yield "search.start: a grid has its own points. Remove it, or choose another sampler (--sampler tpe)"
    if isinstance(start, list):
        for index, given in enumerate(start):
            for problem in starting_parameters(config.space, given)[1]:
                yield f"search.start[{index}]{problem}"


def _comparison_conflicts(config: StudyConfig, compare: CompareSection) -> Iterator[str]:
    """Yield what a comparison could not keep to, or would do nothing with."""
    given = config.search.model_fields_set
    if config.search.objectives:
        yield "search.objectives: a comparison has one. Give search.metric instead"
    if "sampler" in given and config.search.sampler not in SAMPLED:
        sampler = shown(config.search.sampler)
        yield f"search.sampler is {sampler}; a comparison tunes every batch size alike, by {' or '.join(SAMPLED)}"
    for key in ("trials", "timeout", "pruner", "reduction_factor", "start", "patience", "target_value"):
        if key in given and getattr(config.search, key) not in (None, "none"):
            hint = "Give compare.trials" if key == "trials" else "Remove it"
            reason = "every trial of a comparison trains to its end, and each batch size has as many"
            yield f"search.{key}: {reason}. {hint}"
    if config.folds:
        yield "data.folds: not for comparisons: every batch size trains on one division of the rows. Remove it"
    if config.data.weight:
        yield "data.weight: a comparison weighs all rows alike. Remove it"
    if config.training.max_seconds:
        yield "training.max_seconds: a comparison counts updates, not seconds. Remove it"
    if config.training.evaluations:
        yield "training.evaluations: a comparison evaluates by compare.resolution. Remove it"
    if compare.seconds and any(getattr(config.training, unit) for unit in BUDGET_UNITS):
        yield "compare.seconds: there is a budget in [training] already. Keep one"
    if compare.tune_until == "target" and compare.target is None:
        yield "compare.tune_until is 'target', but there is none. Give compare.target"


def _space_conflicts(config: StudyConfig, compare: CompareSection) -> Iterator[str]:
    """Yield what is wrong with the optimizers and batch sizes that are compared."""
    if compare.batch_sizes and "batch_size" in config.space.domains:
        yield "space.batch_size: the batch sizes stand in compare.batch_sizes already. Keep one"
    optimizers = [str(name) for name in config.space.domain("optimizer").points()]
    for name in compare.space:
        if name not in optimizers:
            yield f"compare.space.{shortened(name)}: the comparison has no such optimizer. {suggestion(name, optimizers)}"


def lines_of(error: ValidationError) -> list[str]:
    """Return pydantic's findings as our lines, each once."""
    return list(dict.fromkeys(_line_of(detail) for detail in _distinct_findings(error.errors())))


def _distinct_findings(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return unknown keys first; a key that is missing because it is misspelt is one finding, not two."""
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]

    def is_misspelt(detail: ErrorDetails) -> bool:
        if detail["type"] != "missing":
            return False
        *table, name = detail["loc"]
        same_table = [other for other in unknown if [*other["loc"][:-1]] == table]
        return any(f"Did you mean '{name}'?" in _line_of(other) for other in same_table)

    rest = [detail for detail in details if detail not in unknown]
    return unknown + [detail for detail in rest if not is_misspelt(detail)]


def _line_of(detail: ErrorDetails) -> str:
    """Return pydantic's finding as our line: KEY: what is wrong, what is expected."""
    section, *keys = (shortened(str(part)) for part in detail["loc"][:2])
    path = ".".join((section, *keys))
    model = _section(section)
    if detail["type"] == "extra_forbidden":
        known = model.model_fields if keys else StudyConfig.model_fields
        return f"{path}: unknown key. {suggestion(keys[0] if keys else section, known)}"
    if detail["type"] == "missing":
        return f"{path}: missing. {'Give it' if keys else f'Add a table [{section}]'}"
    if not keys:
        return f"{section} is {shown(detail['input'])}; expected a table"
    schema = model.model_json_schema()["properties"][keys[0]]
    for part in detail["loc"][2:]:
        inner = _inner(schema, part)
        if inner is None:
            break
        path += f"[{part}]" if isinstance(part, int) else f".{shortened(part)}"
        schema = inner
    return f"{path} is {shown(detail['input'])}; expected {_expected(schema)}"


def _inner(schema: Mapping[str, Any], part: int | str) -> Mapping[str, Any] | None:
    """Return the schema of a list's items or of a table's values, None where a part of pydantic's path names no such thing."""
    options = [option for option in schema.get("anyOf", [schema]) if option != {"type": "null"}]
    if len(options) != 1:
        return None
    inner: Mapping[str, Any] | None = options[0].get("items" if isinstance(part, int) else "additionalProperties")
    return inner or None


def _section(name: str) -> type[BaseModel]:
    """Return the model of a table of the file, or of the file itself for another name."""
    field = StudyConfig.model_fields.get(name)
    if field is not None:
        for kind in (field.annotation, *get_args(field.annotation)):  # one that may be absent is a union
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                return kind
    return StudyConfig


def _expected(schema: Mapping[str, Any]) -> str:
    """Return in words what the JSON schema of a key takes."""
    if "anyOf" in schema:
        return ", or ".join(_expected(option) for option in schema["anyOf"] if option != {"type": "null"})
    if "enum" in schema:
        return " or ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if schema["type"] == "array":
        return f"a list{_items(schema)} of: {_expected(schema['items'])}"
    length = ""
    if "maxLength" in schema:
        length = f" of {_between(schema['minLength'], schema['maxLength'], 'character')}"
    elif "minLength" in schema:
        length = ", not empty"
    limits = [f"{sign} {schema[limit]:,}" for limit, sign in LIMITS.items() if limit in schema]
    return f"{TYPES[schema['type']]}{length} {' and '.join(limits)}".strip()


def _items(schema: Mapping[str, Any]) -> str:
    """Return how many items a list may have."""
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if low == 0:
        return ""
    if low == 1 or high is None:
        return ", not empty,"
    return f" of {_between(low, high, 'item')}, each"


def _between(low: int, high: int, noun: str) -> str:
    if low == high:
        return counted(low, noun)
    return f"{low:,} to {counted(high, noun)}"
