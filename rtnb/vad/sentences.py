"""The pauses of a recording, judged by the words before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio import StreamingResampler, pcm16_encode
from rtnb.errors import AudioFormatError
from rtnb.vad.detector import SpeechStarted, SpeechStopped
from rtnb.vad.listener import SAMPLE_RATE, Listener
from rtnb.vad.semantic import Judge, SemanticDetector, SentenceEnds
from rtnb.vad.settings import SEMANTIC_VAD_DEFAULTS, SemanticVad

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.audio import Clip
    from rtnb.vad.probability import SpeechProbability


def sentence_ends(
    clip: Clip,
    probability: SpeechProbability,
    settings: SemanticVad = SEMANTIC_VAD_DEFAULTS,
    *,
    on_progress: Callable[[float, float], None] | None = None,
) -> SentenceEnds:
    """Judge the pauses of a recording by the words before them.

    Parameters
    ----------
    clip : Clip
        At any rate; each turn is resampled to 16 kHz as a live one would be.
    probability : SpeechProbability
        Of this clip.
    settings : SemanticVad, optional
        What ends a turn, and with it the words that count: the judgements are those of
        the live detector with these settings. With another eagerness they may differ
        where turns begin elsewhere, for other words are then understood.
    on_progress : callable, optional
        Called with (seconds done, seconds in all).

    Returns
    -------
    SentenceEnds
        One judgement for each pause in which there were words.

    Raises
    ------
    AudioFormatError
        If the probability goes on for longer than the clip, or the clip's rate cannot
        be resampled.
    MissingExtra
        If pocketsphinx is not installed.

    Notes
    -----
    A second of speech takes about 0.1 s.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> from rtnb.vad import SemanticVad, segment, speech_probability
    >>> clip = Clip.example("austen-0880") + Clip.silence(5.0, 16_000)
    >>> probability = speech_probability(clip)
    >>> ends = sentence_ends(clip, probability)
    >>> [turn.ended for turn in segment(probability, SemanticVad(), sentences=ends)]
    ['sentence']
    """
    hop_ms = probability.hop_ms
    if len(probability) * hop_ms > 1000 * clip.duration + hop_ms:
        raise AudioFormatError(
            f"the probability lasts {probability.duration:.1f} s, the clip "
            f"{clip.duration:.1f} s: give the probability of this very clip"
        )
    detector = SemanticDetector(settings, hop_ms=hop_ms)
    utterance = _Utterance(clip)
    judged: list[tuple[int, float]] = []
    for hop, p in enumerate(probability.p.tolist()):
        match detector.push(p):
            case SpeechStarted(audio_start_ms):
                utterance.begin(audio_start_ms)
            case SpeechStopped(audio_end_ms):
                utterance.end(audio_end_ms)
            case Judge(audio_end_ms):
                judgement = utterance.judge(audio_end_ms)
                if judgement is not None:
                    detector.judged(judgement)
                    judged.append((hop, judgement))
                if on_progress is not None:
                    on_progress(audio_end_ms / 1000, clip.duration)
    if on_progress is not None:
        on_progress(clip.duration, clip.duration)
    hops, chances = zip(*judged, strict=True) if judged else ((), ())
    return SentenceEnds(np.array(hops, np.int32), np.array(chances, np.float32))


class _Utterance:
    """The turns of a clip, heard as the gateway would have them heard."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._listener = Listener()
        self._resampler = StreamingResampler(clip.sample_rate, SAMPLE_RATE)
        self._heard = 0
        self._over = 0

    def begin(self, start_ms: int) -> None:
        self._resampler = StreamingResampler(self._clip.sample_rate, SAMPLE_RATE)
        self._heard = max(self._over, self._sample(start_ms))

    def judge(self, end_ms: int) -> float | None:
        end = self._sample(end_ms)
        fresh = self._resampler(self._clip.samples[self._heard : end])
        self._heard = end
        self._listener.hear(pcm16_encode(fresh))
        return self._listener.judge()

    def end(self, end_ms: int) -> None:
        self._listener.forget()
        self._over = self._sample(end_ms)

    def _sample(self, ms: int) -> int:
        return ms * self._clip.sample_rate // 1000
