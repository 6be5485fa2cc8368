"""The server's half of a Realtime conversation, without any I/O.

How it is driven:

.. code-block:: python

    machine = ServerMachine(model="gpt-realtime", now=clock.now())
    while ...:
        machine.receive(message, now=clock.now())       # or .append_audio(samples)
        for event in machine.take_events():             # to be sent, in order
            send(encode(event))
        for effect in machine.take_effects():           # to be done by the engine
            start(effect)

The engine answers an effect by calling back: `judged`, `transcribed`,
`transcription_failed`, `write`, `play`, `call`, `finish`, `fail`. Everything that the
wire shows (orders, identifiers, marks, usage, errors) is decided here; the engine brings
words and sound.

Time is an argument: seconds since the epoch. Audio inside is float32, mono, 24 kHz;
positions are counted in samples appended since the session began.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET

from rtnb.audio import Samples, pcm16_decode, pcm16_encode
from rtnb.errors import AudioFormatError, ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.client import merged
from rtnb.protocol.formats import InputDecoder, OutputEncoder
from rtnb.protocol.ids import new_call_id, new_id
from rtnb.protocol.validation import parse_client_event, validate_session
from rtnb.usage import (
    USER_AUDIO_MARKERS,
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    TranscriptionDuration,
    Usage,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_tools_tokens,
    estimate_transcript_tokens,
    user_audio_tokens,
)
from rtnb.vad import (
    SEMANTIC_VAD_DEFAULTS,
    SERVER_VAD_DEFAULTS,
    Judge,
    SemanticVad,
    ServerVad,
    SpeechStarted,
    SpeechStopped,
    StreamingVad,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.vad.semantic import Mark

SAMPLE_RATE = 24_000
"""Hz, of every sample in here; the wire's ``audio/pcm``."""

SESSION_SECONDS = 3600
"""Longest session: measured at 60.01 min, and ``expires_at`` says the same."""

DETECTION_MS = 100
"""What is kept beyond the prefix in silence: speech shows at the end of a 32 ms hop."""

SHORTEST_COMMIT_MS = 100
"""The service's own bound, named in its error text."""

TOKENS_PER_MINUTE = 40_000
"""``rate_limits.updated`` of a low usage tier, as captured in December 2025."""

DEFAULT_INSTRUCTIONS = (
    "You are the embedded engine of rtnb. You answer in short spoken sentences and "
    "call a function when one fits the question."
)

JUDGE_PATIENCE_S = 1.0
"""How long the engine has to judge a pause, once it could have heard the words at the
speed of speech. It takes a tenth of a second; audio sent faster than that takes longer."""

Modality: TypeAlias = Literal["audio", "text"]


@dataclass(frozen=True)
class Listen:
    """Speech has begun: recognise what follows under `item_id`."""

    item_id: str


@dataclass(frozen=True, eq=False)
class Hear:
    """More audio of the item being listened to; float32, 24 kHz."""

    item_id: str
    samples: Samples


@dataclass(frozen=True)
class JudgePause:
    """The speaker pauses: it is wanted how likely the words so far end a sentence."""

    item_id: str
    audio_end_ms: int


@dataclass(frozen=True)
class Recognise:
    """The item is complete: the transcript is wanted."""

    item_id: str


@dataclass(frozen=True)
class Forget:
    """The item will never be: drop what was heard of it."""

    item_id: str


@dataclass(frozen=True)
class Respond:
    """An answer is wanted. The last user item may still be in recognition."""

    response_id: str
    instructions: str
    items: tuple[ev.Item, ...]
    tools: tuple[Any, ...]
    tool_choice: Any
    modality: Modality
    voice: str
    speed: float
    user_item_id: str | None
    heard_ms: float | None


@dataclass(frozen=True)
class StopResponding:
    """The answer is no longer wanted."""

    response_id: str


@dataclass(frozen=True)
class Hangup:
    """Close the connection with this code and reason."""

    code: int
    reason: str


Effect: TypeAlias = (
    Listen | Hear | JudgePause | Recognise | Forget | Respond | StopResponding | Hangup
)


@dataclass(eq=False)
class _Entry:
    """One item of the conversation, its audio (24 kHz) and what it weighs."""

    item: Any
    audio: Samples | None = None

    def tokens(self) -> tuple[int, int]:
        """Text and audio tokens of the item as input of the next response."""
        item = self.item
        if isinstance(item, ev.FunctionCallItem):
            return estimate_text_tokens(f"{item.name}{item.arguments}"), 0
        if isinstance(item, ev.FunctionCallOutputItem):
            return estimate_text_tokens(item.output), 0
        if not isinstance(item, ev.MessageItem):
            return 0, 0
        text = "".join(_text_of(part) for part in item.content)
        ms = 0.0 if self.audio is None else 1000 * len(self.audio) / SAMPLE_RATE
        if self.audio is not None and item.role == "assistant":
            return estimate_transcript_tokens(text), assistant_audio_tokens(ms)
        if self.audio is not None:
            return USER_AUDIO_MARKERS, user_audio_tokens(ms)
        return estimate_text_tokens(text), 0


def _text_of(part: Any) -> str:
    text = getattr(part, "text", UNSET)
    if isinstance(text, str):
        return text
    transcript = getattr(part, "transcript", UNSET)
    return transcript if isinstance(transcript, str) else ""


@dataclass(eq=False)
class _Output:
    """The output item being written."""

    item_id: str
    index: int
    previous_item_id: str | None
    call_id: str = ""
    name: str = ""
    text: str = ""
    audio: list[Samples] = field(default_factory=list)

    @property
    def is_call(self) -> bool:
        return bool(self.call_id)


@dataclass(eq=False)
class _Speech:
    """The speech going on: its future item, positions in samples, when it was noticed."""

    item_id: str
    start: int
    heard: int
    noticed_at: float


@dataclass(eq=False)
class _Response:
    """One response in progress."""

    id: str
    in_conversation: bool
    config: ev.ResponseConfig
    modality: Modality
    voice: Any
    format: Any
    limit: int | Literal["inf"]
    encoder: OutputEncoder
    input: tuple[tuple[str, int, int], ...]
    output: list[Any] = field(default_factory=list)
    open: _Output | None = None
    text_tokens: int = 0
    audio_samples: int = 0

    @property
    def audio_tokens(self) -> int:
        return assistant_audio_tokens(1000 * self.audio_samples / SAMPLE_RATE)


def default_session(model: str, session_id: str, now: float) -> dict[str, Any]:
    """The session object of a fresh connection, with every documented default.

    Key order and values as recorded from the service, the instructions apart.
    """
    pcm = {"type": "audio/pcm", "rate": SAMPLE_RATE}
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": int(now) + SESSION_SECONDS,
        "audio": {
            "input": {
                "format": dict(pcm),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _vad_defaults("server_vad"),
            },
            "output": {"format": dict(pcm), "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }
    return session


def _vad_defaults(kind: str) -> dict[str, Any]:
    semantic = kind == "semantic_vad"
    defaults = SEMANTIC_VAD_DEFAULTS if semantic else SERVER_VAD_DEFAULTS
    raw: dict[str, Any] = msgspec.to_builtins(defaults)
    return raw


def merge_session(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Settings after an update, complete again: what it left out has its default.

    A turn detection of another type, or one where there was none, starts from that
    type's defaults, and a transcription object carries ``language`` and ``prompt`` even
    when not given, as recorded from the service.
    """
    session = merged(current, patch)
    heard = session["audio"]["input"]
    filled: dict[str, Any] = {}
    if heard["turn_detection"] is not None:
        detection = heard["turn_detection"]
        filled["turn_detection"] = {**_vad_defaults(detection["type"]), **detection}
    if heard["transcription"] is not None:
        empty = {"model": None, "language": None, "prompt": None}
        filled["transcription"] = {**empty, **heard["transcription"]}
    return merged(session, {"audio": {"input": filled}})


def _refusal(
    message: str,
    code: str | None,
    *,
    param: str | None = None,
    event_id: str | None = None,
) -> ServerError:
    return ServerError(
        message,
        type="invalid_request_error",
        code=code,
        param=param,
        event_id=event_id,
    )


class InputBuffer:
    """Audio appended and not yet committed; positions are samples since the start."""

    def __init__(self) -> None:
        self.start = 0
        self._chunks: deque[Samples] = deque()
        self._length = 0

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + self._length

    def append(self, samples: Samples) -> None:
        """Add at the end."""
        self._chunks.append(samples)
        self._length += len(samples)

    def read(self, start: int, stop: int) -> Samples:
        """The samples of ``[start, stop)`` that are still here."""
        whole = self._whole()
        return whole[max(0, start - self.start) : max(0, stop - self.start)]

    def drop_before(self, position: int) -> None:
        """Forget everything before `position`."""
        while self._chunks and self.start + len(self._chunks[0]) <= position:
            gone = len(self._chunks.popleft())
            self.start += gone
            self._length -= gone
        if self._chunks and self.start < position:
            cut = position - self.start
            self._chunks[0] = self._chunks[0][cut:]
            self.start += cut
            self._length -= cut
        if not self._chunks:
            self.start = max(self.start, position)

    def _whole(self) -> Samples:
        if len(self._chunks) > 1:
            self._chunks = deque([np.concatenate(self._chunks)])
        return self._chunks[0] if self._chunks else np.zeros(0, np.float32)


class ServerMachine:
    """One conversation as the service holds it.

    Parameters
    ----------
    model : str
        Echoed in the session; any name is accepted.
    now : float
        Time of the connection, seconds since the epoch.
    seed : int or None
        Makes identifiers repeatable; None draws them at random.
    session : dict, optional
        Session fields that stand instead of the defaults.

    Notes
    -----
    Not thread-safe: one owner calls it. Nothing in here waits.
    """

    def __init__(
        self,
        *,
        model: str,
        now: float,
        seed: int | None = None,
        session: dict[str, Any] | None = None,
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - identifiers, not secrets
        self._now = now
        self._events: list[Any] = []
        self._effects: list[Effect] = []
        self._raw = default_session(model, self._id("sess"), now)
        if session:
            self._raw = merge_session(self._raw, session)
        self.session = validate_session(self._raw)
        self.conversation_id = self._id("conv")
        self._entries: dict[str, _Entry] = {}
        self._responses: dict[str, _Response] = {}
        self._context: tuple[tuple[str, int, int], ...] = ()
        self._buffer = InputBuffer()
        self._decoder = InputDecoder(self.format("input"))
        # The detector hears every sample of the session, whatever the settings: its
        # state is never reset, and the page always has a probability to draw.
        self._vad = StreamingVad(ServerVad())
        self._vad_settings: ServerVad | SemanticVad | None = None
        self._speech: _Speech | None = None
        self._asked: tuple[JudgePause, float] | None = None
        self._judge_by = math.inf
        self._probabilities: list[tuple[int, Samples]] = []
        self._appended: list[tuple[int, Samples]] = []
        self._used_tokens = 0.0
        self._used_at = now
        self._idle: tuple[float, int] | None = None
        self._closed = False
        self._follow_turn_detection()
        self._emit(ev.SessionCreated, session=self.session)

    # -- what the outside takes ------------------------------------------------------

    def take_events(self) -> list[Any]:
        """Events to send, in order; each is given once."""
        events, self._events = self._events, []
        return events

    def take_effects(self) -> list[Effect]:
        """Work for the engine, in order; each is given once."""
        effects, self._effects = self._effects, []
        return effects

    def take_probabilities(self) -> list[tuple[int, Samples]]:
        """Speech probabilities since the last call: (first hop, one per 32 ms hop)."""
        taken, self._probabilities = self._probabilities, []
        return taken

    def take_audio(self) -> list[tuple[int, Samples]]:
        """Input audio since the last call: (position of its first sample, samples)."""
        taken, self._appended = self._appended, []
        return taken

    @property
    def id(self) -> str:
        """The session's identifier."""
        return str(self._raw["id"])

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""
        return self._buffer.end

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The effective turn detection object, or None."""
        detection: dict[str, Any] | None = self._raw["audio"]["input"]["turn_detection"]
        return detection

    def format(self, side: Literal["input", "output"]) -> ev.AudioFormat:
        """The effective audio format of one side."""
        raw = self._raw["audio"][side]["format"]
        wire_format: ev.AudioFormat = msgspec.convert(raw, ev.AudioFormat)
        return wire_format

    @property
    def active_response_id(self) -> str | None:
        """The response of the conversation that is being made, if any."""
        for response in self._responses.values():
            if response.in_conversation:
                return response.id
        return None

    def item_samples(self, item_id: str) -> int:
        """How much audio the item has, in samples at 24 kHz; 0 where it has none."""
        entry = self._entries.get(item_id)
        if entry is not None and entry.audio is not None:
            return len(entry.audio)
        for response in self._responses.values():
            if response.open is not None and response.open.item_id == item_id:
                return sum(map(len, response.open.audio))
        return 0

    def current(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """The items as they are now: transcripts may have come since."""
        return tuple(
            self._entries[item.id].item if item.id in self._entries else item
            for item in items
        )

    def user_text(self, item_id: str) -> str | None:
        """Text or transcript of a user item; None where there is none (yet)."""
        entry = self._entries.get(item_id)
        if entry is None or not isinstance(entry.item, ev.MessageItem):
            return None
        return " ".join(filter(None, map(_text_of, entry.item.content))) or None

    # -- what the client sends -------------------------------------------------------

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one frame; a bad one becomes an ``error`` event and changes nothing."""
        self._now = now
        try:
            event, raw = parse_client_event(message)
            self._handle(event, raw)
        except ServerError as error:
            self._refuse(error)

    def _refuse(self, error: ServerError) -> None:
        self._emit(
            ev.Error,
            error=ev.ErrorDetail(
                type=error.type or "invalid_request_error",
                code=error.code,
                message=error.message,
                param=error.param,
                event_id=error.event_id,
            ),
        )

    def _handle(self, event: Any, raw: dict[str, Any]) -> None:
        event_id = raw.get("event_id")
        handlers: dict[type, Callable[[Any], object]] = {
            ev.InputAudioBufferAppend: self._on_append,
            ev.InputAudioBufferCommit: lambda _: self.commit(self._now),
            ev.InputAudioBufferClear: lambda _: self.clear(self._now),
            ev.ConversationItemCreate: self._on_item_create,
            ev.ConversationItemRetrieve: self._on_item_retrieve,
            ev.ConversationItemTruncate: lambda e: self.truncate(
                e.item_id, e.content_index, e.audio_end_ms, self._now
            ),
            ev.ConversationItemDelete: self._on_item_delete,
            ev.ResponseCreate: self._on_response_create,
            ev.ResponseCancel: self._on_response_cancel,
            ev.OutputAudioBufferClear: self._on_output_clear,
        }
        try:
            if isinstance(event, ev.SessionUpdate):
                self._on_session_update(raw["session"])
            else:
                handlers[type(event)](event)
        except ServerError as error:
            if error.event_id is None and isinstance(event_id, str):
                error.event_id = event_id
            raise

    # -- session ---------------------------------------------------------------------

    def _on_session_update(self, patch: dict[str, Any]) -> None:
        if patch["type"] != self._raw["type"]:
            raise _refusal(
                f"Passing a {patch['type']} session update event to a "
                f"{self._raw['type']} session is not allowed.",
                "invalid_parameter",
                param="session.type",
            )
        for fixed in ("id", "object", "expires_at"):
            if fixed in patch and patch[fixed] != self._raw[fixed]:
                path = f"session.{fixed}"
                raise _refusal(
                    f"Unknown parameter: '{path}'.", "unknown_parameter", param=path
                )
        wanted = merge_session(self._raw, patch)
        session = validate_session(wanted)
        self._check_changes(wanted)
        self._raw, self.session = wanted, session
        self._follow_turn_detection()
        self._decoder.follow(self.format("input"))
        self._emit(ev.SessionUpdated, session=session)

    def _check_changes(self, wanted: dict[str, Any]) -> None:
        if wanted["model"] != self._raw["model"]:
            raise _refusal(
                "Unsupported option for this model.", None, param="session.model"
            )
        old, new = self._raw["audio"]["output"], wanted["audio"]["output"]
        if new["voice"] != old["voice"] and self._has_assistant_audio():
            raise _refusal(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
            )
        if new["speed"] != old["speed"] and self._responses:
            raise _refusal(
                "Cannot update the speed while a response is being generated.",
                "invalid_value",
                param="session.audio.output.speed",
            )
        if self._raw["tracing"] not in (None, wanted["tracing"]):
            raise _refusal(
                "Cannot update tracing once it is enabled.",
                "invalid_value",
                param="session.tracing",
            )

    def _has_assistant_audio(self) -> bool:
        return any(
            entry.audio is not None
            and isinstance(entry.item, ev.MessageItem)
            and entry.item.role == "assistant"
            for entry in self._entries.values()
        )

    def _follow_turn_detection(self) -> None:
        """Let the detector obey the effective settings, mid-speech if need be."""
        settings = _detector_settings(self.turn_detection)
        if settings == self._vad_settings:
            return
        while self._asked is not None:  # what was heard until now is the old settings'
            self._judged(None)
        self._vad_settings = settings
        if settings is None:
            self._abandon_speech()
            self._idle = None
        else:
            self._vad.settings = settings

    def _abandon_speech(self) -> None:
        if self._speech is not None:
            self._effects.append(Forget(self._speech.item_id))
        self._vad.reset_segment()
        self._speech = self._asked = None

    # -- input audio -----------------------------------------------------------------

    def _on_append(self, event: ev.InputAudioBufferAppend) -> None:
        try:
            samples = self._decoder(event.audio)
        except AudioFormatError as error:
            raise _refusal(str(error), "invalid_value", param="audio") from error
        self.append_audio(samples, self._now)

    def append_audio(self, samples: Samples, now: float) -> None:
        """Take audio of the user; float32, mono, 24 kHz, any length."""
        self._now = now
        self._appended.append((self._buffer.end, samples))
        self._buffer.append(samples)
        marks = self._vad.push(samples)
        probabilities = self._vad.take_probabilities()
        if len(probabilities):
            first = self._vad.hops - len(probabilities)
            self._probabilities.append((first, probabilities))
        if self._vad_settings is None:
            self._vad.reset_segment()
        else:
            self._follow_speech(marks)

    def _follow_speech(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            match mark:
                case SpeechStarted(audio_start_ms):
                    self._speech_started(audio_start_ms)
                case SpeechStopped(audio_end_ms):
                    self._speech_stopped(audio_end_ms)
                case Judge(audio_end_ms):
                    self._ask(audio_end_ms)
        if self._speech is None:
            kept = _samples(self._vad.detector.prefix_ms + DETECTION_MS)
            self._buffer.drop_before(self._buffer.end - kept)
        elif self._asked is None:
            self._hear(self._speech, self._buffer.end)

    def _hear(self, speech: _Speech, until: int) -> None:
        if until > speech.heard:
            samples = self._buffer.read(speech.heard, until)
            self._effects.append(Hear(speech.item_id, samples))
            speech.heard = until

    def _speech_started(self, audio_start_ms: int) -> None:
        item_id = self._id("item")
        start = max(self._buffer.start, _samples(audio_start_ms))
        self._speech = _Speech(item_id, start, heard=start, noticed_at=self._now)
        self._idle = None
        self._emit(
            ev.InputAudioBufferSpeechStarted,
            audio_start_ms=audio_start_ms,
            item_id=item_id,
        )
        self._effects.append(Listen(item_id))
        active = self.active_response_id
        if active is not None and self._flag("interrupt_response"):
            self._cancel(self._responses[active], "turn_detected")

    def _speech_stopped(self, audio_end_ms: int) -> None:
        speech, self._speech = self._speech, None
        if speech is None:
            return
        stop = _samples(audio_end_ms)
        self._emit(
            ev.InputAudioBufferSpeechStopped,
            audio_end_ms=audio_end_ms,
            item_id=speech.item_id,
        )
        self._hear(speech, stop)
        self._commit_item(speech.item_id, self._buffer.read(speech.start, stop))
        self._buffer.drop_before(stop)
        if self._flag("create_response"):
            self._respond_to_speech()

    def _ask(self, audio_end_ms: int) -> None:
        """Have the engine judge a pause, by exactly what was heard until then."""
        speech = self._speech
        if speech is None:
            return
        end = _samples(audio_end_ms)
        self._hear(speech, end)
        pause = JudgePause(speech.item_id, audio_end_ms)
        self._effects.append(pause)
        spoken_by = speech.noticed_at + (end - speech.start) / SAMPLE_RATE
        self._asked = pause, max(self._now, spoken_by) + JUDGE_PATIENCE_S

    def judged(self, pause: JudgePause, probability: float | None, now: float) -> bool:
        """The engine judged a pause; one that nobody asks about any more is dropped.

        Parameters
        ----------
        pause : JudgePause
            What was asked.
        probability : float, 0 to 1, or None
            That the words end a sentence; None if nothing can be said.
        now : float
            Time, seconds since the epoch.

        Returns
        -------
        bool
            Whether the answer came in time to count.
        """
        self._now = now
        if self._asked is None or self._asked[0] != pause:
            return False
        self._judged(probability)
        return True

    def _judged(self, probability: float | None) -> None:
        self._asked = None
        self._follow_speech(self._vad.judged(probability))

    def _respond_to_speech(self) -> None:
        try:
            self._create_response(ev.ResponseConfig())
        except ServerError as error:
            self._refuse(error)

    def _flag(self, name: str) -> bool:
        return bool(self.turn_detection and self.turn_detection[name])

    def commit(self, now: float) -> str:
        """Make the buffered audio a user item, as ``input_audio_buffer.commit``.

        Returns
        -------
        str
            The new item's id.

        Raises
        ------
        ServerError
            If less than 100 ms is buffered.
        """
        self._now = now
        start = self._buffer.start if self._speech is None else self._speech.start
        stop = self._buffer.end
        ms = 1000 * (stop - start) / SAMPLE_RATE
        if ms < SHORTEST_COMMIT_MS:
            raise _refusal(
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least 100ms of audio, but buffer only has {ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        samples = self._buffer.read(start, stop)
        speech, self._speech, self._asked = self._speech, None, None
        if speech is not None:
            item_id = speech.item_id
            self._hear(speech, stop)
            self._vad.reset_segment()
        else:
            item_id = self._id("item")
            self._effects += [Listen(item_id), Hear(item_id, samples)]
        self._commit_item(item_id, samples)
        self._buffer.drop_before(stop)
        return item_id

    def _commit_item(self, item_id: str, samples: Samples) -> None:
        previous = self._last_item_id()
        self._emit(
            ev.InputAudioBufferCommitted, previous_item_id=previous, item_id=item_id
        )
        item = ev.MessageItem(
            id=item_id,
            status="completed",
            role="user",
            content=[ev.InputAudio(transcript=None)],
        )
        self._entries[item_id] = _Entry(item, samples)
        self._announce(item, previous)
        self._effects.append(Recognise(item_id))

    def clear(self, now: float) -> None:
        """Drop the buffered audio, as ``input_audio_buffer.clear``."""
        self._now = now
        self._abandon_speech()
        self._buffer.drop_before(self._buffer.end)
        self._emit(ev.InputAudioBufferCleared)

    # -- recognition -----------------------------------------------------------------

    @property
    def _transcription_model(self) -> str | None:
        config = self._raw["audio"]["input"]["transcription"]
        return None if config is None else str(config.get("model") or "")

    def transcribed(self, item_id: str, text: str, now: float) -> None:
        """The engine recognised the item: keep the text, and report it if asked to."""
        self._now = now
        entry = self._entries.get(item_id)
        if entry is None:
            return
        content = [ev.InputAudio(transcript=text)]
        entry.item = msgspec.structs.replace(entry.item, content=content)
        if self._transcription_model is None:
            return
        for delta in _words(text):
            self._emit(
                ev.ConversationItemInputAudioTranscriptionDelta,
                item_id=item_id,
                content_index=0,
                delta=delta,
                obfuscation=self._obfuscation(delta),
            )
        seconds = 0 if entry.audio is None else len(entry.audio) / SAMPLE_RATE
        self._emit(
            ev.ConversationItemInputAudioTranscriptionCompleted,
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage=TranscriptionDuration(seconds=math.ceil(seconds)),
        )

    def transcription_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not recognise the item: report it if asked to."""
        self._now = now
        if item_id not in self._entries or self._transcription_model is None:
            return
        self._emit(
            ev.ConversationItemInputAudioTranscriptionFailed,
            item_id=item_id,
            content_index=0,
            error=ev.TranscriptionError(
                type="transcription_error",
                code="audio_unintelligible",
                message=message,
            ),
        )

    # -- items -----------------------------------------------------------------------

    def _last_item_id(self) -> str | None:
        return next(reversed(self._entries), None)

    def _announce(self, item: Any, previous: str | None) -> None:
        self._emit(ev.ConversationItemAdded, previous_item_id=previous, item=item)
        self._emit(ev.ConversationItemDone, previous_item_id=previous, item=item)

    def _on_item_create(self, event: ev.ConversationItemCreate) -> None:
        wanted = event.previous_item_id
        previous = self._last_item_id()
        if isinstance(wanted, str):
            if wanted != "root" and wanted not in self._entries:
                raise _refusal(
                    f"Error creating item: the previous item with id '{wanted}' does "
                    "not exist.",
                    "item_create_invalid_previous_item_id",
                    param="previous_item_id",
                )
            previous = None if wanted == "root" else wanted
        entry = self._entry_of(event.item)
        self._insert(entry, previous)
        self._announce(_without_audio(entry.item), previous)

    def _entry_of(self, item: Any) -> _Entry:
        """The item as the conversation keeps it: with an id, a status and its audio."""
        item_id = item.id if isinstance(item.id, str) else self._id("item")
        if item_id in self._entries:
            raise _refusal(
                f"Error creating item: an item with id '{item_id}' already exists.",
                "item_create_duplicate_item_id",
                param="item.id",
            )
        changes: dict[str, Any] = {"id": item_id, "object": UNSET}
        if isinstance(item, ev.MessageItem | ev.FunctionCallItem):
            changes["status"] = "completed"
        if isinstance(item, ev.FunctionCallItem) and not isinstance(item.call_id, str):
            changes["call_id"] = new_call_id(self._random)
        return _Entry(
            msgspec.structs.replace(item, **changes), self._audio_of_content(item)
        )

    def _audio_of_content(self, item: Any) -> Samples | None:
        if not isinstance(item, ev.MessageItem):
            return None
        pieces = [
            InputDecoder(self.format("input"))(part.audio)
            for part in item.content
            if isinstance(part, ev.InputAudio) and isinstance(part.audio, bytes)
        ]
        return np.concatenate(pieces) if pieces else None

    def _insert(self, entry: _Entry, previous: str | None) -> None:
        items = list(self._entries.items())
        at = 0
        if previous is not None:
            at = 1 + [item_id for item_id, _ in items].index(previous)
        items.insert(at, (entry.item.id, entry))
        self._entries = dict(items)

    def _entry(self, item_id: str, verb: str, doing: str) -> _Entry:
        entry = self._entries.get(item_id)
        if entry is None:
            raise _refusal(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return entry

    def _on_item_retrieve(self, event: ev.ConversationItemRetrieve) -> None:
        entry = self._entry(event.item_id, "retrieve", "retrieving")
        item = entry.item
        if entry.audio is not None and item.content:
            # The wire carries item audio as base64 text; only here is it shown.
            first = msgspec.structs.replace(
                item.content[0], audio=pcm16_encode(entry.audio)
            )
            item = msgspec.structs.replace(item, content=[first, *item.content[1:]])
        self._emit(ev.ConversationItemRetrieved, item=item)

    def _on_item_delete(self, event: ev.ConversationItemDelete) -> None:
        self._entry(event.item_id, "delete", "deleting")
        del self._entries[event.item_id]
        self._emit(ev.ConversationItemDeleted, item_id=event.item_id)

    def truncate(
        self, item_id: str, content_index: int, audio_end_ms: int, now: float
    ) -> None:
        """Keep ``[0, audio_end_ms]`` of an assistant item's audio and no transcript.

        Raises
        ------
        ServerError
            If there is no such item, if it is not assistant audio, or if it is
            shorter than that.
        """
        self._now = now
        written = self._being_written(item_id)
        samples = self.item_samples(item_id)
        if written is None:
            entry = self._entry(item_id, "truncate", "truncating")
            message = isinstance(entry.item, ev.MessageItem)
            if not message or entry.item.role != "assistant":
                samples = 0
        if samples == 0 or content_index != 0:
            raise _refusal(
                "Only model output audio messages can be truncated",
                "unsupported_content_type",
            )
        have_ms = samples * 1000 // SAMPLE_RATE
        if audio_end_ms > have_ms:
            raise _refusal(
                f"Audio content of {have_ms}ms is already shorter than "
                f"{audio_end_ms}ms",
                None,
            )
        self._emit(
            ev.ConversationItemTruncated,
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )
        if written is not None:
            # The response goes on; what is heard of it ends here.
            kept = np.concatenate(written.audio)[: _samples(audio_end_ms)]
            written.audio = [kept]
            return
        entry = self._entries[item_id]
        if entry.audio is not None:
            entry.audio = entry.audio[: _samples(audio_end_ms)]
        content = [ev.OutputAudio(transcript="")]
        entry.item = msgspec.structs.replace(entry.item, content=content)

    def _being_written(self, item_id: str) -> _Output | None:
        for response in self._responses.values():
            if response.open is not None and response.open.item_id == item_id:
                return response.open
        return None

    # -- responses -------------------------------------------------------------------

    def _on_response_create(self, event: ev.ResponseCreate) -> None:
        config = event.response
        self._create_response(
            config if isinstance(config, ev.ResponseConfig) else ev.ResponseConfig()
        )

    def respond(self, now: float) -> None:
        """Ask for an answer to the conversation, as a bare ``response.create``.

        Raises
        ------
        ServerError
            If one is being made already.
        """
        self._now = now
        self._create_response(ev.ResponseConfig())

    def _create_response(self, config: ev.ResponseConfig) -> None:
        in_conversation = config.conversation != "none"
        active = self.active_response_id
        if in_conversation and active is not None:
            raise _refusal(
                "Conversation already has an active response in progress: "
                f"{active}. Wait until the response is finished before creating a "
                "new one.",
                "conversation_already_has_active_response",
            )
        entries = self._input_entries(config)
        response = self._new_response(config, entries, in_conversation=in_conversation)
        self._responses[response.id] = response
        self._idle = None
        self._emit(ev.ResponseCreated, response=self._wire(response, "in_progress"))
        user = [e for e in entries if getattr(e.item, "role", None) == "user"]
        last = user[-1] if user else None
        self._effects.append(
            Respond(
                response_id=response.id,
                instructions=_given(config.instructions, self._raw["instructions"]),
                items=tuple(entry.item for entry in entries),
                tools=tuple(self._tools(config)),
                tool_choice=_given(config.tool_choice, self._raw["tool_choice"]),
                modality=response.modality,
                voice=response.voice if isinstance(response.voice, str) else "alloy",
                speed=self._raw["audio"]["output"]["speed"],
                user_item_id=last.item.id if last is not None else None,
                heard_ms=(
                    1000 * len(last.audio) / SAMPLE_RATE
                    if last is not None and last.audio is not None
                    else None
                ),
            )
        )

    def _tools(self, config: ev.ResponseConfig) -> list[ev.Tool]:
        tools: list[ev.Tool] = _given(
            config.tools, msgspec.convert(self._raw["tools"], list[ev.Tool])
        )
        return tools

    def _input_entries(self, config: ev.ResponseConfig) -> list[_Entry]:
        if not isinstance(config.input, list):
            return list(self._entries.values())
        entries = []
        for item in config.input:
            if isinstance(item, ev.ItemReference):
                entries.append(self._entry(item.id, "retrieve", "retrieving"))
            else:
                entries.append(_Entry(item, self._audio_of_content(item)))
        return entries

    def _new_response(
        self,
        config: ev.ResponseConfig,
        entries: Iterable[_Entry],
        *,
        in_conversation: bool,
    ) -> _Response:
        output = self._raw["audio"]["output"]
        asked = (
            config.audio.output if isinstance(config.audio, ev.ResponseAudio) else None
        )
        wire_format = self.format("output")
        voice = output["voice"]
        if isinstance(asked, ev.ResponseAudioOutput):
            wire_format = _given(asked.format, wire_format)
            voice = _given(asked.voice, voice)
        modalities = _given(config.output_modalities, self._raw["output_modalities"])
        instructions = _given(config.instructions, self._raw["instructions"]) or ""
        tools = self._tools(config)
        described = json.dumps(msgspec.to_builtins(tools)) if tools else ""
        head = estimate_text_tokens(instructions) + estimate_tools_tokens(described)
        tokens = [("", head, 0)]
        for entry in entries:
            item_id = entry.item.id if isinstance(entry.item.id, str) else ""
            tokens.append((item_id, *entry.tokens()))
        return _Response(
            id=self._id("resp"),
            in_conversation=in_conversation,
            config=config,
            modality="text" if "text" in modalities else "audio",
            voice=voice,
            format=wire_format,
            limit=_given(config.max_output_tokens, self._raw["max_output_tokens"]),
            encoder=OutputEncoder(wire_format),
            input=tuple(tokens),
        )

    def _on_response_cancel(self, event: ev.ResponseCancel) -> None:
        wanted = event.response_id
        response_id = wanted if isinstance(wanted, str) else self.active_response_id
        response = self._responses.get(response_id or "")
        if response is None:
            raise _refusal(
                "Cancellation failed: no active response found",
                "response_cancel_not_active",
            )
        self._cancel(response, "client_cancelled")

    def cancel(self, now: float) -> None:
        """Cancel the conversation's response, if one is being made."""
        self._now = now
        active = self.active_response_id
        if active is not None:
            self._cancel(self._responses[active], "client_cancelled")

    def _on_output_clear(self, _: ev.OutputAudioBufferClear) -> None:
        raise _refusal(
            "The 'output_audio_buffer.clear' event is only for WebRTC and SIP "
            "connections.",
            "invalid_value",
            param="type",
        )

    def is_active(self, response_id: str) -> bool:
        """Whether the response is still being made."""
        return response_id in self._responses

    def write(self, response_id: str, text: str, now: float) -> bool:
        """More words of the answer: text, or the transcript that runs ahead of audio.

        Returns
        -------
        bool
            False once the response is over (cancelled, or at its token limit).
        """
        self._now = now
        response = self._responses.get(response_id)
        if response is None:
            return False
        output = self._open_message(response)
        output.text += text
        response.text_tokens = self._written_tokens(response)
        event: type = (
            ev.ResponseOutputTextDelta
            if response.modality == "text"
            else ev.ResponseOutputAudioTranscriptDelta
        )
        self._emit(
            event,
            response_id=response.id,
            item_id=output.item_id,
            output_index=output.index,
            content_index=0,
            delta=text,
            obfuscation=self._obfuscation(text),
        )
        return self._within_limit(response)

    def play(self, response_id: str, samples: Samples, now: float) -> bool:
        """More sound of the answer; float32, mono, 24 kHz. Returns as `write`."""
        self._now = now
        response = self._responses.get(response_id)
        if response is None:
            return False
        output = self._open_message(response)
        # Kept as what the wire can say, so that retrieve and truncate agree with it.
        output.audio.append(pcm16_decode(pcm16_encode(samples)))
        response.audio_samples += len(samples)
        self._audio_delta(response, output, response.encoder(samples))
        return self._within_limit(response)

    def _audio_delta(self, response: _Response, output: _Output, data: bytes) -> None:
        if data:
            self._emit(
                ev.ResponseOutputAudioDelta,
                response_id=response.id,
                item_id=output.item_id,
                output_index=output.index,
                content_index=0,
                delta=data,
            )

    def call(
        self, response_id: str, name: str, arguments: dict[str, Any], now: float
    ) -> bool:
        """A function call of the answer, its arguments streamed. Returns as `write`."""
        self._now = now
        response = self._responses.get(response_id)
        if response is None:
            return False
        self._close_output(response, "completed")
        output = self._open(response, call_id=new_call_id(self._random), name=name)
        text = json.dumps(arguments, ensure_ascii=False)
        for start in range(0, len(text), 8):
            delta = text[start : start + 8]
            self._emit(
                ev.ResponseFunctionCallArgumentsDelta,
                response_id=response.id,
                item_id=output.item_id,
                output_index=output.index,
                call_id=output.call_id,
                delta=delta,
                obfuscation=self._obfuscation(delta),
            )
        output.text = text
        response.text_tokens = self._written_tokens(response)
        self._close_output(response, "completed")
        return self._within_limit(response)

    def finish(self, response_id: str, now: float) -> None:
        """The answer is complete."""
        self._now = now
        response = self._responses.get(response_id)
        if response is not None:
            self._end(response, "completed")

    def fail(self, response_id: str, message: str, now: float) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do."""
        self._now = now
        response = self._responses.get(response_id)
        if response is not None:
            error = ev.StatusError(type="server_error", code=None, message=message)
            self._end(
                response, "failed", details=ev.StatusDetails(type="failed", error=error)
            )

    def _within_limit(self, response: _Response) -> bool:
        produced = response.text_tokens + response.audio_tokens
        if response.limit == "inf" or produced <= response.limit:
            return True
        details = ev.StatusDetails(type="incomplete", reason="max_output_tokens")
        self._end(response, "incomplete", details=details)
        self._effects.append(StopResponding(response.id))
        return False

    def _cancel(self, response: _Response, reason: str) -> None:
        details = ev.StatusDetails(type="cancelled", reason=reason)
        self._end(response, "cancelled", details=details)
        self._effects.append(StopResponding(response.id))

    def _written_tokens(self, response: _Response) -> int:
        texts = [_output_text(item) for item in response.output]
        if response.open is not None:
            texts.append(response.open.name + response.open.text)
        spoken = response.modality == "audio"
        estimate = estimate_transcript_tokens if spoken else estimate_text_tokens
        return sum(map(estimate, texts))

    # -- the ladder of one output item -----------------------------------------------

    def _open_message(self, response: _Response) -> _Output:
        if response.open is not None:
            return response.open
        output = self._open(response)
        part: Any = (
            ev.TextPart(text="")
            if response.modality == "text"
            else ev.AudioPart(transcript="")
        )
        self._emit(
            ev.ResponseContentPartAdded,
            response_id=response.id,
            item_id=output.item_id,
            output_index=output.index,
            content_index=0,
            part=part,
        )
        return output

    def _open(
        self, response: _Response, *, call_id: str = "", name: str = ""
    ) -> _Output:
        output = _Output(
            item_id=self._id("item"),
            index=len(response.output),
            previous_item_id=self._last_item_id(),
            call_id=call_id,
            name=name,
        )
        response.open = output
        item = self._output_item(response, output, "in_progress")
        self._emit(
            ev.ResponseOutputItemAdded,
            response_id=response.id,
            output_index=output.index,
            item=item,
        )
        if response.in_conversation:
            self._entries[output.item_id] = _Entry(item)
            self._emit(
                ev.ConversationItemAdded,
                previous_item_id=output.previous_item_id,
                item=item,
            )
        return output

    def _output_item(self, response: _Response, output: _Output, status: str) -> Any:
        if output.is_call:
            return ev.FunctionCallItem(
                id=output.item_id,
                status=status,
                name=output.name,
                call_id=output.call_id,
                arguments=output.text,
            )
        content: list[Any] = []
        if status != "in_progress":
            content = [
                ev.OutputText(text=output.text)
                if response.modality == "text"
                else ev.OutputAudio(transcript=output.text)
            ]
        return ev.MessageItem(
            id=output.item_id, status=status, role="assistant", content=content
        )

    def _close_output(self, response: _Response, status: str) -> None:
        output = response.open
        if output is None:
            return
        where = {
            "response_id": response.id,
            "item_id": output.item_id,
            "output_index": output.index,
        }
        if output.is_call:
            self._emit(
                ev.ResponseFunctionCallArgumentsDone,
                **where,
                call_id=output.call_id,
                name=output.name,
                arguments=output.text,
            )
        elif response.modality == "text":
            part: Any = ev.TextPart(text=output.text)
            self._emit(
                ev.ResponseOutputTextDone, **where, content_index=0, text=output.text
            )
            self._emit(ev.ResponseContentPartDone, **where, content_index=0, part=part)
        else:
            part = ev.AudioPart(transcript=output.text)
            self._audio_delta(response, output, response.encoder.flush())
            self._emit(ev.ResponseOutputAudioDone, **where, content_index=0)
            self._emit(
                ev.ResponseOutputAudioTranscriptDone,
                **where,
                content_index=0,
                transcript=output.text,
            )
            self._emit(ev.ResponseContentPartDone, **where, content_index=0, part=part)
        self._finish_item(response, output, status)

    def _finish_item(self, response: _Response, output: _Output, status: str) -> None:
        item = self._output_item(response, output, status)
        response.open = None
        response.output.append(item)
        if response.in_conversation and output.item_id in self._entries:
            audio = np.concatenate(output.audio) if output.audio else None
            self._entries[output.item_id] = _Entry(item, audio)
            self._emit(
                ev.ConversationItemDone,
                previous_item_id=output.previous_item_id,
                item=item,
            )
        self._emit(
            ev.ResponseOutputItemDone,
            response_id=response.id,
            output_index=output.index,
            item=item,
        )

    def _end(
        self,
        response: _Response,
        status: str,
        *,
        details: ev.StatusDetails | None = None,
    ) -> None:
        closing = "completed" if status == "completed" else "incomplete"
        self._close_output(response, closing)
        del self._responses[response.id]
        usage = Usage() if status == "failed" else self._usage(response)
        self._emit(
            ev.ResponseDone,
            response=self._wire(response, status, details=details, usage=usage),
        )
        self._spend(usage.total_tokens)
        if response.in_conversation and status == "completed":
            self._arm_idle(response)

    def _wire(
        self,
        response: _Response,
        status: str,
        *,
        details: ev.StatusDetails | None = None,
        usage: Usage | None = None,
    ) -> ev.Response:
        metadata = response.config.metadata
        return ev.Response(
            object="realtime.response",
            id=response.id,
            status=status,
            status_details=details,
            output=list(response.output),
            conversation_id=self.conversation_id if response.in_conversation else None,
            output_modalities=[response.modality],
            max_output_tokens=response.limit,
            audio=ev.ResponseAudio(
                output=ev.ResponseAudioOutput(
                    format=response.format, voice=response.voice
                )
            ),
            usage=usage,
            metadata=metadata if isinstance(metadata, dict) else None,
        )

    # -- usage -----------------------------------------------------------------------

    def _usage(self, response: _Response) -> Usage:
        text = sum(tokens for _, tokens, _ in response.input)
        audio = sum(tokens for _, _, tokens in response.input)
        cached_text, cached_audio = self._cached(response)
        if response.in_conversation:
            self._context = response.input
        return Usage(
            total_tokens=text + audio + response.text_tokens + response.audio_tokens,
            input_tokens=text + audio,
            output_tokens=response.text_tokens + response.audio_tokens,
            input_token_details=InputTokenDetails(
                text_tokens=text,
                audio_tokens=audio,
                image_tokens=0,
                cached_tokens=cached_text + cached_audio,
                cached_tokens_details=CachedTokensDetails(
                    text_tokens=cached_text, audio_tokens=cached_audio, image_tokens=0
                ),
            ),
            output_token_details=OutputTokenDetails(
                text_tokens=response.text_tokens, audio_tokens=response.audio_tokens
            ),
        )

    def _cached(self, response: _Response) -> tuple[int, int]:
        """Text and audio tokens of the prefix shared with the last response's input.

        Caches count in multiples of 64 tokens, from the front.
        """
        text = audio = 0
        for old, new in zip(self._context, response.input, strict=False):
            if old != new:
                break
            text += new[1]
            audio += new[2]
        cached = (text + audio) // 64 * 64
        return min(text, cached), cached - min(text, cached)

    def _spend(self, tokens: int) -> None:
        """Report the token budget: it refills evenly over a minute."""
        refill = (self._now - self._used_at) * TOKENS_PER_MINUTE / 60
        self._used_tokens = max(0.0, self._used_tokens - refill) + tokens
        self._used_at = self._now
        remaining = max(0, TOKENS_PER_MINUTE - math.ceil(self._used_tokens))
        reset = (TOKENS_PER_MINUTE - remaining) / TOKENS_PER_MINUTE * 60
        self._emit(
            ev.RateLimitsUpdated,
            rate_limits=[
                ev.RateLimit(
                    name="tokens",
                    limit=TOKENS_PER_MINUTE,
                    remaining=remaining,
                    reset_seconds=round(reset, 3),
                )
            ],
        )

    # -- time ------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest, seconds since the epoch."""
        expiry = float(self._raw["expires_at"])
        idle = math.inf if self._idle is None else self._idle[0]
        judge_by = math.inf if self._asked is None else self._asked[1]
        return min(expiry, idle, judge_by)

    def tick(self, now: float) -> None:
        """Let time pass: judgements, the idle timeout, and the end of the session."""
        self._now = now
        if self._asked is not None and now >= self._asked[1]:
            self._judged(None)
        if self._idle is not None and now >= self._idle[0]:
            self._idle_timeout(self._idle[1])
        if now >= self._raw["expires_at"] and not self._closed:
            self._closed = True
            message = "Your session hit the maximum duration of 60 minutes."
            self._refuse(_refusal(message, "session_expired"))
            self._effects.append(Hangup(1001, message))

    def _arm_idle(self, response: _Response) -> None:
        """Start the idle timer: it runs from the end of the answer's playback."""
        timeout = (self.turn_detection or {}).get("idle_timeout_ms")
        if timeout is None or self._speech is not None:
            return
        playback = response.audio_samples / SAMPLE_RATE
        start_ms = self._buffer.end * 1000 // SAMPLE_RATE + round(1000 * playback)
        self._idle = (self._now + playback + timeout / 1000, start_ms)

    def _idle_timeout(self, start_ms: int) -> None:
        self._idle = None
        item_id = self._id("item")
        end = self._buffer.end
        end_ms = max(start_ms, end * 1000 // SAMPLE_RATE)
        self._emit(
            ev.InputAudioBufferTimeoutTriggered,
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
            item_id=item_id,
        )
        samples = self._buffer.read(self._buffer.start, end)
        self._effects += [Listen(item_id), Hear(item_id, samples)]
        self._commit_item(item_id, samples)
        self._buffer.drop_before(end)
        self._respond_to_speech()

    # -- small things ----------------------------------------------------------------

    def _emit(self, event: type, **fields: Any) -> None:
        self._events.append(event(event_id=self._id("event"), **fields))

    def _id(self, prefix: str) -> str:
        return new_id(prefix, now=self._now, random=self._random)

    def _obfuscation(self, delta: str) -> str:
        """Random characters that pad a delta to a multiple of 16."""
        alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        return "".join(self._random.choices(alphabet, k=-len(delta) % 16))


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE // 1000


def _given(value: Any, default: Any) -> Any:
    return default if value is UNSET or value is None else value


def _words(text: str) -> list[str]:
    """The text in word-sized deltas whose concatenation is the text."""
    pieces = text.split(" ")
    return [pieces[0], *(" " + word for word in pieces[1:])] if text else []


def _output_text(item: Any) -> str:
    if isinstance(item, ev.FunctionCallItem):
        return f"{item.name}{item.arguments}"
    return "".join(map(_text_of, item.content))


def _without_audio(item: Any) -> Any:
    """The item as it is announced: audio bytes are only shown by retrieve."""
    if not isinstance(item, ev.MessageItem):
        return item
    content = [
        ev.InputAudio(transcript=_given(part.transcript, None))
        if isinstance(part, ev.InputAudio)
        else part
        for part in item.content
    ]
    return msgspec.structs.replace(item, content=content)


def _detector_settings(
    detection: dict[str, Any] | None,
) -> ServerVad | SemanticVad | None:
    """What the detector has to know of the effective turn detection."""
    if detection is None:
        return None
    if detection["type"] == "semantic_vad":
        return SemanticVad(eagerness=detection["eagerness"])
    names = ("threshold", "prefix_padding_ms", "silence_duration_ms")
    return ServerVad(**{name: detection[name] for name in names})
