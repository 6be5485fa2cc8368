"""What a server sends: the forty-six events of the GA interface.

A class is named after its event, in CamelCase. ``event_id`` is the server's own; only
``input_audio_buffer.dtmf_event_received`` comes without one. ``obfuscation`` is random
padding of text-like deltas. Times named ``_ms`` count the audio appended to the session.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from rtnb.protocol.objects import (  # noqa: TC001 - msgspec reads annotations
    Conversation,
    ErrorDetail,
    Item,
    LogProb,
    Part,
    RateLimit,
    Response,
    SessionConfig,
    TranscriptionError,
    TranscriptionLanguage,
)
from rtnb.protocol.wire import Wire, type_name
from rtnb.usage import TranscriptionUsage  # noqa: TC001 - msgspec reads annotations


class _ServerEvent(Wire, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | UnsetType = UNSET


# -- session, conversation, errors -------------------------------------------------------


class SessionCreated(_ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a connection: the session with all its defaults."""

    session: SessionConfig


class SessionUpdated(_ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """A ``session.update`` was accepted: the whole effective session."""

    session: SessionConfig


class ConversationCreated(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.created"
):
    """A conversation exists; specified, but not sent by the GA service."""

    conversation: Conversation


class ConversationItemAdded(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.added"
):
    """An item entered the conversation; an assistant's is still empty."""

    previous_item_id: str | UnsetType | None = UNSET
    item: Item


class ConversationItemDone(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.done"
):
    """An item is final."""

    previous_item_id: str | UnsetType | None = UNSET
    item: Item


class ConversationItemCreated(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item entered the conversation, as the beta said it."""

    previous_item_id: str | UnsetType | None = UNSET
    item: Item


class ConversationItemRetrieved(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """An item that was asked for, audio included."""

    item: Item


class ConversationItemTruncated(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"
):
    """Assistant audio was cut, and its transcript forgotten."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDeleted(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"
):
    """An item left the conversation."""

    item_id: str


class Error(_ServerEvent, frozen=True, kw_only=True, tag="error"):
    """A client event was refused, or the session failed; it usually stays open."""

    error: ErrorDetail


class RateLimitsUpdated(
    _ServerEvent, frozen=True, kw_only=True, tag="rate_limits.updated"
):
    """What is left of the rate limits."""

    rate_limits: list[RateLimit]


# -- input audio -------------------------------------------------------------------------


class InputAudioBufferCommitted(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """The buffered audio became a user message."""

    previous_item_id: str | UnsetType | None = UNSET
    item_id: str


class InputAudioBufferCleared(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"
):
    """The buffered audio was dropped."""


class InputAudioBufferSpeechStarted(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """The user began to speak."""

    audio_start_ms: int
    """Start of the audio that is kept: the prefix padding is subtracted."""
    item_id: str
    """The id the user message will have."""


class InputAudioBufferSpeechStopped(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """The user has finished."""

    audio_end_ms: int
    """End of the audio that is kept: the silence is included."""
    item_id: str


class InputAudioBufferTimeoutTriggered(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """The user was silent for ``idle_timeout_ms``."""

    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class InputAudioBufferDtmfEventReceived(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="input_audio_buffer.dtmf_event_received",
):
    """A key of the telephone was pressed; SIP only."""

    event: str
    """0 to 9, ``*``, ``#``, A to D."""
    received_at: int
    """Seconds since the epoch."""


class ConversationItemInputAudioTranscriptionDelta(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.delta",
):
    """A piece of what the user said."""

    item_id: str
    content_index: int | UnsetType = UNSET
    delta: str | UnsetType | None = UNSET
    logprobs: list[LogProb] | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET


class ConversationItemInputAudioTranscriptionSegment(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.segment",
):
    """What one of several speakers said."""

    item_id: str
    content_index: int
    id: str
    text: str
    speaker: str
    start: float
    """Seconds."""
    end: float
    """Seconds."""


class ConversationItemInputAudioTranscriptionCompleted(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.completed",
):
    """What the user said, whole; before, during or after the answer."""

    item_id: str
    content_index: int
    transcript: str
    usage: TranscriptionUsage | UnsetType | None = UNSET
    logprobs: list[LogProb] | UnsetType | None = UNSET
    languages: list[TranscriptionLanguage] | UnsetType | None = UNSET


class ConversationItemInputAudioTranscriptionFailed(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.failed",
):
    """What the user said could not be transcribed."""

    item_id: str
    content_index: int
    error: TranscriptionError


# -- response ----------------------------------------------------------------------------


class ResponseCreated(_ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """An answer is being made."""

    response: Response


class ResponseDone(_ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """An answer has ended, in whatever way; its items come without audio."""

    response: Response


class ResponseOutputItemAdded(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """An item of an answer begins."""

    response_id: str
    output_index: int
    item: Item


class ResponseOutputItemDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """An item of an answer is final."""

    response_id: str
    output_index: int
    item: Item


class ResponseContentPartAdded(
    _ServerEvent, frozen=True, kw_only=True, tag="response.content_part.added"
):
    """A content of an item begins."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: Part


class ResponseContentPartDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.content_part.done"
):
    """A content of an item is final."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: Part


class ResponseOutputTextDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_text.delta"
):
    """A piece of a text answer."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseOutputTextDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_text.done"
):
    """A text answer, whole."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    text: str


class ResponseOutputAudioDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"
):
    """A piece of a spoken answer, in the response's format."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: bytes


class ResponseOutputAudioDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_audio.done"
):
    """No more audio comes for this content."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ResponseOutputAudioTranscriptDelta(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="response.output_audio_transcript.delta",
):
    """A piece of what the spoken answer says; runs ahead of its audio."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseOutputAudioTranscriptDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """What the spoken answer says, whole."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    transcript: str


class ResponseFunctionCallArgumentsDelta(
    _ServerEvent,
    frozen=True,
    kw_only=True,
    tag="response.function_call_arguments.delta",
):
    """A piece of the arguments of a function call."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseFunctionCallArgumentsDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """The arguments of a function call, whole."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str | UnsetType = UNSET
    arguments: str


class ResponseMcpCallArgumentsDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"
):
    """A piece of the arguments of an MCP call."""

    response_id: str
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | UnsetType | None = UNSET


class ResponseMcpCallArgumentsDone(
    _ServerEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"
):
    """The arguments of an MCP call, whole."""

    response_id: str
    item_id: str
    output_index: int
    arguments: str


class ResponseMcpCallInProgress(
    _ServerEvent, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"
):
    """An MCP tool is running."""

    output_index: int
    item_id: str


class ResponseMcpCallCompleted(
    _ServerEvent, frozen=True, kw_only=True, tag="response.mcp_call.completed"
):
    """An MCP tool has finished."""

    output_index: int
    item_id: str


class ResponseMcpCallFailed(
    _ServerEvent, frozen=True, kw_only=True, tag="response.mcp_call.failed"
):
    """An MCP tool has failed."""

    output_index: int
    item_id: str


class McpListToolsInProgress(
    _ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.in_progress"
):
    """The tools of an MCP server are being asked for."""

    item_id: str


class McpListToolsCompleted(
    _ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.completed"
):
    """The tools of an MCP server are known."""

    item_id: str


class McpListToolsFailed(
    _ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.failed"
):
    """The tools of an MCP server could not be learnt."""

    item_id: str


class OutputAudioBufferStarted(
    _ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.started"
):
    """The answer begins to sound; WebRTC and SIP only."""

    response_id: str


class OutputAudioBufferStopped(
    _ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"
):
    """The answer has been heard to its end; WebRTC and SIP only."""

    response_id: str


class OutputAudioBufferCleared(
    _ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"
):
    """The rest of the answer was dropped; WebRTC and SIP only."""

    response_id: str


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | ConversationCreated
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemCreated
    | ConversationItemRetrieved
    | ConversationItemTruncated
    | ConversationItemDeleted
    | Error
    | RateLimitsUpdated
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | InputAudioBufferSpeechStarted
    | InputAudioBufferSpeechStopped
    | InputAudioBufferTimeoutTriggered
    | InputAudioBufferDtmfEventReceived
    | ConversationItemInputAudioTranscriptionDelta
    | ConversationItemInputAudioTranscriptionSegment
    | ConversationItemInputAudioTranscriptionCompleted
    | ConversationItemInputAudioTranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseContentPartAdded
    | ResponseContentPartDone
    | ResponseOutputTextDelta
    | ResponseOutputTextDone
    | ResponseOutputAudioDelta
    | ResponseOutputAudioDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseFunctionCallArgumentsDelta
    | ResponseFunctionCallArgumentsDone
    | ResponseMcpCallArgumentsDelta
    | ResponseMcpCallArgumentsDone
    | ResponseMcpCallInProgress
    | ResponseMcpCallCompleted
    | ResponseMcpCallFailed
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | OutputAudioBufferCleared
)

SERVER_EVENTS: dict[str, type[ServerEvent]] = {
    type_name(cls): cls for cls in ServerEvent.__args__
}
"""Wire name → class."""
