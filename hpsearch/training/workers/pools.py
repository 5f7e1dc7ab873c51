"""The two settings of the engine: workers on this machine's devices, or in a Ray cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

from joblib import cpu_count

from hpsearch.data.dataset import Data
from hpsearch.training.workers.engine import WorkersEngine
from hpsearch.training.workers.local import LocalCrew
from hpsearch.training.workers.work import Job, plan_engine


@dataclass(frozen=True, slots=True)
class Settings:
    """What workers train with: the engine's name, its precision, and at most how many trials are in flight in all.

    `parameters` are those of the largest network, which decide how many fit on a device; None where the user has decided.
    """

    engine: str
    precision: str
    parameters: int | None
    most: int


def devices_engine(
    devices: Sequence[str],
    data: Data,
    settings: Settings,
    cores: int | None = None,
) -> WorkersEngine:
    """Return the engine with a worker on each of these devices; those on the CPU share its cores, or have so many each."""
    cores = cores or max(1, cpu_count() // max(1, sum(device == "cpu" for device in devices)))
    jobs = [_job(data, settings, device, cores, len(devices)) for device in devices]
    return WorkersEngine(LocalCrew(jobs, data), data)


def cluster_engine(
    address: str,
    gpus: float | None,
    cpus: float | None,
    data: Data,
    load: Callable[[], Data] | None,
    settings: Settings,
) -> WorkersEngine:
    """Return the engine with as many workers as a Ray cluster has room for, each taking so many GPUs and CPUs.

    `load` gives data that have a name; a machine that cannot load them, or has others by that name, gets them from Ray's store.

    Raises:
        UserError: Ray is missing, the cluster cannot be joined, or no machine of it has room for a worker.
    """
    from hpsearch.training.workers.cluster import Share
    from hpsearch.training.workers.joining import join

    cluster = join(address, Share(gpus, 1 if cpus is None else cpus))
    device = "cuda" if cluster.share.gpus else "cpu"
    job = _job(data, settings, device, max(1, int(cluster.share.cpus)), cluster.room(), load)
    cluster.employ(job, data)
    return WorkersEngine(cluster, data)


def _job(
    data: Data, settings: Settings, device: str, cores: int, workers: int, load: Callable[[], Data] | None = None
) -> Job:
    most = ceil(settings.most / workers)
    build = partial(plan_engine, settings.engine, settings.precision, settings.parameters, most)
    return Job(build, device, data.training.inputs.dtype, cores, str(data.summary.get("hash")), load)
