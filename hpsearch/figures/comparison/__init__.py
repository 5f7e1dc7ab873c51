"""The figures of a comparison, in the order of its report. A figure is a row; its sentences are in `hpsearch.texts`."""

from hpsearch.figures.comparison.row import ComparedFigure

COMPARED: tuple[ComparedFigure, ...] = ()
