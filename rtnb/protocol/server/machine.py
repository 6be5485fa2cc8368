"""The machine: what the client sends, what the engine answers, and the time.

Everything that the wire shows (orders, identifiers, marks, usage, errors) is decided in
this package; the engine brings words and sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from typing_extensions import override

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.accounts import Accounts
from rtnb.protocol.server.input_audio import samples_of
from rtnb.protocol.server.listening import ListeningMachine
from rtnb.protocol.server.mcp import McpServers, redacted
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.protocol.server.responses import Responses
from rtnb.protocol.server.settings import (
    ConversationSettings,
    default_session,
    merge_session,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rtnb.audio import Samples
    from rtnb.protocol.server.accounts import Tokens
    from rtnb.protocol.server.mcp import Definition
    from rtnb.protocol.server.responses import Shortfall


class ServerMachine(ListeningMachine):
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
    model_open : bool
        Whether nobody has chosen the model: the first update that names one does.

    Notes
    -----
    Not thread-safe: one owner calls it. Nothing in here waits.
    """

    _settings: ConversationSettings

    def __init__(
        self,
        *,
        model: str,
        now: float,
        seed: int | None = None,
        session: dict[str, Any] | None = None,
        model_open: bool = False,
    ) -> None:
        outbox = Outbox(now=now, seed=seed)
        raw = default_session(model, outbox.new_id("sess"), now)
        tools = (session or {}).get("tools") or []
        if session:
            raw = merge_session(raw, {**session, "tools": redacted(tools)})
        settings = ConversationSettings(raw, model_open=model_open)
        super().__init__(outbox, settings)
        self._mcp = McpServers(outbox, self._items)
        self._servers: list[Definition] | None = None
        self._responses = Responses(
            outbox, settings, self._items, Accounts(outbox), self._mcp
        )
        self._input.on_interruption = self._interrupt
        self._input.on_turn = self._answer_turn
        self._responses.on_started = self._input.stop_idle
        self._responses.on_answered = self._input.start_idle
        self._outbox.emit(ev.SessionCreated, session=self._settings.session)
        self._mcp.define(self._mcp.read(_typed(tools), "session.tools"))

    # -- what the outside takes ------------------------------------------------------

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

    # -- what the client sends -------------------------------------------------------

    @override
    def _all_handlers(self) -> Mapping[type, Callable[[Any], object]]:
        return {
            **super()._all_handlers(),
            ev.ConversationItemCreate: self._create_item,
            ev.ConversationItemTruncate: self._truncate,
            ev.ResponseCreate: self._create_response,
            ev.ResponseCancel: self._cancel_response,
        }

    @override
    def _handle(self, event: Any, raw: dict[str, Any]) -> None:
        super()._handle(event, raw)
        servers, self._servers = self._servers, None
        if servers is not None:  # their lists come after session.updated
            self._mcp.define(servers)

    @override
    def _change_settings(self, patch: dict[str, Any]) -> None:
        servers = None
        if "tools" in patch:
            servers = self._mcp.read(_typed(patch["tools"]), "session.tools")
            patch = {**patch, "tools": redacted(patch["tools"])}
        self._settings.update(
            patch,
            has_spoken=self._responses.has_spoken,
            responding=bool(self._responses),
        )
        self._servers = servers

    def _create_item(self, event: ev.ConversationItemCreate) -> None:
        answer = event.item
        if not isinstance(answer, ev.McpApprovalResponseItem):
            self._items.create(event)
            return
        request = self._mcp.answered(answer)
        self._items.create(event)
        if request is not None:
            self._responses.answer_approval(request, answer)

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

    @override
    def end_turn(self, now: float) -> None:
        """The user let go of the button: commit the buffered audio and answer it.

        Raises
        ------
        ServerError
            If less than 100 ms is buffered, or an answer is being made.
        """
        self.commit(now)
        self.respond(now)

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
        """A call of the answer, its arguments streamed. Returns as `write`.

        A function is the client's to run, a tool of an MCP server the engine's: once it
        is allowed, there is an effect for it.
        """
        self._outbox.now = now
        return self._responses.call(response_id, name, arguments)

    def finish(self, response_id: str, now: float) -> None:
        """The responder has said all; where MCP calls run, it is asked once more."""
        self._outbox.now = now
        self._responses.finish(response_id)

    def stop(self, response_id: str, reason: Shortfall, now: float) -> None:
        """The answer ends before its end: the response is ``incomplete``."""
        self._outbox.now = now
        self._responses.stop(response_id, reason)

    def next_message(self, response_id: str, now: float) -> None:
        """What follows is a message of its own; of models that make one, the same."""
        self._outbox.now = now
        self._responses.next_message(response_id)

    def account(self, response_id: str, tokens: Tokens) -> None:
        """The response costs so much, whatever it reads and writes."""
        self._responses.account(response_id, tokens)

    def fail(
        self, response_id: str, message: str, now: float, *, code: str | None = None
    ) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do.

        Parameters
        ----------
        response_id : str
            Of the response.
        message : str
            What went wrong.
        now : float
            Time, seconds since the epoch.
        code : str, optional
            One of `FAILURES`, where it is known.
        """
        self._outbox.now = now
        self._responses.fail(response_id, message, code)

    def mcp_listed(
        self, item_id: str, tools: Iterable[ev.McpToolDescription], now: float
    ) -> None:
        """The engine has the tools that `ListMcpTools` asked for, all of them."""
        self._outbox.now = now
        self._mcp.listed(item_id, tools)

    def mcp_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not learn the tools that `ListMcpTools` asked for."""
        self._outbox.now = now
        self._mcp.failed(item_id, message)

    def mcp_called(self, item_id: str, result: str | ev.McpError, now: float) -> None:
        """A `CallMcpTool` gave an output, or failed."""
        self._outbox.now = now
        self._responses.mcp_called(item_id, result)

    # -- what turn detection asks for ------------------------------------------------

    def _interrupt(self) -> None:
        self._responses.cancel(None, "turn_detected")

    def _answer_turn(self) -> None:
        try:
            self._responses.create(ev.ResponseConfig())
        except ServerError as error:
            self._outbox.refuse(error)


def _typed(tools: Iterable[Any]) -> list[Any]:
    typed: list[Any] = msgspec.convert(list(tools), list[ev.Tool])
    return typed
