"""The first minutes on a GPU: is it right, does it bear a lack of memory, how fast is it? At most 8 minutes and 60 lines.

    python -m tests.gpu.check            # everything, as long as there is time
    python -m tests.gpu.check --dry      # the program itself, on a CPU, with the fused engine

A line is a part, "ok", "FAIL" or a figure, and what was found. The exit status is 1 where something failed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch

from hpsearch.data import Data
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.groups import OpenGroup, Plan
from hpsearch.training.progress import TrialGroup
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.benchmarks.workload import COHORTS, RANDOM, bench_data
from tests.support.cohorts import TASKS, cohort, reference, train_with
from tests.support.small import small_data

SECONDS = 480
NEAR = 1e-9  # of float64 from the reference on the CPU
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
ACTIVATIONS = ("relu", "tanh", "gelu", "silu")


class Check:
    """The device and its engines, what was found, and how much time is left."""

    def __init__(self, dry: bool) -> None:
        self.dry = dry
        self.device = torch.device("cpu" if dry else "cuda:0")
        self.began = time.monotonic()
        self.failed = False
        self.engines: dict[str, Callable[..., TrialGroup]] = {"fused": FusedGroup}
        if not dry:
            from hpsearch.training.compiled.triton.group import TritonGroup

            self.engines["compiled"] = TritonGroup

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return SECONDS - (time.monotonic() - self.began)

    def say(self, part: str, found: str, right: bool | None = None) -> None:
        """Print what was found; `right` None: a figure."""
        verdict = {True: "ok", False: "FAIL", None: ""}[right]
        self.failed |= right is False
        print(f"{verdict:4} {part:28} {found}", flush=True)

    def wait(self) -> None:
        """Wait for the device."""
        if not self.dry:
            torch.cuda.synchronize(self.device)

    def part(self, function: Callable[["Check"], None], least: float) -> None:
        """Run a part where so many seconds are left; an error fails it and no other."""
        if self.left < least:
            self.say(function.__name__, f"skipped, {self.left:.0f} s left")
            return
        try:
            function(self)
        except Exception as error:
            self.say(function.__name__, f"{type(error).__name__}: {str(error).splitlines()[0][:100]}", right=False)


def opener(group: Callable[..., TrialGroup], **options: Any) -> OpenGroup:
    return partial(group, **options)


def distance(runs: Mapping[int, TrainingRun], specs: Sequence[TrialSpec], task: str) -> float:
    """Return how far losses and weights are from the reference's; infinity where an outcome is another one."""
    far = 0.0
    for spec in specs:
        run, known = runs[spec.number], reference(spec, task)
        if (run.outcome, run.best) != (known.outcome, known.best):
            return float("inf")
        pairs = zip(run.history.validation_loss, known.history.validation_loss, strict=True)
        far = max(far, *(abs(a - b) for a, b in pairs))
        for name, weight in (known.weights or {}).items():
            far = max(far, float((run.weights or {})[name].cpu().sub(weight).abs().max()))
    return far


def exact(check: Check) -> None:
    """In float64 each engine has the reference's runs, in every task, drawn batches and full ones; trials leave midway."""
    for name, group in check.engines.items():
        for task in TASKS:
            data = small_data(task).to(check.device, torch.float64)
            for size in (7, len(data.training)):
                specs = cohort(task, batch_size=size, evaluate_at=(10, 20, 40))
                specs[4:6] = [replace(spec, patience=1, learning_rate=1e-9) for spec in specs[4:6]]
                far = distance(train_with(Plan(name, "", len(specs), opener(group)), specs, data), specs, task)
                check.say(f"float64 {name} {task} {size}", f"from the reference {far:.1e}", right=far < NEAR)


def mixed(data: Data, count: int, batch_size: int, updates: Sequence[int]) -> list[TrialSpec]:
    """Return trials that differ in shape, optimizer, activation and dropout."""
    return [
        TrialSpec(
            number=number,
            seed=number,
            order_seed=0,
            architecture=replace(drawn, activation=ACTIVATIONS[number % 4], dropout=0.2 * (number % 3 == 1)),
            optimizer=OPTIMIZERS[number % 5],
            learning_rate=1e-3,
            batch_size=batch_size,
            evaluate_at=tuple(updates),
        )
        for number, drawn in enumerate(COHORTS["mixed"].draw(data.inputs, data.outputs, count))
    ]


def losses_of(group: TrialGroup, updates: int) -> Mapping[int, torch.Tensor]:
    losses = group.train(updates, lambda: False)
    assert losses is not None
    return losses


def bits(check: Check) -> None:
    """A recorded step has the bits of one that is not; a run again those of the first; the compiled engine's alone those in company."""
    data = large(check).to(check.device, torch.float32)
    for name, group in check.engines.items():
        specs = mixed(data, 4 if check.dry else 24, 32, (40,))
        first, again, plain = (
            losses_of(group(specs, data, **options), 40) for options in ({}, {}, {"graph": lambda device: None})
        )
        check.say(f"bits {name} again", "", right=all(torch.equal(first[n], again[n]) for n in first))
        check.say(f"bits {name} recorded", "", right=all(torch.equal(first[n], plain[n]) for n in first))
        together = group(specs, data)
        losses_of(together, 40)
        scores = together.scores()
        same = 0
        for spec in specs[:4]:
            alone = group([spec], data)
            losses = losses_of(alone, 40)[spec.number]
            same += torch.equal(losses, first[spec.number]) and alone.scores()[spec.number] == scores[spec.number]
        check.say(f"bits {name} alone", f"{same} of 4", right=same == 4 if name == "compiled" else None)


def rounding(check: Check) -> None:
    """Weights after 40 updates, by their distance from those in float64: float32's is near 1e-6, tf32's would be near 1e-3."""
    data = large(check)
    specs = mixed(data, 4 if check.dry else 24, 32, (40,))
    known = FusedGroup(specs, data.to(check.device, torch.float64))
    losses_of(known, 40)
    for name, group in check.engines.items():
        for precision in ("float32",) if check.dry else ("float32", "tf32", "bfloat16"):
            other = group(specs, data.to(check.device, torch.float32), precision=precision)
            losses_of(other, 40)
            errors = [
                float((other.weights(spec.number)[key].double() - weight).norm() / weight.norm().clamp_min(1e-12))
                for spec in specs
                for key, weight in known.weights(spec.number).items()
            ]
            right = median(errors) < 1e-4 if precision == "float32" else None
            check.say(f"rounding {name} {precision}", f"{median(errors):.1e}", right=right)


def memory(check: Check) -> None:
    """Sixteen trials where memory holds about ten all finish; one that memory cannot hold ends as out of memory."""
    if check.dry:
        return
    data = large(check).to(check.device, torch.float32)
    wide = [replace(spec.dense_architecture, widths=(2048,) * 4) for spec in mixed(data, 16, 64, (2, 4))]
    specs = [replace(spec, architecture=shape) for spec, shape in zip(mixed(data, 16, 64, (2, 4)), wide, strict=True)]
    total = torch.cuda.get_device_properties(check.device).total_memory
    held = torch.cuda.memory_reserved(check.device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, (held + 3 * 2**30) / total), check.device)
    try:
        for name, group in check.engines.items():
            runs = train_with(Plan(name, "", 16, opener(group)), specs, data)
            outcomes = {str(run.outcome) for run in runs.values()}
            check.say(f"memory {name}", ", ".join(outcomes), right=outcomes == {str(Outcome.FINISHED)})
            huge = replace(specs[0], architecture=replace(wide[0], widths=(40_000, 40_000)))
            run = train_with(Plan(name, "", 1, opener(group)), [huge], data)[0]
            check.say(f"memory {name}, too large", str(run.outcome), right=run.outcome is Outcome.OUT_OF_MEMORY)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, check.device)
        torch.cuda.empty_cache()


def speed(check: Check) -> None:
    """Microseconds an update, and a trial and update, by trials and batch size."""
    data = large(check).to(check.device, torch.float32)
    for name, group in check.engines.items():
        for trials in (2,) if check.dry else (1, 8, 64, 256):
            cells = []
            for size in (32,) if check.dry else (1, 32, 128, 512):
                if check.left < 100:
                    break
                updates = 20 if check.dry else 400
                opened = group(mixed(data, trials, size, (updates, 2 * updates)), data)
                losses_of(opened, updates)
                began = time.perf_counter()
                losses_of(opened, 2 * updates)
                micro = (time.perf_counter() - began) / updates * 1e6
                cells.append(f"{size}: {micro:,.0f} ({micro / trials:.1f})")
            check.say(f"speed {name} {trials} trials", "  ".join(cells))


def studies(check: Check) -> None:
    """The default study on this device and on the CPU, seconds and last lines."""
    for device in ["cpu"] if check.dry else ["cuda", "cpu"]:
        trials = "4" if check.dry else "64"
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "hpsearch", "run", "digits", "--trials", trials, "--device", device]
            began = time.monotonic()
            done = subprocess.run(
                [*command, "--reports", folder],
                capture_output=True,
                text=True,
                timeout=max(30, check.left),
                check=False,
            )
        last = (done.stderr.strip().splitlines() or [""])[-1][:80]
        check.say(f"run digits {device}", f"{time.monotonic() - began:.1f} s {last}", right=done.returncode == 0)


def tests(check: Check) -> None:
    """The tests that need a GPU."""
    if check.dry:
        return
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/training", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=max(30, check.left), check=False)
    check.say("pytest -m gpu", (done.stdout.strip().splitlines() or [""])[-1][:100], right=done.returncode == 0)


def large(check: Check) -> Data:
    """Return random data of MNIST's size, or of the digits'."""
    return bench_data(None)[[*RANDOM][0 if check.dry else 1]]


def main() -> int:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="on a CPU, small")
    check = Check(parser.parse_args().dry)
    torch.set_num_threads(1)
    name = "CPU" if check.dry else torch.cuda.get_device_name(check.device)
    check.say("machine", f"{name}, torch {torch.__version__}")
    parts = {exact: 60, bits: 60, rounding: 60, memory: 45, studies: 90, tests: 60, speed: 60}
    for function, least in parts.items():
        check.part(function, least)
    check.say("seconds", f"{time.monotonic() - check.began:.0f}")
    return int(check.failed)


if __name__ == "__main__":
    sys.exit(main())
