"""Noise reduction for a microphone: steady noise is turned down, speech is kept.

Each 32 ms are weighed band by band: what rises above the noise that is always there is
speech and stays, the rest is turned down, never quite off. The noise is learnt from the
audio itself, so nobody has to be quiet first.

References
----------
Y. Ephraim, D. Malah, "Speech enhancement using a minimum mean-square error short-time
spectral amplitude estimator", IEEE TASSP 32 (1984): the decision-directed estimate of
the signal to noise ratio, here with Wiener's gain.
T. Gerkmann, R. Hendriks, "Unbiased MMSE-based noise power estimation with low complexity
and low tracking delay", IEEE TASLP 20 (2012): the noise, by the probability that there
is speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

Field: TypeAlias = Literal["near_field", "far_field"]
"""Where the microphone is: at the mouth (headset), or across the room (laptop)."""

FLOOR_DB: Final[dict[Field, float]] = {"near_field": -12.0, "far_field": -20.0}
"""How far noise is turned down: our choice. A near microphone has less of it."""

FRAME_S: Final = 0.032
"""Length of a frame; they overlap by half, and so much is withheld at most. Of 20, 32 and
40 ms the longer ones gain more against pink noise: 3.5 dB of 10 dB at 32 ms."""

SMOOTHING: Final = 0.94
"""Weight of the frame before in the signal to noise ratio. Ephraim and Malah take 0.98;
for frames 16 ms apart 0.94 leaves 1 dB more of the speech."""

LOWEST_SNR: Final = 10 ** (-25 / 10)
"""Below this a band is all noise: -25 dB, as is usual with the decision-directed form."""

SPEECH_SNR: Final = 10 ** (15 / 10)
"""What speech is taken to be above the noise where there is any: 15 dB, Gerkmann's."""

NOISE_MEMORY: Final = 0.8
"""Weight of the noise known before, for frames 16 ms apart: Gerkmann's."""

STUCK: Final = 0.99
"""A band that seems to be speech for longer than speech lasts is noise: Gerkmann's."""

FIRST_FRAMES: Final = 5
"""Frames whose mean is the first guess of the noise: 96 ms."""

SILENCE: Final = 1e-12
"""Power below that of any sound: keeps digital silence from dividing by zero."""


class NoiseReducer:
    """Turns down the steady noise of a stream.

    Parameters
    ----------
    field : {"near_field", "far_field"}
        Where the microphone is.
    sample_rate : int, default 24000
        Hz.

    Notes
    -----
    What comes out is as long as what went in, sample for sample in its place, and up to
    32 ms late; `flush` gives the rest. The result is the same for any chunking. The
    magnitudes are changed, never the phases.

    Examples
    --------
    >>> reduce = NoiseReducer("near_field")
    >>> hiss = np.random.default_rng(0).normal(0, 0.01, 48_000).astype(np.float32)
    >>> quiet = np.concatenate((reduce(hiss), reduce.flush()))
    >>> len(quiet), bool(quiet[24_000:].std() < 0.5 * hiss.std())
    (48000, True)
    """

    def __init__(self, field: Field, *, sample_rate: int = 24_000) -> None:
        self._hop = round(sample_rate * FRAME_S / 2)
        self._window = np.sqrt(np.hanning(2 * self._hop + 1)[:-1])
        self._noise = _Noise(self._hop + 1)
        self._lowest_gain = 10 ** (FLOOR_DB[field] / 20)
        self._begin()

    def _begin(self) -> None:
        self._waiting = np.zeros(self._hop)  # the first frame begins half a frame early
        self._tail = np.zeros(self._hop)
        self._clean = np.zeros(self._hop + 1)
        self._early = self._hop  # what comes out for that half is nobody's
        self._taken = self._given = 0

    def __call__(self, samples: Samples) -> Samples:
        """Take the next samples; give those that are ready.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            In [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m,)
            In [-1, 1].
        """
        self._taken += len(samples)
        self._waiting = np.concatenate((self._waiting, samples.astype(np.float64)))
        pieces = [np.zeros(0)]
        while len(self._waiting) >= 2 * self._hop:
            pieces.append(self._frame(self._waiting[: 2 * self._hop]))
            self._waiting = self._waiting[self._hop :]
        ready = np.concatenate(pieces)
        before, self._early = self._early, max(0, self._early - len(ready))
        ready = ready[before:] if before <= len(ready) else ready[:0]
        self._given += len(ready)
        return np.clip(ready, -1.0, 1.0).astype(np.float32)

    def flush(self) -> Samples:
        """Give what is withheld, and begin anew; what is known of the noise stays."""
        left = self._taken - self._given
        rest = self(np.zeros(2 * self._hop, np.float32))[:left]
        self._begin()
        return rest

    def _frame(self, frame: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half a frame that is complete."""
        spectrum = np.fft.rfft(frame * self._window)
        spectrum *= self._gain(np.abs(spectrum) ** 2)
        whole = np.fft.irfft(spectrum) * self._window
        piece = self._tail + whole[: self._hop]
        self._tail = whole[self._hop :]
        return piece

    def _gain(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Wiener's gain of each band, by the decision-directed estimate."""
        noise = self._noise.learn(power)
        now = np.maximum(power / noise - 1, 0)
        snr = SMOOTHING * self._clean / noise + (1 - SMOOTHING) * now
        gain = np.maximum(snr, LOWEST_SNR) / (1 + np.maximum(snr, LOWEST_SNR))
        self._clean = gain**2 * power
        kept: NDArray[np.float64] = np.maximum(gain, self._lowest_gain)
        return kept


class _Noise:
    """Power of the noise in each band."""

    def __init__(self, bands: int) -> None:
        self._power = np.zeros(bands)
        self._presence = np.full(bands, 0.5)
        self._frames = 0

    def learn(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take a frame's power; returns the noise as it is known now, never zero."""
        self._frames += 1
        if self._frames <= FIRST_FRAMES:
            self._power += (power - self._power) / self._frames
        else:
            self._follow(power)
        return np.maximum(self._power, SILENCE)

    def _follow(self, power: NDArray[np.float64]) -> None:
        noise = np.maximum(self._power, SILENCE)
        unlikely = np.minimum(power / noise * SPEECH_SNR / (1 + SPEECH_SNR), 200.0)
        presence = 1 / (1 + (1 + SPEECH_SNR) * np.exp(-unlikely))
        self._presence = 0.9 * self._presence + 0.1 * presence
        presence = np.where(
            self._presence > STUCK, np.minimum(presence, STUCK), presence
        )
        heard = presence * noise + (1 - presence) * power
        self._power = NOISE_MEMORY * noise + (1 - NOISE_MEMORY) * heard
