"""The samplers, which propose trials: one row each, over Optuna's.

A fresh sampler is made for every trial, seeded from (study seed, trial number): Optuna does not store a sampler's random state, so a
sampler that lives on would propose other trials after an interruption.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from hpsearch.errors import UserError
from hpsearch.space import SearchSpace
from hpsearch.storage.optuna_internals import normal_cdf_of_tpe
from hpsearch.trial import derive_seed

LARGEST_GRID = 1_000_000  # points
POPULATION = 20  # trials of a generation of NSGA-II: Optuna's 50 would leave a study of the usual size at the first


@dataclass(frozen=True, slots=True)
class Sampler:
    """A row of `SAMPLERS`: `make` returns the sampler of one trial from the study's seed and the trial's.

    `points` lists the parameters of all trials beforehand (the grid). `replayed` marks a sampler that keeps its state in the trials: a
    resumed search asks it again for the earlier trials, so that its state (CMA-ES pickles its own) never enters the storage.
    `multi_objective` says whether it takes several objectives, `windowed` that in a long study it sees the best and the latest results
    alone (see `sampler_view`), `learns` whether it asks for results at all.
    """

    description: str
    make: Callable[[int, int], BaseSampler]
    points: Callable[[SearchSpace], Iterable[Mapping[str, Any]]] | None = None
    replayed: bool = False
    multi_objective: bool = True
    windowed: bool = False
    learns: bool = True


def _grid(space: SearchSpace) -> Iterator[Mapping[str, Any]]:
    for number, point in enumerate(islice(space.grid(), LARGEST_GRID + 1)):
        if number == LARGEST_GRID:
            raise UserError(
                f"space: the grid has more than {LARGEST_GRID:,} points. Give fewer values or another sampler."
            )
        yield point


def _random(seed: int) -> RandomSampler:
    return RandomSampler(seed=derive_seed(seed, "independent") % 2**32)


def _quasi_random(study_seed: int, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since Optuna 3.0; a test pins what it does
        return QMCSampler(
            scramble=True, seed=study_seed, independent_sampler=_random(seed), warn_independent_sampling=False
        )


def _evolution(study_seed: int, seed: int) -> BaseSampler:
    return CmaEsSampler(seed=seed, independent_sampler=_random(seed), warn_independent_sampling=False)


def _genetic(study_seed: int, seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


def _gaussian_process(study_seed: int, seed: int) -> BaseSampler:
    return GPSampler(seed=seed, independent_sampler=_random(seed), warn_independent_sampling=False)


class VectorizedTPESampler(TPESampler):
    """Optuna's TPE sampler, which proposes the same trials in half the time (see `normal_tails`)."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of hyperparameters that are sampled together (see `BaseSampler`)."""
        from hpsearch.searching.normal_tails import log_normal_cdf  # numba takes half a second to import

        with normal_cdf_of_tpe(log_normal_cdf):
            return super().sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of one hyperparameter (see `BaseSampler`)."""
        from hpsearch.searching.normal_tails import log_normal_cdf

        with normal_cdf_of_tpe(log_normal_cdf):
            return super().sample_independent(study, trial, param_name, param_distribution)


SAMPLERS: dict[str, Sampler] = {
    "random": Sampler("independent draws", lambda _, seed: RandomSampler(seed=seed), learns=False),
    "grid": Sampler("every point of a grid", lambda _, seed: RandomSampler(seed=seed), points=_grid, learns=False),
    "qmc": Sampler("quasi-random, scrambled Sobol points", _quasi_random, replayed=True, learns=False),
    "tpe": Sampler("tree-structured Parzen estimator", lambda _, seed: VectorizedTPESampler(seed=seed), windowed=True),
    "gp": Sampler("Gaussian process", _gaussian_process),
    "nsga2": Sampler("genetic algorithm NSGA-II", _genetic, replayed=True),
    "cmaes": Sampler("covariance matrix adaptation", _evolution, replayed=True, multi_objective=False),
}
