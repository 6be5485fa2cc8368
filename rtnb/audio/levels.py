"""What a sample is, and how loud some of them are."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtnb.errors import AudioFormatError

Samples: TypeAlias = NDArray[np.float32]
"""Mono audio: float32, shape (n,), in [-1, 1]."""


def rms_dbfs(samples: Samples, floor: float = -120.0) -> float:
    r"""Root-mean-square level of a block.

    Parameters
    ----------
    samples : float32 array, shape (n,), n >= 1
        Samples in [-1, 1].
    floor : float, default -120.0
        Lowest level returned, in dBFS; silence has no level of its own.

    Returns
    -------
    float
        Level in dBFS, where a full-scale square wave is 0 and a full-scale sine -3.01.

    Raises
    ------
    AudioFormatError
        If `samples` is empty.

    Notes
    -----
    .. math:: L = 20 \log_{10} \sqrt{\tfrac{1}{n} \sum_i x_i^2}

    The reference is the square wave; AES17 [1]_ takes the sine, so add 3.01 dB there.

    References
    ----------
    .. [1] AES17-2020, "Measurement of digital audio equipment".

    Examples
    --------
    >>> import numpy as np
    >>> float(rms_dbfs(np.ones(480, np.float32)))
    0.0
    """
    if samples.size == 0:
        raise AudioFormatError(
            "0 samples have no level, at least 1 is needed: look at the length first"
        )
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(10.0 * math.log10(power), floor) if power > 0.0 else floor
