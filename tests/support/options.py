"""Options of a data set as flat keywords, for tests that vary one of them."""

from dataclasses import fields
from typing import Any

from hpsearch.data.options import ReadOptions, SplitOptions, TaskOptions

KINDS: dict[str, type] = {"task": TaskOptions, "split": SplitOptions, "read": ReadOptions}


def flat(**given: Any) -> dict[str, Any]:
    """Return keyword arguments of a loader: each option in the value that has it, all else as it is."""
    arguments = dict(given)
    for name, kind in KINDS.items():
        own = {option.name: arguments.pop(option.name) for option in fields(kind) if option.name in arguments}
        if own:
            arguments[name] = kind(**own)
    return arguments
