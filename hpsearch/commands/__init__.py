"""The commands of the command line: one module each, with `add(commands)` for its options and `call(options)` for what it does.

A new command is a module here and its name in `COMMANDS`. What is heavy is imported where a command needs it, so that `--help` waits
for nothing.
"""

from types import ModuleType

from hpsearch.commands import (
    check,
    compare,
    dashboard,
    export,
    help,  # noqa: A004 - named as its command is
    list,  # noqa: A004 - likewise
    log,
    predict,
    refit,
    replay,
    report,
    run,
    verify,
)

COMMANDS: tuple[ModuleType, ...] = (
    run,
    check,
    predict,
    export,
    refit,
    replay,
    compare,
    report,
    dashboard,
    log,
    verify,
    list,
    help,
)  # in the order of --help
