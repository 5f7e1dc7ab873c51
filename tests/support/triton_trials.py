"""Trials for the tests of the GPU's kernel, and the report of the programs that check it.

Whether Triton interprets is settled when it is imported, so checks run in processes of their own: `triton_interpreted` and
`triton_compiled`, as programs, print what each of their checks found wrong as JSON; "" is nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from hpsearch.training.compiled.triton.group import TritonGroup
from hpsearch.training.groups import Plan
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.trial import TrialSpec
from tests.support.cohorts import TASKS, WITH_FORMULA, assert_equal, reference, train_with, varied_spec
from tests.support.small import small_data

PAIRS = list(product(WITH_FORMULA, ACTIVATIONS))  # dealt to the groups of all tasks and batch sizes
GROUPS = list(product(TASKS, [1, 3, 16]))
EVALUATE_AT = {1: (1, 1, 2), 3: (1, 2), 16: (1, 3)}  # by batch size
WIDTHS = [(9,), (4, 17), (), (8, 1), (3, 5, 4)]


def mixed_group(index: int, **changes: Any) -> list[TrialSpec]:
    """Return a group's share of all pairs of optimizer and activation: depths 0 to 3, unequal widths, schedules, dropout and decay."""
    task, batch_size = GROUPS[index]
    settings = {"batch_size": batch_size, "evaluate_at": EVALUATE_AT[batch_size], **changes}
    pairs = list(enumerate(PAIRS))[index :: len(GROUPS)]
    specs: list[TrialSpec] = []
    for position, (number, (optimizer, activation)) in enumerate(pairs, index):
        spec = varied_spec(
            small_data(task),
            number,
            optimizer=optimizer,
            activation=activation,
            widths=WIDTHS[position % 5],
            dropout=(0.0, 0.3)[position % 2],
            **settings,
        )
        specs.append(spec)
    return specs


def diverging_group() -> list[TrialSpec]:
    """Return a trial that diverges in its window, beside others, one of which stops early."""
    data = small_data("regression")
    settings: dict[str, Any] = {"batch_size": 3, "evaluate_at": (2, 4, 5), "optimizer": "sgd", "activation": "relu"}
    specs = [varied_spec(data, number, **settings) for number in range(3)]
    return [specs[0], replace(specs[1], learning_rate=1e90), replace(specs[2], patience=1, learning_rate=0.0)]


def assert_triton_parity(specs: Sequence[TrialSpec], task: str, device: str = "cpu") -> None:
    """Train in one group on a device, and compare the runs with the reference's on the CPU."""
    plan = Plan("triton", "for the test", len(specs), TritonGroup)
    runs = train_with(plan, specs, small_data(task).to(device, torch.float64))
    for spec in specs:
        run = runs[spec.number]
        if run.weights is not None:
            run = replace(run, weights={name: weight.cpu() for name, weight in run.weights.items()})
        assert_equal(run, reference(spec, task))


def report(checks: Mapping[str, Callable[[], None]]) -> None:
    """Run the checks and print what each found wrong."""
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    for name, check in checks.items():
        try:
            check()
            found[name] = ""
        except Exception as error:
            found[name] = repr(error)
    print(json.dumps(found))
