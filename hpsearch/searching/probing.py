"""A probe: how much time and memory a study will take, estimated from a few of its trials that train for a moment.

The probed trials train together, by the study's own engine, each for a share of its updates; the share grows until that takes a moment.
The costs of their start, of all their updates and of an evaluation are then fitted to these seconds. The first run, which compiles and
warms up, does not count. Nothing is stored.

Seconds are those of the processor where trials train on it: other work on the machine does not change them, and so many cores make them
shorter. On a GPU, or in other processes, they are those of the clock. For a study of N trials whose probed ones cost t seconds each:

    seconds = begun + N · (SEARCHED · t + OVERHEAD) + further runs · CONFIRMED · t + END
    time    = begun + END + (the rest) / trials that train at the same time
    memory  = what this process has had at most + networks in training + the data once more + LATER

`begun` is what this process has spent so far, the further runs are those on fresh seeds, for the ensemble and on all rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from time import perf_counter, process_time

import numpy as np
from optuna.samplers import RandomSampler
from scipy.optimize import nnls

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.platforms import peak_memory
from hpsearch.searching.specifications import specification
from hpsearch.searching.study import confirming_runs
from hpsearch.space import Choice, SearchSpace
from hpsearch.storage.optuna_internals import quiet_study
from hpsearch.training import Engine, TrialQueue
from hpsearch.training.devices import ARRAYS_PER_TRIAL, worker_threads
from hpsearch.trial import TrialSpec, derive_seed

Clock = Callable[[], float]

PROBED = 16  # trials
SMALLEST = 1e-5  # share of its updates that each trial makes at first, one at least
GROWTH = 4  # of the share, from step to step
MOMENT = 0.5  # seconds that the last step takes at least
OVERHEAD = 0.05  # seconds in which a trial is proposed and stored; measured: 40 trials of one update in 2.1 s
# The mean share of its evaluations that a trial makes where early stopping or a pruner may end it. Measured over whole studies: 0.51 (150
# rows in folds), 0.51 (1,797 images), 0.51 (48,842 rows); without a pruner 0.55.
SEARCHED = 0.5
CONFIRMED = 0.8  # likewise of the best trials on further seeds, which no pruner ends: 0.82, 0.84 and 0.73
END = 4.0  # seconds for the report
# Bytes that report, storage and the end of the process take: 140 to 330 MB more than a check in six studies.
LATER = 280 * 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the probed trials together: their start, all their updates, one evaluation of each."""

    start: float
    updates: float
    evaluation: float

    def total(self, evaluations: int) -> float:
        """Return the seconds of the trials with so many evaluations, none of which ends early."""
        return self.start + self.updates + self.evaluation * evaluations


@dataclass(frozen=True, slots=True)
class StudyCost:
    """What a study will take: `seconds` in all, `most` where no trial ends early, `time` by the clock where nothing else runs."""

    trial: float  # seconds of a trial that does not end early
    probed: int
    seconds: float
    most: float
    time: float
    further: int  # runs after the search
    workers: int  # trials that train at the same time
    largest: int  # parameters of the largest network
    data: int  # bytes
    networks: int  # bytes of the trials in flight, at most
    used: int | None  # bytes of main memory that this process has used at most; None where that is not known

    @property
    def memory(self) -> int | None:
        """Bytes of main memory in all, None where it is not known."""
        if self.used is None:
            return None
        return self.used + self.networks + self.data + LATER


def estimate(
    config: StudyConfig,
    data: Data,
    engine: Engine,
    slots: int,
    begun: float = 0.0,
    clock: Clock | None = None,
) -> StudyCost:
    """Train a few trials of a study for a moment and estimate what the study will take.

    Args:
        config: the study.
        data: its data.
        engine: what trains them.
        slots: trials in flight.
        begun: seconds that this process has spent.
        clock: gives seconds; if left out the processor's where the data lie on it.
    """
    on_processor = clock is None and data.training.inputs.device.type == "cpu"
    workers = min(slots, worker_threads(data))
    specs = list(_specs(config, data))
    total = cost(engine, specs, clock or (process_time if on_processor else perf_counter))
    trial = total.total(config.budget.evaluations) / len(specs)
    searched, confirmed = shares(config)
    trials = config.search.trials
    further = confirming_runs(config)
    training = trials * (searched * trial + OVERHEAD) + further * confirmed * trial
    largest = config.space.largest(data.inputs, data.outputs, data.piece_counts)
    return StudyCost(
        trial=trial,
        probed=len(specs),
        seconds=begun + training + END,
        most=begun + trials * (trial + OVERHEAD) + further * trial + END,
        time=begun + training / (workers if on_processor else 1) + END,
        further=further,
        workers=workers,
        largest=largest,
        data=_bytes(data),
        networks=largest * ARRAYS_PER_TRIAL * data.training.inputs.element_size() * slots,
        used=peak_memory(),
    )


def shares(config: StudyConfig) -> tuple[float, float]:
    """Return the share of its evaluations that a trial of the search makes on average, and that of a run after it."""
    least = shortest(config)
    may_end = config.budget.patience is not None or config.search.pruner != "none"
    searched = SEARCHED if may_end else 1.0
    confirmed = CONFIRMED if config.budget.patience is not None else 1.0
    if config.search.pruner == "none":
        searched = max(searched, least)
    return searched, max(confirmed, least)


def shortest(config: StudyConfig) -> float:
    """Return the share of its evaluations after which a trial that never gets better ends, 1 where none ends early."""
    budget = config.budget
    if budget.patience is None:
        return 1.0
    return min(1.0, (budget.patience + 1) / budget.evaluations)


def cost(engine: Engine, specs: Sequence[TrialSpec], clock: Clock = perf_counter) -> Cost:
    """Return what trials cost that train together, from shorter forms of them."""
    _trained(engine, [_shortened(spec, SMALLEST) for spec in specs], clock)  # compiles what there is to compile
    rows: list[tuple[float, float]] = []  # (share of the updates, evaluations of a trial)
    share = SMALLEST
    seconds = [0.0]
    while len(rows) < 2 or (share < 1 and seconds[-1] < MOMENT):
        share = min(1.0, SMALLEST * GROWTH ** len(rows))
        short = [_shortened(spec, share) for spec in specs]
        seconds.append(_trained(engine, short, clock))
        done = sum(spec.updates for spec in short) / sum(spec.updates for spec in specs)
        rows.append((done, sum(len(spec.evaluate_at) for spec in short) / len(short)))
    return _fitted(rows, seconds[1:])


def _fitted(rows: Sequence[tuple[float, float]], seconds: Sequence[float]) -> Cost:
    """Return the costs, none negative, that fit the seconds of steps of so many (updates, evaluations) best, in relative error.

    Where every step evaluated once, a start cannot be told from an evaluation and counts as one: the estimate is then rather too high.
    """
    one = all(evaluations == 1 for _, evaluations in rows)
    columns = np.array([(0.0 if one else 1.0, *row) for row in rows])  # [steps, 3]
    weights = 1 / np.maximum(seconds, 1e-9)
    start, updates, evaluation = nnls(columns * weights[:, None], np.ones(len(rows)))[0]
    return Cost(float(start), float(updates), float(evaluation))


def size(space: SearchSpace) -> tuple[int, list[str]]:
    """Return how many combinations the listed choices have, and the hyperparameters that are ranges."""
    domains = {name: domain for name, domain in space.by_key.items() if not domain.constant}
    choices = [len(domain.values) for domain in domains.values() if isinstance(domain, Choice)]
    return prod(choices), [name for name, domain in domains.items() if not isinstance(domain, Choice)]


def _specs(config: StudyConfig, data: Data) -> Iterator[TrialSpec]:
    """Yield the known-good trial and random ones of the space, without early stopping."""
    study = quiet_study(sampler=RandomSampler(seed=derive_seed(config.study.seed, "probe") % 2**32))
    study.enqueue_trial(config.space.defaults())
    for number in range(PROBED):
        spec = specification(config, config.space.suggest(study.ask()), number, data)
        yield replace(spec, patience=None, rungs=(), max_seconds=None)


def _shortened(spec: TrialSpec, share: float) -> TrialSpec:
    """Return a trial that makes a share of its updates, one at least, with the evaluations that belong to them."""
    updates = max(1, round(share * spec.updates))
    return replace(spec, evaluate_at=tuple(u for u in spec.evaluate_at if u <= updates) or (updates,))


def _trained(engine: Engine, specs: Sequence[TrialSpec], clock: Clock) -> float:
    """Return the seconds in which trials are trained together."""
    start = clock()
    engine.run(TrialQueue([*specs]))
    return clock() - start


def _bytes(data: Data) -> int:
    """Return how many bytes the data's tensors take."""
    parts = [data.training, data.validation, data.test]
    for fold in data.folds:
        parts += [fold.training, fold.validation]
    return sum(part.inputs.nbytes + part.targets.nbytes for part in parts)
