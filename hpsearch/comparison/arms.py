"""Arms: an optimizer at a batch size, with the study that tunes it. All have the same space, budget and number of trials."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.config import StudyConfig, check_config
from hpsearch.space.hyperparameters import COEFFICIENTS
from hpsearch.training.optimizers import OPTIMIZERS

BATCH_SIZES = (1, 8, 64, 512, "full")
PATIENT = 100_000  # the lag of searches that learn nothing from their results, so that all trials may be in flight


@dataclass(frozen=True, slots=True)
class Arm:
    """What is trained at one batch size (rows of an update) with one optimizer; `config` is the study of its tuning."""

    optimizer: str
    batch_size: int
    config: StudyConfig

    @property
    def name(self) -> str:
        """The name of the arm's study in the storage."""
        return self.config.study.name

    def within(self, updates: int) -> "Arm":
        """Return the arm with a budget of so many updates."""
        training = self.config.training.model_copy(update={"updates": updates})
        return replace(self, config=self.config.model_copy(update={"training": training}))


def make_arms(config: StudyConfig, rows: int) -> list[Arm]:
    """Return the arms of a comparison on so many training rows: optimizers in the space's order, batch sizes ascending.

    Raises:
        UserError: an arm's space cannot be.
    """
    return [
        Arm(optimizer, size, arm_config(config, optimizer, size))
        for optimizer in map(str, config.space.domain("optimizer").points())
        for size in sorted(set(_sizes(config, rows)))
    ]


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
    search = {"sampler": config.tuner, "lag": PATIENT, "metric": config.search.metric}
    raw = {
        "study": {**settings["study"], "name": f"{config.study.name}/{optimizer}/{size}"},
        "data": settings["data"],
        "space": {**space, "optimizer": optimizer, "batch_size": size},
        "training": settings["training"],
        "search": search,
        "compare": {**settings["compare"], "batch_sizes": None, "space": {}},
    }
    return check_config(raw, f"compare.space.{optimizer}")


def batch_sizes(config: StudyConfig) -> list[int | str]:
    """Return the batch sizes as they were given, "full" among them: the comparison's, else the space's, else `BATCH_SIZES`."""
    assert config.compare is not None, "a comparison has a table [compare]"
    listed = config.space.domains.get("batch_size")
    sizes = config.compare.batch_sizes or (listed.points() if listed else BATCH_SIZES)
    return ["full" if size == "full" else int(size) for size in sizes]


def _sizes(config: StudyConfig, rows: int) -> Iterator[int]:
    """Yield the batch sizes; one above the rows is the full batch."""
    yield from (rows if size == "full" else min(int(size), rows) for size in batch_sizes(config))
