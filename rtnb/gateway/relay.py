"""A session with a provider that passes through here.

Every frame is handed on as it came, both ways and in order. What is added is a page:
its microphone's audio joins the client's on the way up, and the answer's audio is
shown to it before the client has it, so that a client that is busy delays nothing. A
`ClientMachine` follows what the provider says; what is cut, cancelled and committed for
the page is decided by it.

Everything here runs on the gateway's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from rtnb.errors import AudioFormatError, ConnectionLost, ProtocolError, ServerError
from rtnb.gateway.dialogue import RELEASE_EVENTS
from rtnb.protocol import events as ev
from rtnb.protocol.client import ClientMachine
from rtnb.protocol.codec import decode_client, encode, to_dict
from rtnb.protocol.formats import SAMPLE_RATE, InputDecoder, OutputEncoder
from rtnb.protocol.rules import MAX_APPEND_BYTES
from rtnb.vad import StreamingVad

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.audio import Samples
    from rtnb.gateway.tap import Tap
    from rtnb.protocol.formats import AudioFormat
    from rtnb.transport import WebSocketTransport

log = logging.getLogger("rtnb.gateway")

OUTBOX_FRAMES: Final = 4096
"""Frames that may wait for a slow provider, 80 s of speech: then the client waits, and
what the page says is dropped."""

SHORTEST_COMMIT: Final = SAMPLE_RATE // 10
"""Samples of the shortest turn: the service's own bound of 100 ms."""

NORMAL, GOING_AWAY, BROKEN = 1000, 1001, 1011
"""Close codes, RFC 6455 §7.4.1."""

SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""Registered close codes that may travel; besides them those from 3000 to 4999."""

LONGEST_REASON: Final = 123
"""Bytes that a close frame has for its reason, RFC 6455 §5.5."""


class RelayedConversation:
    """A session of a client with a provider: a `rtnb.gateway.dialogue.Dialogue`.

    Parameters
    ----------
    transport : WebSocketTransport
        The open connection to the provider.

    Attributes
    ----------
    observers, listeners, taps : list
        See `Dialogue`. Observers see neither what comes twice or late, nor the audio of
        a response that the page has cancelled.
    on_frame : callable or None
        Called with every frame of the provider as it came, after the observers.
    on_hangup : callable or None
        Called with ``(code, reason)`` when the provider has ended the session.
    """

    def __init__(self, transport: WebSocketTransport) -> None:
        self.observers: list[Callable[[Any], None]] = []
        self.listeners: list[Callable[[int, Samples], None]] = []
        self.taps: list[Tap] = []
        self.on_frame: Callable[[str | bytes], None] | None = None
        self.on_hangup: Callable[[int, str], None] | None = None
        self._transport = transport
        self._machine = ClientMachine(max_audio_bytes=0)
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue(OUTBOX_FRAMES)
        # A second detector beside the provider's, for the page to draw.
        self._vad = StreamingVad(sample_rate=SAMPLE_RATE)
        self._decoder = InputDecoder(ev.AudioPcm())
        self._encoder: tuple[AudioFormat, OutputEncoder] | None = None
        self._asked_format: AudioFormat | None = None
        self._position = 0
        self._uncommitted = 0
        self._cancelled: set[str] = set()
        self._cut: set[str] = set()
        self._count = 0

    # -- what there is ---------------------------------------------------------------

    @property
    def id(self) -> str:
        """Identifier that the provider gave the session; empty before it did."""
        return str(getattr(self._machine.session, "id", UNSET) or "")

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """Settings in force, as on the wire."""
        audio = getattr(self._machine.session, "audio", UNSET)
        detection = getattr(getattr(audio, "input", UNSET), "turn_detection", UNSET)
        return to_dict(detection) if detection else None

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""
        return self._position

    def answer_format(self, item_id: str) -> AudioFormat:
        """Wire format of an answer's audio: its response's, else the session's."""
        item = self._machine.items.get(item_id)
        return _known(UNSET if item is None else self._machine.audio_format(item))

    @property
    def _input_format(self) -> AudioFormat:
        """Format of what is appended next.

        The provider takes frames in order, so what follows an update is already in the
        format that it asks for.
        """
        return self._asked_format or _known(self._machine.input_format)

    # -- its life --------------------------------------------------------------------

    async def run(self) -> None:
        """Hand on what comes and what goes, until the provider ends the session."""
        writer = asyncio.create_task(self._write())
        try:
            while True:
                self._take(await self._transport.receive())
                await asyncio.sleep(0)  # a burst must not starve the other sessions
        except ConnectionLost as lost:
            self._hang_up(BROKEN if lost.code is None else lost.code, lost.reason)
        except Exception:
            log.exception("relay.failed")
            self._hang_up(BROKEN, "the relay failed, see its log")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Hang up on the provider as the client did on us."""
        for tap in self.taps:
            tap.end()
        known = code in SENDABLE or code in range(3000, 5000)
        await self._transport.close(code if known else GOING_AWAY, fitting(reason))

    def _hang_up(self, code: int, reason: str) -> None:
        if self.on_hangup is not None:
            self.on_hangup(code, fitting(reason))

    async def _write(self) -> None:
        while True:
            await self._transport.send(await self._outbox.get())

    # -- from the provider -----------------------------------------------------------

    def _take(self, frame: str | bytes) -> None:
        try:
            event = self._machine.receive(frame, asyncio.get_running_loop().time())
        except ProtocolError as error:
            log.warning("message.unread", extra={"rtnb.reason": error.reason})
        else:
            if self._machine.ignored is None:
                self._show(event)
        if self.on_frame is not None:
            self.on_frame(frame)

    def _show(self, event: Any) -> None:
        match event:
            case ev.SessionUpdated() | ev.Error():
                self._asked_format = None
            case ev.InputAudioBufferCommitted() if self.turn_detection is not None:
                self._uncommitted = 0
            case ev.ResponseOutputAudioDelta() if event.response_id in self._cancelled:
                return
        for observer in self.observers:
            observer(event)

    # -- from the client -------------------------------------------------------------

    async def receive(self, frame: str | bytes) -> None:
        """Take one frame; waits while the provider is slow."""
        await self._outbox.put(frame)
        try:
            event = decode_client(frame)
        except ProtocolError:
            return  # the provider will say so
        match event:
            case ev.InputAudioBufferAppend():
                self._hear(event.audio)
            case ev.InputAudioBufferCommit() | ev.InputAudioBufferClear():
                self._uncommitted = 0
            case ev.SessionUpdate():
                audio = getattr(event.session, "audio", UNSET)
                heard = getattr(audio, "input", UNSET)
                asked = getattr(heard, "format", UNSET)
                self._asked_format = _known(asked) if asked else self._asked_format
            case ev.ConversationItemTruncate():
                self._cut.add(event.item_id)

    # -- from the page ---------------------------------------------------------------

    def append_audio(self, samples: Samples) -> None:
        """Send microphone audio of the page, in the session's input format."""
        if self._outbox.full():
            log.warning("queue.dropped", extra={"rtnb.queue": "upstream"})
            return
        wire = self._input_format
        if self._encoder is None or self._encoder[0] != wire:
            self._encoder = wire, OutputEncoder(wire)
        audio = self._encoder[1](samples)
        if audio:
            self._send(ev.InputAudioBufferAppend(audio=audio))
            self._hear(audio)

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an answer at what was heard, once, within what came of it."""
        item = self._machine.items.get(item_id)
        if item is None or item.deleted or item_id in self._cut:
            return
        self._cut.add(item_id)
        spoken = [index for index, part in item.contents.items() if part.audio_ms]
        self._send(
            ev.ConversationItemTruncate(
                event_id=self._new_id("rtnb_cut_"),
                item_id=item_id,
                content_index=min(spoken, default=0),
                audio_end_ms=min(audio_end_ms, int(item.audio_ms)),
            )
        )

    def cancel(self) -> None:
        """Stop the answer that is being made; none of it is played any more."""
        active = self._machine.active_response
        if active is not None and active.id not in self._cancelled:
            self._cancelled.add(active.id)
            event_id = self._new_id("rtnb_cancel_")
            self._send(ev.ResponseCancel(event_id=event_id, response_id=active.id))

    def clear(self) -> None:
        """Empty the input buffer."""
        self._uncommitted = 0
        self._send(ev.InputAudioBufferClear(event_id=self._new_id("rtnb_clear_")))

    def end_turn(self) -> None:
        """End a push-to-talk turn, unless it would be an answer to nothing.

        Raises
        ------
        ServerError
            If less than 100 ms was said. What else the provider refuses it tells in an
            event whose id begins with `RELEASE_EVENTS`.
        """
        if self._uncommitted < SHORTEST_COMMIT:
            ms = 1000 * self._uncommitted / SAMPLE_RATE
            raise ServerError(
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least 100ms of audio, but buffer only has {ms:.2f}ms of audio.",
                type="invalid_request_error",
                code="input_audio_buffer_commit_empty",
            )
        self._uncommitted = 0
        self._send(ev.InputAudioBufferCommit(event_id=self._new_id(RELEASE_EVENTS)))
        self._send(ev.ResponseCreate(event_id=self._new_id(RELEASE_EVENTS)))

    def _send(self, event: ev.ClientEvent) -> None:
        try:
            self._outbox.put_nowait(encode(event))
        except asyncio.QueueFull:
            log.warning("queue.dropped", extra={"rtnb.queue": "upstream"})

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    # -- ears ------------------------------------------------------------------------

    def _hear(self, audio: bytes) -> None:
        """Hear what the provider hears; what it will refuse is not heard."""
        if len(audio) > MAX_APPEND_BYTES:
            return
        self._decoder.follow(self._input_format)
        try:
            samples = self._decoder(audio)
        except AudioFormatError:
            return
        for tap in self.taps:
            tap.hear(self._position, samples)
        self._position += len(samples)
        self._uncommitted += len(samples)
        self._vad.push(samples)
        probabilities = self._vad.take_probabilities()
        if len(probabilities):
            first = self._vad.hops - len(probabilities)
            for listener in self.listeners:
                listener(first, probabilities)


def _known(wire_format: object) -> AudioFormat:
    """The format, where it is one that we know; else what servers take it to be."""
    if isinstance(wire_format, ev.AudioPcm | ev.AudioPcmu | ev.AudioPcma):
        return wire_format
    return ev.AudioPcm()


def fitting(reason: str) -> str:
    """The beginning of a reason that a close frame can hold."""
    return reason.encode()[:LONGEST_REASON].decode("utf-8", "ignore")
