"""Seals: a checksum of everything that the storage keeps of a trial or a study, beside it, so that damage is told and never read.

A database knows whether its pages hang together, not whether a number in them is still the one that was written: of a thousand
flipped bytes in a study's file most change a value and break no page. The checksum is CRC-32 of the values as JSON, which finds every
change of up to four bytes in a row, and others but for one in four billion; it is against accident, not against people.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from hpsearch.errors import StorageError

SEAL = "seal"  # key of the checksum in what is sealed


def sealed(value: Mapping[str, Any], *beside: Any) -> dict[str, Any]:
    """Return a table with the checksum of its values and of what is kept beside it."""
    plain = json.loads(json.dumps(value))  # as it will be read: a number that is a key is text then
    return {**plain, SEAL: _checksum(plain, beside)}


def opened(value: Mapping[str, Any], what: str, *beside: Any, demanded: bool = False) -> dict[str, Any]:
    """Return a table without its checksum; one without (of an earlier version) passes unless a seal is `demanded`.

    Raises:
        StorageError: something was changed after it was sealed.
    """
    plain = {key: kept for key, kept in value.items() if key != SEAL}
    seal = value.get(SEAL)
    if (seal is None and demanded) or (seal is not None and seal != _checksum(plain, beside)):
        raise StorageError(f"storage damaged: {what} is not as it was written. It was not changed; restore a copy.")
    return plain


def trial_facts(
    params: Mapping[str, Any], state: str, values: Sequence[float], curve: Mapping[int, float]
) -> list[Any]:
    """Return what a trial's seal covers beside the run: parameters, state, values, intermediate values."""
    numbers = {name: float(value) if type(value) is int else value for name, value in params.items()}
    return [numbers, state.lower(), list(map(float, values)), [[step, float(curve[step])] for step in sorted(curve)]]


def _checksum(value: Mapping[str, Any], beside: Sequence[Any]) -> int:
    return crc32(json.dumps([value, *beside], sort_keys=True).encode())
