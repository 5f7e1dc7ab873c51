"""The concurrent engine: many trials in flight, on one device.

A *group* holds one or more trials that train side by side: one trial of the compiled engine on a CPU, many elsewhere. Some trials of small
batches train on the cores beside a GPU (`costs`), each a group of its own.
Threads train groups, each to its next evaluation, without the interpreter's lock where it counts, and on a GPU on a stream of its own;
this loop, on the caller's thread, does the rest: it takes trials for free slots, opens groups, keeps the histories, hands in the runs.
Only it talks to the source, so a source needs no locks.

A group of few trials takes a GPU about as long as one of many. So where a group of their kind is in flight, trials join it after its next
evaluation. Where they cannot, they wait for each other until there are enough of them for a group of their own.

Out of memory: a group that other groups trained beside waits until fewer trials are in flight, and from then on no more are than those
others. One that was alone on the device is halved, and that size is remembered; a trial that was alone ends in its outcome. Both are
trained again from the start (evaluations that are recorded already are passed over: a run is a function of its specification). A loss or
metric of the user's own that raises an error halves a group in the same way, until the trial is alone that caused it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import pairwise

import torch

from hpsearch.data.dataset import Data
from hpsearch.training import TrialSource
from hpsearch.training.devices import DeviceStream, begin_worker, device_of, free_memory, one_thread, out_of_memory
from hpsearch.training.network import encoding_state
from hpsearch.training.optimizers import OPTIMIZERS
from hpsearch.training.own import OwnCodeFailed, failed_run, own_errors
from hpsearch.training.progress import (
    Evaluations,
    Progress,
    Stopping,
    TrialGroup,
    Weights,
    Window,
    Windows,
    out_of_memory_run,
)
from hpsearch.trial import TrialSpec

POLL_SECONDS = 0.1  # after which the loop sees that it is to stop
STOP_SECONDS = 2.0  # that a thread has to see it
CPU = torch.device("cpu")
# of the slots that are free before new trials are taken; of a group's size that is worth a group of its own
REFILL_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can train; None: no limit.

    `engine` is how messages call it. `package` has to be installed. All of these engines train dense networks whose optimizer has a
    formula; what none of them can train is left to the reference engine, which can train everything.
    """

    engine: str
    device_types: Collection[str]
    tasks: Collection[str]
    activations: Collection[str] | None = None
    dtypes: Collection[torch.dtype] = (torch.float32, torch.float64)
    max_outputs: int | None = None
    package: str | None = None

    def obstacle(self, spec: TrialSpec, data: Data) -> str | None:
        """Return why the engine cannot train a trial, in words; None where it can."""
        return next(self._obstacles(spec, data), None)

    def _obstacles(self, spec: TrialSpec, data: Data) -> Iterator[str]:
        network = spec.architecture
        if network is None:
            yield "a network of one's own trains in the reference engine"
            return
        if self.package is not None and find_spec(self.package) is None:
            yield f"{self.package.capitalize()} is not installed"
        device_type = device_of(data).type
        if device_type not in self.device_types:
            yield f"{self.engine} does not train on {device_type}"
        if OPTIMIZERS[spec.optimizer].formula is None:
            yield f"the optimizer '{spec.optimizer}' has no formula"
        if self.activations is not None and network.activation not in self.activations:
            yield f"{self.engine} has no activation '{network.activation}'"
        if data.task.name not in self.tasks:
            yield f"{self.engine} has no task '{data.task.name}'"
        if data.task.has_own_loss:
            yield "a loss of one's own trains in the reference engine"
        if self.max_outputs is not None and network.outputs > self.max_outputs:
            yield f"{network.outputs:,} outputs are above {self.max_outputs:,}"
        if data.training.inputs.dtype not in self.dtypes:
            yield f"{self.engine} has no {data.training.inputs.dtype}"


KindKey = tuple[object, ...]
OpenGroup = Callable[[Sequence[TrialSpec], Data], TrialGroup]


@dataclass(frozen=True, slots=True)
class Plan:
    """How trials of one batch size are to train: `open` makes a group of at most `size` of them; `reason` says why this engine.

    `any_order`: the trials of a group may visit the rows in different orders, as those of a trial on fresh seeds do. `joins`: its groups
    are `GrowingGroup`s. `on_cores`: they train on the CPU beside the engine's GPU.
    """

    engine: str
    reason: str
    size: int
    open: OpenGroup
    capabilities: Capabilities | None = None  # of the engine; None: it can train everything
    any_order: bool = False
    joins: bool = False
    on_cores: bool = False

    def may_join(self, spec: TrialSpec) -> bool:
        """Whether a trial may join a group of its kind under way: its evaluations, evenly spread, come with the others'."""
        return self.joins and spec.max_seconds is None and _evenly_spread(spec.evaluate_at)

    @property
    def enough(self) -> int:
        """So many trials are worth a group, whatever else is in flight."""
        return max(1, int(self.size * REFILL_SHARE))


@lru_cache(maxsize=64)
def _evenly_spread(evaluate_at: tuple[int, ...]) -> bool:
    """Whether evaluations lie equally many updates apart, rounding aside."""
    gaps = [after - before for before, after in pairwise((0, *evaluate_at))]
    return max(gaps) - min(gaps) <= 1


@dataclass(eq=False)
class Kind:
    """Trials that can train in one group, and wait for it."""

    plan: Plan
    specs: list[TrialSpec] = field(default_factory=list)


@dataclass(eq=False)
class InFlight:
    """A group in training, with the bookkeeping of its trials."""

    evaluations: Evaluations | None  # None until a thread has opened the group
    plan: Plan
    progress: dict[int, Progress]
    stream: DeviceStream
    future: "Future[Windows] | None" = field(default=None, repr=False)
    alone: bool = True  # no other group was in flight while its present window trained
    held: int = 0  # trials that it held memory for in that window, those included that have ended since
    joining: list[TrialSpec] = field(default_factory=list)  # of its trials those that the open group does not know yet

    @property
    def first_spec(self) -> TrialSpec:
        """One of the trials, for what is the same for all."""
        return next(iter(self.progress.values())).spec

    @property
    def work_left(self) -> int:
        """About how many multiply-adds are left."""
        return sum(
            progress.updates_left * progress.spec.batch_size * progress.parameters
            for progress in self.progress.values()
        )


class Exhausted(Exception):
    """Memory ran out while a group trained, or while its weights were copied."""


@contextmanager
def _exhaustion() -> Iterator[None]:
    """Raise Exhausted for an error that says that memory is exhausted; it keeps tensors alive as long as it is handled."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise Exhausted from None


@dataclass(eq=False)
class Cores:
    """The cores beside a GPU: so many threads, each of which trains a group on one of them."""

    data_on_gpu: Data
    threads: int

    @cached_property
    def data(self) -> Data:
        """The data on the CPU, copied once the first trial trains there."""
        return self.data_on_gpu.to("cpu", self.data_on_gpu.training.inputs.dtype)


class ConcurrentEngine:
    """An engine with at most `max_concurrency` trials in flight, whose groups are trained by `threads` threads.

    `plan` says how a trial is to train. Each thread computes on one core of a CPU; `cores` are those beside a GPU, where plans may send
    trials there.
    """

    def __init__(
        self,
        data: Data,
        plan: Callable[[TrialSpec], Plan],
        *,
        max_concurrency: int,
        threads: int,
        cores: Cores | None = None,
    ) -> None:
        self.data = data
        self.cores = cores
        self.device = device_of(data)
        self.plan = plan
        self.max_concurrency = max_concurrency
        self.threads = threads
        self.maximize = data.metric.direction == "maximize"
        self.largest_group: dict[int, int] = {}  # batch size → trials of one group that memory is known to hold
        self.kinds: dict[KindKey, Kind] = {}

    def run(self, source: TrialSource) -> None:
        """Train until the source has nothing left."""
        in_flight: list[InFlight] = []
        waiting: list[InFlight] = []  # groups that are not open
        pools = {False: ThreadPoolExecutor(self.threads, initializer=begin_worker, initargs=(self.device,))}
        if self.cores is not None:
            pools[True] = ThreadPoolExecutor(self.cores.threads, initializer=begin_worker, initargs=(CPU,))
        with one_thread(self.device if self.cores is None else CPU), _shut_down(pools.values(), in_flight):
            while True:
                waiting += self._fill(source, [*in_flight, *waiting])
                self._admit(waiting, in_flight)
                self._submit(pools, in_flight, source)
                if not in_flight or source.stopping:
                    return
                done = _wait(in_flight, source)
                for completed in [entry for entry in in_flight if entry.future in done]:
                    in_flight.remove(completed)
                    going_on = self._complete(completed, source, in_flight)
                    (waiting if completed.evaluations is None else in_flight).extend(going_on)

    def _admit(self, waiting: list[InFlight], in_flight: list[InFlight]) -> None:
        """Let groups train for which there are slots; where nothing is in flight, the first one whatever its size."""
        for entry in list(waiting):
            if not in_flight or _trials(in_flight) + len(entry.progress) <= self.max_concurrency:
                waiting.remove(entry)
                in_flight.append(entry)

    def _fill(self, source: TrialSource, present: Sequence[InFlight]) -> list[InFlight]:
        """Take trials where a good part of the slots is free; return groups of those that need not wait for others of their kind."""
        free = self.max_concurrency - _trials(present) - sum(len(kind.specs) for kind in self.kinds.values())
        if free >= max(1, int(self.max_concurrency * REFILL_SHARE)):
            for spec in source.take(free):
                plan = self.plan(spec)
                self.kinds.setdefault(_kind_of(plan, spec), Kind(plan)).specs.append(spec)
        opened: list[InFlight] = []
        for key, kind in list(self.kinds.items()):
            groups = [entry for entry in present if _kind_of(entry.plan, entry.first_spec) == key]
            if kind.plan.may_join(kind.specs[0]):
                self._join(kind, groups, present)
                enough = all(len(entry.progress) >= self._size(kind.plan, entry.first_spec) for entry in groups)
            else:
                enough = not groups or len(kind.specs) >= kind.plan.enough
            if enough:
                opened += self._groups(kind.plan, kind.specs)
            if enough or not kind.specs:
                del self.kinds[key]
        return opened

    def _join(self, kind: Kind, groups: Sequence[InFlight], present: Sequence[InFlight]) -> None:
        """Have trials join groups of their kind that are between two windows."""
        for entry in groups:
            if entry.evaluations is None or entry.future is not None:
                continue
            room = min(
                self._size(kind.plan, entry.first_spec) - len(entry.progress), self.max_concurrency - _trials(present)
            )
            newcomers = kind.specs[: max(0, room)]
            del kind.specs[: len(newcomers)]
            entry.joining += newcomers
            entry.progress |= {spec.number: self._progress(spec) for spec in newcomers}

    def _size(self, plan: Plan, spec: TrialSpec) -> int:
        """Return how many trials of a batch size train in one group at most."""
        return min(plan.size, self.largest_group.get(spec.batch_size, plan.size))

    def _groups(self, plan: Plan, specs: Sequence[TrialSpec]) -> list[InFlight]:
        """Divide trials that can train side by side into groups that memory holds."""
        if not specs:
            return []
        size = self._size(plan, specs[0])
        parts = [specs[start : start + size] for start in range(0, len(specs), size)]
        return [self._unopened(plan, {spec.number: self._progress(spec) for spec in part}) for part in parts]

    def _unopened(self, plan: Plan, progress: dict[int, Progress]) -> InFlight:
        return InFlight(None, plan, progress, DeviceStream(device_of(self._data(plan))))

    def _data(self, plan: Plan) -> Data:
        """Return the data where trials of a plan train."""
        if not plan.on_cores:
            return self.data
        assert self.cores is not None, "a plan for cores has some"
        return self.cores.data

    def _halves(self, entry: InFlight) -> list[InFlight]:
        """Return a group as two that are not open yet: they train again what is recorded already."""
        members = list(entry.progress.items())
        half = len(members) // 2
        return [self._unopened(entry.plan, dict(part)) for part in (members[:half], members[half:])]

    def _progress(self, spec: TrialSpec) -> Progress:
        return Progress(spec, self.maximize, spec.dense_architecture.parameters)

    def _submit(
        self, pools: Mapping[bool, ThreadPoolExecutor], in_flight: Sequence[InFlight], source: TrialSource
    ) -> None:
        """Have threads train the groups that wait, the longest first, so that cores end together."""
        for entry in sorted(in_flight, key=lambda entry: entry.work_left, reverse=True):
            if entry.future is None:
                entry.alone = True
                entry.held = len(entry.progress)
                pool = pools[entry.plan.on_cores]
                entry.future = pool.submit(self._advance, entry, lambda: source.stopping)
            entry.alone = entry.alone and len(_beside(entry, in_flight)) == 1

    def _advance(self, entry: InFlight, stopping: Stopping) -> Windows:
        """Train a group to the next evaluation (on a thread of the pool)."""
        with entry.stream.entered():
            if entry.evaluations is None:
                specs = [progress.spec for progress in entry.progress.values()]
                data = self._data(entry.plan).fold(specs[0].fold).encoded_for(specs[0].architecture)
                group = entry.plan.open(specs, data)
                entry.evaluations = Evaluations(group, specs[0].evaluate_at, specs[0].max_seconds)
            elif entry.joining:
                entry.evaluations.join(entry.joining)
            entry.joining = []
            with own_errors(entry.first_spec, self.data):
                return entry.evaluations.advance(stopping)

    def _complete(self, entry: InFlight, source: TrialSource, others: Sequence[InFlight]) -> list[InFlight]:
        """Take a group's windows; return what goes on, which is not open yet where the group's evaluations are None."""
        assert entry.future is not None
        exhausted = False
        failed: OwnCodeFailed | None = None
        try:
            with _exhaustion():
                windows = entry.future.result()
            if windows is None:
                self._end_expired(entry, source)
                return []
            self._record(entry, windows, source)
        except OwnCodeFailed as error:
            failed = error.with_traceback(None)
        except Exhausted:
            exhausted = True
        finally:
            entry.future = None  # with its exception, whose traceback would keep tensors alive
        if failed is not None:
            return self._split_failed(entry, failed, source)
        if exhausted:
            return self._make_room(entry, source, others)
        return [entry] if entry.progress else []

    def _record(self, entry: InFlight, windows: Mapping[int, Window], source: TrialSource) -> None:
        """Record every trial's window, and drop the trials whose runs end."""
        ended: list[int] = []
        for number, window in windows.items():
            if self._ends(entry, number, window, source):
                ended.append(number)
                del entry.progress[number]
        if ended and entry.progress:
            assert entry.evaluations is not None
            entry.evaluations.group.drop(ended)

    def _ends(self, entry: InFlight, number: int, window: Window, source: TrialSource) -> bool:
        """Record a window of one trial; True where its run ends."""
        progress = entry.progress[number]
        evaluations = entry.evaluations
        assert evaluations is not None
        if len(progress.history) >= evaluations.done_by(number):
            return False  # recorded before memory ran out and the group was opened again
        run = progress.record(window, lambda: self._copied_weights(entry, progress.spec), source)
        if run is not None:
            source.finish(run)
        return run is not None

    def _copied_weights(self, entry: InFlight, spec: TrialSpec) -> Weights:
        """Return a copy of a trial's weights, with what its encoding adds to them.

        Raises:
            Exhausted: memory does not hold it.
        """
        assert entry.evaluations is not None
        with _exhaustion(), entry.stream.read():
            encoding = encoding_state(self.data.fold(spec.fold), spec.architecture)
            weights = entry.evaluations.group.weights(spec.number)
            if entry.plan.on_cores:
                weights = {name: weight.to(self.device) for name, weight in weights.items()}
            return {**weights, **encoding}

    def _end_expired(self, entry: InFlight, source: TrialSource) -> None:
        """End the trials of a group whose seconds are over; one that was stopped is dropped."""
        if entry.evaluations is not None and entry.evaluations.expired:
            for progress in entry.progress.values():
                source.finish(progress.out_of_time())

    def _make_room(self, entry: InFlight, source: TrialSource, others: Sequence[InFlight]) -> list[InFlight]:
        """Open a group that memory did not hold again: as it is where more trials held memory, else as two; a trial alone ends."""
        entry.evaluations = None
        free_memory(self.data)
        if not entry.alone:
            held = _trials(_beside(entry, others)) or len(entry.progress)
            self.max_concurrency = min(self.max_concurrency, held)
            return [entry]
        if len(entry.progress) < entry.held:
            return [entry]
        spec = entry.first_spec
        if len(entry.progress) == 1:
            source.finish(out_of_memory_run(spec))
            return []
        half = len(entry.progress) // 2
        self.largest_group[spec.batch_size] = min(self.largest_group.get(spec.batch_size, half), half)
        return self._halves(entry)

    def _split_failed(self, entry: InFlight, error: OwnCodeFailed, source: TrialSource) -> list[InFlight]:
        """Open a group in which code of the user's own failed again as two, to find the trial; one that was the only one ends."""
        entry.evaluations = None
        if len(entry.progress) == 1:
            source.finish(failed_run(entry.first_spec, error))
            return []
        return self._halves(entry)


def _beside(entry: InFlight, groups: Sequence[InFlight]) -> list[InFlight]:
    """Return those of groups that have a memory in common with one."""
    return [other for other in groups if other.plan.on_cores == entry.plan.on_cores]


def _trials(groups: Sequence[InFlight]) -> int:
    return sum(len(entry.progress) for entry in groups)


def _kind_of(plan: Plan, spec: TrialSpec) -> KindKey:
    """Return what trials of one group have in common."""
    order = None if plan.any_order else spec.order_seed
    inputs = spec.dense_architecture.sizes[0]
    return plan.engine, plan.on_cores, spec.fold, order, spec.batch_size, spec.evaluate_at, inputs


@contextmanager
def _shut_down(pools: Collection[ThreadPoolExecutor], in_flight: Sequence[InFlight]) -> Iterator[None]:
    """Wait for the threads in the end, but not for one that compiles a kernel: nothing can interrupt that, and nobody needs it."""
    try:
        yield
    finally:
        running = [future for future in _futures(in_flight) if not future.cancel()]
        compiling = wait(running, STOP_SECONDS).not_done
        for pool in pools:
            pool.shutdown(wait=not compiling, cancel_futures=True)


def _futures(in_flight: Sequence[InFlight]) -> "list[Future[Windows]]":
    return [entry.future for entry in in_flight if entry.future]


def _wait(in_flight: Sequence[InFlight], source: TrialSource) -> "set[Future[Windows]]":
    """Wait for a group to be done, or for the source to stop."""
    while True:
        done = wait(_futures(in_flight), POLL_SECONDS, FIRST_COMPLETED).done
        if done or source.stopping:
            return done
