"""Turns in a recording: the probability once, then any settings in microseconds.

The segments are those that the `TurnDetector` would have found live.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from rtnb.vad.detector import Law
from rtnb.vad.semantic import SentenceEnds, pause_law, semantic_stops
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad

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
    probability: SpeechProbability,
    settings: ServerVad | SemanticVad = SERVER_VAD_DEFAULTS,
    *,
    sentences: SentenceEnds | None = None,
) -> list[Segment]:
    """Turns that a detector with these settings would have found.

    Parameters
    ----------
    probability : SpeechProbability
        From `speech_probability`.
    settings : ServerVad or SemanticVad, optional
        What is not set has its default.
    sentences : SentenceEnds, optional
        From `sentence_ends`: how the pauses are judged, which only ``semantic_vad`` asks
        for. Without it none is.

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
    p = probability.p.astype(np.float64)  # as the detector compares
    endings: list[Ending]
    if isinstance(settings, SemanticVad):
        law = pause_law(probability.hop_ms)
        judged = SentenceEnds.none() if sentences is None else sentences
        stops, longest = semantic_stops(probability, settings, judged)
        endings = ["longest wait" if waited else "sentence" for waited in longest]
    else:
        law = Law.of(settings, hop_ms=probability.hop_ms)
        stops = _nth_of_runs(p < law.leave, law.quiet_hops)
        endings = ["silence"] * len(stops)
    loud = np.flatnonzero(p >= law.enter)
    next_stop, first = np.unique(np.searchsorted(stops, loud), return_index=True)
    ends: list[tuple[int | None, Ending]]
    ends = [*zip(stops.tolist(), endings, strict=True), (None, "end of audio")]
    return [
        _segment(law, start, ends[stop], hops=len(p))
        for start, stop in zip(loud[first].tolist(), next_stop.tolist(), strict=True)
    ]


def _segment(
    law: Law, started: int, end: tuple[int | None, Ending], *, hops: int
) -> Segment:
    stopped, ended = end
    last = hops - 1 if stopped is None else stopped
    return Segment(
        law.start_ms(started),
        law.end_ms(last),
        started,
        stopped,
        ended=ended,
        hop_ms=law.hop_ms,
    )


def _nth_of_runs(flags: NDArray[np.bool_], nth: int) -> NDArray[np.int64]:
    """Index of the nth element of every run of True that is so long."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    return starts[ends - starts >= nth] + (nth - 1)
