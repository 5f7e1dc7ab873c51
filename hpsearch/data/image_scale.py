"""The scale of images: what numbers a network's images had, and new ones brought to it, or refused where that would be a guess.

A model keeps the `bits` of its images (8, 16; None: numbers of another type), the `range` of their values, and the `divisor` that puts a
byte on their scale (255 for images from 0 to 1). Models of earlier versions have the divisor alone, and are read as then.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.data.cells import Array
from hpsearch.errors import UserError

FULL = {8: 255, 16: 65_535}  # the largest value of so many bits
SPREAD = 257  # a byte's full range over 16 bits
PART = 2**14  # 16 bits below this are a camera's 12 or 14: not the full range
BEYOND = 2  # times the largest value that was trained on: another scale
UNIT = 1.0

Scale = Mapping[str, Any]


def scale_of(values: Array) -> dict[str, Any]:
    """Return what a model keeps of the scale of arrays of images: truth values and numbers from 0 to 1 are bytes divided by 255."""
    low, high = _range(values)
    in_unit_range = values.dtype.kind == "b" or (values.dtype.kind == "f" and low >= 0 and high <= UNIT)
    bits = None
    if values.dtype.kind == "u":
        bits = {1: 8, 2: 16}.get(values.dtype.itemsize)
    return {"divisor": 255 if in_unit_range else 1, "bits": bits, "range": [low, high]}


def files_on_scale(values: Array, scale: Scale) -> Array:
    """Return image files' pixels (uint8, or uint16 of 16 bits) on the scale of the images that were trained on.

    Raises:
        UserError: it is unclear how.
    """
    bits = 8 * values.dtype.itemsize
    _, high = _range(values)
    divisor = scale.get("divisor", 1)
    if divisor != 1:
        _refuse_part(high, bits, scale)
        return (values / np.float32(FULL[bits])).astype(np.float32)
    trained = scale.get("bits", 8)
    if bits == trained == 8 and not _is_beyond(high, scale):
        return values
    if trained == 8 and bits == 16:
        _refuse_part(high, bits, scale)
        return (values >> 8).astype(np.uint8)
    low_trained, high_trained = scale.get("range", (0, FULL[8]))
    if trained == 16 and bits == 8 and high_trained >= PART:
        return values.astype(np.uint16) * SPREAD
    if low_trained < 0 or _is_beyond(high, scale) or high_trained > 2 * FULL[bits]:
        raise _other_scale(f"image files of {bits} bits with values up to {high:,.6g}", scale)
    return values


def arrays_on_scale(values: Array, scale: Scale) -> Array:
    """Return an array of images on the scale of those that were trained on: bytes for images from 0 to 1 are divided.

    Raises:
        UserError: its values are on another scale.
    """
    divisor = scale.get("divisor", 1)
    if values.dtype == np.uint8 and divisor != 1:
        return (values / np.float32(divisor)).astype(np.float32)
    if "range" not in scale or not values.size:
        return values
    low, high = _range(values)
    smaller = low >= 0 and 0 < high <= UNIT and _limit(scale) >= FULL[8] / 8  # from 0 to 1 where others were to 255
    bytes_of_more = values.dtype == np.uint8 and scale["range"][1] > BEYOND * FULL[8]
    if smaller or bytes_of_more or _is_beyond(high, scale):
        raise _other_scale(f"values from {low:,.6g} to {high:,.6g}", scale)
    return values


def _range(values: Array) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    return float(values.min()), float(values.max())


def _limit(scale: Scale) -> float:
    """Return the largest value that is plausible for images of this scale."""
    _, high = scale["range"]
    if scale.get("source", "arrays") != "arrays" and scale.get("bits") in FULL:
        return float(FULL[scale["bits"]])
    return float(high)


def _is_beyond(high: float, scale: Scale) -> bool:
    """Whether a value is far beyond those that were trained on."""
    return "range" in scale and high > BEYOND * max(_limit(scale), 0)


def _refuse_part(high: float, bits: int, scale: Scale) -> None:
    """Refuse images of 16 bits that use a small part of them: whether that is dark, or a camera's 12 bits, they do not say."""
    if bits == 16 and 0 < high < PART and "range" in scale:
        raise _other_scale(f"image files of 16 bits with values up to {high:,.6g}", scale)


def _other_scale(given: str, scale: Scale) -> UserError:
    low, high = scale["range"]
    bits = scale.get("bits")
    of_bits = f" of {bits} bits" if bits else ""
    return UserError(
        f"images: {given}, but the network was trained on images{of_bits} with values from {low:,.6g} to {high:,.6g}. "
        "Bring them to that scale (or give an array of it, .npz or .npy)."
    )
