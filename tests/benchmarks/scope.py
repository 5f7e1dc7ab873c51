"""What is to be measured, read from the command line and checked before anything is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hpsearch.errors import StorageError, UserError, look_up, shown
from hpsearch.files import write_file
from hpsearch.training import ENGINES
from hpsearch.training.optimizers import OPTIMIZERS
from tests.benchmarks.contestants import RIVALS
from tests.benchmarks.workload import COHORTS

FULL = "full"
MOST_TRIALS = 1_024


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings whose combinations are measured; a batch size of None is the full batch."""

    batch_sizes: tuple[int | None, ...] = (1, 8, 32, 128, 512, None)
    trials: tuple[int, ...] = (8,)
    optimizers: tuple[str, ...] = ("sgd", "adam")
    cohorts: tuple[str, ...] = ("equal", "mixed")
    engines: tuple[str, ...] = ("auto",)
    rivals: tuple[str, ...] = ()

    def sizes(self, rows: int) -> list[int]:
        """Return the batch sizes on a data set of so many training rows, those above its rows left out."""
        sizes = dict.fromkeys(rows if size is None else size for size in self.batch_sizes)
        return [size for size in sizes if size <= rows]

    def check_rows(self, rows: Sequence[int]) -> None:
        """Refuse a batch size above the rows of every data set."""
        largest = max(size or 1 for size in self.batch_sizes)
        if largest > max(rows):
            raise UserError(
                f"--batch-size {largest}: above the {max(rows):,} training rows. Give a number up to {max(rows)}, or 'full'."
            )

    def check_contestants(self, device: torch.device) -> None:
        """Refuse a rival that is not installed, or not for this device."""
        if "jax" in self.rivals:
            _check_jax(device)


def read_scope(
    batch_sizes: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    optimizers: Sequence[str] | None = None,
    cohorts: Sequence[str] | None = None,
    engines: Sequence[str] | None = None,
    rivals: Sequence[str] | None = None,
) -> Scope:
    """Return what the command line asks for; None is the default.

    Raises:
        UserError: a number or a name that is none.
    """
    default = Scope()
    return Scope(
        tuple(dict.fromkeys(map(_batch_size, batch_sizes))) if batch_sizes else default.batch_sizes,
        tuple(sorted(set(map(_trials, trials)))) if trials else default.trials,
        _names(OPTIMIZERS, optimizers, "optimizer") or default.optimizers,
        _names(COHORTS, cohorts, "kind of networks") or default.cohorts,
        _names(ENGINES, engines, "engine") or default.engines,
        _names(RIVALS, rivals, "rival"),
    )


def _names(known: Iterable[str], names: Sequence[str] | None, what: str) -> tuple[str, ...]:
    rows = dict.fromkeys(known)
    for name in names or ():
        look_up(rows, name, what)
    return tuple(dict.fromkeys(names or ()))


def _batch_size(text: str) -> int | None:
    if text == FULL:
        return None
    if not (text.isdecimal() and len(text) < 19 and int(text) > 0):
        raise UserError(f"--batch-size {shown(text)}: a number from 1 or 'full' expected.")
    return int(text)


def _trials(count: int) -> int:
    if not 1 <= count <= MOST_TRIALS:
        raise UserError(f"--trials {shown(count)}: a number from 1 to {MOST_TRIALS} expected.")
    return count


def _check_jax(device: torch.device) -> None:
    try:
        import jax
    except ImportError as error:
        raise UserError("--vs jax: JAX is not installed. Install it with: pip install 'hpsearch[bench]'") from error
    if device.type == "cuda" and jax.default_backend() != "gpu":
        raise UserError("--vs jax: this JAX has no GPU. Install jax[cuda13], or measure with --device cpu.")


def check_rounds(rounds: int) -> None:
    """Refuse to measure nothing."""
    if rounds < 1:
        raise UserError(f"--rounds {shown(rounds)}: a number from 1 expected.")


def check_file(path: Path) -> None:
    """Find out whether a file can be written, before minutes of measuring and without touching one that is there."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"--json {path}: not a file. Give the name of one.")
        beside = path.with_name(f".{path.name}.writable")
        write_file(beside, b"")
        beside.unlink()
    except (OSError, StorageError) as error:
        why = error if isinstance(error, OSError) else error.__cause__
        raise UserError(
            f"--json {path}: {getattr(why, 'strerror', why)}. Give a file in a folder that can be written."
        ) from error
