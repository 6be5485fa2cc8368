"""The spectrum of a steady sound: levels in third-octave bands, and hum of the mains.

Levels are in dBFS, where a full-scale square wave is 0; the bands of white noise add up
to the level of the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.errors import AudioFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

LOWEST_BAND: Final = -13
"""Number of the band around 50 Hz, below which microphones hear handling and wind."""

BANDS_PER_DECADE: Final = 10
"""Third-octave bands to base ten: IEC 61260-1:2014, 5.2 to 5.4."""

SEGMENT_S: Final = 0.5
"""Length of a Welch segment: bins of 2 Hz tell 50 Hz from 60 Hz, and ten seconds of
them suffice for a smooth average. Our choice."""

FLOOR_DBFS: Final = -140.0
"""Lowest level of a band; silence has no level of its own. Our choice, 20 dB below
`rtnb.audio.rms_dbfs`, because a band is a part of the whole."""

MAINS_HZ: Final = (50, 60)
"""Frequencies of the mains: IEC 60038."""

HARMONICS: Final = 6
"""Harmonics looked at, up to 300 Hz or 360 Hz. Our choice."""

LOBE_HZ: Final = 4.0
"""How far the main lobe of a Hann window of 0.5 s reaches to either side."""

BESIDE_HZ: Final = 18.0
"""How far the neighbours of a harmonic reach. Our choice."""

PROMINENCE_DB: Final = 10.0
"""How far a harmonic must stand out of its neighbours; two of them make hum. The power
of nineteen segments of noise stays within 4 dB of its median. Our choice."""


@dataclass(frozen=True)
class Spectrum:
    """Levels in third-octave bands.

    Parameters
    ----------
    centres : tuple of float
        Middle frequencies in Hz, rising, ten per decade.
    levels : tuple of float
        dBFS of each band, -140 at least.
    """

    centres: tuple[float, ...]
    levels: tuple[float, ...]


@dataclass(frozen=True)
class Hum:
    """Hum of the mains.

    Parameters
    ----------
    frequency : int
        50 or 60, Hz.
    level_dbfs : float
        Of all its harmonics together.
    """

    frequency: int
    level_dbfs: float


def third_octaves(samples: Samples, sample_rate: int) -> Spectrum:
    r"""Levels of a steady sound in third-octave bands.

    Parameters
    ----------
    samples : float32 array, shape (n,), at least half a second
        Samples in [-1, 1].
    sample_rate : int
        Hz.

    Returns
    -------
    Spectrum
        From 50 Hz to the last band that ends below half the sample rate.

    Raises
    ------
    AudioFormatError
        If there is less than half a second.

    Notes
    -----
    Welch's method [1]_: Hann windows of 0.5 s, overlapping by half, the mean taken off
    each; power is averaged over them and summed within the bands [2]_,
    :math:`10^{(k \pm 1/2)/10}` kHz for the band of number k.

    References
    ----------
    .. [1] P. Welch, "The use of fast Fourier transform for the estimation of power
       spectra", IEEE Trans. Audio Electroacoust. AU-15, 1967.
    .. [2] IEC 61260-1:2014, "Octave-band and fractional-octave-band filters".

    Examples
    --------
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(24_000) / 24_000, dtype=np.float32)
    >>> spectrum = third_octaves(sine, 24_000)
    >>> round(spectrum.levels[spectrum.centres.index(1000.0)], 2)
    -3.01
    """
    frequencies, power = _welch(samples, sample_rate)
    highest = math.floor(BANDS_PER_DECADE * math.log10(sample_rate / 2000) - 0.5)
    numbers = np.arange(LOWEST_BAND, highest + 1)
    edges = 1000 * 10 ** ((np.append(numbers, highest + 1) - 0.5) / BANDS_PER_DECADE)
    sums = np.diff(
        np.append(0.0, np.cumsum(power))[np.searchsorted(frequencies, edges)]
    )
    centres = 1000 * 10 ** (numbers / BANDS_PER_DECADE)
    return Spectrum(tuple(centres.tolist()), tuple(map(_dbfs, sums.tolist())))


def mains_hum(samples: Samples, sample_rate: int) -> Hum | None:
    """Hum of the mains in a steady sound.

    Parameters
    ----------
    samples : float32 array, shape (n,), at least half a second
        Samples in [-1, 1].
    sample_rate : int
        Hz.

    Returns
    -------
    Hum or None
        The mains whose harmonics are the louder; None if there is no hum.

    Raises
    ------
    AudioFormatError
        If there is less than half a second.

    Notes
    -----
    A harmonic counts if it stands 10 dB above the median of the bins up to 18 Hz
    beside it; it is hum if two of the first six count.
    """
    frequencies, power = _welch(samples, sample_rate)
    found = [_hum(frequencies, power, mains) for mains in MAINS_HZ]
    return max(filter(None, found), key=lambda hum: hum.level_dbfs, default=None)


def _welch(
    samples: Samples, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies of the bins, and the mean power in each."""
    size = round(SEGMENT_S * sample_rate)
    if len(samples) < size:
        raise AudioFormatError(
            f"{len(samples) / sample_rate:g} s have no spectrum, at least {SEGMENT_S} s "
            "are needed: record for longer"
        )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    views = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    centred = views - views.mean(axis=1, keepdims=True, dtype=np.float64)
    power = np.mean(np.abs(np.fft.rfft(window * centred)) ** 2, axis=0)
    power *= 2 / (size * np.sum(window**2))
    power[0] /= 2
    return np.arange(len(power)) * sample_rate / size, power


def _hum(
    frequencies: NDArray[np.float64], power: NDArray[np.float64], mains: int
) -> Hum | None:
    """What the harmonics of a mains frequency have above their neighbours."""
    excess = []
    for harmonic in range(1, HARMONICS + 1):
        off = np.abs(frequencies - harmonic * mains)
        beside = float(np.median(power[(off > LOBE_HZ) & (off <= BESIDE_HZ)]))
        lobe = power[off <= LOBE_HZ]
        if lobe.max() > beside * 10 ** (PROMINENCE_DB / 10):
            excess.append(float(np.sum(lobe - beside)))
    return Hum(mains, _dbfs(sum(excess))) if len(excess) > 1 else None


def _dbfs(power: float) -> float:
    return max(10 * math.log10(power), FLOOR_DBFS) if power > 0 else FLOOR_DBFS
