"""What every loader gives, before anything of it is checked or interpreted: inputs, targets, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.data.cells import Array


@dataclass(frozen=True, slots=True)
class Raw:
    """Inputs and targets as a source gives them.

    Attributes:
        inputs: anything that `read_inputs` reads, or the `TableInputs` of a table.
        targets: anything that `read_targets` reads.
        source: what people read of where they come from.
        classes: names of labels that count from 0; without it the labels themselves are the names.
        given_test: so many of the last rows are the source's own test rows.
        groups: numbers [N], equal for rows that stay in one part.
        times: numbers [N] by which rows are ordered.
        reading: sentences on how a file was read.
        images: empty for a table; else where images come from (`source`), the side in pixels that they were resized to (`size`, None: they
            were not), and the `divisor` that puts an image file's bytes on their scale (see `read_images`).
        notices: sentences for the reader of a report.
    """

    inputs: Any
    targets: Any
    source: str
    classes: tuple[str, ...] = ()
    given_test: int = 0
    groups: Array | None = None
    times: Array | None = None
    reading: tuple[str, ...] = ()
    images: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
