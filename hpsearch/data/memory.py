"""Memory: what a file declares, or turns out to hold, is compared with what this process may still use before all of it is read."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from hpsearch.errors import UserError
from hpsearch.platforms import address_space_left

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # what a container may use
OWN_GROUPS = Path("/proc/self/cgroup")
GROUP_FILES = (  # a limit, what is used of it, and the line of `memory.stat` with what of that is given back when it is needed
    ("memory.max", "memory.current", "inactive_file"),  # version 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # version 1
)


def available() -> int | None:
    """Return the bytes that this process may still use, None where the system does not say.

    It is the least of what the machine has free, of what each control group around the process leaves, and of its address space.
    """
    limits = [_left_in(group, *files) for group in _groups() for files in GROUP_FILES]
    limits += [_free_of_machine(), address_space_left()]
    return min((limit for limit in limits if limit is not None), default=None)


def check_memory(needed: int, what: str, advice: str) -> None:
    """Refuse `what` where it needs more bytes than are free."""
    free = available()
    if free is not None and needed > free:
        raise UserError(f"{what} would need about {size_text(needed)} of memory, {size_text(free)} are free. {advice}")


def size_text(count: float) -> str:
    """Return a number of bytes with its unit."""
    if count >= 1e8:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.1f} MB"


def _free_of_machine() -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        return 1024 * _line_of(MEMINFO, "MemAvailable:")
    return None


def _groups() -> Iterator[Path]:
    """Yield the folders of the control groups around this process, its own first; within a container its own is the root."""
    lines = []
    with suppress(OSError):
        lines = OWN_GROUPS.read_text().splitlines()
    roots = {"": GROUP, "memory": GROUP / "memory"}  # of version 2, and of version 1's kind
    for line in lines:
        _, kinds, path = line.split(":", 2)
        for kind in kinds.split(","):
            place = PurePosixPath(path.lstrip("/"))
            if kind in roots:
                yield from (roots[kind] / part for part in (place, *place.parents))
    yield from roots.values()


def _left_in(group: Path, limit: str, used: str, reclaimable: str) -> int | None:
    """Return the bytes that a control group leaves, None where it has no limit."""
    with suppress(OSError, ValueError):  # "max" where there is no limit
        most = int((group / limit).read_text())
        kept = int((group / used).read_text())
        with suppress(OSError, ValueError, StopIteration):
            kept -= _line_of(group / "memory.stat", reclaimable)
        return max(0, most - kept)
    return None


def _line_of(file: Path, name: str) -> int:
    """Return the number that stands behind a name in a file of the system's."""
    lines = (line.split() for line in file.read_text().splitlines())
    return next(int(words[1]) for words in lines if words and words[0] == name)
