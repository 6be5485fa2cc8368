"""PCM16, the format of the wire: little-endian 16-bit integers, mono.

Full scale is 32768 both ways, so decoding and encoding again gives the same bytes;
+1.0, which has no 16-bit value, saturates at 32767.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtnb.errors import AudioFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio.levels import Samples

FULL_SCALE = 32768
"""The 16-bit value that 1.0 would have."""


def pcm16_encode(samples: Samples) -> bytes:
    """PCM16 bytes of samples.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Samples in [-1, 1]; what lies outside saturates.

    Returns
    -------
    bytes
        2 n bytes, little-endian, rounded to the nearest step.

    Examples
    --------
    >>> import numpy as np
    >>> pcm16_encode(np.array([0.0, 1.0, -1.0], np.float32)).hex(" ", 2)
    '0000 ff7f 0080'
    """
    return to_int16(samples).tobytes()


def pcm16_decode(data: bytes | bytearray | memoryview) -> Samples:
    """Samples of PCM16 bytes.

    Parameters
    ----------
    data : bytes-like
        Little-endian PCM16, mono.

    Returns
    -------
    float32 array, shape (len(data) // 2,)
        Samples in [-1, 1).

    Raises
    ------
    AudioFormatError
        If the byte count is odd.

    Examples
    --------
    >>> pcm16_decode(bytes.fromhex("0000 0040 0080")).tolist()
    [0.0, 0.5, -1.0]
    """
    if len(data) % 2:
        raise AudioFormatError(
            f"{len(data)} bytes are not a whole number of 16-bit samples, which take "
            "2 each: cut the audio at an even byte"
        )
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(FULL_SCALE)


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Samples as little-endian int16, rounded and saturated; shape as given."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    limited: NDArray[np.int16] = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(
        "<i2"
    )
    return limited
