"""How far the gradients of batches scatter, and where they point: variance and angle against the batch size, with theory."""

from collections.abc import Sequence
from math import acos, cos, degrees, radians
from statistics import median

import plotly.graph_objects as go

from hpsearch.comparison.analysis.noise import MOMENTS, Drawn, batches, drawn_from
from hpsearch.comparison.analysis.times import optimizers
from hpsearch.comparison.figures.look import batch_axis, regime_name
from hpsearch.comparison.figures.measures import MOMENT_COLORS, MOMENT_SYMBOLS, brief, drawn, note
from hpsearch.comparison.figures.row import ComparedFigure, Rows
from hpsearch.reporting.figures.style import LIGHT, axis, blank, log_axis, rounded
from hpsearch.reporting.formatting import sentence
from hpsearch.reporting.locales import Texts
from hpsearch.storage import ComparisonRecord

FLOOR = 4  # times below the lowest variance lie the marks of those that are 0
AGREES = 1.5  # measured by theory: further apart, they differ


def _moment(found: Sequence[Drawn], moment: str) -> list[Drawn]:
    return [one for one in found if one.moment == moment]


def _marks(moment: str, found: Sequence[Drawn], y: Sequence[float], said: Sequence[str], name: str) -> go.Scatter:
    return go.Scatter(
        x=[one.batch_size for one in found],
        y=rounded(list(y)),
        mode="markers",
        name=name,
        legendgroup=moment,
        text=list(said),
        hovertemplate="%{text}<extra></extra>",
        marker={"color": LIGHT[MOMENT_COLORS[moment]], "symbol": MOMENT_SYMBOLS[moment], "size": 9},
    )


def _line(found: Sequence[Drawn], y: Sequence[float | None], color: str, dash: str, name: str) -> go.Scatter:
    line = {"color": LIGHT[color], "width": 1.6, "dash": dash}
    shown = {"mode": "lines", "line": line, "name": name, "showlegend": bool(name), "hoverinfo": "skip"}
    return go.Scatter(x=[one.batch_size for one in found], y=rounded(list(y)), **shown)


def draw_variance(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the variance of batch gradients at each moment; None without batches of two sizes that have some."""
    found = batches(record, drawn(record))
    measured = [one.variance for one in found if not one.vanishes]
    heights = [value for value in [*measured, *(one.unlimited_variance for one in found)] if value]
    if len({one.batch_size for one in found if not one.vanishes}) < 2:
        return None
    figure, floor = blank(430), min(heights) / FLOOR
    for moment in MOMENTS:
        figure.add_traces(_variance(record, texts, moment, _moment(found, moment), floor))
    figure.update_xaxes(batch_axis([one.batch_size for one in found], texts("axis.batch_size")))
    figure.update_yaxes(log_axis(floor, max(heights), texts("figure.variance.y")))
    return figure.update_layout(
        meta={"note": note(record, texts, texts("figure.variance.note"), _source(record, texts))}
    )


def _variance(
    record: ComparisonRecord, texts: Texts, moment: str, found: Sequence[Drawn], floor: float
) -> list[go.Scatter]:
    if not found:
        return []
    first, color = moment == "start", MOMENT_COLORS[moment]
    theory = [one.expected_variance or None for one in found]
    slope = [one.unlimited_variance for one in found]
    there, none = [one for one in found if not one.vanishes], [one for one in found if one.vanishes]
    said = {one.batch_size: _variance_said(record, texts, one) for one in found}
    words = [[said[one.batch_size] for one in group] for group in (there, none)]
    marks = _marks(moment, there, [one.variance for one in there], words[0], texts(f"moment.{moment}"))
    zero = _marks(moment, none, [floor] * len(none), words[1], texts("figure.variance.zero"))
    zero.update(showlegend=first and bool(none), marker={"symbol": "triangle-down", "size": 11})
    return [
        _line(found, slope, "edge", "dot", texts("figure.variance.slope") if first else ""),
        _line(found, theory, color, "solid", texts("figure.variance.theory") if first else ""),
        marks,
        *([zero] if none else []),
    ]


def _variance_said(record: ComparisonRecord, texts: Texts, one: Drawn) -> str:
    return texts(
        "figure.variance.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        moment=texts(f"moment.{one.moment}"),
        variance=brief(0.0 if one.vanishes else one.variance),
        expected=brief(one.expected_variance),
        count=brief(one.count),
    )


def _source(record: ComparisonRecord, texts: Texts) -> str:
    size = drawn_from(record, drawn(record))
    return texts("measured.source", regime=regime_name(size, record.rows, texts)) if size else ""


def read_variance(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the variance falls with the batch size, and whether theory has it so."""
    found = batches(record, drawn(record))
    some = [one for one in found if not one.vanishes and one.expected_variance > 0]
    if len({one.batch_size for one in some}) < 2:
        return texts("figure.variance.thin")
    first = _moment(some, some[0].moment)
    ratios = [one.variance / one.expected_variance for one in some]
    agrees = min(ratios) >= 1 / AGREES and max(ratios) <= AGREES
    whole = [one for one in found if one.batch_size >= record.rows]
    parts = [
        texts(
            "figure.variance.agrees" if agrees else "figure.variance.differs",
            small=brief(first[0].batch_size),
            large=brief(first[-1].batch_size),
            factor=brief(first[0].variance / first[-1].variance),
            expected=brief(first[0].expected_variance / first[-1].expected_variance),
            middle=brief(median(ratios)),
            low=brief(min(ratios)),
            high=brief(max(ratios)),
        )
    ]
    if whole:
        parts.append(
            texts("figure.variance.full" if all(one.vanishes for one in whole) else "figure.variance.full_not")
        )
    return " ".join(parts)


def variance_numbers(record: ComparisonRecord) -> Rows:
    """Return the variance of batch gradients by moment and batch size."""
    return [
        {
            "optimizer": name,
            "moment": one.moment,
            "batch_size": one.batch_size,
            "variance": one.variance,
            "expected_variance": one.expected_variance,
            "unlimited_variance": one.unlimited_variance,
            "batches": one.count,
        }
        for name in optimizers(record)
        for one in batches(record, name)
    ]


def draw_angle(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the cosine between batch gradients and the full one; None without batches of two sizes."""
    found = batches(record, drawn(record))
    if len({one.batch_size for one in found}) < 2:
        return None
    figure = blank(430)
    for moment in MOMENTS:
        figure.add_traces(_angle(record, texts, moment, _moment(found, moment)))
    figure.update_xaxes(batch_axis([one.batch_size for one in found], texts("axis.batch_size")))
    ticks = [90, 80, 70, 60, 45, 30, 0]
    words = [f"{cos(radians(angle)):.2f} = {angle}°" for angle in ticks]
    low = min(0.0, *(one.cosine_low for one in found))
    at = {"tickvals": [cos(radians(angle)) for angle in ticks], "ticktext": words, "range": [low - 0.03, 1.04]}
    figure.update_yaxes(axis(texts("figure.angle.y"), **at))
    return figure.update_layout(meta={"note": note(record, texts, texts("figure.angle.note"), _source(record, texts))})


def _angle(record: ComparisonRecord, texts: Texts, moment: str, found: Sequence[Drawn]) -> list[go.Scatter]:
    if not found:
        return []
    said = [_angle_said(record, texts, one) for one in found]
    marks = _marks(moment, found, [one.cosine for one in found], said, texts(f"moment.{moment}"))
    bars = {"color": LIGHT[MOMENT_COLORS[moment]], "thickness": 1.2, "width": 3, "type": "data", "symmetric": False}
    bars["array"] = rounded([max(0.0, one.cosine_high - one.cosine) for one in found])
    bars["arrayminus"] = rounded([max(0.0, one.cosine - one.cosine_low) for one in found])
    name = texts("figure.angle.theory") if moment == "start" else ""
    theory = [one.expected_cosine for one in found]
    return [_line(found, theory, MOMENT_COLORS[moment], "solid", name), marks.update(error_y=bars)]


def angle(cosine: float) -> float:
    """Return the angle of a cosine in degrees; rounding may leave a cosine beyond 1."""
    return degrees(acos(max(-1.0, min(1.0, cosine))))


def _angle_said(record: ComparisonRecord, texts: Texts, one: Drawn) -> str:
    return texts(
        "figure.angle.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        moment=texts(f"moment.{one.moment}"),
        cosine=f"{one.cosine:.3f}",
        low=f"{one.cosine_low:.3f}",
        high=f"{one.cosine_high:.3f}",
        angle=f"{angle(one.cosine):.0f}",
        expected=f"{angle(one.expected_cosine):.0f}",
    )


def read_angle(record: ComparisonRecord, texts: Texts) -> str:
    """Say how far the smallest batches point off the full gradient, early and late."""
    found = batches(record, drawn(record))
    if len({one.batch_size for one in found}) < 2:
        return texts("figure.angle.thin")
    first, last = found[0], _moment(found, found[-1].moment)[0]
    small = first.batch_size
    inner = [one for one in found if small < one.batch_size < record.rows and one.moment == last.moment]
    texts_of = {
        "small": sentence(regime_name(small, record.rows, texts)),
        "first": f"{angle(first.cosine):.0f}",
        "first_moment": texts(f"moment.{first.moment}"),
        "last": f"{angle(last.cosine):.0f}",
        "last_moment": texts(f"moment.{last.moment}"),
        "expected": f"{angle(last.expected_cosine):.0f}",
    }
    parts = [texts("figure.angle.small" if first.moment != last.moment else "figure.angle.once", **texts_of)]
    if inner:
        large = inner[-1]
        values = {"size": brief(large.batch_size), "angle": f"{angle(large.cosine):.0f}"}
        parts.append(texts("figure.angle.large", moment=texts_of["last_moment"], **values))
    return " ".join(parts)


def angle_numbers(record: ComparisonRecord) -> Rows:
    """Return the cosine to the full gradient by moment and batch size."""
    return [
        {
            "optimizer": name,
            "moment": one.moment,
            "batch_size": one.batch_size,
            "cosine": one.cosine,
            "cosine_low": one.cosine_low,
            "cosine_high": one.cosine_high,
            "expected_cosine": one.expected_cosine,
            "angle": angle(one.cosine),
            "batches": one.count,
        }
        for name in optimizers(record)
        for one in batches(record, name)
    ]


ROWS = (
    ComparedFigure("variance", draw_variance, read_variance, variance_numbers),
    ComparedFigure("angle", draw_angle, read_angle, angle_numbers),
)
