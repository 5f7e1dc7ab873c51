"""Arrays in files: NumPy's .npz (several by name) and .npy (one), never as pickles.

A file's headers declare types and shapes before a byte of an array is unpacked. By them alone objects (pickles, which run code when read),
records, and what does not fit into memory are refused. Which arrays are inputs and which targets, the names say that people give them:
X, y · x_train, y_train, x_test, y_test (Keras) · train_images, train_labels, … (MedMNIST) · inputs, targets · data, target · images, labels
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import IO
from zipfile import ZipFile

import numpy as np

from hpsearch.data.cells import Array, Raw
from hpsearch.data.memory import check_memory
from hpsearch.errors import LONGEST_PLACE, UserError, listed, shown, suggestion

ENDS = (".npz", ".npy")
LARGEST_HEADER = 10_000  # bytes, NumPy's own limit
WORKING = 8  # bytes for each number beside the array itself: the float64 copy that is standardised

Pair = tuple[str, str]  # names of an array of inputs and of its targets
PAIRS: tuple[Pair, ...] = (
    ("x", "y"),
    ("inputs", "targets"),
    ("data", "target"),
    ("images", "labels"),
    ("features", "labels"),
    ("data", "labels"),
)
FORMS = ("{name}_{part}", "{part}_{name}")
PARTS = (("train",), ("val", "valid", "validation"), ("test",))


def read_array_file(path: Path, target: str | None = None, *, keep_validation: bool = False) -> Raw:
    """Return the inputs and targets of an .npz or .npy file.

    Args:
        path: an .npz with arrays named by convention, or an .npy of inputs.
        target: the name of an .npz's array of targets; of an .npy's targets the file beside it, or the number of their column.
        keep_validation: an .npz's validation rows are the validation rows; otherwise they join the training rows, or are the test rows
            where there are no others.

    Raises:
        UserError: no file, damaged, objects or records in it, more than memory holds, no targets.
    """
    with _explained(path):
        if path.suffix.lower() == ".npz":
            return _several(path, target, keep_validation=keep_validation)
        return _single(path, target)


def read_inputs_file(path: Path) -> Array:
    """Return the inputs alone of an .npz or .npy file; a UserError refuses what `read_array_file` refuses."""
    with _explained(path):
        if path.suffix.lower() == ".npy":
            return _load(path)
        names = _check_archive(path)
        inputs = names if len(names) == 1 else _conventional_inputs(names)
        if not inputs:
            raise UserError(f"arrays {listed(names)}: unclear which are the inputs. Name them X.")
        return _read(path, inputs[:1])[0]


def _several(path: Path, target: str | None, *, keep_validation: bool) -> Raw:
    pairs = _choose_arrays(_check_archive(path), target)
    read = [_read(path, pair) for pair in pairs]
    _check_shapes(pairs, read)
    inputs, targets = read[0]
    given_test = 0
    if len(read) > 1:
        inputs = np.concatenate([x for x, _ in read])
        targets = np.concatenate([y for _, y in read])
        given_test = len(read[-1][1])
    notices: tuple[str, ...] = ()
    given_validation = 0
    if keep_validation and len(read) > 1 and _is_validation(pairs[1]):
        given_validation = len(read[1][1])
        given_test = given_test if len(read) == len(PARTS) else 0
    elif len(read) == len(PARTS):
        own = "--set data.validation=given: they alone validate"
        notices = (f"The rows of {pairs[1][0]!r} joined those of {pairs[0][0]!r} ({own}).",)
    raw = _raw(inputs, targets, path, given_test, notices)
    return replace(raw, given_validation=given_validation)


def _is_validation(pair: Pair) -> bool:
    return any(word in pair[0].lower().split("_") for word in PARTS[1])


def _check_shapes(pairs: Sequence[Pair], read: Sequence[Sequence[Array]]) -> None:
    """Refuse inputs and targets of different lengths, and parts whose rows have different shapes."""
    for (x, y), (inputs, targets) in zip(pairs, read, strict=True):
        if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
            shapes = f"{shown(x)} has shape {inputs.shape}, {shown(y)} {targets.shape}"
            raise UserError(f"{shapes}. Give one target for each row.")
    for which in (0, 1):
        by_name = {pair[which]: arrays[which].shape for pair, arrays in zip(pairs, read, strict=True)}
        if len({shape[1:] for shape in by_name.values()}) > 1:
            shapes = ", ".join(f"{shown(name)} {shape}" for name, shape in by_name.items())
            raise UserError(f"parts of different shapes: {shapes}. Give all parts rows of one shape.")


def _single(path: Path, target: str | None) -> Raw:
    if target is None:
        raise UserError(
            "no target. Name the file of the targets beside it (labels.npy), or the number of their column."
        )
    inputs = _load(path)
    if re.fullmatch(r"-?\d{1,9}", target):
        return _column(inputs, int(target), path)
    beside = path.parent / target
    if beside.suffix.lower() != ".npy":
        raise UserError(f"target {shown(target)}: an .npy file beside it expected, or the number of a column.")
    with _explained(beside):
        return _raw(inputs, _load(beside), path)


def _column(values: Array, number: int, path: Path) -> Raw:
    """Return a table one of whose columns is the target; the others keep their numbers as names."""
    if values.ndim != 2 or not -values.shape[1] <= number < values.shape[1]:
        raise UserError(
            f"target {number}: shape {values.shape} has no such column. Give a number from 0, or a file of targets."
        )
    import pandas

    frame = pandas.DataFrame(values)
    return Raw(frame.drop(columns=frame.columns[number]), values[:, number], _source(path))


def _raw(inputs: Array, targets: Array, path: Path, given_test: int = 0, notices: tuple[str, ...] = ()) -> Raw:
    if inputs.ndim == 4 and inputs.shape[3] in (1, 3, 4) and inputs.shape[1] > 4:
        notices += (f"Channels are the last axis of {inputs.shape}: moved to position 1.",)
        inputs = inputs.transpose(0, 3, 1, 2)
    return Raw(inputs, targets, _source(path), given_test=given_test, notices=notices)


def _source(path: Path) -> str:
    return f"file {shown(path.name)}"


def _choose_arrays(names: Sequence[str], target: str | None) -> list[Pair]:
    """Return the arrays of each part, the training rows first; of several parts the last are the test rows."""
    pairs = _by_convention(names, target)
    if not pairs and target is not None:
        pairs = _beside_target(names, target)
    if not pairs:
        raise UserError(
            f"arrays {listed(names)}: unclear which are inputs and targets. Name them X and y, or x_train, y_train, x_test and y_test."
        )
    return pairs


def _by_convention(names: Sequence[str], target: str | None) -> list[Pair]:
    """Return the arrays of each part by names of convention: those with parts first. There may be none."""
    by_lower = _by_lower(names)
    pairs = [pair for pair in PAIRS if target is None or _means(target, pair[1])]
    for form, pair in product(FORMS, pairs):
        parts = [_part(by_lower, form, pair, words) for words in PARTS]
        if parts[0] is not None:
            return [part for part in parts if part is not None]
    for x, y in pairs:
        if x in by_lower and y in by_lower:
            return [(by_lower[x], by_lower[y])]
    return []


def _by_lower(names: Sequence[str]) -> dict[str, str]:
    """Return names by their lower case; of several the first."""
    return {name.lower(): name for name in reversed(names)}


def _means(target: str, name: str) -> bool:
    """Whether the targets that are asked for are those of a conventional name, by itself or of the training rows."""
    return target.lower() in (name, *(form.format(name=name, part="train") for form in FORMS))


def _part(by_lower: Mapping[str, str], form: str, pair: Pair, words: Sequence[str]) -> Pair | None:
    """Return the arrays of a part, by any of its names."""
    for word in words:
        x, y = (form.format(name=name, part=word) for name in pair)
        if x in by_lower and y in by_lower:
            return by_lower[x], by_lower[y]
    return None


def _beside_target(names: Sequence[str], target: str) -> list[Pair]:
    """Return the targets of that name, and the only other array, or the first with a conventional name of inputs."""
    targets: str | None = target
    if target not in names:
        targets = _by_lower(names).get(target.lower())
    if targets is None:
        raise UserError(f"no array {shown(target)}. {suggestion(target, filter(str.isprintable, names))}")
    others = [name for name in names if name != targets]
    if len(others) != 1:
        others = [name for name in _conventional_inputs(names) if name != targets]
    return [(others[0], targets)] if others else []


def _conventional_inputs(names: Sequence[str]) -> list[str]:
    by_lower = _by_lower(names)
    return [by_lower[x] for x, _ in PAIRS if x in by_lower]


def _read(path: Path, names: Sequence[str]) -> list[Array]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[name] for name in names]


def _load(path: Path) -> Array:
    """Return the array of an .npy file, once its header has passed."""
    _check_ordinary(path)
    with path.open("rb") as file:
        _check_header(file, path.stat().st_size, shown(path.name))
    array: Array = np.load(path, allow_pickle=False)
    return array


def _check_archive(path: Path) -> list[str]:
    """Return the names of the arrays, once their headers have passed."""
    _check_ordinary(path)
    names = []
    total = 0
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                raise UserError(f"{shown(entry.filename)} in it is no array. Save the arrays with numpy.savez.")
            names.append(entry.filename.removesuffix(".npy"))
            total += entry.file_size
            with archive.open(entry) as file:
                _check_header(file, entry.file_size, shown(names[-1]))
    if not names:
        raise UserError("no arrays in it. Save some with numpy.savez.")
    check_memory(total, "its arrays", "Save fewer rows or a smaller type.")
    return names


def _check_ordinary(path: Path) -> None:
    """Refuse a pipe, from which nothing may ever come."""
    if not S_ISREG(path.stat().st_mode):
        raise UserError("no ordinary file. Save the arrays in one.")


def _check_header(file: IO[bytes], size: int, what: str) -> None:
    """Refuse an array of `size` bytes that is not plain, whole and small enough, by what its header declares."""
    read = np.lib.format.read_array_header_2_0
    if np.lib.format.read_magic(file) == (1, 0):
        read = np.lib.format.read_array_header_1_0
    lengths, _, dtype = read(file, max_header_size=LARGEST_HEADER)
    shape = tuple(map(int, lengths))
    declared = file.tell() + prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise UserError(f"{what} holds Python objects, which are not read: they could run code. Save numbers or text.")
    if dtype.names or dtype.kind == "V":
        raise UserError(f"{what} holds records, one type of number expected. Save a plain array, or the table as CSV.")
    if declared != size:
        raise UserError(f"{what} is damaged: {size:,} bytes, {declared:,} expected from its header. Save it again.")
    check_memory(declared + WORKING * prod(shape), f"{what} {shape}", "Save fewer rows or a smaller type.")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what NumPy and zipfile say of a bad file into one line that names it."""
    where = f"file {shown(str(path), LONGEST_PLACE)}"
    try:
        yield
    except UserError as error:
        named = str(error).startswith("file ")
        raise UserError(str(error) if named else f"{where}: {error}") from None
    except MemoryError:
        raise UserError(f"{where}: out of memory. Save fewer rows or a smaller type.") from None
    except OSError as error:
        raise UserError(f"{where}: {error.strerror or 'damaged'}. Give a file that can be read.") from None
    except Exception as error:  # a damaged file can make its readers raise almost anything
        reason = shown(" ".join(str(error).split()), 120)
        raise UserError(
            f"{where}: damaged, or no {path.suffix.lower()} file ({reason}). Save it again with numpy."
        ) from None
