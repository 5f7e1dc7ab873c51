"""`StudyConfig`: a study's TOML file as checked values. This is the only reader of `studies/`.

Every problem of a file is told at once, each in a line: `FILE: KEY: what is wrong. What to do.`
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.errors import UserError, suggestion
from hpsearch.space import HYPERPARAMETERS, SearchSpace
from hpsearch.space.reading import read_space
from hpsearch.trial import Budget

PACKAGE = Path(__file__).parent
STUDIES = next(
    folder for folder in (PACKAGE / "studies", PACKAGE.parent / "studies") if folder.is_dir()
)  # wheel, checkout
LARGEST_FILE = 1_000_000  # bytes; no study's file is longer

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
    precision: Literal["float32", "float64"] = "float32"


class SearchSection(Section):
    """The search: trials in all, seconds at most, who proposes (sampler), who stops early (pruner), what counts (metric).

    `lag`: trial k knows the results of trials 0 … k - lag, however many train at once, so that their number changes no result.
    """

    trials: Annotated[int, Field(ge=1, le=10_000_000)] = 64
    timeout: Annotated[float, Field(gt=0)] | Positive | None = None
    sampler: str = "tpe"
    pruner: str = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    lag: Annotated[int, Field(ge=1, le=100_000)] = 8
    metric: str | None = None


class StudyConfig(BaseModel):
    """A study, whole: what is searched, on what, how long and by whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    study: StudySection = StudySection()
    data: DataSection
    space: SearchSpace
    training: TrainingSection = TrainingSection()
    search: SearchSection = SearchSection()

    @property
    def budget(self) -> Budget:
        """The budget of each trial."""
        units = {unit: getattr(self.training, unit) for unit in ("epochs", "updates", "examples")}
        unit, amount = next(((u, a) for u, a in units.items() if a), ("epochs", 20))
        evaluations = self.training.evaluations or (min(amount, 100) if unit == "epochs" else 20)
        factor = None if self.search.pruner == "none" else self.search.reduction_factor
        return Budget(unit, amount, evaluations, self.training.patience, factor)

    def settings(self) -> dict[str, Any]:
        """Return the study as plain values, tables and keys as in its file: what the storage keeps."""
        sections = {name: getattr(self, name).model_dump() for name in ("study", "data", "training", "search")}
        return {**sections, "space": self.space.plain()}


def find_study(name: str) -> Path:
    """Return the file of a study: a path, or the name of one that hpsearch brings along.

    Raises:
        UserError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = {file.stem: file for file in sorted(STUDIES.glob("*.toml"))}
    if name in known:
        return known[name]
    raise UserError(f"no study '{name}': neither a file nor one of hpsearch's own. {suggestion(name, known)}")


def read_config(path: Path, overrides: Sequence[tuple[str, Any]] = ()) -> StudyConfig:
    """Read and check a study's file; `overrides` are (dotted key, value) pairs that take the place of what it says.

    Raises:
        UserError: every problem, a line each.
    """
    raw = _parse(path)
    raw.setdefault("study", {}).setdefault("name", path.stem) if isinstance(raw.get("study", {}), dict) else None
    for key, value in overrides:
        _override(raw, key, value)
    return check_config(raw, str(path))


def check_config(raw: Mapping[str, Any], where: str) -> StudyConfig:
    """Check the plain values of a study; `where` stands before each problem.

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
        problems = [_line(detail) for detail in error.errors()] + problems
    if problems:
        raise UserError("\n".join(f"{where}: {problem.rstrip('.')}." for problem in problems))
    return config


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
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}. Mend that line.") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise UserError(f"{path}: not readable as TOML: {reason}. Mend the file.") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Give the path of a readable study file.") from None


def _override(raw: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key; a hyperparameter's name alone means the one in `[space]`."""
    *parents, last = key.split(".") if key.split(".", maxsplit=1)[0] in StudyConfig.model_fields else ["space", *key.split(".")]
    if parents == ["space"] and last not in HYPERPARAMETERS:
        known = [*HYPERPARAMETERS, *(f"{s}.…" for s in StudyConfig.model_fields)]
        raise UserError(f"--set {key}: unknown key. {suggestion(key, known)}")
    table: Any = raw
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UserError(
                f"--set {key}: {parent} is {table!r} in the study, not a range. Set it whole: {parent}={{low=…, high=…}}."
            )
    table[last] = value


def _conflicts(config: StudyConfig) -> list[str]:
    problems = []
    if len([u for u in ("epochs", "updates", "examples") if getattr(config.training, u)]) > 1:
        problems.append("training: more than one of epochs, updates, examples. Keep one")
    if not config.study.name.isprintable() or not config.study.name.strip():
        problems.append(
            f"study.name: {config.study.name!r} has characters that do not print. Use 1 to 200 printable ones"
        )
    return problems


def _line(detail: ErrorDetails) -> str:
    """Return pydantic's finding as our line: KEY: what is wrong, what is known."""
    path = [
        str(part) for part in detail["loc"] if not str(part).startswith(("constrained", "function", "float", "int"))
    ]
    key, given = ".".join(path), detail.get("input")
    if detail["type"] == "extra_forbidden":
        section = StudyConfig.model_fields[path[0]].annotation if len(path) > 1 else StudyConfig
        known = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else {}
        return f"{key}: unknown key. {suggestion(path[-1], known)}"
    if detail["type"] == "missing":
        return f"{key}: missing. Give it"
    return f"{key}: is {given!r}. {detail['msg'].replace('Input should', 'It should')}"
