"""What is made from a storage's record: a record may come from anyone's storage, so what cannot be made of it is told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.errors import StorageError, shown

HOSTILE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@contextmanager
def derived(name: str) -> Iterator[None]:
    """Raise a `StorageError` that names the study where its record is not as hpsearch writes it.

    Raises:
        StorageError: see there; what was found is its cause.
    """
    try:
        yield
    except HOSTILE as error:
        if isinstance(error, StorageError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StorageError(
            f"study {shown(name)}: no report can be made of what its storage holds ({shown(reason)}). If nobody but "
            "hpsearch wrote there, it is a bug: --debug shows where."
        ) from error
