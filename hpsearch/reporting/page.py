"""HTML of the report's page: escaped pieces, and the self-contained document around them.

Every function takes plain text and escapes it; a piece of HTML is a `Html`, so that text cannot be mistaken for it. The page reaches
nothing outside: its Content-Security-Policy allows the two scripts that it holds, by their hashes, and nothing else that runs or loads.
Figures lie in the page as JSON whose `<` is escaped, so no text of theirs can end the script element.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, NewType

from hpsearch.reporting.formatting import visible

Html = NewType("Html", str)  # made by this module, never from data
HERE = Path(__file__).parent


def text(value: object, most: int = 2000) -> Html:
    """Return text as HTML: hidden characters spelled out, everything escaped."""
    return Html(escape(visible(value, most)))


def element(name: str, *inner: Html, **attributes: str) -> Html:
    """Return an element around pieces; `class_` is `class`, values are escaped."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{said}>{''.join(inner)}</{name}>")


def paragraph(value: object, class_: str = "") -> Html:
    """Return a paragraph of text, or nothing for no text."""
    return element("p", text(value), class_=class_) if value else Html("")


def link(value: str, address: str) -> Html:
    """Return a link to a relative address or a fragment; anything with a scheme is refused.

    Raises:
        ValueError: the address could leave the report's folder.

    """
    if ":" in address or address.startswith(("/", "\\")) or ".." in address:
        raise ValueError(f"a report links only to its own folder, not to '{address}'")
    return element("a", text(value), href=address)


def bullets(items: Iterable[str]) -> Html:
    """Return an unordered list."""
    return element("ul", *(element("li", text(item)) for item in items))


def facts(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return names and what they are, without the pairs that have nothing to say."""
    return element("dl", *(_fact(name, value) for name, value in pairs if value), class_="facts")


def _fact(name: str, value: str) -> Html:
    return Html(element("dt", text(name)) + element("dd", text(value)))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Iterable[str] = (),
    chosen: int = -1,
    pinned: bool = False,
) -> Html:
    """Return a table in a box that scrolls by itself; columns of `numeric` are aligned right, row `chosen` stands out.

    The first two columns of a `pinned` one stay where they are while the others scroll.
    """
    right = set(numeric)
    kinds = [_kind(name in right, [row[i] for row in rows]) for i, name in enumerate(head)]
    top = element(
        "tr", *(element("th", text(name), class_=kind, scope="col") for name, kind in zip(head, kinds, strict=True))
    )
    body = [
        element("tr", *(element("td", text(cell), class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        if i != chosen
        else element(
            "tr",
            *(element("td", text(cell), class_=kind) for cell, kind in zip(row, kinds, strict=True)),
            class_="chosen",
        )
        for i, row in enumerate(rows)
    ]
    inner = element("table", element("thead", top), element("tbody", *body))
    return element(
        "div", inner, class_="scroll pinned" if pinned else "scroll", tabindex="0", role="region", aria_label="table"
    )


def _kind(numeric: bool, cells: Sequence[str]) -> str:
    return "number" if numeric else "long" if any(len(cell) > 40 for cell in cells) else "text"


def section(anchor: str, title: str, *inner: Html) -> Html:
    """Return one section of the page."""
    return element("section", element("h2", text(title)), *inner, id=anchor)


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element: no `<`, `>`, `&` or line separator survives in it."""
    plain = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


WORDS = {  # what the page's script says
    "count": "Count by",
    "save": "Save as",
    "failed": "This figure could not be drawn; its numbers are in the table below.",
}


def document(
    title: str,
    body: Iterable[Html],
    figures: Mapping[str, Any],
    dark: Mapping[str, str],
    plotly: str,
    language: str = "en",
    words: Mapping[str, str] = WORDS,
) -> str:
    """Return the whole page.

    Args:
        title: the window's title.
        body: the page's pieces.
        figures: name → the figure's data and layout, as plain JSON values.
        dark: light colour → dark colour.
        plotly: plotly.js itself; "" where no figure is drawn.
        language: the code of the language that the page is in.
        words: what the page's script says, by the keys of `WORDS`.

    """
    scripts = [plotly, (HERE / "page.js").read_text(encoding="utf-8")] if figures else []
    style = (HERE / "page.css").read_text(encoding="utf-8")
    kept = {"figures": figures, "dark": dark, "words": words}
    data = [(name, script_json(value)) for name, value in kept.items()] if figures else []
    parts = [
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">',
        f"<title>{text(title, 200)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
        *body,
        "</main>",
        *(f'<script type="application/json" id="{name}">{content}</script>' for name, content in data),
        *(f"<script>{script}</script>" for script in scripts),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _policy(scripts: Iterable[str]) -> str:
    """Inline styles are allowed because plotly sets them, blobs because it saves figures through them.

    Without addresses to load from they can tell nobody anything.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    run = hashes or "'none'"
    return f"default-src 'none'; script-src {run}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
