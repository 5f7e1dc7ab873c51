"""A CUDA device that is not there: tensors that say they are on cuda:0, computed on the CPU, under the rules that CUDA has.

A function that mixes them with others, or makes an array of one, fails as it would on a GPU. What makes the host wait for the device is
written down, apart where a step is replayed: a recording could not do that. Threads that compute enter `Mode`, as the engine's do.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import get_ident
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from hpsearch.comparison import measuring
from hpsearch.data import Data
from hpsearch.training import capture, groups
from hpsearch.training.devices import begin_worker
from hpsearch.training.groups import Capabilities

DEVICE = torch.device("cuda:0")
MEMORY = 2**37
ROOT = str(Path(groups.__file__).parents[1])
ABOUT_IT: dict[Any, Any] = {  # what a tensor says of its device
    torch.Tensor.device.__get__: DEVICE,
    torch.Tensor.is_cuda.__get__: True,  # type: ignore[attr-defined]
    torch.Tensor.is_cpu.__get__: False,  # type: ignore[attr-defined]
    torch.Tensor.get_device: 0,
}
# functions that take tensors of several devices, or only look at them
MIXED = {"copy_", "to", "cpu", "__get__", "__set__", "__getitem__", "__setitem__", "backward", "as_subclass", "type_as"}
WAITING = {
    "item",
    "__float__",
    "__int__",
    "__bool__",
    "__index__",
    "tolist",
    "is_nonzero",
    "equal",
    "allclose",
    "nonzero",
}
WAITING |= {"masked_select", "unique", "bincount", "repeat_interleave", "cpu"}
NAMING = {"device", "_parse_to"}  # functions that name a device, and make nothing
ARRAYS = {"numpy", "__array__"}


class Waits:
    """What made the host wait for the device: how often, by function and line; `in_steps` those in a step that is replayed."""

    def __init__(self) -> None:
        self.all: Counter[str] = Counter()
        self.in_steps: Counter[str] = Counter()
        self.steps = 0
        self.replaying: set[int] = set()  # threads that replay a step

    def note(self, name: str) -> None:
        """Write a wait down, with the project's line that asked for it."""
        where = f"{name}, {_line()}"
        self.all[where] += 1
        if get_ident() in self.replaying:
            self.in_steps[where] += 1


WAITS = Waits()


def _line() -> str:
    """Return the line of the project that called."""
    frame = sys._getframe(1)
    while frame.f_back is not None and not frame.f_code.co_filename.startswith(ROOT):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_lineno}"


class OnDevice(torch.Tensor):
    """A tensor on the device."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        return _call(function, arguments, keywords or {})


class Mode(TorchFunctionMode):
    """Has tensors made on the device, where a function is asked to."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        leaves, _ = tree_flatten((arguments, keywords))
        concerned = any(isinstance(leaf, OnDevice) or _is_cuda(leaf) for leaf in leaves)
        concerned |= function is torch.Tensor.pin_memory
        if concerned and getattr(function, "__name__", "") not in NAMING:
            return _call(function, arguments, keywords)
        return function(*arguments, **keywords)


def _is_cuda(value: Any) -> bool:
    """Whether a value names the device."""
    if isinstance(value, str):
        return value.split(":")[0] == "cuda"
    return isinstance(value, torch.device) and value.type == "cuda"


def _is_device(value: Any) -> bool:
    return isinstance(value, torch.device) or value in ("cpu", "cuda", "cuda:0")


def _on_cpu(value: Any) -> Any:
    """Return the CPU in place of the device's name."""
    return torch.device("cpu") if _is_cuda(value) else value


def _on_device(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and not isinstance(value, OnDevice):
        return value.as_subclass(OnDevice)
    return value


def _call(function: Any, arguments: Any, keywords: Any) -> Any:
    """Compute on the CPU what the device would, and refuse what it would."""
    leaves, _ = tree_flatten((arguments, keywords))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    here = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    if function in ABOUT_IT and here:
        return ABOUT_IT[function]
    name = getattr(function, "__name__", str(function))
    with torch._C.DisableTorchFunctionSubclass():
        if name == "pin_memory":
            return arguments[0]
        foreign = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim() > 0]
        if (
            name == "_has_compatible_shallow_copy_type"
        ):  # a module that moves asks, and puts new parameters in the places of the old
            return not foreign
        if name in ARRAYS and here:
            raise TypeError(f"can't convert cuda:0 device type tensor to numpy ({_line()})")
        if here and foreign and name not in MIXED:
            raise RuntimeError(f"Expected all tensors to be on the same device ({name}, {_line()})")
        generator = keywords.get("generator")
        if generator is not None and generator.device.type == "cpu":
            raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu' ({name}, {_line()})")
        if _waits(name, arguments, here):
            WAITS.note(name)
        device = _asked_for(name, arguments, keywords)
        result = function(*tree_map(_on_cpu, arguments), **tree_map(_on_cpu, keywords))
        if device is None:
            moved = bool(here) and (name != "copy_" or isinstance(arguments[0], OnDevice))
        else:
            moved = _is_cuda(device)
        if name == "cpu" or (device is not None and not moved):
            return _copied(result, here)
        return tree_map(_on_device, result) if moved else result


def _copied(result: Any, here: Any) -> Any:
    """Return a copy on the CPU of what was on the device."""
    if isinstance(result, OnDevice):
        return result.as_subclass(torch.Tensor).clone()
    return result


def _asked_for(name: str, arguments: Any, keywords: Any) -> Any:
    """Return the device that a function is asked for, None where it is not."""
    if keywords.get("device") is not None:
        return keywords["device"]
    if name != "to":
        return None
    devices = [value for value in arguments[1:] if not isinstance(value, torch.Tensor) and _is_device(value)]
    others = [value for value in arguments[1:] if isinstance(value, torch.Tensor)]
    if others:
        return DEVICE if isinstance(others[0], OnDevice) else torch.device("cpu")
    return devices[0] if devices else None


def _waits(name: str, arguments: Any, here: Any) -> bool:
    """Whether a function makes the host wait for the device."""
    if not here:
        return False
    if name in WAITING:
        return True
    if name == "copy_":
        return not isinstance(arguments[0], OnDevice)
    if name == "to":
        return not _is_cuda(_asked_for(name, arguments, {}) or DEVICE)
    index = arguments[1] if name in ("__getitem__", "__setitem__") else ()
    parts, _ = tree_flatten(index)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


class Stream:
    """A stream, on which work is done at once."""

    device = DEVICE

    def __init__(self, *_: Any) -> None:
        pass

    def wait_stream(self, other: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def record(self, stream: Any) -> None:
        pass


class Recorder:
    """A CUDA graph: runs what was recorded again, and has what waits meanwhile written down apart."""

    def __init__(self, device: torch.device) -> None:
        self.function: Callable[[], None] = lambda: None

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def capture(self, function: Callable[[], None]) -> None:
        self.function = function

    def replay(self) -> None:
        WAITS.steps += 1
        WAITS.replaying.add(get_ident())
        try:
            self.function()
        finally:
            WAITS.replaying.discard(get_ident())


def _begin_worker(device: torch.device) -> None:
    begin_worker(device)
    Mode().__enter__()  # type: ignore[no-untyped-call]  # torch's is without annotations


def _no_triton(self: Capabilities, spec: Any, data: Data) -> Iterator[str]:
    if self.package == "triton":
        yield "a stand-in device runs no kernels"
        return
    yield from _obstacles(self, spec, data)


_obstacles = Capabilities._obstacles


@contextmanager
def stand_in_device() -> Iterator[Waits]:
    """Have the device within, and one thread that trains on it."""
    WAITS.__init__()  # type: ignore[misc]
    patch = pytest.MonkeyPatch()
    values: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "a stand-in",
        "get_device_capability": lambda device=None: (9, 0),
        "get_arch_list": lambda: ["sm_90"],
        "mem_get_info": lambda device=None: (MEMORY, MEMORY),
        "get_per_process_memory_fraction": lambda device=None: 1.0,
        "memory_reserved": lambda device=None: 0,
        "set_device": lambda device: None,
        "device": lambda device: nullcontext(),
        "stream": lambda stream: nullcontext(),
        "current_stream": lambda device=None: Stream(),
        "default_stream": lambda device=None: Stream(),
        "Stream": Stream,
        "Event": lambda blocking=False: Stream(),
        "empty_cache": lambda: None,
        "manual_seed": lambda seed: None,
        "synchronize": lambda device=None: WAITS.note("synchronize"),
        "_lazy_init": lambda: None,
    }
    for name, value in values.items():
        patch.setattr(torch.cuda, name, value)
    for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):  # ask the driver
        if hasattr(torch.optim.Optimizer, check):
            patch.setattr(torch.optim.Optimizer, check, lambda self: None)
    patch.setattr(capture, "CudaGraph", Recorder)
    patch.setattr(groups, "begin_worker", _begin_worker)
    patch.setattr(measuring, "begin_worker", _begin_worker)
    patch.setattr("hpsearch.training.devices.GROUPS", 1)
    patch.setattr(Capabilities, "_obstacles", _no_triton)
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Mode():
            yield WAITS
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
        patch.undo()
