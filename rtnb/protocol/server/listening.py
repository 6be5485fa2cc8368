"""What every machine does that hears a user: take frames and audio, keep time.

A conversation answers what it hears, a transcription session writes it down and no more,
a translation session says it in another language.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol import translation as tr
from rtnb.protocol.server.effects import Hangup
from rtnb.protocol.server.input_audio import InputAudio
from rtnb.protocol.server.items import Items
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.protocol.server.transcripts import Transcripts
from rtnb.protocol.validation import parse_client_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rtnb.audio import Samples
    from rtnb.protocol.server.effects import Draft, Effect, JudgePause
    from rtnb.protocol.server.settings import AnySession, Settings
    from rtnb.protocol.server.transcripts import HeardWord


class Machine(Protocol):
    """What drives a session of any kind can rely on."""

    @property
    def id(self) -> str:
        """The session's identifier."""

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The effective turn detection object, or None."""

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one frame; a bad one becomes an ``error`` event and changes nothing."""

    def append_audio(self, samples: Samples, now: float) -> None:
        """Take audio of the user; float32, mono, 24 kHz, any length."""

    def clear(self, now: float) -> None:
        """Drop the buffered audio."""

    def end_turn(self, now: float) -> None:
        """The user let go of the button.

        Raises
        ------
        ServerError
            If that makes no turn.
        """

    def take_events(self) -> list[Any]:
        """Events to send, in order; each is given once."""

    def take_effects(self) -> list[Effect]:
        """Work for the engine, in order; each is given once."""

    def take_probabilities(self) -> list[tuple[int, Samples]]:
        """Speech probabilities since the last call: (first hop, one per 32 ms hop)."""

    def take_audio(self) -> list[tuple[int, Samples]]:
        """Input audio since the last call: (position of its first sample, samples)."""

    def judged(self, pause: JudgePause, probability: float | None, now: float) -> bool:
        """The engine judged a pause; whether that still counts."""

    def drafted(self, asked: Draft, words: Sequence[HeardWord], now: float) -> None:
        """The engine has heard so much so far."""

    def transcribed(
        self, item_id: str, text: str, now: float, words: Sequence[HeardWord] = ()
    ) -> None:
        """The engine recognised an utterance."""

    def nothing_heard(self, item_id: str, message: str, now: float) -> None:
        """There were no words in an utterance."""

    def transcription_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not recognise an utterance."""

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest, seconds since the epoch."""

    def tick(self, now: float) -> None:
        """Let time pass."""


class SessionEnd:
    """The end that every session has.

    Parameters
    ----------
    outbox : Outbox
        Where the error and the hang-up go.
    at : float
        When it is, seconds since the epoch.

    Attributes
    ----------
    at : float
        The same.
    """

    def __init__(self, outbox: Outbox, at: float) -> None:
        self._outbox = outbox
        self.at = at
        self._over = False

    def tick(self) -> None:
        """Say that the session is over, and hang up, if it is."""
        if self._outbox.now >= self.at and not self._over:
            self._over = True
            message = "Your session hit the maximum duration of 60 minutes."
            self._outbox.refuse(refusal(message, "session_expired"))
            self._outbox.want(Hangup(1001, message))


class ListeningMachine(ABC):
    """The half of a session that listens.

    Parameters
    ----------
    outbox : Outbox
        Where events and effects go.
    settings : Settings
        What is in force.

    Notes
    -----
    Not thread-safe: one owner calls it. Nothing in here waits.
    """

    _updated: type = ev.SessionUpdated

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox = outbox
        self._settings = settings
        self._items = Items(outbox, settings)
        self._transcripts = Transcripts(outbox, settings, self._items)
        self._input = InputAudio(outbox, settings, self._items, self._transcripts)
        self._end = SessionEnd(outbox, settings.expires_at)
        self._handlers = self._all_handlers()

    # -- what the outside takes ------------------------------------------------------

    def take_events(self) -> list[Any]:
        """Events to send, in order; each is given once."""
        return self._outbox.take_events()

    def take_effects(self) -> list[Effect]:
        """Work for the engine, in order; each is given once."""
        return self._outbox.take_effects()

    def take_probabilities(self) -> list[tuple[int, Samples]]:
        """Speech probabilities since the last call: (first hop, one per 32 ms hop)."""
        return self._input.take_probabilities()

    def take_audio(self) -> list[tuple[int, Samples]]:
        """Input audio since the last call: (position of its first sample, samples)."""
        return self._input.take_audio()

    @property
    def id(self) -> str:
        """The session's identifier."""
        return str(self._settings.raw["id"])

    @property
    def session(self) -> AnySession:
        """The settings in force."""
        return self._settings.session

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""
        return self._input.samples_appended

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The effective turn detection object, or None."""
        return self._settings.turn_detection

    def user_text(self, item_id: str) -> str | None:
        """Text or transcript of a user item; None where there is none (yet)."""
        return self._items.user_text(item_id)

    # -- what the client sends -------------------------------------------------------

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one frame; a bad one becomes an ``error`` event and changes nothing."""
        self._outbox.now = now
        try:
            event, raw = self._parse(message)
            self._handle(event, raw)
        except ServerError as error:
            self._outbox.refuse(error)

    def _parse(self, message: str | bytes) -> tuple[Any, dict[str, Any]]:
        """The event that a frame means, and its JSON."""
        return parse_client_event(message)

    def _handle(self, event: Any, raw: dict[str, Any]) -> None:
        event_id = raw.get("event_id")
        try:
            if isinstance(event, ev.SessionUpdate | tr.SessionUpdate):
                self._change_settings(raw["session"])
                self._input.follow_settings()
                self._outbox.emit(self._updated, session=self._settings.session)
            else:
                self._handlers[type(event)](event)
        except ServerError as error:
            if error.event_id is None and isinstance(event_id, str):
                error.event_id = event_id
            raise

    @abstractmethod
    def _change_settings(self, patch: dict[str, Any]) -> None:
        """Take the ``session`` of a ``session.update``, or refuse it whole."""

    def _all_handlers(self) -> Mapping[type, Callable[[Any], object]]:
        return {
            ev.InputAudioBufferAppend: self._append,
            ev.InputAudioBufferCommit: lambda _: self._input.commit(),
            ev.InputAudioBufferClear: lambda _: self._input.clear(),
            ev.ConversationItemRetrieve: self._items.retrieve,
            ev.ConversationItemDelete: self._items.delete,
            ev.OutputAudioBufferClear: _refuse_output_clear,
        }

    def _append(self, event: Any) -> None:
        self._input.append(self._input.decode(event.audio))

    # -- the same, for the gateway's own use -----------------------------------------

    def append_audio(self, samples: Samples, now: float) -> None:
        """Take audio of the user; float32, mono, 24 kHz, any length."""
        self._outbox.now = now
        self._input.append(samples)

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
        self._outbox.now = now
        return self._input.commit()

    def end_turn(self, now: float) -> None:
        """The user let go of the button: commit the buffered audio.

        Raises
        ------
        ServerError
            If less than 100 ms is buffered.
        """
        self.commit(now)

    def clear(self, now: float) -> None:
        """Drop the buffered audio, as ``input_audio_buffer.clear``."""
        self._outbox.now = now
        self._input.clear()

    # -- what the engine answers -----------------------------------------------------

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
        self._outbox.now = now
        return self._input.judged(pause, probability)

    def drafted(self, asked: Draft, words: Sequence[HeardWord], now: float) -> None:
        """The engine has heard so much so far: report what has stood for long enough.

        Parameters
        ----------
        asked : Draft
            What was asked.
        words : sequence of HeardWord
            All words from the beginning; empty if nothing can be said.
        now : float
            Time, seconds since the epoch.
        """
        self._outbox.now = now
        self._transcripts.drafted(asked, words)

    def transcribed(
        self, item_id: str, text: str, now: float, words: Sequence[HeardWord] = ()
    ) -> None:
        """The engine recognised the item: keep the text, and report it if asked to."""
        self._outbox.now = now
        self._transcripts.transcribed(item_id, text, words)

    def nothing_heard(self, item_id: str, message: str, now: float) -> None:
        """There were no words in the item: report it as a failure, if asked to."""
        self.transcription_failed(item_id, message, now)

    def transcription_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not recognise the item: report it if asked to."""
        self._outbox.now = now
        self._transcripts.not_transcribed(item_id, message)

    # -- time ------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest, seconds since the epoch."""
        return min(self._end.at, self._input.deadline)

    def tick(self, now: float) -> None:
        """Let time pass: judgements, the idle timeout, and the end of the session."""
        self._outbox.now = now
        self._input.tick()
        self._end.tick()


def _refuse_output_clear(_: ev.OutputAudioBufferClear) -> None:
    raise refusal(
        "The 'output_audio_buffer.clear' event is only for WebRTC and SIP connections.",
        "invalid_value",
        param="type",
    )
