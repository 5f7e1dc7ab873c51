"""`Objective`: one hpsearch trial as a function that plain Optuna optimizes, with any of its samplers, pruners and storages."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial

from hpsearch.config import StudyConfig, check_config, find_study, read_config
from hpsearch.config.own import OwnCode, label_of
from hpsearch.data import Data, from_arrays, load
from hpsearch.data.given import is_torch_set
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.data.tasks import choose_metric
from hpsearch.errors import UserError
from hpsearch.interactive import SearchResult, in_folder, stored_result
from hpsearch.model import load_model
from hpsearch.searching.adoption import conclude_trials
from hpsearch.searching.run_options import RunOptions, check_labels, with_functions, with_pieces
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.searching.specifications import replicate, specification
from hpsearch.space.hyperparameters import NETWORK
from hpsearch.storage.attributes import PREFIX, RUN
from hpsearch.storage.folders import STUDY_FILE
from hpsearch.storage.reading import read_study
from hpsearch.storage.trial_writing import CURVE_LENGTH
from hpsearch.storage.urls import sqlite_url
from hpsearch.storage.writing import run_details
from hpsearch.training import Engine, TrialQueue
from hpsearch.training.devices import check_precision, choose_device
from hpsearch.training.engines import make_engine
from hpsearch.training.own import NO_GRADIENT, Build, OwnNetwork
from hpsearch.trial import Direction, Outcome, TrainingRun, TrialSpec, derive_seed

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Objective:
    """Trains the network that a trial proposes and returns its metric on the validation rows.

        objective = Objective("digits")
        study = objective.study()
        study.optimize(objective, n_trials=20)

    `data` is the name of a data set, a pair (inputs [N, ...] as arrays or a frame, targets [N] or their column's name), a torch `Dataset`
    or `DataLoader` of (input, target), read once into memory, or a `Data`. `validation` are rows of your own to compare networks on,
    likewise a pair, a `Dataset` or a `DataLoader`; or a share or number of rows. `space` is what a study's `[space]`
    may say, as a dict; without one, the default study's. `training` is a study's `[training]`: epochs, patience, precision, ...

    `task` is inferred from the targets where it is left out. `seed` decides everything random: the parts of the rows, the sampler, initial
    weights and the order of batches. `device` is "cpu", "cuda", "cuda:1"; CUDA where there is one by default. A data set that has a name is
    read from the folder `root`; `download` lets it be fetched where it is missing.

    `missing` says what takes the place of a missing number in arrays: "median", "mean"; they are refused without it. `decimal` and
    `thousands` are the marks of numbers that are text in a frame; they are found if left out.

    `build(trial, shape, outputs)` makes a network of your own: any `nn.Module` that maps inputs [B, *shape] to raw outputs
    [B, outputs] (logits: the loss applies sigmoid or softmax). It may ask the trial for hyperparameters of its own; those of hpsearch's
    network (depth, width, ...) are then left out. It makes a new network at each call. `loss(outputs, targets)` takes the place of the
    task's loss, the mean over rows; `metric` is a name of `METRICS`, or a function `metric(y_true, y_pred)` as scikit-learn's, for which
    `better` says what is better: "maximize" or "minimize" (see `hpsearch.data.metrics.own_metric`). hpsearch's own networks train with
    the fastest engine; your networks and losses in plain torch, one at a time.

    The metric is reported at every evaluation, so that the study's pruner can end a trial; in a study of several objectives nothing is
    reported. A run that diverges, or whose network raises an error, returns `worst`, a finite value that samplers learn from, and breaks
    the constraint `failed`. A `Data` with folds is cross-validated: the network is built and trained once on each fold, and what is
    reported and returned are the means.

    A run is a function of the trial alone: `objective(trial)` a second time is the same run. Fresh seeds, of initial weights and of the
    order of the batches, are asked for:

        np.mean([objective(trial, seed=seed) for seed in range(3)])

    Raises:
        UserError: the data, space or training cannot be used; the study's direction is not the metric's; the network hides
            parameters from torch, in a plain list for example, or was trained by another trial.
    """

    def __init__(
        self,
        data: Any,
        space: Mapping[str, Any] | None = None,
        *,
        build: Build | None = None,
        training: Mapping[str, Any] | None = None,
        loss: Loss | None = None,
        metric: str | Callable[..., float] | None = None,
        better: Direction | None = None,
        task: str | None = None,
        missing: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        validation: Any = None,
        seed: int = 0,
        device: str | None = None,
        root: str | None = None,
        download: bool = False,
    ) -> None:
        code = OwnCode(build, loss, metric if callable(metric) else None)
        self.config = _config(data, space, training, seed, code)
        self.build = build
        if build is not None and space is not None:
            _say_left_out(space)
        weights = "none"
        if training is not None:
            weights = self.config.training.class_weights
        named = metric if isinstance(metric, str) else None
        read = ReadOptions(missing=missing, decimal=decimal, thousands=thousands)
        loaded = _data(data, read, TaskOptions(task, named, weights), seed, root, download, validation)
        loaded = with_functions(loaded, loss, metric, better)
        check_labels(loaded, self.config.space)
        precision = self.config.training.precision
        chosen = choose_device(device)
        check_precision(precision, chosen, "reference" if build else "auto")
        if build is None and self.config.space.has_pieces:
            loaded = with_pieces(loaded, self.config.space)
        self.data = loaded.to(chosen, torch.float64 if precision == "float64" else torch.float32)
        self._engine: Engine | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the engine out of a pickle: it is made when it is first needed."""
        return {**self.__dict__, "_engine": None}

    @property
    def direction(self) -> Direction:
        """What is better: "maximize" or "minimize", by the metric."""
        return self.data.metric.direction

    @property
    def worst(self) -> float:
        """The value of a run that failed."""
        return float(self.data.summary["worst"])

    def defaults(self) -> dict[str, Any]:
        """Return known-good hyperparameters, for `study.enqueue_trial`."""
        return self.config.space.defaults(custom_network=self.build is not None)

    def study(
        self,
        *,
        name: str | None = None,
        storage: str | optuna.storages.BaseStorage | None = None,
        sampler: optuna.samplers.BaseSampler | None = None,
        pruner: optuna.pruners.BasePruner | None = None,
    ) -> optuna.Study:
        """Return an Optuna study for this objective: its direction, hpsearch's default sampler, the known-good trial enqueued first.

        Args:
            name: the study's name; with a `storage` one that is there is gone on with.
            storage: the URL of an Optuna storage, or one that is open; in memory by default.
            sampler: another one than the default, TPE with this objective's seed.
            pruner: another one than Optuna's default.

        Raises:
            UserError: the study is there with another direction.
        """
        seed = self.config.study.seed
        sampler = sampler or SAMPLERS["tpe"].make(seed, derive_seed(seed, "sampler") % 2**32)
        resumes = storage is not None and name is not None
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction=self.direction,
            sampler=sampler,
            pruner=pruner,
            load_if_exists=resumes,
        )
        self._check_direction(study)
        self._describe(study)
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(self.defaults())
        return study

    def result(
        self,
        study: optuna.Study,
        *,
        confirm: int = 3,
        seeds: int = 5,
        ensemble: int = 1,
        refit: bool = True,
        name: str | None = None,
        reports: str | Path = "reports",
    ) -> SearchResult:
        """Conclude a study that was run with this objective, and return what `hpsearch.search` returns.

        The best trials are trained again on fresh seeds, the best mean wins, its best network is trained again where that was the
        trial's own, and scored on the test rows, once. The Optuna study stays as it is.

        Args:
            study: the study.
            confirm: so many of the best trials are trained again; 0 for the best trial as it is.
            seeds: on so many fresh seeds each, 2 at least.
            ensemble: how many of the best networks predict together at most, unless one of them is clearly better on validation rows.
            refit: whether the selected networks train once more, on training and validation rows.
            name: keeps the result in the folder `reports/NAME`, which `hpsearch.load` opens; by default it is temporary.
            reports: where results are kept.

        Raises:
            UserError: the study is another objective's, or the name is taken by a study with other trials.
            SearchFailed: no trial gave a usable network.
        """
        trials = _ended(study)
        self._check_study(study)
        confirmation = {"trials": confirm, "seeds": seeds, "ensemble": ensemble, "refit": refit}
        searched = {
            "trials": max(1, len(trials)),
            "sampler": "random",  # every trial is known: none is proposed
            "metric": self.data.metric.name,
        }
        if self.config.code.metric is not None:
            searched |= {"metric": label_of(self.config.code.metric), "better": self.direction}
        settings = {**self.config.settings(), "search": searched, "confirm": confirmation}
        settings["study"]["name"] = name or "search"
        config = check_config(settings, "result", in_memory=True).with_code(self.config.code)

        def conclude(folder: Path) -> SearchResult:
            url = sqlite_url(folder.absolute() / STUDY_FILE)
            conclude_trials(trials, config, RunOptions(folder, url, str(self.data.training.inputs.device)), self.data)
            model = load_model(folder, build=self.build)
            return stored_result(read_study(url, config.study.name), model, folder, temporary=name is None)

        return in_folder(name, config.study.name, Path(reports), conclude)

    def _check_study(self, study: optuna.Study) -> None:
        """Refuse a study that another objective ran."""
        self._check_direction(study)
        data = study.user_attrs.get(f"{PREFIX}data", {})
        if data.get("hash") != self.data.summary.get("hash"):
            raise UserError(
                f"study '{study.study_name}' was not run with this objective, or on other data. Give the objective that it was run with."
            )

    def __call__(self, trial: optuna.Trial, seed: int | None = None) -> float:
        """Train the trial's network and return the metric at its best evaluation.

        With a `seed` (0, 1, ...) it trains on fresh seeds, those of the replicate of that number; nothing is reported or kept then.

        Raises:
            optuna.TrialPruned: the study's pruner ended the trial.
        """
        if seed is not None:
            spec = replicate(self._specification(trial), self.config.study.seed, int(seed))
            return self._value(self._train(spec, TrialQueue()))
        study = getattr(trial, "study", None)  # a fixed trial has none
        if study is not None:
            self._check_direction(study)
            self._describe(study)
        if RUN in trial.user_attrs:
            warnings.warn(
                "the same trial again is the same run; objective(trial, seed=0), seed=1, ... train on fresh seeds",
                stacklevel=2,
            )
            return self._value(self._train(self._specification(trial), TrialQueue()))
        return self._run(trial, reports=_is_single(study))

    def _value(self, run: TrainingRun) -> float:
        """Return the metric of a run, `worst` of one that failed."""
        return self.worst if run.value is None else run.value

    def _run(self, trial: optuna.Trial, *, reports: bool) -> float:
        """Train a trial and write the run into it as `hpsearch run` does; with `reports` each evaluation is reported to the study."""
        spec = self._specification(trial)
        rungs: dict[int, float] = {}

        def ask(evaluation: int, metric: float) -> bool:
            if not reports:
                return False
            rungs[evaluation] = metric
            trial.report(metric, evaluation)
            return trial.should_prune()

        start = time.monotonic()
        run = self._train(spec, TrialQueue(prunes=ask))
        thinned = replace(run, history=run.history.thinned(CURVE_LENGTH), weights=None)
        kept = {**run_details(thinned, rungs, time.monotonic() - start), "batch_size": spec.batch_size}
        trial.set_user_attr(RUN, kept)
        trial.set_user_attr("outcome", str(run.outcome))
        trial.set_user_attr("detail", run.detail)
        trial.set_user_attr("parameters", run.parameters)
        trial.set_constraint("failed", 1.0 if run.outcome.failed else -1.0)
        if run.outcome is Outcome.ERROR or run.detail.startswith(NO_GRADIENT):
            warnings.warn(f"trial {trial.number}: {run.detail}", stacklevel=3)
        if run.outcome is Outcome.PRUNED:
            raise optuna.TrialPruned(f"pruned at evaluation {run.history.last} of {len(spec.evaluate_at)}")
        return self._value(run)

    def _train(self, spec: TrialSpec, queue: TrialQueue) -> TrainingRun:
        """Train one trial: a network of the user's own with the reference, hpsearch's own with the fastest engine."""
        if self._engine is None:
            name = "auto" if self.build is None else "reference"
            slots = max(1, len(self.data.folds))
            self._engine = make_engine(name, self.data, slots, self.config.training.precision)
        queue.waiting = [spec]
        self._engine.run(queue)
        return queue.runs[spec.number]

    def _check_direction(self, study: optuna.Study) -> None:
        given = {direction.name.lower() for direction in study.directions}
        if self.direction in given:
            return
        better = "higher" if self.direction == "maximize" else "lower"
        raise UserError(
            f"the study has direction '{', '.join(sorted(given))}', but {self.data.metric.name} is better when it is {better}. "
            f"Use create_study(direction='{self.direction}')."
        )

    def _describe(self, study: optuna.Study) -> None:
        """Keep settings and data in the study, for its report, unless they are there."""
        if f"{PREFIX}settings" in study.user_attrs:
            return
        settings = self.config.settings()
        settings["study"]["name"] = study.study_name
        settings["search"] = {"metric": self.data.metric.name}
        del settings["confirm"]
        study.set_user_attr(f"{PREFIX}data", dict(self.data.summary))
        study.set_user_attr(f"{PREFIX}settings", settings)

    def _specification(self, trial: optuna.trial.BaseTrial) -> TrialSpec:
        values = self.config.space.suggest(trial, custom_network=self.build is not None)
        spec = specification(self.config, values, trial.number, self.data)
        spec = replace(spec, rungs=tuple(range(1, self.config.budget.evaluations)))
        if self.build is None:
            return spec
        return replace(spec, network=OwnNetwork.of(self.build, trial, self.data))


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials up to the last one that was run: those that wait after it have not begun."""
    trials = study.get_trials(deepcopy=False)
    last = max((trial.number for trial in trials if RUN in trial.user_attrs), default=-1)
    if last < 0:
        raise UserError(
            f"study '{study.study_name}' has no trial of this objective. Run it first: study.optimize(objective, n_trials=20)."
        )
    return trials[: last + 1]


def _is_single(study: optuna.Study | None) -> bool:
    """Whether a study has one objective: no other knows intermediate values."""
    return study is None or len(study.directions) == 1


def _say_left_out(space: Mapping[str, Any]) -> None:
    """Warn of hyperparameters of hpsearch's own network in the space of a network of the user's own."""
    if names := [name for name in space if name in NETWORK]:
        warnings.warn(
            f"space: {', '.join(names)} belong to hpsearch's own network, not to that of build, and are left out; build asks the "
            "trial for its own, trial.suggest_int(...)",
            stacklevel=3,
        )


def _config(
    data: Any, space: Mapping[str, Any] | None, training: Mapping[str, Any] | None, seed: int, code: OwnCode
) -> StudyConfig:
    default = read_config(find_study("digits"))
    if space is None:
        space = default.space.plain()
    if training is None:
        training = default.training.model_dump()
    name = data if isinstance(data, str) else "data"
    named = {"model": code.build and label_of(code.build), "loss": code.loss and label_of(code.loss)}
    trained = {**training, **named}
    raw = {"study": {"seed": seed}, "data": {"name": name}, "space": dict(space), "training": trained}
    return check_config(raw, "Objective").with_code(code)


def _data(
    data: Any,
    read: ReadOptions,
    task: TaskOptions,
    seed: int,
    root: str | None,
    download: bool,
    validation: Any,
) -> Data:
    """Return the data as `Objective` takes them."""
    if isinstance(data, Data | str) and read.of_table:
        raise UserError(f"{', '.join(read.of_table)}: only arrays and frames are read here. Leave it out.")
    is_share = isinstance(validation, float | int | str)
    own_rows = None if is_share else validation
    refused = validation if isinstance(data, Data) else own_rows
    if isinstance(data, Data | str) and refused is not None:
        raise UserError("validation: only arrays, frames and torch sets take rows beside them. Leave it out.")
    if isinstance(data, Data):
        return _as_asked(data, task)
    split = SplitOptions(seed, validation if own_rows is None else None)
    if isinstance(data, str):
        return load(data, root=root, download=download, task=task, split=split)
    inputs, targets = _pair(data)
    return from_arrays(inputs, targets, validation=own_rows, name="data", task=task, split=split, read=read)


def _pair(data: Any) -> tuple[Any, Any]:
    """Return inputs and targets; no targets of a torch set, which has them itself."""
    if is_torch_set(data):
        return data, None
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    kind = f"a {type(data).__name__}"
    if isinstance(data, tuple | list):
        kind += f" of {len(data)}"
    raise UserError(
        f"data is {kind}; expected the name of a data set, a pair (inputs, targets), a torch Dataset or DataLoader, or a Data. Groups, "
        "folds and test rows: hpsearch.data.from_arrays(X, y, split=SplitOptions(...), read=ReadOptions(group=...)) makes one."
    )


def _as_asked(data: Data, asked: TaskOptions) -> Data:
    """Return data with the metric and the class weights that are asked for.

    Raises:
        UserError: they have another task, or the metric does not fit it.
    """
    if asked.task is not None and asked.task != data.task.name:
        raise UserError(
            f"task '{asked.task}': the data are of a {data.task.name} task already. Give from_arrays the task."
        )
    if asked.metric is not None:
        data = data.judged_by(choose_metric(data.task, asked.metric))
    if asked.class_weights == "balanced" and data.class_weights is None:
        data = data.balanced()
    return data
