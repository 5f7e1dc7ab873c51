"""Devices: which one trains, how many trials it takes at a time, its threads and its memory."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError

LOGGER = logging.getLogger(__name__)
DEVICE_TYPES = ("cpu", "cuda", "mps")
REDUCED = ("tf32", "bfloat16")  # precisions of products
TENSOR_CORES = (8, 0)  # the first compute capability that has them
MAX_CONCURRENCY = 256  # trials in flight on a GPU
GROUPS = 8  # of them that train at once on a GPU, each on a stream of its own
# How errors say that memory is exhausted: torch's on a CPU, the driver's (torch.AcceleratorError, Triton), cuBLAS's and its kin's.
EXHAUSTED = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")
RECORDING = threading.Lock()  # held while a step is recorded: freeing memory would spoil the recording
ARRAYS_PER_TRIAL = 6  # weights, gradient, two moments, the best weights, room for padding


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name; None: CUDA where there is one, else the CPU.

    A CUDA device that this build of torch has no code for is passed over with a warning, or refused where it is asked for.

    Apple's GPU is used only when asked for (`mps`): it trains in the reference engine, which on small networks is slower than the CPU's
    compiled kernel, and it has no float64.

    Raises:
        UserError: there is no such device here.
    """
    if name is None:
        return _default_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device '{name}': not a device. Give cpu, cuda, cuda:0 or mps.") from None
    if device.type not in DEVICE_TYPES:
        raise UserError(f"device '{name}': hpsearch trains on cpu, cuda and mps. Give one of them.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(f"device '{name}': this machine has {count} CUDA devices. Give one of them, or cpu.")
    if device.type == "cuda" and not _has_code(device):
        raise UserError(f"device '{name}': {_without_code(device)}. Give cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"device '{name}': this machine has no Apple GPU that torch can use. Give cpu.")
    return device


def _default_device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda")
    if _has_code(device):
        return device
    LOGGER.warning("%s: training on the CPU", _without_code(device))
    return torch.device("cpu")


def _has_code(device: torch.device) -> bool:
    """Whether this build of torch has machine code for a CUDA device, or code that its driver compiles."""
    major, minor = torch.cuda.get_device_capability(device)
    for architecture in torch.cuda.get_arch_list():  # as sm_90, sm_90a, compute_120
        kind, _, version = architecture.partition("_")
        own_major, own_minor = divmod(int(version.rstrip("af")), 10)
        if kind == "sm" and own_major == major and own_minor <= minor:
            return True
        if kind == "compute" and (own_major, own_minor) <= (major, minor):
            return True
    return False


def _without_code(device: torch.device) -> str:
    major, minor = torch.cuda.get_device_capability(device)
    name = torch.cuda.get_device_name(device)
    return f"{name} has compute capability {major}.{minor}, for which this build of torch has no code"


def check_precision(precision: str, device: torch.device, engine: str = "auto") -> None:
    """Refuse a precision that neither the device nor the engine has.

    Raises:
        UserError: names the precisions that can be given.
    """
    if precision in REDUCED:
        if device.type != "cuda" or engine == "reference":
            raise UserError(
                f"precision '{precision}': only the fused and the compiled engine on CUDA have it; "
                f"here the engine is {engine} and the device {device}. Give float32 or float64."
            )
        capability = torch.cuda.get_device_capability(device)
        if capability < TENSOR_CORES:
            raise UserError(
                f"precision '{precision}': {torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]}) "
                "does not have it, GPUs from 8.0 on do. Give float32 or float64."
            )
    if precision == "float64" and device.type == "mps":
        raise UserError(
            "precision 'float64': Apple's GPU (mps) computes in float32 only. Give float32, or --device cpu."
        )


def several_devices(names: str) -> list[str]:
    """Return the devices of a list: "cuda:0,cuda:1"; "all" for every CUDA device; one that is named twice trains for two workers.

    Raises:
        UserError: there is no such device here.
    """
    if names.strip() == "all":
        count = torch.cuda.device_count()
        if count == 0:
            raise UserError(
                "--devices all: this machine has no CUDA device. Give cpu,cpu for two workers on its cores."
            )
        return [f"cuda:{index}" for index in range(count)]
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if not listed:
        raise UserError("--devices: no device given. Give cuda:0,cuda:1, all or cpu,cpu.")
    return [str(choose_device(name)) for name in listed]


def device_of(data: Data) -> torch.device:
    """Return the device that the data lie on, which is where they train."""
    return data.training.inputs.device


def worker_threads(data: Data) -> int:
    """Return how many groups train at once, a thread each: on a CPU as many as the cores of this process (a container's limit counts).

    On a GPU several streams fill gaps that small launches leave, and groups of small batches, which take long, hold up no others.
    """
    threads = {"cpu": int(cpu_count()), "cuda": GROUPS}
    return threads.get(device_of(data).type, 1)


def default_concurrency(data: Data, parameters: int) -> int:
    """Return how many trials to have in flight: one for each training thread; with CUDA as many as half of the free memory holds.

    `parameters` are those of the largest network.
    """
    device = device_of(data)
    if device.type != "cuda":
        return worker_threads(data)
    trial_bytes = parameters * ARRAYS_PER_TRIAL * data.training.inputs.element_size()
    return max(1, min(MAX_CONCURRENCY, free_bytes(device) // 2 // trial_bytes))


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Compute on one thread where the device is a CPU, whatever library computes; so do threads that begin with `begin_worker`.

    So a result does not depend on the number of cores, and a busy machine does not stall it: with two threads and two other processes
    on two cores an update of batch size 32 took 2 to 20 times as long as with one (quiet: 0.8 times). Trials that train beside each
    other keep the other cores busy.
    """
    if device.type != "cpu":
        yield
        return
    import scipy.linalg.cython_blas  # noqa: F401  # numba's BLAS: only a library that is loaded can be limited

    before = _LIMITED.enter()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _LIMITED.leave()
        torch.set_num_threads(before)


class _LimitedThreads:
    """The number of BLAS's threads, which is the process's: the first thread that trains limits it, the last one puts it back.

    torch's number is each thread's own, and a new thread begins with the latest: what was there before anybody trained is put back too.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before = 1
        self.limits: threadpool_limits | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def enter(self) -> int:
        """Limit BLAS to one thread; return torch's number of threads before that."""
        with self.lock:
            if self.inside == 0:
                self.before = torch.get_num_threads()
                self.limits = threadpool_limits(1, user_api="blas")
            self.inside += 1
            return self.before

    def leave(self) -> None:
        """Put BLAS's number of threads back, where nobody else trains."""
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.limits is not None:
                self.limits.restore_original_limits()

    def _forked(self) -> None:
        """Compute on one thread in a forked child: the other threads of torch's pool are not there, and waiting for them never ends."""
        self.lock = threading.Lock()
        self.inside = 0
        self.limits = None
        torch.set_num_threads(1)


_LIMITED = _LimitedThreads()


def begin_worker(device: torch.device) -> None:
    """Prepare a worker's thread: a GPU is its own; on a CPU one thread for torch, and no denormal numbers.

    First moments of units that are always zero fade to denormal numbers, which slow an Adam update down to a third of its speed.
    """
    use(device)
    if device.type == "cpu":
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)


def use(device: torch.device) -> None:
    """Have this thread use a GPU and no other: pinned memory, for one, would need a context on the first one else."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def use_share(device: torch.device, share: float) -> None:
    """Use a GPU (see `use`) together with other processes, and no more than a share of its memory."""
    use(device)
    if device.type == "cuda" and share < 1:
        torch.cuda.set_per_process_memory_fraction(share)  # of the present device


def free_bytes(device: torch.device) -> int:
    """Return how much of a GPU's memory is free for this process."""
    free, total = torch.cuda.mem_get_info(device)
    share = torch.cuda.get_per_process_memory_fraction(device)
    return min(free, int(share * total) - torch.cuda.memory_reserved(device))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted; torch raises RuntimeErrors of several kinds for it."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in text for words in EXHAUSTED)


def free_memory(data: Data) -> None:
    """Give a device's cached memory back; call it outside the `except`, whose traceback keeps tensors alive."""
    if data.training.inputs.is_cuda:
        with RECORDING:
            torch.cuda.empty_cache()


class DeviceStream:
    """A CUDA stream, on which a group's work runs beside that of others; elsewhere, where there are none, nothing.

    All memory of a group belongs to its stream. Whoever reads it on another one does so within `read`.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run what this thread launches on the stream, after all that the default stream has been given."""
        if self.stream is None:
            yield
            return
        self.stream.wait_stream(torch.cuda.default_stream(self.stream.device))
        with torch.cuda.stream(self.stream):
            yield

    @contextmanager
    def read(self) -> Iterator[None]:
        """Read on the current stream what the stream has computed, before it goes on."""
        if self.stream is None:
            yield
            return
        current = torch.cuda.current_stream(self.stream.device)
        current.wait_stream(self.stream)
        yield
        self.stream.wait_stream(current)
