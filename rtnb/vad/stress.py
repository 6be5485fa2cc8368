"""What spoils a sound on its way to the detector, made on purpose.

Every function gives a new clip of the same rate. What is random hangs on a seed: the
same seed, the same samples.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from rtnb.audio import Clip
from rtnb.errors import AudioFormatError, ConfigError

if TYPE_CHECKING:
    from rtnb.audio import Samples

HOP_S: Final = 0.032
"""Length of the stretches that are looked at for speech."""

ACTIVE_DB: Final = 30.0
"""A stretch within so many decibels of the loudest one counts as speech."""


def add_noise(
    clip: Clip,
    snr_db: float,
    seed: int,
    *,
    color: Literal["white", "pink"] = "white",
) -> Clip:
    """Add noise at a chosen distance below the speech.

    Parameters
    ----------
    clip : Clip
        Speech, as clean as can be.
    snr_db : float, -60 to 120
        Decibels between the power of the active speech and that of the noise.
    seed : int, >= 0
        Of the noise.
    color : {"white", "pink"}
        White noise has as much power in every hertz, pink in every octave.

    Returns
    -------
    Clip
        As long as before; where the sum would leave [-1, 1], all of it is made quieter,
        and a note says by how much.

    Raises
    ------
    AudioFormatError
        If the clip holds no sound to measure the noise against.
    ConfigError
        If the distance, the seed or the colour cannot be.

    Notes
    -----
    Active speech: the stretches of 32 ms whose power is within 30 dB of the loudest
    one's. The noise is as strong in the pauses.

    Examples
    --------
    >>> add_noise(Clip.example(), 10, seed=0).notes
    ('added white noise at 10 dB SNR (seed 0)',)
    """
    _check_noise(snr_db, seed, color)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(len(clip))
    if color == "pink":
        noise = _pink(noise)
    power = _active_power(clip)
    noise *= math.sqrt(power / 10 ** (snr_db / 10) / np.mean(np.square(noise)))
    note = f"added {color} noise at {snr_db:g} dB SNR (seed {seed})"
    return _within_range(clip, clip.samples + noise, note)


def _active_power(clip: Clip) -> float:
    """Mean square of the samples of all stretches that count as speech."""
    if not clip.peak:
        raise AudioFormatError(
            f"{clip!r} holds no sound, so that noise cannot be a number of decibels "
            "below it: give a clip with speech"
        )
    powers = _hop_powers(clip)
    return float(powers[powers >= powers.max() / 10 ** (ACTIVE_DB / 10)].mean())


def _hop_powers(clip: Clip) -> Samples:
    """Mean square of every stretch of 32 ms; the last may be shorter."""
    size = max(1, round(HOP_S * clip.sample_rate))
    starts = np.arange(0, len(clip), size)
    sums = np.add.reduceat(np.square(clip.samples, dtype=np.float64), starts)
    return sums / np.diff(starts, append=len(clip))


def _pink(white: Samples) -> Samples:
    """White noise with its spectrum falling by 3 dB an octave."""
    spectrum = np.fft.rfft(white)
    bins = np.maximum(np.arange(len(spectrum)), 1)
    return np.fft.irfft(spectrum / np.sqrt(bins), len(white))


def _within_range(clip: Clip, samples: Samples, note: str) -> Clip:
    """A clip of new samples, all made quieter if some would be out of range."""
    peak = float(np.abs(samples).max(initial=0.0))
    notes = (*clip.notes, note)
    if peak > 1.0:
        samples = samples / peak
        notes = (*notes, f"made quieter by {20 * math.log10(peak):.1f} dB to fit")
    return Clip(
        np.clip(samples, -1, 1).astype(np.float32), clip.sample_rate, notes=notes
    )


def _check_noise(snr_db: float, seed: int, color: str) -> None:
    if not -60 <= snr_db <= 120:  # noqa: PLR2004 - said in the docstring
        raise ConfigError(
            f"an SNR of {snr_db} dB cannot be: choose one from -60 to 120, such as 10"
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"the seed is {seed!r}: give a whole number from 0 on")
    if color not in ("white", "pink"):
        raise ConfigError(f'noise of color {color!r} is not known: "white" or "pink"')
