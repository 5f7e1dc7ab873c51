"""The folder of a study, and its models, by the study's name or by the folder's.

A study's folder holds its storage (`study.db`, or `storage.txt` says where else it is) and its models, each `NAME.json` beside its weights:
`best` is the search's, `refit` and `trial-N` are made by the commands of these names.
"""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from hpsearch.errors import LONGEST_PLACE, UserError, listed, shown
from hpsearch.files import folder_name

STUDY_FILE = "study.db"  # the study's storage, by default
LOCATION_FILE = "storage.txt"  # says where the study is stored
BEST = "best"
SINGLE = "single"  # one network of the best, where that is several
LISTED = 12  # studies in an error


def folder_of(source: str, reports: Path) -> Path:
    """Return a study's folder: `source` itself if it is a folder with a study or a model, else the one of this study's or folder's name."""
    given = Path(source)
    with suppress(OSError, ValueError):  # a name that no file can have
        if source and given.is_dir() and _has_one(given, "best.json", "refit.json", STUDY_FILE, LOCATION_FILE):
            return given
    folder = reports / folder_name(source)
    if not _is_study(folder) and source in studies_in(reports):
        return reports / source
    return folder


def study_folder(source: str, reports: Path) -> Path:
    """Return the folder of a study that exists.

    Raises:
        UserError: it does not; the message has the nearest name, and the names of all studies.
    """
    folder = folder_of(source, reports)
    if not _is_study(folder):
        raise UserError(f"no study {shown(source)} in {shown(str(reports))}. {_known(source, studies_in(reports))}")
    return folder


def study_file(source: str, reports: Path) -> Path:
    """Return the file in which the study of a folder is stored.

    Raises:
        UserError: there is no such study, or it is stored elsewhere; nobody connects because a file in a folder says so.
    """
    folder = study_folder(source, reports)
    if not (folder / STUDY_FILE).is_file() and kept_elsewhere(folder):
        location = (folder / LOCATION_FILE).read_text(encoding="utf-8", errors="replace").strip()
        raise UserError(
            f"study {shown(source)} is kept in {shown(location, LONGEST_PLACE)}. "
            "Give that URL, and the study's name (--study) if it holds several."
        )
    return folder.absolute() / STUDY_FILE


def kept_elsewhere(folder: Path) -> bool:
    """Whether a study's folder says that its storage is in another place."""
    note = folder / LOCATION_FILE
    return note.is_file() and note.read_text(encoding="utf-8", errors="replace").strip() != STUDY_FILE


def model_folder(source: str, reports: Path, model: str = BEST) -> Path:
    """Return the folder of a study that has a model of this name.

    Raises:
        UserError: there is no such study, or the model is not made yet; the message has the command that makes it.
    """
    folder = study_folder(source, reports)
    file_name = BEST if model == SINGLE else model
    if not (folder / f"{file_name}.json").is_file():
        others = ", ".join(models_in(folder))
        known = f" Its models: {others}." if others else ""
        raise UserError(
            f"study {shown(source)} has no model '{file_name}' yet. {_how_to_make(source, file_name)}{known}"
        )
    return folder


def studies_in(reports: Path) -> list[str]:
    """Return the names of the folders with a study, sorted."""
    try:
        return sorted(folder.name for folder in reports.iterdir() if _is_study(folder))
    except OSError:
        return []


def models_in(folder: Path) -> list[str]:
    """Return the models of a study, sorted."""
    return sorted(file.stem for file in folder.glob("*.json") if file.with_suffix(".safetensors").is_file())


def _is_study(folder: Path) -> bool:
    return _has_one(folder, STUDY_FILE, LOCATION_FILE, "best.json")


def _has_one(folder: Path, *files: str) -> bool:
    return any((folder / file).is_file() for file in files)


def _known(source: str, studies: Sequence[str]) -> str:
    """Return the study that may have been meant, and which studies there are."""
    if not studies:
        return "There are no studies. Run one first, or say where they are kept (reports)."
    near = get_close_matches(source[:200], studies, n=1)
    nearest = f"Did you mean {shown(near[0])}? " if near else ""
    return f"{nearest}There: {listed(studies, LISTED)}."


def _how_to_make(source: str, model: str) -> str:
    if model == BEST:
        return "Run it to its end first; a comparison has none."
    command = f"{model} {source}"
    if model.startswith("trial-"):
        command = f"replay {source} {model.removeprefix('trial-')}"
    return f"Make it: python -m hpsearch {command}."
