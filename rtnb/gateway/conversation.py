"""One conversation: drives a `ServerMachine` with recognition, answers and a voice.

Everything here runs on the gateway's event loop. `receive` and `append_audio` take what
a client sends and return at once; answers and transcripts are made by tasks that call
the machine back. Events leave through the observers, in the machine's order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rtnb.audio import Samples, StreamingResampler
from rtnb.clock import Clock, SystemClock
from rtnb.errors import EngineError, ServerError
from rtnb.gateway.parts import SpeechToText, TextToSpeech, speech
from rtnb.gateway.responder import Pause, Request, Responder, ToolCall, stream
from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.gateway.parts import Listening
    from rtnb.gateway.tap import Tap

log = logging.getLogger("rtnb.gateway")

DELTA_SAMPLES = SAMPLE_RATE // 4
"""Audio leaves in pieces of 250 ms, as observed on the service (12 000 bytes)."""

RECOGNITION_TIMEOUT_S = 20.0
"""An answer waits this long for the words it answers, then says that none came."""

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
    clock : Clock
        Paces the audio; an `InstantClock` bursts it.
    rate : float, default 4.0
        How much faster than real time audio leaves after the first second. The service
        was seen to send 3.2–5.0 s of audio within the first second.
    """

    responder: Responder
    recogniser: SpeechToText
    voice: TextToSpeech
    clock: Clock = field(default_factory=SystemClock)
    rate: float = 4.0


class Conversation:
    """A machine, its engine and everybody who watches.

    Parameters
    ----------
    machine : ServerMachine
        Fresh: its ``session.created`` is still to be taken.
    engine : Engine
        What answers.

    Attributes
    ----------
    observers : list of callables
        Each is called with every server event, in order.
    listeners : list of callables
        Each is called with ``(first_hop, probabilities)`` as they come.
    taps : list of Tap
        Each hears all input audio, in order.
    on_hangup : callable or None
        Called with ``(code, reason)`` when the machine ends the session.
    """

    def __init__(self, machine: ServerMachine, engine: Engine) -> None:
        self.machine = machine
        self.engine = engine
        self.observers: list[Callable[[Any], None]] = []
        self.listeners: list[Callable[[int, Samples], None]] = []
        self.taps: list[Tap] = []
        self.on_hangup: Callable[[int, str], None] | None = None
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._ears: dict[str, tuple[Listening, StreamingResampler]] = {}
        self._recognitions: dict[str, asyncio.Task[str | None]] = {}
        self._judgements: set[asyncio.Task[None]] = set()
        self._told_unjudged = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> float:
        """The engine's time, seconds since the epoch."""
        return self.engine.clock.now()

    # -- what comes in ---------------------------------------------------------------

    def receive(self, message: str | bytes) -> None:
        """Take one frame of the control connection."""
        self.machine.receive(message, self.now)
        self.pump()

    def append_audio(self, samples: Samples) -> None:
        """Take microphone audio of the media connection; float32, mono, 24 kHz."""
        self.machine.append_audio(samples, self.now)
        self.pump()

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an answer at what was heard; one that cannot be cut is left alone."""
        with contextlib.suppress(ServerError):
            self.machine.truncate(item_id, 0, audio_end_ms, self.now)
        self.pump()

    def cancel(self) -> None:
        """Stop the answer that is being made."""
        self.machine.cancel(self.now)
        self.pump()

    def clear(self) -> None:
        """Empty the input buffer."""
        self.machine.clear(self.now)
        self.pump()

    def commit_and_respond(self) -> None:
        """End a push-to-talk turn.

        Raises
        ------
        ServerError
            If less than 100 ms was said, or an answer is being made.
        """
        try:
            self.machine.commit(self.now)
            self.machine.respond(self.now)
        finally:
            self.pump()

    async def close(self) -> None:
        """End every task; nothing of the conversation runs afterwards."""
        if self._timer is not None:
            self._timer.cancel()
        for tap in self.taps:
            tap.end()
        for utterance, _ in self._ears.values():
            utterance.cancel()
        tasks = [
            *self._answers.values(),
            *self._recognitions.values(),
            *self._judgements,
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what goes out ---------------------------------------------------------------

    def pump(self) -> None:
        """Send what the machine has to say and start what it asks for."""
        for position, samples in self.machine.take_audio():
            for tap in self.taps:
                tap.hear(position, samples)
        for first_hop, probabilities in self.machine.take_probabilities():
            for listener in self.listeners:
                listener(first_hop, probabilities)
        for event in self.machine.take_events():
            for observer in self.observers:
                observer(event)
        for effect in self.machine.take_effects():
            self._do(effect)
        self._arm_timer()

    def _do(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Respond():
                task = asyncio.create_task(self._respond(effect))
                self._answers[effect.response_id] = task
            case effects.StopResponding(response_id):
                answer = self._answers.get(response_id)
                if answer is not None and answer is not asyncio.current_task():
                    answer.cancel()
            case effects.Hangup(code, reason):
                if self.on_hangup is not None:
                    self.on_hangup(code, reason)
            case _:
                self._do_with_ears(effect)

    def _do_with_ears(
        self,
        effect: effects.Listen
        | effects.Hear
        | effects.JudgePause
        | effects.Recognise
        | effects.Forget,
    ) -> None:
        match effect:
            case effects.Listen(item_id):
                resampler = StreamingResampler(SAMPLE_RATE, 16_000)
                self._ears[item_id] = (self.engine.recogniser.utterance(), resampler)
            case effects.Hear(item_id, samples):
                utterance, resampler = self._ears[item_id]
                utterance.feed(resampler(samples))
            case effects.JudgePause(item_id):
                utterance, _ = self._ears[item_id]
                judging = asyncio.create_task(self._judge(effect, utterance))
                self._judgements.add(judging)
                judging.add_done_callback(self._judgements.discard)
            case effects.Recognise(item_id):
                task = asyncio.create_task(self._recognise(item_id))
                self._recognitions[item_id] = task
            case effects.Forget(item_id):
                self._ears.pop(item_id)[0].cancel()

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.0, self.machine.next_deadline() - self.now)
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self.machine.tick(self.now)
        if self.machine.next_deadline() > self.now:
            self.pump()
        else:  # the session is over: no further deadline
            self._flush_last_words()

    def _flush_last_words(self) -> None:
        for event in self.machine.take_events():
            for observer in self.observers:
                observer(event)
        for effect in self.machine.take_effects():
            self._do(effect)

    # -- recognition -----------------------------------------------------------------

    async def _judge(self, pause: effects.JudgePause, utterance: Listening) -> None:
        """Have a pause judged; where recognition fails, nothing is said about it."""
        asked_at = self.now
        probability = failure = None
        try:
            probability = await utterance.judge()
        except EngineError as error:
            failure = str(error)
        in_time = self.machine.judged(pause, probability, self.now)
        took = self.now - asked_at
        if not in_time:  # the user may have ended the turn by hand
            late = took >= effects.JUDGE_PATIENCE_S
            failure = f"recognition took {took:.1f} s" if late else None
        if failure is not None and not self._told_unjudged:
            self._told_unjudged = True
            log.warning("pause.unjudged", extra={"rtnb.reason": failure})
        self.pump()

    async def _recognise(self, item_id: str) -> str | None:
        """Finish the item's utterance; returns why it failed, or None."""
        utterance, _ = self._ears.pop(item_id)
        try:
            transcript = await utterance.finish()
        except EngineError as error:
            self.machine.transcription_failed(item_id, str(error), self.now)
            return str(error)
        else:
            self.machine.transcribed(item_id, transcript.text, self.now)
            return None
        finally:
            self.pump()

    async def _heard(self, item_id: str | None) -> str | None:
        """Wait for the words of a user item; returns why there are none, or None."""
        recognition = self._recognitions.pop(item_id or "", None)
        if recognition is None:
            return None
        try:
            return await asyncio.wait_for(
                asyncio.shield(recognition), RECOGNITION_TIMEOUT_S
            )
        except TimeoutError:
            return f"recognition took longer than {RECOGNITION_TIMEOUT_S:.0f} s"

    # -- answers ---------------------------------------------------------------------

    async def _respond(self, wanted: effects.Respond) -> None:
        response_id = wanted.response_id
        try:
            failed = await self._heard(wanted.user_item_id)
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
            self.machine.fail(response_id, str(error), self.now)
        except Exception as error:
            log.exception("response.failed")
            self.machine.fail(response_id, f"{type(error).__name__}: {error}", self.now)
        finally:
            self._answers.pop(response_id, None)
            self.pump()

    def _request(self, wanted: effects.Respond, failed: str | None) -> Request:
        user = wanted.user_item_id
        return Request(
            instructions=wanted.instructions,
            items=self.machine.current(wanted.items),
            tools=wanted.tools,
            tool_choice=wanted.tool_choice,
            user_text=self.machine.user_text(user) if user else None,
            heard_ms=wanted.heard_ms,
            transcription_failed=failed,
            now=datetime.fromtimestamp(self.now).astimezone(),
        )


class _Answer:
    """Turns a responder's pieces into deltas: words, sound in 250 ms, calls."""

    def __init__(self, conversation: Conversation, wanted: effects.Respond) -> None:
        self._conversation = conversation
        self._machine = conversation.machine
        self._clock = conversation.engine.clock
        self._wanted = wanted
        self._text = ""
        self._sent = 0
        self._began = conversation.now

    async def give(self, piece: str | ToolCall | Pause) -> bool:
        """Deliver one piece; False when the response is over."""
        match piece:
            case str():
                return await self._words(piece)
            case ToolCall(name, arguments):
                if not await self.end():
                    return False
                on = self._machine.call(
                    self._wanted.response_id, name, arguments, self._clock.now()
                )
                self._conversation.pump()
                return on
            case Pause(seconds):
                if not await self.end():
                    return False
                await self._clock.sleep(seconds)
                return self._machine.is_active(self._wanted.response_id)

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
        text = clause if self._sent == 0 else f" {clause}"
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
        """Send sound: the first second at once, then at the engine's rate."""
        ahead = self._sent / SAMPLE_RATE - 1.0
        due = self._began + ahead / self._conversation.engine.rate
        if due > self._clock.now():
            await self._clock.sleep(due - self._clock.now())
        if self._sent == 0:
            self._began = self._clock.now()
        self._sent += len(samples)
        on = self._machine.play(self._wanted.response_id, samples, self._clock.now())
        self._conversation.pump()
        return on
