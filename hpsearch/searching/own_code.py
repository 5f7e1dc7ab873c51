"""What a study keeps of the files with code of the user's own: their checksums, so that a file that changed is told."""

import logging
from collections.abc import Iterator, Mapping

from hpsearch.config import StudyConfig
from hpsearch.config.own import checksums
from hpsearch.storage.reading import read_attribute
from hpsearch.storage.writing import StudyWriter

LOGGER = logging.getLogger(__name__)
ATTRIBUTE = "code"  # of a study: the checksum of each file of code, by the option that names it


def keep_checksums(config: StudyConfig, writer: StudyWriter) -> None:
    """Keep the checksums of a study's files of code where it begins; warn of a file that is another one now."""
    names = {option: name for option, (name, _) in config.named_functions.items()}
    now = checksums(names)
    if not now:
        return
    known = writer.read_attribute(ATTRIBUTE)
    if not known:
        writer.write_attribute(ATTRIBUTE, now)
    for sentence in _changes(known, names):
        LOGGER.warning("%s: its trials are not all of the same code", sentence)


def code_changes(url: str, study: str, names: Mapping[str, str | None]) -> list[str]:
    """Return a sentence on each file, named by option, that is not as it was when a stored study began.

    Raises:
        UserError, StorageError: there is no such study, or it cannot be read.
    """
    if not checksums(names):
        return []
    return list(_changes(read_attribute(url, study, ATTRIBUTE), names))


def _changes(known: Mapping[str, str], names: Mapping[str, str | None]) -> Iterator[str]:
    for option, checksum in checksums(names).items():
        if known.get(option, checksum) != checksum:
            yield f"{option} {names[option]} changed since the study began"
