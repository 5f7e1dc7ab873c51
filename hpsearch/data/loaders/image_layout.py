"""The layout of a folder of images: which of its sub-folders are parts (training, validation, test rows), and which are classes.

    train/cats, train/dogs, test/cats, …     parts by name ("Training", "test_set", "seg_train" are such names too)
    cats/train, cats/test, dogs/train, …     the same, the class outside
    pictures/train/cats, …                   a folder that holds nothing but one other is passed through

A name alone decides nothing where another reading is possible: a class may be called "train". Sub-folders are parts where all of them have
such names, or are refused where their own sub-folders repeat and one name is unknown. `asked` says for any sub-folder what it is.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from json import dumps
from pathlib import Path
from shlex import quote

from hpsearch.data.loaders.pixels import is_image, shown_path
from hpsearch.errors import UserError, listed, shown, suggestion

Subfolders = Callable[[Path], list[Path]]  # of a folder, by name; hidden ones left out, links refused
ClassFolder = tuple[Path, str]  # of images, and their class

ROLES = ("train", "validation", "test", "drop", "class")
PARTS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "vali", "validate", "valset", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "holdout"), "test"),
}
BESIDE = ("set", "data", "dataset", "image", "images", "img", "imgs", "pictures", "part", "split", "seg", "png", "jpg")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders of one class each by part ("train", "validation", "test"); `passed` are the folders above them.

    `names` are the parts' names; `notices` say what was found, and what could be meant otherwise.
    """

    parts: Mapping[str, Sequence[ClassFolder]]
    passed: tuple[Path, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def find_layout(folder: Path, subfolders: Subfolders, asked: Mapping[str, str] | None = None) -> Layout:
    """Return which folders hold which class of which part.

    Raises:
        UserError: two readings are possible, or `asked` does not fit.
    """
    inner, sentences = _inner(folder, subfolders)
    inside = subfolders(inner)
    asked = asked or {}
    _check_asked(asked, inside)
    inside = [path for path in inside if asked.get(path.name) != "drop"]
    if "class" in asked.values():
        return _classes(inner, inside, sentences)
    roles = {path: asked.get(path.name) or part_of(path.name) for path in inside}
    if _are_parts(inner, roles, subfolders):
        return _divided(roles, subfolders, sentences)
    if asked:
        unknown = [path.name for path, role in roles.items() if role is None]
        raise UserError(f"{shown_path(inner)}: what {listed(unknown)} is, is not said. {_options(unknown)}")
    if (outside := _classes_outside(inner, inside, subfolders)) is not None:
        return outside
    return _classes(inner, inside, sentences, _nested_notice(inside, subfolders))


def part_of(name: str) -> str | None:
    """Return the part that a folder's name means, whatever its case and ornament; None where it means none, or several."""
    words = [word.lower() for word in WORD.findall(name)]
    meant = {PARTS[word] for word in words if word in PARTS}
    others = {*words} - {*PARTS, *BESIDE}
    return meant.pop() if len(meant) == 1 and not others else None


def _inner(folder: Path, subfolders: Subfolders) -> tuple[Path, tuple[str, ...]]:
    """Pass through folders that hold nothing but one other, which is no training part."""
    inner = folder
    inside = subfolders(inner)
    while len(inside) == 1 and part_of(inside[0].name) != "train" and not _has_images(inner):
        below = subfolders(inside[0])
        if not below or _has_images(inside[0]):
            break
        inner = inside[0]
        inside = below
    if inner == folder:
        return folder, ()
    return inner, (f"Images are those of {shown(inner.relative_to(folder).as_posix())}, the only folder there.",)


def _check_asked(asked: Mapping[str, str], inside: Sequence[Path]) -> None:
    known = [path.name for path in inside]
    for name, role in asked.items():
        if name not in known:
            raise UserError(f"parts: no sub-folder {shown(name)}. {suggestion(name, known)}")
        if role not in ROLES:
            raise UserError(f"parts.{name} {shown(role)}: unknown. {suggestion(str(role), ROLES)}")


def _are_parts(folder: Path, roles: Mapping[Path, str | None], subfolders: Subfolders) -> bool:
    """Whether sub-folders are parts by their names; refuse them where their classes repeat, and not all have such a name."""
    named = {path: role for path, role in roles.items() if role is not None}
    is_complete = bool(named) and len(named) == len(roles)
    if is_complete and "train" in named.values():
        return True
    repeated = _repeated(roles, subfolders)
    if not named or not (repeated or (is_complete and len(named) > 1)):
        return False
    unknown = [path.name for path, role in roles.items() if role is None]
    parts = listed([path.name for path in named])
    same = ""
    if repeated:
        same = f" (the same folders {listed(repeated)} in several)"
    other = f"{listed(unknown)} like none"
    if "train" not in named.values():
        unknown = [*unknown, *(path.name for path in named)]
        other = "but none of them trains by its name"
    raise UserError(f"{shown_path(folder)}: {parts} look like parts{same}, {other}. {_options(unknown)}")


def _options(unknown: Sequence[str]) -> str:
    role = option(unknown[0], "train")
    return f"Say what it is: {role} (or validation, test, drop); if all are classes: {option(unknown[0], 'class')}."


def option(name: str, role: str) -> str:
    """Return the option that says what a sub-folder is, to be pasted into a shell."""
    key = f".{name}={role}"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        key = f"={{{dumps(name)}={dumps(role)}}}"
    return f"--set {quote(f'data.parts{key}')}"


def _repeated(folders: Mapping[Path, object] | Sequence[Path], subfolders: Subfolders) -> list[str]:
    """Return the names that sub-folders of more than one folder have."""
    counts = Counter(inside.name for inside in chain.from_iterable(map(subfolders, folders)))
    return sorted(name for name, count in counts.items() if count > 1)


def _divided(roles: Mapping[Path, str | None], subfolders: Subfolders, sentences: tuple[str, ...]) -> Layout:
    """Return the layout of parts that hold their classes."""
    parts: dict[str, list[ClassFolder]] = {}
    names: dict[str, str] = {}
    passed = []
    for path, role in roles.items():
        assert role is not None
        inner, _ = _inner(path, subfolders)
        passed.append(inner)
        before = f"{names[role]} and " if role in names else ""
        names[role] = f"{before}{path.name}"
        parts.setdefault(role, []).extend((below, below.name) for below in subfolders(inner))
        if not parts[role]:
            raise _flat(path)
    return Layout(parts, tuple(passed), names, (*sentences, f"Divided as its folders are: {_division(names)}."))


def _division(names: Mapping[str, str]) -> str:
    """Return what each part's folder does: 'seg_train' trains, 'seg_test' tests."""
    verbs = {"train": "trains", "validation": "validates", "test": "tests"}
    return ", ".join(f"{shown(name)} {verbs[role]}" for role, name in names.items())


def _flat(path: Path) -> UserError:
    count = sum(is_image(file) for file in path.iterdir())
    what = "no images"
    if count:
        what = f"{count:,} images, but no folder for a class"
    return UserError(
        f"{shown_path(path)} holds {what}. Expected: a folder for each class with its images; or leave it out: "
        f"{option(path.name, 'drop')}."
    )


def _classes_outside(folder: Path, inside: Sequence[Path], subfolders: Subfolders) -> Layout | None:
    """Return the layout of classes that hold the parts (cats/train, cats/test), None where it is not that one."""
    below = {path: subfolders(path) for path in inside}
    every = list(chain.from_iterable(below.values()))
    names = {inner.name for inner in every}
    trained = [any(part_of(inner.name) == "train" for inner in inners) for inners in below.values()]
    if len(inside) < 2 or not all(trained) or not all(map(part_of, names)):
        return None
    deeper = list(filter(subfolders, every))
    if deeper or any(map(_has_images, inside)):
        where = shown_path(deeper[0] if deeper else next(filter(_has_images, inside)))
        raise UserError(
            f"{shown_path(folder)}: its sub-folders hold parts ({listed(sorted(names))}), but {where} does not fit that. "
            f"Sort the images, or take every image below a sub-folder for its class: {option(inside[0].name, 'class')}."
        )
    parts: dict[str, list[ClassFolder]] = {}
    for path, inners in below.items():
        for inner in inners:
            parts.setdefault(str(part_of(inner.name)), []).append((inner, path.name))
    by_part = {str(part_of(name)): name for name in names}
    sentence = f"Divided as the folders within each class are: {_division(dict(sorted(by_part.items())))}."
    return Layout(parts, tuple(inside), by_part, (sentence,))


def _classes(folder: Path, inside: Sequence[Path], sentences: tuple[str, ...], notices: tuple[str, ...] = ()) -> Layout:
    return Layout({"train": [(path, path.name) for path in inside]}, (folder,), {}, (*sentences, *notices))


def _nested_notice(inside: Sequence[Path], subfolders: Subfolders) -> tuple[str, ...]:
    """Return the notice that sub-folders which repeat are not told apart."""
    repeated = _repeated(inside, subfolders)
    if not repeated:
        return ()
    return (
        f"Folders {listed(repeated)} are in several classes ({listed([path.name for path in inside])}) and not told apart. If those are no "
        f"classes but parts, say what each is: {option(inside[0].name, 'train')}.",
    )


def _has_images(folder: Path) -> bool:
    return any(map(is_image, _visible(folder)))


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))
