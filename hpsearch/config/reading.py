"""From a study's file to checked values. This is the only reader of `studies/`."""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.config.problems import conflicts, findings, line_of, printed, told
from hpsearch.config.sections import UNITS, StudyConfig
from hpsearch.errors import UserError, shown, suggestion
from hpsearch.space import HYPERPARAMETERS, SearchSpace
from hpsearch.space.reading import read_space

PACKAGE = Path(__file__).parents[1]
STUDIES = next(
    folder for folder in (PACKAGE / "studies", PACKAGE.parent / "studies") if folder.is_dir()
)  # wheel, checkout
OF_DATA = (
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".parquet",
    ".pq",
    ".npz",
    ".npy",
    ".xlsx",
    ".xls",
)  # how such files end
INSTEAD: Mapping[
    tuple[str, str], Sequence[str]
] = {  # of the study `table`: what gives way where a file says one of these
    ("data", "folds"): ("validation", "time"),
    ("training", "epochs"): UNITS,
    ("search", "pruner"): ("objectives",),  # trials of several have none
}
LARGEST_FILE = 1_000_000  # bytes; no study's file is longer


def find_study(name: str) -> Path:
    """Return the file of a study: a path, or the name of one that hpsearch brings along.

    Raises:
        UserError: there is neither.
    """
    if is_data(name):
        raise UserError(
            f"{shown(name)} is a data file, not a study. Give it so: --data {shlex.quote(name)} --target COLUMN."
        )
    with suppress(OSError):  # a name that is too long for a file is no file
        if Path(name).is_file():
            return Path(name)
    known = {file.stem: file for file in sorted(STUDIES.glob("*.toml"))}
    if name in known:
        return known[name]
    images = " Is it a folder of images by class? Then --data names it." if _is_folder(name) else ""
    raise UserError(
        f"no study {shown(name)}: neither a file nor one of hpsearch's own.{images} {suggestion(name, known)}"
    )


def is_data(name: str) -> bool:
    """Whether a name is that of a table's or arrays' file."""
    return name.lower().endswith(OF_DATA)


def _is_folder(name: str) -> bool:
    with suppress(OSError, ValueError):  # a name that no folder can have
        return bool(name) and Path(name).is_dir()
    return False


def is_study(name: str) -> bool:
    """Whether a name is a study's file (TOML), or the name of one that hpsearch brings along."""
    return name.endswith(".toml") or (STUDIES / f"{name}.toml").is_file()


def read_config(path: Path, overrides: Sequence[tuple[str, Any]] = (), called: str | None = None) -> StudyConfig:
    """Read and check a study's file; `overrides` are (dotted key, value) pairs that take the place of what it says.

    `called` names a study that has no name; the file's if left out.

    Raises:
        UserError: every problem, a line each; or the file is a comparison's.
    """
    config = overridden(parse(path), called or path.stem, str(path), overrides)
    if config.compare:
        raise UserError(
            f"{path}: a comparison (it has a table [compare]). Run it with: python -m hpsearch compare {path}"
        )
    return config


def overridden(raw: dict[str, Any], called: str, where: str, overrides: Sequence[tuple[str, Any]]) -> StudyConfig:
    """Check plain values after overrides took their places."""
    keys = take_places(raw, called, overrides)
    if any(f"training.{unit}" in keys for unit in UNITS):  # takes the place of the file's budget in another unit
        raw["training"] = {k: v for k, v in raw["training"].items() if k not in UNITS or f"training.{k}" in keys}
    for given, other in (("file", "name"), ("name", "file")):  # the one takes the place of the other
        if f"data.{given}" in keys and f"data.{other}" not in keys:
            raw["data"].pop(other, None)
    return check_config(_of_a_table(raw), where, keys)


def _of_a_table(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a study of a file as data that says nothing of a space, with what it leaves open as in the study `table`: as `run --data`."""
    data = raw.get("data")
    if not isinstance(data, dict) or "file" not in data or "space" in raw or "compare" in raw:
        return raw
    table = parse(STUDIES / "table.toml")
    for (section, key), others in INSTEAD.items():
        given = raw.get(section)
        if isinstance(given, dict) and any(other in given for other in others):
            table[section].pop(key, None)
    merged = {name: {**table.get(name, {}), **section} for name, section in raw.items() if isinstance(section, dict)}
    return {**table, **raw, **merged}


def take_places(raw: dict[str, Any], called: str, overrides: Sequence[tuple[str, Any]]) -> list[str]:
    """Name a study that has no name, put overrides in their places, and return their keys in full."""
    raw.setdefault("study", {}).setdefault("name", called) if isinstance(raw.get("study", {}), dict) else None
    return [_override(raw, key, value) for key, value in overrides]


def check_config(
    raw: Mapping[str, Any], where: str, overridden: Sequence[str] = (), *, at_hand: bool = False
) -> StudyConfig:
    """Check the plain values of a study; `where` stands before each problem, save those of keys that the command line overrode.

    Data `at_hand` are arrays or a frame, whose columns can be asked for without a file.

    Raises:
        UserError: every problem, a line each.
    """
    spaces = raw.get("space", {})
    space, problems = (
        read_space(spaces) if isinstance(spaces, Mapping) else (SearchSpace({}), ["space: expected a table"])
    )
    try:
        config = StudyConfig.model_validate({**raw, "space": space})
        problems += conflicts(config, at_hand)
    except ValidationError as error:
        problems = [*dict.fromkeys(map(line_of, findings(error.errors()))), *problems]
    if problems:
        raise UserError("\n".join(told(problem, where, overridden) for problem in problems))
    return config


def parse_value(text: str) -> Any:
    """Return the value of a `--set KEY=VALUE`: TOML where it is TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text


def parse(path: Path) -> dict[str, Any]:
    """Return a file's plain values.

    Raises:
        UserError: it cannot be read, or is no TOML.
    """
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
        raise UserError(f"--set {printed(key)}: unknown key. {suggestion(key.split('.', maxsplit=1)[0], known)}")
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
