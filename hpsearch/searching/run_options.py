"""The options of a run, which change no result: its folder, its storage, its device; and its data and engine there."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import torch

from hpsearch.config import StudyConfig
from hpsearch.config.own import is_code
from hpsearch.config.sections import SearchSection
from hpsearch.data import load, load_file
from hpsearch.data.dataset import Data
from hpsearch.data.metrics import own_metric, takes_weights
from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions
from hpsearch.data.splits import Split
from hpsearch.errors import StorageError, UserError, mistakes, shown
from hpsearch.searching.samplers import SAMPLERS
from hpsearch.space import SearchSpace
from hpsearch.storage.failures import RETRY_SECONDS
from hpsearch.storage.reading import read_attribute
from hpsearch.training import Engine, engine_name
from hpsearch.training.devices import check_precision, choose_device, default_concurrency, several_devices
from hpsearch.training.engines import log_once, make_engine
from hpsearch.training.folds import FoldEngine
from hpsearch.trial import Direction

GPU_LAG = 1024  # of a study that begins on a GPU, at most
LAG_SHARE = 1 / 8  # of its trials, at most, where results change what follows
TRIED_ROWS = 64  # on which a loss of the user's own is tried
SAME_LOSS = 1e-5  # up to rounding
WORKER_SHARES = {  # what a worker takes of a cluster: the least, and in words
    "--worker-gpus": (0.0, "a part or several of them"),
    "--worker-cpus": (0.01, "0.01 or more"),
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a study runs and is stored: its folder, its storage's URL, the device ("cpu", "cuda:1", "mps"; None: CUDA if there is one).

    `engine` is a name of `ENGINES`, `parallel` how many trials are in flight (None: chosen); neither changes what is proposed. With
    `devices` ("cuda:0,cuda:1", "all", "cpu,cpu") or `ray` (an address, or "local") trials train in workers; in a cluster each worker
    takes `worker_gpus` (None: one where there are some) and `worker_cpus` (None: one). `patience` is how many seconds the storage may
    not answer; with `join` the run waits for another process that runs the study. `reports` is where other studies are found.
    `logged` are the lines that the run's engines logged: a run has several, and each line is said once.

    Raises:
        UserError: no such engine; fewer than one trial in flight; no time; options that exclude each other.
    """

    folder: Path
    storage: str
    device: str | None = None
    download: bool = False
    take_over: bool = False
    engine: str = "auto"
    parallel: int | None = None
    devices: str | None = None
    ray: str | None = None
    worker_gpus: float | None = None
    worker_cpus: float | None = None
    join: bool = False
    patience: float = RETRY_SECONDS
    reports: str | Path = "reports"
    logged: set[str] = field(default_factory=set, compare=False, repr=False)

    def __post_init__(self) -> None:
        engine_name(self.engine)
        if self.parallel is not None and self.parallel < 1:
            raise UserError(f"--parallel {self.parallel}: a number from 1 expected.")
        if not 0 <= self.patience < inf:
            raise UserError(f"--storage-patience {self.patience}: a number of seconds from 0 expected.")
        if sum(given is not None for given in (self.device, self.devices, self.ray)) > 1:
            raise UserError("give one of --device, --devices and --ray.")
        for flag, amount in (("--worker-gpus", self.worker_gpus), ("--worker-cpus", self.worker_cpus)):
            _check_share(flag, amount, self.ray)

    @property
    def own(self) -> "RunOptions":
        """The options without workers: this process, on the first of their devices."""
        device = self.device
        if self.devices is not None:
            device = several_devices(self.devices)[0]
        return replace(self, device=device, devices=None, ray=None, worker_gpus=None, worker_cpus=None)

    def trained_on(self, data: Data) -> str:
        """Return a text that says where trials train."""
        if self.ray == "local":
            return "Ray's workers"
        if self.ray is not None:
            return f"the workers of Ray at {self.ray}"
        if self.devices is not None:
            return self.devices
        return str(data.training.inputs.device)


def _check_share(flag: str, amount: float | None, ray: str | None) -> None:
    """Refuse an amount of GPUs or CPUs that no worker can take."""
    if amount is None:
        return
    if ray is None:
        raise UserError(f"{flag} {amount:g}: what a worker takes of a cluster. Give --ray too, or leave it out.")
    least, part = WORKER_SHARES[flag]
    if not least <= amount < 10_000 or (amount > 1 and amount != int(amount)):
        raise UserError(f"{flag} {amount:g}: {part} expected, above 1 a whole number.")


def prepare_data(config: StudyConfig, run_options: RunOptions, full: bool = False) -> Data:
    """Load, split and standardise the study's data, on the device, in the study's precision.

    With `full` all rows but the test rows are training rows (the validation rows are the same): a refit trains on them.

    Raises:
        UserError: there are no such data, or no such device or cluster; it is raised before a study is made.
    """
    if run_options.ray is not None:
        from hpsearch.training.workers.ray_connection import check_cluster

        check_cluster(run_options.ray)
    return on_device(config, run_options, _loader(config, run_options.download, full=full)())


def _loader(config: StudyConfig, download: bool, *, full: bool = False) -> Callable[[], Data]:
    """Return how the study's data are loaded, here or on another machine."""
    section = config.data
    options: dict[str, Any] = {"task": task_options(config), "split": split_options(config, full=full)}
    if section.file is not None:
        return partial(load_file, section.file, section.target, read=read_options(config), **options)
    assert section.name is not None
    return partial(load, section.name, root=section.root, download=download, size=section.size, **options)


def task_options(config: StudyConfig) -> TaskOptions:
    """Return what a study predicts, and how it is judged.

    Raises:
        UserError: it names code of the user's own that is not at hand.
    """
    missing = {option: name for option, (name, at_hand) in config.named_functions.items() if not at_hand}
    if missing:
        options = [f"{option} {name if is_code(name) else 'FILE.py:NAME'}" for option, name in missing.items()]
        raise UserError(
            f"study '{config.study.name}' trains with code of your own ({', '.join(missing.values())}), and what a stored study names is "
            f"never run by itself. Give it: {' '.join(options)}."
        )
    metric = None if config.code.metric else config.search.metric
    data = config.data
    return TaskOptions(data.task, metric, config.training.class_weights, data.target_transform, data.target_range)


def split_options(config: StudyConfig, *, full: bool = False, split: Split | None = None) -> SplitOptions:
    """Return which rows of a study train, validate and test."""
    section = config.data
    return SplitOptions(
        seed=config.study.seed,
        validation=section.validation,
        test=section.test,
        rows=section.rows,
        folds=config.folds,
        full=full,
        split=split,
        divisions=config.compare.divisions if config.compare else 1,
    )


def read_options(config: StudyConfig) -> ReadOptions:
    """Return how a study reads its source: the keys of `[data]` with the same names."""
    return ReadOptions(**{option.name: getattr(config.data, option.name) for option in fields(ReadOptions)})


def on_device(config: StudyConfig, run_options: RunOptions, data: Data) -> Data:
    """Return data on the device, in the study's precision.

    Raises:
        UserError: no such device, or one without this precision.
    """
    data = with_functions(data, config.code.loss, config.code.metric, config.search.better)
    check_labels(data, config.space)
    if _sees_pieces(config):
        data = with_pieces(data, config.space)
    device = choose_device(run_options.own.device)
    precision = config.training.precision
    check_precision(precision, device, run_options.engine)
    return data.to(device, torch.float64 if precision == "float64" else torch.float32)


def _sees_pieces(config: StudyConfig) -> bool:
    """Whether networks of a study may see pieces of a table's numbers; those of the user's own see the inputs alone."""
    return config.space.has_pieces and config.training.model is None


def _loaded_with_pieces(load_plain: Callable[[], Data]) -> Data:
    return load_plain().with_pieces()


def with_pieces(data: Data, space: SearchSpace) -> Data:
    """Return data with pieces of their numbers, for a space that asks for them.

    Raises:
        UserError: all networks of the space see pieces, and the data are images.
    """
    if len(data.shape) > 1 and space.domain("number_encoding").constant:
        raise UserError(
            f"space.number_encoding: 'piecewise' is for numbers of a table, and an input here is an image of {data.shape}. Leave it out."
        )
    return data.with_pieces()


def check_labels(data: Data, space: SearchSpace) -> None:
    """Refuse a space that smooths labels where there are none, or where a loss of the user's own takes them as they are.

    Raises:
        UserError: it does.
    """
    if data.task.smoothed is not None or not space.smooths_labels:
        return
    reason = f"{data.task.noun} has no labels to smooth"
    if data.task.has_own_loss:
        reason = f"the loss {data.task.loss_name} of your own takes labels as they are"
    raise UserError(f"space.label_smoothing: {reason}. Remove it.")


def with_functions(
    data: Data, loss: Callable[..., Any] | None, metric: str | Callable[..., float] | None, better: Direction | None
) -> Data:
    """Return data with a loss and a metric of the user's own, where they are functions.

    Raises:
        UserError: a metric is no function, or it is not said what is better; the loss excludes class weights.
    """
    if loss is not None and not callable(loss):
        raise UserError(f"loss is {shown(loss)}; expected a function of (outputs, targets), or None for the task's.")
    if loss is not None:
        data = data.with_loss(loss)
        with mistakes(f"loss {data.task.loss_name}"):
            _check_loss(data)
    if metric is None or isinstance(metric, str):
        if better is not None:
            raise UserError("better: hpsearch knows what is better of its own metrics. Leave it out.")
        return data
    if not callable(metric):
        raise UserError(f"metric is {shown(metric)}; expected a name, or a function of (y_true, y_pred).")
    if better not in ("maximize", "minimize"):
        raise UserError(
            "a metric that is a function: say what is better, better='maximize' or better='minimize' (--better, search.better)."
        )
    own = own_metric(metric, better, data.task.predicts)
    if data.training.weights is not None and not takes_weights(metric):
        raise UserError(
            f"metric {own.name}: rows have weights, which it does not take. Give it an argument sample_weight."
        )
    with mistakes(f"metric {own.name}"):
        return data.judged_by(own)


def _check_loss(data: Data) -> None:
    """Try a loss of the user's own on a few rows and any outputs.

    Raises:
        UserError: it is no number with a gradient, or does not compare each row's output with that row's target.
    """
    name = f"loss {data.task.loss_name}"
    targets = data.training.targets[:TRIED_ROWS].cpu()
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(len(targets), data.outputs, generator=generator).to(data.training.inputs.dtype)
    value = data.task.loss(outputs.requires_grad_(), targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        given = f"a {type(value).__name__}"
        if isinstance(value, torch.Tensor):
            given = f"a tensor of shape {tuple(value.shape)}"
        raise UserError(f"{name} returned {given}; expected a tensor with one number, the mean over rows.")
    if not value.requires_grad:
        raise UserError(f"{name} has no gradient. Compute it from the outputs with torch, without detach().")
    exchanged = data.task.loss(outputs, targets.roll(1, 0))
    if not torch.equal(targets, targets.roll(1, 0)) and torch.isclose(value, exchanged, rtol=SAME_LOSS):
        raise UserError(
            f"{name} stays the same when rows exchange their targets, so it does not compare a row's output with its target. outputs are "
            f"{tuple(outputs.shape)}, targets {tuple(targets.shape)}: bring both to one shape ([B] beside [B, 1] makes [B, B])."
        )


def lag_on(device_type: str, search: SearchSection) -> int:
    """Return the lag of a study that begins on a device.

    A GPU trains many trials in the time of one, so that a long study has many proposed at once; seven eighths of its trials know results.
    Where the sampler learns nothing from them, and no result ends the study, all trials are proposed at once: the pruner knows nothing
    then, and yet the study is sooner done (by a model, `tests/support/simulated_gpu.py`). A short study whose sampler learns is better off
    as on a CPU: its proposals have few results as it is.
    """
    least: int = SearchSection.model_fields["lag"].default
    if device_type != "cuda":
        return least
    may_end_early = search.patience is not None or search.target_value is not None
    results_matter = SAMPLERS[search.sampler].learns or may_end_early
    lag = int(search.trials * LAG_SHARE) if results_matter else search.trials
    return max(least, min(GPU_LAG, lag))


def with_lag(config: StudyConfig, run_options: RunOptions, data: Data) -> StudyConfig:
    """Return a study that does not say its lag with the one that it began with, else with the one for its device."""
    if "lag" in config.search.model_fields_set:
        return config
    lag = _stored_lag(config, run_options)
    if lag is None:
        lag = lag_on(data.training.inputs.device.type, config.search)
    return config.model_copy(update={"search": config.search.model_copy(update={"lag": lag})})


def _stored_lag(config: StudyConfig, run_options: RunOptions) -> int | None:
    """Return the lag that the study began with, None where it has not begun."""
    with suppress(UserError, StorageError):  # there is no such study yet, or opening it will say what is wrong
        settings = read_attribute(run_options.storage, config.study.name, "settings")
        lag = settings.get("search", {}).get("lag")
        return lag if isinstance(lag, int) else None
    return None


def prepare_engine(config: StudyConfig, run_options: RunOptions, data: Data) -> Engine:
    """Return the engine of the run options, with slots for as many trials as they ask for, or as fit.

    Raises:
        UserError: there cannot be the workers that are asked for.
    """
    in_workers = run_options.devices is not None or run_options.ray is not None
    if in_workers and config.code:
        raise UserError("a network, loss or metric of your own trains in this process. Leave out --devices and --ray.")
    if config.code.build is not None:
        return make_engine("reference", data)
    if in_workers:
        return _workers(config, run_options, data)
    slots = max_concurrency(config, run_options, data)
    kind = "folds of trials" if data.cross_validated else "trials"
    log_once(f"{slots} {kind} in flight at most, lag {config.search.lag}", run_options.logged)
    return make_engine(run_options.engine, data, slots, config.training.precision, run_options.logged)


def max_concurrency(config: StudyConfig, run_options: RunOptions, data: Data) -> int:
    """Return how many trials may be in flight: as many as are asked for, else as fit and as the study's lag allows.

    Where trials are cross-validated, each fold of one counts. On a CPU complete trials are then in flight even with fewer cores: their
    folds train side by side, so that when the trial ends early, all of its folds do.
    """
    folds = _folds_of_a_trial(data)
    fitting = default_concurrency(data, config.space.largest(data.inputs, data.outputs, data.piece_counts))
    if not data.training.inputs.is_cuda:
        fitting = -(-fitting // folds) * folds
    return run_options.parallel or min(config.search.lag * folds, fitting)


def _workers(config: StudyConfig, run_options: RunOptions, data: Data) -> Engine:
    """Return the engine that trains on several devices or in a cluster."""
    from hpsearch.training.workers.engine import WorkerSettings, cluster_engine, devices_engine

    folds = _folds_of_a_trial(data)
    parameters = None
    if not run_options.parallel:
        parameters = config.space.largest(data.inputs, data.outputs, data.piece_counts)
    settings = WorkerSettings(
        engine=run_options.engine,
        precision=config.training.precision,
        parameters=parameters,
        max_concurrency=run_options.parallel or config.search.lag * folds,
    )
    if run_options.devices is not None:
        engine = devices_engine(several_devices(run_options.devices), data, settings)
    else:
        assert run_options.ray is not None
        is_named = config.data.file is None and config.data.name is not None
        load_ = _loader(config, run_options.download) if is_named else None
        if load_ is not None and _sees_pieces(config):
            load_ = partial(_loaded_with_pieces, load_)
        share = (run_options.worker_gpus, run_options.worker_cpus)
        engine = cluster_engine(run_options.ray, *share, data, load_, settings)
    return FoldEngine(engine, data) if data.cross_validated else engine


def _folds_of_a_trial(data: Data) -> int:
    return len(data.folds) if data.cross_validated else 1
