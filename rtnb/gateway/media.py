"""The page's audio: microphone in, answer out, and the ledger of what was heard.

A page opens ``/rtnb/media`` with a ticket and exchanges the frames of
`rtnb.gateway.frames` and small JSON texts. The gateway knows what it sent to the page
and the page says what it played; on barge-in the page is silenced first, and the answer
is then truncated at exactly the milliseconds that the page reports.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from rtnb.audio import Samples, pcm16_decode, pcm16_encode
from rtnb.errors import AudioFormatError, ProtocolError, ServerError
from rtnb.gateway.dialogue import RELEASE_EVENTS
from rtnb.gateway.frames import AnswerFrame, pack_answer, unpack_microphone
from rtnb.protocol import events as ev
from rtnb.protocol.formats import InputDecoder
from rtnb.protocol.server import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rtnb.gateway.dialogue import Dialogue

log = logging.getLogger("rtnb.gateway")

FLUSH_TIMEOUT_S = 0.5
"""A page answers a flush within 50 ms; one that does not is believed its last tick."""

MIC_REPORT_SAMPLES = SAMPLE_RATE // 2
"""Every half second the page learns how far the session's audio time has come."""

OUTBOX_FRAMES = 4096
"""Frames that may wait for a slow page: about a quarter of an hour of answer audio."""

TICKS = (
    ev.InputAudioBufferCommitted,
    ev.ResponseCreated,
    ev.ResponseDone,
    ev.ConversationItemTruncated,
    ev.ConversationItemInputAudioTranscriptionCompleted,
    ev.Error,
)
"""Events that the page marks on its timeline."""


class Ledger:
    """What was sent to the speaker and what of it was played, per item.

    Notes
    -----
    Samples at 24 kHz, in the order in which the items were sent.
    """

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}
        self._played: dict[str, float] = {}
        self._ended: set[str] = set()

    def sent(self, item_id: str, samples: int) -> int:
        """Note audio sent; returns the position in the item at which it starts."""
        start = self._sent.get(item_id, 0)
        self._sent[item_id] = start + samples
        return start

    def samples_sent(self, item_id: str) -> int:
        """All the audio sent of an item."""
        return self._sent.get(item_id, 0)

    def played(self, item_id: str, played_ms: float, *, ended: bool = False) -> None:
        """Note what the page says it played: never less than before, or than sent."""
        sent_ms = 1000 * self._sent.get(item_id, 0) / SAMPLE_RATE
        known = self._played.get(item_id, 0.0)
        self._played[item_id] = min(sent_ms, max(known, played_ms))
        if ended:
            self._ended.add(item_id)

    def played_ms(self, item_id: str) -> float:
        """How much of an item was played."""
        return self._played.get(item_id, 0.0)

    def unheard(self) -> list[str]:
        """Items that were sent and not played to their end, in order."""
        return [item_id for item_id in self._sent if item_id not in self._ended]

    def close(self, item_id: str) -> None:
        """The item was cut: nothing more of it will be played."""
        self._ended.add(item_id)


class MediaPort:
    """One page's connection to a conversation.

    Parameters
    ----------
    conversation : Dialogue
        Whose microphone and speaker this is.
    send : callable
        Sends one text or binary frame to the page.
    """

    def __init__(
        self,
        conversation: Dialogue,
        send: Callable[[str | bytes], Awaitable[None]],
    ) -> None:
        self.ledger = Ledger()
        self._conversation = conversation
        self._send = send
        self._outbox: deque[str | bytes] = deque(maxlen=OUTBOX_FRAMES)
        self._wake = asyncio.Event()
        self._closed = False
        self._decoders: dict[str, InputDecoder] = {}
        self._flushes: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reported = 0

    # -- life ------------------------------------------------------------------------

    def attach(self) -> None:
        """Greet the page and begin to watch the conversation."""
        dialogue = self._conversation
        self._say(type="hello", session_id=dialogue.id, sample_rate=SAMPLE_RATE)
        self._say(type="settings", turn_detection=dialogue.turn_detection)
        self._report_microphone()
        self._conversation.observers.append(self._observe)
        self._conversation.listeners.append(self._probability)

    def detach(self) -> None:
        """Stop watching; what the page played so far stays in the ledger."""
        self._conversation.observers.remove(self._observe)
        self._conversation.listeners.remove(self._probability)
        self._closed = True
        self._wake.set()
        for task in self._tasks:
            task.cancel()

    def end(self, reason: str) -> None:
        """Tell the page why, and end its connection."""
        self._say(type="error", message=reason)
        self._closed = True
        self._wake.set()

    async def write(self) -> None:
        """Send what waits until the port is closed and empty."""
        while True:
            while self._outbox:
                await self._send(self._outbox.popleft())
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()

    def _put(self, frame: str | bytes) -> None:
        if len(self._outbox) == OUTBOX_FRAMES:
            log.warning("queue.dropped", extra={"rtnb.queue": "media"})
        self._outbox.append(frame)
        self._wake.set()

    def _say(self, **message: Any) -> None:
        self._put(json.dumps(message))

    # -- from the page ---------------------------------------------------------------

    def receive_bytes(self, frame: bytes) -> None:
        """Take microphone audio; a malformed frame is reported, not fatal."""
        try:
            samples = pcm16_decode(unpack_microphone(frame).pcm)
        except (AudioFormatError, ProtocolError) as error:
            self._say(type="error", message=f"microphone frame refused: {error}")
            return
        self._conversation.append_audio(samples)

    def receive_text(self, text: str) -> None:
        """Take one message of the page; an unknown one is reported, not fatal."""
        try:
            message = json.loads(text)
            kind = message["type"]
            self._receive(kind, message)
        except (KeyError, TypeError, ValueError) as error:
            self._say(type="error", message=f"message refused: {error!r}")
        except ServerError as error:
            self._say(type="error", message=str(error))

    def _receive(self, kind: str, message: dict[str, Any]) -> None:
        match kind:
            case "ready":
                pass
            case "played":
                self.ledger.played(message["item_id"], float(message["played_ms"]))
            case "ended":
                self.ledger.played(
                    message["item_id"], float(message["played_ms"]), ended=True
                )
            case "flushed":
                waiting = self._flushes.get(message["flush_id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case "interrupt":
                self._conversation.cancel()
                self.silence()
            case "press":
                self._conversation.cancel()
                self.silence()
                self._conversation.clear()
            case "release":
                self._conversation.end_turn()
            case "ping":
                self._say(type="pong", t=message.get("t"))
            case _:
                raise ValueError(f"unknown type {kind!r}")

    # -- from the conversation -------------------------------------------------------

    def _observe(self, event: Any) -> None:
        match event:
            case ev.ResponseOutputAudioDelta():
                self._answer(event.item_id, event.delta)
            case ev.ResponseOutputAudioDone():
                self._decoders.pop(event.item_id, None)
                samples = self.ledger.samples_sent(event.item_id)
                self._say(type="item_done", item_id=event.item_id, samples=samples)
            case ev.InputAudioBufferSpeechStarted():
                self._say(type="speech_started", audio_start_ms=event.audio_start_ms)
                detection = self._conversation.turn_detection
                if detection is not None and detection.get("interrupt_response", True):
                    self.silence()
            case ev.InputAudioBufferSpeechStopped():
                self._say(type="speech_stopped", audio_end_ms=event.audio_end_ms)
            case ev.SessionUpdated():
                detection = self._conversation.turn_detection
                self._say(type="settings", turn_detection=detection)
            case _ if isinstance(event, TICKS):
                self._say(type="tick", event=ev.type_name(type(event)))
                self._complain(event)

    def _complain(self, event: Any) -> None:
        """Tell the page why a provider did not take its push-to-talk turn."""
        if isinstance(event, ev.Error):
            event_id = event.error.event_id or ""
            if event_id.startswith(RELEASE_EVENTS):
                self._say(type="error", message=event.error.message)

    def _answer(self, item_id: str, data: bytes) -> None:
        decoder = self._decoders.get(item_id)
        if decoder is None:
            wire = self._conversation.answer_format(item_id)
            decoder = self._decoders[item_id] = InputDecoder(wire)
        try:
            samples = decoder(data)
        except AudioFormatError as error:  # only a provider's: ours sends whole samples
            log.warning("answer.unreadable", extra={"rtnb.reason": str(error)})
            return
        start = self.ledger.sent(item_id, len(samples))
        self._put(pack_answer(AnswerFrame(item_id, start, pcm16_encode(samples))))

    def _probability(self, first_hop: int, probabilities: Samples) -> None:
        p = [round(float(value), 4) for value in probabilities]
        self._say(type="probability", hop0=first_hop, hop_ms=32, p=p)
        appended = self._conversation.samples_appended
        if appended - self._reported >= MIC_REPORT_SAMPLES:
            self._report_microphone()

    def _report_microphone(self) -> None:
        self._reported = self._conversation.samples_appended
        self._say(type="mic", samples=self._reported)

    # -- barge-in --------------------------------------------------------------------

    def silence(self) -> None:
        """Empty the page's player and truncate what it did not play."""
        if self.ledger.unheard():
            task = asyncio.create_task(self._flush())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _flush(self) -> None:
        flush_id = f"flush_{len(self._flushes) + 1}"
        answer = asyncio.get_running_loop().create_future()
        self._flushes[flush_id] = answer
        unheard = self.ledger.unheard()
        self._say(type="flush", flush_id=flush_id)
        try:
            message = await asyncio.wait_for(answer, FLUSH_TIMEOUT_S)
            item_id = message["item_id"]
            if item_id is not None:
                self.ledger.played(item_id, float(message["played_ms"]))
        except TimeoutError:
            log.warning("flush.unanswered", extra={"rtnb.flush_id": flush_id})
        for item_id in unheard:
            if item_id in self.ledger.unheard():
                self.ledger.close(item_id)
                played_ms = int(self.ledger.played_ms(item_id))
                self._conversation.truncate(item_id, played_ms)
