"""The objectives of a study after its first, which is the metric; and whether all of them can be measured."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import isfinite

import torch

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.data.metrics import METRICS, OBJECTIVES, Metric, Objective
from hpsearch.data.tasks import choose_metric
from hpsearch.errors import UserError
from hpsearch.model import Member
from hpsearch.searching.scoring import outputs_of
from hpsearch.trial import Direction, TrainingRun, TrialSpec


@dataclass(frozen=True, slots=True, eq=False)
class SecondaryObjectives:
    """The objectives after the first, measured on the validation rows of `data`; `worst` are the values of a failed trial."""

    objectives: tuple[Objective, ...]
    worst: tuple[float, ...]
    data: Data

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What is better in each objective."""
        return tuple(objective.direction for objective in self.objectives)

    def values(self, run: TrainingRun, spec: TrialSpec) -> tuple[float, ...]:
        """Return the values of a run with its weights; the worst ones where it failed, or where a value is not finite."""
        if run.value is None:
            return self.worst

        @cache
        def outputs() -> torch.Tensor:
            assert spec.architecture is not None, "a search trains dense networks"
            assert run.weights is not None, "a run is measured before its weights are dropped"
            network = Member(spec.architecture, run.weights, run.number, 0)
            return outputs_of(network, self.data.validation.inputs)

        values = [objective.of_run(run, self.data, outputs) for objective in self.objectives]
        pairs = zip(values, self.worst, strict=True)
        return tuple(value if isfinite(value) else worst for value, worst in pairs)


def secondary_objectives(config: StudyConfig, data: Data) -> SecondaryObjectives | None:
    """Return a study's objectives after the first; None where the metric is the only one.

    Raises:
        UserError: a metric does not fit the task, or has no value on the validation rows.
    """
    names = config.search.objectives or []
    metrics = [choose_metric(data.task, name) for name in names if name in METRICS]
    _refuse_undefined({data.metric, *metrics}, data)
    if not names:
        return None
    others = tuple(OBJECTIVES[name] for name in names[1:])
    largest = config.space.largest(data.inputs, data.outputs)
    worst = tuple(objective.worst(data, largest) for objective in others)
    return SecondaryObjectives(others, worst, data)


def _refuse_undefined(metrics: Iterable[Metric], data: Data) -> None:
    """Refuse a metric that has no value on the validation rows, whatever the network: every trial would fail."""
    for number in range(max(1, len(data.folds))):
        part = data.fold(number)
        rows = part.validation
        outputs = rows.inputs.new_zeros(len(rows), part.outputs)
        for metric in metrics:
            if not isfinite(part.measure(metric, outputs, rows.targets)):
                raise UserError(
                    f"metric '{metric.name}' has no value on the {len(rows):,} validation rows{' of a fold' * bool(data.folds)}: they are "
                    "all of one class. Divide the rows otherwise, or give another metric."
                )
