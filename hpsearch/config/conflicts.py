"""Settings that are valid each for itself and cannot stand together, as lines: KEY: what is wrong. What to do."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hpsearch.config.sections import SAMPLED, UNITS, CompareSection, DataSection, SearchSection, StudyConfig
from hpsearch.data.metrics import METRICS, OBJECTIVES
from hpsearch.data.tasks import TASKS
from hpsearch.errors import shown, suggestion

KEYS_OF_FILES = ("target", "separator", "header", "encoding", "decimal")
KEYS_OF_TABLES = ("group", "time", "columns", "missing_values")


def conflicts(config: StudyConfig, *, in_memory: bool = False) -> Iterator[str]:
    """Yield what cannot stand together; data `in_memory` are arrays or a frame, whose columns can be named without a file."""
    if len([unit for unit in UNITS if getattr(config.training, unit)]) > 1:
        yield f"training: more than one of {', '.join(UNITS)}. Keep one"
    name = config.study.name
    if not name.isprintable() or not name.strip():
        yield f"study.name is {shown(name)}; expected 1 to 200 characters that print. Give another name (--name)"
    task = TASKS.get(config.data.task or "")
    if config.training.class_weights != "none" and task and not task.has_classes:
        yield "training.class_weights: a regression has no classes to weigh. Remove it"
    yield from _source_conflicts(config.data, in_memory)
    yield from _split_conflicts(config.data)
    yield from _objective_conflicts(config)
    if config.compare:
        yield from _comparison_conflicts(config, config.compare)
        yield from _grid_conflicts(config, config.compare)


def _source_conflicts(data: DataSection, in_memory: bool) -> Iterator[str]:
    """Yield what is wrong with where the data come from."""
    if data.file is None and data.name is None:
        yield "data.name: missing. Give the name of a data set, or a file (data.file, --data FILE)"
    if data.file is None:
        for key in KEYS_OF_FILES if in_memory else KEYS_OF_FILES + KEYS_OF_TABLES:
            if getattr(data, key):
                yield f"data.{key}: only a file has it. Give data.file"
    elif data.size and not _is_folder(data.file):
        yield "data.size: only images have one, and this is no folder. Give a folder of images, or remove it"
    elif data.target and _is_folder(data.file):
        yield "data.target: the classes of images are their folders' names. Remove it"


def _split_conflicts(data: DataSection) -> Iterator[str]:
    """Yield what is wrong with which rows go where."""
    if isinstance(data.folds, int) and data.validation is not None:
        yield "data.validation: with folds each of them validates in turn. Keep one of the two"
    if data.group and data.time:
        yield "data.group, data.time: rows are divided by the one or the other. Keep one"
    if data.time and isinstance(data.folds, int):
        yield "data.folds: with a time column the earliest rows train and the latest validate. Remove it"


def _is_folder(name: str) -> bool:
    with suppress(OSError):  # a name that is too long for one
        return Path(name).is_dir()
    return False


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
        for name in _measured_on_rows(search):
            yield f"search.objectives: with folds only the first is measured on rows. Remove {shown(name)}"
    if search.pruner != "none":
        yield "search.pruner: a trial of several objectives is compared at its end only. Give pruner none"
    if search.metric and search.metric != first:
        yield "search.metric: the first of search.objectives is the metric. Remove it"
    if len(set(objectives)) < len(objectives):
        yield "search.objectives names one twice. Give each once"


def _measured_on_rows(search: SearchSection) -> list[str]:
    others = (search.objectives or [])[1:]
    return [name for name in others if name in OBJECTIVES and OBJECTIVES[name].of_rows]


def _comparison_conflicts(config: StudyConfig, compare: CompareSection) -> Iterator[str]:
    """Yield what a comparison could not keep to, or would do nothing with."""
    given = config.search.model_fields_set
    if config.search.objectives:
        yield "search.objectives: a comparison has one. Give search.metric instead"
    if "sampler" in given and config.search.sampler not in SAMPLED:
        sampler = shown(config.search.sampler)
        yield f"search.sampler is {sampler}; a comparison tunes every batch size alike, by {' or '.join(SAMPLED)}"
    for key in ("trials", "timeout", "pruner", "reduction_factor"):
        if key in given and getattr(config.search, key) not in (None, "none"):
            hint = "Give compare.trials" if key == "trials" else "Remove it"
            reason = "every trial of a comparison trains to its end, and each batch size has as many"
            yield f"search.{key}: {reason}. {hint}"
    if config.folds:
        yield "data.folds: not for comparisons: every batch size trains on one division of the rows. Remove it"
    if config.training.evaluations:
        yield "training.evaluations: a comparison evaluates by compare.resolution. Remove it"
    if compare.seconds and any(getattr(config.training, unit) for unit in UNITS):
        yield "compare.seconds: there is a budget in [training] already. Keep one"
    if compare.tune_until == "target" and compare.target is None:
        yield "compare.tune_until is 'target', but there is none. Give compare.target"


def _grid_conflicts(config: StudyConfig, compare: CompareSection) -> Iterator[str]:
    """Yield what is wrong with the optimizers and batch sizes that are compared."""
    if compare.batch_sizes and "batch_size" in config.space.domains:
        yield "space.batch_size: the batch sizes stand in compare.batch_sizes already. Keep one"
    optimizers = [str(name) for name in config.space.domain("optimizer").points()]
    for name in compare.space:
        if name not in optimizers:
            yield f"compare.space.{name}: the comparison has no such optimizer. {suggestion(name, optimizers)}"
