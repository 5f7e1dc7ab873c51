"""A probe: what a study will take in time and memory, from a few of its trials trained for a moment.

Each probed trial trains twice, the second time for more updates: the difference is what an update costs, the rest what a beginning and an
evaluation cost. Nothing is told, kept or scored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from resource import RUSAGE_SELF, getrusage
from statistics import fmean
from time import perf_counter

import optuna
from optuna.samplers import RandomSampler

from hpsearch.config import StudyConfig
from hpsearch.data.dataset import Data
from hpsearch.searching.study import specification
from hpsearch.space import Choice, SearchSpace
from hpsearch.training import Engine, Several
from hpsearch.training.devices import ARRAYS, workers
from hpsearch.trial import TrialSpec, derive_seed

PROBED = 8  # trials
FIRST = 2  # updates of the first step
MOMENT = 0.15  # seconds that the second step is to take


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study will take: `trial` is the mean over the probed trials, `seconds` the whole study where no trial ends early."""

    trial: float  # seconds
    longest: float  # seconds of the longest probed trial
    probed: int
    seconds: float
    confirming: float  # seconds of the fresh seeds after the search
    workers: int  # trials that train at the same time
    largest: int  # parameters of the largest network
    data: int  # bytes
    networks: int  # bytes of the trials in flight, at most
    used: int  # bytes of main memory that this process has used at most


def estimate(config: StudyConfig, data: Data, engine: Engine, places: int) -> Estimate:
    """Train a few trials of a study for a moment and return what the whole will take."""
    specs = list(_specs(config, data))
    _trained(engine, replace(specs[0], evaluate_at=(1,)))  # compiles what there is to compile
    seconds = [_seconds(engine, spec) * max(1, len(data.folds)) for spec in specs]
    at_once, confirm = min(places, workers(data)), config.confirm
    mean = fmean(seconds)
    again = mean * confirm.trials * confirm.seeds / at_once
    largest = config.space.largest(data.inputs, data.outputs)
    return Estimate(
        trial=mean,
        longest=max(seconds),
        probed=len(specs),
        seconds=mean * config.search.trials / at_once,
        confirming=again,
        workers=at_once,
        largest=largest,
        data=_bytes(data),
        networks=largest * ARRAYS * data.training.inputs.element_size() * places,
        used=getrusage(RUSAGE_SELF).ru_maxrss * 1024,
    )


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


def _seconds(engine: Engine, spec: TrialSpec) -> float:
    """Return about how long a trial takes, from two steps of it."""
    short = min(FIRST, spec.updates)
    first = _trained(engine, replace(spec, evaluate_at=(short,)))
    long = min(spec.updates, max(2 * short, int(short * MOMENT / first)))
    if long == short:
        return first
    second = _trained(engine, replace(spec, evaluate_at=(long,)))
    update = max(0.0, second - first) / (long - short)
    return update * spec.updates + max(0.0, first - short * update) * len(spec.evaluate_at)


def _trained(engine: Engine, spec: TrialSpec) -> float:
    """Return the seconds of a training run."""
    start = perf_counter()
    engine.run(Several([spec]))
    return perf_counter() - start


def _bytes(data: Data) -> int:
    """Return how many bytes the data's tensors take."""
    rows = [data.training, data.validation, data.test]
    rows += [part for fold in data.folds for part in (fold.training, fold.validation)]
    return sum(tensor.nbytes for part in rows for tensor in (part.inputs, part.targets))
