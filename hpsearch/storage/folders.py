"""Which study is meant, and which of its models: a name or a folder becomes a folder, or one line says what there is.

A study's folder holds its storage (`study.db`, or `storage.txt` says where else it is) and its models, each `NAME.json` beside its weights:
`best` is the search's, `refit` and `trial-N` are made by the commands of these names.
"""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from hpsearch.errors import UserError, shown
from hpsearch.files import folder_name

OWN = ("best.json", "refit.json", "study.db")  # a folder with one of these is a study's
STORED = ("study.db", "storage.txt", "best.json")
FILE = "study.db"
BEST = "best"
SINGLE = "single"  # one network of the best, where that is several
MOST = 12  # studies that are listed


def folder_of(source: str, reports: Path) -> Path:
    """Return a study's folder: a folder that holds a study or a model is meant itself, else it is that of a study's name."""
    given = Path(source)
    with suppress(OSError, ValueError):  # a name that no file can have
        if source and given.is_dir() and any((given / file).is_file() for file in OWN):
            return given
    return reports / folder_name(source)


def study_folder(source: str, reports: Path) -> Path:
    """Return the folder of a study that is there.

    Raises:
        UserError: there is none; the nearest name and all that there are.
    """
    folder = folder_of(source, reports)
    if not any((folder / file).is_file() for file in STORED):
        raise UserError(f"no study {shown(source)} in {shown(str(reports))}. {_there(source, studies_in(reports))}")
    return folder


def study_file(source: str, reports: Path) -> Path:
    """Return the file in which a study of a folder is kept.

    Raises:
        UserError: there is no such study, or it is kept elsewhere; nobody connects because a file of the folder says so.
    """
    folder = study_folder(source, reports)
    note = folder / "storage.txt"
    if not (folder / FILE).is_file() and note.is_file():
        kept = note.read_text(encoding="utf-8", errors="replace").strip()
        raise UserError(
            f"study {shown(source)} is kept in {shown(kept)}. Give that URL, and the study's name (--study) if it holds several."
        )
    return folder.absolute() / FILE


def model_folder(source: str, reports: Path, model: str = BEST) -> Path:
    """Return the folder of a study that has a model of this name.

    Raises:
        UserError: there is no such study, or the model is not made yet; says what makes it.
    """
    folder, model = study_folder(source, reports), BEST if model == SINGLE else model
    if not (folder / f"{model}.json").is_file():
        others = ", ".join(models_in(folder))
        there = f" Its models: {others}." if others else ""
        raise UserError(f"study {shown(source)} has no model '{model}' yet. {_made_by(source, model)}{there}")
    return folder


def studies_in(reports: Path) -> list[str]:
    """Return the studies of a folder by the names of their folders, sorted."""
    try:
        folders = [folder for folder in reports.iterdir() if any((folder / file).is_file() for file in STORED)]
    except OSError:
        return []
    return sorted(folder.name for folder in folders)


def models_in(folder: Path) -> list[str]:
    """Return the models of a study, sorted."""
    return sorted(file.stem for file in folder.glob("*.json") if file.with_suffix(".safetensors").is_file())


def _there(source: str, studies: Sequence[str]) -> str:
    """Return which study may have been meant, and which there are."""
    if not studies:
        return "There are no studies. Run one first, or say where they are kept (reports)."
    near = get_close_matches(source[:200], studies, n=1)
    more = f" and {len(studies) - MOST:,} more" if len(studies) > MOST else ""
    nearest = f"Did you mean {shown(near[0])}? " if near else ""
    return f"{nearest}There: {', '.join(map(shown, studies[:MOST]))}{more}."


def _made_by(source: str, model: str) -> str:
    """Return what makes a model."""
    if model == BEST:
        return "Run it to its end first; a comparison has none."
    made = f"replay {source} {model.removeprefix('trial-')}" if model.startswith("trial-") else f"{model} {source}"
    return f"Make it: python -m hpsearch {made}."
