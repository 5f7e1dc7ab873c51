"""Escape tests, made so that "SGD escapes local minima, GD does not" can fail.

Each test has a bad minimum that is certified, a noise that comes from sampling a real sum of losses (or fresh examples), the same
starts for all optimizers, a grid of learning rates × batch sizes with GD in it, and controls: GD for the same updates and at larger
learning rates, GD with isotropic noise of the same total variance, the opposite direction from the good minimum. What a run reached is
decided after a noise-free polish; divergence is a class of its own; budgets are equal in updates, and again in examples.

`instability`: which of two global minima is stable at a batch size (selection). `thermal`: a barrier that noise climbs (Kramers' law).
`teacher`: a network with proven bad minima. `dead_relu`: the case that nothing can escape. `student` and `descent` hold the network's
closed form and its updates; `streams` gives the random numbers, `cells` the counts.
"""

from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

from hpsearch.comparison.escape.dead_relu import dead_relu_test
from hpsearch.comparison.escape.instability import instability_test
from hpsearch.comparison.escape.settings import Settings, quick, sized
from hpsearch.comparison.escape.teacher import teacher_test
from hpsearch.comparison.escape.thermal import thermal_test

__all__ = ["Settings", "quick", "run_all", "sized"]


def run_all(settings: Settings, show: Callable[[str], None]) -> dict[str, Any]:
    """Run the four tests and return plain data by test: its result, its settings and the seconds it took; `show` gets a line for each."""
    tests: dict[str, Callable[[], dict[str, Any]]] = {
        "instability": lambda: instability_test(settings.instability),
        "thermal": lambda: thermal_test(settings.thermal),
        "teacher": lambda: teacher_test(settings.teacher),
        "dead_relu": lambda: dead_relu_test(settings.dead_relu),
    }
    results = {}
    for name, test in tests.items():
        begin = perf_counter()
        result = test()
        seconds = perf_counter() - begin
        results[name] = result | {"settings": asdict(getattr(settings, name)), "seconds": round(seconds, 3)}
        show(f"{name}: {len(result['cells']['seeds'])} cells in {seconds:.1f} s")
    return results
