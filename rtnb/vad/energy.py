"""Speech probability from the level alone: how far it stands above the noise floor.

The floor is the lowest level of the last three seconds, of which a pause between two
words is enough. It is good in a quiet room and deaf in a loud one: white noise 5 dB
below the speech hides half of it. It is here to be compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rtnb.vad.hops import HopCutter
from rtnb.vad.silero import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

FLOOR_HOPS: Final = 93
"""Hops whose lowest level is the noise floor: 3 s."""

LOWEST_FLOOR_DBFS: Final = -60.0
"""The floor of a sound that pauses in digital silence."""

MARGIN_DB: Final = 8.0
"""So far above the floor, it is as likely speech as not.

Of 4 to 12 dB, the value that comes closest to the published figures of such detectors
in white noise; `tests/bench/bench_vad_accuracy.py` prints both.
"""

SLOPE_DB: Final = 3.0
"""Decibels from even odds to odds of e to 1."""

_SILENCE: Final = 1e-12
"""Mean square that stands for digital silence: -120 dBFS."""


class EnergyVad:
    r"""A model that looks at nothing but the level.

    Attributes
    ----------
    name, version : str
        ``"energy"`` and a number that grows when its figures change.
    hop, sample_rate : int
        512 samples at 16000 Hz.

    Notes
    -----
    .. math:: p = 1 / (1 + e^{-(L - \max(F, -60) - 8) / 3})

    where :math:`L` is the level of the hop in dBFS and :math:`F` the lowest of the last
    93 hops, this one included.

    Examples
    --------
    >>> loud = np.ones(512, np.float32)
    >>> EnergyVad().stream().push(np.concatenate((0.01 * loud, loud))).round(2)
    array([0.06, 1.  ], dtype=float32)
    """

    name: Final = "energy"
    version: Final = "1"
    hop: Final = HOP
    sample_rate: Final = SAMPLE_RATE

    def stream(self) -> EnergyStream:
        """Begin to listen to a stream."""
        return EnergyStream()


class EnergyStream:
    """A stream whose level is watched; `EnergyVad.stream` begins one.

    Notes
    -----
    Not safe for use from two threads at once.
    """

    def __init__(self) -> None:
        self._cut = HopCutter(HOP)
        self._past = np.full(FLOOR_HOPS, np.inf)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Listen to the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            16 kHz, in [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m,)
            Speech probability of the hops that are now whole, 0 to 1.
        """
        power = np.square(self._cut(samples), dtype=np.float64).mean(axis=1)
        levels = 10.0 * np.log10(power + _SILENCE)
        seen = np.concatenate((self._past, levels))
        self._past = seen[len(levels) :]
        floors = sliding_window_view(seen, FLOOR_HOPS).min(axis=1)[1:]
        above = levels - np.maximum(floors, LOWEST_FLOOR_DBFS)
        odds = np.exp((above - MARGIN_DB) / SLOPE_DB)
        probabilities: NDArray[np.float32] = (odds / (1.0 + odds)).astype(np.float32)
        return probabilities
