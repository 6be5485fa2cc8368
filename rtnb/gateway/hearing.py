"""One session that hears: drives a machine with recognition.

Everything here runs on the gateway's event loop. `Hearing.receive` and
`Hearing.append_audio` take what a client sends and return at once; transcripts are made
by tasks that call the machine back. Events leave through the observers, in the machine's
order.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from rtnb.audio import Samples, StreamingResampler
from rtnb.errors import EngineError
from rtnb.gateway.recogniser import NoWordsError
from rtnb.gateway.responder import told_of
from rtnb.protocol import server as effects
from rtnb.protocol.events import AudioPcm
from rtnb.protocol.server import SAMPLE_RATE, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rtnb.clock import Cancellable
    from rtnb.gateway.conversation import Engine
    from rtnb.gateway.parts import Listening
    from rtnb.gateway.recogniser import Transcript
    from rtnb.gateway.responder import Told
    from rtnb.gateway.tap import Tap
    from rtnb.protocol.events import AudioFormat

    Result = TypeVar("Result")

log = logging.getLogger("rtnb.gateway")

RECOGNITION_TIMEOUT_S = 20.0
"""An answer waits this long for the words it answers, then says that none came."""


class Hearing:
    """A machine, its engine and everybody who watches.

    Parameters
    ----------
    machine : Machine
        Fresh: its ``session.created`` is still to be taken.
    engine : Engine
        Whose ears and whose clock.

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

    def __init__(self, machine: Machine, engine: Engine) -> None:
        self.machine = machine
        self.engine = engine
        self.observers: list[Callable[[Any], None]] = []
        self.listeners: list[Callable[[int, Samples], None]] = []
        self.taps: list[Tap] = []
        self.on_hangup: Callable[[int, str], None] | None = None
        self._ears: dict[str, tuple[Listening, StreamingResampler]] = {}
        self._recognitions: dict[str, asyncio.Task[str | None]] = {}
        self._questions: set[asyncio.Task[None]] = set()
        self._told_unjudged = False
        self._late: dict[str, str] = {}
        self._timer: Cancellable | None = None

    @property
    def now(self) -> float:
        """The engine's time, seconds since the epoch."""
        return self.engine.clock.now()

    @property
    def id(self) -> str:
        """Identifier of the session."""
        return self.machine.id

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """Settings in force, as on the wire."""
        return self.machine.turn_detection

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""
        return self.machine.samples_appended

    def answer_format(self, item_id: str) -> AudioFormat:  # noqa: ARG002 - see Dialogue
        """Wire format of an answer's audio; here there is none."""
        return AudioPcm(rate=SAMPLE_RATE)

    # -- what comes in ---------------------------------------------------------------

    def receive(self, message: str | bytes) -> None:
        """Take one frame of the control connection."""
        self.machine.receive(message, self.now)
        self.pump()

    async def take(self, message: str | bytes) -> None:
        """The same, and wait for what follows where that takes no time.

        Notes
        -----
        On a `rtnb.clock.VirtualClock` everything that the frame leads to is done before
        the next one is taken, and audio takes as long as it lasts; so what is answered
        does not depend on how fast the frames come.
        """
        clock, appended = self.engine.clock, self.samples_appended
        self.receive(message)
        await clock.rest()
        await clock.elapse((self.samples_appended - appended) / SAMPLE_RATE)

    def append_audio(self, samples: Samples) -> None:
        """Take microphone audio of the media connection; float32, mono, 24 kHz."""
        self.machine.append_audio(samples, self.now)
        self.pump()

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an answer at what was heard; here there is none."""

    def cancel(self) -> None:
        """Stop the answer that is being made; here there is none."""

    def clear(self) -> None:
        """Empty the input buffer."""
        self.machine.clear(self.now)
        self.pump()

    def end_turn(self) -> None:
        """End a push-to-talk turn.

        Raises
        ------
        ServerError
            If less than 100 ms was said, or an answer is being made.
        """
        try:
            self.machine.end_turn(self.now)
        finally:
            self.pump()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Everything that is under way."""
        return [*self._recognitions.values(), *self._questions]

    async def close(self) -> None:
        """End every task; nothing of the conversation runs afterwards."""
        if self._timer is not None:
            self._timer.cancel()
        for tap in self.taps:
            tap.end()
        for utterance, _ in self._ears.values():
            utterance.cancel()
        tasks = self.tasks()
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
            self.do(effect)
        self._arm_timer()

    def do(self, effect: effects.Effect) -> None:
        """Start what the machine asks for."""
        match effect:
            case effects.Listen(item_id):
                resampler = StreamingResampler(SAMPLE_RATE, 16_000)
                self._ears[item_id] = (self.engine.recogniser.utterance(), resampler)
            case effects.Hear(item_id, samples):
                utterance, resampler = self._ears[item_id]
                utterance.feed(resampler(samples))
            case effects.JudgePause(item_id):
                self._ask(self._judge(effect, self._ears[item_id][0]))
            case effects.Draft(item_id):
                self._ask(self._draft(effect, self._ears[item_id][0]))
            case effects.Recognise(item_id):
                task = self.start(self._recognise(item_id))
                self._recognitions[item_id] = task
            case effects.Forget(item_id):
                self._ears.pop(item_id)[0].cancel()
            case effects.Hangup(code, reason):
                if self.on_hangup is not None:
                    self.on_hangup(code, reason)

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Begin something that takes time only where it sleeps on the clock."""
        task = asyncio.create_task(work)
        self.engine.clock.work(task)
        return task

    def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        task = self.start(question)
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.engine.clock.call_at(
            self.machine.next_deadline(), self._tick
        )

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
            self.do(effect)

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

    async def _draft(self, asked: effects.Draft, utterance: Listening) -> None:
        """Have the words so far; where recognition fails, its end will say so."""
        try:
            words = await utterance.draft()
        except EngineError:
            words = ()
        self.machine.drafted(asked, words, self.now)
        self.pump()

    async def _recognise(self, item_id: str) -> str | None:
        """Finish the item's utterance; returns why it failed, or None."""
        utterance, _ = self._ears.pop(item_id)
        try:
            transcript = await utterance.finish()
        except NoWordsError as error:
            self.machine.nothing_heard(item_id, str(error), self.now)
            return str(error)
        except EngineError as error:
            self.machine.transcription_failed(item_id, str(error), self.now)
            return str(error)
        else:
            told = told_of(self.engine.responder, transcript.text)
            if told.at_once:
                self._tell(item_id, transcript, told)
            else:
                self._late[item_id] = transcript.text
                self._ask(self._tell_late(item_id, transcript, told))
            return None
        finally:
            self.pump()

    async def _tell_late(
        self, item_id: str, transcript: Transcript, told: Told
    ) -> None:
        """Let the client wait for words that are known; the answer does not."""
        await self.engine.clock.sleep(told.delay)
        self._tell(item_id, transcript, told)
        self.pump()

    def _tell(self, item_id: str, transcript: Transcript, told: Told) -> None:
        if told.failure is not None:
            self._late[item_id] = transcript.text
            self.machine.transcription_failed(item_id, told.failure, self.now)
        else:
            self._late.pop(item_id, None)
            self.machine.transcribed(
                item_id, transcript.text, self.now, transcript.words
            )

    def untold(self, item_id: str) -> str | None:
        """Words of an item that are known and not told to the client, if there are."""
        return self._late.get(item_id)

    async def heard(self, item_id: str | None) -> str | None:
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
