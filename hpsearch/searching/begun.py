"""A study that has begun goes on with the settings that it began with, whatever hpsearch would begin with today."""

from collections.abc import Callable
from typing import Any

from hpsearch.config import StudyConfig
from hpsearch.storage.fingerprint import differences
from hpsearch.storage.reading import settings_begun


def as_begun(today: StudyConfig, url: str, read: Callable[[dict[str, Any]], StudyConfig]) -> StudyConfig:
    """Return the study of a storage as it began, with a notice of what would be otherwise today; `today` where it has not begun.

    `read` takes the settings that it began with in the place of those that hpsearch brings, and returns the study.

    Raises:
        UserError: the study that it reads cannot be.
    """
    begun = settings_begun(url, today.study.name)
    if begun is None:
        return today
    config = read(begun)
    now = today.settings()
    if "lag" not in today.search.model_fields_set:  # its device would decide
        now["search"]["lag"] = config.search.lag
    told = differences(config.settings(), now)
    if not told:
        return config
    line = f"study '{config.study.name}' goes on with the settings that it began with: {told}. Begin another one for those (--name)"
    return config.with_notices([*config.notices, line])
