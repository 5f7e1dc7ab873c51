"""Problems of a study's file as lines: FILE: KEY: what is given, what is expected, what to do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpsearch.config.sections import StudyConfig
from hpsearch.errors import UserError, shown, suggestion

TYPES = {"object": "a table", "integer": "a whole number", "number": "a number", "string": "text"}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def error_of(problems: Iterable[str], where: str, overridden: Sequence[str]) -> UserError:
    """Return the error of all problems, each with where it is: the file, or the command line that overrode these keys."""
    lines = []
    for problem in problems:
        place = "command line" if problem.startswith(tuple(overridden)) else where
        lines.append(escaped(f"{place}: {problem.rstrip('.')}."))
    return UserError("\n".join(lines))


def escaped(text: str) -> str:
    """Return text whose control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines_of(error: ValidationError) -> list[str]:
    """Return pydantic's findings as our lines, each once."""
    return list(dict.fromkeys(line_of(detail) for detail in distinct_findings(error.errors())))


def distinct_findings(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return unknown keys first; a key that is missing because it is misspelt is one finding, not two."""
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]

    def is_misspelt(missing: ErrorDetails) -> bool:
        *table, name = missing["loc"]
        same_table = [detail for detail in unknown if [*detail["loc"][:-1]] == table]
        return any(f"Did you mean '{name}'?" in line_of(detail) for detail in same_table)

    rest = [detail for detail in details if detail not in unknown]
    return unknown + [detail for detail in rest if detail["type"] != "missing" or not is_misspelt(detail)]


def line_of(detail: ErrorDetails) -> str:
    """Return pydantic's finding as our line: KEY: what is wrong, what is expected."""
    section, *keys = (str(part) for part in detail["loc"][:2])
    path = ".".join((section, *keys))
    model = _section(section)
    if detail["type"] == "extra_forbidden":
        known = model.model_fields if keys else StudyConfig.model_fields
        return f"{path}: unknown key. {suggestion(keys[0] if keys else section, known)}"
    if detail["type"] == "missing":
        return f"{path}: missing. {'Give it' if keys else f'Add a table [{section}]'}"
    if not keys:
        return f"{section} is {shown(detail['input'])}; expected a table"
    expected = _expected(model.model_json_schema()["properties"][keys[0]])
    return f"{path} is {shown(detail['input'])}; expected {expected}"


def _section(name: str) -> type[BaseModel]:
    """Return the model of a table of the file."""
    field = StudyConfig.model_fields.get(name)
    if field is None:
        return StudyConfig
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
        return f"a list, not empty, of: {_expected(schema['items'])}"
    length = ""
    if "maxLength" in schema:
        length = f" of {schema['minLength']} to {schema['maxLength']} characters"
    limits = [f"{sign} {schema[limit]:,}" for limit, sign in LIMITS.items() if limit in schema]
    return f"{TYPES[schema['type']]}{length} {' and '.join(limits)}".strip()
