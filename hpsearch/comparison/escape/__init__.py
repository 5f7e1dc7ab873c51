"""Escape tests, made so that "SGD escapes local minima, GD does not" can fail.

Each test has a bad minimum that is certified, a noise that comes from sampling a real sum of losses (or fresh examples), the same
starts for all optimizers, a grid of learning rates × batch sizes with GD in it, and controls: GD for the same updates and at larger
learning rates, GD with isotropic noise of the same total variance or with SGD's own noise frozen at the minimum, the opposite
direction from the good minimum. What a run reached is decided after a noise-free polish; divergence is a class of its own; budgets are
equal in updates, and again in examples.

`instability`: which of two global minima is stable at a batch size (selection). `thermal`: a barrier that noise climbs (Kramers' law).
`teacher`: a network with proven bad minima. `dead_relu`: the case that nothing can escape. `student` holds the network's
closed form and its updates, `streams` gives the random numbers, `cells` the counts.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import Any

from hpsearch.comparison.escape.cells import Watch
from hpsearch.comparison.escape.dead_relu import DeadSettings, dead_relu_test
from hpsearch.comparison.escape.instability import InstabilitySettings, instability_test
from hpsearch.comparison.escape.teacher import TeacherSettings, teacher_test
from hpsearch.comparison.escape.thermal import ThermalSettings, thermal_test

Results = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})
TESTS: dict[str, Callable[[Any, Watch], dict[str, Any]]] = {
    "instability": instability_test,
    "thermal": thermal_test,
    "teacher": teacher_test,
    "dead_relu": dead_relu_test,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The sizes of all four tests."""

    instability: InstabilitySettings = field(default_factory=InstabilitySettings)
    thermal: ThermalSettings = field(default_factory=ThermalSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    dead_relu: DeadSettings = field(default_factory=DeadSettings)


def sized(seeds: int, starts: int) -> Settings:
    """Return the usual grids with so many runs in each cell of the one-dimensional tests, and so many networks of the student."""
    return Settings(
        InstabilitySettings(seeds=seeds),
        ThermalSettings(seeds=seeds),
        TeacherSettings(starts=starts),
        DeadSettings(seeds=seeds),
    )


def run_all(
    settings: Settings,
    show: Callable[[str, int, int], None],
    stored: Mapping[str, Any] = NOTHING,
    keep: Callable[[Results], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Results:
    """Run the four tests and return plain data by test: its result, its settings and the seconds it took.

    `show` is told of each test, while it runs, its name and how many of how many parts of its present stage are done. A test that is
    among the `stored` results with the same settings is not run again. After each other one, `keep` gets all results.

    Raises:
        Halted: `stopping` said so; the test that was running is to be made anew.
    """
    results = {name: stored[name] for name in TESTS if is_kept(name, settings, stored)}
    for name, test in TESTS.items():
        if name in results:
            continue
        own = getattr(settings, name)
        begin = perf_counter()
        result = test(own, Watch(partial(show, name), stopping))
        seconds = perf_counter() - begin
        results[name] = result | {"settings": _plain(own), "seconds": round(seconds, 3)}
        if keep is not None:
            keep(results)
    return results


def is_kept(name: str, settings: Settings, stored: Mapping[str, Any]) -> bool:
    """Whether a test's result is stored, made with the same settings; a test that has other settings by now is to be made again."""
    return bool(stored.get(name, {}).get("settings") == _plain(getattr(settings, name)))


def _plain(settings: Any) -> Any:
    """Return settings as the storage gives them back."""
    return json.loads(json.dumps(asdict(settings)))
