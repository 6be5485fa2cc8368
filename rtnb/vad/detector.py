"""The turn detector: from speech probability to turns, by the hosted service's law.

The law, for hops of 32 ms:

* speech begins at the first hop whose probability is at least `threshold`;
  ``audio_start_ms`` is the start of that hop less `prefix_padding_ms`, not below 0;
* it ends when the probability has been below `threshold` - 0.15 for whole hops that
  last at least `silence_duration_ms` (200 ms: 7 hops, 224 ms); a hop at or above that
  level starts the count anew; ``audio_end_ms`` is the end of the hop that completes it.

Time is counted in hops and given in whole milliseconds from the start of the stream.

References
----------
Fitted to recorded sessions of OpenAI's service, whose marks it gives to the
millisecond; see the README's "How it works".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad

HYSTERESIS: Final = 0.15
"""How far below the threshold a hop must be to count as quiet: silero-vad's own."""

LOWEST_RELEASE: Final = 0.01
"""A level below this would never be reached: silero-vad's own floor."""


@dataclass(frozen=True)
class SpeechStarted:
    """Speech has begun.

    Parameters
    ----------
    audio_start_ms : int
        Where the turn's audio starts, padding included.
    hop : int
        Number of the hop that reached the threshold, from 0.
    """

    audio_start_ms: int
    hop: int


@dataclass(frozen=True)
class SpeechStopped:
    """Speech has ended.

    Parameters
    ----------
    audio_end_ms : int
        Where the turn's audio ends: the end of the hop that completed the silence.
    hop : int
        Number of that hop, from 0.
    audio_start_ms : int
        Where the turn's audio started.
    """

    audio_end_ms: int
    hop: int
    audio_start_ms: int


@dataclass(frozen=True)
class Law:
    """What settings mean for hops.

    Parameters
    ----------
    enter : float
        Speech begins at a probability of at least this.
    leave : float
        A hop is quiet below this.
    quiet_hops : int, >= 1
        So many quiet hops in a row end the turn.
    prefix_ms : int
        How far the turn's audio reaches back.
    hop_ms : int
        Length of a hop.
    """

    enter: float
    leave: float
    quiet_hops: int
    prefix_ms: int
    hop_ms: int

    @classmethod
    def of(cls, settings: ServerVad, *, hop_ms: int) -> Law:
        """Read settings; what is not set has its default."""
        chosen = {
            name: getattr(settings.filled(), name)
            for name in ("threshold", "silence_duration_ms", "prefix_padding_ms")
        }
        enter = float(chosen["threshold"])
        return cls(
            enter=enter,
            leave=min(enter, max(enter - HYSTERESIS, LOWEST_RELEASE)),
            quiet_hops=max(1, -(-chosen["silence_duration_ms"] // hop_ms)),
            prefix_ms=chosen["prefix_padding_ms"],
            hop_ms=hop_ms,
        )

    def start_ms(self, hop: int) -> int:
        """Where the audio of a turn starts whose speech began at `hop`."""
        return max(0, hop * self.hop_ms - self.prefix_ms)

    def end_ms(self, hop: int) -> int:
        """Where the audio of a turn ends that `hop` completed."""
        return (hop + 1) * self.hop_ms


class State(Enum):
    """What the detector is in the middle of."""

    QUIET = "quiet"
    SPEAKING = "speaking"


class TurnDetector:
    """A state machine that turns speech probabilities into turns.

    Parameters
    ----------
    settings : ServerVad, optional
        What is not set has its default.
    hop_ms : int, default 32
        Length of a hop.

    Examples
    --------
    >>> detector = TurnDetector(ServerVad(silence_duration_ms=64))
    >>> trace = [0.1] * 12 + [0.9, 0.2, 0.4, 0.2, 0.2]
    >>> for event in map(detector.push, trace):
    ...     if event:
    ...         print(event)
    SpeechStarted(audio_start_ms=84, hop=12)
    SpeechStopped(audio_end_ms=544, hop=16, audio_start_ms=84)
    """

    def __init__(
        self, settings: ServerVad = SERVER_VAD_DEFAULTS, *, hop_ms: int = 32
    ) -> None:
        self._hop_ms = hop_ms
        self.settings = settings
        self._hop = 0
        self._state = State.QUIET
        self._quiet_run = 0
        self._audio_start_ms = 0

    @property
    def settings(self) -> ServerVad:
        """Settings in force, as given; a change acts from the next hop on.

        A turn that has begun goes on: it keeps its start and the quiet hops counted.
        """
        return self._settings

    @settings.setter
    def settings(self, settings: ServerVad) -> None:
        self._law = Law.of(settings, hop_ms=self._hop_ms)
        self._settings = settings

    @property
    def active(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._state is State.SPEAKING

    @property
    def hop(self) -> int:
        """Hops taken so far."""
        return self._hop

    @property
    def prefix_ms(self) -> int:
        """How far the audio of the next turn reaches back before its speech."""
        return self._law.prefix_ms

    @property
    def quiet_run(self) -> int:
        """Quiet hops in a row that a turn under way has come to; 0 between turns."""
        return self._quiet_run if self.active else 0

    def push(self, probability: float) -> SpeechStarted | SpeechStopped | None:
        """Take the next hop.

        Parameters
        ----------
        probability : float, 0 to 1
            Speech probability of the hop.

        Returns
        -------
        SpeechStarted, SpeechStopped or None
            What this hop decided.
        """
        hop = self._hop
        self._hop += 1
        match self._state:
            case State.QUIET:
                return self._listen(hop, probability)
            case State.SPEAKING:  # pragma: no branch - there is no third state
                return self._wait(hop, probability)

    def reset_segment(self) -> None:
        """End the turn without an event, as a commit by hand does.

        The next hop at or above the threshold begins another one.
        """
        self._state = State.QUIET
        self._quiet_run = 0

    def _listen(self, hop: int, probability: float) -> SpeechStarted | None:
        if probability < self._law.enter:
            return None
        self._state = State.SPEAKING
        self._quiet_run = 0
        self._audio_start_ms = self._law.start_ms(hop)
        return SpeechStarted(self._audio_start_ms, hop)

    def _wait(self, hop: int, probability: float) -> SpeechStopped | None:
        if probability >= self._law.leave:
            self._quiet_run = 0
            return None
        self._quiet_run += 1
        if self._quiet_run < self._law.quiet_hops:
            return None
        self._state = State.QUIET
        return SpeechStopped(self._law.end_ms(hop), hop, self._audio_start_ms)
