"""Turns in a recording: the probability once, then any settings in microseconds.

The segments are those that the `TurnDetector` would have found live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.errors import AudioFormatError
from rtnb.vad.detector import Law
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad
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


@dataclass(frozen=True)
class Segment:
    """One turn of speech.

    Parameters
    ----------
    audio_start_ms, audio_end_ms : int
        Its audio; for a turn that was still going on, up to the end of the last hop.
    started_hop : int
        The hop that reached the threshold, from 0.
    stopped_hop : int or None
        The hop that completed the silence; None for a turn that was still going on.
    """

    audio_start_ms: int
    audio_end_ms: int
    started_hop: int
    stopped_hop: int | None


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
    >>> segment(speech_probability(clip))
    [Segment(audio_start_ms=0, audio_end_ms=3072, started_hop=8, stopped_hop=95)]
    """
    resampler = StreamingResampler(clip.sample_rate, SAMPLE_RATE)
    samples = np.concatenate((resampler(clip.samples), resampler.flush()))
    return SpeechProbability(SileroVad().probabilities(samples))


def segment(
    probability: SpeechProbability, settings: ServerVad = SERVER_VAD_DEFAULTS
) -> list[Segment]:
    """Turns that a detector with these settings would have found.

    Parameters
    ----------
    probability : SpeechProbability
        From `speech_probability`.
    settings : ServerVad, optional
        What is not set has its default.

    Returns
    -------
    list of Segment
        In order.

    Notes
    -----
    No loop over hops: the hops that may complete a silence are known beforehand, for
    each is the `quiet_hops`-th of a run of quiet ones. Between two of them, speech
    begins at the first hop that reaches the threshold.
    """
    law = Law.of(settings, hop_ms=probability.hop_ms)
    p = probability.p.astype(np.float64)  # as the detector compares
    stops = _nth_of_runs(p < law.leave, law.quiet_hops)
    loud = np.flatnonzero(p >= law.enter)
    next_stop, first = np.unique(np.searchsorted(stops, loud), return_index=True)
    return [
        _segment(law, int(start), stops[stop] if stop < len(stops) else None, len(p))
        for start, stop in zip(loud[first], next_stop, strict=True)
    ]


def _segment(law: Law, started: int, stopped: np.int64 | None, hops: int) -> Segment:
    stopped_hop = None if stopped is None else int(stopped)
    last = hops - 1 if stopped_hop is None else stopped_hop
    return Segment(law.start_ms(started), law.end_ms(last), started, stopped_hop)


def _nth_of_runs(flags: NDArray[np.bool_], nth: int) -> NDArray[np.int64]:
    """Index of the nth element of every run of True that is so long."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    return starts[ends - starts >= nth] + (nth - 1)
