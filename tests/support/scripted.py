"""A search over a scripted engine, for the tests of search and storage."""

from collections.abc import Callable
from dataclasses import replace
from math import log10
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection

from hpsearch.searching.early_end import EarlyEnd
from hpsearch.searching.loop import Search
from hpsearch.searching.objectives import Objectives
from hpsearch.searching.pruners import PRUNERS
from hpsearch.searching.sampler_view import SamplerView
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.space import Choice, Integer, Real, SearchSpace
from hpsearch.storage.writer_thread import WriterThread
from hpsearch.storage.writing import StudyWriter
from hpsearch.testing import ScriptedEngine
from hpsearch.training.folds import FoldSource
from hpsearch.trial import Budget, TrialSpec
from tests.support.small import small_data

SPACE = SearchSpace(
    {
        "depth": Integer(1, 4),
        "width": Integer(8, 128, log=True),
        "learning_rate": Real(1e-4, 1.0, log=True),
        "optimizer": Choice(("sgd", "momentum", "adam")),
        "momentum": Real(0.5, 0.99),
    }
)
SMALL = SearchSpace({"depth": Integer(1, 3), "optimizer": Choice(("sgd", "adam"))})
BUDGET = Budget("epochs", 9, 9, reduction_factor=3)


def hill(spec: TrialSpec, evaluation: int) -> float:
    """A smooth score in (0, 1), best at a learning rate of 0.01 and a depth of 2; it diverges above 0.5."""
    assert spec.architecture is not None
    if spec.learning_rate > 0.5:
        return float("nan")
    distance = abs(log10(spec.learning_rate) + 2) + abs(len(spec.architecture.widths) - 2) / 2
    return (1 - 2.0**-evaluation) / (1 + distance)


class Stage:
    """A study of scripted trials in one storage, run as often as a test likes."""

    def __init__(self, storage: BaseStorage | None = None, **settings: Any) -> None:
        self.storage = storage or InMemoryStorage()
        self.objectives: Objectives = settings.pop("objectives", None) or Objectives(small_data())
        self.budget = BUDGET
        if self.objectives.others:
            self.budget = replace(BUDGET, reduction_factor=None)  # several objectives have no rungs
        directions = [StudyDirection[direction.upper()] for direction in self.objectives.directions]
        self.study_id = self.storage.create_new_study(directions, "stage")
        self.settings = {
            "sampler": "tpe",
            "pruner": "none",
            "lag": 4,
            "seed": 0,
            "space": SPACE,
            "folds": 0,
            "starts": (),
            "patience": None,
            "target_value": None,
            **settings,
        }

    def view(self) -> SamplerView:
        """A fresh view, as a process that starts has it."""
        s = self.settings
        sampler, pruner = SAMPLERS[s["sampler"]], PRUNERS[s["pruner"]]
        direction, *others = self.objectives.directions
        fixed = (direction, s["space"], self.budget, s["seed"], s["lag"], sampler, pruner, tuple(others))
        return SamplerView("stage", *fixed, starts=s["starts"])

    def search(self, trials: int, timeout: float | None = None) -> Search:
        """A search of so many trials in all."""

        def specify(values: Any, number: int) -> TrialSpec:
            space: SearchSpace = self.settings["space"]
            return space.specification(
                values, number=number, seed=self.settings["seed"], budget=self.budget, inputs=4, outputs=2, rows=100
            )

        writer = StudyWriter(WriterThread("memory", self.storage), self.study_id)
        view = self.view()
        end = EarlyEnd(view.direction, view.lag, self.settings["patience"], self.settings["target_value"])
        return Search(view, writer, specify, objectives=self.objectives, trials=trials, timeout=timeout, early_end=end)

    def run(
        self,
        trials: int = 24,
        script: Callable[[TrialSpec, int], float] = hill,
        include_previous: bool = False,
        **engine: Any,
    ) -> Search:
        """Run the study to so many trials, or until the engine crashes; what was handed over is written."""
        search, folds = self.search(trials), self.settings["folds"]
        if include_previous:
            search.include_previous_trials()
        source = FoldSource(search, [100] * folds, maximize=True) if folds else search
        try:
            ScriptedEngine(script, "maximize", **engine).run(source)
        finally:
            search.writer.flush()
        return search

    def trials(self) -> list[tuple[Any, ...]]:
        """Everything that must be the same in two runs of one study."""
        return [
            (
                t.number,
                t.state,
                t.values,
                sorted(t.params.items()),
                sorted(t.intermediate_values.items()),
                t.constraints,
            )
            for t in self.storage.get_all_trials(self.study_id)
        ]


optuna.logging.set_verbosity(optuna.logging.ERROR)
