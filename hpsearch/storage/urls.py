"""The URL of a storage: what it names, whether it is valid, and in which storage the study of a folder is."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from sqlalchemy import make_url

from hpsearch.errors import LONGEST_PLACE, UserError, masked, shown
from hpsearch.storage.failures import storage_errors
from hpsearch.storage.folders import LOCATION_FILE, STUDY_FILE, study_file

SQLITE = "sqlite:///"
JOURNAL = "journal:///"
REDIS = ("redis://", "rediss://")
GRPC = "grpc://"
ANOTHER = "Give it another name (--name) or another folder (--reports DIR)."
QUERY = re.compile(r"\?\w+=[^/?]*$")  # what SQLAlchemy takes for settings of the connection
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file; a `%` or `?` in its name is quoted, since a URL means something else by them."""
    return f"{SQLITE}{str(file).replace('%', '%25').replace('?', '%3F')}"


def storage_url(source: str, reports: Path) -> str:
    """Return the URL of a study's storage, given its URL, its name or its folder."""
    if "://" in source:
        return source
    return sqlite_url(study_file(source, reports))


def local_file(url: str) -> Path | None:
    """Return the file of a SQLite or journal URL."""
    for prefix in (SQLITE, JOURNAL):
        if url.startswith(prefix):
            return _file_named(url.removeprefix(prefix))
    return None


def absolute_hint(url: str, file: Path) -> str:
    """Return the URL of the absolute path, where a relative one without its folder (three slashes) was meant so."""
    absolute = Path("/", file)
    if file.is_absolute() or not absolute.parent.is_dir():
        return ""
    scheme = url.partition("://")[0]
    return f"For the absolute path write four slashes: {scheme}:///{absolute}. "


def _file_named(name: str) -> Path:
    """Return the file that a URL names: as it stands where that is there, else unquoted (`%20`) and without a query (`?timeout=9`)."""
    literal = Path(name)
    plain = unquote(QUERY.sub("", name))
    if plain.startswith("file:"):  # SQLite's own kind of name, which is quoted by itself
        return Path(url2pathname(urlsplit(plain).path))
    meant = Path(plain)
    if _exists(literal) or (_exists(literal.parent) and not _exists(meant.parent)):
        return literal
    return meant


def _exists(path: Path) -> bool:
    return os.access(path, os.F_OK)


def check_url(url: str) -> None:
    """Refuse what cannot be a storage's URL, before anything is made.

    Raises:
        UserError: no URL, a kind of storage that Optuna does not know, or one that keeps nothing.
    """
    example = "Write for example sqlite:///study.db or postgresql://host/db"
    if "://" not in url:
        raise UserError(f"storage '{masked(url)}': not a URL. {example}.")
    if url.rstrip("/") in ("sqlite:", "journal:") or ":memory:" in url:
        raise UserError(f"storage {masked(url)}: names no file, so nothing would be kept. {example}.")
    if url.startswith("journal://") and not url.startswith(JOURNAL):
        path = url.removeprefix("journal://")
        raise UserError(
            f"storage {masked(url)}: two slashes. Write three for a path from here ({JOURNAL}{path}), four for an absolute one "
            f"({JOURNAL}/{path})."
        )
    if url.startswith(GRPC):
        proxy_address(url)
    elif not url.startswith((JOURNAL, *REDIS)):
        with storage_errors(url):
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


def location_note(folder: Path, url: str) -> str:
    """Return what a study's folder notes about its storage: the name of a file in it, else the URL without its password."""
    file = local_file(url)
    if file is None:
        return masked(url)
    if file.parent.resolve() == folder.resolve():
        return file.name
    return f"{url.partition('///')[0]}///{file.absolute()}"


def check_location(folder: Path, own: str, advice: str = ANOTHER) -> None:
    """Refuse a folder whose report and best network are of a study in another storage, and would be overwritten.

    Args:
        folder: the study's folder.
        own: what `location_note` says of the study's storage.
        advice: what to do.

    Raises:
        UserError: names both storages.
    """
    owner = own
    if _exists(folder / STUDY_FILE):
        owner = STUDY_FILE
    if os.access(folder / LOCATION_FILE, os.R_OK):
        owner = (folder / LOCATION_FILE).read_text(encoding="utf-8", errors="replace")
    if owner != own:
        raise UserError(
            f"{folder} holds the report and the best network of a study kept in {shown(owner, LONGEST_PLACE)}, "
            f"and this one is kept in {shown(own, LONGEST_PLACE)}. "
            f"{advice}"
        )
