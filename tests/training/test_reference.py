"""The reference engine: the specification of training, against torch written out by hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from hpsearch.training import TrialQueue, draws, schedules
from hpsearch.training.layers import ACTIVATIONS, INITIALIZATIONS
from hpsearch.training.network import DNN
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.reference import Batches, ReferenceEngine, train, train_safely
from hpsearch.training.schedules import SCHEDULES, learning_rates
from hpsearch.trial import Outcome, TrainingRun, TrialSpec
from tests.support.small import small_data, small_spec

# the same updates, spelled as a reader of torch's documentation would
BY_HAND: dict[str, Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.99, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.9, 0.999), eps=1e-8),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, eps=1e-10),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.1, betas=(0.9, 0.999), eps=1e-8),
}
MODULES = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
LOSSES = {"regression": nn.MSELoss(), "binary": nn.BCEWithLogitsLoss(), "multiclass": nn.CrossEntropyLoss()}


def trained(spec: TrialSpec, task: str = "multiclass", source: TrialQueue | None = None) -> TrainingRun:
    run = train(spec, small_data(task), source or TrialQueue())
    assert run is not None
    return run


def by_hand(spec: TrialSpec, task: str) -> tuple[list[float], nn.Sequential]:
    """Train with `nn.Sequential`, `nn` losses and `torch.optim`; return the loss of every update and the network."""
    data, architecture = small_data(task), spec.architecture
    assert architecture is not None
    a, b = architecture.widths
    activation = MODULES[architecture.activation]
    network = nn.Sequential(
        nn.Linear(5, a), activation(), nn.Linear(a, b), activation(), nn.Linear(b, architecture.outputs)
    ).double()
    for layer, weight in zip(network[::2], draws.initial_weights(architecture, spec.seed), strict=True):
        assert isinstance(layer, nn.Linear)
        layer.weight.data.copy_(weight)
        layer.bias.data.zero_()
    optimizer = BY_HAND[spec.optimizer](network.parameters())
    losses, rows = [], len(data.training)
    for update in range(spec.updates):
        pass_, index = divmod(update, rows // spec.batch_size)
        order = draws.batch_order(spec.order_seed, spec.batch_size, pass_, rows)
        chosen = order[index * spec.batch_size : (index + 1) * spec.batch_size]
        loss = LOSSES[task](network(data.training.inputs[chosen]), data.training.targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, network


@pytest.mark.parametrize(("optimizer", "activation"), list(product(OPTIMIZERS, ACTIVATIONS)))
def test_equals_torch_by_hand(optimizer: str, activation: str) -> None:
    """For every optimizer and activation the losses are those of plain torch, to rounding."""
    spec = small_spec(small_data(), optimizer=optimizer, activation=activation)
    losses, _ = by_hand(spec, "multiclass")
    means = [sum(losses[i : i + 3]) / 3 for i in range(0, 12, 3)]
    assert trained(spec).history.training_loss == pytest.approx(means, abs=1e-12)


@pytest.mark.parametrize("task", LOSSES)
def test_equals_torch_by_hand_for_every_task(task: str) -> None:
    """Losses, final weights, validation loss of regression, binary and multiclass are those of plain torch."""
    data = small_data(task)
    spec = small_spec(data, learning_rate=0.1)
    losses, network = by_hand(spec, task)
    run = trained(spec, task)
    assert run.history.training_loss[-1] == pytest.approx(sum(losses[-3:]) / 3, abs=1e-12)
    with torch.no_grad():
        loss = LOSSES[task](network(data.validation.inputs), data.validation.targets)
    assert run.history.validation_loss[-1] == pytest.approx(loss.item(), abs=1e-12)


def test_weights_are_those_of_the_best_evaluation() -> None:
    """The run's weights reproduce the metric and loss of its best evaluation, not of its last."""
    data = small_data()
    spec = small_spec(data, learning_rate=1.0, evaluate_at=tuple(range(1, 41)))
    run = trained(spec)
    assert spec.architecture is not None
    assert run.weights is not None
    network = DNN(spec.architecture).double()
    network.load_state_dict(run.weights)
    with torch.no_grad():
        loss, metric = data.score(network(data.validation.inputs), data.validation)
    assert run.best < 40
    assert run.value == metric == run.history.metric[run.best - 1] == max(run.history.metric)
    assert run.loss == loss == run.history.validation_loss[run.best - 1]


def test_schedule_sets_every_step() -> None:
    """A schedule multiplies the learning rate: with factors of a constant 1 and the cosine's, losses part after one update."""
    constant, cosine = (
        trained(small_spec(small_data(), schedule=s, evaluate_at=(1, 2, 3))) for s in ("constant", "cosine")
    )
    assert constant.history.validation_loss[0] == cosine.history.validation_loss[0]
    assert constant.history.validation_loss[1] != cosine.history.validation_loss[1]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [1, 0.8535533905932737, 0.5, 0.14644660940672627]),
        ("step", [1, 1, 0.1, 0.01]),
        ("warm_up", [0.01, 1, 1, 1]),
        ("warm_up_cosine", [0.01, 0.8535533905932737, 0.5, 0.14644660940672627]),
    ],
)
def test_schedule_factors(schedule: str, expected: list[float]) -> None:
    """Each schedule's factors at four equal steps of the budget are those of its formula."""
    assert list(SCHEDULES[schedule].factors(0, 4, 4)) == pytest.approx(expected)


def test_coefficients_and_decay_reach_the_update() -> None:
    """Momentum, betas, smoothing, epsilon and weight decay each change the run."""
    data = small_data()
    for name, row in OPTIMIZERS.items():
        plain = trained(small_spec(data, optimizer=name)).history.validation_loss
        halved = ({"coefficients": {c: v * 0.5}} for c, v in row.coefficients.items())
        every: list[dict[str, Any]] = [{"weight_decay": 0.1}, *halved]
        for changes in every:
            changed = trained(small_spec(data, optimizer=name, **changes)).history.validation_loss
            assert changed != plain, (name, changes)


def test_a_run_is_a_function_of_its_specification() -> None:
    """Neither global random state nor trials trained before change a run, bit for bit (contract 1)."""
    spec = small_spec(small_data(), dropout=0.3)
    first = trained(spec)
    torch.manual_seed(99)
    torch.rand(5)
    trained(small_spec(small_data(), seed=1, batch_size=7))
    again = trained(spec)
    assert first.history.validation_loss == again.history.validation_loss
    assert first.weights is not None
    assert again.weights is not None
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


def test_global_random_state_is_left_alone() -> None:
    """Training draws nothing from torch's global generator."""
    before = torch.random.get_rng_state()
    trained(small_spec(small_data(), dropout=0.3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_trial_seed_decides_weights_and_study_seed_the_order() -> None:
    """Another trial seed and another order seed each give another run."""
    data = small_data()
    runs = [trained(small_spec(data, **c)).history.validation_loss for c in ({}, {"seed": 12}, {"order_seed": 6})]
    assert len(set(runs)) == 3


def test_batches_of_a_pass_are_disjoint_and_fresh() -> None:
    """A pass sees each row at most once in batches of exactly B; the next pass has another order; all trials see the same."""
    data = small_data()
    rows = len(data.training)
    spec = small_spec(data, batch_size=9)
    batches, other = Batches(data.training, spec), Batches(data.training, replace(spec, seed=1, number=8))
    per_pass = rows // 9
    passes = [torch.cat([batches[p * per_pass + i][0] for i in range(per_pass)]) for p in (0, 1)]
    assert all(len(torch.unique(p, dim=0)) == per_pass * 9 for p in passes)
    assert not torch.equal(*passes)
    assert torch.equal(passes[0][:9], other[0][0])


def test_blocks_do_not_change_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gathering rows in small blocks gives the batches that one block gives."""
    spec = small_spec(small_data(), batch_size=4, evaluate_at=(30,))
    whole = trained(spec).history
    monkeypatch.setattr("hpsearch.training.reference.BLOCK", 8)
    assert trained(spec).history.validation_loss == whole.validation_loss


def test_full_batch_is_gradient_descent() -> None:
    """The full batch visits the rows in their order, so that the study's seed cannot matter."""
    data = small_data()
    spec = small_spec(data, batch_size=len(data.training))
    assert trained(spec).history.training_loss == trained(replace(spec, order_seed=77)).history.training_loss


def test_divergence_names_the_update() -> None:
    """A loss that is no longer finite ends the run in an outcome with the exact update, without value or weights."""
    data = small_data("regression")
    run = trained(small_spec(data, activation="relu", learning_rate=1e6, evaluate_at=(50, 100)), "regression")
    assert run.outcome is Outcome.DIVERGED
    assert (run.value, run.weights, run.best) == (None, None, 0)
    losses = []
    for until in range(1, 51):
        finite = trained(small_spec(data, activation="relu", learning_rate=1e6, evaluate_at=(until,)), "regression")
        losses.append(finite.outcome is Outcome.FINISHED or "validation" in finite.detail)
        if not losses[-1]:
            break
    assert f"update {len(losses)} " in run.detail


def test_patience_stops_early() -> None:
    """After `patience` evaluations without a better metric the run stops, and keeps its best."""
    spec = small_spec(small_data(), learning_rate=1e-12, evaluate_at=tuple(range(1, 31)), patience=4)
    run = trained(spec)
    assert run.outcome is Outcome.STOPPED_EARLY
    assert len(run.history) == 5
    losses = run.history.validation_loss
    assert set(run.history.metric) == {run.value}
    assert run.loss == min(losses) == losses[run.best - 1] != losses[0]


def test_pruner_is_asked_at_rungs_only() -> None:
    """The source is asked at the rungs, with the metric there, and its word ends the run."""
    asked = []

    def ask(evaluation: int, metric: float) -> bool:
        asked.append((evaluation, metric))
        return evaluation == 3

    run = trained(small_spec(small_data(), rungs=(1, 3)), source=TrialQueue(prunes=ask))
    assert run.outcome is Outcome.PRUNED
    assert asked == [(1, run.history.metric[0]), (3, run.history.metric[2])]
    assert len(run.history) == 3


def test_fewer_updates_than_evaluations() -> None:
    """Evaluations without an update in between repeat their entry, so that rungs stay comparable."""
    run = trained(small_spec(small_data(), evaluate_at=(1, 1, 2, 2)))
    assert run.history.update == (1, 1, 2, 2)
    assert run.history.validation_loss[0] == run.history.validation_loss[1]


def test_stopping_drops_the_run() -> None:
    """A source that is stopping gets no run: the trial is trained again some other day."""
    assert train(small_spec(small_data()), small_data(), TrialQueue(stopping=True)) is None


def test_out_of_memory_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exhausted memory ends the trial in its outcome; any other error is a bug and passes through."""

    def exhausted(*arguments: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("hpsearch.training.reference.train", exhausted)
    run = train_safely(small_spec(small_data()), small_data(), TrialQueue())
    assert run is not None
    assert run.outcome is Outcome.OUT_OF_MEMORY

    def broken(*arguments: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("hpsearch.training.reference.train", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        train_safely(small_spec(small_data()), small_data(), TrialQueue())


def test_engine_trains_what_the_source_has() -> None:
    """The engine pulls one trial after another and hands in each run."""

    class Two:
        stopping = False
        specs = [small_spec(small_data(), number=n) for n in (1, 0)]
        runs: list[TrainingRun] = []

        def take(self, room: int) -> list[TrialSpec]:
            assert room == 1
            return [self.specs.pop()] if self.specs else []

        def prune(self, number: int, evaluation: int, metric: float) -> bool:
            return False

        def wants(self, run: TrainingRun) -> bool:
            return True

        def finish(self, run: TrainingRun) -> None:
            self.runs.append(run)

    two = Two()
    ReferenceEngine(small_data()).run(two)
    assert [run.number for run in two.runs] == [0, 1]


def test_dropout_silences_and_keeps_the_mean() -> None:
    """Dropout zeroes the stated share, keeps the mean, and unit j of row i has one fate whatever the width."""
    noise = draws.Noise(5, 17)
    mask = noise.keep(0, 0.3, torch.empty(512, 256))
    assert float((mask == 0).double().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(mask.double().mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(noise.keep(0, 0.3, torch.empty(64, 32)), mask[:64, :32])
    others = (noise.keep(1, 0.3, mask), draws.Noise(5, 18).keep(0, 0.3, mask), draws.Noise(6, 17).keep(0, 0.3, mask))
    assert all(0.5 < float((other == mask).double().mean()) < 0.65 for other in others)  # 0.7² + 0.3² = 0.58


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_initial_weights_have_their_variance(name: str) -> None:
    """Each initialisation has the variance of its formula; trials and layers draw apart, precisions alike."""
    from hpsearch.trial import Architecture

    architecture = Architecture(200, (300,), 100, initialization=name)
    first, second = draws.initial_weights(architecture, 1)
    variance = {"kaiming": 2 / 200, "lecun": 1 / 200, "xavier": 2 / 500}[name.split("_", maxsplit=1)[0]]
    assert float(first.var()) == pytest.approx(variance, rel=0.03)
    assert not torch.equal(first, draws.initial_weights(architecture, 2)[0])
    assert first.dtype == second.dtype == torch.float64


def test_learning_rates_are_made_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many updates a window has, no more learning rates exist at once than a block has, and they are those of one block."""
    spec = small_spec(small_data(), schedule="warm_up_cosine")
    longest: list[int] = []

    def recorded(spec: TrialSpec, start: int, stop: int) -> Any:
        longest.append(stop - start)
        return learning_rates(spec, start, stop)

    monkeypatch.setattr(schedules, "learning_rates", recorded)
    assert [*schedules.each_learning_rate(spec, 0, 12)] == learning_rates(spec, 0, 12).tolist()
    whole = trained(replace(spec, evaluate_at=(12,)))
    assert longest == [12, 12]
    monkeypatch.setattr(schedules, "BLOCK", 5)
    assert trained(replace(spec, evaluate_at=(12,))).history.training_loss == whole.history.training_loss
    assert longest[2:] == [5, 5, 2]
    monkeypatch.setattr(schedules, "BLOCK", 4096)
    next(schedules.each_learning_rate(replace(spec, evaluate_at=(10**9,)), 0, 10**9))
    assert longest[-1] == 4096


@pytest.mark.gpu
def test_cuda_equals_cpu() -> None:
    """In float64 a run on CUDA has the CPU's history to 1e-10."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    data = small_data()
    spec = small_spec(data, dropout=0.2, optimizer="adam")
    there = train(spec, data.to("cuda", torch.float64), TrialQueue())
    assert there is not None
    assert there.history.validation_loss == pytest.approx(trained(spec).history.validation_loss, abs=1e-10)
