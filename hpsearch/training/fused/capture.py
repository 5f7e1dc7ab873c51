"""Capture: a step recorded once and replayed without Python, for a device where launching takes longer than computing.

A CUDA graph is the sequence of kernels that a function launched, with their addresses. So it replays a function of the device's state
alone; that the step is one, a test proves without a GPU.
"""

from collections.abc import Callable
from typing import Protocol

import torch

WARM_UP = 3  # runs before the recording, in which libraries set themselves up


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
        """Record the function; other threads may use the device meanwhile."""
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            function()

    def replay(self) -> None:
        """Launch all of it at once."""
        self.graph.replay()


def graph_on(device: torch.device) -> Graph | None:
    """Return a recorder for the device, None where there is none."""
    return CudaGraph(device) if device.type == "cuda" else None


class Repeated:
    """A function of the device's state that is run again and again: as it is, or recorded after its first runs."""

    def __init__(self, function: Callable[[], None], graph: Graph | None) -> None:
        self.function = function
        self.graph = graph
        self.runs = 0

    def __call__(self) -> None:
        """Run once more."""
        if self.graph is None:
            self.function()
        elif self.runs < WARM_UP:
            self.graph.warm_up(self.function)
        else:
            if self.runs == WARM_UP:
                self.graph.capture(self.function)
            self.graph.replay()
        self.runs += 1
