"""A storage's URL: what it names, whether it can be one, and which study a folder holds."""

import os
import re
from pathlib import Path

from sqlalchemy import make_url

from hpsearch.errors import UserError, masked
from hpsearch.storage.explaining import explained

SQLITE = "sqlite:///"
JOURNAL = "journal:///"
REDIS = ("redis://", "rediss://")
GRPC = "grpc://"
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
DEFAULT = "study.db"  # in the study's folder
HOME = "storage.txt"  # in the study's folder: where the study is kept


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"{SQLITE}{file}"


def local_file(url: str) -> Path | None:
    """Return the file of a SQLite or journal URL."""
    prefix = next((p for p in (SQLITE, JOURNAL) if url.startswith(p)), None)
    return Path(url.removeprefix(prefix)) if prefix else None


def check_url(url: str) -> None:
    """Refuse what cannot be a storage's URL, before anything is made.

    Raises:
        UserError: no URL, a kind of storage that Optuna does not know, or one that keeps nothing.
    """
    example = "Write for example sqlite:///study.db or postgresql://user@host/db"
    if "://" not in url:
        raise UserError(f"storage '{masked(url)}': not a URL. {example}.")
    if url.rstrip("/") in ("sqlite:", "journal:") or ":memory:" in url:
        raise UserError(f"storage {masked(url)}: names no file, so nothing would be kept. {example}.")
    if url.startswith(GRPC):
        proxy_address(url)
    elif not url.startswith((JOURNAL, *REDIS)):
        with explained(url):
            try:
                make_url(with_driver(url)).get_dialect()
            except ValueError:  # a port that is no number
                raise UserError(f"storage {masked(url)}: not a URL. {example}.") from None


def proxy_address(url: str) -> tuple[str, int]:
    """Return host and port of a gRPC proxy's URL.

    Raises:
        UserError: it has none.
    """
    parts = re.fullmatch(r"grpc://([^/:@\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?", url)
    if not parts:
        raise UserError(f"storage '{masked(url)}': write grpc://HOST:PORT, the address of an Optuna gRPC proxy.")
    return parts[1], int(parts[2])


def with_driver(url: str) -> str:
    """Return a database's URL with the driver that hpsearch's extra brings, where it names none."""
    scheme, separator, rest = url.partition("://")
    return DRIVERS.get(scheme, scheme) + separator + rest


def home(folder: Path, url: str) -> str:
    """Return where the study of a folder is kept: the name of a file in it, else the storage's URL without its password."""
    file = local_file(url)
    if file is None:
        return masked(url)
    return (
        file.name if file.parent.absolute() == folder.absolute() else f"{url.partition('///')[0]}///{file.absolute()}"
    )


def check_home(folder: Path, url: str) -> None:
    """Refuse a folder whose report and best network are of a study in another storage: this one's would take their place.

    Raises:
        UserError: names both storages.
    """
    own, note, default = home(folder, url), folder / HOME, folder / DEFAULT
    owner = DEFAULT if os.access(default, os.F_OK) else own
    if os.access(note, os.R_OK):
        owner = note.read_text(encoding="utf-8", errors="replace")
    if owner != own:
        raise UserError(
            f"{folder} holds the report and the best network of a study kept in {owner}, and this one is kept in {own}. "
            "Give it another name (--name) or another folder (--reports DIR)."
        )
