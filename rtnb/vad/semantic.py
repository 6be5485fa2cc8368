"""Turn detection by what was said: the law of ``semantic_vad``.

The law, for hops of 32 ms:

* speech begins as with ``server_vad`` at its defaults: at the first hop whose
  probability is at least 0.5; ``audio_start_ms`` is 300 ms before it, not below 0;
* a pause is a run of hops below 0.35. Its 8th (`JUDGED_AFTER_MS`: 256 ms) has it
  judged: how likely do the words so far end a sentence?
* the turn ends with the hop that makes the pause as long as `wait_hops` says: 9 hops
  (288 ms) after a surely finished sentence, the eagerness' longest wait (8, 4 or 2 s)
  after a surely unfinished one; ``audio_end_ms`` is the end of that hop;
* a hop at or above 0.35 ends the pause: the next one is judged anew;
* a pause that nobody judges counts as judged `UNJUDGED`, halfway.

Where the judgements come from is `rtnb.vad.listener`'s matter; the same law serves the
gateway live (`SemanticDetector`) and recordings (`semantic_stops`).

References
----------
OpenAI Realtime API, ``semantic_vad``: a classifier scores the words, a high score ends
the turn, a low one waits for 8, 4 or 2 s at most. The onset, the first 256 ms and the
curve between the two waits are not published: they are this package's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from msgspec import UnsetType

from rtnb.errors import AudioFormatError
from rtnb.vad.detector import Law, SpeechStarted, SpeechStopped, TurnDetector
from rtnb.vad.settings import (
    LONGEST_WAIT_MS,
    SEMANTIC_VAD_DEFAULTS,
    Eagerness,
    SemanticVad,
    ServerVad,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.vad.probability import SpeechProbability

THRESHOLD: Final = 0.5
"""Speech begins at this probability: ``server_vad``'s default."""

PREFIX_MS: Final = 300
"""Audio kept from before the beginning of speech: ``server_vad``'s default."""

JUDGED_AFTER_MS: Final = 256
"""How long a pause lasts when it is judged: 8 hops of 32 ms. Long enough that the
recogniser has let go of the last word, and no longer than most closures within one."""

UNJUDGED: Final = 0.5
"""What counts where a pause has no judgement. By the square in `wait_hops` a quarter of
the way: 0.7, 1.2 or 2.2 s of silence with high, medium and low eagerness."""


@dataclass(frozen=True)
class Judge:
    """A pause is to be judged, by the words of the turn up to its 256th millisecond.

    Parameters
    ----------
    audio_end_ms : int
        Where these words end: the end of the hop that asks.
    hop : int
        Number of that hop, from 0.
    """

    audio_end_ms: int
    hop: int


Mark: TypeAlias = SpeechStarted | SpeechStopped | Judge


def wait_hops(probability: float, eagerness: Eagerness, *, hop_ms: int = 32) -> int:
    r"""How many quiet hops end a turn, by how likely its sentence is over.

    Parameters
    ----------
    probability : float, 0 to 1
        That the words end a sentence.
    eagerness : {"low", "medium", "high", "auto"}
        Its longest wait is 8, 4, 2 or 4 s.
    hop_ms : int, default 32
        Length of a hop.

    Returns
    -------
    int
        Hops in a row, the judged ones included.

    Notes
    -----
    .. math:: n = n_0 + \lfloor (1 - P)^2 (n_1 - n_0) \rfloor

    where :math:`n_0` is one hop more than are judged (9), and :math:`n_1` the hops of
    the longest wait (63, 125 or 250). The square makes a probable end a quick one: at
    0.8 only 4 % of the way is waited.

    Examples
    --------
    >>> [wait_hops(p, "auto") * 32 for p in (1.0, 0.8, 0.5, 0.0)]
    [288, 416, 1216, 4000]
    """
    shortest = _judged_hops(hop_ms) + 1
    longest = max(shortest, -(-LONGEST_WAIT_MS[eagerness] // hop_ms))
    unlikely = 1.0 - probability
    return shortest + math.floor(unlikely * unlikely * (longest - shortest))


def _judged_hops(hop_ms: int) -> int:
    return -(-JUDGED_AFTER_MS // hop_ms)


def _eagerness(settings: SemanticVad) -> Eagerness:
    chosen = settings.eagerness
    return "auto" if isinstance(chosen, UnsetType) else chosen


class SemanticDetector:
    """A state machine that turns speech probabilities and judgements into turns.

    Parameters
    ----------
    settings : SemanticVad, optional
        What is not set has its default.
    hop_ms : int, default 32
        Length of a hop.
    turns : TurnDetector, optional
        One to go on with: the turn that it is in the middle of stays. By default a
        fresh one.

    Examples
    --------
    >>> detector = SemanticDetector(SemanticVad(eagerness="high"))
    >>> for hop in range(30):
    ...     event = detector.push(0.9 if hop < 10 else 0.0)
    ...     if event:
    ...         print(event)
    ...     if isinstance(event, Judge):
    ...         detector.judged(0.9)
    SpeechStarted(audio_start_ms=0, hop=0)
    Judge(audio_end_ms=576, hop=17)
    SpeechStopped(audio_end_ms=608, hop=18, audio_start_ms=0)
    """

    def __init__(
        self,
        settings: SemanticVad = SEMANTIC_VAD_DEFAULTS,
        *,
        hop_ms: int = 32,
        turns: TurnDetector | None = None,
    ) -> None:
        self._hop_ms = hop_ms
        self._turns = turns if turns is not None else TurnDetector(hop_ms=hop_ms)
        self._judging = False
        self._probability: float | None = None
        self.settings = settings

    @property
    def settings(self) -> SemanticVad:
        """Settings in force, as given; a change acts from the next hop on.

        A pause that has been judged keeps its judgement.
        """
        return self._settings

    @settings.setter
    def settings(self, settings: SemanticVad) -> None:
        self._settings = settings
        self._set_wait()

    @property
    def judging(self) -> bool:
        """Whether a pause waits for its judgement; until it comes, `UNJUDGED` counts."""
        return self._judging

    def push(self, probability: float) -> Mark | None:
        """Take the next hop.

        Parameters
        ----------
        probability : float, 0 to 1
            Speech probability of the hop.

        Returns
        -------
        SpeechStarted, SpeechStopped, Judge or None
            What this hop decided; a `Judge` is answered by `judged`.
        """
        hop = self._turns.hop
        event = self._turns.push(probability)
        quiet = self._turns.quiet_run
        if self._probability is not None and (event is not None or quiet == 0):
            self._judge(None)
        elif self._probability is None and quiet >= _judged_hops(self._hop_ms):
            self._judge(UNJUDGED)
            self._judging = True
            return Judge((hop + 1) * self._hop_ms, hop)
        return event

    def judged(self, probability: float | None) -> None:
        """Hear how the pause was judged; without a pause that waits for it, nothing.

        Parameters
        ----------
        probability : float, 0 to 1, or None
            That the words end a sentence; None if nothing can be said: `UNJUDGED`.
        """
        if self._judging:
            self._judge(UNJUDGED if probability is None else probability)

    def reset_segment(self) -> None:
        """End the turn without an event, as a commit by hand does."""
        self._turns.reset_segment()
        self._judge(None)

    def _judge(self, probability: float | None) -> None:
        self._judging = False
        self._probability = probability
        self._set_wait()

    def _set_wait(self) -> None:
        probability = 0.0 if self._probability is None else self._probability
        hops = wait_hops(probability, _eagerness(self._settings), hop_ms=self._hop_ms)
        self._turns.settings = _patient(hops, hop_ms=self._hop_ms)


def pause_law(hop_ms: int) -> Law:
    """Levels and prefix of ``semantic_vad``; its `quiet_hops` have a pause judged."""
    return Law.of(_patient(_judged_hops(hop_ms), hop_ms=hop_ms), hop_ms=hop_ms)


def _patient(hops: int, *, hop_ms: int) -> ServerVad:
    return ServerVad(
        threshold=THRESHOLD,
        prefix_padding_ms=PREFIX_MS,
        silence_duration_ms=hops * hop_ms,
    )


@dataclass(frozen=True, eq=False)
class SentenceEnds:
    """How the pauses of a recording were judged.

    Parameters
    ----------
    hops : int32 array, shape (m,)
        For each pause, the hop that had it judged; strictly increasing.
    p : float32 array, shape (m,)
        Probability that the words so far end a sentence, 0 to 1.

    Raises
    ------
    AudioFormatError
        If the arrays are of another type or length, out of order, or out of range.
    """

    hops: NDArray[np.int32]
    p: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.hops.dtype != np.int32 or self.p.dtype != np.float32:
            raise AudioFormatError(
                f"hops are {self.hops.dtype} and p {self.p.dtype}: give numpy.int32 "
                "and numpy.float32"
            )
        if self.hops.ndim != 1 or self.hops.shape != self.p.shape:
            raise AudioFormatError(
                f"hops have shape {self.hops.shape} and p {self.p.shape}: give one "
                "probability for each pause, both of shape (m,)"
            )
        if np.any(self.hops < 0) or np.any(np.diff(self.hops) <= 0):
            raise AudioFormatError(
                "the hops are out of order: give each pause once, as they come, from 0"
            )
        if not np.all((self.p >= 0) & (self.p <= 1)):
            raise AudioFormatError(
                "a judgement is not a probability: give numbers between 0 and 1"
            )

    @classmethod
    def none(cls) -> SentenceEnds:
        """No pause was judged: `UNJUDGED` counts for all."""
        return cls(np.zeros(0, np.int32), np.zeros(0, np.float32))

    def at(self, hops: NDArray[np.int64]) -> NDArray[np.float64]:
        """Judgements of the pauses that these hops ask for; `UNJUDGED` for others."""
        if len(self.hops) == 0:
            return np.full(len(hops), UNJUDGED)
        place = np.minimum(np.searchsorted(self.hops, hops), len(self.hops) - 1)
        known: NDArray[np.bool_] = self.hops[place] == hops
        return np.where(known, self.p[place].astype(np.float64), UNJUDGED)

    def __len__(self) -> int:
        return len(self.hops)


@dataclass(frozen=True, eq=False)
class JudgedPauses:
    """The pauses of a recording that are long enough to be judged, in or out of turns.

    Parameters
    ----------
    judged : int64 array, shape (k,)
        For each the hop that asks for the judgement.
    ends : int64 array, shape (k,)
        For each the first hop that is no longer quiet.
    """

    judged: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, probability: SpeechProbability) -> JudgedPauses:
        """Find them in a trace."""
        law = pause_law(probability.hop_ms)
        quiet = probability.p.astype(np.float64) < law.leave
        edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
        judged, ends = edges[::2] + law.quiet_hops - 1, edges[1::2]
        long_enough = judged < ends
        return cls(judged[long_enough], ends[long_enough])


def semantic_stops(
    probability: SpeechProbability, settings: SemanticVad, sentences: SentenceEnds
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Hops of a recording at which a turn that is going on ends.

    Parameters
    ----------
    probability : SpeechProbability
        From `speech_probability`.
    settings : SemanticVad
        What is not set has its default.
    sentences : SentenceEnds
        How the pauses were judged.

    Returns
    -------
    stops : int64 array, shape (n,)
        In order; one for each pause that lasts as long as its judgement wants.
    longest : bool array, shape (n,)
        Whether that was the longest wait.
    """
    pauses, hop_ms = JudgedPauses.of(probability), probability.hop_ms
    eagerness = _eagerness(settings)
    waits = np.array(
        [
            wait_hops(p, eagerness, hop_ms=hop_ms)
            for p in sentences.at(pauses.judged).tolist()
        ],
        np.int64,
    )
    stops = pauses.judged - _judged_hops(hop_ms) + waits
    ended = stops < pauses.ends
    longest = waits == wait_hops(0.0, eagerness, hop_ms=hop_ms)
    return stops[ended], longest[ended]
