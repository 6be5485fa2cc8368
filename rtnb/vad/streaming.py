"""Turn detection of live audio, from samples to events."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.vad.detector import TurnDetector
from rtnb.vad.semantic import Mark, SemanticDetector
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad
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
    settings : ServerVad or SemanticVad, optional
        What is not set has its default.
    sample_rate : int, default 24000
        Hz of the samples that will come.

    Attributes
    ----------
    detector : TurnDetector
        The turn that is going on, under either settings.

    Raises
    ------
    AudioFormatError
        If the rate cannot be resampled.

    Notes
    -----
    The events are the same however the samples are cut into chunks. A hop is decided
    once the resampler lets go of its last sample: 4 ms after its end for 24 kHz.

    Under `SemanticVad` a `Judge` is the last event until `judged` is called: the hops
    after it are heard and wait. So the turns do not depend on how long judging takes.

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
        self,
        settings: ServerVad | SemanticVad = SERVER_VAD_DEFAULTS,
        *,
        sample_rate: int = 24_000,
    ) -> None:
        self.sample_rate = sample_rate
        self.detector = TurnDetector(hop_ms=HOP_MS)
        self._semantic: SemanticDetector | None = None
        self.settings = settings
        self._resampler = StreamingResampler(sample_rate, SAMPLE_RATE)
        self._stream = SileroVad().stream()
        self._untaken: deque[float] = deque(maxlen=KEPT_HOPS)
        self._undecided: deque[float] = deque()

    @property
    def settings(self) -> ServerVad | SemanticVad:
        """Settings in force; a change acts from the next hop on.

        A turn that has begun goes on.
        """
        return self._settings

    @settings.setter
    def settings(self, settings: ServerVad | SemanticVad) -> None:
        self._settings = settings
        if isinstance(settings, ServerVad):
            self._semantic = None
            self.detector.settings = settings
        elif self._semantic is None:
            self._semantic = SemanticDetector(
                settings, hop_ms=HOP_MS, turns=self.detector
            )
        else:
            self._semantic.settings = settings

    @property
    def hops(self) -> int:
        """Hops heard so far, 32 ms each."""
        return self.detector.hop + len(self._undecided)

    @property
    def judging(self) -> bool:
        """Whether a pause waits for its judgement."""
        return self._semantic is not None and self._semantic.judging

    def push(self, samples: Samples) -> list[Mark]:
        """Hear the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At the stream's rate, in [-1, 1]; n may be 0.

        Returns
        -------
        list of SpeechStarted, SpeechStopped or Judge
            What the hops that are now whole decided, in order.
        """
        probabilities = self._stream.push(self._resampler(samples)).tolist()
        self._untaken.extend(probabilities)
        self._undecided.extend(probabilities)
        return self._decide()

    def judged(self, probability: float | None) -> list[Mark]:
        """Hear how the pause was judged; without one that waits for it, nothing.

        Parameters
        ----------
        probability : float, 0 to 1, or None
            That the words end a sentence; None if nothing can be said.

        Returns
        -------
        list of SpeechStarted, SpeechStopped or Judge
            What the hops that waited decided, in order.
        """
        if self._semantic is not None:
            self._semantic.judged(probability)
        return self._decide()

    def reset_segment(self) -> None:
        """End the turn without an event, at the end of what was heard."""
        while self._undecided:
            self.detector.push(self._undecided.popleft())
        current = self._semantic or self.detector
        current.reset_segment()

    def _decide(self) -> list[Mark]:
        events: list[Mark] = []
        while self._undecided and not self.judging:
            current = self._semantic or self.detector
            event = current.push(self._undecided.popleft())
            if event is not None:
                events.append(event)
        return events

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
