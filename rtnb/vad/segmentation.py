"""Turns in a recording: the probability once, then any settings in microseconds.

The segments are those that the `TurnDetector` would have found live.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from rtnb.vad.detector import Law
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.vad.probability import SpeechProbability

Ending: TypeAlias = Literal["silence", "sentence", "longest wait", "end of audio"]
"""Why a turn ended: it was quiet for long enough; quiet, and the sentence was over;
quiet for as long as an unfinished sentence is waited for; or the audio was over."""


@dataclass(frozen=True)
class Segment:
    """One turn of speech, as the turn detector finds it.

    Parameters
    ----------
    audio_start_ms, audio_end_ms : int
        Its audio; for a turn that was still going on, up to the end of the last hop.
    started_hop : int
        The hop that reached the threshold, from 0.
    stopped_hop : int or None
        The hop that completed the silence; None for a turn that was still going on.
    ended : {"silence", "sentence", "longest wait", "end of audio"}
        Why it ended; the second and third are only ``semantic_vad``'s.
    hop_ms : int, default 32
        Length of a hop.
    """

    audio_start_ms: int
    audio_end_ms: int
    started_hop: int
    stopped_hop: int | None
    ended: Ending = field(default="silence", kw_only=True)
    hop_ms: int = field(default=32, kw_only=True, repr=False)

    @property
    def speech_start_ms(self) -> int:
        """Start of the hop that reached the threshold."""
        return self.started_hop * self.hop_ms

    @property
    def prefix_ms(self) -> int:
        """Audio kept from before the speech; less than asked for at the very start."""
        return self.speech_start_ms - self.audio_start_ms

    @property
    def started_at_ms(self) -> int:
        """Audio time at which ``speech_started`` would have been sent."""
        return (self.started_hop + 1) * self.hop_ms

    @property
    def stopped_at_ms(self) -> int | None:
        """Audio time at which ``speech_stopped`` would have been sent, if it was."""
        if self.stopped_hop is None:
            return None
        return (self.stopped_hop + 1) * self.hop_ms


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
    return Segment(
        law.start_ms(started),
        law.end_ms(last),
        started,
        stopped_hop,
        ended="end of audio" if stopped is None else "silence",
        hop_ms=law.hop_ms,
    )


def _nth_of_runs(flags: NDArray[np.bool_], nth: int) -> NDArray[np.int64]:
    """Index of the nth element of every run of True that is so long."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    return starts[ends - starts >= nth] + (nth - 1)
