"""A probe: how much time and memory a study will take, estimated from a few of its trials that train for a moment.

The probed trials train together, by the study's own engine, each for a share of its updates; the share grows until that takes a moment.
The costs of their start, of all their updates and of an evaluation are then fitted to these seconds. The first run, which compiles and
warms up, does not count. Nothing is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from time import perf_counter

import numpy as np
from optuna.samplers import RandomSampler
from scipy.optimize import nnls

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.platforms import peak_memory
from hpsearch.searching.specifications import specification
from hpsearch.space import Choice, SearchSpace
from hpsearch.storage.optuna_internals import quiet_study
from hpsearch.training import Engine, TrialQueue
from hpsearch.training.devices import ARRAYS_PER_TRIAL, worker_threads
from hpsearch.trial import TrialSpec, derive_seed

PROBED = 8  # trials
SMALLEST = 1e-5  # share of its updates that each trial makes at first, one at least
GROWTH = 4  # of the share, from step to step
MOMENT = 0.5  # seconds that the last step takes at least
OVERHEAD = 0.05  # seconds in which a trial is proposed and stored; measured: 40 trials of one update in 2.1 s


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
    """What a study will take: `seconds` and `confirming` are (least, most), the most where no trial ends early."""

    trial: float  # seconds of a trial that does not end early, while others train beside it
    probed: int
    seconds: tuple[float, float]
    confirming: tuple[float, float]  # seconds of the fresh seeds after the search
    workers: int  # trials that train at the same time
    largest: int  # parameters of the largest network
    data: int  # bytes
    networks: int  # bytes of the trials in flight, at most
    used: int | None  # bytes of main memory that this process has used at most; None where that is not known


def estimate(config: StudyConfig, data: Data, engine: Engine, slots: int) -> StudyCost:
    """Train a few trials of a study for a moment and estimate what the study will take; `slots` trials are in flight."""
    specs = list(_specs(config, data))
    trial = cost(engine, specs).total(config.budget.evaluations) / len(specs)
    least = shortest(config)
    confirm = config.confirm
    runs: float = confirm.trials * confirm.seeds
    if data.folds:
        runs += confirm.ensemble / len(data.folds)
    largest = config.space.largest(data.inputs, data.outputs, data.piece_counts)
    return StudyCost(
        trial=trial,
        probed=len(specs),
        seconds=((least * trial + OVERHEAD) * config.search.trials, (trial + OVERHEAD) * config.search.trials),
        confirming=(least * trial * runs, trial * runs),
        workers=min(slots, worker_threads(data)),
        largest=largest,
        data=_bytes(data),
        networks=largest * ARRAYS_PER_TRIAL * data.training.inputs.element_size() * slots,
        used=peak_memory(),
    )


def shortest(config: StudyConfig) -> float:
    """Return the share of its evaluations after which a trial that never gets better ends, 1 where none ends early."""
    budget = config.budget
    if budget.patience is None:
        return 1.0
    return min(1.0, (budget.patience + 1) / budget.evaluations)


def cost(engine: Engine, specs: Sequence[TrialSpec]) -> Cost:
    """Return what trials cost that train together, from shorter forms of them."""
    _trained(engine, [_shortened(spec, SMALLEST) for spec in specs])  # compiles what there is to compile
    rows: list[tuple[float, float]] = []  # (share of the updates, evaluations of a trial)
    share = SMALLEST
    seconds = [0.0]
    while len(rows) < 2 or (share < 1 and seconds[-1] < MOMENT):
        share = min(1.0, SMALLEST * GROWTH ** len(rows))
        short = [_shortened(spec, share) for spec in specs]
        seconds.append(_trained(engine, short))
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


def _trained(engine: Engine, specs: Sequence[TrialSpec]) -> float:
    """Return the seconds in which trials are trained together."""
    start = perf_counter()
    engine.run(TrialQueue([*specs]))
    return perf_counter() - start


def _bytes(data: Data) -> int:
    """Return how many bytes the data's tensors take."""
    parts = [data.training, data.validation, data.test]
    for fold in data.folds:
        parts += [fold.training, fold.validation]
    return sum(part.inputs.nbytes + part.targets.nbytes for part in parts)
