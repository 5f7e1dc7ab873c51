"""What operating systems have in different ways, or not at all: signals, clocks, the memory of a process, whether a process runs.

`resource`, SIGHUP and masks of signals are POSIX's; /proc is Linux's. Nothing here is imported or named before it is known to be there.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
ENDING_SIGNALS = (signal.SIGTERM, *HANGUP)  # a scheduler's, which kills what does not end
STOPPING_SIGNALS = (signal.SIGINT, *ENDING_SIGNALS)
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000  # an access right of Windows


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Let the signals that stop a run wait in this thread, and in a process that it starts; without effect on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signal_main_thread(number: int) -> None:
    """Send a signal to this process's main thread."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


def steady_time() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps where the system has such a one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def peak_memory() -> int | None:
    """Return the most memory that this process has had, in bytes; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB


def address_space_left() -> int | None:
    """Return the bytes of address space that this process may still take (`ulimit -v`); None where there is no limit."""
    limit = address_space()
    if limit is None:
        return None
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return limit


def address_space() -> int | None:
    """Return the bytes of address space that this process may have in all (`ulimit -v`); None where there is no limit."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit in (resource.RLIM_INFINITY, -1) else limit


def show_all_texts() -> None:
    """Have the standard output show a `?` for a character that its encoding has not, as ASCII has few, where it would raise."""
    stream = sys.stdout
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


def can_others_write(folder: Path) -> bool:
    """Whether other users than this one and the system's can put files into a folder, or into one beneath it; False on Windows."""
    if not hasattr(os, "geteuid"):
        return False
    for place in (folder, *(inner for inner in folder.glob("*") if inner.is_dir())):
        with suppress(OSError):  # it is not there
            status = place.stat()
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o002:
                return True
            if status.st_mode & 0o020 and status.st_gid not in (0, os.getegid()):
                return True
    return False


def is_running(pid: int) -> bool:
    """Whether a process of this machine runs."""
    if os.name == "nt":  # there `os.kill(pid, 0)` would send a Ctrl-C
        return _is_running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _is_running_on_windows(pid: int) -> bool:
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
    kernel.CloseHandle(handle)
    return bool(handle)
