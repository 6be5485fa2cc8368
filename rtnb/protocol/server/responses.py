"""The answers: asked for, written and spoken piece by piece, ended in one of five ways."""

from __future__ import annotations

import bisect
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from rtnb.audio import Samples, pcm16_decode, pcm16_encode
from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE, OutputEncoder
from rtnb.protocol.server.accounts import COUNTED, Tokens
from rtnb.protocol.server.context import Context, check_model, facts_of
from rtnb.protocol.server.effects import (
    CallMcpTool,
    Modality,
    Respond,
    StopMcpCall,
    StopResponding,
)
from rtnb.protocol.server.items import Entry, Items, text_of
from rtnb.protocol.server.mcp import ApprovalRequest, McpOffer, McpServers, Offers
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.usage import (
    Usage,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_transcript_tokens,
)
from rtnb.usage.tokens import ASSISTANT_AUDIO_TOKEN_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.protocol.server.accounts import Accounts
    from rtnb.protocol.server.context import Reading, Weights
    from rtnb.protocol.server.mcp import Definition
    from rtnb.protocol.server.settings import Settings

FAILURES: Final = {
    None: "server_error",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "insufficient_quota",
    "model_not_found": "invalid_request_error",
}
"""Why a response fails: the ``type`` of the error by its ``code``. The codes are
documented; of the types it is known that they vary."""

Shortfall: TypeAlias = Literal["max_output_tokens", "content_filter"]
"""Why a response is incomplete."""
MOST_ROUNDS: Final = 8
"""How often the results of MCP calls are answered in one response, ours; the last time
there is nothing to call any more."""


@dataclass(eq=False)
class Output:
    """The output item being written."""

    item_id: str
    index: int
    previous_item_id: str | None
    call_id: str = ""
    name: str = ""
    text: str = ""
    audio: list[Samples] = field(default_factory=list)
    heard: int | None = None
    phase: str | UnsetType = UNSET
    offer: McpOffer | None = None
    approved_by: str | None = None
    result: str | None = None
    error: ev.McpError | None = None

    @property
    def is_call(self) -> bool:
        """Whether it is a function call."""
        return bool(self.call_id)

    @property
    def asks(self) -> bool:
        """Whether it asks to be allowed to call a tool of an MCP server."""
        offer = self.offer
        return offer is not None and offer.needs_approval and self.approved_by is None

    @property
    def samples(self) -> int:
        """How much audio the conversation has of it."""
        made = sum(map(len, self.audio))
        return made if self.heard is None else min(made, self.heard)

    def cut(self, samples: int) -> None:
        """Keep so much of its audio and no words; what comes later is not kept."""
        self.heard = samples


@dataclass(eq=False)
class Response:
    """One response in progress."""

    id: str
    in_conversation: bool
    config: ev.ResponseConfig
    modality: Modality
    voice: Any
    format: Any
    limit: int | Literal["inf"]
    encoder: OutputEncoder
    input: Weights
    aside: tuple[str, ...] = ()
    given: list[Entry] | None = None
    """What it reads instead of the conversation."""
    servers: list[Definition] | None = None
    """MCP servers that it names itself."""
    earlier: tuple[Any, ...] = ()
    """Items of the response that it goes on for, where these are in no conversation."""
    slots: list[Any] = field(default_factory=list)
    open: Output | None = None
    running: dict[str, Output] = field(default_factory=dict)
    offers: Offers = field(default_factory=Offers)
    reading: Reading | None = None
    """What it reads in its first round, where that is known already."""
    rounds: int = 0
    waiting: bool = False
    """Whether it waits for the tools of its servers."""
    said: bool = False
    """Whether the responder has said all that it had to say."""
    called: set[str] = field(default_factory=set)
    """MCP calls that have ended since the responder was asked."""
    asked_client: bool = False
    """Whether the client has to do something before this can go on."""
    text_tokens: int = 0
    audio_samples: int = 0
    tokens: Tokens = COUNTED

    @property
    def output(self) -> list[Any]:
        """Items that are complete, in order."""
        return [item for item in self.slots if item is not None]

    @property
    def made(self) -> tuple[Any, ...]:
        """What it and those before it made, where its input lacks that."""
        if self.in_conversation and self.given is None:
            return ()
        return (*self.earlier, *self.output)

    @property
    def audio_tokens(self) -> int:
        """Tokens spoken so far."""
        return assistant_audio_tokens(1000 * self.audio_samples / SAMPLE_RATE)

    @property
    def playback_s(self) -> float:
        """How long its audio plays."""
        return self.audio_samples / SAMPLE_RATE

    @property
    def allowance(self) -> float:
        """Tokens it may still write or speak; infinite without a limit."""
        limit = math.inf if self.limit == "inf" else self.limit
        return limit - self.text_tokens - self.audio_tokens


class Responses:
    """All responses in progress: one of the conversation, any number beside it.

    Parameters
    ----------
    outbox : Outbox
        Where their events go.
    settings : Settings
        What a response is like that asks for nothing else.
    items : Items
        What they answer, and where their output goes.
    accounts : Accounts
        Counts their tokens.
    mcp : McpServers
        Whose tools they may call.

    Attributes
    ----------
    on_started : callable
        Called when one of the conversation begins.
    on_answered : callable
        Called with each `Response` of the conversation that ends by itself.
    """

    def __init__(
        self,
        outbox: Outbox,
        settings: Settings,
        items: Items,
        accounts: Accounts,
        mcp: McpServers,
    ) -> None:
        self._outbox = outbox
        self._mcp = mcp
        mcp.on_listed = self._stop_waiting
        self._answered: list[tuple[ApprovalRequest, ev.McpApprovalResponseItem]] = []
        self._settings = settings
        self._items = items
        self._accounts = accounts
        self._context = Context(settings)
        self._active: dict[str, Response] = {}
        self._voice: Any = None
        self.conversation_id = outbox.new_id("conv")
        self.on_started: Callable[[], None] = lambda: None
        self.on_answered: Callable[[Response], None] = lambda _: None

    def __bool__(self) -> bool:
        return bool(self._active)

    @property
    def has_spoken(self) -> bool:
        """Whether the conversation has assistant audio, finished or not."""
        return self._items.has_assistant_audio or any(
            response.in_conversation and response.audio_samples
            for response in self._active.values()
        )

    def is_active(self, response_id: str) -> bool:
        """Whether the response is still being made."""
        return response_id in self._active

    @property
    def active_id(self) -> str | None:
        """The response of the conversation that is being made, if any."""
        for response in self._active.values():
            if response.in_conversation:
                return response.id
        return None

    def being_written(self, item_id: str) -> Output | None:
        """The item of the conversation of that name, while it is written."""
        if item_id not in self._items:
            return None
        outputs = (response.open for response in self._active.values())
        return next((one for one in outputs if one and one.item_id == item_id), None)

    # -- asked for -------------------------------------------------------------------

    def create(self, config: ev.ResponseConfig) -> None:
        """Begin a response.

        Raises
        ------
        ServerError
            If it is of the conversation and another one is being made, or if its input
            refers to an item that there is not.
        """
        check_model(self._settings.raw["model"], config, "response")
        in_conversation = config.conversation != "none"
        servers = None
        if isinstance(config.tools, list):
            servers = self._mcp.read(config.tools, "response.tools")
        active = self.active_id
        if in_conversation and active is not None:
            raise refusal(
                "Conversation already has an active response in progress: "
                f"{active}. Wait until the response is finished before creating a "
                "new one.",
                "conversation_already_has_active_response",
            )
        given, aside = self._input(config)
        try:
            response = self._begin(config, given=given, servers=servers)
        except ServerError:
            self._items.forget_aside(aside)
            raise
        response.aside = aside
        if servers is not None:
            self._mcp.list(servers)
            response.waiting = self._mcp.awaits(servers)
        if not response.waiting:
            self._ask(response)

    def _begin(
        self,
        config: ev.ResponseConfig,
        *,
        given: list[Entry] | None,
        servers: list[Definition] | None,
        earlier: tuple[Any, ...] = (),
    ) -> Response:
        reading = self._read(config, given, self._offers(config, servers), earlier)
        response = self._new(config, reading.weights)
        response.given, response.servers, response.earlier = given, servers, earlier
        response.reading = reading
        self._active[response.id] = response
        self._accounts.reserve(response.id, self._most_tokens(response))
        if response.in_conversation:
            self.on_started()
        self._outbox.emit(
            ev.ResponseCreated, response=self._wire(response, "in_progress")
        )
        return response

    def _offers(
        self, config: ev.ResponseConfig, servers: list[Definition] | None
    ) -> Offers:
        return self._mcp.offers(
            self._tools(config), self._mcp.of_session if servers is None else servers
        )

    def _read(
        self,
        config: ev.ResponseConfig,
        given: list[Entry] | None,
        offers: Offers,
        made: tuple[Any, ...],
    ) -> Reading:
        """What the model is given; `made` are items that its input lacks."""
        entries = self._items.entries if given is None else given
        return self._context.read(
            [*entries, *map(Entry, made)],
            instructions=self._instructions(config),
            tools=offers.tools,
            in_conversation=config.conversation != "none",
        )

    def _most_tokens(self, response: Response) -> int:
        """What it reads, and the most that it may write and speak."""
        facts = facts_of(self._settings.raw["model"])
        written = facts.window - facts.input
        if response.limit != "inf":
            written = int(response.limit)
        return written + sum(weight.total for weight in response.input)

    def _ask(self, response: Response) -> None:
        """Let the responder answer, for the first time or to what MCP calls gave."""
        config, raw = response.config, self._settings.raw
        response.said = response.asked_client = False
        fresh, response.called = response.called, set()
        response.offers = self._offers(config, response.servers)
        tools, choice = self._choice(response)
        try:
            reading = response.reading or self._read(
                config, response.given, response.offers, response.made
            )
        except ServerError as error:  # it has grown too long
            self.fail(response.id, error.message)
            return
        # What a call gave comes last, even where something was said while it ran.
        entries = sorted(reading.entries, key=lambda entry: entry.item.id in fresh)
        response.reading = None
        response.rounds += 1
        last = next((entry for entry in reversed(entries) if entry.is_user), None)
        spoken = last is not None and last.audio is not None
        wanted = Respond(
            response_id=response.id,
            instructions=self._instructions(config),
            items=tuple(entry.item for entry in entries),
            tools=tools,
            tool_choice=choice,
            modality=response.modality,
            voice=response.voice if isinstance(response.voice, str) else "alloy",
            speed=raw["audio"]["output"]["speed"],
            user_item_id=None if last is None else last.item.id,
            heard_ms=last.audio_ms if last is not None and spoken else None,
        )
        self._outbox.want(wanted)

    def _choice(self, response: Response) -> tuple[tuple[Any, ...], Any]:
        """Tools and choice; what was demanded is demanded once."""
        if response.rounds >= MOST_ROUNDS:
            return (), "none"
        raw = self._settings.raw["tool_choice"]
        session: Any = msgspec.convert(raw, ev.ToolChoice)
        wanted = _given(response.config.tool_choice, session)
        return response.offers.chosen("auto" if response.rounds else wanted)

    def _stop_waiting(self) -> None:
        """Ask for the answers whose tools are known now."""
        for response in list(self._active.values()):
            if response.waiting and not self._mcp.awaits(response.servers or ()):
                response.waiting, response.reading = False, None
                self._ask(response)

    def _instructions(self, config: ev.ResponseConfig) -> str:
        wanted = _given(config.instructions, self._settings.raw["instructions"])
        return str(wanted or "")

    def _tools(self, config: ev.ResponseConfig) -> list[ev.Tool]:
        tools: list[ev.Tool] = _given(
            config.tools, msgspec.convert(self._settings.raw["tools"], list[ev.Tool])
        )
        return tools

    def _input(
        self, config: ev.ResponseConfig
    ) -> tuple[list[Entry] | None, tuple[str, ...]]:
        """What the response reads, None: the conversation; and what is put aside for it."""
        if not isinstance(config.input, list):
            return None, ()
        entries: list[Entry] = []
        aside: list[str] = []
        try:
            for index, item in enumerate(config.input):
                path = f"response.input[{index}]"
                if isinstance(item, ev.ItemReference):
                    entries.append(self._items.referred(item.id, f"{path}.id"))
                    continue
                entries.append(self._items.put_aside(item, path))
                aside.append(entries[-1].item.id)
        except ServerError:
            self._items.forget_aside(aside)
            raise
        return entries, tuple(aside)

    def _new(self, config: ev.ResponseConfig, weights: Weights) -> Response:
        raw = self._settings.raw
        in_conversation = config.conversation != "none"
        asked = (
            config.audio.output if isinstance(config.audio, ev.ResponseAudio) else None
        )
        wire_format = self._settings.format("output")
        voice = raw["audio"]["output"]["voice"]
        if isinstance(asked, ev.ResponseAudioOutput):
            wire_format = _given(asked.format, wire_format)
            voice = _given(asked.voice, voice)
            if in_conversation and voice != self._voice and self.has_spoken:
                raise refusal(
                    "Cannot update a conversation's voice if assistant audio is "
                    "present.",
                    "cannot_update_voice",
                )
        modalities = _given(config.output_modalities, raw["output_modalities"])
        return Response(
            id=self._outbox.new_id("resp"),
            in_conversation=in_conversation,
            config=config,
            modality="text" if "text" in modalities else "audio",
            voice=voice,
            format=wire_format,
            limit=_given(config.max_output_tokens, raw["max_output_tokens"]),
            encoder=OutputEncoder(wire_format),
            input=weights,
        )

    def cancel(self, response_id: str | None, reason: str) -> bool:
        """Stop a response, by default the conversation's; false if there is none."""
        response = self._active.get(response_id or self.active_id or "")
        if response is None:
            return False
        details = ev.StatusDetails(type="cancelled", reason=reason)
        self._end(response, "cancelled", details=details)
        self._outbox.want(StopResponding(response.id))
        return True

    # -- written and spoken ----------------------------------------------------------

    def write(self, response_id: str, text: str) -> bool:
        """More words; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        text, whole = _fitting(response, text)
        if not text and not whole:
            return self._end_at_limit(response)
        output = self._open_message(response)
        output.text += text
        response.text_tokens = _written_tokens(response)
        event: type = (
            ev.ResponseOutputTextDelta
            if response.modality == "text"
            else ev.ResponseOutputAudioTranscriptDelta
        )
        self._outbox.emit(
            event,
            response_id=response.id,
            item_id=output.item_id,
            output_index=output.index,
            content_index=0,
            delta=text,
            obfuscation=self._outbox.obfuscation(text),
        )
        return True if whole else self._end_at_limit(response)

    def play(self, response_id: str, samples: Samples) -> bool:
        """More sound; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        spoken = samples[: _speakable(response)]
        if not len(spoken) and len(samples):
            return self._end_at_limit(response)
        output = self._open_message(response)
        # Kept as what the wire can say, so that retrieve and truncate agree with it.
        output.audio.append(pcm16_decode(pcm16_encode(spoken)))
        response.audio_samples += len(spoken)
        if response.in_conversation:
            self._voice = response.voice
        self._audio_delta(response, output, response.encoder(spoken))
        return len(spoken) == len(samples) or self._end_at_limit(response)

    def call(self, response_id: str, name: str, arguments: dict[str, Any]) -> bool:
        """A call, its arguments streamed; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        self._close_output(response, "completed")
        if not _fitting(response, name)[1]:
            return self._end_at_limit(response)
        offer = response.offers.find(name)
        whole = (
            self._call_function(response, name, arguments)
            if offer is None
            else self._call_mcp(response, offer, arguments)
        )
        if not whole:
            return self._end_at_limit(response)
        if self._calls_in_parallel(response):
            return True
        response.said = True
        self._go_on(response)
        self._outbox.want(StopResponding(response.id))
        return False

    def _call_function(
        self, response: Response, name: str, arguments: dict[str, Any]
    ) -> bool:
        """Show a call for the client to run; false if it was cut."""
        response.asked_client = True
        output = self._open(response, call_id=self._outbox.new_call_id(), name=name)
        text, whole = _fitting(response, json.dumps(arguments, ensure_ascii=False))
        event = ev.ResponseFunctionCallArgumentsDelta
        self._stream(response, output, text, event, call_id=output.call_id)
        if whole:
            self._close_output(response, "completed")
        return whole

    def _stream(
        self, response: Response, output: Output, text: str, event: type, **more: Any
    ) -> None:
        """Write the arguments of a call piece by piece."""
        for start in range(0, len(text), 8):
            delta = text[start : start + 8]
            self._outbox.emit(
                event,
                response_id=response.id,
                item_id=output.item_id,
                output_index=output.index,
                **more,
                delta=delta,
                obfuscation=self._outbox.obfuscation(delta),
            )
        output.text = text
        response.text_tokens = _written_tokens(response)

    def _calls_in_parallel(self, response: Response) -> bool:
        default = self._settings.raw.get("parallel_tool_calls")
        wanted = _given(response.config.parallel_tool_calls, default)
        return wanted is not False

    # -- calls of MCP servers --------------------------------------------------------

    def _call_mcp(
        self, response: Response, offer: McpOffer, arguments: dict[str, Any]
    ) -> bool:
        """Call a tool of a server, or ask whether that is allowed; false if too long.

        Arguments that were cut would be of no use: nothing is shown of them.
        """
        text = json.dumps(arguments, ensure_ascii=False)
        if not _fitting(response, offer.tool.name + text)[1]:
            return False
        output = self._open(response, name=offer.tool.name, offer=offer)
        self._stream(response, output, text, ev.ResponseMcpCallArgumentsDelta)
        self._outbox.emit(
            ev.ResponseMcpCallArgumentsDone,
            response_id=response.id,
            item_id=output.item_id,
            output_index=output.index,
            arguments=text,
        )
        if output.asks:
            self._request_approval(response, output, offer, arguments)
        else:
            self._run(response, output, offer, arguments)
        return True

    def _request_approval(
        self,
        response: Response,
        output: Output,
        offer: McpOffer,
        arguments: dict[str, Any],
    ) -> None:
        response.asked_client = True
        self._finish_item(response, output, "completed")
        self._mcp.request(
            ApprovalRequest(
                item=response.slots[output.index],
                offer=offer,
                arguments=arguments,
                config=response.config,
                servers=response.servers,
                given=response.given,
                made=response.made,
            )
        )

    def _run(
        self,
        response: Response,
        output: Output,
        offer: McpOffer,
        arguments: dict[str, Any],
    ) -> None:
        item_id, server = output.item_id, offer.definition.server
        response.open = None
        response.running[item_id] = output
        self._outbox.emit(
            ev.ResponseMcpCallInProgress, output_index=output.index, item_id=item_id
        )
        self._outbox.want(CallMcpTool(item_id, server, offer.tool.name, arguments))

    def mcp_called(self, item_id: str, result: str | ev.McpError) -> None:
        """A tool gave something, or failed; what nobody waits for is dropped."""
        for response in list(self._active.values()):
            output = response.running.pop(item_id, None)
            if output is not None:
                self._end_call(response, output, result)
                response.called.add(item_id)
                self._go_on(response)

    def _end_call(
        self, response: Response, output: Output, result: str | ev.McpError
    ) -> None:
        event: type = ev.ResponseMcpCallFailed
        if isinstance(result, str):
            output.result, event = result, ev.ResponseMcpCallCompleted
        else:
            output.error = result
        self._outbox.emit(event, output_index=output.index, item_id=output.item_id)
        self._finish_item(response, output, "completed")

    def _abandon_calls(self, response: Response) -> None:
        for item_id, output in response.running.items():
            self._outbox.want(StopMcpCall(item_id))
            why = "The response ended before the call did."
            self._end_call(response, output, ev.McpToolExecutionError(message=why))
        response.running.clear()

    def answer_approval(
        self, request: ApprovalRequest, answer: ev.McpApprovalResponseItem
    ) -> None:
        """Go on with a call that was allowed or refused, once nothing else is said."""
        self._mcp.settle(request)
        self._answered.append((request, answer))
        self._follow_approvals()

    def _follow_approvals(self) -> None:
        for pair in list(self._answered):
            request, answer = pair
            if request.config.conversation == "none" or self.active_id is None:
                self._answered.remove(pair)
                self._follow_approval(request, answer)

    def _follow_approval(
        self, request: ApprovalRequest, answer: ev.McpApprovalResponseItem
    ) -> None:
        """Go on in a response of its own: with the call, or with words about it."""
        try:
            response = self._begin(
                request.config,
                given=request.given,
                servers=request.servers,
                earlier=(*request.made, answer) if request.made else (),
            )
        except ServerError as error:  # it has grown too long
            self._outbox.refuse(error)
            return
        response.rounds = 1
        if not answer.approve:
            self._ask(response)
            return
        response.reading, response.said = None, True
        output = self._open(
            response,
            name=request.offer.tool.name,
            offer=request.offer,
            text=request.item.arguments,
            approved_by=str(request.item.id),
        )
        self._run(response, output, request.offer, request.arguments)

    def _audio_delta(self, response: Response, output: Output, data: bytes) -> None:
        if data:
            self._outbox.emit(
                ev.ResponseOutputAudioDelta,
                response_id=response.id,
                item_id=output.item_id,
                output_index=output.index,
                content_index=0,
                delta=data,
            )

    # -- ended -----------------------------------------------------------------------

    def finish(self, response_id: str) -> None:
        """The answer is complete."""
        response = self._active.get(response_id)
        if response is not None:
            response.said = True
            self._go_on(response)

    def _go_on(self, response: Response) -> None:
        """End, unless calls run or their results are still to be answered."""
        if not response.said:
            return
        if response.running or (response.called and not response.asked_client):
            self._close_output(response, "completed")
            if not response.running:
                self._ask(response)
        else:
            self._end(response, "completed")

    def fail(self, response_id: str, message: str, code: str | None = None) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do."""
        response = self._active.get(response_id)
        if response is not None:
            kind = FAILURES.get(code, "server_error")
            error = ev.StatusError(type=kind, code=code, message=message)
            details = ev.StatusDetails(type="failed", error=error)
            self._end(response, "failed", details=details)

    def stop(self, response_id: str, reason: Shortfall) -> None:
        """The answer is over before its end: the response is ``incomplete``."""
        response = self._active.get(response_id)
        if response is not None:
            details = ev.StatusDetails(type="incomplete", reason=reason)
            self._end(response, "incomplete", details=details)
            self._outbox.want(StopResponding(response.id))

    def next_message(self, response_id: str) -> None:
        """What follows is a message of its own, if the model makes several."""
        response = self._active.get(response_id)
        if response is not None and facts_of(self._settings.raw["model"]).reasons:
            self._close_output(response, "completed")

    def account(self, response_id: str, tokens: Tokens) -> None:
        """The response costs so much, whatever it reads and writes."""
        response = self._active.get(response_id)
        if response is not None:
            response.tokens = tokens

    def _end_at_limit(self, response: Response) -> bool:
        """End a response that would write or speak more than it may; false."""
        self.stop(response.id, "max_output_tokens")
        return False

    def _end(
        self,
        response: Response,
        status: str,
        *,
        details: ev.StatusDetails | None = None,
    ) -> None:
        closing = "completed" if status == "completed" else "incomplete"
        self._close_output(response, closing, last=True)
        self._abandon_calls(response)
        del self._active[response.id]
        self._items.forget_aside(response.aside)
        usage = Usage() if status == "failed" else self._usage(response)
        self._outbox.emit(
            ev.ResponseDone,
            response=self._wire(response, status, details=details, usage=usage),
        )
        self._accounts.spend(response.id, usage.total_tokens)
        if response.in_conversation and status in ("completed", "incomplete"):
            self.on_answered(response)
        if details is None or details.reason != "turn_detected":
            self._follow_approvals()  # else the user has the floor

    def _usage(self, response: Response) -> Usage:
        return self._accounts.usage(
            response.input,
            text=response.text_tokens,
            audio=response.audio_tokens,
            in_conversation=response.in_conversation,
            told=response.tokens,
        )

    def _wire(
        self,
        response: Response,
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
            output=response.output,
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

    # -- the ladder of one output item -----------------------------------------------

    def _open_message(self, response: Response) -> Output:
        if response.open is not None:
            return response.open
        output = self._open(response)
        part: Any = (
            ev.TextPart(text="")
            if response.modality == "text"
            else ev.AudioPart(transcript="")
        )
        self._outbox.emit(
            ev.ResponseContentPartAdded,
            response_id=response.id,
            item_id=output.item_id,
            output_index=output.index,
            content_index=0,
            part=part,
        )
        return output

    def _open(self, response: Response, **fields: Any) -> Output:
        output = Output(
            item_id=self._outbox.new_id("item"),
            index=len(response.slots),
            previous_item_id=self._items.last_id,
            **fields,
        )
        response.slots.append(None)
        response.open = output
        item = _output_item(response, output, "in_progress")
        self._outbox.emit(
            ev.ResponseOutputItemAdded,
            response_id=response.id,
            output_index=output.index,
            item=item,
        )
        if response.in_conversation:
            self._items.set(output.item_id, Entry(item))
            self._outbox.emit(
                ev.ConversationItemAdded,
                previous_item_id=output.previous_item_id,
                item=item,
            )
        return output

    def _close_output(
        self, response: Response, status: str, *, last: bool = False
    ) -> None:
        output = response.open
        if output is None:
            return
        if facts_of(self._settings.raw["model"]).reasons:
            output.phase = "final_answer" if last else "commentary"
        where = {
            "response_id": response.id,
            "item_id": output.item_id,
            "output_index": output.index,
        }
        if output.is_call:
            self._outbox.emit(
                ev.ResponseFunctionCallArgumentsDone,
                **where,
                call_id=output.call_id,
                name=output.name,
                arguments=output.text,
            )
        elif response.modality == "text":
            self._close_text(output, where)
        else:
            self._close_audio(response, output, where)
        self._finish_item(response, output, status)

    def _close_text(self, output: Output, where: dict[str, Any]) -> None:
        emit, part = self._outbox.emit, ev.TextPart(text=output.text)
        emit(ev.ResponseOutputTextDone, **where, content_index=0, text=output.text)
        emit(ev.ResponseContentPartDone, **where, content_index=0, part=part)

    def _close_audio(
        self, response: Response, output: Output, where: dict[str, Any]
    ) -> None:
        emit, part = self._outbox.emit, ev.AudioPart(transcript=output.text)
        self._audio_delta(response, output, response.encoder.flush())
        emit(ev.ResponseOutputAudioDone, **where, content_index=0)
        emit(
            ev.ResponseOutputAudioTranscriptDone,
            **where,
            content_index=0,
            transcript=output.text,
        )
        emit(ev.ResponseContentPartDone, **where, content_index=0, part=part)

    def _finish_item(self, response: Response, output: Output, status: str) -> None:
        item = _output_item(response, output, status)
        if response.open is output:
            response.open = None
        response.slots[output.index] = item
        if response.in_conversation and output.item_id in self._items:
            audio = np.concatenate(output.audio) if output.audio else None
            self._items.set(output.item_id, Entry(item, audio))
            if output.heard is not None:
                self._items.cut(output.item_id, output.samples)
            self._outbox.emit(
                ev.ConversationItemDone,
                previous_item_id=output.previous_item_id,
                item=item,
            )
        self._outbox.emit(
            ev.ResponseOutputItemDone,
            response_id=response.id,
            output_index=output.index,
            item=item,
        )


def _output_item(response: Response, output: Output, status: str) -> Any:
    if output.offer is not None:
        return _mcp_item(output, output.offer)
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
        id=output.item_id,
        status=status,
        role="assistant",
        content=content,
        phase=output.phase,
    )


def _mcp_item(output: Output, offer: McpOffer) -> Any:
    """The item of a call, or of the question whether it is allowed."""
    common: dict[str, Any] = {
        "id": output.item_id,
        "server_label": offer.definition.label,
        "name": output.name,
        "arguments": output.text,
    }
    if output.asks:
        return ev.McpApprovalRequestItem(**common)
    return ev.McpCallItem(
        **common,
        approval_request_id=output.approved_by,
        output=output.result,
        error=output.error,
    )


def _fitting(response: Response, text: str) -> tuple[str, bool]:
    """So much of a text as the response may still write, and whether that is all."""
    if response.limit == "inf" or _fits(response, text):
        return text, True
    ends = range(1, len(text) + 1)
    fitting = bisect.bisect(ends, 0, key=lambda end: not _fits(response, text[:end]))
    return text[:fitting], False


def _fits(response: Response, text: str) -> bool:
    more = _written_tokens(response, text) - response.text_tokens
    return more <= response.allowance


def _speakable(response: Response) -> int | None:
    """Samples that the response may still speak; None without a limit."""
    if response.limit == "inf":
        return None
    tokens = response.audio_tokens + max(0, int(response.allowance))
    most = tokens * ASSISTANT_AUDIO_TOKEN_MS * SAMPLE_RATE // 1000
    return max(0, most - response.audio_samples)


def _written_tokens(response: Response, more: str = "") -> int:
    """Tokens of all that was written, and of `more` that would go on with it."""
    texts = [_text_of_item(item) for item in response.output]
    texts += [call.name + call.text for call in response.running.values()]
    if response.open is not None:
        texts.append(response.open.name + response.open.text + more)
    else:
        texts.append(more)
    spoken = response.modality == "audio"
    estimate = estimate_transcript_tokens if spoken else estimate_text_tokens
    return sum(map(estimate, texts))


def _text_of_item(item: Any) -> str:
    if isinstance(item, ev.MessageItem):
        return "".join(map(text_of, item.content))
    return f"{item.name}{item.arguments}"


def _given(value: Any, default: Any) -> Any:
    return default if value is UNSET or value is None else value
