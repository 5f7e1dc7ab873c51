"""Arms: an optimizer at a batch size, with the study that tunes it. All have the same space, budget and number of trials."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from hpsearch.config import StudyConfig, check_config
from hpsearch.space.hyperparameters import COEFFICIENTS
from hpsearch.training.optimizers import OPTIMIZERS

BATCH_SIZES = (1, 8, 64, 512, "full")
LAG = 2  # of searches whose trials end by what the trials before them needed: trial k knows the results of trials 0 … k - LAG
PATIENT_LAG = 100_000  # of searches that learn nothing from their results, so that all trials may be in flight


@dataclass(frozen=True, slots=True)
class Arm:
    """An optimizer at a batch size (rows of an update); `config` is the study of its tuning."""

    optimizer: str
    batch_size: int
    config: StudyConfig

    @property
    def name(self) -> str:
        """The name of the arm's study in the storage."""
        return self.config.study.name

    def with_updates(self, updates: int) -> "Arm":
        """Return the arm with a budget of so many updates."""
        training = self.config.training.model_copy(update={"updates": updates})
        return replace(self, config=self.config.model_copy(update={"training": training}))


def make_arms(config: StudyConfig, rows: int) -> list[Arm]:
    """Return the arms of a comparison on so many training rows: optimizers in the space's order, batch sizes ascending.

    Raises:
        UserError: an arm's space cannot be.
    """
    optimizers = map(str, config.space.domain("optimizer").points())
    sizes = sorted(set(_sizes(config, rows)))
    return [Arm(optimizer, size, arm_config(config, optimizer, size)) for optimizer, size in product(optimizers, sizes)]


def arm_config(config: StudyConfig, optimizer: str, size: int | str) -> StudyConfig:
    """Return the study that tunes an optimizer at a batch size.

    Raises:
        UserError: its space cannot be.
    """
    compare = config.compare
    assert compare is not None, "a comparison has a table [compare]"
    plain = {**config.space.plain(), **compare.space.get(optimizer, {})}
    foreign = COEFFICIENTS - set(OPTIMIZERS[optimizer].coefficients)
    space = {name: domain for name, domain in plain.items() if name not in foreign}
    settings: Mapping[str, Any] = config.settings()
    lag = LAG if compare.tune_until == "target" else PATIENT_LAG
    search = {"sampler": config.tuner, "lag": lag, "metric": config.search.metric}
    raw = {
        "study": {**settings["study"], "name": f"{config.study.name}/{optimizer}/{size}"},
        "data": settings["data"],
        "space": {**space, "optimizer": optimizer, "batch_size": size},
        "training": settings["training"],
        "search": search,
        "compare": {**settings["compare"], "batch_sizes": None, "space": {}},
    }
    return check_config(raw, f"compare.space.{optimizer}")


def _sizes(config: StudyConfig, rows: int) -> list[int]:
    """Return the batch sizes; one above the rows is the full batch."""
    assert config.compare is not None, "a comparison has a table [compare]"
    listed = config.space.domains.get("batch_size")
    sizes = config.compare.batch_sizes or (listed.points() if listed else BATCH_SIZES)
    return [rows if size == "full" else min(int(size), rows) for size in sizes]
