"""Which arrays of a file are the inputs and which the targets: by the names that people give them.

X, y · x_train, y_train, x_test, y_test (Keras) · train_images, train_labels, … (MedMNIST) · inputs, targets · data, target · images, labels
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from hpsearch.errors import UserError, listed, shown, suggestion

PAIRS = (
    ("x", "y"),
    ("inputs", "targets"),
    ("data", "target"),
    ("images", "labels"),
    ("features", "labels"),
    ("data", "labels"),
)
FORMS = ("{name}_{part}", "{part}_{name}")
VALIDATION = ("val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Parts:
    """Names of (inputs, targets) arrays: those of the training rows, in order, and those of the test rows, if there are any."""

    training: tuple[tuple[str, str], ...]
    test: tuple[str, str] | None = None


def choose_arrays(names: Sequence[str], target: str | None) -> Parts:
    """Return which arrays are used; `target` names that of the targets.

    Raises:
        UserError: no array of that name, or names that say nothing.
    """
    by_lower = _by_lower(names)
    pairs = [pair for pair in PAIRS if target is None or _means(target, pair[1])]
    parts = next(_conventional(by_lower, pairs), None) or _beside_target(names, target)
    if parts is None:
        raise UserError(
            f"arrays {listed(names)}: unclear which are inputs and targets. Name them X and y, or x_train, y_train, x_test and y_test."
        )
    return parts


def _by_lower(names: Sequence[str]) -> dict[str, str]:
    """Return names by their lower case; of several the first."""
    return {name.lower(): name for name in reversed(names)}


def _means(target: str, name: str) -> bool:
    """Whether the targets that are asked for are those of a conventional name, by itself or of the training rows."""
    return target.lower() in (name, *(form.format(name=name, part="train") for form in FORMS))


def _beside_target(names: Sequence[str], target: str | None) -> Parts | None:
    """Return the targets of that name, and the only other array, or the first with a conventional name of inputs."""
    if target is None:
        return None
    by_lower = _by_lower(names)
    targets = target if target in names else by_lower.get(target.lower())
    if targets is None:
        raise UserError(f"no array {shown(target)}. {suggestion(target, filter(str.isprintable, names))}")
    others = [name for name in names if name != targets]
    if len(others) != 1:
        conventional = [by_lower[x] for x, _ in PAIRS if x in by_lower]
        others = [name for name in conventional if name != targets]
    return Parts(((others[0], targets),)) if others else None


def inputs_of(names: Sequence[str]) -> str:
    """Return the array that is the inputs, where only those are wanted.

    Raises:
        UserError: names that say nothing.
    """
    if len(names) == 1:
        return names[0]
    by_lower = _by_lower(names)
    for x, _ in PAIRS:
        if x in by_lower:
            return by_lower[x]
    raise UserError(f"arrays {listed(names)}: unclear which are the inputs. Name them X.")


def _conventional(by_lower: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> Iterator[Parts]:
    """Yield what names of convention say: those with parts first."""
    for form, pair in product(FORMS, pairs):
        training = _part(by_lower, form, pair, ("train",))
        if training is None:
            continue
        validation = _part(by_lower, form, pair, VALIDATION)
        test = _part(by_lower, form, pair, ("test",))
        if test is None:
            yield Parts((training,), validation)
        else:
            yield Parts((training, validation) if validation else (training,), test)
    for x, y in pairs:
        if x in by_lower and y in by_lower:
            yield Parts(((by_lower[x], by_lower[y]),))


def _part(
    by_lower: Mapping[str, str], form: str, pair: tuple[str, str], parts: Sequence[str]
) -> tuple[str, str] | None:
    """Return the arrays of a part, by any of its names."""
    for part in parts:
        x, y = (form.format(name=name, part=part) for name in pair)
        if x in by_lower and y in by_lower:
            return by_lower[x], by_lower[y]
    return None
