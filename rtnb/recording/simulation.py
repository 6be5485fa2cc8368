"""The turns that settings would have made of a session's input audio.

The turn detector of this package hears the speech probability of the recording, hop by
hop; what acted on it in the session (settings, commits and clears by hand) acts on it
at the hop at which it did. Hops are counted from the beginning of the session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.errors import ConfigError
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.recording.turns import ms
from rtnb.vad import (
    Policy,
    SemanticDetector,
    SemanticVad,
    SentenceEnds,
    ServerVad,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    segment,
)
from rtnb.vad.semantic import Judge
from rtnb.vad.silero import HOP, HOP_MS
from rtnb.vad.silero import SAMPLE_RATE as VAD_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtnb.recording.turns import Step
    from rtnb.vad import SpeechProbability

Ended: TypeAlias = Literal["detector", "hand", "end of audio"]
"""Who would have ended a turn: the detector, a commit by hand, or the audio's end."""

MarkKind: TypeAlias = Literal["speech_started", "speech_stopped"]
"""What the server tells of its turn detector."""

SAMPLES_PER_HOP: Final = HOP * SAMPLE_RATE // VAD_RATE
"""Samples of input audio in a hop: 768."""


@dataclass(frozen=True)
class SimulatedTurn:
    """A turn that the detector of this package makes.

    Parameters
    ----------
    audio_start_ms, audio_end_ms : int
        Its audio; of one that was ended otherwise, up to there.
    started_hop, stopped_hop : int or None
        The hops that decided; None where none did.
    ended : {"detector", "hand", "end of audio"}
        Who ended it.
    """

    audio_start_ms: int
    audio_end_ms: int
    started_hop: int | None
    stopped_hop: int | None
    ended: Ended


@dataclass(frozen=True)
class ExpectedMark:
    """A mark that the detector makes: which, its time, and the hop that decided."""

    kind: MarkKind
    ms: int
    hop: int


def hops_heard(samples: int) -> int:
    """Hops that are decided once so many samples of input audio have come.

    A resampler withholds its last 4 ms, so a hop is decided that much after its end.

    Examples
    --------
    >>> hops_heard(768), hops_heard(768 + 96)
    (0, 1)
    """
    withheld = round(StreamingResampler(SAMPLE_RATE, VAD_RATE).delay * SAMPLE_RATE)
    certain = -(-(samples - withheld) * VAD_RATE // SAMPLE_RATE)
    return max(0, certain) // HOP


def simulate(
    probability: SpeechProbability,
    steps: Sequence[Step],
    *,
    end: int,
    sentences: SentenceEnds | None = None,
) -> list[SimulatedTurn]:
    """Turns that the detector makes while settings change and the client interferes.

    Parameters
    ----------
    probability : SpeechProbability
        From the beginning of the session on.
    steps : sequence of Step
        In order; the first says what is in force at the beginning.
    end : int
        Samples of input audio.
    sentences : SentenceEnds, optional
        How pauses are judged where ``semantic_vad`` is in force.

    Returns
    -------
    list of SimulatedTurn
        In order; a commit by hand while nobody speaks is none.
    """
    return _Simulation(probability, sentences).run(steps, end=end)


def expected_marks(
    probability: SpeechProbability, steps: Sequence[Step]
) -> list[ExpectedMark]:
    """Marks that the detector makes, those of speech that is never sent among them.

    Parameters
    ----------
    probability : SpeechProbability
        From the beginning of the session on.
    steps : sequence of Step
        What acts on the detector.
    """
    simulation = _Simulation(probability, None)
    simulation.run(steps, end=0)
    return simulation.marks


class _Simulation:
    def __init__(
        self, probability: SpeechProbability, sentences: SentenceEnds | None
    ) -> None:
        self._p = probability.p.tolist()
        self._hop_ms = probability.hop_ms
        self._sentences = sentences or SentenceEnds.none()
        self._base = TurnDetector(hop_ms=self._hop_ms)
        self._detector: TurnDetector | SemanticDetector | None = None
        self._open: SpeechStarted | None = None
        self._turns: list[SimulatedTurn] = []
        self.marks: list[ExpectedMark] = []

    def run(self, steps: Sequence[Step], *, end: int) -> list[SimulatedTurn]:
        for step in steps:
            self._listen(hops_heard(step.position))
            self._take(step)
        self._listen(len(self._p))
        if self._open is not None:
            self._end(self._open, None, max(ms(end), self._open.audio_start_ms))
        return self._turns

    def _listen(self, until: int) -> None:
        while self._base.hop < min(until, len(self._p)):
            p = self._p[self._base.hop]
            if self._detector is None:
                self._base.push(p)
                self._base.reset_segment()
            else:
                self._hear(self._detector.push(p))

    def _hear(self, mark: SpeechStarted | SpeechStopped | Judge | None) -> None:
        match mark:
            case SpeechStarted(audio_start_ms, hop):
                self._open = mark
                self.marks.append(ExpectedMark("speech_started", audio_start_ms, hop))
            case SpeechStopped(audio_end_ms, hop) if self._open is not None:
                self._end(self._open, hop, audio_end_ms)
                self.marks.append(ExpectedMark("speech_stopped", audio_end_ms, hop))
            case Judge(hop=hop) if isinstance(self._detector, SemanticDetector):
                self._detector.judged(float(self._sentences.at(np.array([hop]))[0]))

    def _end(
        self,
        start: SpeechStarted,
        hop: int | None,
        end_ms: int,
        ended: Ended = "end of audio",
    ) -> None:
        self._open = None
        who: Ended = ended if hop is None else "detector"
        self._turns.append(
            SimulatedTurn(start.audio_start_ms, end_ms, start.hop, hop, who)
        )

    def _take(self, step: Step) -> None:
        match step.kind:
            case "settings":
                self._follow(step.detection)
            case "commit":
                if self._open is not None:
                    end_ms = max(ms(step.position), self._open.audio_start_ms)
                    self._end(self._open, None, end_ms, "hand")
                self._reset()
            case "clear":
                self._reset()

    def _follow(self, detection: ServerVad | SemanticVad | None) -> None:
        match detection:
            case None:
                self._reset()
                self._detector = None
            case ServerVad():
                self._base.settings = detection
                self._detector = self._base
            case SemanticVad():
                if isinstance(self._detector, SemanticDetector):
                    self._detector.settings = detection
                else:
                    self._detector = SemanticDetector(
                        detection, hop_ms=self._hop_ms, turns=self._base
                    )

    def _reset(self) -> None:
        self._open = None
        (self._detector or self._base).reset_segment()


def would_be(
    probability: SpeechProbability,
    settings: ServerVad | SemanticVad | Policy,
    steps: Sequence[Step],
    *,
    end: int,
    sentences: SentenceEnds | None = None,
) -> list[SimulatedTurn]:
    """Turns that other settings would have made, wherever turns were detected at all.

    Parameters
    ----------
    probability : SpeechProbability
        From the beginning of the session on.
    settings : ServerVad, SemanticVad or Policy
        In the place of whatever was in force.
    steps : sequence of Step
        What acted on the detector in the session.
    end : int
        Samples of input audio.
    sentences : SentenceEnds, optional
        How pauses are judged, for ``semantic_vad``.

    Returns
    -------
    list of SimulatedTurn
        In order.

    Raises
    ------
    ConfigError
        If the settings are of another kind.

    Notes
    -----
    A policy looks at the whole recording at once: of its turns those are left out that
    end while turn detection was off or were cleared, and a commit cuts one in two, of
    which the second is left out.
    """
    if isinstance(settings, ServerVad | SemanticVad):
        others = [_with(step, settings) for step in steps]
        return simulate(probability, others, end=end, sentences=sentences)
    if isinstance(settings, Policy):
        return _by_policy(probability, settings, steps)
    raise ConfigError(
        f"{settings!r} does not say when a turn ends: give ServerVad(...), "
        "SemanticVad(...) or a Policy"
    )


def _with(step: Step, settings: ServerVad | SemanticVad) -> Step:
    off = step.kind != "settings" or step.detection is None
    return step if off else step._replace(detection=settings)


def _by_policy(
    probability: SpeechProbability, policy: Policy, steps: Sequence[Step]
) -> list[SimulatedTurn]:
    turns = [
        SimulatedTurn(
            each.audio_start_ms,
            each.audio_end_ms,
            each.started_hop,
            each.stopped_hop,
            "end of audio" if each.stopped_hop is None else "detector",
        )
        for each in segment(probability, policy)
    ]
    for step in steps:
        at = ms(step.position)
        if step.kind == "commit":
            turns = [cut for turn in turns for cut in _cut(turn, at)]
        if step.kind == "clear":
            turns = [turn for turn in turns if not _spans(turn, at)]
    for start, until in _off(steps):
        turns = [turn for turn in turns if not _within(turn, start, until)]
    return turns


def _off(steps: Sequence[Step]) -> list[tuple[int, int | None]]:
    """Where turn detection was off, in milliseconds."""
    settings = [step for step in steps if step.kind == "settings"]
    ends = [*(ms(step.position) for step in settings[1:]), None]
    return [
        (ms(step.position), end)
        for step, end in zip(settings, ends, strict=True)
        if step.detection is None
    ]


def _spans(turn: SimulatedTurn, at_ms: int) -> bool:
    return turn.audio_start_ms < at_ms < turn.audio_end_ms


def _within(turn: SimulatedTurn, start_ms: int, until_ms: int | None) -> bool:
    begins_before = until_ms is None or turn.audio_start_ms < until_ms
    return begins_before and turn.audio_end_ms > start_ms


def _cut(turn: SimulatedTurn, at_ms: int) -> list[SimulatedTurn]:
    if not _spans(turn, at_ms):
        return [turn]
    return [replace(turn, audio_end_ms=at_ms, stopped_hop=None, ended="hand")]


assert HOP_MS * SAMPLE_RATE == 1000 * SAMPLES_PER_HOP
