"""The spoken turns of a recording, and what governed the turn detector meanwhile.

Worked out from the events alone. A turn is what was committed: by the server's turn
detector, or by hand. Speech that was cleared away, or abandoned because turn detection
was turned off, was not sent and is no turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from msgspec import UNSET

from rtnb.protocol import events as ev
from rtnb.protocol.client import Mark
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.usage import Cost, Usage
from rtnb.vad import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.recording.reading import RecordedEvent
    from rtnb.usage import LedgerRow

Detection: TypeAlias = ServerVad | SemanticVad | None
"""Turn detection; None is off."""

TurnEnd: TypeAlias = Literal["server", "hand", "end of audio"]
"""Who ended a turn: the server's turn detector, a commit, or the recording's end."""


@dataclass(frozen=True)
class RecordedTurn:
    """A spoken turn of a recorded session.

    Parameters
    ----------
    index : int
        Its number, from 0.
    item_id : str
        The conversation item that it became.
    audio_start_ms, audio_end_ms : int
        Its audio, as the server told it; of a turn that ended otherwise, up to there.
    ended : {"server", "hand", "end of audio"}
        Who ended it.
    user_text, text : str
        What the user said, if it was transcribed, and what was answered.
    entries : tuple of LedgerRow
        Tokens and cost of its transcription and of its answers.
    """

    index: int
    item_id: str
    audio_start_ms: int
    audio_end_ms: int
    ended: TurnEnd
    user_text: str = ""
    text: str = ""
    entries: tuple[LedgerRow, ...] = ()

    @property
    def usage(self) -> Usage | None:
        """Tokens of its answers; None if it has none."""
        rows = [row.usage for row in self.entries if isinstance(row.usage, Usage)]
        return sum(rows[1:], rows[0]) if rows else None

    @property
    def cost(self) -> Cost | None:
        """Cost of its transcription and answers; None if it has neither."""
        if not self.entries:
            return None
        return sum((row.cost for row in self.entries), Cost())


class Step(NamedTuple):
    """Something that acted on the turn detector, when it had heard so many samples.

    `kind` is "settings" (then `detection` is in force from here on), "commit" or
    "clear".
    """

    position: int
    kind: Literal["settings", "commit", "clear"]
    detection: Detection = None


@dataclass
class _Span:
    """A turn as far as the events tell."""

    item_id: str
    start_ms: int
    end_ms: int
    ended: TurnEnd


@dataclass
class Story:
    """What the events say about turns.

    Attributes
    ----------
    steps : list of Step
        What acted on the turn detector, in order; the first is what was in force at
        the beginning.
    spans : list of spans
        Turns that were sent.
    answers : dict of int to list of str
        Ids of the responses to each of them.
    """

    steps: list[Step]
    spans: list[_Span] = field(default_factory=list)
    answers: dict[int, list[str]] = field(default_factory=dict)


def tell(
    events: Iterable[RecordedEvent],
    *,
    opening: object,
    first_sample: int,
    end: int,
    exact: bool,
) -> Story:
    """Turns, and what acted on the turn detector.

    Parameters
    ----------
    events : iterable of RecordedEvent
        In order.
    opening : session object
        In force at the beginning.
    first_sample, end : int
        The input audio that was recorded.
    exact : bool
        Whether what the client sent has its place in the input audio.
    """
    teller = _Teller(detection_of(opening), first_sample, exact=exact)
    for event in events:
        teller.take(event)
    return teller.finish(end)


def detection_of(session: object) -> Detection:
    """Turn detection of a session object; what is not told is the default."""
    audio = getattr(session, "audio", UNSET)
    told = getattr(getattr(audio, "input", UNSET), "turn_detection", UNSET)
    if told is None or isinstance(told, ServerVad | SemanticVad):
        return told
    return SERVER_VAD_DEFAULTS


class _Teller:
    """Goes through the events once."""

    def __init__(self, detection: Detection, first_sample: int, *, exact: bool) -> None:
        self._story = Story([Step(first_sample, "settings", detection)])
        self._detection = detection
        self._exact = exact
        self._asked: dict[str, RecordedEvent] = {}
        self._open: tuple[str, int] | None = None
        self._detected: set[str] = set()
        self._buffer_ms = ms(first_sample)
        self._first_ms = self._buffer_ms
        self._owner: int | None = None
        self._handlers: dict[type, Callable[[RecordedEvent, Any], None]] = {
            ev.SessionUpdate: self._ask,
            ev.InputAudioBufferCommit: self._ask,
            ev.InputAudioBufferClear: self._ask,
            ev.ConversationItemCreate: self._typed,
            ev.Error: self._refuse,
            ev.SessionUpdated: self._follow,
            ev.InputAudioBufferSpeechStarted: self._start,
            ev.InputAudioBufferSpeechStopped: self._stop,
            ev.InputAudioBufferTimeoutTriggered: self._ask_again,
            ev.InputAudioBufferCommitted: self._commit,
            ev.InputAudioBufferCleared: self._clear,
            ev.ResponseCreated: self._respond,
        }

    def take(self, recorded: RecordedEvent) -> None:
        """Take the next event."""
        handler = self._handlers.get(type(recorded.event))
        if handler is not None:
            handler(recorded, recorded.event)

    def finish(self, end: int) -> Story:
        """The story; the recording ends at sample `end`."""
        if self._open is not None:
            self._add(*self._open, max(ms(end), self._open[1]), "end of audio")
        self._story.steps.sort(key=lambda step: step.position)
        return self._story

    def _ask(self, recorded: RecordedEvent, event: Any) -> None:
        self._asked[str(event.event_id)] = recorded

    def _refuse(self, _: RecordedEvent, event: ev.Error) -> None:
        self._asked.pop(str(event.error.event_id), None)

    def _typed(self, _: RecordedEvent, event: ev.ConversationItemCreate) -> None:
        if isinstance(event.item, ev.MessageItem):
            self._owner = None

    def _place(self, kind: type, answer: RecordedEvent) -> int:
        """Position at which a request acted that is answered now."""
        asked = next((r for r in self._asked.values() if type(r.event) is kind), None)
        if asked is None:
            return answer.position
        del self._asked[str(asked.event.event_id)]
        return asked.position if self._exact else answer.position

    def _follow(self, recorded: RecordedEvent, event: ev.SessionUpdated) -> None:
        place = self._place(ev.SessionUpdate, recorded)
        detection = detection_of(event.session)
        if detection == self._detection:
            return
        self._detection = detection
        self._story.steps.append(Step(place, "settings", detection))
        if detection is None:
            self._open, self._buffer_ms = None, ms(place)

    def _start(self, _: RecordedEvent, event: ev.InputAudioBufferSpeechStarted) -> None:
        self._open = event.item_id, event.audio_start_ms

    def _stop(self, _: RecordedEvent, event: ev.InputAudioBufferSpeechStopped) -> None:
        began, self._open = self._open, None
        known = began is not None and began[0] == event.item_id
        start_ms = began[1] if began and known else self._first_ms
        self._detected.add(event.item_id)
        self._add(event.item_id, start_ms, event.audio_end_ms, "server")

    def _ask_again(
        self, _: RecordedEvent, event: ev.InputAudioBufferTimeoutTriggered
    ) -> None:
        self._detected.add(event.item_id)

    def _commit(
        self, recorded: RecordedEvent, event: ev.InputAudioBufferCommitted
    ) -> None:
        if event.item_id in self._detected:
            return
        place = self._place(ev.InputAudioBufferCommit, recorded)
        self._story.steps.append(Step(place, "commit"))
        start_ms = self._buffer_ms if self._open is None else self._open[1]
        self._open = None
        self._add(event.item_id, start_ms, max(ms(place), start_ms), "hand")

    def _clear(self, recorded: RecordedEvent, _: ev.InputAudioBufferCleared) -> None:
        place = self._place(ev.InputAudioBufferClear, recorded)
        self._story.steps.append(Step(place, "clear"))
        self._open, self._buffer_ms = None, ms(place)

    def _respond(self, _: RecordedEvent, event: ev.ResponseCreated) -> None:
        if self._owner is not None:
            owned = self._story.answers.setdefault(self._owner, [])
            owned.append(str(event.response.id))

    def _add(self, item_id: str, start_ms: int, end_ms: int, ended: TurnEnd) -> None:
        self._story.spans.append(_Span(item_id, start_ms, end_ms, ended))
        self._buffer_ms = end_ms
        self._owner = len(self._story.spans) - 1


def mark_of(recorded: RecordedEvent) -> Mark | None:
    """What an event says of the turn detector, if it does."""
    match recorded.event:
        case ev.InputAudioBufferSpeechStarted(audio_start_ms=at, item_id=item_id):
            return Mark("speech_started", at, item_id, recorded.t)
        case ev.InputAudioBufferSpeechStopped(audio_end_ms=at, item_id=item_id):
            return Mark("speech_stopped", at, item_id, recorded.t)
        case _:
            return None


def ms(position: int) -> int:
    """Whole milliseconds of a position."""
    return 1000 * position // SAMPLE_RATE
