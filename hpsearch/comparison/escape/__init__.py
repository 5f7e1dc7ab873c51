"""Escape tests, made so that "SGD escapes local minima, GD does not" can fail.

Each test has a bad minimum that is certified, a noise that comes from sampling a real sum of losses (or fresh examples), the same
starts for all optimizers, a grid of learning rates × batch sizes with GD in it, and controls: GD for the same updates and at larger
learning rates, GD with isotropic noise of the same total variance, the way back from the good minimum. What a run reached is told
after a noise-free polish; divergence is its own class; budgets are equal in updates, and again in examples.

`instability`: which of two global minima is stable at a batch size (selection). `thermal`: a barrier that noise climbs (Kramers' law).
`teacher`: a network with proven bad minima. `dead_relu`: the case that nothing can escape.
`stability` and `well` hold the theory of the first two, `student` and `descent` the network's closed form and its updates; `streams`
gives the random numbers, `cells` the counts.
"""

from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

from hpsearch.comparison.escape.dead_relu import dead_relu
from hpsearch.comparison.escape.instability import instability
from hpsearch.comparison.escape.settings import Settings, quick, sized
from hpsearch.comparison.escape.teacher import teacher
from hpsearch.comparison.escape.thermal import thermal

__all__ = ["Settings", "dead_relu", "instability", "quick", "run_all", "sized", "teacher", "thermal"]


def run_all(settings: Settings, show: Callable[[str], None]) -> dict[str, Any]:
    """Run the four tests and return plain data by test: its answer, its settings and the seconds it took; tell `show` of each."""
    tests: dict[str, Callable[[], dict[str, Any]]] = {
        "instability": lambda: instability(settings.instability),
        "thermal": lambda: thermal(settings.thermal),
        "teacher": lambda: teacher(settings.teacher),
        "dead_relu": lambda: dead_relu(settings.dead_relu),
    }
    answers = {}
    for name, test in tests.items():
        begin = perf_counter()
        answer = test()
        seconds = perf_counter() - begin
        answers[name] = answer | {"settings": asdict(getattr(settings, name)), "seconds": round(seconds, 3)}
        show(f"{name}: {len(answer['cells']['seeds'])} cells in {seconds:.1f} s")
    return answers
