"""The answers: asked for, written and spoken piece by piece, ended in one of five ways."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET

from rtnb.audio import Samples, pcm16_decode, pcm16_encode
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE, OutputEncoder
from rtnb.protocol.server.context import Context, check_model
from rtnb.protocol.server.effects import Modality, Respond, StopResponding
from rtnb.protocol.server.items import Entry, Items, text_of
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.usage import (
    Usage,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_transcript_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.protocol.server.accounts import Accounts
    from rtnb.protocol.server.context import Weights
    from rtnb.protocol.server.settings import Settings


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

    @property
    def is_call(self) -> bool:
        """Whether it is a function call."""
        return bool(self.call_id)

    @property
    def samples(self) -> int:
        """How much audio it has."""
        return sum(map(len, self.audio))

    def cut(self, samples: int) -> None:
        """Keep so much of its audio; what comes later is added to that."""
        self.audio = [np.concatenate(self.audio)[:samples]]


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
    output: list[Any] = field(default_factory=list)
    open: Output | None = None
    text_tokens: int = 0
    audio_samples: int = 0

    @property
    def audio_tokens(self) -> int:
        """Tokens spoken so far."""
        return assistant_audio_tokens(1000 * self.audio_samples / SAMPLE_RATE)

    @property
    def playback_s(self) -> float:
        """How long its audio plays."""
        return self.audio_samples / SAMPLE_RATE


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

    Attributes
    ----------
    on_started : callable
        Called when one begins.
    on_completed : callable
        Called with each `Response` of the conversation that completes.
    """

    def __init__(
        self, outbox: Outbox, settings: Settings, items: Items, accounts: Accounts
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._items = items
        self._accounts = accounts
        self._context = Context(settings)
        self._active: dict[str, Response] = {}
        self.conversation_id = outbox.new_id("conv")
        self.on_started: Callable[[], None] = lambda: None
        self.on_completed: Callable[[Response], None] = lambda _: None

    def __bool__(self) -> bool:
        return bool(self._active)

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
        """The output item of that name, while it is written."""
        for response in self._active.values():
            if response.open is not None and response.open.item_id == item_id:
                return response.open
        return None

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
        active = self.active_id
        if in_conversation and active is not None:
            raise refusal(
                "Conversation already has an active response in progress: "
                f"{active}. Wait until the response is finished before creating a "
                "new one.",
                "conversation_already_has_active_response",
            )
        reading = self._context.read(
            self._input(config),
            instructions=self._instructions(config),
            tools=self._tools(config),
            in_conversation=in_conversation,
        )
        response = self._new(config, reading.weights, in_conversation=in_conversation)
        self._active[response.id] = response
        self.on_started()
        self._outbox.emit(
            ev.ResponseCreated, response=self._wire(response, "in_progress")
        )
        self._outbox.want(self._wanted(response, reading.entries))

    def _wanted(self, response: Response, entries: list[Entry]) -> Respond:
        """What the engine is asked for."""
        config, raw = response.config, self._settings.raw
        last = next((entry for entry in reversed(entries) if entry.is_user), None)
        spoken = last is not None and last.audio is not None
        return Respond(
            response_id=response.id,
            instructions=self._instructions(config),
            items=tuple(entry.item for entry in entries),
            tools=tuple(self._tools(config)),
            tool_choice=_given(config.tool_choice, raw["tool_choice"]),
            modality=response.modality,
            voice=response.voice if isinstance(response.voice, str) else "alloy",
            speed=raw["audio"]["output"]["speed"],
            user_item_id=None if last is None else last.item.id,
            heard_ms=last.audio_ms if last is not None and spoken else None,
        )

    def _instructions(self, config: ev.ResponseConfig) -> str:
        wanted = _given(config.instructions, self._settings.raw["instructions"])
        return str(wanted or "")

    def _tools(self, config: ev.ResponseConfig) -> list[ev.Tool]:
        tools: list[ev.Tool] = _given(
            config.tools, msgspec.convert(self._settings.raw["tools"], list[ev.Tool])
        )
        return tools

    def _input(self, config: ev.ResponseConfig) -> list[Entry]:
        if not isinstance(config.input, list):
            return self._items.entries
        return [
            self._items.find(item.id, "retrieve", "retrieving")
            if isinstance(item, ev.ItemReference)
            else Entry(item, self._items.audio_of(item))
            for item in config.input
        ]

    def _new(
        self,
        config: ev.ResponseConfig,
        weights: Weights,
        *,
        in_conversation: bool,
    ) -> Response:
        raw = self._settings.raw
        asked = (
            config.audio.output if isinstance(config.audio, ev.ResponseAudio) else None
        )
        wire_format = self._settings.format("output")
        voice = raw["audio"]["output"]["voice"]
        if isinstance(asked, ev.ResponseAudioOutput):
            wire_format = _given(asked.format, wire_format)
            voice = _given(asked.voice, voice)
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
        return self._within_limit(response)

    def play(self, response_id: str, samples: Samples) -> bool:
        """More sound; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        output = self._open_message(response)
        # Kept as what the wire can say, so that retrieve and truncate agree with it.
        output.audio.append(pcm16_decode(pcm16_encode(samples)))
        response.audio_samples += len(samples)
        self._audio_delta(response, output, response.encoder(samples))
        return self._within_limit(response)

    def call(self, response_id: str, name: str, arguments: dict[str, Any]) -> bool:
        """A function call, its arguments streamed; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        self._close_output(response, "completed")
        output = self._open(response, call_id=self._outbox.new_call_id(), name=name)
        text = json.dumps(arguments, ensure_ascii=False)
        for start in range(0, len(text), 8):
            delta = text[start : start + 8]
            self._outbox.emit(
                ev.ResponseFunctionCallArgumentsDelta,
                response_id=response.id,
                item_id=output.item_id,
                output_index=output.index,
                call_id=output.call_id,
                delta=delta,
                obfuscation=self._outbox.obfuscation(delta),
            )
        output.text = text
        response.text_tokens = _written_tokens(response)
        self._close_output(response, "completed")
        return self._within_limit(response)

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
            self._end(response, "completed")

    def fail(self, response_id: str, message: str) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do."""
        response = self._active.get(response_id)
        if response is not None:
            error = ev.StatusError(type="server_error", code=None, message=message)
            details = ev.StatusDetails(type="failed", error=error)
            self._end(response, "failed", details=details)

    def _within_limit(self, response: Response) -> bool:
        produced = response.text_tokens + response.audio_tokens
        if response.limit == "inf" or produced <= response.limit:
            return True
        details = ev.StatusDetails(type="incomplete", reason="max_output_tokens")
        self._end(response, "incomplete", details=details)
        self._outbox.want(StopResponding(response.id))
        return False

    def _end(
        self,
        response: Response,
        status: str,
        *,
        details: ev.StatusDetails | None = None,
    ) -> None:
        closing = "completed" if status == "completed" else "incomplete"
        self._close_output(response, closing)
        del self._active[response.id]
        usage = Usage() if status == "failed" else self._usage(response)
        self._outbox.emit(
            ev.ResponseDone,
            response=self._wire(response, status, details=details, usage=usage),
        )
        self._accounts.spend(usage.total_tokens)
        if response.in_conversation and status == "completed":
            self.on_completed(response)

    def _usage(self, response: Response) -> Usage:
        return self._accounts.usage(
            response.input,
            text=response.text_tokens,
            audio=response.audio_tokens,
            in_conversation=response.in_conversation,
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
            output=list(response.output),
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

    def _open(self, response: Response, *, call_id: str = "", name: str = "") -> Output:
        output = Output(
            item_id=self._outbox.new_id("item"),
            index=len(response.output),
            previous_item_id=self._items.last_id,
            call_id=call_id,
            name=name,
        )
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

    def _close_output(self, response: Response, status: str) -> None:
        output = response.open
        if output is None:
            return
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
        response.open = None
        response.output.append(item)
        if response.in_conversation and output.item_id in self._items:
            audio = np.concatenate(output.audio) if output.audio else None
            self._items.set(output.item_id, Entry(item, audio))
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
        id=output.item_id, status=status, role="assistant", content=content
    )


def _written_tokens(response: Response) -> int:
    texts = [_text_of_item(item) for item in response.output]
    if response.open is not None:
        texts.append(response.open.name + response.open.text)
    spoken = response.modality == "audio"
    estimate = estimate_transcript_tokens if spoken else estimate_text_tokens
    return sum(map(estimate, texts))


def _text_of_item(item: Any) -> str:
    if isinstance(item, ev.FunctionCallItem):
        return f"{item.name}{item.arguments}"
    return "".join(map(text_of, item.content))


def _given(value: Any, default: Any) -> Any:
    return default if value is UNSET or value is None else value
