"""From a file to checked values: a study of a search, or of a comparison. This is the only reader of `studies/`."""

import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.config.problems import conflicts, error_of, is_folder, lines_of
from hpsearch.config.sections import MinimaConfig, StudyConfig
from hpsearch.data.loaders.datasets import DATASETS
from hpsearch.data.options import COLUMN_SETTING
from hpsearch.errors import UserError, escaped, shortened, shown, suggestion
from hpsearch.space import HYPERPARAMETERS, SearchSpace
from hpsearch.space.hyperparameters import as_number
from hpsearch.space.reading import narrowed, read_space
from hpsearch.space.starting import starting_parameters
from hpsearch.trial import BUDGET_UNITS

Raw = dict[str, Any]  # a study's plain values, as its file has them
Overrides = Sequence[tuple[str, Any]]  # dotted keys and values that take the place of what a file says

PACKAGE = Path(__file__).parents[1]
STUDIES = PACKAGE / "studies"  # in the wheel
if not STUDIES.is_dir():
    STUDIES = PACKAGE.parent / "studies"
DATA_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq", ".npz", ".npy", ".xlsx", ".xls")
REPLACED = {  # key of the study `table` → keys of the file that it gives way to
    ("data", "folds"): ("validation", "time"),
    ("training", "epochs"): BUDGET_UNITS,
    ("training", "max_examples"): BUDGET_UNITS,
    ("search", "pruner"): ("objectives",),  # trials of several have none
}
LEFT_OUT = (  # of a search's study, when it is compared
    "search.sampler",
    "search.pruner",
    "search.trials",
    "search.timeout",
    "search.reduction_factor",
    "search.lag",
    "search.start",
    "search.patience",
    "search.target_value",
    "training.max_examples",
    "training.max_seconds",
    "data.folds",
    "training.patience",  # it counts evaluations, which lie closer together in a comparison
    "training.evaluations",
)
DEFAULT_SPACE: Raw = {  # of a comparison on a data set of which only the name is given
    "depth": 2,
    "width": 64,
    "optimizer": "sgd",
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
}
DEEPEST = 8  # tables and lists in each other: no study has more
LARGEST_FILE = 1_000_000  # bytes; no study's file is longer


def find_study(name: str) -> Path:
    """Return the file of a study: a path, or the name of one that hpsearch brings along.

    Raises:
        UserError: there is neither.
    """
    if _is_data(name):
        raise UserError(
            f"{shown(name)} is a data file, not a study. Give it so: --data {shlex.quote(name)} --target COLUMN."
        )
    with suppress(OSError):  # a name that is too long for a file is no file
        if Path(name).is_file():
            return Path(name)
    known = _own_studies()
    if name in known:
        return known[name]
    hint = ""
    if is_folder(name):
        hint = " Is it a folder of images by class? Then --data names it."
    raise UserError(
        f"no study {shown(name)}: neither a file, nor one of hpsearch's own, nor a data set.{hint} {suggestion(name, {*known, *DATASETS})}"
    )


def _as_begun(raw: Raw, begun: Raw, *, ours: bool) -> Raw:
    """Return a study's values with those that it began with in the place of hpsearch's own: all, or what its file leaves to `table`.

    Of its data that is only whether predictions are limited: an earlier version did not, and a study measures all of its trials alike.
    """
    if ours:
        return deepcopy(begun)
    if "space" in raw:
        data = raw.get("data")
        if isinstance(data, dict):
            data.setdefault("target_range", begun["data"].get("target_range"))
        return raw
    whole = deepcopy(begun)
    for name, section in raw.items():
        whole[name] = {**whole.get(name, {}), **section} if isinstance(section, dict) else section
    return whole


def is_study(name: str) -> bool:
    """Whether a name is a study's file (TOML), or the name of one that hpsearch brings along."""
    return name.endswith(".toml") or (STUDIES / f"{name}.toml").is_file()


def read_config(
    path: Path, overrides: Overrides = (), default_name: str | None = None, begun: Raw | None = None
) -> StudyConfig:
    """Read and check a study's file; `overrides` are (dotted key, value) pairs that take the place of what it says.

    `default_name` is that of a study that has no name; by default the file's. `begun` are the settings that the study of this name began
    with: they take the place of those that hpsearch brings, which another version may have had otherwise.

    Raises:
        UserError: every problem, a line each; or the file is a comparison's.
    """
    raw = parse(path)
    if begun is not None:
        raw = _as_begun(raw, begun, ours=path.parent == STUDIES)
    config = _check_overridden(raw, default_name or path.stem, str(path), overrides)
    if config.compare:
        raise UserError(
            f"{path}: a comparison (it has a table [compare]). Run it with: python -m hpsearch compare {path}"
        )
    if config.minima:
        raise UserError(f"{path}: the escape tests (table [minima]) are a comparison's. Remove the table.")
    return config


def read_comparison(name: str, overrides: Overrides = ()) -> tuple[StudyConfig | MinimaConfig, list[str]]:
    """Read and check a comparison: a file, one of hpsearch's own (with or without its `compare-`), or a data set's name.

    A search's study is compared too: what a comparison decides itself is left out of it, and a notice says what. A file with a
    table [minima] and no data is a study of the escape tests alone.

    Raises:
        UserError: every problem, a line each.
    """
    path = _find_comparison(name)
    if path is None:
        raw: Raw = {"data": {"name": name}, "space": dict(DEFAULT_SPACE)}
        default_name = name
        where = f"data set '{name}'"
    else:
        raw = parse(path)
        default_name = path.stem
        where = str(path)
    if "minima" in raw and "data" not in raw:
        keys = _override(raw, default_name, overrides)
        return _check_minima(raw, where, keys), []
    if "compare" in raw:
        config = _check_overridden(raw, default_name, where, overrides)
        return config, [*config.notices]
    raw["compare"] = {}
    dropped = [key for key in LEFT_OUT if _drop(raw, key)]
    config = _check_overridden(raw, f"compare-{default_name.removeprefix('compare-')}", where, overrides)
    if not dropped:
        return config, [*config.notices]
    return config, [
        *config.notices,
        f"left out, since every run of a comparison trains alike and to its end: {', '.join(dropped)}",
    ]


def check_config(
    raw: Mapping[str, Any], where: str, overridden: Sequence[str] = (), *, in_memory: bool = False
) -> StudyConfig:
    """Check the plain values of a study; `where` stands before each problem, save those of `overridden` keys.

    Data `in_memory` are arrays or a frame, whose columns can be named without a file.

    Raises:
        UserError: every problem, a line each.
    """
    raw = {str(name): _plain(table) for name, table in raw.items()}
    table = raw.get("space", {})
    if isinstance(table, Mapping):
        space, problems = read_space(table)
    else:
        space, problems = SearchSpace({}), ["space: expected a table"]
    try:
        config = StudyConfig.model_validate({**raw, "space": space})
    except ValidationError as error:
        raise error_of([*lines_of(error), *problems], where, overridden) from None
    problems += conflicts(config, in_memory=in_memory)
    if problems:
        raise error_of(problems, where, overridden)
    return config


def _plain(value: Any, depth: int = DEEPEST) -> Any:
    """Return settings as a file would have them: NumPy's scalars and arrays as numbers and lists, tuples as lists."""
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item, depth - 1) for item in value]
    to_list = getattr(value, "tolist", None)
    return value if to_list is None else to_list()


def parse_value(text: str) -> Any:
    """Return the value of a `--set KEY=VALUE`: TOML where it is TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=as_number)["value"]
    except (ValueError, RecursionError):
        return text


def parse(path: Path) -> dict[str, Any]:
    """Return a file's plain values.

    Raises:
        UserError: it cannot be read, or is no TOML.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise UserError(f"{path}: {size:,} bytes are too many for a study's file. Is this the right file?")
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"), parse_float=as_number)
    except UserError:  # a ValueError too, which the last but one would wrap
        raise
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}. Mend that line.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8, or give another file."
        ) from None
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "nested too deeply" if deep else str(error).split(";")[0]
        raise UserError(f"{path}: not readable as TOML: {reason}. Mend the file.") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Give the path of a readable study file.") from None


def _is_data(name: str) -> bool:
    """Whether a name is that of a table's or arrays' file."""
    return name.lower().endswith(DATA_SUFFIXES)


def _own_studies() -> dict[str, Path]:
    return {file.stem: file for file in sorted(STUDIES.glob("*.toml"))}


def _find_comparison(name: str) -> Path | None:
    """Return the file of a comparison, None for a data set's name."""
    known = _own_studies()
    if f"compare-{name}" in known:
        return find_study(f"compare-{name}")
    if _is_data(name):
        raise UserError(
            f"{shown(name)} is a data file, not a comparison. Name it in a study's file (data.file, data.target), and compare that."
        )
    with suppress(OSError):
        if name in known or Path(name).is_file():
            return find_study(name)
    if name in DATASETS:
        return None
    raise UserError(
        f"nothing to compare is called {shown(name)}: no file, study or data set. {suggestion(name, {*known, *DATASETS})}"
    )


def _check_minima(raw: Raw, where: str, overridden: Sequence[str]) -> MinimaConfig:
    try:
        return MinimaConfig.model_validate(raw)
    except ValidationError as error:
        raise error_of(lines_of(error), where, overridden) from None


def _drop(raw: Raw, key: str) -> bool:
    """Remove a dotted key, and return whether it was there."""
    section, name = key.split(".")
    table = raw.get(section)
    return isinstance(table, dict) and table.pop(name, None) is not None


def _check_overridden(raw: Raw, default_name: str, where: str, overrides: Overrides) -> StudyConfig:
    """Override plain values of a study, and check them."""
    keys = _override(raw, default_name, overrides)
    units = [unit for unit in BUDGET_UNITS if f"training.{unit}" in keys]
    if units:  # they replace the file's budget, which may be in another unit
        for unit in BUDGET_UNITS:
            if unit not in units:
                raw["training"].pop(unit, None)
        if "training.max_examples" not in keys:
            raw["training"].pop("max_examples", None)
    for given, other in (("file", "name"), ("name", "file")):
        if f"data.{given}" in keys and f"data.{other}" not in keys:
            raw["data"].pop(other, None)
    gives_size = any(key.startswith("space.batch_size") for key in keys)
    if "compare.batch_sizes" in keys and isinstance(raw.get("space"), dict) and not gives_size:
        raw["space"].pop("batch_size", None)  # the file's, whose place they take
    raw = _with_table_defaults(raw)
    notices = [*_narrow(raw, keys), *_drop_pruner(raw, keys)]
    if "search.start" not in keys and any(key.startswith(("space", "search.sampler")) for key in keys):
        notices += leave_out_starts(raw)
    return check_config(raw, where, keys).with_notices(notices)


def _narrow(raw: Raw, keys: Sequence[str]) -> Iterator[str]:
    """Leave out of the space what no optimizer that the command line names has, and yield a sentence on it."""
    space = raw.get("space")
    if not any(key.startswith("space.optimizer") for key in keys) or not isinstance(space, dict):
        return
    given = [key.removeprefix("space.") for key in keys]
    raw["space"], dropped = narrowed(space, given)
    if dropped:
        names = ", ".join(f"space.{name}" for name in dropped)
        yield f"{names} left out: the optimizers of the command line have none"


def _drop_pruner(raw: Raw, keys: Sequence[str]) -> Iterator[str]:
    """Leave out the file's pruner where the command line asks for several objectives, and yield a sentence on it."""
    search = raw.get("search")
    if not isinstance(search, dict) or "search.objectives" not in keys or "search.pruner" in keys:
        return
    pruner = search.pop("pruner", "none")
    if pruner != "none":
        yield f"search.pruner = {shown(pruner)} left out: trials of several objectives run to their end"


def leave_out_starts(raw: Raw) -> list[str]:
    """Leave first settings out that the space does not hold any more, or all where a grid has points of its own; say so in a sentence."""
    search, given_space = raw.get("search"), raw.get("space")
    if not (isinstance(search, dict) and isinstance(search.get("start"), list) and isinstance(given_space, dict)):
        return []
    starts = search["start"]
    space, problems = read_space(given_space)
    if problems:  # they are told when all of it is checked, and no settings fit such a space
        del search["start"]
        return []
    fitting = [given for given in starts if not starting_parameters(space, given)[1]]
    if search.get("sampler") == "grid":
        fitting = []
    if len(fitting) == len(starts):
        return []
    search["start"] = fitting
    if not fitting:
        del search["start"]
    return [
        f"search.start: {len(starts) - len(fitting)} of {len(starts)} first settings left out, which the space does not hold"
    ]


def _with_table_defaults(raw: Raw) -> Raw:
    """Return a study of a file of data without a space with what it leaves open from the study `table`, as `run --data` does."""
    data = raw.get("data")
    if "space" in raw or "compare" in raw:
        return raw
    if not isinstance(data, dict) or "file" not in data:
        return raw
    defaults = parse(STUDIES / "table.toml")
    for (section, key), replacing in REPLACED.items():
        given = raw.get(section)
        if isinstance(given, dict) and any(other in given for other in replacing):
            defaults[section].pop(key, None)
    merged = {**defaults, **raw}
    for name, section in raw.items():
        if isinstance(section, dict):
            merged[name] = {**defaults.get(name, {}), **section}
    return merged


def _override(raw: Raw, default_name: str, overrides: Overrides) -> list[str]:
    """Put overrides into plain values, a name for a study that has none, and return the overridden keys in full."""
    study = raw.setdefault("study", {})
    if isinstance(study, dict):
        study.setdefault("name", default_name)
    return [_put(raw, key, value) for key, value in overrides]


def _key_parts(key: str) -> list[str]:
    """Return the parts of a dotted key; a column's name is one part, whatever dots it has, with or without TOML's quotes."""
    if not key.startswith(COLUMN_SETTING):
        return key.split(".")
    name = key.removeprefix(COLUMN_SETTING)
    if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    return [*COLUMN_SETTING.rstrip(".").split("."), name]


def _put(raw: Raw, key: str, value: Any) -> str:
    """Put a value at a dotted key and return it in full; a hyperparameter's name alone means the one in `[space]`."""
    parts = _key_parts(key)
    if parts[0] not in StudyConfig.model_fields:
        parts.insert(0, "space")
    if parts[0] == "space" and len(parts) > 1 and parts[1] not in HYPERPARAMETERS:
        sections = [section for section in StudyConfig.model_fields if section != "space"]
        hint = suggestion(key.split(".", maxsplit=1)[0], [*HYPERPARAMETERS, *sections])
        raise UserError(f"--set {shortened(escaped(key))}: unknown key. {hint}")
    table: Any = raw
    for depth, name in enumerate(parts[:-1], start=1):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            path = shortened(escaped(".".join(parts[:depth])))
            is_number = name in HYPERPARAMETERS and HYPERPARAMETERS[name].kind is not str
            example = "'{ low = ..., high = ... }'" if is_number else "VALUE"
            raise UserError(
                f"--set {shortened(escaped(key))}: {path} is {shown(table)} in the study, not a table. "
                f"Set it whole: --set {path}={example}."
            )
    table[parts[-1]] = value
    return ".".join(parts)
