"""Devices: which one trains, and how many trials it takes at a time."""

import torch
from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError

MOST_PLACES = 256
ARRAYS = 6  # weights, gradient, two moments, the best weights, room for padding


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name, CUDA where there is one by default.

    Raises:
        UserError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device '{name}': not a device. Give cpu, cuda or cuda:0.") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device '{name}': hpsearch trains on cpu and cuda. Give one of them.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device '{name}': this machine has {torch.cuda.device_count()} CUDA devices. Give one of them, or cpu."
        )
    return device


def several_devices(names: str) -> list[str]:
    """Return the devices that a list names: "cuda:0,cuda:1"; "all" for every CUDA device; one named twice trains for two workers.

    Raises:
        UserError: no such device here.
    """
    if names.strip() == "all":
        found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if not found:
            raise UserError(
                "--devices all: this machine has no CUDA device. Give cpu,cpu for two workers on its cores."
            )
        return found
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if not listed:
        raise UserError("--devices: no device given. Give cuda:0,cuda:1, all or cpu,cpu.")
    return [str(choose_device(name)) for name in listed]


def workers(data: Data) -> int:
    """Return how many lanes train at once: the cores that this process may use (a container's limit included); one for a GPU."""
    return 1 if data.training.inputs.is_cuda else int(cpu_count())


def default_places(data: Data, parameters: int) -> int:
    """Return how many trials to have in flight: one a core; on a GPU what half of its memory holds of networks this large."""
    device = data.training.inputs.device
    if device.type != "cuda":
        return workers(data)
    free, _ = torch.cuda.mem_get_info(device)
    trial = parameters * ARRAYS * data.training.inputs.element_size()
    return max(1, min(MOST_PLACES, free // 2 // trial))
