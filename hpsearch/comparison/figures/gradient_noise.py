"""How far the gradients of batches scatter, and where they point: variance and angle against the batch size, with theory."""

from collections.abc import Sequence
from math import acos, cos, degrees, radians
from statistics import median

import plotly.graph_objects as go

from hpsearch.comparison.analysis.noise import MOMENTS, BatchGradients, batch_gradients, drawn_from
from hpsearch.comparison.figures.appearance import (
    MOMENT_COLORS,
    MOMENT_SYMBOLS,
    brief,
    by_optimizer,
    measured_note,
    measured_optimizer,
    regime_name,
    sizes_of,
)
from hpsearch.comparison.figures.figure import Mark, Rows, batch_axis, interval_bars, mark_trace, plain_trace, plot
from hpsearch.locales import Texts
from hpsearch.reporting.figures.style import LIGHT, axis, log_axis
from hpsearch.reporting.formatting import sentence
from hpsearch.statistics import Estimate
from hpsearch.storage import ComparisonRecord

FLOOR = 4  # times below the lowest variance lie the marks of those that are 0
AGREES = 1.5  # measured by theory: further apart, they differ
ANGLES = (90, 80, 70, 60, 45, 30, 0)  # degrees, the ticks of the axis


def _at(found: Sequence[BatchGradients], moment: str) -> list[BatchGradients]:
    return [one for one in found if one.moment == moment]


def _marks(marks: Sequence[Mark], moment: str, name: str) -> go.Scatter:
    marker = {"color": LIGHT[MOMENT_COLORS[moment]], "symbol": MOMENT_SYMBOLS[moment], "size": 9}
    return mark_trace(marks, marker=marker, name=name, legendgroup=moment)


def _line(found: Sequence[BatchGradients], y: Sequence[float | None], color: str, dash: str, name: str) -> go.Scatter:
    line = {"color": LIGHT[color], "width": 1.6, "dash": dash}
    return plain_trace([one.batch_size for one in found], y, line=line, name=name, showlegend=bool(name))


def _note(record: ComparisonRecord, texts: Texts, note: str) -> str:
    """Return a note's sentence, and on whose run the batches were drawn."""
    size = drawn_from(record, measured_optimizer(record))
    source = ""
    if size:
        source = texts("measured.source", regime=regime_name(size, record.rows, texts))
    return measured_note(record, texts, note, source)


# ---- variance


def draw_variance(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the variance of batch gradients at each moment; None without batches of two sizes that have some."""
    found = batch_gradients(record, measured_optimizer(record))
    varying = [one for one in found if not one.vanishes]
    if len(sizes_of(varying)) < 2:
        return None
    heights = [one.variance for one in varying if one.variance]
    heights += [one.unlimited_variance for one in found if one.unlimited_variance]
    floor = min(heights) / FLOOR
    traces = []
    for moment in MOMENTS:
        traces += _variance_traces(record, texts, _at(found, moment), floor)
    horizontal = batch_axis(sizes_of(found), texts("axis.batch_size"), record, texts)
    vertical = log_axis(floor, max(heights), texts("figure.variance.y"))
    return plot(430, traces, horizontal, vertical, meta={"note": _note(record, texts, texts("figure.variance.note"))})


def _variance_traces(
    record: ComparisonRecord, texts: Texts, found: Sequence[BatchGradients], floor: float
) -> list[go.Scatter]:
    """Return one moment's lines of theory, its marks, and triangles at the floor for variances that are 0."""
    if not found:
        return []
    moment = found[0].moment
    in_legend = moment == "start"
    unlimited = []
    expected = []
    varying = []
    vanishing = []
    for one in found:
        unlimited.append(one.unlimited_variance)
        expected.append(one.expected_variance or None)
        text = _variance_hover(record, texts, one)
        if one.vanishes:
            vanishing.append(Mark(one.batch_size, floor, text))
        else:
            varying.append(Mark(one.batch_size, one.variance, text))
    traces = [
        _line(found, unlimited, "edge", "dot", texts("figure.variance.slope") if in_legend else ""),
        _line(found, expected, MOMENT_COLORS[moment], "solid", texts("figure.variance.theory") if in_legend else ""),
    ]
    if varying:
        traces.append(_marks(varying, moment, texts(f"moment.{moment}")))
    if vanishing:
        zeros = _marks(vanishing, moment, texts("figure.variance.zero"))
        traces.append(zeros.update(showlegend=in_legend, marker={"symbol": "triangle-down", "size": 11}))
    return traces


def _variance_hover(record: ComparisonRecord, texts: Texts, one: BatchGradients) -> str:
    return texts(
        "figure.variance.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        moment=texts(f"moment.{one.moment}"),
        variance=brief(0.0 if one.vanishes else one.variance),
        expected=brief(one.expected_variance),
        count=brief(one.count),
    )


def read_variance(record: ComparisonRecord, texts: Texts) -> str:
    """Say how the variance falls with the batch size, and whether theory predicts it."""
    found = batch_gradients(record, measured_optimizer(record))
    varying = [one for one in found if not one.vanishes and one.expected_variance > 0]
    if len(sizes_of(varying)) < 2:
        return texts("figure.variance.thin")
    parts = [_fall(varying, texts)]
    full = [one for one in found if one.batch_size >= record.rows]
    if full:
        key = "full" if all(one.vanishes for one in full) else "full_not"
        parts.append(texts(f"figure.variance.{key}"))
    return " ".join(parts)


def _fall(varying: Sequence[BatchGradients], texts: Texts) -> str:
    """Compare the fall from the smallest to the largest batch size at the first moment, and all ratios, with theory."""
    first = _at(varying, varying[0].moment)
    small = first[0]
    large = first[-1]
    ratios = [one.variance / one.expected_variance for one in varying]
    agrees = min(ratios) >= 1 / AGREES and max(ratios) <= AGREES
    key = "agrees" if agrees else "differs"
    return texts(
        f"figure.variance.{key}",
        small=brief(small.batch_size),
        large=brief(large.batch_size),
        factor=brief(small.variance / large.variance),
        expected=brief(small.expected_variance / large.expected_variance),
        middle=brief(median(ratios)),
        low=brief(min(ratios)),
        high=brief(max(ratios)),
    )


def variance_numbers(record: ComparisonRecord) -> Rows:
    """Return the variance of batch gradients by moment and batch size."""
    rows = []
    for name, one in by_optimizer(record, batch_gradients):
        row = {"optimizer": name, "moment": one.moment, "batch_size": one.batch_size, "variance": one.variance}
        row |= {"expected_variance": one.expected_variance, "unlimited_variance": one.unlimited_variance}
        rows.append(row | {"batches": one.count})
    return rows


# ---- angle


def draw_angle(record: ComparisonRecord, texts: Texts) -> go.Figure | None:
    """Draw the cosine between batch gradients and the full one; None without batches of two sizes."""
    found = batch_gradients(record, measured_optimizer(record))
    if len(sizes_of(found)) < 2:
        return None
    traces = []
    for moment in MOMENTS:
        traces += _angle_traces(record, texts, _at(found, moment))
    low = min(0.0, *(one.cosine_low for one in found))
    ticks = {cos(radians(angle)): angle for angle in ANGLES}
    labels = [f"{cosine:.2f} = {angle}°" for cosine, angle in ticks.items()]
    horizontal = batch_axis(sizes_of(found), texts("axis.batch_size"), record, texts)
    vertical = axis(texts("figure.angle.y"), tickvals=list(ticks), ticktext=labels, range=[low - 0.03, 1.04])
    return plot(430, traces, horizontal, vertical, meta={"note": _note(record, texts, texts("figure.angle.note"))})


def _angle_traces(record: ComparisonRecord, texts: Texts, found: Sequence[BatchGradients]) -> list[go.Scatter]:
    if not found:
        return []
    moment = found[0].moment
    color = MOMENT_COLORS[moment]
    name = texts("figure.angle.theory") if moment == "start" else ""
    marks = []
    intervals = []
    for one in found:
        marks.append(Mark(one.batch_size, one.cosine, _angle_hover(record, texts, one)))
        low = min(one.cosine, one.cosine_low)
        intervals.append(Estimate(one.cosine, low, max(one.cosine, one.cosine_high)))
    bars = interval_bars(intervals, LIGHT[color], thickness=1.2, width=3)
    return [
        _line(found, [one.expected_cosine for one in found], color, "solid", name),
        _marks(marks, moment, texts(f"moment.{moment}")).update(error_y=bars),
    ]


def _angle(cosine: float) -> float:
    """Return the angle of a cosine in degrees; rounding may leave a cosine beyond 1."""
    return degrees(acos(max(-1.0, min(1.0, cosine))))


def _angle_text(cosine: float) -> str:
    return f"{_angle(cosine):.0f}"


def _angle_hover(record: ComparisonRecord, texts: Texts, one: BatchGradients) -> str:
    return texts(
        "figure.angle.hover",
        regime=regime_name(one.batch_size, record.rows, texts),
        moment=texts(f"moment.{one.moment}"),
        cosine=f"{one.cosine:.3f}",
        low=f"{one.cosine_low:.3f}",
        high=f"{one.cosine_high:.3f}",
        angle=_angle_text(one.cosine),
        expected=_angle_text(one.expected_cosine),
    )


def read_angle(record: ComparisonRecord, texts: Texts) -> str:
    """Say how far the smallest batches point off the full gradient, early and late."""
    found = batch_gradients(record, measured_optimizer(record))
    if len(sizes_of(found)) < 2:
        return texts("figure.angle.thin")
    first = found[0]
    late = _at(found, found[-1].moment)
    last = late[0]
    last_moment = texts(f"moment.{last.moment}")
    key = "once" if first.moment == last.moment else "small"
    text = texts(
        f"figure.angle.{key}",
        small=sentence(regime_name(first.batch_size, record.rows, texts)),
        first_moment=texts(f"moment.{first.moment}"),
        last_moment=last_moment,
        first=_angle_text(first.cosine),
        last=_angle_text(last.cosine),
        expected=_angle_text(last.expected_cosine),
    )
    inner = [one for one in late if first.batch_size < one.batch_size < record.rows]
    if not inner:
        return text
    large = {"size": brief(inner[-1].batch_size), "angle": _angle_text(inner[-1].cosine)}
    return f"{text} {texts('figure.angle.large', moment=last_moment, **large)}"


def angle_numbers(record: ComparisonRecord) -> Rows:
    """Return the cosine to the full gradient by moment and batch size."""
    rows = []
    for name, one in by_optimizer(record, batch_gradients):
        row = {"optimizer": name, "moment": one.moment, "batch_size": one.batch_size, "cosine": one.cosine}
        row |= {"cosine_low": one.cosine_low, "cosine_high": one.cosine_high, "expected_cosine": one.expected_cosine}
        rows.append(row | {"angle": _angle(one.cosine), "batches": one.count})
    return rows
