"""The lease: one process writes a study, and a second one is told which.

The holder is written into the study itself: host, process, boot and start time. A holder on this machine that is no longer alive is
taken over at once; one on another machine cannot be looked at from here, so a person decides (`--take-over`).
"""

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from hpsearch.errors import UserError

KEY = "hpsearch:lease"
SETTLE = 0.2  # seconds in which another writer that saw no holder either has written itself down


def holder() -> dict[str, Any]:
    """Return what identifies this process among all machines and boots."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "started": _started(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def alive(lease: Mapping[str, Any]) -> bool:
    """Whether the holder may still write: another machine's always may, one of this machine's if its process runs."""
    if lease.get("host") != socket.gethostname():
        return True
    return lease.get("boot") == _read("/proc/sys/kernel/random/boot_id") and _started(lease["pid"]) == lease.get(
        "started"
    )


def acquire(storage: BaseStorage, study_id: int, *, take_over: bool = False) -> None:
    """Take the lease of a study.

    Raises:
        UserError: another process holds it.
    """
    own = holder()
    _refuse(storage, study_id, own, take_over)
    storage.set_study_user_attr(study_id, KEY, own)
    time.sleep(SETTLE)
    _refuse(storage, study_id, own, take_over=False)


def release(storage: BaseStorage, study_id: int) -> None:
    """Give the lease back, if it is still this process's."""
    if _same(storage.get_study_user_attrs(study_id).get(KEY), holder()):
        storage.set_study_user_attr(study_id, KEY, {})


def _refuse(storage: BaseStorage, study_id: int, own: Mapping[str, Any], take_over: bool) -> None:
    lease = storage.get_study_user_attrs(study_id).get(KEY)
    if not lease or _same(lease, own) or take_over or not alive(lease):
        return
    raise UserError(
        f"another process runs this study: {lease.get('host')}, process {lease.get('pid')}, since {lease.get('since')}. "
        "Wait for it or stop it; if it is gone for good, pass --take-over."
    )


def _same(a: Mapping[str, Any] | None, b: Mapping[str, Any]) -> bool:
    return a is not None and all(json.dumps(a.get(k)) == json.dumps(b[k]) for k in ("host", "pid", "boot", "started"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process started, in ticks since boot; empty where there is no such process (or no /proc)."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields and not Path("/proc/self").exists():
        return "running" if _signalable(pid) else ""
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _signalable(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
