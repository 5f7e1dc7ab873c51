"""A program that checks the GPU's kernel as it is compiled, which needs no GPU (see `triton_trials`)."""

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

from hpsearch.training.compiled.triton import group as triton_group
from hpsearch.training.compiled.triton.group import TritonGroup
from tests.support.cohorts import varied_spec
from tests.support.small import small_data
from tests.support.triton_trials import report

BARRIERS = 6  # rows, layer forward, loss, tile, bias, layer back


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


def compiled_forms(architecture: int, batch_size: int, task: str, dtype: torch.dtype) -> Mapping[str, Any]:
    """Return the forms of the kernel, compiled with the arguments that a group gives it."""
    from triton.runtime.driver import driver

    from hpsearch.training.compiled.triton import kernel as triton_kernel

    forms: list[Mapping[str, Any]] = []

    class Compiler:
        def __getitem__(self, grid: Any) -> Callable[..., None]:
            def compile_(*arguments: Any, **named: Any) -> None:
                forms.append(triton_kernel.train.warmup(*arguments, grid=grid, **named).asm)

            return compile_

    driver.set_active(FakeDriver(architecture))
    names = {name: getattr(triton_kernel, name) for name in ("State", "Scratch", "Rows", "Trials", "Feed")}
    triton_group._kernel = lambda: SimpleNamespace(**names, train=Compiler())
    specs = [varied_spec(small_data(task), number, batch_size=batch_size) for number in range(9)]
    TritonGroup(specs, small_data(task, dtype))
    return forms[0]


def check_compiled(architecture: int, batch_size: int, task: str, dtype: torch.dtype) -> None:
    """It compiles to the GPU's code, without tensor cores' short numbers, loads ahead of barriers or through the cache that writes pass by.

    Between reading a tile and writing it lies a barrier, and one ends every phase.
    """
    forms = compiled_forms(architecture, batch_size, task, dtype)
    assert len(forms["cubin"]) > 0
    found = [word for word in ("tf32", "mma", "cp.async", "ld.global.nc") if word in forms["ptx"]]
    assert found == []
    barriers = forms["ttgir"].count("ttg.barrier") + forms["ttgir"].count("gpu.barrier")  # until Triton 3.6 the latter
    assert barriers == BARRIERS


CHECKS: dict[str, Callable[[], None]] = {
    "sm_80, batch size 1": partial(check_compiled, 80, 1, "binary", torch.float32),
    "sm_90, batch size 16": partial(check_compiled, 90, 16, "multiclass", torch.float32),
    "sm_90, float64": partial(check_compiled, 90, 3, "regression", torch.float64),
}

if __name__ == "__main__":
    report(CHECKS)
