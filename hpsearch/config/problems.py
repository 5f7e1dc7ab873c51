"""What is wrong with a study's file, as lines: KEY: what is given, what is expected, what to do."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hpsearch.config.sections import SAMPLED, UNITS, CompareSection, DataSection, StudyConfig
from hpsearch.data.metrics import METRICS
from hpsearch.data.objectives import OBJECTIVES
from hpsearch.data.tasks import TASKS
from hpsearch.errors import shown, suggestion


def told(problem: str, where: str, overridden: Sequence[str]) -> str:
    """Return a problem as a line, after where it is: the file, or the command line whose keys took the file's place."""
    return printed(f"{'command line' if problem.startswith(tuple(overridden)) else where}: {problem.rstrip('.')}.")


def printed(text: str) -> str:
    """Return text whose control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def conflicts(config: StudyConfig, at_hand: bool = False) -> list[str]:
    """Return what cannot stand together; data `at_hand` are arrays or a frame, whose columns can be asked for without a file."""
    problems = []
    if len([unit for unit in UNITS if getattr(config.training, unit)]) > 1:
        problems.append(f"training: more than one of {', '.join(UNITS)}. Keep one")
    name = config.study.name
    if not name.isprintable() or not name.strip():
        problems.append(
            f"study.name is {shown(name)}; expected 1 to 200 characters that print. Give another name (--name)"
        )
    task = TASKS.get(config.data.task or "")
    if config.training.class_weights != "none" and task and not task.has_classes:
        problems.append("training.class_weights: a regression has no classes to weigh. Remove it")
    problems += [*_data_conflicts(config.data, at_hand), *_search_conflicts(config)]
    return problems + (_comparison_conflicts(config, config.compare) if config.compare else [])


OF_A_FILE = ("target", "separator", "header", "encoding", "decimal")
OF_A_TABLE = ("group", "time", "columns", "missing_values")


def _data_conflicts(data: DataSection, at_hand: bool) -> list[str]:
    """Return what is wrong with where the data come from and which rows go where."""
    problems = []
    if data.file is None and data.name is None:
        problems.append("data.name: missing. Give the name of a data set, or a file (data.file, --data FILE)")
    if data.file is None:
        of_a_file = OF_A_FILE if at_hand else (*OF_A_FILE, *OF_A_TABLE)
        problems += [f"data.{key}: only a file has it. Give data.file" for key in of_a_file if getattr(data, key)]
    elif data.size and not _is_folder(data.file):
        problems.append("data.size: only images have one, and this is no folder. Give a folder of images, or remove it")
    elif data.target and _is_folder(data.file):
        problems.append("data.target: the classes of images are their folders' names. Remove it")
    if isinstance(data.folds, int) and data.validation is not None:
        problems.append("data.validation: with folds each of them validates in turn. Keep one of the two")
    if data.group and data.time:
        problems.append("data.group, data.time: rows are divided by the one or the other. Keep one")
    if data.time and isinstance(data.folds, int):
        problems.append("data.folds: with a time column the earliest rows train and the latest validate. Remove it")
    return problems


def _is_folder(name: str) -> bool:
    with suppress(OSError):  # a name that is too long for one
        return Path(name).is_dir()
    return False


def _search_conflicts(config: StudyConfig) -> list[str]:
    """Return what several objectives, folds and an ensemble cannot have."""
    search, problems = config.search, []
    unknown = [name for name in search.objectives or () if name not in OBJECTIVES]
    problems += [
        f"search.objectives: no metric is called {shown(name)}. {suggestion(name, OBJECTIVES)}" for name in unknown
    ]
    if search.objectives and search.objectives[0] in OBJECTIVES and search.objectives[0] not in METRICS:
        problems.append(
            f"search.objectives: '{search.objectives[0]}' is the first, which training tracks. Put a metric before it"
        )
    if search.objectives and isinstance(config.data.folds, int):
        measured = [name for name in search.objectives[1:] if name in OBJECTIVES and OBJECTIVES[name].of_rows]
        problems += [
            f"search.objectives: with folds only the first is measured on rows. Remove {shown(name)}"
            for name in measured
        ]
    if search.objectives and search.pruner != "none":
        problems.append("search.pruner: a trial of several objectives is compared at its end only. Give pruner none")
    if search.objectives and search.metric and search.metric != search.objectives[0]:
        problems.append("search.metric: the first of search.objectives is the metric. Remove it")
    if search.objectives and len({*search.objectives}) < len(search.objectives):
        problems.append("search.objectives names one twice. Give each once")
    return problems


def _comparison_conflicts(config: StudyConfig, compare: CompareSection) -> list[str]:
    """Return what a comparison could not keep to, or would not do anything with."""
    problems, given = [], config.search.model_fields_set
    if config.search.objectives:
        problems.append("search.objectives: a comparison has one. Give search.metric instead")
    if "sampler" in given and config.search.sampler not in SAMPLED:
        problems.append(
            f"search.sampler is {shown(config.search.sampler)}; a comparison tunes every batch size alike, by {' or '.join(SAMPLED)}"
        )
    for key in ("trials", "timeout", "pruner", "reduction_factor"):
        if key in given and getattr(config.search, key) not in (None, "none"):
            hint = "Give compare.trials" if key == "trials" else "Remove it"
            problems.append(
                f"search.{key}: every trial of a comparison trains to its end, and each batch size has as many. {hint}"
            )
    if config.folds:
        problems.append(
            "data.folds: not for comparisons: every batch size trains on one division of the rows. Remove it"
        )
    if config.training.evaluations:
        problems.append("training.evaluations: a comparison evaluates by compare.resolution. Remove it")
    if compare.seconds and any(getattr(config.training, unit) for unit in UNITS):
        problems.append("compare.seconds: there is a budget in [training] already. Keep one")
    if compare.batch_sizes and "batch_size" in config.space.domains:
        problems.append("space.batch_size: the batch sizes stand in compare.batch_sizes already. Keep one")
    if compare.tune_until == "target" and compare.target is None:
        problems.append("compare.tune_until is 'target', but there is none. Give compare.target")
    optimizers = [str(name) for name in config.space.domain("optimizer").points()]
    problems += [
        f"compare.space.{name}: the comparison has no such optimizer. {suggestion(name, optimizers)}"
        for name in compare.space
        if name not in optimizers
    ]
    return problems


def findings(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return unknown keys first; a key that is missing because it is misspelt is one finding, not two."""
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]

    def misspelt(missing: ErrorDetails) -> bool:
        *table, name = missing["loc"]
        return any([*d["loc"][:-1]] == table and f"Did you mean '{name}'?" in line_of(d) for d in unknown)

    rest = [detail for detail in details if detail not in unknown]
    return [*unknown, *(detail for detail in rest if detail["type"] != "missing" or not misspelt(detail))]


def line_of(detail: ErrorDetails) -> str:
    """Return pydantic's finding as our line: KEY: what is wrong, what is expected."""
    section, *keys = map(str, detail["loc"][:2])
    model = _section(section)
    if detail["type"] == "extra_forbidden":
        known = model.model_fields if keys else StudyConfig.model_fields
        return f"{'.'.join((section, *keys))}: unknown key. {suggestion(keys[0] if keys else section, known)}"
    if detail["type"] == "missing":
        return f"{'.'.join((section, *keys))}: missing. {'Give it' if keys else f'Add a table [{section}]'}"
    if not keys:
        return f"{section} is {shown(detail['input'])}; expected a table"
    expected = _expected(model.model_json_schema()["properties"][keys[0]])
    return f"{section}.{keys[0]} is {shown(detail['input'])}; expected {expected}"


def _section(name: str) -> type[BaseModel]:
    field = StudyConfig.model_fields.get(name)
    kinds = (field.annotation, *get_args(field.annotation)) if field else ()  # one that may be absent is a union
    sections = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(sections, StudyConfig)


def _expected(schema: Mapping[str, Any]) -> str:
    """Return in words what the JSON schema of a key takes."""
    if "anyOf" in schema:
        return ", or ".join(_expected(option) for option in schema["anyOf"] if option != {"type": "null"})
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    if schema["type"] == "array":
        return f"a list, not empty, of: {_expected(schema['items'])}"
    kind = {"object": "a table", "integer": "a whole number", "number": "a number", "string": "text"}[schema["type"]]
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    ends = [f"{sign} {schema[limit]:,}" for limit, sign in limits.items() if limit in schema]
    length = f" of {schema['minLength']} to {schema['maxLength']} characters" if "maxLength" in schema else ""
    return f"{kind}{length} {' and '.join(ends)}".strip()
