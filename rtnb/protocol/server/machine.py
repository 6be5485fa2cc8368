"""The machine: what the client sends, what the engine answers, and the time.

Everything that the wire shows (orders, identifiers, marks, usage, errors) is decided in
this package; the engine brings words and sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.accounts import Accounts
from rtnb.protocol.server.effects import Hangup
from rtnb.protocol.server.input_audio import InputAudio, samples_of
from rtnb.protocol.server.items import Items
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.protocol.server.responses import Responses
from rtnb.protocol.server.settings import Settings, default_session, merge_session
from rtnb.protocol.validation import parse_client_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rtnb.audio import Samples
    from rtnb.protocol.server.effects import Effect, JudgePause


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
        self._outbox = Outbox(now=now, seed=seed)
        raw = default_session(model, self._outbox.new_id("sess"), now)
        self._settings = Settings(merge_session(raw, session) if session else raw)
        self._items = Items(self._outbox, self._settings)
        self._responses = Responses(
            self._outbox, self._settings, self._items, Accounts(self._outbox)
        )
        self._input = InputAudio(
            self._outbox, self._settings, self._items, self._responses
        )
        self._responses.on_started = self._input.stop_idle
        self._responses.on_completed = self._input.start_idle
        self._closed = False
        self._handlers = self._all_handlers()
        self._outbox.emit(ev.SessionCreated, session=self._settings.session)

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
    def session(self) -> ev.RealtimeSession | ev.TranscriptionSession:
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

    def format(self, side: Literal["input", "output"]) -> ev.AudioFormat:
        """The effective audio format of one side."""
        return self._settings.format(side)

    @property
    def active_response_id(self) -> str | None:
        """The response of the conversation that is being made, if any."""
        return self._responses.active_id

    def item_samples(self, item_id: str) -> int:
        """How much audio the item has, in samples at 24 kHz; 0 where it has none."""
        written = self._responses.being_written(item_id)
        if written is not None:
            return written.samples
        entry = self._items.get(item_id)
        return 0 if entry is None or entry.audio is None else len(entry.audio)

    def current(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """The items as they are now: transcripts may have come since."""
        return self._items.current(items)

    def user_text(self, item_id: str) -> str | None:
        """Text or transcript of a user item; None where there is none (yet)."""
        return self._items.user_text(item_id)

    # -- what the client sends -------------------------------------------------------

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one frame; a bad one becomes an ``error`` event and changes nothing."""
        self._outbox.now = now
        try:
            event, raw = parse_client_event(message)
            self._handle(event, raw)
        except ServerError as error:
            self._outbox.refuse(error)

    def _handle(self, event: Any, raw: dict[str, Any]) -> None:
        event_id = raw.get("event_id")
        try:
            if isinstance(event, ev.SessionUpdate):
                self._update_session(raw["session"])
            else:
                self._handlers[type(event)](event)
        except ServerError as error:
            if error.event_id is None and isinstance(event_id, str):
                error.event_id = event_id
            raise

    def _all_handlers(self) -> Mapping[type, Callable[[Any], object]]:
        return {
            ev.InputAudioBufferAppend: self._append,
            ev.InputAudioBufferCommit: lambda _: self._input.commit(),
            ev.InputAudioBufferClear: lambda _: self._input.clear(),
            ev.ConversationItemCreate: self._items.create,
            ev.ConversationItemRetrieve: self._items.retrieve,
            ev.ConversationItemTruncate: self._truncate,
            ev.ConversationItemDelete: self._items.delete,
            ev.ResponseCreate: self._create_response,
            ev.ResponseCancel: self._cancel_response,
            ev.OutputAudioBufferClear: _refuse_output_clear,
        }

    def _update_session(self, patch: dict[str, Any]) -> None:
        self._settings.update(
            patch,
            has_spoken=self._items.has_assistant_audio,
            responding=bool(self._responses),
        )
        self._input.follow_settings()
        self._outbox.emit(ev.SessionUpdated, session=self._settings.session)

    def _append(self, event: ev.InputAudioBufferAppend) -> None:
        self._input.append(self._input.decode(event.audio))

    def _truncate(self, event: ev.ConversationItemTruncate) -> None:
        self.truncate(
            event.item_id, event.content_index, event.audio_end_ms, self._outbox.now
        )

    def _create_response(self, event: ev.ResponseCreate) -> None:
        config = event.response
        self._responses.create(
            config if isinstance(config, ev.ResponseConfig) else ev.ResponseConfig()
        )

    def _cancel_response(self, event: ev.ResponseCancel) -> None:
        wanted = event.response_id if isinstance(event.response_id, str) else None
        if not self._responses.cancel(wanted, "client_cancelled"):
            raise refusal(
                "Cancellation failed: no active response found",
                "response_cancel_not_active",
            )

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

    def clear(self, now: float) -> None:
        """Drop the buffered audio, as ``input_audio_buffer.clear``."""
        self._outbox.now = now
        self._input.clear()

    def respond(self, now: float) -> None:
        """Ask for an answer to the conversation, as a bare ``response.create``.

        Raises
        ------
        ServerError
            If one is being made already.
        """
        self._outbox.now = now
        self._responses.create(ev.ResponseConfig())

    def cancel(self, now: float) -> None:
        """Cancel the conversation's response, if one is being made."""
        self._outbox.now = now
        self._responses.cancel(None, "client_cancelled")

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
        self._outbox.now = now
        written = self._responses.being_written(item_id)
        samples = self.item_samples(item_id)
        if written is None:
            entry = self._items.find(item_id, "truncate", "truncating")
            samples = samples if entry.is_assistant else 0
        if samples == 0 or content_index != 0:
            raise refusal(
                "Only model output audio messages can be truncated",
                "unsupported_content_type",
            )
        have_ms = samples * 1000 // SAMPLE_RATE
        if audio_end_ms > have_ms:
            raise refusal(
                f"Audio content of {have_ms}ms is already shorter than "
                f"{audio_end_ms}ms",
                None,
            )
        self._outbox.emit(
            ev.ConversationItemTruncated,
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )
        if written is not None:  # the response goes on; what is heard of it ends here
            written.cut(samples_of(audio_end_ms))
        else:
            self._items.cut(item_id, samples_of(audio_end_ms))

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

    def transcribed(self, item_id: str, text: str, now: float) -> None:
        """The engine recognised the item: keep the text, and report it if asked to."""
        self._outbox.now = now
        self._input.transcribed(item_id, text)

    def transcription_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not recognise the item: report it if asked to."""
        self._outbox.now = now
        self._input.not_transcribed(item_id, message)

    def is_active(self, response_id: str) -> bool:
        """Whether the response is still being made."""
        return self._responses.is_active(response_id)

    def write(self, response_id: str, text: str, now: float) -> bool:
        """More words of the answer: text, or the transcript that runs ahead of audio.

        Returns
        -------
        bool
            False once the response is over (cancelled, or at its token limit).
        """
        self._outbox.now = now
        return self._responses.write(response_id, text)

    def play(self, response_id: str, samples: Samples, now: float) -> bool:
        """More sound of the answer; float32, mono, 24 kHz. Returns as `write`."""
        self._outbox.now = now
        return self._responses.play(response_id, samples)

    def call(
        self, response_id: str, name: str, arguments: dict[str, Any], now: float
    ) -> bool:
        """A function call of the answer, its arguments streamed. Returns as `write`."""
        self._outbox.now = now
        return self._responses.call(response_id, name, arguments)

    def finish(self, response_id: str, now: float) -> None:
        """The answer is complete."""
        self._outbox.now = now
        self._responses.finish(response_id)

    def fail(self, response_id: str, message: str, now: float) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do."""
        self._outbox.now = now
        self._responses.fail(response_id, message)

    # -- time ------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest, seconds since the epoch."""
        return min(self._settings.expires_at, self._input.deadline)

    def tick(self, now: float) -> None:
        """Let time pass: judgements, the idle timeout, and the end of the session."""
        self._outbox.now = now
        self._input.tick()
        if now >= self._settings.expires_at and not self._closed:
            self._closed = True
            message = "Your session hit the maximum duration of 60 minutes."
            self._outbox.refuse(refusal(message, "session_expired"))
            self._outbox.want(Hangup(1001, message))


def _refuse_output_clear(_: ev.OutputAudioBufferClear) -> None:
    raise refusal(
        "The 'output_audio_buffer.clear' event is only for WebRTC and SIP connections.",
        "invalid_value",
        param="type",
    )
