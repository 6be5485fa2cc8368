"""A conversation with a realtime model: one object, whoever the server is.

Its socket and its reader live on the portal's loop; its state is guarded by one lock,
held briefly, so every method may be called from any thread and any cell and none of
the user's code can hold up the conversation. Time comes from the session's clock.

Log levels: ERROR a callback raised; WARNING a message could not be read, a tool failed
or the connection was lost; INFO opened, closed; DEBUG every event.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import random
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import msgspec
from msgspec import UNSET, UnsetType
from typing_extensions import override

from rtnb.clock import SystemClock
from rtnb.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    ProtocolError,
    RtnbError,
    ServerError,
    SessionClosed,
    TransportError,
)
from rtnb.portal import settled
from rtnb.protocol import events as ev
from rtnb.protocol.client import ClientMachine
from rtnb.protocol.codec import client_event
from rtnb.protocol.ids import new_id
from rtnb.session import exchanges
from rtnb.session.approval import Approvals
from rtnb.session.asking import is_single, named, overrides, told
from rtnb.session.book import (
    NOT_ACTIVE,
    Look,
    Post,
    RunTool,
    StopTool,
    TurnBook,
    server_error,
)
from rtnb.session.calling import ToolRunner
from rtnb.session.exchanges import Exchange, Exchanges
from rtnb.session.facts import Facts
from rtnb.session.link import Link
from rtnb.session.listening import (
    PATIENCE_SECONDS,
    TRANSCRIBER,
    Transcription,
    transcribe,
    transcription_url,
)
from rtnb.session.media import MediaEndpoint, mint_ticket
from rtnb.session.settings import (
    keep_tools,
    mcp_policies,
    session_patch,
    settings_table,
    with_confirmation,
)
from rtnb.session.sound import CHUNK_MS, wire_audio
from rtnb.session.stream import Callbacks, EventStream
from rtnb.session.tap import OwnAudio, tap_gateway
from rtnb.session.turn import wire_clip
from rtnb.timeline import Timeline
from rtnb.tools import Tool, picture
from rtnb.transport import WebSocketTransport, without_query

if TYPE_CHECKING:
    import os
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Mapping,
    )
    from types import TracebackType

    import pandas as pd

    from rtnb.audio import Clip, Samples
    from rtnb.clock import Clock
    from rtnb.local import LocalGateway
    from rtnb.protocol.client import ClientEvent, ItemState
    from rtnb.recording import Manifest, Recorder
    from rtnb.session.asking import Question, Said
    from rtnb.session.book import Action
    from rtnb.session.exchanges import ItemLike
    from rtnb.session.settings import SettingRow, ToolLike
    from rtnb.session.sound import Sound
    from rtnb.session.turn import ToolCall, Turn, TurnState
    from rtnb.tools import Confirm
    from rtnb.tools.pictures import Picturesque
    from rtnb.transport import Transport
    from rtnb.usage import Cost, Usage
    from rtnb.vad import SemanticVad, ServerVad

log = logging.getLogger("rtnb.session")

OPEN_SECONDS: Final = 30.0
"""How long a session may take to open, with its ``session.created``."""

ANSWER_SECONDS: Final = 10.0
"""How long the server may take to answer an update."""


@dataclass(frozen=True)
class Endpoint:
    """Where a session connects to.

    Parameters
    ----------
    provider : str
        "embedded", "openai", "azure" or "url".
    url : str
        Of the WebSocket, with its query.
    headers : mapping of str to str
        With the key, if there is one; never in a ``repr``.
    gateway : LocalGateway or None
        Our own gateway, where it is one.
    behind : str
        Address of the provider behind our gateway, where there is one.
    """

    provider: Literal["embedded", "openai", "azure", "url"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    gateway: LocalGateway | None = None
    behind: str = ""

    @property
    def shown(self) -> str:
        """Address of who answers, as it may be shown."""
        return without_query(self.behind or self.url)


async def open_endpoint(endpoint: Endpoint) -> Transport:
    """Open the WebSocket of an endpoint."""
    try:
        return await WebSocketTransport.open(endpoint.url, headers=endpoint.headers)
    except ConnectError as error:
        raise type(error)(endpoint.shown, error.reason, status=error.status) from error


@dataclass(eq=False)
class _Update:
    """An update that is not yet answered, and the tools that it brings."""

    answered: concurrent.futures.Future[None]
    tools: list[ToolLike] | None


class Session:
    """A conversation with a realtime model. Made by `rtnb.connect`.

    Parameters
    ----------
    endpoint : Endpoint
        Where to connect.
    open_transport : callable
        Opens the connection; for tests a memory transport.
    clock : Clock, optional
        Paces audio, and tells the times of events.
    timeout : float
        Seconds to open in.
    on_end : callable, optional
        Called by `close`: ends what was started for this session alone.

    Raises
    ------
    ConnectError
        If it does not open; the key is never shown.

    Notes
    -----
    Methods may be called from any thread and in any cell, asynchronous or not. A session
    is a context manager of both kinds; at exit open sessions are closed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        open_transport: Callable[[Endpoint], Awaitable[Transport]] = open_endpoint,
        clock: Clock | None = None,
        timeout: float = OPEN_SECONDS,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._on_end = on_end
        self._open_transport = open_transport
        self._clock = SystemClock() if clock is None else clock
        self._random = random.Random()  # noqa: S311 - identifiers, not secrets
        self._lock = threading.RLock()
        self._machine = ClientMachine()
        embedded = endpoint.provider == "embedded"
        self._book = TurnBook(
            self._machine,
            self._lock,
            embedded=embedded,
            new_item_id=lambda: new_id(
                "item", now=self._clock.now(), random=self._random
            ),
        )
        self._approvals = Approvals(self._clock)
        self._runner = ToolRunner(self._approvals, self._clock)
        self._exchanges = Exchanges()
        self._started_at = self._clock.now()
        self._timeline = Timeline()
        self._facts = Facts()
        self._callbacks = Callbacks()
        self._own_audio = OwnAudio()
        self._recorders: tuple[Recorder, ...] = ()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._errors: deque[ServerError] = deque(maxlen=1_000)
        self._updates: dict[str, _Update] = {}
        self._end: RtnbError | None = None
        self._unread = 0
        self._speaking = asyncio.Lock()
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._link = Link(
            lambda: open_transport(endpoint), take=self._take, ended=self._finish
        )
        self._open(timeout)

    # -- opening and ending ------------------------------------------------------------

    def _open(self, timeout: float) -> None:
        self._link.start()
        try:
            self._opened.result(timeout)
        except TimeoutError:
            self._link.close()
            where = self._endpoint.shown
            reason = f"no session within {timeout:g} s"
            raise ConnectTimeout(where, reason) from None
        except BaseException:
            self._link.close()
            raise
        _sessions.add(self)
        log.info("session.opened", extra={"rtnb.session": self.id})

    def _finish(self, lost: RtnbError | None) -> None:
        """Tell everybody who waits that nothing more will come, and why."""
        with self._lock:
            end = self._end = lost or SessionClosed("the session was closed")
            self._book.end(end, self._clock.now())
            waiting = [update.answered for update in self._updates.values()]
            self._updates.clear()
            self._exchanges.end(end)
            self._note("session.closed", reason=str(end))
            streams = list(self._streams)
        for future in waiting:
            future.set_exception(end)
        for stream in streams:
            stream.end(lost)
        self._callbacks.end()
        self._own_audio.end()
        for recorder in self._recorders:
            recorder.end(str(end))
        if not self._opened.done():
            self._opened.set_exception(self._never_opened(end))
        if lost is not None:
            log.warning("session.lost", extra={"rtnb.reason": str(lost)})
        self._ended.set_result(None)

    def _never_opened(self, end: RtnbError) -> RtnbError:
        if isinstance(end, ConnectError):
            return end
        told = [refusal.error.message for refusal in self._machine.refusals]
        reason = "; ".join([*told, str(end)])
        return ConnectError(self._endpoint.shown, reason)

    def close(self) -> None:
        """End the session; turns that are not done fail with `SessionClosed`."""
        self._link.close()
        self._ended.result()
        self._clean_up()

    def _clean_up(self) -> None:
        for recorder in self._recorders:
            recorder.join()
        if self._on_end is not None:
            self._on_end()

    @property
    def closed(self) -> bool:
        """Whether the session has ended, in whatever way."""
        return self._end is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._link.close()
        await settled(self._ended)
        await asyncio.to_thread(self._clean_up)

    # -- on the portal -----------------------------------------------------------------

    def _take(self, message: str | bytes) -> None:
        """Take in a message; one that is no event is counted, and nothing else."""
        with self._lock:
            now = self._clock.now()
            try:
                event = self._machine.receive(message, now)
            except ProtocolError as error:
                self._unread += 1
                self._note("protocol.error", reason=str(error))
                log.warning("message.unread", extra={"rtnb.reason": str(error)})
                return
            log.debug("event.received", extra={"rtnb.event": event})
            self._observe("received", event, now)
            if self._machine.ignored:
                return
            facts = self._facts.of(event)
            if facts is not None:
                self._note(facts.kind, **facts.values)
            self._settle_update(event)
            self._exchanges.take(event)
            self._do(self._book.take(event, now))
            streams = list(self._streams)
        if isinstance(event, ev.SessionCreated) and not self._opened.done():
            self._opened.set_result(None)
        for stream in streams:
            stream.put(event)
        self._callbacks.put(event)

    def _settle_update(self, event: ev.ServerEvent | ev.UnknownEvent) -> None:
        """Let whoever waits for an answer to an update have it."""
        if isinstance(event, ev.SessionUpdated):
            update = self._updates.pop(self._machine.accepted or "", None)
            if update is not None and update.tools is not None:
                self._book.tools = {
                    tool.definition.name: tool
                    for tool in update.tools
                    if isinstance(tool, Tool)
                }
            if update is not None:
                update.answered.set_result(None)
        if isinstance(event, ev.Error):
            error = server_error(event.error)
            if error.code != NOT_ACTIVE:
                self._errors.append(error)
            cause = self._machine.refusals[-1].cause
            event_id = str(cause.event.event_id) if cause else ""
            self._exchanges.refuse(event_id, error)
            update = self._updates.pop(event_id, None)
            if update is not None:
                update.answered.set_exception(error)

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Post(event):
                    self._post(event)
                case RunTool():
                    self._link.spawn(self._run_tool(action))
                case StopTool(call_id):
                    self._runner.stop(call_id)
                case Look():
                    self._link.spawn(self._look_later(action))

    def _post(self, event: ClientEvent) -> None:
        """Send an event, after those that wait already."""
        if self._end is not None:
            return
        now = self._clock.now()
        self._link.post(self._machine.send(event, now))
        if isinstance(event, ev.InputAudioBufferAppend):
            self._own_audio.append(event.audio, self._machine.input_format)
        self._observe("sent", event, now)
        if not isinstance(event, ev.InputAudioBufferAppend):
            name = (
                event.type
                if isinstance(event, ev.UnknownEvent)
                else ev.type_name(type(event))
            )
            self._note(name, sent=True)
            log.debug("event.sent", extra={"rtnb.event": event})

    def _observe(
        self,
        direction: Literal["sent", "received"],
        event: ClientEvent | ev.ServerEvent,
        now: float,
    ) -> None:
        for recorder in self._recorders:
            recorder.observe(direction, event, now, appended=self._own_audio.position)

    async def _run_tool(self, run: RunTool) -> None:
        outcome = await self._runner.run(run)
        with self._lock:
            now = self._clock.now()
            self._do(self._book.tool_done(run.state, run.call, outcome, now))

    def _exchange(self, exchange: Exchange, timeout: float) -> Any:
        """Send an event and wait for the server's answer to it."""
        with self._lock:
            self._check_open()
            event = self._machine.named(exchange.event)
            event_id = str(event.event_id)
            answer = self._exchanges.wait_for(event_id, exchange.answers)
            self._post(event)
        try:
            return answer.result(timeout)
        except TimeoutError:
            kind = type(event).__name__
            raise TimeoutError(f"no answer to {kind} within {timeout:g} s") from None
        finally:
            with self._lock:
                self._exchanges.forget(event_id)

    async def _look_later(self, look: Look) -> None:
        await self._clock.sleep(look.seconds)
        with self._lock:
            self._do(self._book.look(look, self._clock.now()))

    def _note(self, kind: str, **facts: Any) -> None:
        self._timeline.add(self._clock.now() - self._started_at, kind, **facts)

    def _check_open(self) -> None:
        if self._end is not None:
            raise SessionClosed(f"this session has ended: {self._end}") from self._end
        if self._link.full:
            raise TransportError("too much waits to be sent: the link is too slow")

    # -- settings ----------------------------------------------------------------------

    def configure(
        self,
        *,
        instructions: str | UnsetType = UNSET,
        voice: str | ev.VoiceId | UnsetType = UNSET,
        turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET,
        tools: Iterable[Callable[..., Any] | ToolLike | Mapping[str, Any]]
        | UnsetType = UNSET,
        output_modalities: str | list[str] | UnsetType = UNSET,
        transcription: str
        | ev.InputAudioTranscription
        | Mapping[str, Any]
        | UnsetType
        | None = UNSET,
        speed: float | UnsetType = UNSET,
        noise_reduction: str
        | ev.NoiseReduction
        | Mapping[str, Any]
        | UnsetType
        | None = UNSET,
        tool_choice: str | ev.ToolChoice | UnsetType = UNSET,
        max_output_tokens: int | Literal["inf"] | UnsetType = UNSET,
        confirm: Confirm | Mapping[str, Confirm] | None = None,
        timeout: float = ANSWER_SECONDS,
        **session: Any,
    ) -> None:
        """Change settings, and wait until the server has taken them.

        Only what is given is sent; what the server made of it is in `settings_table`.

        Parameters
        ----------
        instructions : str
            What the model shall be and do.
        voice : str
            One of the ten voices; it cannot change once the model has spoken.
        turn_detection : ServerVad, SemanticVad or None
            Who decides that a turn has ended; None: `commit` does.
        tools : iterable of callable
            Plain functions that the model may call, instead of those before. A tool
            definition of the protocol is passed on, for you to answer.
        output_modalities : "audio" or "text"
            How the model answers.
        transcription : str or None
            Model that writes down what the user says; None: nobody does.
        speed : float, 0.25 to 1.5
            Of the voice.
        noise_reduction : "near_field", "far_field" or None
            Filter of the microphone.
        tool_choice : str
            "auto", "none", "required", or the name of a function.
        max_output_tokens : int, 1 to 4096, or "inf"
            Longest answer.
        confirm : bool, callable, or mapping of names to them
            Whether calls of these tools must be allowed first, see `rtnb.tool`. By the
            label of an MCP server, who answers when the server asks for approval; by
            default you do.
        timeout : float
            Seconds to wait for the server.
        **session
            Any other field of the session object, as on the wire.

        Raises
        ------
        ConfigError
            If a value cannot be; nothing was sent.
        ServerError
            If the server refuses; nothing has changed and the session goes on.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        kept = None if isinstance(tools, UnsetType) else keep_tools(tools)
        if confirm is not None:
            kept = with_confirmation(kept, confirm)
        patch = session_patch(
            any_voice=self._endpoint.provider == "url",
            instructions=instructions,
            voice=voice,
            turn_detection=turn_detection,
            tools=UNSET if kept is None else kept,
            output_modalities=output_modalities,
            transcription=transcription,
            speed=speed,
            noise_reduction=noise_reduction,
            tool_choice=tool_choice,
            max_output_tokens=max_output_tokens,
            **session,
        )
        update = _Update(concurrent.futures.Future(), kept)
        with self._lock:
            self._check_open()
            event = self._machine.named(ev.SessionUpdate(session=patch))
            self._updates[str(event.event_id)] = update
            self._book.confirm |= mcp_policies(kept or (), confirm)
            self._post(event)
        try:
            update.answered.result(timeout)
        except TimeoutError:
            raise TimeoutError(f"no session.updated within {timeout:g} s") from None

    @property
    def settings(self) -> ev.RealtimeSession:
        """Settings in force, as the server last told them."""
        settings = self._machine.session
        if not isinstance(settings, ev.RealtimeSession):
            raise ConfigError("this is no conversation session: it only transcribes")
        return settings

    def settings_table(self) -> list[SettingRow]:
        """Every setting: what was asked for, what is in force, what is documented."""
        with self._lock:
            return settings_table(self._machine.requested, self._machine.effective)

    # -- talking -----------------------------------------------------------------------

    def say(self, text: str) -> Turn:
        """Type something to the model, and ask for its answer.

        While another answer is being made the request waits for its end.

        Parameters
        ----------
        text : str
            What is said; not empty.

        Returns
        -------
        Turn
            At once; ``turn.wait()`` or ``await turn``.

        Raises
        ------
        ConfigError
            If there is nothing to say.
        SessionClosed
            If the session has ended.
        """
        if not isinstance(text, str):
            raise ConfigError(f"{text!r} is no text: ask(...) takes other things too")
        with self._lock:
            return self._tell(told(text, wire_format=self._machine.input_format))

    def _tell(self, said: Said, **how: Any) -> Turn:
        with self._lock:
            self._check_open()
            turn, actions = self._book.told(said, self._clock.now(), **how)
            self._do(actions)
        return turn

    def show(
        self,
        image: Picturesque,
        text: str | None = None,
        *,
        detail: Literal["auto", "low", "high"] = "auto",
    ) -> Turn:
        """Show the model a picture; with a text, ask for its answer.

        Parameters
        ----------
        image : path, bytes, data URI, PIL image, matplotlib figure or axes, or array
            An array is uint8 or float in [0, 1], shape (height, width), or with a last
            dimension of 3 or 4 colours. It travels as a PNG or JPEG file without
            anything but its pixels, at most 2048 a side: a note of the turn says if it
            was made smaller. Addresses are never fetched.
        text : str, optional
            What to say to it. Without it nothing is asked: the turn is done when the
            picture is in the conversation.
        detail : "auto", "low" or "high"
            How closely it is looked at; "low" costs less.

        Returns
        -------
        Turn
            At once; ``turn.images`` has what was sent.

        Raises
        ------
        ImageFormatError
            If it is no picture, or too large a one.
        SessionClosed
            If the session has ended.
        """
        if detail not in ("auto", "low", "high"):
            raise ConfigError(f"detail is {detail!r}: choose 'auto', 'low' or 'high'")
        parts = [picture(image)] if text is None else [picture(image), text]
        said = told(parts, wire_format=self._machine.input_format, detail=detail)
        return self._tell(said, kind="image", answered=text is not None)

    def ask(
        self,
        question: Question | Iterable[Question],
        *,
        conversation: Literal["none", "auto"] = "none",
        instructions: str | UnsetType = UNSET,
        output_modalities: str | list[str] | UnsetType = "text",
        tool_choice: str | ev.ToolChoice | UnsetType = UNSET,
        max_output_tokens: int | Literal["inf"] | UnsetType = UNSET,
        voice: str | UnsetType = UNSET,
        metadata: Mapping[str, object] | None = None,
        tools: Iterable[Callable[..., Any] | ToolLike | Mapping[str, Any]] = (),
    ) -> Turn:
        """Ask beside the conversation, which neither waits for it nor learns of it.

        Any number of questions may be asked at once, while the model talks.

        Parameters
        ----------
        question : str, Clip, picture, item or turn, or an iterable of them
            A single one is asked with the conversation so far before it. Of an
            iterable the model reads nothing but what is in it: texts, clips, pictures,
            items of `rtnb.protocol.events`; an item of ``session.conversation``, or a
            turn, refers to what the server has of it.
        conversation : "none" or "auto"
            "auto": not beside the conversation but in it, as `say`, with settings of
            its own.
        instructions, output_modalities, tool_choice, max_output_tokens, voice
            Settings of this answer alone, as `configure` takes them.
        metadata : mapping of str to str, optional
            At most 15 pairs, which come back with the answer.
        tools : iterable of callable
            Functions that this answer may call; by default none. With "auto", those of
            the session unless some are given.

        Returns
        -------
        Turn
            At once; ``turn.wait()`` or ``await turn``.

        Raises
        ------
        ConfigError
            If there is nothing to ask, or a setting cannot be.
        SessionClosed
            If the session has ended.
        """
        if conversation not in ("none", "auto"):
            raise ConfigError(
                f"conversation is {conversation!r}: choose 'none', 'auto'"
            )
        functions = list(tools)
        of_session = conversation == "auto" and not functions
        own = overrides(
            any_voice=self._endpoint.provider == "url",
            instructions=instructions,
            output_modalities=output_modalities,
            metadata=metadata,
            tools=UNSET if of_session else functions,
            tool_choice=tool_choice if of_session or functions else "none",
            max_output_tokens=max_output_tokens,
            voice=voice,
        )
        said = told(question, wire_format=self._machine.input_format)
        if conversation == "auto":
            return self._tell(said, overrides=own)
        with self._lock:
            self._check_open()
            turn, actions = self._book.ask(
                said,
                own,
                with_conversation=is_single(question),
                now=self._clock.now(),
            )
            self._do(actions)
        return turn

    def respond(
        self,
        *,
        instructions: str | UnsetType = UNSET,
        output_modalities: str | list[str] | UnsetType = UNSET,
        tools: Iterable[Callable[..., Any] | ToolLike | Mapping[str, Any]]
        | UnsetType = UNSET,
        tool_choice: str | ev.ToolChoice | UnsetType = UNSET,
        max_output_tokens: int | Literal["inf"] | UnsetType = UNSET,
        voice: str | UnsetType = UNSET,
        metadata: Mapping[str, object] | None = None,
    ) -> Turn:
        """Ask for an answer to what the conversation has.

        Parameters
        ----------
        instructions, output_modalities, tools, tool_choice, max_output_tokens, voice
            Settings of this answer alone, as `configure` takes them.
        metadata : mapping of str to str, optional
            At most 15 pairs, which come back with the answer.

        Returns
        -------
        Turn
            The last one, if it has no answer, such as one that was spoken while
            ``create_response`` was off; else a new one.

        Raises
        ------
        ConfigError
            If a setting cannot be.
        SessionClosed
            If the session has ended.
        """
        own = overrides(
            any_voice=self._endpoint.provider == "url",
            instructions=instructions,
            output_modalities=output_modalities,
            metadata=metadata,
            tools=tools,
            tool_choice=tool_choice,
            max_output_tokens=max_output_tokens,
            voice=voice,
        )
        with self._lock:
            self._check_open()
            turn, actions = self._book.respond(own, self._clock.now())
            self._do(actions)
        return turn

    def send_audio(
        self,
        audio: Sound,
        *,
        sample_rate: int | None = None,
        realtime: bool = True,
    ) -> Turn:
        """Send a clip as if it were spoken.

        With turn detection, silence is sent after the clip, so that the turn can end:
        half a second more than the detector waits for. Without it the clip is committed
        and an answer asked for. Clips are sent one after the other.

        Parameters
        ----------
        audio : Clip, path, array or bytes
            What is said. A path is a sound file; an array is int16, int32, uint8 or
            float in [-1, 1], shape (n,) or (n, channels); bytes are PCM16.
        sample_rate : int, optional
            Hz, of an array or of bytes.
        realtime : bool, default True
            Whether the clip is paced like speech; else it is sent as fast as the link
            takes it.

        Returns
        -------
        Turn
            At once. Its notes say what was done to the clip. It ends when all speech
            in the clip has been answered; pauses may cut it into several segments.

        Raises
        ------
        AudioFormatError
            If it is no audio that can be sent, or, without turn detection, is shorter
            than 100 ms.
        SessionClosed
            If the session has ended.
        """
        sound = wire_audio(
            audio,
            sample_rate,
            wire_format=self._machine.input_format,
            detection=getattr(self._input(), "turn_detection", None) or None,
        )
        with self._lock:
            self._check_open()
            turn, state = self._book.clip(sound.notes, self._clock.now())
        self._link.spawn(self._send_clip(state, sound.chunks, realtime=realtime))
        return turn

    async def _send_clip(
        self, state: TurnState, chunks: list[bytes], *, realtime: bool
    ) -> None:
        async with self._speaking:
            begin = self._clock.now()
            with self._lock:
                self._book.clip_begins(state, begin)
            for number, chunk in enumerate(chunks, start=1):
                if realtime:
                    due = begin + number * CHUNK_MS / 1000
                    await self._clock.sleep(due - self._clock.now())
                with self._lock:
                    self._post(ev.InputAudioBufferAppend(audio=chunk))
                await self._link.room()
            with self._lock:
                self._do(self._book.clip_ends(state, self._clock.now()))

    def transcribe(
        self,
        clip: Sound,
        *,
        language: str | None = None,
        prompt: str | None = None,
        model: str = TRANSCRIBER,
        sample_rate: int | None = None,
        timeout: float = PATIENCE_SECONDS,
    ) -> Transcription:
        """Have a recording written down, beside the conversation.

        A transcription session of its own, with the same server and the same key, takes
        the recording as fast as the link does and ends with it. The conversation
        neither hears nor remembers it; what it costs is in the session's `cost`.

        Parameters
        ----------
        clip : Clip, path, array or bytes
            What is said, at least 100 ms; see `send_audio`.
        language : str, optional
            What is spoken, ISO 639-1; else the model finds out.
        prompt : str, optional
            Names and words that may come up; not every model takes one.
        model : str, default "gpt-transcribe"
            Who writes down; on Azure, the deployment. The gpt-4o models tell the words'
            probabilities, ``gpt-4o-transcribe-diarize`` segments with times and
            speakers. The embedded engine is the same by every name.
        sample_rate : int, optional
            Hz, of an array or of bytes.
        timeout : float, default 60
            Seconds that all of it may take.

        Returns
        -------
        Transcription
            Text, words, segments, usage and cost.

        Raises
        ------
        AudioFormatError
            If it is no audio that can be sent, or too short.
        ServerError
            If a setting is refused, or the recording could not be transcribed.
        ConnectError
            If the server opens no session for it.
        ConnectionLost
            If the connection ends before the words are there.
        SessionClosed
            If the session has ended.
        TimeoutError
            If it takes longer than `timeout`.

        Notes
        -----
        Blocks, on any thread; the conversation goes on meanwhile. Its connection is
        closed in any case.
        """
        with self._lock:
            self._check_open()
        url = transcription_url(self._endpoint.url, relayed=bool(self._endpoint.behind))
        endpoint = replace(self._endpoint, url=url)
        written = transcribe(
            lambda: self._open_transport(endpoint),
            clip,
            sample_rate=sample_rate,
            model=model,
            language=language,
            prompt=prompt,
            timeout=timeout,
        )
        if written.usage is not None:
            with self._lock:
                self._machine.ledger.add(written.item_id, written.usage, model)
        return written

    def commit(self) -> Turn:
        """Make a message of the audio that was sent, and ask for an answer.

        Needed without turn detection; with it, it ends the turn early.

        Returns
        -------
        Turn
            The one that is being spoken, or a new one. If less than 100 ms were sent,
            the server refuses and ``turn.wait()`` raises `ServerError`.
        """
        with self._lock:
            self._check_open()
            turn, actions = self._book.commit(self._clock.now())
            self._do(actions)
        return turn

    def cancel(self, turn: Turn | None = None) -> None:
        """Stop the answer that is being made, and those that were asked for.

        Functions that run are stopped too, and the model is told. Answers beside the
        conversation go on.

        Parameters
        ----------
        turn : Turn, optional
            Stop the answer of this turn alone, which may be beside the conversation.
        """
        with self._lock:
            self._check_open()
            self._do(self._book.cancel(self._clock.now(), turn))

    # -- the conversation --------------------------------------------------------------

    def create(
        self,
        item: Question,
        *,
        after: ItemLike | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> ItemState:
        """Put an item into the conversation; no answer is asked for.

        Parameters
        ----------
        item : str, Clip, picture, item of `rtnb.protocol.events`, or dict
            A text, a sound or a picture is a message of the user.
        after : item, id or "root", optional
            Where; "root" is the beginning. By default the end.
        timeout : float
            Seconds to wait for the server.

        Returns
        -------
        ItemState
            The item as the conversation has it.

        Raises
        ------
        ConfigError
            If it is no item.
        ServerError
            If the server refuses it.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        said = told(item, wire_format=self._machine.input_format)
        item_id = new_id("item", now=self._clock.now(), random=self._random)
        whole = named(said.items[0], item_id)
        self._exchange(exchanges.create(whole, after=after), timeout)
        with self._lock:
            return self._machine.items[whole.id]

    def retrieve(
        self, item: ItemLike, *, timeout: float = ANSWER_SECONDS
    ) -> Clip | None:
        """Sound of an item as the server has it, processed as the model heard it.

        Parameters
        ----------
        item : item or id
            Of the conversation.
        timeout : float
            Seconds to wait for the server.

        Returns
        -------
        Clip or None
            None if the item has no sound.

        Raises
        ------
        ServerError
            If there is no such item.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        answer = self._exchange(exchanges.retrieve(item), timeout)
        with self._lock:
            known = self._machine.items[exchanges.item_id_of(item)]
            return wire_clip(answer.item, self._machine.audio_format(known))

    def delete(self, item: ItemLike, *, timeout: float = ANSWER_SECONDS) -> None:
        """Take an item out of the conversation.

        Parameters
        ----------
        item : item or id
            Of the conversation.
        timeout : float
            Seconds to wait for the server.

        Raises
        ------
        ServerError
            If there is no such item.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        self._exchange(exchanges.delete(item), timeout)

    def truncate(
        self,
        item: ItemLike,
        audio_end_ms: int,
        *,
        content_index: int = 0,
        timeout: float = ANSWER_SECONDS,
    ) -> None:
        """Cut the sound of an answer, so that the model knows what was heard of it.

        Parameters
        ----------
        item : item or id
            Of the model, in the conversation.
        audio_end_ms : int
            How much of it was heard; its transcript is gone with the rest.
        content_index : int
            Which content of the item.
        timeout : float
            Seconds to wait for the server.

        Raises
        ------
        ServerError
            If there is no such sound, or it is shorter.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        exchange = exchanges.truncate(item, audio_end_ms, content_index)
        self._exchange(exchange, timeout)

    def clear(
        self,
        which: Literal["input", "output"] = "input",
        *,
        timeout: float = ANSWER_SECONDS,
    ) -> None:
        """Drop audio that the server has and that is nobody's yet.

        Parameters
        ----------
        which : "input" or "output"
            What was sent and is no message yet; or what was answered and not yet
            played, which only servers over WebRTC or SIP know.
        timeout : float
            Seconds to wait for the server.

        Raises
        ------
        ServerError
            If the server has no such buffer.
        TimeoutError
            If the server does not answer.
        SessionClosed
            If the session has ended.
        """
        if which not in ("input", "output"):
            raise ConfigError(f"which is {which!r}: choose 'input' or 'output'")
        exchange = (
            exchanges.clear_input() if which == "input" else exchanges.clear_output()
        )
        self._exchange(exchange, timeout)

    # -- anything else -----------------------------------------------------------------

    def send(self, event: ClientEvent | Mapping[str, Any]) -> str | None:
        """Send any client event of the protocol.

        Parameters
        ----------
        event : event or dict
            An event of `rtnb.protocol.events`, or the JSON object.

        Returns
        -------
        str or None
            Its ``event_id``, which an error would name; None for audio.

        Raises
        ------
        ProtocolError
            If a dict has no ``type``.
        SessionClosed
            If the session has ended.
        """
        wire = event if isinstance(event, msgspec.Struct) else client_event(dict(event))
        with self._lock:
            self._check_open()
            if isinstance(wire, ev.InputAudioBufferAppend):
                self._post(wire)
                return None
            named = self._machine.named(wire)
            self._post(named)
        return str(named.event_id)

    def _input(self) -> object:
        return getattr(getattr(self._machine.session, "audio", UNSET), "input", UNSET)

    # -- listening ---------------------------------------------------------------------

    def on(
        self, event_type: str | type, callback: Callable[[Any], Any]
    ) -> Callable[[], None]:
        """Call back for events of a type.

        Parameters
        ----------
        event_type : str or type
            Wire name, event class, or ``"*"`` for every event.
        callback : callable
            Takes the event. Callbacks run one after the other on a thread of the
            session; a coroutine function runs on a loop of its own. What one raises is
            shown once and does no harm.

        Returns
        -------
        callable
            Ends it.
        """
        return self._callbacks.add(event_type, callback)

    def tap_input(
        self, callback: Callable[[int, Samples], object]
    ) -> Callable[[], None]:
        """Hear the input audio that the server gets, from now on.

        Audio of a page's microphone is heard too: it comes from the gateway. Without a
        gateway it is what this session sends.

        Parameters
        ----------
        callback : callable
            Takes ``(position, samples)``: float32, mono, 24 kHz, and the number of
            samples before the first of them since the session began, which is what
            ``audio_start_ms`` counts in. It runs on a thread of its own; one that
            raises gets no more. Where the position is not the one expected, audio was
            dropped because the callback was minutes late.

        Returns
        -------
        callable
            Ends it, once what is on its way has been heard.

        Raises
        ------
        ConnectError
            If the gateway does not let us hear.
        SessionClosed
            If the session has ended.
        """
        self._check_open()
        gateway = self._endpoint.gateway
        if gateway is None:
            return self._own_audio.tap(callback)
        return tap_gateway(gateway, self.id, callback)

    def record(self, path: str | os.PathLike[str], *, note: str = "") -> Recorder:
        """Write down what is said from now on, in a folder: sound, events, settings.

        Parameters
        ----------
        path : path
            Of a folder that does not exist yet, in one that does; only its owner may
            read it.
        note : str
            To be kept with it, such as who agreed to be recorded.

        Returns
        -------
        Recorder
            A context manager; ``stop()`` ends it, and so does the end of the session.
            Then ``rtnb.Recording.load(path)``.

        Raises
        ------
        ConfigError
            If the folder's name is one that some system cannot keep.
        FileExistsError
            If there is something at that path.
        FileNotFoundError
            If the folder that it should lie in does not exist.
        ConnectError
            If the gateway does not let us hear its input audio.
        SessionClosed
            If the session has ended.

        Notes
        -----
        Nothing is recorded unless this is called. Keys are never written down.
        """
        from rtnb.recording import Recorder

        with self._lock:
            self._check_open()
            recorder = Recorder(
                path,
                manifest=self._manifest(note),
                now=self._clock.now,
                forget=lambda: self._forget(recorder),
            )
            self._recorders = (*self._recorders, recorder)
        try:
            recorder.listen(self.tap_input)
        except BaseException:
            recorder.discard()
            raise
        return recorder

    def _manifest(self, note: str) -> Manifest:
        from rtnb.recording import Manifest

        return Manifest(
            session_id=self.id,
            provider=self.provider,
            model=self.model,
            url=self._endpoint.shown,
            settings=self._machine.effective,
            appended=self._own_audio.position,
            note=note,
        )

    def _forget(self, recorder: Recorder) -> None:
        with self._lock:
            self._recorders = tuple(r for r in self._recorders if r is not recorder)

    def __aiter__(self) -> AsyncIterator[ev.ServerEvent | ev.UnknownEvent]:
        """Events from now on, for one consumer; the oldest go if it is too late."""
        stream = EventStream()
        with self._lock:
            if self._end is not None:
                lost = None if isinstance(self._end, SessionClosed) else self._end
                stream.end(lost)
            self._streams.add(stream)
        return stream

    # -- what there is -----------------------------------------------------------------

    @property
    def id(self) -> str:
        """Identifier that the server gave the session."""
        return str(getattr(self._machine.session, "id", "") or "")

    @property
    def model(self) -> str:
        """Model that answers; for the embedded engine, the one whose prices are shown."""
        return self._machine.model or ""

    @property
    def provider(self) -> str:
        """Who answers: "embedded", "openai", "azure" or "url"."""
        return self._endpoint.provider

    @property
    def billed(self) -> bool:
        """Whether the cost is real; what the embedded engine shows is hypothetical."""
        return self._endpoint.provider != "embedded"

    @property
    def turns(self) -> list[Turn]:
        """Turns so far, in the order in which they began."""
        with self._lock:
            return list(self._book.turns)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """Every call of a function so far, by turns: what, how it ended, how long."""
        return [call for turn in self.turns for call in turn.tool_calls]

    @property
    def approvals(self) -> Approvals:
        """Calls that wait for a person's permission; panels show them."""
        return self._approvals

    @property
    def conversation(self) -> list[ItemState]:
        """Items of the conversation, in its order."""
        with self._lock:
            return self._machine.conversation

    @property
    def usage(self) -> Usage:
        """Tokens of all responses so far."""
        return self._machine.ledger.usage

    @property
    def cost(self) -> Cost:
        """Cost of all responses and transcriptions so far, see also `billed`."""
        return self._machine.ledger.cost

    @property
    def rate_limits(self) -> list[ev.RateLimit]:
        """What is left of the rate limits, as the server last told."""
        return list(self._machine.rate_limits)

    @property
    def errors(self) -> list[ServerError]:
        """What the server refused or failed at, the last thousand."""
        with self._lock:
            return list(self._errors)

    @property
    def timeline(self) -> Timeline:
        """What happened when, in seconds since the session was opened."""
        return self._timeline

    @property
    def dropped(self) -> int:
        """Events that users were too late for, and messages that could not be read."""
        with self._lock:
            late = sum(stream.dropped for stream in self._streams)
        return late + self._callbacks.dropped + self._unread

    def to_frame(self) -> pd.DataFrame:
        """Turns as a table, a row a turn.

        Returns
        -------
        pandas.DataFrame
            Index, kind, status, texts, segment times in ms, latencies in ms, tokens,
            cost in dollars, number of tool calls, error.
        """
        from rtnb.session.table import turns_table

        return turns_table(self.turns)

    def media_endpoint(self, origin: str | None = None) -> MediaEndpoint:
        """Let a page into the media socket of the gateway, once.

        Parameters
        ----------
        origin : str, optional
            Origin of the page, where it is not a loopback one.

        Returns
        -------
        MediaEndpoint
            Port, path and single-use ticket.

        Raises
        ------
        ConfigError
            If the session has no gateway.
        ConnectError
            If the gateway does not give a ticket.
        """
        gateway = self._endpoint.gateway
        if gateway is None:
            raise ConfigError(
                "the microphone of a page needs a gateway, and this session talks to "
                "its server directly: open it with rtnb.connect(..., relay=True), or "
                "send recorded clips with send_audio(clip)"
            )
        self._check_open()
        return mint_ticket(gateway, self.id, origin=origin)

    @override
    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        key = ", key=***" if self._endpoint.headers else ""
        where = self._endpoint.shown
        return (
            f"<Session {self.provider} {self.model} {state}, {len(self._book.turns)} "
            f"turns, {where}{key}>"
        )


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for session in list(_sessions):
        if not session.closed:
            session.close()
