r"""Echo: what the microphone hears of the loudspeaker, measured with a sweep.

The probe rises through the frequencies, so that its correlation with what was recorded
is one sharp peak at the delay of the echo, tens of dB above any noise. Division of the
two spectra gives the path from the loudspeaker to the microphone; a spoken answer that
is sent down that path is what the detector will hear of it.

References
----------
.. [1] A. Farina, "Simultaneous measurement of impulse response and distortion with a
   swept-sine technique", 108th AES Convention, 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import Clip, rms_dbfs
from rtnb.errors import AudioFormatError
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad
from rtnb.vad.silero import SAMPLE_RATE, SileroVad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

PROBE_S: Final = 1.0
"""Length of the probe. Our choice: long enough to be found 25 dB below the noise."""

PROBE_DBFS: Final = -20.0
"""Level of the probe, about that of a spoken answer. Our choice."""

SWEPT_HZ: Final = (100.0, 8_000.0)
"""Where the sweep begins and ends: what small loudspeakers play and the detector, which
listens up to 8 kHz, hears."""

FADE_S: Final = 0.01
"""Length of the sweep's fades, against clicks. Our choice."""

LONGEST_DELAY_S: Final = 0.8
"""Echoes are sought up to here: more than Bluetooth's 0.3 s. Our choice."""

PATH_S: Final = 0.3
"""How much of the path's response is kept after the delay: the early part of a room of
usual size. Our choice."""

BEFORE_S: Final = 0.01
"""How much of it is kept before the delay, for what arrives ahead of the loudest."""

HEARD: Final = 5.0
"""Peak of the correlation's envelope, over its root mean square elsewhere, from which an
echo is said to be heard. In noise alone the envelope is Rayleigh distributed, and one
of 20 000 lags exceeds this with a probability of 20 000 exp(-25), less than 1e-6."""

LEAST_AFTER_S: Final = 0.1
"""How long the recording must go on after the probe. Our choice."""

LEAST_ENERGY: Final = 1e-12
"""An echo that noise hides is said to be 120 dB down, not infinitely far."""

REGULARISATION: Final = 1e-4
"""Added to the probe's power spectrum, relative to its largest value, before dividing:
40 dB down, well below the 19 dB that the sweep's spectrum falls. Our choice."""

ANSWER: Final = "austen-0880"
"""The recording that stands for an answer."""

ANSWER_DBFS: Final = -20.0
"""Level of the answer that is sent down the path. Our choice; the embedded voices and
those of hosted models speak at about this."""


@dataclass(frozen=True)
class EchoCheck:
    """What the microphone hears of the loudspeaker.

    Parameters
    ----------
    delay_ms : float or None
        From the loudspeaker's input to the microphone's output; None if nothing was
        heard.
    attenuation_db : float or None
        Level of the probe less that of its echo, digital full scale to digital full
        scale; None if nothing was heard.
    heard : bool
        Whether there is an echo at all.
    would_trigger : bool
        Whether the detector would take an answer's echo for speech.
    probability : float
        Highest speech probability in an answer's echo, 0 if nothing was heard.
    """

    delay_ms: float | None
    attenuation_db: float | None
    heard: bool
    would_trigger: bool
    probability: float


def echo_probe(sample_rate: int = 24_000) -> Clip:
    """The sound that `measure_echo` looks for: an exponential sine sweep.

    Parameters
    ----------
    sample_rate : int, default 24000
        Hz.

    Returns
    -------
    Clip
        One second from 100 Hz to 8 kHz (or 0.45 of the rate) at -20 dBFS, faded.

    Examples
    --------
    >>> echo_probe()
    Clip(1.00 s, 24000 Hz)
    """
    low, high = SWEPT_HZ[0], min(SWEPT_HZ[1], 0.45 * sample_rate)
    time = np.arange(round(PROBE_S * sample_rate)) / sample_rate
    rate = np.log(high / low) / PROBE_S
    sweep = np.sin(2 * np.pi * low / rate * np.expm1(rate * time))
    edge = np.minimum(time, time[::-1]) / FADE_S
    sweep *= np.sin(np.pi / 2 * np.minimum(edge, 1)) ** 2
    return Clip(at_level(sweep, PROBE_DBFS), sample_rate)


def at_level(samples: NDArray[np.floating], dbfs: float) -> Samples:
    """Samples brought to a root-mean-square level, as float32."""
    gain = 10 ** ((dbfs - rms_dbfs(samples.astype(np.float32))) / 20)
    return (samples * gain).astype(np.float32)


def measure_echo(
    recorded: Samples,
    probe: Samples,
    *,
    sample_rate: int,
    began: int = 0,
    settings: ServerVad = SERVER_VAD_DEFAULTS,
) -> EchoCheck:
    """Delay and attenuation of an echo, and whether it would trigger the detector.

    Parameters
    ----------
    recorded : float32 array, shape (n,)
        What the microphone heard, in [-1, 1]; best from before the probe's beginning
        until a second after its end.
    probe : float32 array, shape (m,)
        What was played, such as ``echo_probe().samples``.
    sample_rate : int
        Hz, of both.
    began : int, default 0
        Sample of `recorded` at which the probe began to be played.
    settings : ServerVad, optional
        The detector's; what is not set has its default.

    Returns
    -------
    EchoCheck
        With echoes of up to 0.8 s delay.

    Raises
    ------
    AudioFormatError
        If the recording ends before the probe has ended.

    Notes
    -----
    The delay is where the envelope of the matched filter's output is highest. The
    attenuation is that of the probe on its way through the measured path, with the part
    of noise, measured at lags without an echo, taken off. The answer is one of the
    recorded examples at -20 dBFS.

    The result is that of the page as it is: with the browser's echo cancellation on, of
    what this leaves.
    """
    take = _Take(recorded, probe, sample_rate, began)
    found = take.find()
    if found is None:
        return EchoCheck(None, None, heard=False, would_trigger=False, probability=0.0)
    path = take.path(found)
    energy = _energy(_through(path, probe)) - take.noise_energy(found)
    sent = _energy(probe)
    attenuation = 10 * np.log10(sent / max(energy, LEAST_ENERGY * sent))
    probability = _answered(path, recorded[:began], sample_rate)
    threshold = settings.filled().threshold
    assert isinstance(threshold, float | int)
    return EchoCheck(
        delay_ms=round(1000 * (found - began) / sample_rate, 2),
        attenuation_db=round(float(attenuation), 2),
        heard=True,
        would_trigger=probability >= threshold,
        probability=probability,
    )


@dataclass(frozen=True, eq=False)
class _Take:
    """A recording of the probe, and the spectra of both."""

    recorded: Samples
    probe: Samples
    sample_rate: int
    began: int

    def __post_init__(self) -> None:
        if not np.any(self.probe):
            raise AudioFormatError(
                "the probe is empty or silent, so it has no echo: play echo_probe()"
            )
        needed = self.began + len(self.probe) + self._samples(LEAST_AFTER_S)
        if self.began < 0 or len(self.recorded) < needed:
            raise AudioFormatError(
                f"the probe began at sample {self.began} of {len(self.recorded)}, but "
                f"it and its echo need {needed - self.began} after it: begin to record "
                "before the probe is played, until a second after it"
            )

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.sample_rate)

    @cached_property
    def _spectra(self) -> tuple[NDArray[np.complex128], NDArray[np.complex128], int]:
        size = 1 << (len(self.recorded) + len(self.probe) - 1).bit_length()
        return np.fft.rfft(self.recorded, size), np.fft.rfft(self.probe, size), size

    @cached_property
    def _response(self) -> NDArray[np.float64]:
        """What turns the probe into the recording, at lags from 0 and, at the end, -1."""
        heard, played, size = self._spectra
        power = np.abs(played) ** 2
        quotient = heard * played.conj() / (power + REGULARISATION * power.max())
        return np.fft.irfft(quotient, size)

    def find(self) -> int | None:
        """Sample at which the loudest echo of the probe begins, if there is one."""
        heard, played, size = self._spectra
        envelope = _envelope(heard * played.conj(), size)
        envelope = envelope[: len(self.recorded) - len(self.probe) + 1]
        last = self.began + self._samples(LONGEST_DELAY_S)
        found = self.began + int(np.argmax(envelope[self.began : last + 1]))
        near = self._samples(PATH_S)
        away = np.append(envelope[: max(0, found - near)], envelope[found + near :])
        ground = np.sqrt(np.mean(np.square(away if len(away) else envelope)))
        return found if envelope[found] > HEARD * ground else None

    def path(self, found: int) -> NDArray[np.float64]:
        """The stretch of the response that the echo takes; its delay is left out."""
        before, after = self._samples(BEFORE_S), self._samples(PATH_S)
        return self._response[np.arange(found - before, found + after)]

    def noise_energy(self, found: int) -> float:
        """Energy that a stretch without an echo, as long as the path, gives the probe.

        It lies before the probe, or after the echo; where the recording has neither,
        the noise is taken for nothing.
        """
        length = self._samples(BEFORE_S) + self._samples(PATH_S)
        last = len(self.recorded) - len(self.probe)
        if self.began >= length:
            start = self.began - length
        elif last - length >= found + self._samples(PATH_S):
            start = last - length
        else:
            return 0.0
        return _energy(_through(self._response[start : start + length], self.probe))


def _envelope(spectrum: NDArray[np.complex128], size: int) -> NDArray[np.float64]:
    """Magnitude of the analytic signal that has this one-sided spectrum."""
    whole = np.zeros(size, np.complex128)
    whole[: len(spectrum)] = spectrum
    return np.abs(np.fft.ifft(whole))


def _energy(samples: NDArray[np.floating]) -> float:
    return float(np.sum(np.square(samples, dtype=np.float64)))


def _through(path: NDArray[np.float64], sound: Samples) -> NDArray[np.float64]:
    """A sound at the end of a path."""
    length = len(path) + len(sound) - 1
    size = 1 << length.bit_length()
    return np.fft.irfft(np.fft.rfft(path, size) * np.fft.rfft(sound, size), size)[
        :length
    ]


def _answered(
    path: NDArray[np.float64], background: Samples, sample_rate: int
) -> float:
    """Highest speech probability of an answer's echo, in noise like the background."""
    words = Clip.example(ANSWER).resample(sample_rate).samples
    echo = _through(path, at_level(words, ANSWER_DBFS))
    echo += _noise_like(background, len(echo))
    clip = Clip(np.clip(echo, -1, 1).astype(np.float32), sample_rate)
    probabilities = SileroVad().probabilities(clip.resample(SAMPLE_RATE).samples)
    return float(probabilities.max())


def _noise_like(background: Samples, length: int) -> NDArray[np.float64]:
    """Steady noise with the spectrum and the level of a short one; the same each time."""
    if len(background) == 0:
        return np.zeros(length)
    kept = background[-length:].astype(np.float64)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, length // 2 + 1)
    spectrum = np.abs(np.fft.rfft(kept, length)) * np.exp(1j * phases)
    noise = np.fft.irfft(spectrum, length)
    power = float(np.mean(np.square(noise)))
    level = float(np.mean(np.square(kept)))
    return noise * np.sqrt(level / power) if power > 0 else noise
