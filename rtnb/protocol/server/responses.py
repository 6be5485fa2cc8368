"""The answers: asked for, written and spoken piece by piece, ended in one of five ways."""

from __future__ import annotations

import bisect
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from rtnb.audio import Samples, pcm16_decode, pcm16_encode
from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE, OutputEncoder
from rtnb.protocol.server.context import Context, check_model, facts_of
from rtnb.protocol.server.effects import Modality, Respond, StopResponding
from rtnb.protocol.server.items import Entry, Items, text_of
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
    from rtnb.protocol.server.context import Weights
    from rtnb.protocol.server.settings import Settings

FAILURES: Final = {
    None: "server_error",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "insufficient_quota",
    "model_not_found": "invalid_request_error",
}
"""Why a response fails: the ``type`` of the error by its ``code``. The codes are
documented; of the types it is known that they vary."""


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

    @property
    def is_call(self) -> bool:
        """Whether it is a function call."""
        return bool(self.call_id)

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

    Attributes
    ----------
    on_started : callable
        Called when one of the conversation begins.
    on_answered : callable
        Called with each `Response` of the conversation that ends by itself.
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
        active = self.active_id
        if in_conversation and active is not None:
            raise refusal(
                "Conversation already has an active response in progress: "
                f"{active}. Wait until the response is finished before creating a "
                "new one.",
                "conversation_already_has_active_response",
            )
        entries, aside = self._input(config)
        try:
            reading = self._context.read(
                entries,
                instructions=self._instructions(config),
                tools=self._tools(config),
                in_conversation=in_conversation,
            )
            response = self._new(
                config, reading.weights, in_conversation=in_conversation
            )
        except ServerError:
            self._items.forget_aside(aside)
            raise
        response.aside = aside
        self._active[response.id] = response
        self._accounts.reserve(response.id, self._most_tokens(response))
        if in_conversation:
            self.on_started()
        self._outbox.emit(
            ev.ResponseCreated, response=self._wire(response, "in_progress")
        )
        self._outbox.want(self._wanted(response, reading.entries))

    def _most_tokens(self, response: Response) -> int:
        """What it reads, and the most that it may write and speak."""
        facts = facts_of(self._settings.raw["model"])
        written = facts.window - facts.input
        if response.limit != "inf":
            written = int(response.limit)
        return written + sum(weight.total for weight in response.input)

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

    def _input(self, config: ev.ResponseConfig) -> tuple[list[Entry], tuple[str, ...]]:
        """What the response reads, and the ids of what of it is put aside for it."""
        if not isinstance(config.input, list):
            return self._items.entries, ()
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
        """A function call, its arguments streamed; false once the response is over."""
        response = self._active.get(response_id)
        if response is None:
            return False
        self._close_output(response, "completed")
        output = self._open(response, call_id=self._outbox.new_call_id(), name=name)
        whole_text = json.dumps(arguments, ensure_ascii=False)
        text, whole = _fitting(response, whole_text)
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
        if not whole:
            return self._end_at_limit(response)
        self._close_output(response, "completed")
        if self._calls_in_parallel(response):
            return True
        self._end(response, "completed")
        self._outbox.want(StopResponding(response.id))
        return False

    def _calls_in_parallel(self, response: Response) -> bool:
        default = self._settings.raw.get("parallel_tool_calls")
        wanted = _given(response.config.parallel_tool_calls, default)
        return wanted is not False

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

    def fail(self, response_id: str, message: str, code: str | None = None) -> None:
        """The engine failed: the response ends ``failed``, as upstream faults do."""
        response = self._active.get(response_id)
        if response is not None:
            kind = FAILURES.get(code, "server_error")
            error = ev.StatusError(type=kind, code=code, message=message)
            details = ev.StatusDetails(type="failed", error=error)
            self._end(response, "failed", details=details)

    def _end_at_limit(self, response: Response) -> bool:
        """End a response that would write or speak more than it may; false."""
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
        self._close_output(response, closing, last=True)
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
        response.open = None
        response.output.append(item)
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
    if response.open is not None:
        texts.append(response.open.name + response.open.text + more)
    else:
        texts.append(more)
    spoken = response.modality == "audio"
    estimate = estimate_transcript_tokens if spoken else estimate_text_tokens
    return sum(map(estimate, texts))


def _text_of_item(item: Any) -> str:
    if isinstance(item, ev.FunctionCallItem):
        return f"{item.name}{item.arguments}"
    return "".join(map(text_of, item.content))


def _given(value: Any, default: Any) -> Any:
    return default if value is UNSET or value is None else value
