"""G.711, the telephone's eight bits: mu-law and A-law.

References
----------
ITU-T Recommendation G.711 (1988), tables 1a to 2b. The quantiser works on the 14
(mu-law) or 13 (A-law) upper bits of a 16-bit value, as the Sun reference code does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio.pcm import FULL_SCALE, to_int16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio.levels import Samples


def ulaw_encode(samples: Samples) -> bytes:
    """Mu-law bytes of samples.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Samples in [-1, 1]; what lies outside saturates.

    Returns
    -------
    bytes
        One byte a sample.
    """
    return _encode(samples, _ulaw_codes())


def ulaw_decode(data: bytes | bytearray | memoryview) -> Samples:
    """Samples of mu-law bytes.

    Parameters
    ----------
    data : bytes-like
        One byte a sample.

    Returns
    -------
    float32 array, shape (len(data),)
        Samples in [-1, 1].
    """
    return _ulaw_values()[np.frombuffer(data, np.uint8)]


def alaw_encode(samples: Samples) -> bytes:
    """A-law bytes of samples.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Samples in [-1, 1]; what lies outside saturates.

    Returns
    -------
    bytes
        One byte a sample.
    """
    return _encode(samples, _alaw_codes())


def alaw_decode(data: bytes | bytearray | memoryview) -> Samples:
    """Samples of A-law bytes.

    Parameters
    ----------
    data : bytes-like
        One byte a sample.

    Returns
    -------
    float32 array, shape (len(data),)
        Samples in [-1, 1].
    """
    return _alaw_values()[np.frombuffer(data, np.uint8)]


def _encode(samples: Samples, codes: NDArray[np.uint8]) -> bytes:
    return codes[to_int16(samples).view(np.uint16)].tobytes()


def _all_int16() -> NDArray[np.int64]:
    """Every 16-bit value, at the place its bits have as an unsigned number."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int64)


@cache
def _ulaw_codes() -> NDArray[np.uint8]:
    """Code of every 16-bit value; shape (65536,)."""
    value = _all_int16() >> 2
    negative = value < 0
    biased = np.minimum(np.abs(value), 8159) + 33
    segment = np.searchsorted((0x40 << np.arange(8)) - 1, biased)
    step = (biased >> (segment + 1)) & 0xF
    code: NDArray[np.int64] = np.minimum((segment << 4) | step, 0x7F)
    return (code ^ np.where(negative, 0x7F, 0xFF)).astype(np.uint8)


@cache
def _ulaw_values() -> Samples:
    """Sample of every code; shape (256,)."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0xF) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return _scaled(np.where(code & 0x80, -magnitude, magnitude))


@cache
def _alaw_codes() -> NDArray[np.uint8]:
    """Code of every 16-bit value; shape (65536,)."""
    value = _all_int16() >> 3
    negative = value < 0
    magnitude = np.where(negative, -value - 1, value)
    segment = np.searchsorted((0x20 << np.arange(8)) - 1, magnitude)
    step = (magnitude >> np.maximum(segment, 1)) & 0xF
    return (((segment << 4) | step) ^ np.where(negative, 0x55, 0xD5)).astype(np.uint8)


@cache
def _alaw_values() -> Samples:
    """Sample of every code; shape (256,)."""
    code = np.arange(256) ^ 0x55
    segment = (code & 0x70) >> 4
    step = ((code & 0xF) << 4) + np.where(segment > 0, 0x108, 8)
    magnitude = step << np.maximum(segment - 1, 0)
    return _scaled(np.where(code & 0x80, magnitude, -magnitude))


def _scaled(values: NDArray[np.int64]) -> Samples:
    return (values / FULL_SCALE).astype(np.float32)
