"""Networks, losses and metrics of one's own in `Objective`: what is refused, what is a trial's outcome, and what is left as it was."""

import multiprocessing
import pickle
import random
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from threadpoolctl import threadpool_info
from torch import Tensor, nn

from hpsearch import Objective, SearchResult, load, search
from hpsearch.config import check_config
from hpsearch.config.own import load_code
from hpsearch.data import from_arrays
from hpsearch.data.options import SplitOptions
from hpsearch.errors import SearchFailed, UserError
from hpsearch.searching.run_options import task_options, with_functions
from hpsearch.searching.scoring import outputs_of
from hpsearch.training import TrialQueue
from hpsearch.training.engines import make_engine
from hpsearch.trial import Outcome
from tests.support.small import small_data, small_spec

SPACE = {"batch_size": 10, "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}
INPUTS = 5


def objective(**changes: Any) -> Objective:
    settings: dict[str, Any] = {"space": SPACE, "training": {"epochs": 2}, "device": "cpu", **changes}
    return Objective(small_data("multiclass", torch.float32), **settings)


def optimized(function: Objective, trials: int = 1, **options: Any) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(direction=function.direction, sampler=sampler, pruner=optuna.pruners.NopPruner())
    study.optimize(function, n_trials=trials, **options)
    return study


def dropout(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A network that draws from the global random state, when it is made and at each update."""
    width = trial.suggest_int("units", 4, 16)
    return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, outputs))


class Head(nn.Module):
    """A trained head over a hidden layer that a subclass keeps where torch does not look."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(4, outputs)
        self.keep(nn.Linear(INPUTS, 4))

    def keep(self, layer: nn.Linear) -> None:
        """Keep a layer."""

    def hidden(self, inputs: Tensor) -> Tensor:
        """Make a layer for each batch: it is never the same."""
        outputs: Tensor = nn.Linear(INPUTS, 4)(inputs)
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(torch.relu(self.hidden(inputs)))
        return outputs


class InAnObject(Head):
    def keep(self, layer: nn.Linear) -> None:
        self.box = SimpleNamespace(layer=layer)

    def hidden(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.box.layer(inputs)
        return outputs


class InAClosure(Head):
    def keep(self, layer: nn.Linear) -> None:
        def apply(inputs: Tensor) -> Tensor:
            outputs: Tensor = layer(inputs)
            return outputs

        self.function: Callable[[Tensor], Tensor] = apply

    def hidden(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


class InASet(Head):
    def keep(self, layer: nn.Linear) -> None:
        self.layers = {layer}

    def hidden(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = next(iter(self.layers))(inputs)
        return outputs


class InABuffer(Head):
    def keep(self, layer: nn.Linear) -> None:
        self.register_buffer("weight", layer.weight.detach().clone().T.requires_grad_())

    def hidden(self, inputs: Tensor) -> Tensor:
        assert isinstance(self.weight, Tensor)
        return inputs @ self.weight


class Detached(Head):
    def keep(self, layer: nn.Linear) -> None:
        self.layer = layer

    def hidden(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs)
        return outputs.detach()


class Late(InAClosure):
    def hidden(self, inputs: Tensor) -> Tensor:
        """Use the layer from the fifth batch on."""
        self.batches = getattr(self, "batches", 0) + self.training
        hidden = self.function(inputs)
        return hidden if self.batches > 4 else hidden.detach()


class MadeAnew(Head):
    def hidden(self, inputs: Tensor) -> Tensor:
        """Make the layer of each batch an attribute: torch lists it, the optimizer has another."""
        self.layer = nn.Linear(INPUTS, 4)
        outputs: Tensor = self.layer(inputs)
        return outputs


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (InAnObject, r"InAnObject\.box\.layer\.weight"),
        (InAClosure, r"InAClosure\.function\.layer\.weight"),
        (InASet, r"InASet\.layers\[…\]\.weight"),
        (InABuffer, r"InABuffer\.weight"),
        (Head, r"in Head a tensor that no attribute leads to"),
        (Late, r"Late\.function\.layer\.weight"),
        (MadeAnew, r"MadeAnew\.layer\.weight"),
    ],
)
def test_a_layer_that_the_optimizer_does_not_know_is_refused(network: type[Head], named: str) -> None:
    """Wherever a layer hides, and whenever it is used, the gradient of the loss leads to it, and the refusal names it."""
    with pytest.raises(UserError, match=rf"{named}.*parameters\(\) (does|did) not list it"):
        optimized(objective(build=lambda trial, shape, outputs: network(outputs)))


def test_a_parameter_without_a_gradient_is_told() -> None:
    """A listed parameter that no gradient ever reaches is named, in a warning and in the trial."""
    with pytest.warns(UserWarning, match=r"no gradient reached layer\.bias, layer\.weight"):
        study = optimized(objective(build=lambda trial, shape, outputs: Detached(outputs)))
    assert study.trials[0].user_attrs["detail"] == "no gradient reached layer.bias, layer.weight"


class Projected(Head):
    """A head over a fixed random projection, a plain tensor in float32."""

    def keep(self, layer: nn.Linear) -> None:
        self.projection = torch.randn(INPUTS, 4)

    def hidden(self, inputs: Tensor) -> Tensor:
        return inputs @ self.projection


class ProjectedAnew(Projected):
    def keep(self, layer: nn.Linear) -> None:
        self.projection = torch.randn(INPUTS, 4, generator=torch.Generator().manual_seed(next(SEEDS)))


SEEDS = count()


def test_tensors_that_are_no_weights_are_those_of_training() -> None:
    """A network may hold a plain tensor that its seed decides: the result's network answers as the trial's did."""
    function = objective(build=lambda trial, shape, outputs: Projected(outputs))
    study = optimized(function)
    result = function.result(study, confirm=0)
    rows = function.data.validation
    network = result.model.members[0]
    value = function.data.score(outputs_of(network, rows.inputs), rows)[1]
    assert value == study.best_value
    assert result.predict_proba(rows.inputs.numpy()).shape == (len(rows), 3)


def test_what_is_not_saved_with_the_weights_is_refused() -> None:
    """A network that needs more than its weights and seed to predict as it did would be saved as another one."""
    with pytest.raises(UserError, match=r"keeps something that is not saved with its weights.*register_buffer"):
        optimized(objective(build=lambda trial, shape, outputs: ProjectedAnew(outputs)))


def test_inputs_may_have_a_gradient() -> None:
    """A network that asks for the gradient of its inputs is not refused for them."""

    class Asks(nn.Sequential):
        def forward(self, inputs: Tensor) -> Tensor:
            layer = self[0]
            outputs: Tensor = layer(inputs.detach().requires_grad_())
            return outputs

    study = optimized(objective(build=lambda trial, shape, outputs: Asks(nn.Linear(shape[0], outputs))))
    assert study.trials[0].user_attrs["outcome"] == "finished"


def test_a_network_that_was_trained_before_is_refused() -> None:
    """A module made outside build would train on from trial to trial and from fold to fold."""
    shared = nn.Linear(INPUTS, 3)
    with pytest.raises(UserError, match=r"whose weight another trial or fold has trained already.*copy\.deepcopy"):
        optimized(objective(build=lambda trial, shape, outputs: shared), 2)


def test_noise_cannot_be_learned_across_folds() -> None:
    """Labels that are pure noise are right by half in a cross-validation, and a module of several folds is refused."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 20)).astype("float32")
    data = from_arrays(inputs, generator.integers(0, 2, 200), split=SplitOptions(folds=5, test=0))
    shared = nn.Linear(20, 1)
    with pytest.raises(UserError, match="another trial or fold"):
        optimized(Objective(data, SPACE, build=lambda trial, shape, outputs: shared, training={"epochs": 2}))
    fresh = Objective(data, SPACE, build=lambda trial, shape, outputs: nn.Linear(20, 1), training={"epochs": 9})
    assert 0.4 < optimized(fresh).best_value < 0.6


def test_a_frozen_part_may_be_shared() -> None:
    """A layer that is not trained may be made once for all trials."""
    frozen = nn.Linear(INPUTS, 8).requires_grad_(False)

    def build(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Sequential(frozen, nn.ReLU(), nn.Linear(8, outputs))

    before = frozen.weight.clone()
    assert len(optimized(objective(build=build), 3).trials) == 3
    assert torch.equal(frozen.weight, before)


@pytest.mark.parametrize("build", [dropout, None])
def test_threads_change_nothing(build: Any) -> None:
    """Four threads find what one finds; random states and numbers of threads are as before, in this thread and in a new one."""
    values = []
    before = _states()
    for jobs in (1, 4):
        function = objective(build=build)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        for rate, units in ((0.001, 4), (0.002, 8), (0.004, 9), (0.008, 12), (0.003, 16)):
            study.enqueue_trial({"learning_rate": rate, "units": units})
        study.optimize(function, n_trials=5, n_jobs=jobs)
        values.append([trial.value for trial in study.trials])
    assert values[0] == values[1]
    assert _states() == before


def _states() -> list[Any]:
    threads: list[int] = []
    thread = threading.Thread(target=lambda: threads.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    numpy_state = np.random.get_state()[1]  # type: ignore[index]
    return [
        torch.get_rng_state().sum().item(),
        int(np.sum(numpy_state)),
        random.getstate(),
        torch.get_num_threads(),
        threads,
        blas,
    ]


def _value(function: Objective) -> float:
    return float(optimized(function).best_value)


def _tell(function: Objective, answers: Any) -> None:
    answers.put(_value(function))


def test_it_can_be_pickled() -> None:
    """An objective that went through pickle, its data and a network of one's own with it, gives the same value."""
    function = objective(build=dropout)
    value = _value(function)
    assert _value(pickle.loads(pickle.dumps(function))) == value  # noqa: S301


def test_a_forked_child_ends() -> None:
    """A child that is forked after torch computed with several threads computes the same, and does not wait for threads it lacks."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    function = objective(build=dropout)
    value = _value(function)
    torch.randn(1000, 1000).sin().sum()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_tell, args=(function, answers))
    child.start()
    try:
        assert answers.get(timeout=300) == value
    finally:
        child.kill()
        child.join()


def test_an_error_of_hyperparameters_is_the_trials_outcome() -> None:
    """A batch of one row, which BatchNorm cannot take, ends its trial with the worst value, and the study goes on."""

    def build(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(shape[0], 4), nn.BatchNorm1d(4), nn.Linear(4, outputs))

    function = objective(build=build, space={"batch_size": [1, 10]})
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for size in (1, 10):
        study.enqueue_trial({"batch_size": size})
    with pytest.warns(UserWarning, match="trial 0: ValueError: Expected more than 1 value per channel"):
        study.optimize(function, n_trials=2)
    assert [trial.user_attrs["outcome"] for trial in study.trials] == ["raised an error", "finished"]
    assert study.trials[0].value == function.worst
    assert study.trials[0].constraints == {"failed": 1.0}


def test_an_error_of_the_code_is_raised() -> None:
    """What no hyperparameter can cause ends the study with its own traceback."""

    def build(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Linear(shape[0], outputs, no_such_argument=1)  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="no_such_argument"):
        optimized(objective(build=build))


def test_a_parameter_without_a_gradient_is_told_by_a_search(caplog: pytest.LogCaptureFixture) -> None:
    """In a search, its folds included, such a parameter is named once, and in the table of trials."""
    generator = np.random.default_rng(0)
    rows, targets = generator.normal(size=(60, INPUTS)), np.arange(60) % 2
    options: dict[str, Any] = {"trials": 2, "training": {"epochs": 1}, "confirm": 0, "device": "cpu"}
    result = search(rows, targets, build=lambda trial, shape, outputs: Detached(outputs), **options)
    assert set(result.trials["detail"]) == {"no gradient reached layer.bias, layer.weight"}
    assert caplog.text.count("no gradient reached layer.bias, layer.weight") == 1


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.squeeze() - targets).square().mean()  # [B] beside [B, 1]


@pytest.mark.parametrize(
    ("loss", "problem"),
    [
        (squared, r"stays the same when rows exchange their targets.*\(48, 1\), targets \(48, 1\)"),
        (nn.MSELoss(reduction="none"), r"returned a tensor of shape \(48, 1\); expected a tensor with one number"),
        (lambda outputs, targets: 1.0, r"returned a float; expected a tensor with one number"),
        (lambda outputs, targets: (outputs - targets).square().mean().detach(), r"has no gradient"),
        (nn.BCELoss(), r"raised RuntimeError: all elements of input should be between 0 and 1"),
    ],
)
def test_a_loss_that_trains_nothing_is_refused(loss: Any, problem: str) -> None:
    """A loss that is no number, has no gradient, or does not compare rows with their targets is one line, before any trial."""
    rows = np.random.default_rng(0).normal(size=(80, INPUTS))
    with pytest.raises(UserError, match=problem):
        Objective((rows, rows[:, 0]), loss=loss, validation=20, device="cpu")


@pytest.mark.parametrize("folds", [None, 2])
def test_an_error_of_a_loss_in_training_is_the_trials_outcome(folds: int | None) -> None:
    """A loss of one's own that fails in the middle of a training ends that trial, with hpsearch's networks too."""

    def fails(outputs: Tensor, targets: Tensor) -> Tensor:
        if not outputs.requires_grad:
            raise ValueError("no validation rows, please")
        return nn.functional.mse_loss(outputs, targets)

    rows = np.random.default_rng(0).normal(size=(80, INPUTS))
    options: dict[str, Any] = {"training": {"epochs": 1}, "confirm": 0, "device": "cpu", "folds": folds}
    with pytest.raises(SearchFailed, match=r"an error in all of 2 trials.*no validation rows, please"):
        search(rows, rows[:, 0], loss=fails, trials=2, **options)


class Two(nn.Linear):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs), inputs


def test_a_network_that_returns_two_tensors_is_refused() -> None:
    """One tensor of outputs is expected."""
    with pytest.raises(UserError, match="Two returns a tuple; expected one tensor"):
        optimized(objective(build=lambda trial, shape, outputs: Two(shape[0], outputs)))


def hits(y_true: Any, y_pred: Any) -> float:
    """Return the accuracy as scikit-learn's functions get it."""
    return float(np.mean(y_true == y_pred))


def area(y_true: Any, y_score: Any) -> float:
    """Return the mean probability of the true class."""
    return float(np.mean(np.asarray(y_score)[np.arange(len(y_true)), y_true]))


def test_a_metric_of_ones_own() -> None:
    """A function that computes the accuracy of classes gives what the metric of that name gives; one with `y_score` gets probabilities."""
    own = objective(metric=hits, better="maximize")
    assert _value(own) == pytest.approx(_value(objective(metric="accuracy")))
    assert own.worst < 0
    of_probabilities = objective(metric=area, better="maximize")
    assert 0 < _value(pickle.loads(pickle.dumps(of_probabilities))) < 1  # noqa: S301
    with pytest.raises(UserError, match="say what is better"):
        objective(metric=hits)


@pytest.mark.slow
def test_a_loss_of_ones_own() -> None:
    """A loss of one's own that is the task's gives the task's values, in the reference engine."""
    own = objective(loss=nn.functional.cross_entropy, training={"epochs": 3, "precision": "float64"})
    named = objective(training={"epochs": 3, "precision": "float64"})
    first, second = optimized(own).trials[0], optimized(named).trials[0]
    assert first.intermediate_values == pytest.approx(second.intermediate_values, abs=1e-10)
    assert own.data.task.loss_name == "cross_entropy"


def test_class_weights_weigh() -> None:
    """Balanced class weights are N / (C · N_c), whether the data are arrays or a `Data`."""
    inputs = np.random.default_rng(0).normal(size=(100, 3))
    targets = (np.arange(100) % 5 == 0).astype(int)
    data = from_arrays(inputs, targets)
    for given in ((inputs, targets), data):
        function = Objective(given, SPACE, training={"epochs": 1, "class_weights": "balanced"}, device="cpu")
        counts = np.bincount(function.data.training.targets.flatten().long())
        assert function.data.class_weights is not None
        assert function.data.class_weights.tolist() == pytest.approx(list(counts.sum() / (2 * counts)))


def test_a_metric_for_data_of_ones_own_applies() -> None:
    """The metric that is asked for is that of the objective; another task is refused."""
    function = objective(metric="log_loss")
    assert (function.data.metric.name, function.direction, function.worst) == ("log_loss", "minimize", 10 * np.log(3))
    with pytest.raises(UserError, match="of a multiclass task already"):
        objective(task="regression")


def test_fresh_seeds() -> None:
    """A trial is one run; with a seed it is another run, the same one each time, of which nothing is stored."""
    function = objective()
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"learning_rate": 0.001})
    values: list[float] = []

    def several(trial: optuna.Trial) -> float:
        values.extend(function(trial, seed=seed) for seed in (0, 1, 0))
        assert not trial.user_attrs
        first = function(trial)
        with pytest.warns(UserWarning, match="the same trial again is the same run"):
            assert function(trial) == first
        return first

    study.optimize(several, n_trials=1)
    assert values[0] == values[2] != values[1]


def test_several_objectives() -> None:
    """In a study of several objectives it gives its value, and reports nothing that Optuna could not take."""
    function = objective()
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.optimize(lambda trial: (function(trial), trial.params["learning_rate"]), n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
    with pytest.raises(UserError, match="direction 'minimize'"):
        optuna.create_study(directions=["minimize", "minimize"]).optimize(
            lambda trial: (function(trial), 0.0), n_trials=1
        )


@pytest.mark.parametrize("data", [None, 3, ("a", "b", "c"), np.zeros((3, 2))])
def test_other_data_are_refused_in_one_line(data: Any) -> None:
    """What is no data set, pair or `Data` is named, with what was expected."""
    with pytest.raises(UserError, match=r"^data is a .*; expected the name of a data set, a pair"):
        Objective(data)


def test_settings_may_be_numbers_of_numpy() -> None:
    """Scalars and arrays of NumPy's are the numbers that they hold."""
    space = {"batch_size": np.int64(10), "learning_rate": np.float64(0.01), "width": np.array([4, 8])}
    function = objective(space=space, training={"epochs": np.int64(2)})
    plain = objective(space={"batch_size": 10, "learning_rate": 0.01, "width": [4, 8]})
    assert function.config.settings() == plain.config.settings()


def test_the_study_of_an_objective() -> None:
    """`study()` has the metric's direction and begins with the known-good trial; each trial keeps its curve, batch size and outcome."""
    function = objective()
    study = function.study()
    study.optimize(function, n_trials=2)
    assert study.direction.name.lower() == function.direction
    assert study.trials[0].params == {"learning_rate": 0.001}
    kept = study.trials[1].user_attrs["hpsearch:run"]
    assert (kept["outcome"], kept["batch_size"], len(kept["history"]["metric"])) == ("finished", 10, 2)
    assert study.user_attrs["hpsearch:settings"]["space"] == function.config.space.plain()
    assert study.user_attrs["hpsearch:data"]["task"] == "multiclass"


def test_the_result_of_a_study(tmp_path: Path) -> None:
    """`result` concludes an Optuna study as `search` does: fresh seeds, one look at the test rows, a model that is loaded again."""
    rows = np.random.default_rng(0).normal(size=(150, 4))
    targets = (rows[:, 0] > 0).astype(int)
    function = Objective((rows, targets), SPACE, build=dropout, training={"epochs": 3}, device="cpu")
    study = optimized(function, 3)
    result = function.result(study, confirm=2, seeds=2, name="own", reports=tmp_path)
    assert result.record.result["search"]["value"] == study.best_value
    assert (result.record.selected.looks, len(result.record.result["confirmed"])) == (1, 2)
    assert result.report().is_file()
    again = load("own", reports=tmp_path, build=dropout)
    assert isinstance(again, SearchResult)
    assert np.array_equal(again.predict(rows), result.predict(rows))
    with pytest.raises(UserError, match="files hold no code"):
        load("own", reports=tmp_path)


def test_the_best_network_of_a_study_is_its_own() -> None:
    """Without a confirmation the best trial's network is trained again under its number: its value is the study's best."""
    function = objective(space={**SPACE, "width": [4, 8]})
    study = optimized(function, 3)
    result = function.result(study, confirm=0)
    assert (result.best.trial, result.best.value) == (study.best_trial.number, study.best_value)
    member = result.model.members[0]
    outputs = outputs_of(member, function.data.validation.inputs)
    assert function.data.score(outputs, function.data.validation)[1] == pytest.approx(study.best_value)
    other = Objective("iris", SPACE, training={"epochs": 1})
    with pytest.raises(UserError, match="not run with this objective"):
        other.result(study)


def test_search_with_a_network_a_loss_and_a_metric_of_ones_own(tmp_path: Path) -> None:
    """`search` takes what `Objective` takes; a resumed search proposes the same trials again."""
    rows = np.random.default_rng(0).normal(size=(120, 4))
    targets = np.arange(120) % 3
    settings: dict[str, Any] = {
        "build": dropout,
        "loss": nn.functional.cross_entropy,
        "metric": hits,
        "better": "maximize",
        "space": SPACE,
        "training": {"epochs": 2},
        "validation": 0.2,
        "confirm": 0,
        "device": "cpu",
        "name": "own",
        "reports": tmp_path,
    }
    first = search(rows, targets, trials=2, **settings)
    longer = search(rows, targets, trials=3, **settings)
    assert [*longer.trials["units"][:2]] == [*first.trials["units"]]
    assert longer.best.metric == "hits"
    assert longer.predict(rows).shape == (120,)


def test_code_that_a_stored_study_names_is_not_run() -> None:
    """Settings that name a network, without the function itself, are refused where they would be trained."""
    config = check_config({"data": {"name": "iris"}, "training": {"model": "net.py:build"}}, "test")
    with pytest.raises(UserError, match=r"never run"):
        task_options(config)


def test_code_from_a_file(tmp_path: Path) -> None:
    """`FILE.py:NAME` is a function of that file; a file or name that is not there is refused with those there are."""
    file = tmp_path / "net.py"
    file.write_text("def build(trial, shape, outputs):\n    return shape\n")
    assert load_code(f"{file}:build", "--model")(None, (3,), 1) == (3,)
    with pytest.raises(UserError, match=r"no function 'bild'\. It has: build"):
        load_code(f"{file}:bild", "--model")
    with pytest.raises(UserError, match=r"no such file\. Give it as FILE\.py:NAME"):
        load_code("nothing.py:build", "--model")


def test_an_error_in_every_trial_is_told() -> None:
    """Where code of one's own fails in all trials the search says how, and does not advise another learning rate."""
    generator = np.random.default_rng(0)
    rows, targets = generator.normal(size=(60, 2)), np.arange(60) % 2

    def wrong(trial: optuna.Trial, shape: tuple[int, ...], outputs: int) -> nn.Module:
        raise ValueError("no such layer")

    with pytest.raises(SearchFailed, match=r"an error in all of 2 trials, first: .*no such layer.* Mend it\.$"):
        search(rows, targets, build=wrong, trials=2, training={"epochs": 1}, confirm=0, device="cpu")


@pytest.mark.parametrize("what", ["loss", "metric"])
def test_a_function_that_fails_is_told_before_the_search(what: str) -> None:
    """A loss or a metric of one's own that raises an error is one line, before any trial."""

    def wrong(first: Any, second: Any) -> Any:
        raise ValueError("no such column")

    options: dict[str, Any] = {"loss": wrong} if what == "loss" else {"metric": wrong, "better": "maximize"}
    with pytest.raises(UserError, match=rf"^{what} wrong raised ValueError: no such column\. Mend it\.$"):
        search(np.zeros((60, 2)) + np.arange(60)[:, None], np.arange(60) % 2, trials=1, **options)


@pytest.mark.parametrize("engine", ["reference", "compiled", "fused"])
def test_a_metric_that_fails_later_is_the_outcome_of_its_trial(engine: str) -> None:
    """In every engine a metric's error is the outcome of the trial that it failed in; those trained beside it go on."""

    def picky(y_true: Any, y_pred: Any) -> float:
        right = float((y_true == y_pred).mean())
        if right > 0.85:
            raise ValueError("too good to be true")
        return right

    rows = np.random.default_rng(0).normal(size=(80, 3))
    data = with_functions(from_arrays(rows, rows[:, 0] > 0), None, picky, "maximize")
    rates = (1e-4, 0.3, 1e-5, 0.5)
    specs = [
        small_spec(data, number=number, learning_rate=rate, evaluate_at=(1, 40)) for number, rate in enumerate(rates)
    ]
    queue = TrialQueue(specs)
    make_engine(engine, data, 4).run(queue)
    outcomes = [queue.runs[number].outcome for number in range(4)]
    assert outcomes == [Outcome.FINISHED, Outcome.ERROR, Outcome.FINISHED, Outcome.ERROR]
    assert queue.runs[1].detail == "ValueError: too good to be true"


@pytest.mark.slow
def test_a_metric_that_fails_on_the_test_rows_is_one_line() -> None:
    """After the search too, an error of one's own metric is one line that names it."""

    def picky(y_true: Any, y_pred: Any) -> float:
        if len(y_true) == 9:
            raise ValueError("nine rows")
        return float((y_true == y_pred).mean())

    rows = np.random.default_rng(0).normal(size=(60, 2))
    options: dict[str, Any] = {"trials": 1, "confirm": 0, "training": {"epochs": 1}, "test": 9, "device": "cpu"}
    with pytest.raises(UserError, match=r"^metric picky raised ValueError: nine rows\. Mend it\.$"):
        search(rows, rows[:, 0] > 0, metric=picky, better="maximize", validation=0.2, **options)
