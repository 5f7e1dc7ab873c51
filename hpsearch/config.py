"""`StudyConfig`: a study's TOML file as checked values. This is the only reader of `studies/`.

Every problem of a file is told at once, each in a line: `FILE: KEY: what is wrong. What to do.`
"""

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.data.datasets import DATASETS
from hpsearch.errors import UserError, shown, suggestion
from hpsearch.space import HYPERPARAMETERS, SearchSpace
from hpsearch.space.reading import read_space
from hpsearch.trial import Budget

PACKAGE = Path(__file__).parent
STUDIES = next(
    folder for folder in (PACKAGE / "studies", PACKAGE.parent / "studies") if folder.is_dir()
)  # wheel, checkout
LARGEST_FILE = 1_000_000  # bytes; no study's file is longer
UNITS = ("epochs", "updates", "examples")
SAMPLED = (
    "qmc",
    "random",
)  # samplers whose proposals know nothing of results: what tuning would give with fewer trials can be told

Name = Annotated[str, Field(min_length=1, max_length=200)]
Positive = Annotated[int, Field(ge=1, le=10**12)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A table of the file: unknown keys are errors, and nothing is converted in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StudySection(Section):
    """What the study is: its name (and folder), the question it asks, the seed of everything random in it."""

    name: Name = "study"
    question: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class DataSection(Section):
    """The data set: a name of `DATASETS`; shares (or numbers) of rows held out; `rows` caps the training rows."""

    name: Name
    root: str | None = None
    task: Literal["regression", "binary", "multiclass"] | None = None
    validation: Share | Positive | None = None
    test: Share | Positive | None = None
    rows: Positive | None = None


class TrainingSection(Section):
    """One trial's budget (one of epochs, updates, examples), its evaluations, early stopping, and the precision."""

    epochs: Positive | None = None
    updates: Positive | None = None
    examples: Positive | None = None
    evaluations: Annotated[int, Field(ge=1, le=10_000)] | None = None
    patience: Positive | None = None
    precision: Literal["float32", "float64", "tf32", "bfloat16"] = "float32"


class SearchSection(Section):
    """The search: trials in all, seconds at most, who proposes (sampler), who stops early (pruner), what counts (metric).

    `lag`: trial k knows the results of trials 0 … k - lag, however many train at once, so that their number changes no result.
    """

    trials: Annotated[int, Field(ge=1, le=10_000_000)] = 64
    timeout: Annotated[float, Field(gt=0, le=10**9)] | None = None
    sampler: str = "tpe"
    pruner: str = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    lag: Annotated[int, Field(ge=1, le=100_000)] = 8
    metric: str | None = None


class CompareSection(Section):
    """A comparison: what is trained at each batch size, with equal means.

    `batch_sizes`: the regimes (default: the list in `[space]`, else `BATCH_SIZES`), for each optimizer of `[space]`. `trials` settings are
    tried at each, the winner is trained again on `seeds` fresh seeds, `measured` of these runs update by update. `target`: the metric
    to be passed (default: the best that every batch size reached in tuning). `tune_until` and `train_until`: whether a run ends at the
    target or goes on to its budget. `seconds`: a run's budget as time in training, turned into updates once for each batch size.
    `resolution`: the share of a time to the target within which it is known. `space`: what takes the place of `[space]` for an optimizer.
    """

    batch_sizes: Annotated[list[Positive | Literal["full"]], Field(min_length=1, max_length=64)] | None = None
    trials: Annotated[int, Field(ge=2, le=10_000)] = 16
    seeds: Annotated[int, Field(ge=2, le=1_000)] = 10
    measured: Annotated[int, Field(ge=0, le=1_000)] = 3
    target: FiniteFloat | None = None
    tune_until: Literal["target", "budget"] = "budget"
    train_until: Literal["target", "budget"] = "budget"
    seconds: Annotated[float, Field(gt=0, le=10**7)] | None = None
    resolution: Annotated[float, Field(ge=0.001, le=1)] = 0.02
    space: dict[str, dict[str, Any]] = {}


class MinimaSection(Section):
    """The escape tests, which need no data: runs in each cell of the one-dimensional ones, networks of the student that are trained."""

    seeds: Annotated[int, Field(ge=10, le=100_000)] = 100
    starts: Annotated[int, Field(ge=10, le=100_000)] = 120


class MinimaConfig(BaseModel):
    """A study of the escape tests alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: StudySection = StudySection()
    minima: MinimaSection = MinimaSection()

    def settings(self) -> dict[str, Any]:
        """Return the study as plain values, as in its file: what the storage keeps."""
        return self.model_dump()


class StudyConfig(BaseModel):
    """A study, whole: what is searched, on what, how long and by whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudySection = StudySection()
    data: DataSection
    space: SearchSpace
    training: TrainingSection = TrainingSection()
    search: SearchSection = SearchSection()
    compare: CompareSection | None = None
    minima: MinimaSection | None = None

    @property
    def budget(self) -> Budget:
        """The budget of each trial."""
        units = {unit: getattr(self.training, unit) for unit in UNITS}
        unit, amount = next(((u, a) for u, a in units.items() if a), ("epochs", 20))
        evaluations = self.training.evaluations or (min(amount, 100) if unit == "epochs" else 20)
        factor = None if self.search.pruner == "none" else self.search.reduction_factor
        resolution = self.compare.resolution if self.compare else None
        return Budget(unit, amount, evaluations, self.training.patience, factor, resolution)

    def settings(self) -> dict[str, Any]:
        """Return the study as plain values, tables and keys as in its file: what the storage keeps."""
        names = ["study", "data", "training", "search", "compare", "minima"]
        plain = {name: getattr(self, name).model_dump() for name in names if getattr(self, name) is not None}
        if self.compare:
            plain["search"] = {"sampler": self.tuner, "metric": self.search.metric}  # it decides the rest
        return {**plain, "space": self.space.plain()}

    @property
    def tuner(self) -> str:
        """Who proposes the trials of a comparison."""
        return self.search.sampler if self.search.sampler in SAMPLED else SAMPLED[0]


def find_study(name: str) -> Path:
    """Return the file of a study: a path, or the name of one that hpsearch brings along.

    Raises:
        UserError: there is neither.
    """
    with suppress(OSError):  # a name that is too long for a file is no file
        if Path(name).is_file():
            return Path(name)
    known = {file.stem: file for file in sorted(STUDIES.glob("*.toml"))}
    if name in known:
        return known[name]
    raise UserError(f"no study {shown(name)}: neither a file nor one of hpsearch's own. {suggestion(name, known)}")


def read_config(path: Path, overrides: Sequence[tuple[str, Any]] = ()) -> StudyConfig:
    """Read and check a study's file; `overrides` are (dotted key, value) pairs that take the place of what it says.

    Raises:
        UserError: every problem, a line each; or the file is a comparison's.
    """
    config = _overridden(_parse(path), path.stem, str(path), overrides)
    if config.compare:
        raise UserError(
            f"{path}: a comparison (it has a table [compare]). Run it with: python -m hpsearch compare {path}"
        )
    return config


def _overridden(raw: dict[str, Any], called: str, where: str, overrides: Sequence[tuple[str, Any]]) -> StudyConfig:
    """Check plain values after overrides took their places."""
    keys = _take_places(raw, called, overrides)
    if any(f"training.{unit}" in keys for unit in UNITS):  # takes the place of the file's budget in another unit
        raw["training"] = {k: v for k, v in raw["training"].items() if k not in UNITS or f"training.{k}" in keys}
    return check_config(raw, where, keys)


def _take_places(raw: dict[str, Any], called: str, overrides: Sequence[tuple[str, Any]]) -> list[str]:
    """Name a study that has no name, put overrides in their places, and return their keys in full."""
    raw.setdefault("study", {}).setdefault("name", called) if isinstance(raw.get("study", {}), dict) else None
    return [_override(raw, key, value) for key, value in overrides]


LEFT_OUT = (  # of a search's study, when it is compared
    *("search.sampler", "search.pruner", "search.trials", "search.timeout", "search.reduction_factor", "search.lag"),
    *("training.patience", "training.evaluations"),  # patience counts evaluations, which lie closer together here
)
PLAIN: dict[str, Any] = {  # what is compared on a data set of which only the name is given
    "depth": 2,
    "width": 64,
    "optimizer": "sgd",
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
}


def read_comparison(
    name: str, overrides: Sequence[tuple[str, Any]] = ()
) -> tuple[StudyConfig | MinimaConfig, list[str]]:
    """Read and check a comparison: a file, one of hpsearch's own (with or without its `compare-`), or a data set's name.

    A search's study is compared too; what a comparison decides itself is left out of it. Returned with it: a line on what was.
    A file with a table [minima] and no data is a study of the escape tests alone.

    Raises:
        UserError: every problem, a line each.
    """
    path = _find_comparison(name)
    raw = _parse(path) if path else {"data": {"name": name}, "space": dict(PLAIN)}
    called = path.stem if path else f"compare-{name}"
    notices: list[str] = []
    if "minima" in raw and "data" not in raw:
        return _check_minima(raw, str(path), _take_places(raw, called, overrides)), notices
    if "compare" not in raw:
        raw["compare"] = {}
        if gone := [key for key in LEFT_OUT if _drop(raw, key)]:
            notices.append(f"left out, since every run of a comparison trains alike and to its end: {', '.join(gone)}")
        called = called if called.startswith("compare-") else f"compare-{called}"
    return _overridden(raw, called, str(path or f"data set '{name}'"), overrides), notices


def _check_minima(raw: Mapping[str, Any], where: str, overridden: Sequence[str]) -> MinimaConfig:
    try:
        return MinimaConfig.model_validate(raw)
    except ValidationError as error:
        problems = dict.fromkeys(map(_line, _findings(error.errors())))
        raise UserError("\n".join(_told(problem, where, overridden) for problem in problems)) from None


def _find_comparison(name: str) -> Path | None:
    """Return the file of a comparison, None for a data set's name."""
    known = {file.stem for file in STUDIES.glob("*.toml")}
    if f"compare-{name}" in known:
        return find_study(f"compare-{name}")
    with suppress(OSError):
        if name in known or Path(name).is_file():
            return find_study(name)
    if name in DATASETS:
        return None
    names = {*known, *DATASETS}
    raise UserError(
        f"nothing to compare is called {shown(name)}: no file, study or data set. {suggestion(name, names)}"
    )


def _drop(raw: dict[str, Any], key: str) -> bool:
    section, name = key.split(".")
    table = raw.get(section)
    return isinstance(table, dict) and table.pop(name, None) is not None


def check_config(raw: Mapping[str, Any], where: str, overridden: Sequence[str] = ()) -> StudyConfig:
    """Check the plain values of a study; `where` stands before each problem, save those of keys that the command line overrode.

    Raises:
        UserError: every problem, a line each.
    """
    spaces = raw.get("space", {})
    space, problems = (
        read_space(spaces) if isinstance(spaces, Mapping) else (SearchSpace({}), ["space: expected a table"])
    )
    try:
        config = StudyConfig.model_validate({**raw, "space": space})
        problems += _conflicts(config)
    except ValidationError as error:
        problems = [*dict.fromkeys(map(_line, _findings(error.errors()))), *problems]
    if problems:
        raise UserError("\n".join(_told(problem, where, overridden) for problem in problems))
    return config


def _told(problem: str, where: str, overridden: Sequence[str]) -> str:
    return _printed(f"{'command line' if problem.startswith(tuple(overridden)) else where}: {problem.rstrip('.')}.")


def _printed(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def parse_value(text: str) -> Any:
    """Return the value of a `--set KEY=VALUE`: TOML where it is TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(
                f"{path}: {path.stat().st_size:,} bytes are too many for a study's file. Is this the right file?"
            )
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}. Mend that line.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8, or give another file."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise UserError(f"{path}: not readable as TOML: {reason}. Mend the file.") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Give the path of a readable study file.") from None


def _override(raw: dict[str, Any], key: str, value: Any) -> str:
    """Put a value at a dotted key and return it in full; a hyperparameter's name alone means the one in `[space]`."""
    parts = key.split(".") if key.split(".", maxsplit=1)[0] in StudyConfig.model_fields else ["space", *key.split(".")]
    if parts[0] == "space" and len(parts) > 1 and parts[1] not in HYPERPARAMETERS:
        known = [*HYPERPARAMETERS, *(section for section in StudyConfig.model_fields if section != "space")]
        raise UserError(f"--set {_printed(key)}: unknown key. {suggestion(key.split('.', maxsplit=1)[0], known)}")
    table: Any = raw
    for number, parent in enumerate(parts[:-1], start=1):
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            whole, example = ".".join(parts[:number]), "'{ low = ..., high = ... }'" if _is_number(parent) else "VALUE"
            raise UserError(
                f"--set {key}: {whole} is {shown(table)} in the study, not a table. Set it whole: --set {whole}={example}."
            )
    table[parts[-1]] = value
    return ".".join(parts)


def _is_number(name: str) -> bool:
    return name in HYPERPARAMETERS and HYPERPARAMETERS[name].kind is not str


def _conflicts(config: StudyConfig) -> list[str]:
    problems = []
    if len([unit for unit in UNITS if getattr(config.training, unit)]) > 1:
        problems.append(f"training: more than one of {', '.join(UNITS)}. Keep one")
    name = config.study.name
    if not name.isprintable() or not name.strip():
        problems.append(
            f"study.name is {shown(name)}; expected 1 to 200 characters that print. Give another name (--name)"
        )
    return problems + (_comparison_conflicts(config, config.compare) if config.compare else [])


def _comparison_conflicts(config: StudyConfig, compare: CompareSection) -> list[str]:
    """Return what a comparison could not keep to, or would not do anything with."""
    problems, given = [], config.search.model_fields_set
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
    if config.training.evaluations:
        problems.append("training.evaluations: a comparison evaluates by compare.resolution. Remove it")
    if compare.seconds and any(getattr(config.training, unit) for unit in UNITS):
        problems.append("compare.seconds: there is a budget in [training] already. Keep one")
    if compare.batch_sizes and "batch_size" in config.space.domains:
        problems.append("space.batch_size: the batch sizes stand in compare.batch_sizes already. Keep one")
    optimizers = [str(name) for name in config.space.domain("optimizer").points()]
    problems += [
        f"compare.space.{name}: the comparison has no such optimizer. {suggestion(name, optimizers)}"
        for name in compare.space
        if name not in optimizers
    ]
    return problems


def _findings(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return unknown keys first; a key that is missing because it is misspelt is one finding, not two."""
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]

    def misspelt(missing: ErrorDetails) -> bool:
        *table, name = missing["loc"]
        return any([*d["loc"][:-1]] == table and f"Did you mean '{name}'?" in _line(d) for d in unknown)

    rest = [detail for detail in details if detail not in unknown]
    return [*unknown, *(detail for detail in rest if detail["type"] != "missing" or not misspelt(detail))]


def _line(detail: ErrorDetails) -> str:
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
