"""The first figure as a slide: an SVG of its own, drawn here from the figure's traces, that needs neither a browser nor plotly.js.

It knows what `figures.curves` draws: panels in a row, lines, filled bands, marks with horizontal intervals, names beyond the curves' ends.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape, unescape
from math import ceil, floor, log10
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from hpsearch.comparison.figures.figure import axis_suffix
from hpsearch.reporting.figures.style import FONT, LIGHT
from hpsearch.reporting.formatting import number

WIDTH = 1280  # pixels
HEIGHT = 720
MARGIN = 48
TITLE = 30  # pixels of the title's letters
TEXT = 17
DIGIT = 9  # pixels of an axis' digit
LETTERS = 64  # of a line of the title
WIDE_LETTERS = 40  # where it is in Hangul
FIRST_WIDE = 0x1100  # of Unicode: Hangul and what follows
GAP = 76  # pixels between panels, where the numbers of the vertical axis stand
SCALE = 1.4  # of distances that the figure gives in pixels of the page
FEWEST = 4  # steps between the ticks of a vertical axis
DASHES = {"dot": "2 5"}


class _Panel:
    """Where a panel lies, and where its values fall."""

    def __init__(self, layout: dict[str, Any], place: int, count: int, top: float) -> None:
        suffix = axis_suffix(place)
        self.name = f"panel{place}"
        self.below = layout[f"xaxis{suffix}"]
        self.beside = layout[f"yaxis{suffix}"]
        width = (WIDTH - 2 * MARGIN - count * GAP) / count
        self.left = MARGIN + GAP + place * (width + GAP)
        self.right = self.left + width
        self.top = top
        self.bottom = HEIGHT - MARGIN - 70

    def x(self, value: float) -> float:
        """Return the pixel of a value of the horizontal axis."""
        return _between(self.left, self.right, self.below, value)

    def y(self, value: float) -> float:
        """Return the pixel of a value of the vertical axis."""
        return _between(self.bottom, self.top, self.beside, value)


def _between(first: float, last: float, axis: dict[str, Any], value: float) -> float:
    low, high = axis["range"]
    if axis.get("type") == "log":
        value = log10(value)
    return float(first + (last - first) * (value - low) / (high - low))


def slide(figure: go.Figure, title: str, remark: str) -> str:
    """Return the figure's panels in a row as an SVG of `WIDTH` × `HEIGHT` pixels, under a title and above a remark."""
    plain = figure.to_plotly_json()
    layout = plain["layout"]
    lines = lines_of(title)
    count = layout["meta"]["panels"]
    top = MARGIN + len(lines) * TITLE * 1.3 + 14
    panels = [_Panel(layout, place, count, top) for place in range(count)]
    parts = [_text(line, MARGIN, MARGIN + TITLE * (0.8 + 1.3 * i), TITLE, weight=700) for i, line in enumerate(lines)]
    for panel in panels:
        parts += _frame(panel)
    parts += map(_clip, panels)
    for trace in plain["data"]:
        parts += _trace(panels[_place(trace.get("xaxis"))], trace)
    parts += [_note(panels[_place(note["xref"])], note) for note in layout.get("annotations", ())]
    parts.append(_text(remark, MARGIN, HEIGHT - 24, TEXT - 2, LIGHT["soft"]))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    font = escape(FONT, quote=True)
    back = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{LIGHT["surface"]}"/>'
    name = f"<title>{escape(title)}</title>"
    return f'{head} role="img" font-family="{font}">\n' + "\n".join([name, back, *parts]) + "\n</svg>\n"


def lines_of(title: str) -> list[str]:
    """Return the title in lines that fit; wide letters, as Hangul has, leave room for fewer."""
    is_wide = sum(ord(letter) > FIRST_WIDE for letter in title) > len(title) / 4
    return wrap(title, WIDE_LETTERS if is_wide else LETTERS)


def _place(axis: str | None) -> int:
    """Return the number of a panel by the name of an axis: x, x2, x3."""
    return int((axis or "x").lstrip("xy") or 1) - 1


def _frame(panel: _Panel) -> Iterator[str]:
    """Return the grid with its numbers, and the title of the horizontal axis."""
    low, high = panel.below["range"]
    end = panel.left - GAP  # of the number before
    for value, text in zip(panel.below["tickvals"], panel.below["ticktext"], strict=True):
        if low <= log10(value) <= high:
            x = panel.x(value)
            yield _line([(x, panel.top), (x, panel.bottom)], LIGHT["grid"], 1)
            half = len(text) * DIGIT / 2
            if x - half > end + DIGIT:
                yield _text(text, x, panel.bottom + 24, TEXT - 2, LIGHT["soft"], anchor="middle")
                end = x + half
    for value, text in _heights(panel):
        y = panel.y(value)
        yield _line([(panel.left, y), (panel.right, y)], LIGHT["grid"], 1)
        yield _text(text, panel.left - 8, y + 5, TEXT - 2, LIGHT["soft"], anchor="end")
    middle = (panel.left + panel.right) / 2
    yield _text(panel.below["title"]["text"], middle, panel.bottom + 54, TEXT + 2, weight=700, anchor="middle")


def _heights(panel: _Panel) -> list[tuple[float, str]]:
    """Return the ticks of the vertical axis; plotly chooses those of plain numbers, which here are 1, 2 or 5 of a power of ten apart."""
    axis = panel.beside
    if "tickvals" in axis:
        return list(zip(axis["tickvals"], axis["ticktext"], strict=True))
    low, high = axis["range"]
    power = 10 ** floor(log10((high - low) / FEWEST))
    step = max(step for step in (power, 2 * power, 5 * power) if (high - low) / step >= FEWEST)
    values = [step * place for place in range(ceil(low / step), floor(high / step) + 1)]
    return [(value, number(value, 3)) for value in values]


def _clip(panel: _Panel) -> str:
    """Return what cuts curves off at the edges of their panel."""
    size = f'width="{panel.right - panel.left:.1f}" height="{panel.bottom - panel.top:.1f}"'
    return f'<clipPath id="{panel.name}"><rect x="{panel.left:.1f}" y="{panel.top:.1f}" {size}/></clipPath>'


def _trace(panel: _Panel, trace: dict[str, Any]) -> Iterator[str]:
    points = [(panel.x(x), panel.y(y)) for x, y in zip(trace["x"], trace["y"], strict=True)]
    if not points:
        return
    if trace.get("fill"):
        look = f'fill="{trace["fillcolor"]}" fill-opacity="{trace["opacity"]}"'
        yield f'<g clip-path="url(#{panel.name})"><polygon points="{_points(points)}" {look}/></g>'
    elif trace["mode"] == "lines":
        line = trace["line"]
        drawn = _line(points, line["color"], SCALE * line["width"], DASHES.get(line.get("dash", ""), ""))
        yield f'<g clip-path="url(#{panel.name})">{drawn}</g>'
    else:
        yield from _marks(panel, trace, points)


def _marks(panel: _Panel, trace: dict[str, Any], points: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Return marks with their intervals along the horizontal axis."""
    color = trace["marker"]["color"]
    bars = trace["error_x"]
    for value, up, down, (x, y) in zip(trace["x"], bars["array"], bars["arrayminus"], points, strict=True):
        yield _line([(panel.x(value - down), y), (panel.x(value + up), y)], color, 4)
        yield _symbol(trace["marker"]["symbol"], x, y, color)


def _symbol(name: str, x: float, y: float, color: str) -> str:
    edge = f'fill="{color}" stroke="{LIGHT["surface"]}" stroke-width="1.5"'
    if name == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" {edge}/>'
    turned = ""
    if name == "diamond":
        turned = f' transform="rotate(45 {x:.1f} {y:.1f})"'
    return f'<rect x="{x - 7:.1f}" y="{y - 7:.1f}" width="14" height="14" {edge}{turned}/>'


def _note(panel: _Panel, note: dict[str, Any]) -> str:
    """Return the name of a curve; its place is a logarithm, as plotly has it."""
    x = panel.x(10 ** note["x"])
    y = panel.y(note["y"]) - SCALE * note["yshift"]
    anchor = {"right": "end", "left": "start"}[note["xanchor"]]
    return _text(note["text"], x, y + 6, TEXT, note["font"]["color"], weight=600, anchor=anchor)


def _line(points: Sequence[tuple[float, float]], color: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    look = f'stroke="{color}" stroke-width="{width:g}"{dashed} stroke-linejoin="round"'
    return f'<polyline points="{_points(points)}" fill="none" {look}/>'


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(
    text: str, x: float, y: float, size: float, color: str = LIGHT["ink"], weight: int = 400, anchor: str = "start"
) -> str:
    """Return text, without the tags that plotly would read in it."""
    plain = escape(unescape(re.sub(r"<[^>]*>", "", text)))
    look = f'font-size="{size:g}" fill="{color}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{plain}</text>'
