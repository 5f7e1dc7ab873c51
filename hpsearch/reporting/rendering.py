"""HTML of a page: the templates filled with its pieces, and the self-contained document around them.

The page reaches nothing outside: its Content-Security-Policy allows the scripts that it holds, by their hashes, and nothing else that
runs or loads. Figures lie in the page as JSON whose `<` is escaped, so no text of theirs can end the script element. plotly.js lies there
compressed (gzip, base64) and is unpacked by the reader's browser (`DecompressionStream`, in all browsers since 2023): 0.7 MB, not 1.5.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hpsearch.errors import StorageError, shown
from hpsearch.reporting.figures.style import DARK, LIGHT
from hpsearch.reporting.formatting import visible
from hpsearch.reporting.pieces import Page

HERE = Path(__file__).parent
PLOTLY = HERE / "plotly" / "plotly-cartesian.min.js.gz"  # of npm's plotly.js-cartesian-dist-min 4.1.1, as it is
SCRIPTS = ("tables.js", "marking.js", "page.js")  # each one uses what is before it
LONGEST = 2000  # characters of one text of a page
HOSTILE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def document(page: Page) -> str:
    """Return a page as one HTML document that loads nothing."""
    scripts: list[str] = []
    allowed: list[str] = []
    values: dict[str, Any] = {}
    if page.plots:
        scripts = list(map(_file, SCRIPTS))
        allowed = [plotly_script(), *scripts]
        dark = dict(zip(LIGHT.values(), DARK.values(), strict=True))  # each light colour with its twin
        plotly = b64encode(_packed_plotly()).decode()
        marks = {"linked": page.linked, "lit": LIGHT["lit"], "faded": LIGHT["grid"]}
        values = {"figures": page.plots, "dark": dark, "texts": page.script_texts, "rows": page.rows}
        values |= {"marks": marks, "plotly": plotly}
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            policy=Markup(_policy(allowed)),  # noqa: S704 - our own text and hashes
            style=Markup(_file("page.css")),  # noqa: S704 - our own file
            data={name: script_json(value) for name, value in values.items()},
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
        )
    )


def render(piece: object) -> Markup:
    """Return a piece as HTML, by the macro with the name of its class; nothing for None."""
    if piece is None:
        return Markup("")
    macros = _environment().get_template("pieces.html").module
    return Markup(getattr(macros, type(piece).__name__)(piece))  # noqa: S704 - the macros escape


def render_template(name: str, **values: object) -> str:
    """Return a template of `templates/` filled with values."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    """Return the templates: they escape every text, spell out hidden characters, and refuse a name that has no value."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["render"] = render
    return environment


def _visible(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value, LONGEST)


@cache
def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _packed_plotly() -> bytes:
    return PLOTLY.read_bytes()


def plotly_script() -> str:
    """Return plotly.js, the script that draws the figures in a browser: its cartesian traces alone (1.5 MB)."""
    return gzip.decompress(_packed_plotly()).decode()


def script_json(value: Any) -> Markup:
    """Return JSON that is safe inside a script element: no `<`, `>`, `&` or line separator survives in it."""
    plain = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - see above


def _policy(scripts: Iterable[str]) -> str:
    """Return what the page may do.

    Inline styles are allowed because plotly sets them, blobs because it saves figures through them. Without addresses to load from,
    neither can send anything to anybody.
    """
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def figure_json(figure: Any) -> dict[str, Any]:
    """Return a plotly figure as JSON values, without plotly's default template; with frames where it has some."""
    plain = figure.to_plotly_json()
    plain["layout"].pop("template", None)
    parts = {"data": plain["data"], "layout": plain["layout"]}
    if figure.frames:
        parts["frames"] = [frame.to_plotly_json() for frame in figure.frames]
    return {name: _json_value(part) for name, part in parts.items()}


def _json_value(value: Any) -> Any:
    """Return plain JSON values; where a figure has nan, JSON has a gap."""
    if isinstance(value, Mapping):
        return {key: _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


@contextmanager
def reading_record(name: str) -> Iterator[None]:
    """Raise a `StorageError` that names the study where its record is not as hpsearch writes it: it may come from anyone's storage.

    Raises:
        StorageError: see there; the original error is its cause.
    """
    try:
        yield
    except HOSTILE as error:
        if isinstance(error, StorageError) or isinstance(error.__cause__, OSError):  # of the page's folder
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StorageError(
            f"study {shown(name)}: no report can be made of what its storage holds ({shown(reason)}). If nobody but "
            "hpsearch wrote there, it is a bug: --debug shows where."
        ) from error
