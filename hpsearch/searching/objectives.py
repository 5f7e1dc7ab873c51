"""The objectives of a study: the metric, which training tracks, and others, which are measured on the network when it has been trained."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import isfinite

from torch import Tensor

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.data.metrics import METRICS, OBJECTIVES, Metric, Objective
from hpsearch.data.tasks import choose_metric
from hpsearch.errors import UserError
from hpsearch.searching.scoring import member_of_spec, outputs_of, parts_of
from hpsearch.trial import Direction, TrainingRun, TrialSpec


@dataclass(frozen=True, slots=True, eq=False)
class Objectives:
    """What a search is for: the metric of its data, and `others`, measured on the validation rows.

    `worst_others` are the values of a failed trial in the others.
    """

    data: Data
    others: tuple[Objective, ...] = ()
    worst_others: tuple[float, ...] = ()

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What is better in each objective, the metric's first."""
        return self.data.metric.direction, *(objective.direction for objective in self.others)

    @property
    def worst(self) -> float:
        """The metric of a failed trial."""
        return float(self.data.summary["worst"])

    def other_values(self, run: TrainingRun, spec: TrialSpec) -> tuple[float, ...]:
        """Return the others' values of a run with its weights; the worst ones where it failed, or where a value is not finite."""
        if run.value is None:
            return self.worst_others

        @cache
        def outputs() -> Tensor:
            assert run.weights is not None, "a run is measured before its weights are dropped"
            network = member_of_spec(spec, run.weights, run.number)
            return outputs_of(network, self.data.validation.inputs)

        values = [objective.of_run(run, self.data, outputs) for objective in self.others]
        pairs = zip(values, self.worst_others, strict=True)
        return tuple(value if isfinite(value) else worst for value, worst in pairs)


def study_objectives(config: StudyConfig, data: Data) -> Objectives:
    """Return a study's objectives.

    Raises:
        UserError: a metric does not fit the task, or has no value on the validation rows.
    """
    names = config.search.objectives or []
    metrics = [choose_metric(data.task, name) for name in names if name in METRICS]
    _refuse_undefined({data.metric, *metrics}, data)
    others = tuple(OBJECTIVES[name] for name in names[1:])
    largest = config.space.largest(data.inputs, data.outputs, data.piece_counts)
    return Objectives(data, others, tuple(objective.worst(data, largest) for objective in others))


def _refuse_undefined(metrics: Iterable[Metric], data: Data) -> None:
    """Refuse a metric that has no value on the validation rows, whatever the network: every trial would fail."""
    for part in parts_of(data):
        rows = part.validation
        outputs = rows.inputs.new_zeros(len(rows), part.outputs)
        for metric in metrics:
            if not isfinite(part.measure(metric, outputs, rows)):
                of_fold = " of a fold" if data.folds else ""
                raise UserError(
                    f"metric '{metric.name}' has no value on the {len(rows):,} validation rows{of_fold}: they are "
                    "all of one class. Divide the rows otherwise, or give another metric."
                )
