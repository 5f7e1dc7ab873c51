"""A step that is repeated on a GPU: recorded alone and many at once, with little work queued; over recorders that run nothing."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch

from hpsearch.training import capture
from hpsearch.training.capture import AHEAD, BURST, WARM_UP, CudaGraph, Queue, Repeated
from hpsearch.training.devices import RECORDING


class Recorder:
    """Writes down what it is asked for, and how often a recorded function would run its step."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def warm_up(self, function: Callable[[], None]) -> None:
        self.calls.append("warm up")

    def capture(self, function: Callable[[], None]) -> None:
        before = len(self.calls)
        function()
        self.runs = len(self.calls) - before
        del self.calls[before:]
        self.calls.append(f"capture {self.runs}")

    def replay(self) -> None:
        self.calls.append(f"replay {self.runs}")


def never() -> bool:
    return False


def test_recording_comes_after_the_warm_up() -> None:
    """The first runs are real ones, the recording itself is none, and everything after is a replay, of many runs where many are left."""
    calls: list[str] = []
    step = Repeated(lambda: calls.append("run"), lambda: Recorder(calls))
    assert step.run(WARM_UP + 2, never)
    assert calls == ["warm up"] * WARM_UP + ["capture 1", "replay 1", "replay 1"]
    calls.clear()
    assert step.run(2 * BURST + 1, never)
    assert calls == [f"capture {BURST}", f"replay {BURST}", f"replay {BURST}", "replay 1"]
    assert step.runs == WARM_UP + 2 + 2 * BURST + 1


def test_a_step_that_cannot_be_recorded_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Where a recording fails every further run is the function itself, which is said once; exhausted memory is not taken for that."""

    class Failing(Recorder):
        error = "operation not permitted when stream is capturing"

        def capture(self, function: Callable[[], None]) -> None:
            raise RuntimeError(self.error)

    calls: list[str] = []
    for _ in range(2):
        assert Repeated(lambda: calls.append("run"), lambda: Failing(calls)).run(WARM_UP + 2, never)
    assert calls == [*["warm up"] * WARM_UP, "run", "run"] * 2
    assert [Failing.error in record.getMessage() for record in caplog.records] == [True]
    Failing.error = "CUDA error: out of memory"
    with pytest.raises(RuntimeError, match="out of memory"):
        Repeated(lambda: None, lambda: Failing(calls)).run(WARM_UP + 1, never)


def test_stopping_is_asked_before_each_launch() -> None:
    """A source that is stopping ends the runs before the next launch."""
    calls: list[str] = []
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(len(calls))
        return len(asked) == 3

    assert not Repeated(lambda: calls.append("run"), lambda: None).run(9, stopping)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("seconds", [1e-5, 1e-3, 0.3])
def test_little_work_is_queued(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Whatever a launch takes, no more than `2 * AHEAD` seconds of work wait on the device once it is known, or two launches."""
    clock = [0.0, 0.0]  # of the host, and when the device will have done all that it was given

    class Place:
        def __init__(self) -> None:
            self.at = clock[1]

        def synchronize(self) -> None:
            clock[0] = max(clock[0], self.at)

    monkeypatch.setattr(capture, "perf_counter", lambda: clock[0])
    queue = Queue(Place)
    ahead: list[float] = []
    for _ in range(20_000):
        clock[0] += 1e-6
        clock[1] = max(clock[0], clock[1]) + seconds
        queue.launched()
        ahead.append(clock[1] - clock[0])
    assert max(ahead) <= max(2.2 * AHEAD, 2.1 * seconds)
    assert queue.between > 1 or seconds > AHEAD


@pytest.mark.parametrize("failing", [False, True])
def test_a_recording_s_calls(monkeypatch: pytest.MonkeyPatch, failing: bool) -> None:
    """A recording begins once this thread has a cuBLAS handle and ends whatever happens; what the function raises is what is seen."""
    calls: list[str] = []

    class FakeGraph:
        def capture_begin(self, capture_error_mode: str) -> None:
            calls.append(f"begin {capture_error_mode}")

        def capture_end(self) -> None:
            calls.append("end")
            if failing:
                raise RuntimeError("capture was invalidated")

    def function() -> None:
        calls.append("run")
        if failing:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_blas_handle", lambda: calls.append("handle"))
    with pytest.raises(torch.OutOfMemoryError) if failing else nullcontext():
        CudaGraph(torch.device("cuda:0")).capture(function)
    assert calls == ["handle", "begin thread_local", "run", "end"]
    assert not RECORDING.locked()
