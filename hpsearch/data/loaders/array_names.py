"""Which arrays of a file are the inputs and which the targets: by the names that people give them.

X, y · x_train, y_train, x_test, y_test (Keras) · train_images, train_labels, … (MedMNIST) · inputs, targets · data, target · images, labels
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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


def choose(names: Sequence[str], target: str | None) -> Parts:
    """Return which arrays are used; `target` names that of the targets.

    Raises:
        UserError: no array of that name, or names that say nothing.
    """
    plain = {name.lower(): name for name in reversed(names)}
    for found in _conventional(plain, [pair for pair in PAIRS if target is None or _means(target, pair[1])]):
        return found
    if target is not None:
        wanted = target if target in names else plain.get(target.lower())
        if wanted is None:
            raise UserError(f"no array {shown(target)}. {suggestion(target, filter(str.isprintable, names))}")
        others = [name for name in names if name != wanted]
        inputs = others if len(others) == 1 else [plain[x] for x, _ in PAIRS if x in plain and plain[x] != wanted]
        if inputs:
            return Parts(((inputs[0], wanted),))
    raise UserError(
        f"arrays {listed(names)}: unclear which are inputs and targets. Name them X and y, or x_train, y_train, x_test and y_test."
    )


def _means(target: str, name: str) -> bool:
    """Whether the targets that are asked for are those of a conventional name, alone or of the training rows."""
    return target.lower() in (name, *(form.format(name=name, part="train") for form in FORMS))


def inputs_of(names: Sequence[str]) -> str:
    """Return the array that is the inputs, where only those are wanted.

    Raises:
        UserError: names that say nothing.
    """
    plain = {name.lower(): name for name in reversed(names)}
    found = names[0] if len(names) == 1 else next((plain[x] for x, _ in PAIRS if x in plain), None)
    if found is None:
        raise UserError(f"arrays {listed(names)}: unclear which are the inputs. Name them X.")
    return found


def _conventional(plain: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> Iterator[Parts]:
    """Yield what names of convention say: those with parts first."""
    for form in FORMS:
        for pair in pairs:
            if (training := _part(plain, form, pair, ("train",))) is None:
                continue
            validation, test = _part(plain, form, pair, VALIDATION), _part(plain, form, pair, ("test",))
            if test is None:
                yield Parts((training,), validation)
            else:
                yield Parts((training, validation) if validation else (training,), test)
    for x, y in pairs:
        if x in plain and y in plain:
            yield Parts(((plain[x], plain[y]),))


def _part(plain: Mapping[str, str], form: str, pair: tuple[str, str], parts: Sequence[str]) -> tuple[str, str] | None:
    """Return the arrays of a part, by any of its names."""
    for part in parts:
        x, y = (form.format(name=name, part=part) for name in pair)
        if x in plain and y in plain:
            return plain[x], plain[y]
    return None
