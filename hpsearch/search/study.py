"""One study from its configuration to its result: data, storage, search, the best network."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from hpsearch.config import StudyConfig
from hpsearch.data import load
from hpsearch.data.dataset import Data
from hpsearch.errors import SearchFailed, Stopped, UserError, look_up
from hpsearch.files import make_folder
from hpsearch.search.confirm import load_weights, save_weights, score_test
from hpsearch.search.loop import Search, Standing
from hpsearch.search.pruners import PRUNERS
from hpsearch.search.samplers import SAMPLERS
from hpsearch.search.view import View
from hpsearch.storage.writing import StudyWriter
from hpsearch.training import Engine, Several
from hpsearch.training.engines import ENGINES, default_places, make_engine
from hpsearch.trial import Direction, TrainingRun, TrialSpec

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOTABLE = 0.05  # share of idle places that is worth a line
Show = Callable[[Standing], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study runs and is kept: its folder, its storage's URL, the device (None: CUDA where there is one).

    `engine` is a name of `ENGINES`; `parallel` how many trials are in flight (None: chosen). Neither changes what is proposed.
    """

    folder: Path
    storage: str
    device: str | None = None
    download: bool = False
    take_over: bool = False
    engine: str = "auto"
    parallel: int | None = None


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name, CUDA where there is one by default.

    Raises:
        UserError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device '{name}': not a device. Give cpu, cuda or cuda:0.") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device '{name}': hpsearch trains on cpu and cuda. Give one of them.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device '{name}': this machine has {torch.cuda.device_count()} CUDA devices. Leave --device out."
        )
    return device


def prepare_data(config: StudyConfig, place: Place) -> Data:
    """Load, split and standardise the study's data, on the device, in the study's precision."""
    section = config.data
    data = load(
        section.name,
        root=section.root,
        download=place.download,
        seed=config.study.seed,
        validation=section.validation,
        test=section.test,
        task=section.task,
        metric=config.search.metric,
        rows=section.rows,
    )
    device, precision = choose_device(place.device), config.training.precision
    if precision in ("tf32", "bfloat16") and (device.type != "cuda" or place.engine == "reference"):
        raise UserError(
            f"precision '{precision}' is the fused engine's on CUDA; here it is {place.engine} on {device}. Give float32 or float64."
        )
    return data.to(device, torch.float64 if precision == "float64" else torch.float32)


def prepare_engine(config: StudyConfig, place: Place, data: Data, explain: Callable[[str], None]) -> Engine:
    """Return the engine that a study asks for, with places for as many trials as are asked for, or fit.

    Raises:
        UserError: no such engine; fewer than one trial in flight.
    """
    look_up(ENGINES, place.engine, "engine")
    if place.parallel is not None and place.parallel < 1:
        raise UserError(f"--parallel {place.parallel}: a number from 1 expected.")
    places = place.parallel or min(
        config.search.lag, default_places(data, config.space.largest(data.inputs, data.outputs))
    )
    explain(f"{places} trials in flight at most, lag {config.search.lag}")
    return make_engine(place.engine, data, places, config.training.precision, explain)


def run_study(
    config: StudyConfig, place: Place, data: Data, engine: Engine, show: Show, announce: Callable[[str], None]
) -> dict[str, Any]:
    """Run or continue a study and return its result, which the storage keeps too.

    Raises:
        UserError, StorageError: it cannot start.
        SearchFailed: no trial gave a usable network.
        Stopped: a signal ended it; everything told is kept.
    """
    view = _view(config, data.metric.direction)
    writer = StudyWriter.open(
        place.storage,
        config.study.name,
        data.metric.direction,
        config.settings(),
        data.summary,
        take_over=place.take_over,
    )
    with closing(writer):
        make_folder(place.folder)
        search = _search(config, view, writer, data, show)
        for note in _notes(config, place, search, data):
            announce(note)
        with stopping(search, announce) as status:
            engine.run(search)
        writer.flush()
        key = str(data.summary["hash"])
        _keep_best(search, place.folder, key)
        if status():
            left = search.total - search.standing.done
            raise Stopped(f"stopped with {search.standing.done} trials told, {left} to go", status())
        announce(_ended(search))
        if (idle := search.idle.share) > NOTABLE:
            announce(
                f"waiting for results that search.lag = {config.search.lag} asks for left {idle:.0%} of the places idle"
            )
        return _confirm(search, place.folder, key, data, engine)


def _view(config: StudyConfig, direction: Direction) -> View:
    return View(
        name=config.study.name,
        direction=direction,
        space=config.space,
        budget=config.budget,
        seed=config.study.seed,
        lag=config.search.lag,
        sampler=look_up(SAMPLERS, config.search.sampler, "sampler"),
        pruner=look_up(PRUNERS, config.search.pruner, "pruner"),
    )


def _search(config: StudyConfig, view: View, writer: StudyWriter, data: Data, show: Show) -> Search:
    def specify(values: Any, number: int) -> TrialSpec:
        return config.space.specification(
            values,
            number=number,
            seed=config.study.seed,
            budget=config.budget,
            inputs=data.training.inputs.shape[1],
            outputs=data.outputs,
            rows=len(data.training.inputs),
        )

    search = config.search
    worst = float(data.summary["worst"])
    return Search(view, writer, specify, trials=search.trials, timeout=search.timeout, worst=worst, show=show)


def _notes(config: StudyConfig, place: Place, search: Search, data: Data) -> Iterator[str]:
    """Yield what the user should know before the first trial."""
    rows = len(data.training.inputs)
    large = [b for b in config.space.domain("batch_size").points() if not isinstance(b, str) and b > rows]
    if large:
        yield f"batch size {', '.join(map(str, large))} is above the {rows:,} training rows: trained as the full batch"
    if place.parallel is not None and place.parallel > config.search.lag:
        yield (
            f"at most {config.search.lag} of {place.parallel} places can be in use: a trial is proposed knowing all results up to "
            f"search.lag = {config.search.lag} before it (a study begun with a larger lag fills more)"
        )
    if search.retrained:
        trials = ", ".join(f"#{n}" for n in search.retrained)
        yield f"training {len(search.retrained)} interrupted trial{'s' * (len(search.retrained) > 1)} ({trials}) again"


def _ended(search: Search) -> str:
    """Return in a sentence why the search ended."""
    done, total = search.standing.done, search.total
    if not search.complete:
        return f"time is up: {done:,} of {total:,} trials told; the same command goes on"
    what = "grid" if search.view.limit == total else "search"
    return f"{what} complete {done:,}/{total:,}"


@contextmanager
def stopping(search: Search, announce: Callable[[str], None]) -> Iterator[Callable[[], int]]:
    """Turn the first signal into a clean stop and a second Ctrl-C into an immediate one; yield the exit status so far."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)
        search.stopping = True
        announce("stopping: keeping what was told; trials in training start again next time (Ctrl-C again: at once)")

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in SIGNALS} if main else {}
    try:
        yield lambda: 128 + received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_best(search: Search, folder: Path, key: str) -> None:
    """Write the best network's weights where this run trained it; those of an earlier run are in the file, or trained again."""
    if search.best is not None and search.best.weights is not None:
        save_weights(folder, search.best, key)


def _confirm(search: Search, folder: Path, key: str, data: Data, engine: Engine) -> dict[str, Any]:
    """Return the result: as an earlier run confirmed it if nothing has changed, else scored on the test rows now."""
    best, spec = search.best, search.best_spec
    if not search.standing.done:
        raise SearchFailed("the time was up before the first trial ended. Give a longer --timeout.")
    if best is None or spec is None:
        raise SearchFailed(
            f"none of {search.standing.done} trials gave a usable network ({search.standing.failed} diverged or ran out "
            "of memory). Lower the upper end of learning_rate, or give a longer budget."
        )
    known = search.writer.result()
    if known.get("trial") == best.number:
        return known
    weights = load_weights(folder, best.number, key)
    if weights is None:
        run = _trained_again(spec, engine)
        assert run.weights is not None, "the trial was the best of the search, and a run repeats"
        weights = dict(run.weights)
        save_weights(folder, run, key)
    result = score_test(best, spec, data, weights)
    result["scorings"] = known.get("scorings", 0) + 1  # a study that was extended has looked at the test rows before
    search.writer.set_result(result)
    return result


def _trained_again(spec: TrialSpec, engine: Engine) -> TrainingRun:
    source = Several([spec])
    engine.run(source)
    return source.runs[spec.number]
