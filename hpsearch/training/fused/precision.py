"""Precision: the one place where matrices are multiplied, and so the only one where a precision below the data's enters.

Weights, sums, moments and losses keep the data's type. `tf32` lets a GPU round the operands of float32 products to 10 bits of
mantissa, `bfloat16` to 7; both add up in float32.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hpsearch.errors import UserError, suggestion

PRECISIONS = {"float32": "ieee", "tf32": "tf32", "bfloat16": "ieee"}  # → torch's word for float32 products on CUDA


class Products:
    """Matrix products [..., n, m] = [..., n, k] @ [..., k, m] on a device, in one of `PRECISIONS`; two or three dimensions.

    Raises:
        UserError: no such precision.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"unknown precision '{precision}'. {suggestion(precision, PRECISIONS)}")
        self.precision = precision
        self.device = device

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        if self.precision == "bfloat16":
            return self._rounded(a, b)
        return a @ b

    def into(self, total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, add: bool) -> None:
        """Write the product into `total`, or add it."""
        if self.precision == "bfloat16":
            _write(total, self._rounded(a, b), add)
        elif a.dim() == 2:
            total.addmm_(a, b, beta=int(add))
        else:
            total.baddbmm_(a, b, beta=int(add))  # with beta = 0 what stood there does not matter, NaN neither

    def _rounded(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        x = a.bfloat16()
        y = b.bfloat16()
        if not a.is_cuda or a.dtype != torch.float32:  # products of two rounded numbers are exact in float32
            return x.to(a.dtype) @ y.to(a.dtype)
        multiply = torch.mm if a.dim() == 2 else torch.bmm
        return multiply(x, y, out_dtype=torch.float32)

    @contextmanager
    def scoped(self) -> Iterator[None]:
        """Set torch's precision of float32 products on CUDA, whatever it was outside."""
        if self.device.type != "cuda":
            yield
            return
        with _SCOPE.set(PRECISIONS[self.precision]):
            yield


class _Scope:
    """torch's precision of float32 products on CUDA, one for all threads: the first one inside sets it, the last one puts it back.

    A thread that needs another one waits until it is put back.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside = 0
        self.before = ""

    @contextmanager
    def set(self, precision: str) -> Iterator[None]:
        """Have products computed in a precision."""
        settings = torch.backends.cuda.matmul
        with self.changed:
            self.changed.wait_for(lambda: self.inside == 0 or settings.fp32_precision == precision)
            if self.inside == 0:
                self.before = settings.fp32_precision
                settings.fp32_precision = precision
            self.inside += 1
        try:
            yield
        finally:
            with self.changed:
                self.inside -= 1
                if self.inside == 0:
                    settings.fp32_precision = self.before
                self.changed.notify_all()


_SCOPE = _Scope()


def add_rows(total: torch.Tensor, values: torch.Tensor, add: bool) -> None:
    """Write the sum over the last dimension into `total` [..., 1], or add it: the gradient of a bias."""
    _write(total, values.sum(-1, keepdim=True), add)


def _write(total: torch.Tensor, value: torch.Tensor, add: bool) -> None:
    if add:
        total.add_(value)
    else:
        total.copy_(value)
