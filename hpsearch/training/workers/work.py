"""A worker's life: data, an engine for its device, trials until its process ends."""

import logging
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hpsearch.data.dataset import Data
from hpsearch.errors import UserError
from hpsearch.training import Engine
from hpsearch.training.devices import default_places
from hpsearch.training.engines import fold_engine
from hpsearch.training.workers.messages import Began, Broken, Event, Ready, Said
from hpsearch.training.workers.remote import RemoteSource
from hpsearch.training.workers.serialization import Parcel, unpack, without_test

Build = Callable[[Data], tuple[Engine, int]]  # an engine for the data, and its places


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told when it begins.

    `load` gives data that have a name, as every machine can have them itself: used where they are those of `hash`, else a parcel comes.
    `cores` are what lanes on a CPU may use.
    """

    build: Build
    device: str
    dtype: torch.dtype
    cores: int
    hash: str
    load: Callable[[], Data] | None = None


def plan_engine(name: str, precision: str, parameters: int | None, most: int, data: Data) -> tuple[Engine, int]:
    """Return the engine of a name and how many trials it has room for: `most`, fewer where the device holds fewer.

    `parameters` are those of the largest network, None: the user has chosen how many fit.
    """
    places = most if parameters is None else min(most, default_places(data, parameters))
    return fold_engine(name, data, places, precision), 1 if name == "reference" else places


def work(
    job: Job, parcel: Callable[[], Parcel], source: RemoteSource, tell: Callable[[Event], None], machine: str
) -> None:
    """Train until the process ends; an error is the worker's end, and its last words say which."""
    try:
        os.environ["LOKY_MAX_CPU_COUNT"] = str(job.cores)  # what joblib counts as this process's cores
        tell(Began(os.getpid(), machine))
        _send_logs(tell)
        engine, places = job.build(_data(job, parcel))
        tell(Ready(places))
        engine.run(source)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        tell(Broken(f"{type(error).__name__}: {error} ({socket.gethostname()}, {last.name}, line {last.lineno})"))


class _Sender(logging.Handler):
    """Sends what is logged in a worker to the writer's process."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        super().__init__(logging.INFO)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record's message."""
        self.tell(Said(record.getMessage()))


def _send_logs(tell: Callable[[Event], None]) -> None:
    logger = logging.getLogger("hpsearch")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Sender(tell)]


def _data(job: Job, parcel: Callable[[], Parcel]) -> Data:
    own = _own(job)
    data = unpack(parcel()) if own is None else own
    return data.to(torch.device(job.device), job.dtype)


def _own(job: Job) -> Data | None:
    """Return the data as this machine has them; None where it has not, or others."""
    try:
        data = job.load() if job.load else None
    except UserError:
        return None
    return without_test(data) if data is not None and data.summary.get("hash") == job.hash else None
