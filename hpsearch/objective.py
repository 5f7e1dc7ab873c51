"""`Objective`: one hpsearch trial as a function that plain Optuna optimizes, with any of its samplers, pruners and storages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import optuna
import torch
from torch import nn

from hpsearch.config import StudyConfig, check_config, find_study, read_config
from hpsearch.data import Data, from_arrays, load
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.errors import UserError
from hpsearch.training.devices import check_precision, choose_device
from hpsearch.training.folds import train_trial
from hpsearch.training.network import refuse_hidden_parameters
from hpsearch.trial import Outcome, TrialSpec

Build = Callable[[optuna.Trial, tuple[int, ...], int], nn.Module]


class Objective:
    """Trains the network that a trial proposes and returns its metric on the validation rows.

        objective = Objective("digits")
        study = optuna.create_study(direction=objective.direction)
        study.optimize(objective, n_trials=20)

    `data` is the name of a data set, a pair (inputs [N, ...] as arrays or a frame, targets [N] or their column's name), a torch `Dataset`
    or `DataLoader` of (input, target), read once into memory, or a `Data`. `validation` are rows of your own to compare networks on,
    likewise a pair, a `Dataset` or a `DataLoader`; or a share or number of rows. `space` is what a study's `[space]`
    may say, as a dict; without one, the default study's. `training` is a study's `[training]`: epochs, patience, precision, ...

    `missing` says what takes the place of a missing number in arrays: "median", "mean"; they are refused without it.

    `build(trial, shape, outputs)` makes a network of your own: any `nn.Module` that maps inputs [B, *shape] to raw outputs
    [B, outputs] (logits: the loss applies sigmoid or softmax). It may ask the trial for hyperparameters of its own; those of hpsearch's
    network (depth, width, ...) are then left out.

    The metric is reported at every evaluation, so that the study's pruner can end a trial. A run that diverges returns `worst`, a
    finite value that samplers learn from, and breaks the constraint `failed`. A `Data` with folds is cross-validated: the network is
    built and trained once on each fold, and what is reported and returned are the means.

    Raises:
        UserError: the data, space or training cannot be used; the study's direction is not the metric's; the network hides
            parameters from torch in a plain list, tuple or dict.
    """

    def __init__(
        self,
        data: Any,
        space: Mapping[str, Any] | None = None,
        *,
        build: Build | None = None,
        training: Mapping[str, Any] | None = None,
        metric: str | None = None,
        task: str | None = None,
        missing: str | None = None,
        validation: Any = None,
        seed: int = 0,
        device: str | None = None,
        root: str | None = None,
        download: bool = False,
    ) -> None:
        self.config = _config(data, space, training, seed)
        self.build = build
        loaded = _data(data, missing, TaskOptions(task, metric), seed, root, download, validation)
        precision = self.config.training.precision
        if precision not in ("float32", "float64"):
            raise UserError(f"precision '{precision}' is the fused engine's. Give Objective float32 or float64.")
        chosen = choose_device(device)
        check_precision(precision, chosen)
        self.data = loaded.to(chosen, getattr(torch, precision))

    @property
    def direction(self) -> str:
        """What is better: "maximize" or "minimize", by the metric."""
        return self.data.metric.direction

    @property
    def worst(self) -> float:
        """The value of a run that failed."""
        return float(self.data.summary["worst"])

    def defaults(self) -> dict[str, Any]:
        """Return known-good hyperparameters, for `study.enqueue_trial`."""
        return self.config.space.defaults()

    def __call__(self, trial: optuna.Trial) -> float:
        """Train the trial's network and return the metric at its best evaluation.

        Raises:
            optuna.TrialPruned: the study's pruner ended the trial.
        """
        self._check_direction(trial)
        spec = self._specification(trial)

        def ask(evaluation: int, metric: float) -> bool:
            trial.report(metric, evaluation)
            return trial.should_prune()

        run = train_trial(spec, self.data, ask, partial(self._network, trial) if self.build else None)
        trial.set_user_attr("outcome", str(run.outcome))
        trial.set_user_attr("detail", run.detail)
        trial.set_user_attr("parameters", run.parameters)
        trial.set_constraint("failed", 1.0 if run.outcome.failed else -1.0)
        if run.outcome is Outcome.PRUNED:
            raise optuna.TrialPruned(f"pruned at evaluation {len(run.history)} of {len(spec.evaluate_at)}")
        return self.worst if run.value is None else run.value

    def _check_direction(self, trial: optuna.Trial) -> None:
        study = getattr(trial, "study", None)  # a fixed trial has none
        if study is None or study.direction.name.lower() == self.direction:
            return
        given = f"the study has direction '{study.direction.name.lower()}'"
        better = "higher" if self.direction == "maximize" else "lower"
        raise UserError(
            f"{given}, but {self.data.metric.name} is better when it is {better}. "
            f"Use create_study(direction='{self.direction}')."
        )

    def _specification(self, trial: optuna.trial.BaseTrial) -> TrialSpec:
        budget = self.config.budget
        space = self.config.space
        spec = space.specification(
            space.suggest(trial, custom_network=self.build is not None),
            number=trial.number,
            seed=self.config.study.seed,
            budget=budget,
            inputs=self.data.training.inputs.shape[1],
            outputs=self.data.outputs,
            rows=len(self.data.training.inputs),
        )
        return replace(spec, rungs=tuple(range(1, budget.evaluations)))

    def _network(self, trial: optuna.Trial) -> nn.Module:
        assert self.build is not None
        network = self.build(trial, self.data.shape, self.data.outputs)
        if not isinstance(network, nn.Module):
            raise UserError(f"build returned a {type(network).__name__}; expected a torch.nn.Module.")
        refuse_hidden_parameters(network)
        self._check_outputs(network)
        return network

    def _check_outputs(self, network: nn.Module) -> None:
        rows = self.data.training.inputs[:2].cpu().float().reshape(2, *self.data.shape)
        training = network.training
        with torch.no_grad():
            shape = tuple(network.float().eval()(rows).shape)
        network.train(training)
        expected = (2, self.data.outputs)
        if shape != expected:
            given = f"{type(network).__name__} maps 2 inputs of shape {self.data.shape} to {shape}"
            raise UserError(f"{given}; expected {expected}: raw outputs, one row each.")


def _config(data: Any, space: Mapping[str, Any] | None, training: Mapping[str, Any] | None, seed: int) -> StudyConfig:
    default = read_config(find_study("digits"))
    if space is None:
        space = default.space.plain()
    if training is None:
        training = default.training.model_dump()
    name = data if isinstance(data, str) else "data"
    raw = {"study": {"seed": seed}, "data": {"name": name}, "space": dict(space), "training": dict(training)}
    return check_config(raw, "Objective")


def _data(
    data: Any,
    missing: str | None,
    task: TaskOptions,
    seed: int,
    root: str | None,
    download: bool,
    validation: Any = None,
) -> Data:
    if isinstance(data, Data | str) and missing is not None:
        raise UserError("missing: arrays alone are filled here. Leave it out.")
    own_rows = None if validation is None or isinstance(validation, float | int) else validation
    if (isinstance(data, str) and own_rows is not None) or (isinstance(data, Data) and validation is not None):
        raise UserError("validation: only arrays, frames and torch sets take rows beside them. Leave it out.")
    if isinstance(data, Data):
        return data
    split = SplitOptions(seed, validation if own_rows is None else None)
    if isinstance(data, str):
        return load(data, root=root, download=download, task=task, split=split)
    inputs, targets = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    read = ReadOptions(missing=missing)
    return from_arrays(inputs, targets, validation=own_rows, name="data", task=task, split=split, read=read)
