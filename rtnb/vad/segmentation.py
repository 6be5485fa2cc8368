"""Turns in a recording: the probability once, then any settings in microseconds.

The segments are those that the `TurnDetector` would have found live.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from rtnb.vad.policies import ENDINGS, find_turns
from rtnb.vad.settings import SERVER_VAD_DEFAULTS

if TYPE_CHECKING:
    from rtnb.vad.policies import Policy
    from rtnb.vad.probability import SpeechProbability
    from rtnb.vad.semantic import SentenceEnds
    from rtnb.vad.settings import SemanticVad, ServerVad

Ending: TypeAlias = Literal[
    "silence", "sentence", "longest wait", "longest speech", "end of audio"
]
"""Why a turn ended: it was quiet for long enough; quiet, and the sentence was over;
quiet for as long as an unfinished sentence is waited for; as long as speech may be, by
a policy that limits it; or the audio was over."""


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
    ended : {"silence", "sentence", "longest wait", "longest speech", "end of audio"}
        Why it ended; the second and third are only ``semantic_vad``'s, the fourth is
        only `Policy.silero`'s.
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
    settings: ServerVad | SemanticVad | Policy = SERVER_VAD_DEFAULTS,
    *,
    sentences: SentenceEnds | None = None,
) -> list[Segment]:
    """Turns that a detector with these settings would have found.

    Parameters
    ----------
    probability : SpeechProbability
        From `speech_probability`.
    settings : ServerVad, SemanticVad or Policy, optional
        What is not set has its default.
    sentences : SentenceEnds, optional
        From `sentence_ends`: how the pauses are judged, which only ``semantic_vad`` asks
        for. Without it none is.

    Returns
    -------
    list of Segment
        In order.

    Raises
    ------
    ConfigError
        If the settings are of another kind.

    Notes
    -----
    No loop over hops, but for a policy that cuts speech that is too long.
    `rtnb.vad.policies.find_turns` gives the same as arrays.

    Examples
    --------
    >>> from rtnb.vad import Policy, SpeechProbability
    >>> heard = SpeechProbability.from_array([0.0] * 12 + [0.9] * 10 + [0.1] * 9)
    >>> segment(heard)[0].audio_end_ms
    928
    >>> segment(heard, Policy.silero())[0].audio_end_ms
    734
    """
    turns = find_turns(probability, settings, sentences=sentences)
    table = zip(
        turns.audio_start_ms.tolist(),
        turns.audio_end_ms.tolist(),
        turns.started_hop.tolist(),
        turns.stopped_hop.tolist(),
        turns.ended.tolist(),
        strict=True,
    )
    return [
        Segment(
            audio_start_ms,
            audio_end_ms,
            started,
            None if stopped < 0 else stopped,
            ended=ENDINGS[ended],
            hop_ms=turns.hop_ms,
        )
        for audio_start_ms, audio_end_ms, started, stopped, ended in table
    ]
