"""The thread that writes to a storage, so that training never waits for one.

Writes are done in the order in which they were submitted. While the storage is away the thread waits, and training goes on. After a
write that failed nothing more is written, so that the storage always holds a beginning of the study. The thread also renews the lease,
and checks before each write that it still has it.
"""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from optuna.storages import BaseStorage

from hpsearch.storage import lease
from hpsearch.storage.failures import StorageRetry, is_transient, storage_errors
from hpsearch.storage.lease import HeldLease
from hpsearch.storage.opening import close_storage
from hpsearch.storage.optuna_internals import quiet_optuna

Result = TypeVar("Result")


class WriterThread:
    """The only thread that writes to an open storage, under a lease if it has one.

    Raises:
        StorageError: of every method, once a write has failed.
    """

    def __init__(
        self, url: str, storage: BaseStorage, retry: StorageRetry | None = None, lease: HeldLease | None = None
    ) -> None:
        self.url = url
        self.storage = storage
        self.retry = retry or StorageRetry()
        self.lease = lease
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="storage", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Have a task done after those before it."""
        self._raise_error()
        self._tasks.put(task)

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what a function returns, in the calling thread, tried again while the storage is away."""
        with storage_errors(self.url):
            return self.retry.call(function)

    def flush(self) -> None:
        """Wait until all that was submitted is written."""
        done = threading.Event()
        self._tasks.put(done.set)
        while not done.wait(0.2) and self._error is None:
            pass
        self._raise_error()

    def close(self) -> None:
        """Write what is left, give the lease back, end the thread and close the storage."""
        try:
            self.submit(self._release)
            self.flush()
        finally:
            self._tasks.put(None)
            self._thread.join(5)
            close_storage(self.storage)

    def _release(self) -> None:
        """Give the lease back; from then on nothing renews it."""
        if self.lease is not None:
            self.lease.release()
            self.lease = None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        with quiet_optuna():
            self._write_all()

    def _write_all(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=lease.BEAT)
            except queue.Empty:
                task = _renew_only
            if task is None:
                return
            try:
                self._write(task)
            except BaseException as error:  # raised in the training thread, at its next call
                self._error = error
                return

    def _write(self, task: Callable[[], None]) -> None:
        def write() -> None:
            if self.lease is None:
                task()
                return
            try:
                self.lease.renew()
                task()
            except Exception as error:
                if not is_transient(error):
                    self.lease.check()  # stopped just before a statement, and what is there is the next holder's
                raise

        self.call(write)


def _renew_only() -> None:
    """Write nothing but the lease's sign of life."""
