"""What a tuner listens to: a recording, seen and heard in pieces."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from rtnb.audio import Clip, EnvelopePyramid
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad import sentence_ends, speech_probability

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtnb.audio import Samples
    from rtnb.vad import SentenceEnds, SpeechProbability

PLAYED_RATE: Final = 24_000
"""Hz of what the page plays: what the API receives as ``audio/pcm``."""

OVERVIEW_BINS: Final = 4_096
"""A screen has fewer columns; it is sent once, 16 kB."""

MOST_BINS: Final = 32_768
"""What a page may ask for at once."""

LONGEST_PIECE_S: Final = 30.0
"""What a page may play at once."""

MARGIN_S: Final = 1
"""Sound on both sides that a resampler hears too. A whole second is a whole number of
samples at both rates, so that a piece lies on the same grid as the whole."""

FULL_SCALE: Final = 32_768


class Sound(Protocol):
    """Sound that is seen, heard and judged in pieces; times are seconds."""

    live: bool

    @property
    def start(self) -> float:
        """Where it begins: a live one is forgotten from the front."""
        ...

    @property
    def end(self) -> float:
        """Where it ends, so far."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    def overview(self) -> Outline:
        """All of it, roughly."""
        ...

    def detail(self, start: float, stop: float, bins: int) -> Outline:
        """A part of it."""
        ...

    def pcm(self, start: float, stop: float) -> bytes:
        """A part of it as PCM16 at 24 kHz."""
        ...

    def probability(
        self, on_progress: Callable[[float, float], object] | None = None
    ) -> SpeechProbability:
        """How likely each hop is speech."""
        ...

    def judged(self) -> tuple[SpeechProbability, int]:
        """The probability, and the number of its first hop."""
        ...

    def clip_from(self, hop: int) -> Clip:
        """All of it from the start of a hop on."""
        ...

    def sentences(self) -> SentenceEnds | None:
        """How its pauses are judged by the words before them; None: they are not."""
        ...

    def begin(self, send: Callable[[dict[str, Any], list[bytes]], object]) -> None:
        """Tell the pages what is new."""
        ...

    def close(self) -> None:
        """Tell nobody any more."""
        ...


@dataclass(frozen=True)
class Outline:
    """Lowest and highest sample of equal parts of a stretch.

    Parameters
    ----------
    start, stop : float
        Seconds.
    low, high : int16 arrays, shape (bins,)
        Rounded away from zero: no peak is lost.
    """

    start: float
    stop: float
    low: NDArray[np.int16]
    high: NDArray[np.int16]

    @classmethod
    def of(cls, start: float, stop: float, low: Samples, high: Samples) -> Outline:
        """Make one of float32 samples in [-1, 1]."""
        most = FULL_SCALE - 1
        lows = np.clip(np.floor(low * FULL_SCALE), -FULL_SCALE, most)
        highs = np.clip(np.ceil(high * FULL_SCALE), -FULL_SCALE, most)
        return cls(start, stop, lows.astype("<i2"), highs.astype("<i2"))

    @property
    def buffers(self) -> list[bytes]:
        """As they travel."""
        return [self.low.tobytes(), self.high.tobytes()]


class RecordedSound:
    """A recording that is all there.

    Parameters
    ----------
    clip : Clip
        At any rate, at least a sample long.
    probability : SpeechProbability, optional
        Of this clip; else Silero's, found when it is first asked for.

    Raises
    ------
    AudioFormatError
        If the clip is empty.
    ConfigError
        If the probability goes on for longer than the clip.
    """

    live = False
    start = 0.0

    def __init__(
        self, clip: Clip, *, probability: SpeechProbability | None = None
    ) -> None:
        if not len(clip):
            raise AudioFormatError(
                "the clip has no samples, so there is nothing to tune on: give a "
                "recording with some speech in it"
            )
        if probability is not None:
            _check_length(probability, clip)
        self._clip = clip
        self._pyramid = EnvelopePyramid(clip.samples)
        self._probability = probability
        self._sentences: SentenceEnds | None = None
        self._finding = threading.Lock()

    @property
    def end(self) -> float:
        """Its length."""
        return self._clip.duration

    @property
    def sample_rate(self) -> int:
        """Hz of the clip."""
        return self._clip.sample_rate

    def begin(self, send: Callable[[dict[str, Any], list[bytes]], object]) -> None:
        """Nothing of it is new."""

    def close(self) -> None:
        """Nothing of it goes on."""

    def overview(self) -> Outline:
        """All of it, in `OVERVIEW_BINS` parts or fewer."""
        return self.detail(0.0, self.end, OVERVIEW_BINS)

    def detail(self, start: float, stop: float, bins: int) -> Outline:
        """A part of it, in so many parts or in as many as there are samples.

        Parameters
        ----------
        start, stop : float
            Seconds; what lies outside is left out.
        bins : int
            At most `MOST_BINS` are given.

        Returns
        -------
        Outline
            Of the samples that the stretch touches.
        """
        rate, length = self.sample_rate, len(self._clip)
        first = min(max(0, int(start * rate)), length - 1)
        last = min(max(first + 1, int(np.ceil(stop * rate))), length)
        most = max(1, min(bins, MOST_BINS, last - first))
        low, high = self._pyramid.view(first, last, most)
        return Outline.of(first / rate, last / rate, low, high)

    def pcm(self, start: float, stop: float) -> bytes:
        """A part of it as the API would have received it: PCM16, 24 kHz.

        Parameters
        ----------
        start, stop : float
            Seconds, rounded to samples of 24 kHz; what lies outside is left out, and
            what is longer than `LONGEST_PIECE_S`.

        Returns
        -------
        bytes
            Little-endian.
        """
        stop = min(stop, self.end, start + LONGEST_PIECE_S)
        start = min(max(0.0, start), stop)
        before = max(0, int(start) - MARGIN_S)
        after = min(self.end, stop + MARGIN_S)
        heard = self._clip.slice(float(before), after).resample(PLAYED_RATE)
        first = round((start - before) * PLAYED_RATE)
        last = round((stop - before) * PLAYED_RATE)
        samples = heard.samples[first:last]
        return Clip(samples, PLAYED_RATE).to_pcm16()

    def probability(
        self, on_progress: Callable[[float, float], object] | None = None
    ) -> SpeechProbability:
        """How likely each hop is speech, found once; others wait for it."""
        with self._finding:
            if self._probability is None:
                self._probability = speech_probability(
                    self._clip, on_progress=on_progress
                )
            return self._probability

    def judged(self) -> tuple[SpeechProbability, int]:
        """The probability, from hop 0 on."""
        return self.probability(), 0

    def clip_from(self, hop: int) -> Clip:
        """The clip from the start of a hop on."""
        return self._clip.slice(hop * self.probability().hop_ms / 1000)

    def sentences(self) -> SentenceEnds:
        """Judge the pauses by the words before them, once.

        Raises
        ------
        MissingExtra
            If there is no recogniser.
        """
        probability = self.probability()
        with self._finding:
            if self._sentences is None:
                self._sentences = sentence_ends(self._clip, probability)
            return self._sentences


def _check_length(probability: SpeechProbability, clip: Clip) -> None:
    if probability.duration > clip.duration + probability.hop_ms / 1000:
        raise ConfigError(
            f"the probability lasts {probability.duration:.2f} s, the clip "
            f"{clip.duration:.2f} s: give the probability of this very clip"
        )
