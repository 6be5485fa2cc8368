"""The client's side of the protocol: a machine without sockets, threads or clock.

Drive it so::

    machine = ClientMachine()
    event = machine.receive(await transport.receive(), now)   # for each message
    await transport.send(machine.send(event, now))            # for each event of ours

It keeps what the conversation is: the effective settings and those that were asked for,
items in their order with transcripts and audio, responses with their times, the marks of
the turn detector, rate limits, usage, and every refusal with the event that caused it.

The order of items comes from ``conversation.item.added`` alone: the service was seen to
name a wrong predecessor in ``conversation.item.done``. An event that comes twice, or
late, or for something that is not known, changes nothing that is right; such events are
counted. `now` is seconds on any one clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET

from rtnb.protocol import events as ev
from rtnb.protocol.codec import decode_server, encode, to_dict
from rtnb.usage import UsageLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_AUDIO_BYTES: Final = 96 * 2**20
"""Answers kept in full: 33 minutes of PCM16; the oldest go first."""

MAX_INPUT_BYTES: Final = 32 * 2**20
"""What was sent and is kept: the last 11 minutes of PCM16."""

REMEMBERED_EVENTS: Final = 4096
"""Identifiers kept to know an event that comes twice, and sent events to match errors."""

REMEMBERED_FACTS: Final = 10_000
"""Marks, refusals and unknown events kept; the oldest go first."""

PCM_BYTES_PER_MS: Final = 48
"""24 kHz PCM16, mono."""

G711_BYTES_PER_MS: Final = 8
"""8 kHz, one byte a sample."""

FINAL: Final = ("completed", "incomplete")
"""Statuses of an item that will not change any more."""

ClientEvent: TypeAlias = ev.ClientEvent | ev.UnknownEvent
"""What a client may send: a known event, or one of its own as a raw object."""

MarkKind: TypeAlias = Literal["speech_started", "speech_stopped", "timeout_triggered"]


@dataclass(frozen=True)
class Mark:
    """What the turn detector said: `ms` of audio appended, and `at` on our clock."""

    kind: MarkKind
    ms: int
    item_id: str
    at: float


@dataclass(frozen=True)
class Sent:
    """An event of ours, and when it was sent."""

    event: ClientEvent
    at: float


@dataclass(frozen=True)
class Refusal:
    """An ``error`` event, and the event of ours that caused it, where it is known."""

    error: ev.ErrorDetail
    cause: Sent | None
    at: float


@dataclass(eq=False)
class Content:
    """One content of an item, as far as it has come.

    Attributes
    ----------
    kind : str
        ``input_text``, ``input_audio``, ``input_image``, ``output_text`` or
        ``output_audio``.
    text : str
        The text, or the transcript of the audio.
    audio : bytearray
        In the session's format; empty where none came or it is no longer kept.
    audio_ms : float
        How much audio came, kept or not.
    final : bool
        Whether all of it has come.
    failed : ev.TranscriptionError or None
        Why there is no transcript.
    """

    kind: str = ""
    text: str = ""
    audio: bytearray = field(default_factory=bytearray)
    audio_ms: float = 0.0
    final: bool = False
    transcribed: bool = False
    failed: ev.TranscriptionError | None = None


@dataclass(eq=False)
class ItemState:
    """An item as far as it has come.

    Attributes
    ----------
    id : str
        Its identifier.
    wire : ev.Item or None
        The item as it was last sent; None before it was.
    contents : dict of int to Content
        By content index.
    response_id : str or None
        The response that made it.
    truncated_ms : int or None
        How much of its audio counts as heard, after a truncation.
    deleted : bool
        Whether it left the conversation.
    """

    id: str
    wire: ev.Item | None = None
    contents: dict[int, Content] = field(default_factory=dict)
    response_id: str | None = None
    truncated_ms: int | None = None
    deleted: bool = False

    @property
    def text(self) -> str:
        """Its texts and transcripts, one after the other."""
        parts = (self.contents[index].text for index in sorted(self.contents))
        return " ".join(filter(None, (part.strip() for part in parts)))

    @property
    def audio(self) -> bytes:
        """Its audio, in the session's format."""
        return b"".join(self.contents[index].audio for index in sorted(self.contents))

    @property
    def audio_ms(self) -> float:
        """Length of all audio that came, kept or not."""
        return sum(content.audio_ms for content in self.contents.values())

    @property
    def status(self) -> str | None:
        """Status on the wire: completed, incomplete or in_progress."""
        status = getattr(self.wire, "status", UNSET)
        return status if isinstance(status, str) else None


@dataclass(eq=False)
class ResponseState:
    """A response as far as it has come; times are those of the caller's clock."""

    id: str
    wire: ev.Response
    created_at: float
    done_at: float | None = None
    first_text_at: float | None = None
    first_audio_at: float | None = None
    item_ids: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """in_progress, completed, cancelled, incomplete or failed."""
        status = self.wire.status
        return status if isinstance(status, str) else "in_progress"

    @property
    def in_conversation(self) -> bool:
        """Whether its items join the conversation."""
        return self.wire.conversation_id is not None

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the client attached to its request."""
        return self.wire.metadata or {}


class InputTape:
    """The last audio that was sent, addressed by milliseconds of the session.

    Parameters
    ----------
    limit : int
        Bytes kept; the oldest go first.
    """

    def __init__(self, limit: int = MAX_INPUT_BYTES) -> None:
        self._limit = limit
        self._data = bytearray()
        self._bytes_per_ms = PCM_BYTES_PER_MS
        self._start_ms = 0.0

    @property
    def end_ms(self) -> float:
        """How much audio has been sent in the session."""
        return self._start_ms + len(self._data) / self._bytes_per_ms

    def append(self, data: bytes, bytes_per_ms: int) -> None:
        """Add audio; a new format begins a new tape at the same time."""
        if bytes_per_ms != self._bytes_per_ms:
            self._start_ms = self.end_ms
            self._bytes_per_ms = bytes_per_ms
            self._data.clear()
        self._data += data
        if len(self._data) > self._limit + self._limit // 8:
            spare = len(self._data) - self._limit
            spare -= spare % bytes_per_ms
            del self._data[:spare]
            self._start_ms += spare / bytes_per_ms

    def between(self, start_ms: float, end_ms: float) -> bytes | None:
        """Audio from `start_ms` to `end_ms`; None if it is not all here."""
        if not self._start_ms <= start_ms <= end_ms <= self.end_ms:
            return None
        first = round(start_ms - self._start_ms) * self._bytes_per_ms
        last = round(end_ms - self._start_ms) * self._bytes_per_ms
        return bytes(self._data[first:last])


class ClientMachine:
    """What a client knows of its session.

    Parameters
    ----------
    max_audio_bytes : int
        How much audio of answers is kept; that of the oldest items goes first.

    Attributes
    ----------
    session : ev.SessionConfig or None
        The effective settings; None before ``session.created``.
    requested : dict
        What accepted updates asked for, merged, as on the wire.
    accepted : str or None
        Event id of the update of ours that the last ``session.updated`` answered.
    items : dict of str to ItemState
        Every item by its id, those of responses beside the conversation too.
    responses : dict of str to ResponseState
        Every response by its id.
    marks : deque of Mark
        What the turn detector said.
    refusals : deque of Refusal
        Every ``error``.
    unknown : deque of ev.UnknownEvent
        Events of a kind that is not known here.
    rate_limits : list of ev.RateLimit
        As last told.
    ledger : UsageLedger
        Usage of every response and transcription, each once.
    tape : InputTape
        Audio that was sent.
    ignored : str or None
        Why the last event changed nothing: "duplicate" or "late".
    ignored_count : int
        How many did.
    dropped_audio_bytes : int
        Audio of answers that is no longer kept.
    """

    def __init__(self, *, max_audio_bytes: int = MAX_AUDIO_BYTES) -> None:
        self.session: ev.SessionConfig | None = None
        self.requested: dict[str, Any] = {}
        self.accepted: str | None = None
        self.items: dict[str, ItemState] = {}
        self.responses: dict[str, ResponseState] = {}
        self.marks: deque[Mark] = deque(maxlen=REMEMBERED_FACTS)
        self.refusals: deque[Refusal] = deque(maxlen=REMEMBERED_FACTS)
        self.unknown: deque[ev.UnknownEvent] = deque(maxlen=REMEMBERED_FACTS)
        self.rate_limits: list[ev.RateLimit] = []
        self.ledger = UsageLedger()
        self.tape = InputTape()
        self.ignored: Literal["duplicate", "late"] | None = None
        self.ignored_count = 0
        self.dropped_audio_bytes = 0
        self._max_audio_bytes = max_audio_bytes
        self._audio_bytes = 0
        self._with_audio: deque[Content] = deque()
        self._order: list[str] = []
        self._open: dict[str, ResponseState] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._sent: OrderedDict[str, Sent] = OrderedDict()
        self._updates: OrderedDict[str, ev.SessionUpdate] = OrderedDict()
        self._at_root = 0
        self._count = 0
        self._now = 0.0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.SessionCreated: self._session_created,
            ev.SessionUpdated: self._session_updated,
            ev.Error: self._error,
            ev.RateLimitsUpdated: self._rate_limits_updated,
            ev.ConversationItemAdded: self._item_added,
            ev.ConversationItemCreated: self._item_added,
            ev.ConversationItemDone: self._item_told,
            ev.ConversationItemRetrieved: self._item_told,
            ev.ConversationItemTruncated: self._item_truncated,
            ev.ConversationItemDeleted: self._item_deleted,
            ev.InputAudioBufferSpeechStarted: self._speech_started,
            ev.InputAudioBufferSpeechStopped: self._speech_stopped,
            ev.InputAudioBufferTimeoutTriggered: self._timeout_triggered,
            ev.ConversationItemInputAudioTranscriptionDelta: self._transcription_delta,
            ev.ConversationItemInputAudioTranscriptionCompleted: self._transcription_completed,
            ev.ConversationItemInputAudioTranscriptionFailed: self._transcription_failed,
            ev.ResponseCreated: self._response_created,
            ev.ResponseDone: self._response_done,
            ev.ResponseOutputItemAdded: self._output_item,
            ev.ResponseOutputItemDone: self._output_item,
            ev.ResponseContentPartAdded: self._part_added,
            ev.ResponseContentPartDone: self._part_done,
            ev.ResponseOutputTextDelta: self._text_delta,
            ev.ResponseOutputTextDone: self._text_done,
            ev.ResponseOutputAudioDelta: self._audio_delta,
            ev.ResponseOutputAudioTranscriptDelta: self._text_delta,
            ev.ResponseOutputAudioTranscriptDone: self._transcript_done,
        }

    # -- driving it --------------------------------------------------------------------

    def send(self, event: ClientEvent, now: float) -> str:
        """Message of an event of ours, which is remembered.

        Parameters
        ----------
        event : ev.ClientEvent or ev.UnknownEvent
            What to send. It is given an ``event_id`` if it has none, unless it is
            audio, which is sent too often to be answered for.
        now : float
            Seconds.

        Returns
        -------
        str
            The message.
        """
        if isinstance(event, ev.InputAudioBufferAppend):
            self.tape.append(event.audio, self._input_bytes_per_ms())
            return encode(event)
        event = self.named(event)
        event_id = str(event.event_id)
        _remember(self._sent, event_id, Sent(event, now))
        if isinstance(event, ev.SessionUpdate):
            self._updates[event_id] = event
        if isinstance(event, ev.ConversationItemCreate):
            self._at_root += event.previous_item_id == "root"
            self._forget_deleted(getattr(event.item, "id", UNSET))
        return encode(event)

    def _forget_deleted(self, item_id: object) -> None:
        """An item that was deleted may come again, if we ask for it."""
        item = self.items.get(item_id) if isinstance(item_id, str) else None
        if item is not None and item.deleted:
            del self.items[item.id]

    def named(self, event: ClientEvent) -> ClientEvent:
        """Return the event with an ``event_id``, its own or a new one."""
        if event.event_id is not UNSET:
            return event
        self._count += 1
        event_id = f"rtnb_{self._count}"
        if isinstance(event, ev.UnknownEvent):
            return ev.UnknownEvent(event.type, {**event.raw, "event_id": event_id})
        named = msgspec.structs.replace(event, event_id=event_id)
        vars(named).update(vars(event))
        return named

    def receive(
        self, message: str | bytes, now: float
    ) -> ev.ServerEvent | ev.UnknownEvent:
        """Event of a message, after the state has taken it in.

        Parameters
        ----------
        message : str or bytes
            What came.
        now : float
            Seconds.

        Returns
        -------
        ev.ServerEvent or ev.UnknownEvent
            The event; `ignored` says whether it changed nothing.

        Raises
        ------
        ProtocolError
            If the message is no JSON object with a type; the state is as before.
        """
        event = decode_server(message)
        self.ignored, self._now = None, now
        if self._seen_before(event.event_id):
            self._ignore("duplicate")
        elif isinstance(event, ev.UnknownEvent):
            self.unknown.append(event)
        else:
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)
        return event

    # -- reading it --------------------------------------------------------------------

    @property
    def conversation(self) -> list[ItemState]:
        """Items of the conversation, in its order."""
        return [self.items[item_id] for item_id in self._order]

    @property
    def active_response(self) -> ResponseState | None:
        """The response of the conversation that is being made."""
        active = (each for each in self._open.values() if each.in_conversation)
        return next(active, None)

    @property
    def effective(self) -> dict[str, Any]:
        """The effective settings as on the wire."""
        return {} if self.session is None else to_dict(self.session)

    @property
    def input_format(self) -> ev.AudioFormat | msgspec.UnsetType:
        """Format in which audio is sent."""
        audio = getattr(self.session, "audio", UNSET)
        heard = getattr(audio, "input", UNSET)
        wire_format: ev.AudioFormat | msgspec.UnsetType = getattr(
            heard, "format", UNSET
        )
        return wire_format

    def audio_format(self, item: ItemState) -> ev.AudioFormat | msgspec.UnsetType:
        """Format of an item's audio: its response's, else the session's."""
        if getattr(item.wire, "role", None) == "user":
            return self.input_format
        response = self.responses.get(item.response_id or "")
        told = None if response is None else response.wire
        return _output_format(told) or _output_format(self.session)

    @property
    def model(self) -> str | None:
        """Model of the session, where it has one."""
        model = getattr(self.session, "model", UNSET)
        return model if isinstance(model, str) else None

    def sent(self, event_id: str) -> Sent | None:
        """Return the event of ours with that id, if it is still remembered."""
        return self._sent.get(event_id)

    # -- session and errors ------------------------------------------------------------

    def _session_created(self, event: ev.SessionCreated) -> None:
        self.session = event.session

    def _session_updated(self, event: ev.SessionUpdated) -> None:
        self.session = event.session
        self.accepted = None
        if self._updates:
            self.accepted, update = self._updates.popitem(last=False)
            self.requested = merged(self.requested, to_dict(update.session))

    def _error(self, event: ev.Error) -> None:
        detail = event.error
        event_id = detail.event_id or None
        if event_id is None and str(detail.param or "").startswith("session."):
            event_id = next(iter(self._updates), None)
        cause = self._sent.get(event_id) if event_id else None
        if cause is not None and isinstance(cause.event, ev.ConversationItemCreate):
            self._at_root -= cause.event.previous_item_id == "root"
        if event_id:
            self._updates.pop(event_id, None)
        self.refusals.append(Refusal(detail, cause, self._now))

    def _rate_limits_updated(self, event: ev.RateLimitsUpdated) -> None:
        self.rate_limits = event.rate_limits

    # -- items -------------------------------------------------------------------------

    def _item_added(
        self, event: ev.ConversationItemAdded | ev.ConversationItemCreated
    ) -> None:
        item = self._take_item(event.item)
        if item is not None and not item.deleted and item.id not in self._order:
            self._order.insert(self._place(event.previous_item_id), item.id)

    def _place(self, previous: str | msgspec.UnsetType | None) -> int:
        """Index of a new item; some servers say null for every one of them."""
        if isinstance(previous, str) and previous in self._order:
            return self._order.index(previous) + 1
        if previous is None and self._at_root:
            self._at_root -= 1
            return 0
        return len(self._order)

    def _item_told(
        self, event: ev.ConversationItemDone | ev.ConversationItemRetrieved
    ) -> None:
        self._take_item(event.item)

    def _item_truncated(self, event: ev.ConversationItemTruncated) -> None:
        self._item(event.item_id).truncated_ms = event.audio_end_ms

    def _item_deleted(self, event: ev.ConversationItemDeleted) -> None:
        self._item(event.item_id).deleted = True
        if event.item_id in self._order:
            self._order.remove(event.item_id)

    def _item(self, item_id: str) -> ItemState:
        """State of an item; events may speak of it before it is added."""
        if item_id not in self.items:
            self.items[item_id] = ItemState(item_id)
        return self.items[item_id]

    def _take_item(self, wire: ev.Item) -> ItemState | None:
        raw = wire.raw if isinstance(wire, ev.UnknownObject) else {}
        item_id = raw.get("id") or getattr(wire, "id", UNSET)
        if not isinstance(item_id, str):
            return None
        item = self._item(item_id)
        if item.status not in FINAL or getattr(wire, "status", None) in FINAL:
            item.wire = wire
        if isinstance(wire, ev.MessageItem):
            for index, part in enumerate(wire.content):
                self._take_part(item, index, part)
        return item

    def _take_part(self, item: ItemState, index: int, part: ev.ContentPart) -> None:
        """Note a content as an item tells it; what it leaves out stays."""
        content = item.contents.setdefault(index, Content())
        content.kind = content.kind or ev.type_name(type(part))
        told = getattr(part, "text", UNSET) or getattr(part, "transcript", UNSET)
        if isinstance(told, str) and told:
            content.text = told
        audio = getattr(part, "audio", UNSET)
        if isinstance(audio, bytes) and not content.audio:
            came_before = content.audio_ms
            self._keep_audio(content, audio, self._bytes_per_ms(item))
            content.audio_ms = max(came_before, content.audio_ms - came_before)

    # -- what the user said ------------------------------------------------------------

    def _speech_started(self, event: ev.InputAudioBufferSpeechStarted) -> None:
        self._item(event.item_id)
        mark = Mark("speech_started", event.audio_start_ms, event.item_id, self._now)
        self.marks.append(mark)

    def _speech_stopped(self, event: ev.InputAudioBufferSpeechStopped) -> None:
        mark = Mark("speech_stopped", event.audio_end_ms, event.item_id, self._now)
        self.marks.append(mark)

    def _timeout_triggered(self, event: ev.InputAudioBufferTimeoutTriggered) -> None:
        mark = Mark("timeout_triggered", event.audio_end_ms, event.item_id, self._now)
        self.marks.append(mark)

    def _heard(
        self,
        event: ev.ConversationItemInputAudioTranscriptionDelta
        | ev.ConversationItemInputAudioTranscriptionCompleted
        | ev.ConversationItemInputAudioTranscriptionFailed,
    ) -> Content | None:
        """Content a transcription event is for, unless its transcript is final."""
        index = event.content_index if isinstance(event.content_index, int) else 0
        content = self._item(event.item_id).contents.setdefault(index, Content())
        content.kind = content.kind or "input_audio"
        if content.transcribed or content.failed is not None:
            self._ignore("late")
            return None
        return content

    def _transcription_delta(
        self, event: ev.ConversationItemInputAudioTranscriptionDelta
    ) -> None:
        content = self._heard(event)
        if content is not None:
            content.text += event.delta or ""

    def _transcription_completed(
        self, event: ev.ConversationItemInputAudioTranscriptionCompleted
    ) -> None:
        content = self._heard(event)
        if content is None:
            return
        content.text = event.transcript
        content.transcribed = True
        if event.usage:
            self.ledger.add(event.item_id, event.usage, self._transcriber())

    def _transcription_failed(
        self, event: ev.ConversationItemInputAudioTranscriptionFailed
    ) -> None:
        content = self._heard(event)
        if content is not None:
            content.failed = event.error

    # -- what the model said -----------------------------------------------------------

    def _response_created(self, event: ev.ResponseCreated) -> None:
        if str(event.response.id) in self.responses:
            self._ignore("late")
        else:
            self._response(event.response)

    def _response_done(self, event: ev.ResponseDone) -> None:
        response = self._response(event.response)
        if response.done_at is not None:
            self._ignore("late")
            return
        response.wire = event.response
        response.done_at = self._now
        self._open.pop(response.id, None)
        for wire in event.response.output or ():
            self._take_output(response.id, wire)
        usage = event.response.usage
        if usage:
            self.ledger.add(response.id, usage, self.model)

    def _response(self, wire: ev.Response) -> ResponseState:
        response_id = str(wire.id)
        if response_id not in self.responses:
            response = ResponseState(response_id, wire, self._now)
            self.responses[response_id] = self._open[response_id] = response
        return self.responses[response_id]

    def _output_item(
        self, event: ev.ResponseOutputItemAdded | ev.ResponseOutputItemDone
    ) -> None:
        self._take_output(event.response_id, event.item)

    def _take_output(self, response_id: str, wire: ev.Item) -> None:
        item = self._take_item(wire)
        if item is None:
            return
        item.response_id = response_id
        response = self.responses.get(response_id)
        if response is not None and item.id not in response.item_ids:
            response.item_ids.append(item.id)

    def _part(self, event: _OfContent) -> Content | None:
        """Content that an event adds to, unless all of it has come."""
        item = self._item(event.item_id)
        response = self.responses.get(event.response_id)
        content = item.contents.setdefault(event.content_index, Content())
        if content.final or (response is not None and response.done_at is not None):
            self._ignore("late")
            return None
        item.response_id = event.response_id
        return content

    def _part_added(self, event: ev.ResponseContentPartAdded) -> None:
        content = self._part(event)
        if content is not None:
            content.kind = _kind(event.part)

    def _part_done(self, event: ev.ResponseContentPartDone) -> None:
        content = self._part(event)
        if content is not None:
            content.kind = _kind(event.part)
            content.final = True
            self._take_part(self._item(event.item_id), event.content_index, event.part)

    def _text_delta(
        self, event: ev.ResponseOutputTextDelta | ev.ResponseOutputAudioTranscriptDelta
    ) -> None:
        content = self._part(event)
        if content is None:
            return
        content.text += event.delta
        response = self.responses.get(event.response_id)
        if response is not None and response.first_text_at is None:
            response.first_text_at = self._now

    def _text_done(self, event: ev.ResponseOutputTextDone) -> None:
        content = self._part(event)
        if content is not None:
            content.text = event.text

    def _transcript_done(self, event: ev.ResponseOutputAudioTranscriptDone) -> None:
        content = self._part(event)
        if content is not None:
            content.text = event.transcript

    def _audio_delta(self, event: ev.ResponseOutputAudioDelta) -> None:
        content = self._part(event)
        if content is None:
            return
        item = self.items[event.item_id]
        self._keep_audio(content, event.delta, self._bytes_per_ms(item))
        response = self.responses.get(event.response_id)
        if response is not None and response.first_audio_at is None:
            response.first_audio_at = self._now

    # -- the rest ----------------------------------------------------------------------

    def _keep_audio(self, content: Content, data: bytes, bytes_per_ms: int) -> None:
        """Add audio to a content; that of the oldest contents makes room for it."""
        content.audio_ms += len(data) / bytes_per_ms
        if not content.audio:
            self._with_audio.append(content)
        content.audio += data
        self._audio_bytes += len(data)
        while self._audio_bytes > self._max_audio_bytes:
            oldest = self._with_audio.popleft()
            self._audio_bytes -= len(oldest.audio)
            self.dropped_audio_bytes += len(oldest.audio)
            oldest.audio = bytearray()

    def _bytes_per_ms(self, item: ItemState) -> int:
        return _bytes_per_ms(self.audio_format(item))

    def _input_bytes_per_ms(self) -> int:
        return _bytes_per_ms(self.input_format)

    def _transcriber(self) -> str | None:
        audio = getattr(self.session, "audio", UNSET)
        transcription = getattr(getattr(audio, "input", UNSET), "transcription", UNSET)
        model = getattr(transcription, "model", None)
        return model if isinstance(model, str) else None

    def _seen_before(self, event_id: str | msgspec.UnsetType) -> bool:
        if not isinstance(event_id, str):
            return False
        seen = event_id in self._seen
        _remember(self._seen, event_id, None)
        return seen

    def _ignore(self, why: Literal["duplicate", "late"]) -> None:
        self.ignored = why
        self.ignored_count += 1


_OfContent: TypeAlias = (
    ev.ResponseContentPartAdded
    | ev.ResponseContentPartDone
    | ev.ResponseOutputTextDelta
    | ev.ResponseOutputTextDone
    | ev.ResponseOutputAudioDelta
    | ev.ResponseOutputAudioTranscriptDelta
    | ev.ResponseOutputAudioTranscriptDone
)


def _kind(part: ev.Part) -> str:
    """Content type of an item, of the part that announced it."""
    match part:
        case ev.TextPart():
            return "output_text"
        case ev.AudioPart():
            return "output_audio"
        case _:
            return str(part.raw.get("type", ""))


def _output_format(
    of: ev.Response | ev.SessionConfig | None,
) -> ev.AudioFormat | msgspec.UnsetType:
    output = getattr(getattr(of, "audio", UNSET), "output", UNSET)
    wire_format: ev.AudioFormat | msgspec.UnsetType = getattr(output, "format", UNSET)
    return wire_format


def _bytes_per_ms(wire_format: ev.AudioFormat | msgspec.UnsetType) -> int:
    in_g711 = isinstance(wire_format, ev.AudioPcmu | ev.AudioPcma)
    return G711_BYTES_PER_MS if in_g711 else PCM_BYTES_PER_MS


def _remember(table: OrderedDict[str, Any], key: str, value: object) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > REMEMBERED_EVENTS:
        table.popitem(last=False)


def merged(current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Settings after an update: objects of one type are merged, all else replaced.

    Examples
    --------
    >>> merged({"audio": {"speed": 1.0, "voice": "ash"}}, {"audio": {"speed": 0.9}})
    {'audio': {'speed': 0.9, 'voice': 'ash'}}
    """
    result = dict(current)
    for name, value in patch.items():
        before = result.get(name)
        if (
            isinstance(before, dict)
            and isinstance(value, dict)
            and before.get("type") == value.get("type", before.get("type"))
        ):
            result[name] = merged(before, value)
        else:
            result[name] = value
    return result
