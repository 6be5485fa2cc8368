"""Turn detection of live audio, from samples to events."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.vad.detector import SpeechStarted, SpeechStopped, TurnDetector
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad
from rtnb.vad.silero import HOP_MS, SAMPLE_RATE, SileroVad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

KEPT_HOPS: Final = 112_500
"""Probabilities kept until they are taken: one hour; older ones are dropped."""


class StreamingVad:
    """Ears for a stream: resampler, speech probability, turn detector.

    Parameters
    ----------
    settings : ServerVad, optional
        What is not set has its default.
    sample_rate : int, default 24000
        Hz of the samples that will come.

    Attributes
    ----------
    detector : TurnDetector
        The state machine; its `settings` may be set at any time.

    Raises
    ------
    AudioFormatError
        If the rate cannot be resampled.

    Notes
    -----
    The events are the same however the samples are cut into chunks. A hop is decided
    once the resampler lets go of its last sample: 4 ms after its end for 24 kHz.

    Not safe for use from two threads at once.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> clip = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
    >>> ears = StreamingVad(sample_rate=clip.sample_rate)
    >>> for event in ears.push(clip.samples):
    ...     print(event)
    SpeechStarted(audio_start_ms=0, hop=8)
    SpeechStopped(audio_end_ms=3072, hop=95, audio_start_ms=0)
    """

    def __init__(
        self, settings: ServerVad = SERVER_VAD_DEFAULTS, *, sample_rate: int = 24_000
    ) -> None:
        self.sample_rate = sample_rate
        self.detector = TurnDetector(settings, hop_ms=HOP_MS)
        self._resampler = StreamingResampler(sample_rate, SAMPLE_RATE)
        self._stream = SileroVad().stream()
        self._untaken: deque[float] = deque(maxlen=KEPT_HOPS)

    @property
    def settings(self) -> ServerVad:
        """Settings in force; a change acts from the next hop on."""
        return self.detector.settings

    @settings.setter
    def settings(self, settings: ServerVad) -> None:
        self.detector.settings = settings

    @property
    def hops(self) -> int:
        """Hops heard so far, 32 ms each."""
        return self.detector.hop

    def push(self, samples: Samples) -> list[SpeechStarted | SpeechStopped]:
        """Hear the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At the stream's rate, in [-1, 1]; n may be 0.

        Returns
        -------
        list of SpeechStarted or SpeechStopped
            What the hops that are now whole decided, in order.
        """
        probabilities = self._stream.push(self._resampler(samples)).tolist()
        self._untaken.extend(probabilities)
        decided = (self.detector.push(probability) for probability in probabilities)
        return [event for event in decided if event is not None]

    def take_probabilities(self) -> NDArray[np.float32]:
        """Take the probabilities since the last call.

        Returns
        -------
        float32 array, shape (m,)
            Of the last m of `hops` hops; never more than `KEPT_HOPS`.
        """
        taken = np.array(self._untaken, np.float32)
        self._untaken.clear()
        return taken
