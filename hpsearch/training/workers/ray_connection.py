"""The connection to a Ray cluster, or to one that is started on this machine ("local") and ends with this process.

Token authentication is required, since whoever may speak to a Ray cluster may run code on it: where the mode is not set, it is set here,
and a cluster that answers without a token is not joined.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import cpu_count

from hpsearch.errors import UserError, shown
from hpsearch.training.workers.ray_pool import RayPool, WorkerResources, first_line

MIN_VERSION = (2, 60)  # the first that hpsearch is tested with; from 2.52 on Ray knows token authentication
PING = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # a question to a cluster's head that changes nothing
MAX_REASON = 160  # characters of what Ray says
TIMEOUT = 5.0  # seconds that a cluster's head may take to accept a connection


def connect(address: str, resources: WorkerResources) -> RayPool:
    """Join a cluster, or start one on this machine ("local"); return the pool of workers in it.

    Raises:
        UserError: Ray is missing or too old, or there is no cluster to be joined.
    """
    ray = check_cluster(address)
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"num_cpus": int(cpu_count()), "include_dashboard": False}
    with _signal_handlers_restored():
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UserError(
                f"--ray {address}: the cluster cannot be joined: {first_line(str(error))[:MAX_REASON].rstrip('.')}. "
                "Both sides need the same Ray and the same token (RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH)."
            ) from None
    if address == "auto":
        _refuse_open(ray.get_runtime_context().gcs_address)
    gpus = resources.gpus
    if gpus is None:
        gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0))
    return RayPool(ray, WorkerResources(gpus, resources.cpus))


def check_cluster(address: str) -> Any:
    """Return Ray's module, once it is known that there is a cluster to be joined; nothing is joined or started.

    Raises:
        UserError: Ray is missing or too old, no cluster answers, or one answers without a token.
    """
    _require_token()
    ray = _import_ray()
    if address not in ("local", "auto"):
        _check_address(address)
    return ray


def _import_ray() -> Any:
    try:
        import grpc  # noqa: F401 - Ray's extra "default" brings it
        import ray
    except ImportError:
        raise UserError("--ray: Ray is not installed. Install it: pip install 'hpsearch[ray]'.") from None
    if tuple(map(int, ray.__version__.split(".")[:2])) < MIN_VERSION:
        raise UserError(f"--ray: Ray {ray.__version__} is too old. Install a newer one: pip install 'hpsearch[ray]'.")
    return ray


def _check_address(address: str) -> None:
    """Refuse an address where nobody answers: Ray itself would try for half a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise UserError(f"--ray {shown(address)}: HOST:PORT of the cluster's head, auto or local expected.")
    try:
        socket.create_connection((host, int(port)), TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--ray {address}: nobody answers ({error}). Start the head there: RAY_AUTH_MODE=token ray start --head --port={port}."
        ) from None
    _refuse_open(address)


def _refuse_open(address: str) -> None:
    """Refuse a cluster that answers without a token: whoever reaches it runs code on its machines."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(PING)(b"", timeout=TIMEOUT)
        except grpc.RpcError:  # a token is missing, or TLS
            return
    raise UserError(
        f"--ray {address}: this cluster answers without a token, so whoever reaches it runs code on it. "
        "Start its machines with RAY_AUTH_MODE=token."
    )


def _require_token() -> None:
    """Authenticate with a token, unless that is switched off; Ray reads the mode as it is imported."""
    if os.environ.setdefault("RAY_AUTH_MODE", "token") != "token":
        raise UserError(
            f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']}: whoever reaches such a cluster runs code on it. "
            "Start it and hpsearch with RAY_AUTH_MODE=token."
        )


@contextmanager
def _signal_handlers_restored() -> Iterator[None]:
    """Restore the signal handlers that Ray replaces by its own; only the main thread can set any."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
