"""A probe: what a study will take in time and memory, from a few of its trials trained for a moment.

The probed trials train together, by the study's own engine, each a share of its updates; the share grows until that takes a moment.
What a beginning, all updates and an evaluation of them cost is then the fit of these seconds, the first run, which compiles and warms
up, left out. Nothing is told, kept or scored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from scipy.optimize import nnls

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.searching.specifications import specification
from hpsearch.space import Choice, SearchSpace
from hpsearch.training import Engine, Several
from hpsearch.training.devices import ARRAYS, workers
from hpsearch.trial import TrialSpec, derive_seed

PROBED = 8  # trials
SMALLEST = 1e-5  # share of its updates that each trial makes at first, one at least
GROWTH = 4  # of the share, from step to step
MOMENT = 0.5  # seconds that the last step takes at least
TOLD = 0.05  # seconds in which a trial is proposed and written down, whatever it trains; measured: 40 trials of one update in 2.1 s


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the probed trials together: their `beginning`, all their `updates`, and each round of their `evaluations`."""

    beginning: float
    updates: float
    evaluation: float

    def whole(self, evaluations: int) -> float:
        """Return the seconds of whole trials, none of which ends early."""
        return self.beginning + self.updates + self.evaluation * evaluations


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study will take: `seconds` and `confirming` are (least, most), the most where no trial ends early."""

    trial: float  # seconds of a whole trial, while others train beside it
    probed: int
    seconds: tuple[float, float]
    confirming: tuple[float, float]  # seconds of the fresh seeds after the search
    workers: int  # trials that train at the same time
    largest: int  # parameters of the largest network
    data: int  # bytes
    networks: int  # bytes of the trials in flight, at most
    used: int  # bytes of main memory that this process has used at most


def estimate(config: StudyConfig, data: Data, engine: Engine, places: int) -> Estimate:
    """Train a few trials of a study for a moment and return what the whole will take."""
    specs = list(_specs(config, data))
    trial = cost(engine, specs).whole(config.budget.evaluations) / len(specs)
    least, confirm = shortest(config), config.confirm
    runs = confirm.trials * confirm.seeds + (confirm.ensemble / len(data.folds) if data.folds else 0)
    largest = config.space.largest(data.inputs, data.outputs)
    return Estimate(
        trial=trial,
        probed=len(specs),
        seconds=((least * trial + TOLD) * config.search.trials, (trial + TOLD) * config.search.trials),
        confirming=(least * trial * runs, trial * runs),
        workers=min(places, workers(data)),
        largest=largest,
        data=_bytes(data),
        networks=largest * ARRAYS * data.training.inputs.element_size() * places,
        used=getrusage(RUSAGE_SELF).ru_maxrss * 1024,
    )


def shortest(config: StudyConfig) -> float:
    """Return the share of its evaluations after which a trial ends that never gets better, 1 where none ends early."""
    budget = config.budget
    patience = budget.evaluations if budget.patience is None else budget.patience
    return min(1.0, (patience + 1) / budget.evaluations)


def cost(engine: Engine, specs: Sequence[TrialSpec]) -> Cost:
    """Return what trials cost that train together, from shorter forms of them."""
    _trained(engine, [_shortened(spec, SMALLEST) for spec in specs])  # compiles what there is to compile
    rows: list[tuple[float, float]] = []  # (share of the updates, evaluations of a trial)
    share, seconds = SMALLEST, [0.0]
    while len(rows) < 2 or (share < 1 and seconds[-1] < MOMENT):
        share = min(1.0, SMALLEST * GROWTH ** len(rows))
        short = [_shortened(spec, share) for spec in specs]
        seconds.append(_trained(engine, short))
        done = sum(spec.updates for spec in short) / sum(spec.updates for spec in specs)
        rows.append((done, sum(len(spec.evaluate_at) for spec in short) / len(short)))
    return _fitted(rows, seconds[1:])


def _fitted(rows: Sequence[tuple[float, float]], seconds: Sequence[float]) -> Cost:
    """Return the costs, none negative, that come nearest to the seconds, as shares of each, of so many (updates, evaluations).

    Where every step evaluated once, a beginning cannot be told from an evaluation, and counts as one: the estimate is then rather too high.
    """
    one = all(evaluations == 1 for _, evaluations in rows)
    columns = np.array([(0.0 if one else 1.0, *row) for row in rows])  # [steps, 3]
    weights = 1 / np.maximum(seconds, 1e-9)
    found, _ = nnls(columns * weights[:, None], np.ones(len(rows)))
    return Cost(*map(float, found))


def size(space: SearchSpace) -> tuple[int, list[str]]:
    """Return how many combinations the listed choices have, and the hyperparameters that are ranges."""
    domains = {name: domain for name, domain in space.domains.items() if not domain.constant}
    choices = [len(domain.values) for domain in domains.values() if isinstance(domain, Choice)]
    return prod(choices), [name for name, domain in domains.items() if not isinstance(domain, Choice)]


def _specs(config: StudyConfig, data: Data) -> Iterator[TrialSpec]:
    """Yield the known-good trial and random ones of the space, without early stopping."""
    study = optuna.create_study(sampler=RandomSampler(seed=derive_seed(config.study.seed, "probe") % 2**32))
    study.enqueue_trial(config.space.defaults())
    for number in range(PROBED):
        spec = specification(config, config.space.suggest(study.ask()), number, data)
        yield replace(spec, patience=None, rungs=())


def _shortened(spec: TrialSpec, share: float) -> TrialSpec:
    """Return a trial that makes a share of its updates, one at least, with the evaluations that belong to them."""
    updates = max(1, round(share * spec.updates))
    return replace(spec, evaluate_at=tuple(u for u in spec.evaluate_at if u <= updates) or (updates,))


def _trained(engine: Engine, specs: Sequence[TrialSpec]) -> float:
    """Return the seconds in which trials are trained together."""
    start = perf_counter()
    engine.run(Several([*specs]))
    return perf_counter() - start


def _bytes(data: Data) -> int:
    """Return how many bytes the data's tensors take."""
    rows = [data.training, data.validation, data.test]
    rows += [part for fold in data.folds for part in (fold.training, fold.validation)]
    return sum(tensor.nbytes for part in rows for tensor in (part.inputs, part.targets))
