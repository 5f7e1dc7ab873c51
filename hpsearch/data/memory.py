"""Memory: what a file declares is compared with what is free before anything of it is read."""

from contextlib import suppress
from pathlib import Path

from hpsearch.errors import UserError

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # what a container may use


def available() -> int | None:
    """Return the bytes that are free for this process, None where the system does not say."""
    limits = []
    with suppress(OSError, ValueError, StopIteration):
        lines = MEMINFO.read_text().splitlines()
        limits.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):  # "max" where there is no limit
        group_limit = int((GROUP / "memory.max").read_text())
        limits.append(max(0, group_limit - int((GROUP / "memory.current").read_text())))
    return min(limits, default=None)


def check_memory(needed: int, what: str, advice: str) -> None:
    """Refuse `what` where it needs more bytes than are free."""
    free = available()
    if free is not None and needed > free:
        raise UserError(f"{what} would need about {_size(needed)} of memory, {_size(free)} are free. {advice}")


def _size(count: int) -> str:
    if count >= 1e8:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.1f} MB"
