"""The figures of a comparison, in the order of its report: one row each, in the chapter whose question it answers.

To add a figure, write its functions in a file here, its row in a chapter below, and its sentences (`figure.NAME.…`) in
`hpsearch.locales`.
"""

from dataclasses import dataclass

from hpsearch.comparison.figures import (
    costs,
    curves,
    escape_intervals,
    escape_maps,
    escape_updates,
    gradient_noise,
    over_updates,
    quality,
    rates,
    steadiness,
    textbook,
    tradeoff,
    trajectories,
    tuning,
    update_seconds,
)
from hpsearch.comparison.figures.figure import ComparisonFigure

__all__ = ["CHAPTERS", "COMPARISON_FIGURES", "OPENING", "ComparisonFigure"]


@dataclass(frozen=True, slots=True)
class FigureChapter:
    """A chapter of the report (text `chapter.NAME`): the figures that answer its question, and the specialists' ones, which are folded."""

    name: str
    shown: tuple[ComparisonFigure, ...]
    folded: tuple[ComparisonFigure, ...]


OPENING = curves.figure("curves", "the metric by updates, epochs and seconds")

CHAPTERS: tuple[FigureChapter, ...] = (
    FigureChapter(
        "speed",
        (
            costs.figure("steps", "updates to the target by batch size, with the fitted hyperbola"),
            costs.figure("seconds", "seconds to the target by batch size"),
        ),
        (
            costs.figure("epochs", "epochs to the target by batch size"),
            ComparisonFigure(
                "update_seconds",
                "seconds of an update and to the target, in the engine that trained the runs and in the plain loop of torch",
                update_seconds.draw,
                update_seconds.read,
                update_seconds.numbers,
            ),
            ComparisonFigure(
                "tradeoff",
                "examples against updates to the target, with the critical batch size",
                tradeoff.draw,
                tradeoff.read,
                tradeoff.numbers,
            ),
        ),
    ),
    FigureChapter(
        "stability",
        (
            ComparisonFigure(
                "variability",
                "how much the loss varies after the target, per update and per pass",
                steadiness.draw_variability,
                steadiness.read_variability,
                steadiness.variability_numbers,
            ),
        ),
        (
            ComparisonFigure(
                "sharpness",
                "the sharpness during training, beside the stability limit",
                over_updates.draw_sharpness,
                over_updates.read_sharpness,
                over_updates.sharpness_numbers,
            ),
            ComparisonFigure(
                "variance",
                "the variance of a batch's gradient by batch size, beside theory",
                gradient_noise.draw_variance,
                gradient_noise.read_variance,
                gradient_noise.variance_numbers,
            ),
            ComparisonFigure(
                "angle",
                "the angle between a batch's gradient and the full one by batch size, beside theory",
                gradient_noise.draw_angle,
                gradient_noise.read_angle,
                gradient_noise.angle_numbers,
            ),
            ComparisonFigure(
                "noise_scale",
                "the noise scale during training, beside the batch sizes used",
                over_updates.draw_noise_scale,
                over_updates.read_noise_scale,
                over_updates.noise_scale_numbers,
            ),
        ),
    ),
    FigureChapter(
        "path",
        (
            ComparisonFigure(
                "textbook",
                "paths of SGD, a mini-batch and gradient descent down bowls of known conditioning, and on two weights of the data",
                textbook.draw,
                textbook.read,
                textbook.numbers,
                lines=1,
            ),
            ComparisonFigure(
                "path",
                "how direct the path of a run is, and how far it leads",
                steadiness.draw_path,
                steadiness.read_path,
                steadiness.path_numbers,
            ),
        ),
        (
            ComparisonFigure(
                "trajectories",
                "paths of several batch sizes in one plane",
                trajectories.draw_trajectories,
                trajectories.read_trajectories,
                trajectories.trajectory_numbers,
            ),
        ),
    ),
    FigureChapter(
        "minima",
        (
            ComparisonFigure(
                "escape_teacher",
                "who leaves the proven bad minima of a small network",
                escape_maps.draw_teacher,
                escape_maps.read_teacher,
                escape_maps.teacher_numbers,
                lines=2,
            ),
            ComparisonFigure(
                "escape_updates",
                "who has left those minima after how many updates",
                escape_updates.draw,
                escape_updates.read,
                escape_updates.numbers,
                lines=1,
            ),
        ),
        (
            ComparisonFigure(
                "escape_instability",
                "which batch sizes and learning rates leave an unstable minimum, beside theory",
                escape_maps.draw_instability,
                escape_maps.read_instability,
                escape_maps.instability_numbers,
            ),
            ComparisonFigure(
                "escape_thermal",
                "times to escape over a barrier, beside Kramers' law",
                escape_intervals.draw_thermal,
                escape_intervals.read_thermal,
                escape_intervals.thermal_numbers,
            ),
            ComparisonFigure(
                "escape_dead",
                "escapes from a dead unit, the negative control",
                escape_intervals.draw_dead,
                escape_intervals.read_dead,
                escape_intervals.dead_numbers,
            ),
            ComparisonFigure(
                "barrier",
                "the loss on the straight line between the ends of two runs",
                trajectories.draw_barrier,
                trajectories.read_barrier,
                trajectories.barrier_numbers,
            ),
        ),
    ),
    FigureChapter(
        "generalisation",
        (
            ComparisonFigure(
                "quality",
                "how good the networks of each batch size become, under each budget",
                quality.draw,
                quality.read,
                quality.numbers,
            ),
        ),
        (curves.figure("loss_curves", "the validation loss by updates, epochs and seconds"),),
    ),
    FigureChapter(
        "tuning",
        (
            ComparisonFigure(
                "rates", "what became of each learning rate at each batch size", rates.draw, rates.read, rates.numbers
            ),
        ),
        (
            ComparisonFigure(
                "tuning",
                "the expected best metric by the number of tuning trials",
                tuning.draw,
                tuning.read,
                tuning.numbers,
            ),
        ),
    ),
)

COMPARISON_FIGURES: tuple[ComparisonFigure, ...] = (
    OPENING,
    *(figure for chapter in CHAPTERS for figure in (*chapter.shown, *chapter.folded)),
)
