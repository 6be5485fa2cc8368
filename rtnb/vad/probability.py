"""Speech probability: how likely each stretch of a recording is speech, found once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.errors import AudioFormatError
from rtnb.vad.silero import HOP, SAMPLE_RATE, SileroVad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Clip


@dataclass(frozen=True, eq=False)
class SpeechProbability:
    """How likely each hop of a recording is speech.

    Parameters
    ----------
    p : float32 array, shape (n,)
        Probabilities, 0 to 1; kept as a read-only view.
    hop : int, default 512
        Samples that one stands for.
    sample_rate : int, default 16000
        Hz; a hop must be a whole number of milliseconds.

    Raises
    ------
    AudioFormatError
        If the array is not float32 of shape (n,), or a hop not whole milliseconds.
    """

    p: NDArray[np.float32]
    hop: int = HOP
    sample_rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        if self.p.dtype != np.float32 or self.p.ndim != 1:
            raise AudioFormatError(
                f"probabilities are {self.p.dtype} of shape {self.p.shape}, not float32 "
                "of shape (n,): give one recording's, as numpy.float32"
            )
        if self.hop < 1 or 1000 * self.hop % self.sample_rate:
            raise AudioFormatError(
                f"a hop of {self.hop} samples at {self.sample_rate} Hz is not a whole "
                "number of milliseconds: use 512 at 16000 Hz"
            )
        view = self.p.view()
        view.flags.writeable = False
        object.__setattr__(self, "p", view)

    @property
    def hop_ms(self) -> int:
        """Length of a hop in milliseconds."""
        return 1000 * self.hop // self.sample_rate

    @property
    def times(self) -> NDArray[np.float64]:
        """Start of each hop in seconds, shape (n,)."""
        starts = np.arange(len(self.p), dtype=np.float64) * self.hop
        return starts / self.sample_rate

    @property
    def duration(self) -> float:
        """Length of all hops in seconds."""
        return len(self.p) * self.hop / self.sample_rate

    def __len__(self) -> int:
        return len(self.p)


def speech_probability(clip: Clip) -> SpeechProbability:
    """How likely each 32 ms of a clip is speech, by Silero 6.2.

    Parameters
    ----------
    clip : Clip
        At any rate; resampled to 16 kHz as a live stream would be.

    Returns
    -------
    SpeechProbability
        One value for each whole hop.

    Raises
    ------
    AudioFormatError
        If the clip's rate cannot be resampled.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> clip = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
    >>> len(speech_probability(clip))
    124
    """
    resampler = StreamingResampler(clip.sample_rate, SAMPLE_RATE)
    samples = np.concatenate((resampler(clip.samples), resampler.flush()))
    return SpeechProbability(SileroVad().probabilities(samples))
