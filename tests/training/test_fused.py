"""The fused engine: many unlike trials as one batched computation, equal to the reference in float64."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hpsearch.errors import UserError
from hpsearch.training import TrialQueue
from hpsearch.training.capture import WARM_UP
from hpsearch.training.fused.activations import SLOPES
from hpsearch.training.fused.cohort import MAX_SUMS
from hpsearch.training.fused.group import FusedGroup
from hpsearch.training.fused.layout import Layout, Rectangle, ordered
from hpsearch.training.fused.precision import PRECISIONS, Products
from hpsearch.training.groups import ConcurrentEngine, Plan
from hpsearch.training.layers import ACTIVATIONS
from hpsearch.training.progress import Evaluations
from tests.support.cohorts import (
    TASKS,
    WITH_FORMULA,
    assert_equal,
    assert_parity,
    cohort,
    reference,
    trained,
    varied_spec,
)
from tests.support.small import small_data


@pytest.mark.parametrize("optimizer", WITH_FORMULA)
def test_one_optimizer_needs_no_terms_of_others(optimizer: str) -> None:
    """A cohort of one optimizer, where other optimizers' terms are left out, and one trial alone are the reference's runs."""
    specs = cohort(trials=5, optimizer=optimizer)
    assert_parity(specs)
    assert_parity([replace(specs[1], weight_decay=0.0)])


def test_cohort_is_ordered_by_depth_and_activation() -> None:
    """The deepest trials come first, and within a depth one activation after another, so that few runs of equal ones are computed."""
    data = small_data()
    kinds = [(1, "tanh"), (2, "relu"), (1, "relu"), (2, "tanh"), (0, "relu"), (2, "relu")]
    specs = [varied_spec(data, n, widths=(4,) * depth, activation=name) for n, (depth, name) in enumerate(kinds)]
    assert [spec.number for spec in ordered(specs)] == [1, 5, 3, 0, 2, 4]
    runs = FusedGroup(specs, data).cohort.activations.layers
    assert [[(run.rows.start, run.rows.stop, run.name) for run in layer] for layer in runs] == [
        [(0, 2, "relu"), (2, 4, "tanh"), (4, 5, "relu")],
        [(0, 2, "relu"), (2, 3, "tanh")],
    ]


@pytest.mark.parametrize("widths", [(), (8,), (8, 16, 24)], ids=str)
def test_equal_trials_need_no_padding(widths: tuple[int, ...]) -> None:
    """Trials of one shape, where nothing is spread or silenced, are the reference's runs; linear models alone too."""
    assert_parity(cohort(trials=4, widths=widths))


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [20, "full"])
def test_parts_of_a_batch_add_up(monkeypatch: pytest.MonkeyPatch, batch_size: int | str) -> None:
    """A batch that goes in parts of few rows is the batch in one, dropout and every task included; so is an evaluation."""
    monkeypatch.setitem(MAX_SUMS, "cpu", 2000)
    for task in TASKS:
        rows = len(small_data(task).training)
        assert_parity(cohort(task, batch_size=rows if batch_size == "full" else batch_size), task)


def test_blocks_of_updates_are_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables for 2 updates at a time, over several passes with rows left over, are the reference's run."""
    monkeypatch.setattr("hpsearch.training.feed.UPDATES", 2)
    assert_parity(cohort(batch_size=11, evaluate_at=(7, 14, 20)))


def test_updates_in_several_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a launch costs nothing, each depth's numbers are updated apart, and the runs are the reference's."""
    shape = Layout([s.architecture for s in ordered(cohort()) if s.architecture])
    assert shape.rectangles == [Rectangle(9, 0, shape.columns)]
    monkeypatch.setattr("hpsearch.training.fused.layout.LAUNCH_COST", 0)
    shape = Layout([s.architecture for s in ordered(cohort()) if s.architecture])
    assert [part.rows for part in shape.rectangles] == [9, 8, 5, 3, 1]
    assert_parity(cohort())


def test_leavers_change_nothing() -> None:
    """Trials that leave midway, before and after the cohort is packed anew, change no loss, score or weight of those that stay."""
    specs, data = cohort(trials=10), small_data()
    lane, leavers = FusedGroup(specs, data), [[0], [5, 9], [1, 2, 3, 4, 6]]
    evaluations, sizes = Evaluations(lane, specs[0].evaluate_at), []
    for evaluation, leaving in enumerate([*leavers, []]):
        windows = evaluations.advance(lambda: False)
        assert windows is not None
        sizes.append(len(lane.cohort.specs))
        for number, window in windows.items():
            history = reference(specs[number]).history
            assert float(window.losses.mean()) == pytest.approx(history.training_loss[evaluation], abs=1e-10)
            assert window.score == pytest.approx(
                (history.validation_loss[evaluation], history.metric[evaluation]), abs=1e-10
            )
        lane.drop(leaving)
    assert windows is not None
    assert sorted(windows) == [7, 8]
    assert sizes == [10, 10, 7, 2]
    alone = FusedGroup([specs[7]], data)
    alone.train(specs[7].evaluate_at[-1], lambda: False)
    for name, weight in alone.weights(7).items():
        torch.testing.assert_close(lane.weights(7)[name], weight, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("diverging", range(4))
def test_diverging_neighbour_changes_no_bit(diverging: int) -> None:
    """Beside a trial whose weights become NaN every other trial has, bit for bit, the run that it has beside a tame one."""
    shapes = [(9, 4), (), (12, 7, 5), (6,)]
    tame = [varied_spec(small_data("regression"), n, widths=shapes[n], dropout=0.2, batch_size=7) for n in range(4)]
    wild = [replace(spec, learning_rate=1e200) if spec.number == diverging else spec for spec in tame]
    lanes = [FusedGroup(specs, small_data("regression")) for specs in (tame, wild)]
    pair = [Evaluations(lane, tame[0].evaluate_at) for lane in lanes]
    for _ in range(4):
        expected, windows = (evaluations.advance(lambda: False) for evaluations in pair)
        assert expected is not None
        assert windows is not None
        for number in {0, 1, 2, 3} - {diverging}:
            assert torch.equal(windows[number].losses, expected[number].losses)
            assert windows[number].score == expected[number].score
    assert windows is not None
    assert not torch.isfinite(windows[diverging].losses).any()
    for number in {0, 1, 2, 3} - {diverging}:
        pairs = zip(lanes[0].weights(number).values(), lanes[1].weights(number).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def padding(lane: FusedGroup) -> list[torch.Tensor]:
    """Return the cohort's buffers with every trial's own numbers taken out."""
    left = []
    for parameters in (*lane.cohort.state, lane.cohort.network.gradients):
        for trial in range(len(lane.cohort.specs)):
            for weight, bias in parameters.of(trial):
                weight.zero_()
                bias.zero_()
        left += [parameters.first, parameters.rest]
    return left


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_padding_stays_zero(activation: str) -> None:
    """After training, weights, moments and gradients of padded units are exactly zero, for every activation and optimizer."""
    specs = cohort(trials=8, activation=activation, weight_decay=0.1, dropout=0.2)
    lane = FusedGroup(specs, small_data())
    assert lane.cohort.layout.widths == [16, 24, 8, 8]
    for until in specs[0].evaluate_at:
        lane.train(until, lambda: False)
    assert not any(bool(buffer.any()) for buffer in padding(lane))


def test_epsilon_that_rounds_to_zero_leaves_padding_alone() -> None:
    """An epsilon below the smallest float32 does not divide padding by zero."""
    specs = [varied_spec(small_data(), n, optimizer="adam", coefficients={"epsilon": 1e-60}) for n in range(3)]
    lane = FusedGroup(specs, small_data(dtype=torch.float32))
    lane.train(specs[0].evaluate_at[0], lambda: False)
    assert not any(bool(buffer.any()) for buffer in padding(lane))


def test_trials_share_the_time() -> None:
    """Every trial has the same seconds, more at each evaluation, and together they are no more than what passed."""
    specs, start, before = cohort(), perf_counter(), 0.0
    evaluations = Evaluations(FusedGroup(specs, small_data()), specs[0].evaluate_at)
    for _ in range(4):
        windows = evaluations.advance(lambda: False)
        assert windows is not None
        (seconds,) = {window.seconds for window in windows.values()}
        assert before < seconds <= (perf_counter() - start) / 9
        before = seconds


def test_stopping_returns_nothing() -> None:
    """A source that is stopping ends the window within an update."""
    asked = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) == 3

    assert FusedGroup(cohort(), small_data()).train(10, stopping) is None
    assert len(asked) == 3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_by_hand_are_autograd_s(name: str) -> None:
    """Each activation's value is torch's, and its slope the derivative that autograd finds, in both precisions and far out too."""
    for dtype in (torch.float64, torch.float32):
        x = torch.cat([torch.linspace(-9, 9, 181), torch.tensor([-800.0, 0.0, 800.0])]).to(dtype).requires_grad_()
        (expected,) = torch.autograd.grad(ACTIVATIONS[name](x).sum(), x)
        value, slope = SLOPES[name](x.detach())
        torch.testing.assert_close(value, ACTIVATIONS[name](x).detach())
        torch.testing.assert_close(slope, expected)


def test_new_activation_needs_no_slope_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """An activation without a row in `SLOPES` trains with autograd's slope, so that one row in `ACTIVATIONS` is enough."""
    monkeypatch.delitem(SLOPES, "gelu")
    monkeypatch.delitem(SLOPES, "sigmoid")
    assert_parity(cohort())


class RecordingGraph(TorchDispatchMode):
    """A graph on the CPU: keeps the operations of a function, with the tensors they read and wrote, and does them again in place."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is without annotations
        self.warm_ups = self.captures = self.replays = 0
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def warm_up(self, function: Callable[[], None]) -> None:
        self.warm_ups += 1
        function()

    def capture(self, function: Callable[[], None]) -> None:
        self.captures += 1
        with self:
            function()
        for tensor, value in reversed(self.before):  # recording runs nothing
            tensor.copy_(value)

    def replay(self) -> None:
        self.replays += 1
        for operation, arguments, keywords, result in self.calls:
            again = operation(*arguments, **keywords)
            if not written(operation, arguments, keywords) and not operation.is_view:
                for old, new in zip(tensors(result), tensors(again), strict=True):
                    old.copy_(new)

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        assert operation not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)  # wait
        self.before += [(tensor, tensor.clone()) for tensor in written(operation, arguments, keywords)]
        result = operation(*arguments, **keywords)
        self.calls.append((operation, arguments, keywords, result))
        return result


def written(operation: Any, arguments: Any, keywords: Any) -> list[torch.Tensor]:
    """Return the tensors that an operation writes into."""
    places = [place for place in operation._schema.arguments if place.alias_info and place.alias_info.is_write]
    names = [place.name for place in operation._schema.arguments]
    given = {**dict(zip(names, arguments, strict=False)), **keywords}
    return [given[place.name] for place in places]


def tensors(result: Any) -> list[torch.Tensor]:
    return list(result) if isinstance(result, list | tuple) else [result]


def test_recorded_step_is_a_function_of_device_state() -> None:
    """Updates replayed from the operations of one recorded step, in place and with no Python, are the reference's run: the proof on a
    CPU that a CUDA graph of the step is right. A cohort that is packed anew is recorded anew.
    """
    graphs: list[RecordingGraph] = []

    def record(device: torch.device) -> RecordingGraph:
        graphs.append(RecordingGraph())
        return graphs[-1]

    specs = [replace(s, patience=2, learning_rate=1e-9) if s.number < 3 else s for s in cohort()]
    specs = [replace(s, evaluate_at=(5, 10, 15, 21)) for s in specs]
    assert_parity(specs, graph=record)
    counts = [(graph.warm_ups, graph.captures, graph.replays) for graph in graphs]
    assert counts == [(WARM_UP, 1, 15 - WARM_UP), (WARM_UP, 1, 6 - WARM_UP)]


def test_float32_is_near() -> None:
    """In float32 losses drift from float64's by rounding only, and those of bfloat16 products by theirs."""
    exact = trained(cohort())
    for precision, bound in [("float32", 1e-4), ("tf32", 1e-4), ("bfloat16", 0.05)]:
        lane = FusedGroup(cohort(), small_data(dtype=torch.float32), precision)
        losses = lane.train(cohort()[0].evaluate_at[0], lambda: False)
        assert losses is not None
        drifts = [abs(float(own.mean()) - exact[n].history.training_loss[0]) for n, own in losses.items()]
        assert 0 < sorted(drifts)[len(drifts) // 2] < bound
        assert all(weight.dtype == torch.float32 for weight in lane.weights(0).values())


def test_precision_is_scoped_and_known() -> None:
    """The setting of CUDA's products holds inside and is undone after; an unknown precision names the known ones."""
    before = torch.backends.cuda.matmul.fp32_precision
    for precision, setting in PRECISIONS.items():
        with Products(precision, torch.device("cuda")).scoped():
            assert torch.backends.cuda.matmul.fp32_precision == setting
        assert torch.backends.cuda.matmul.fp32_precision == before
    with pytest.raises(UserError, match=r"'tf23'\. Did you mean 'tf32'"):
        FusedGroup(cohort(), small_data(), "tf23")


@pytest.mark.gpu
@pytest.mark.parametrize("batch_size", [7, "full"])
def test_cuda_equals_reference(batch_size: int | str) -> None:
    """In float64 a cohort on CUDA, its step recorded as a CUDA graph, has the runs of the reference on the CPU to 1e-10."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rows = len(small_data().training)
    specs = cohort(batch_size=rows if batch_size == "full" else batch_size, evaluate_at=(10, 20, 40))
    specs[4:6] = [replace(spec, patience=1, learning_rate=1e-9) for spec in specs[4:6]]
    data, source = small_data().to("cuda", torch.float64), TrialQueue(list(specs))
    plan = Plan("fused", "for the test", 5, FusedGroup)
    ConcurrentEngine(data, lambda spec: plan, max_concurrency=5, threads=1).run(source)
    for spec in specs:
        run = source.runs[spec.number]
        assert_equal(replace(run, weights={n: w.cpu() for n, w in (run.weights or {}).items()}), reference(spec))
