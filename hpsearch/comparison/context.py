"""What every stage of a comparison works with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.config import CompareSection, StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.progress import Observer
from hpsearch.searching.run_options import RunOptions
from hpsearch.storage.fingerprint import Fingerprint
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine
from hpsearch.trial import Direction

CURVE_LENGTH = (
    100_000  # evaluations of a learning curve that are stored: all, since the time to a target is read from them
)


@dataclass(eq=False)
class ComparisonContext:
    """What every stage of a comparison works with; `stopping` is set by a signal."""

    config: StudyConfig
    run_options: RunOptions
    data: Data
    engine: Engine
    writer: StudyWriter
    observer: Observer
    stopping: bool = False

    @property
    def compare(self) -> CompareSection:
        """The table [compare]."""
        assert self.config.compare is not None, "a comparison has one"
        return self.config.compare

    @property
    def direction(self) -> Direction:
        """Whether the metric is to be high or low."""
        return self.data.metric.direction

    def open(self, name: str, settings: Mapping[str, Any]) -> StudyWriter:
        """Open a part of the comparison, under the lease of the comparison."""
        part = {**settings, "part_of": self.config.study.name}
        study = Fingerprint(name, (self.direction,), part, self.data.summary)
        return self.writer.open_part(study, curve_length=CURVE_LENGTH)
