"""One conversation: what is heard is answered, and the answer spoken.

Everything here runs on the gateway's event loop; see `rtnb.gateway.hearing` for the half
that listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from rtnb.clock import Clock, SystemClock
from rtnb.errors import EngineError, ServerError
from rtnb.gateway.hearing import Hearing
from rtnb.gateway.mcp import McpClients
from rtnb.gateway.parts import SpeechToText, TextToSpeech, speech
from rtnb.gateway.responder import (
    Failure,
    NextMessage,
    Pace,
    Pause,
    Piece,
    Request,
    Responder,
    StopShort,
    ToolCall,
    stream,
)
from rtnb.gateway.translators import PhraseBook, Translator
from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine, Tokens
from rtnb.protocol.server.items import text_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rtnb.audio import Samples
    from rtnb.protocol.events import AudioFormat

log = logging.getLogger("rtnb.gateway")

DELTA_SAMPLES = SAMPLE_RATE // 4
"""Audio leaves in pieces of 250 ms, as observed on the service (12 000 bytes)."""

CLAUSE = re.compile(r"(?<=[.!?…])\s+|(?<=[;:,])\s+(?=.{24,})|\n+")
"""Where speech may be cut so that the first clause is heard while the rest is made."""


@dataclass(frozen=True)
class Engine:
    """What answers: shared by all conversations of a gateway.

    Parameters
    ----------
    responder : callable
        See `rtnb.gateway.responder`.
    recogniser : SpeechToText
        Ears that write down words.
    voice : TextToSpeech
        Mouth.
    translator : Translator
        Says sentences in another language.
    clock : Clock
        Paces the audio; an `InstantClock` bursts it.
    rate : float, default 4.0
        How much faster than real time audio leaves after the first second. The service
        was seen to send 3.2–5.0 s of audio within the first second.
    mcp_allow_private : bool, default False
        Whether MCP servers may have addresses that are not of the public Internet.
    seed : int, optional
        Makes the identifiers of sessions repeatable.
    """

    responder: Responder
    recogniser: SpeechToText
    voice: TextToSpeech
    translator: Translator = field(default_factory=PhraseBook)
    clock: Clock = field(default_factory=SystemClock)
    rate: float = 4.0
    mcp_allow_private: bool = False
    seed: int | None = None

    def of_session(self, number: int) -> Engine:
        """The engine as the session of this number has it: with a time of its own."""
        seed = None if self.seed is None else self.seed + number
        return replace(self, clock=self.clock.of_session(), seed=seed)


class Conversation(Hearing):
    """A session that answers.

    Parameters
    ----------
    machine : ServerMachine
        Fresh: its ``session.created`` is still to be taken.
    engine : Engine
        What answers.
    """

    machine: ServerMachine

    def __init__(self, machine: ServerMachine, engine: Engine) -> None:
        super().__init__(machine, engine)
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._mcp = McpClients(allow_private=engine.mcp_allow_private)
        self._mcp_work: dict[str, asyncio.Task[None]] = {}

    @override
    def answer_format(self, item_id: str) -> AudioFormat:
        """Wire format of an answer's audio."""
        return self.machine.format("output")

    @override
    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an answer at what was heard; one that cannot be cut is left alone."""
        with contextlib.suppress(ServerError):
            self.machine.truncate(item_id, 0, audio_end_ms, self.now)
        self.pump()

    @override
    def cancel(self) -> None:
        """Stop the answer that is being made."""
        self.machine.cancel(self.now)
        self.pump()

    @override
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Everything that is under way."""
        answers, calls = self._answers.values(), self._mcp_work.values()
        return [*super().tasks(), *answers, *calls]

    @override
    async def close(self) -> None:
        await super().close()
        await self._mcp.close()

    @override
    def do(self, effect: effects.Effect) -> None:
        """Start what the machine asks for."""
        match effect:
            case effects.Respond():
                task = self.start(self._respond(effect))
                self._answers[effect.response_id] = task
            case effects.StopResponding(response_id):
                answer = self._answers.get(response_id)
                if answer is not None and answer is not asyncio.current_task():
                    answer.cancel()
            case effects.ListMcpTools(item_id):
                self._work(item_id, self._list_mcp_tools(effect))
            case effects.CallMcpTool(item_id):
                self._work(item_id, self._call_mcp_tool(effect))
            case effects.StopMcpCall(item_id):
                if item_id in self._mcp_work:
                    self._mcp_work[item_id].cancel()
            case effects.ForgetMcpServer(server):
                self._work(f"forget {server.url}", self._mcp.forget(server))
            case _:
                super().do(effect)

    # -- MCP servers -----------------------------------------------------------------

    def _work(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self.start(work)
        self._mcp_work[name] = task
        task.add_done_callback(lambda _: self._mcp_work.pop(name, None))

    async def _list_mcp_tools(self, wanted: effects.ListMcpTools) -> None:
        try:
            tools = await self._mcp.list_tools(wanted.server)
        except EngineError as error:
            log.warning("mcp.unlisted", extra={"rtnb.reason": str(error)})
            self.machine.mcp_failed(wanted.item_id, str(error), self.now)
        else:
            self.machine.mcp_listed(wanted.item_id, tools, self.now)
        self.pump()

    async def _call_mcp_tool(self, wanted: effects.CallMcpTool) -> None:
        result = await self._mcp.call(wanted.server, wanted.name, wanted.arguments)
        self.machine.mcp_called(wanted.item_id, result, self.now)
        self.pump()

    # -- answers ---------------------------------------------------------------------

    async def _respond(self, wanted: effects.Respond) -> None:
        response_id = wanted.response_id
        try:
            failed = await self.heard(wanted.user_item_id)
            request = self._request(wanted, failed)
            answer = _Answer(self, wanted)
            async with contextlib.aclosing(
                stream(self.engine.responder, request)
            ) as pieces:
                async for piece in pieces:
                    if not await answer.give(piece):
                        return
            await answer.end()
            self.machine.finish(response_id, self.now)
        except EngineError as error:
            log.warning("response.failed", extra={"rtnb.reason": str(error)})
            self.machine.fail(response_id, str(error), self.now, code=error.code)
        except Exception as error:
            log.exception("response.failed")
            self.machine.fail(response_id, f"{type(error).__name__}: {error}", self.now)
        finally:
            if self._answers.get(response_id) is asyncio.current_task():
                del self._answers[response_id]
            self.pump()

    def _request(self, wanted: effects.Respond, failed: str | None) -> Request:
        user = wanted.user_item_id
        items = self.machine.current(wanted.items)
        return Request(
            instructions=wanted.instructions,
            items=items,
            tools=wanted.tools,
            tool_choice=wanted.tool_choice,
            user_text=self._words(user) or _written(items),
            heard_ms=wanted.heard_ms,
            transcription_failed=failed,
            now=datetime.fromtimestamp(self.now, UTC).astimezone(
                self.engine.clock.zone
            ),
        )

    def _words(self, item_id: str | None) -> str | None:
        """What the user said in an item, whether the client was told or not."""
        if item_id is None:
            return None
        return self.untold(item_id) or self.machine.user_text(item_id)


def _written(items: tuple[Any, ...]) -> str | None:
    """Words of the last user message, which need not be of the conversation."""
    said = [each for each in items if getattr(each, "role", None) == "user"]
    parts = getattr(said[-1], "content", ()) if said else ()
    return " ".join(filter(None, map(text_of, parts))) or None


class _Answer:
    """Turns a responder's pieces into deltas: words, sound in 250 ms, calls."""

    def __init__(self, conversation: Conversation, wanted: effects.Respond) -> None:
        self._conversation = conversation
        self._machine = conversation.machine
        self._clock = conversation.engine.clock
        self._wanted = wanted
        self._text = ""
        self._begun = False
        self._sent = self._paced_from = 0
        self._rate = conversation.engine.rate
        self._began = conversation.now

    async def give(self, piece: Piece) -> bool:
        """Deliver one piece; False when the response is over."""
        if isinstance(piece, str):
            return await self._words(piece)
        if not await self.end():
            return False
        if isinstance(piece, Pause):
            await self._clock.sleep(piece.seconds)
        else:
            self._act(piece)
            self._conversation.pump()
        return self._machine.is_active(self._wanted.response_id)

    def _act(
        self, piece: ToolCall | NextMessage | Pace | Tokens | StopShort | Failure
    ) -> None:
        machine, response_id = self._machine, self._wanted.response_id
        now = self._clock.now()
        match piece:
            case ToolCall(name, arguments):
                machine.call(response_id, name, arguments, now)
            case NextMessage():
                machine.next_message(response_id, now)
                self._begun = False
            case Pace(rate):
                self._rate, self._paced_from, self._began = rate, self._sent, now
            case Tokens():
                machine.account(response_id, piece)
            case StopShort(reason):
                machine.stop(response_id, reason, now)
            case Failure(message, code):
                machine.fail(response_id, message, now, code=code)

    async def end(self) -> bool:
        """Deliver what is still held back; False when the response is over."""
        text, self._text = self._text.strip(), ""
        return await self._speak(text) if text else True

    async def _words(self, piece: str) -> bool:
        if self._wanted.modality == "text":
            return self._write(piece)
        self._text += piece
        *clauses, self._text = CLAUSE.split(self._text)
        for clause in clauses:
            if clause.strip() and not await self._speak(clause.strip()):
                return False
        return True

    def _write(self, text: str) -> bool:
        on = True
        for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text):
            on = on and self._machine.write(
                self._wanted.response_id, word, self._clock.now()
            )
        self._conversation.pump()
        return on

    async def _speak(self, clause: str) -> bool:
        """Say one clause, its words a little ahead of its sound."""
        mouth, wanted = self._conversation.engine.voice, self._wanted
        text = f" {clause}" if self._begun else clause
        self._begun = True
        shift = len(text) - len(clause)
        written = 0
        held: list[Samples] = []
        spoken = speech(mouth, clause, voice=wanted.voice, speed=wanted.speed)
        async with contextlib.aclosing(spoken) as pieces:
            async for piece in pieces:
                upto = max((word.end + shift for word in piece.words), default=written)
                if upto > written and not self._write(text[written:upto]):
                    return False
                written = max(written, upto)
                held.append(piece.samples)
                sound = np.concatenate(held)
                while len(sound) >= DELTA_SAMPLES:
                    if not await self._play(sound[:DELTA_SAMPLES]):
                        return False
                    sound = sound[DELTA_SAMPLES:]
                held = [sound]
        if written < len(text) and not self._write(text[written:]):
            return False
        rest = np.concatenate(held) if held else np.zeros(0, np.float32)
        return await self._play(rest) if len(rest) else True

    async def _play(self, samples: Samples) -> bool:
        """Send sound: the first second at once, then at the rate of the answer."""
        head_start = 0.0 if self._paced_from else 1.0
        ahead = (self._sent - self._paced_from) / SAMPLE_RATE - head_start
        due = self._began + ahead / self._rate
        if due > self._clock.now():
            await self._clock.sleep(due - self._clock.now())
        if self._sent == 0:
            self._began = self._clock.now()
        self._sent += len(samples)
        on = self._machine.play(self._wanted.response_id, samples, self._clock.now())
        self._conversation.pump()
        return on
