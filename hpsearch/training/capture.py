"""A step that is run again and again on a GPU: recorded as a CUDA graph and replayed without Python, many updates with one launch.

A CUDA graph is the sequence of kernels that a function launched, with their addresses. So it replays a function of the device's state
alone; that a group's step is one, tests prove without a GPU. To launch takes the interpreter, which proposals of the sampler keep busy for
milliseconds at a time; so many updates go with one launch, though no more than the device computes in `AHEAD` seconds.
"""

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from time import perf_counter
from typing import Protocol

import torch

from hpsearch.training.devices import RECORDING, out_of_memory
from hpsearch.training.progress import Stopping

LOGGER = logging.getLogger(__name__)
WARM_UP = 3  # runs before the recording, in which libraries set themselves up
BURST = 16  # runs that are recorded as one, besides one alone
# seconds of work, about, between two marks; two of them are queued at most, so that Ctrl-C is answered soon
AHEAD = 0.1
GROWTH = 8  # times as many launches between the next two marks, at most


class Graph(Protocol):
    """A recorder of what a function does on a device."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run the function."""

    def capture(self, function: Callable[[], None]) -> None:
        """Record the function without running it."""

    def replay(self) -> None:
        """Run what was recorded."""


class CudaGraph:
    """A CUDA graph, warmed up and recorded on a stream of its own, replayed on the current one."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.graph = torch.cuda.CUDAGraph()

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run the function on the stream of the recording, after all before it and before all after it."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            function()
        current.wait_stream(self.stream)

    def capture(self, function: Callable[[], None]) -> None:
        """Record the function; other threads may use the device meanwhile, but not free its memory or wait for all of it.

        `torch.cuda.graph` would wait for the whole device and collect garbage first. cuBLAS makes each thread's handle when it is first
        asked for one, which cannot be recorded, and another thread may have warmed up.
        """
        with RECORDING, torch.cuda.stream(self.stream):
            torch.cuda.current_blas_handle()
            self.graph.capture_begin(capture_error_mode="thread_local")
            try:
                function()
            except BaseException:
                with suppress(RuntimeError):  # of the recording, which is of no use; what spoiled it is raised
                    self.graph.capture_end()
                raise
            self.graph.capture_end()

    def replay(self) -> None:
        """Launch all of it at once."""
        self.graph.replay()


def graph_on(device: torch.device) -> Graph | None:
    """Return a recorder for the device, None where there is none."""
    return CudaGraph(device) if device.type == "cuda" else None


class Mark(Protocol):
    """A place in a device's queue."""

    def synchronize(self) -> None:
        """Wait until the device has come there."""


def mark_on(device: torch.device) -> Callable[[], Mark] | None:
    """Return what marks the end of a device's queue, None where work is done at once."""
    if device.type != "cuda":
        return None

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(blocking=True)
        event.record(torch.cuda.current_stream(device))
        return event

    return mark


class Queue:
    """Keeps the work that waits on a device short: between the last two marks, and after them, are about `AHEAD` seconds each."""

    def __init__(self, mark: Callable[[], Mark] | None) -> None:
        self.mark = mark
        self.marks: deque[tuple[Mark, int]] = deque()  # each with the launches before it
        self.between = 1  # launches between two marks
        self.launches = 0  # since the last mark
        self.time = perf_counter()

    def launched(self) -> None:
        """Count a launch; wait where too much work is queued."""
        self.launches += 1
        if self.mark is None or self.launches < self.between:
            return
        self.marks.append((self.mark(), self.launches))
        self.launches = 0
        if len(self.marks) > 1:
            mark, launches = self.marks.popleft()
            mark.synchronize()
            now = perf_counter()
            fitting = int(launches * AHEAD / max(now - self.time, 1e-9))
            self.between = max(1, min(fitting, self.between * GROWTH))
            self.time = now


class Repeated:
    """A function of the device's state that is run again and again: as it is, or recorded after its first runs.

    `graph` makes a recorder, or returns None for none. Where the function cannot be recorded, it runs as it is, which takes longer; that is
    said once.
    """

    def __init__(
        self,
        function: Callable[[], None],
        graph: Callable[[], Graph | None],
        mark: Callable[[], Mark] | None = None,
    ) -> None:
        self.function = function
        self.make_graph = graph
        self.graphs: dict[int, Graph | None] = {}  # runs → their recording
        self.first = graph()
        self.runs = 0
        self.queue = Queue(mark)

    def run(self, times: int, stopping: Stopping) -> bool:
        """Run so many times more; False where `stopping` said so, which is asked before each launch."""
        end = self.runs + times
        while self.runs < end:
            if stopping():
                return False
            self._launch(end - self.runs)
            self.queue.launched()
        return True

    def _launch(self, most: int) -> None:
        """Run once, or as often as was recorded together."""
        if self.first is not None and self.runs < WARM_UP:
            self.first.warm_up(self.function)
            self.runs += 1
            return
        runs = BURST if self.first is not None and most >= BURST else 1
        graph = self._recorded(runs)
        if graph is None:
            self.function()
            self.runs += 1
            return
        graph.replay()
        self.runs += runs

    def _recorded(self, runs: int) -> Graph | None:
        """Return the recording of so many runs, None where there cannot be one."""
        if self.first is None:
            return None
        if runs not in self.graphs:
            recorder = self.first if not self.graphs else self.make_graph()
            assert recorder is not None, "the device has recorders"
            self.graphs[runs] = _capture(recorder, self._times(runs))
            if self.graphs[runs] is None:
                self.first = None
        return self.graphs[runs]

    def _times(self, runs: int) -> Callable[[], None]:
        def function() -> None:
            for _ in range(runs):
                self.function()

        return function


def _capture(graph: Graph, function: Callable[[], None]) -> Graph | None:
    """Record a function; return None where that fails."""
    try:
        graph.capture(function)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        _warn(f"{type(error).__name__}: {error}")
        return None
    return graph


@cache
def _warn(reason: str) -> None:
    """Log once for each reason that a step is not recorded."""
    LOGGER.warning(
        "a step could not be recorded as a CUDA graph and runs kernel by kernel, which is slower (%s)", reason
    )
