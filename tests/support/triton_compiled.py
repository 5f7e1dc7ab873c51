"""A program that checks the GPU's kernels as they are compiled, which needs no GPU (see `triton_trials`)."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hpsearch.training.compiled.triton.group import TritonGroup
from tests.support.cohorts import varied_spec
from tests.support.small import small_data
from tests.support.triton_trials import report

KERNELS = ("forward", "loss", "backward", "learn")
SHARED = 48 * 1024  # bytes that a block has on every GPU
REGISTERS = 255  # of a thread


class FakeDriver:
    """A GPU to compile for."""

    def __init__(self, architecture: int) -> None:
        self.architecture = architecture

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.architecture, 32)

    def get_current_device(self) -> int:
        return self.architecture

    def get_current_stream(self, device: int) -> int:
        return 0


@dataclass(frozen=True)
class Compiled:
    """A kernel in its forms, and the bytes of shared memory that it takes."""

    forms: Mapping[str, Any]
    shared: int


class Compiler:
    """Compiles a kernel where it would be launched."""

    def __init__(self, kernel: Any, found: list[Compiled]) -> None:
        self.kernel = kernel
        self.found = found

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        def compile_(*arguments: Any, **named: Any) -> None:
            compiled = self.kernel.warmup(*arguments, grid=grid, **named)
            self.found.append(Compiled(compiled.asm, compiled.metadata.shared))

        return compile_


def compiled_step(
    architecture: int, batch_size: int, task: str, dtype: torch.dtype, precision: str
) -> Mapping[str, list[Compiled]]:
    """Return the kernels of an update and of an evaluation, compiled with the arguments that a group gives them."""
    from triton.runtime.driver import driver

    from hpsearch.training.compiled.triton import kernels

    driver.set_active(FakeDriver(architecture))
    found: dict[str, list[Compiled]] = {name: [] for name in KERNELS}
    plain = {name: getattr(kernels, name) for name in KERNELS}
    for name, kernel in plain.items():
        setattr(kernels, name, Compiler(kernel, found[name]))
    try:
        specs = [varied_spec(small_data(task), number, batch_size=batch_size) for number in range(9)]
        group = TritonGroup(specs, small_data(task, dtype), precision)
        group.step.feed.load([range(1)] * len(specs))
        group.step()
        group.scores()
    finally:
        for name, kernel in plain.items():
            setattr(kernels, name, kernel)
    return found


def resources(cubin: bytes) -> tuple[int, int]:
    """Return a thread's registers and the bytes that it spills, as the GPU's own tool reads them from the code."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    assert found is not None
    return int(found[1]), int(found[2])


def check_compiled(
    architecture: int, batch_size: int, task: str, dtype: torch.dtype, precision: str = "float32"
) -> None:
    """Each kernel compiles to the GPU's code, spills nothing, and multiplies in the precision that it is to."""
    for name, versions in compiled_step(architecture, batch_size, task, dtype, precision).items():
        assert versions, name
        for compiled in {version.forms["ptx"]: version for version in versions}.values():
            registers, spilled = resources(compiled.forms["cubin"])
            assert (spilled, compiled.shared <= SHARED, registers <= REGISTERS) == (0, True, True), name
            assert ("tf32" in compiled.forms["ptx"]) == (precision == "tf32" and "tt.dot" in compiled.forms["ttir"])
            if dtype == torch.float32 and precision == "float32":
                assert "mma" not in compiled.forms["ptx"], name
            for product in re.findall(r"tt\.dot [^\n]*", compiled.forms["ttir"]):
                assert ("inputPrecision = tf32" in product) == (precision == "tf32"), product


CHECKS: dict[str, Callable[[], None]] = {
    "sm_75, batch size 1": partial(check_compiled, 75, 1, "binary", torch.float32),
    "sm_80, batch size 40": partial(check_compiled, 80, 40, "multiclass", torch.float32),
    "sm_89, tf32": partial(check_compiled, 89, 17, "multilabel", torch.float32, "tf32"),
    "sm_90, batch size 16": partial(check_compiled, 90, 16, "multiclass", torch.float32),
    "sm_90, bfloat16": partial(check_compiled, 90, 40, "regression", torch.float32, "bfloat16"),
    "sm_100, batch size 40": partial(check_compiled, 100, 40, "regression", torch.float32),
    "sm_100, float64": partial(check_compiled, 100, 3, "regression", torch.float64),
}

if __name__ == "__main__":
    names = sys.argv[1:] or list(CHECKS)
    report({name: CHECKS[name] for name in names})
