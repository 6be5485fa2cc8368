"""Sessions, items, contents, tools and responses: what the events carry.

Field order is that of the recorded service. Strings that the service may extend
(models, voices, statuses, reasons) are ``str``; what a *client* may send of them is
checked in :mod:`rtnb.protocol.validation`. Audio inside items is ``bytes`` here and
base64 on the wire.

References
----------
OpenAI Realtime API, GA interface: ``session.update``, ``conversation.item.create``,
``response.create``, ``response.done``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from typing_extensions import override

from rtnb.protocol.wire import UnknownObject, Wire
from rtnb.usage import Usage  # noqa: TC001 - msgspec reads annotations at run time
from rtnb.vad import SemanticVad, ServerVad

# -- audio formats and voices ------------------------------------------------------------


class AudioPcm(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    """Little-endian PCM16, mono."""

    rate: int | UnsetType = UNSET
    """Hz; the service knows 24000 only."""


class AudioPcmu(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 µ-law, mono, 8 kHz."""


class AudioPcma(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law, mono, 8 kHz."""


AudioFormat: TypeAlias = AudioPcm | AudioPcmu | AudioPcma


class VoiceId(Wire, frozen=True, kw_only=True):
    """A custom voice, by its identifier (``voice_…``)."""

    id: str


# -- session -----------------------------------------------------------------------------


class InputAudioTranscription(Wire, frozen=True, kw_only=True):
    """Recognition of what the user says, by a model of its own."""

    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    """ISO 639-1 code; not together with `languages`."""
    prompt: str | UnsetType | None = UNSET
    languages: list[str] | UnsetType | None = UNSET
    keywords: list[str] | UnsetType | None = UNSET
    delay: str | UnsetType | None = UNSET
    """How long a streaming recogniser may wait: minimal, low, medium, high or xhigh."""


class NoiseReduction(Wire, frozen=True, kw_only=True):
    """Filter of the input, in front of turn detection and model."""

    type: str | UnsetType = UNSET
    """``near_field`` (headset) or ``far_field`` (room)."""
    strength: float | UnsetType | None = UNSET
    """0 to 1."""


TurnDetection: TypeAlias = ServerVad | SemanticVad


class AudioInput(Wire, frozen=True, kw_only=True):
    """Everything about the user's audio."""

    format: AudioFormat | UnsetType = UNSET
    transcription: InputAudioTranscription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class AudioOutput(Wire, frozen=True, kw_only=True):
    """Everything about the assistant's audio."""

    format: AudioFormat | UnsetType = UNSET
    voice: str | VoiceId | UnsetType = UNSET
    speed: float | UnsetType = UNSET
    """0.25 to 1.5."""


class AudioConfig(Wire, frozen=True, kw_only=True):
    """Audio of a conversation session, both ways."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class TranscriptionAudioConfig(Wire, frozen=True, kw_only=True):
    """Audio of a transcription session: it only listens."""

    input: AudioInput | UnsetType = UNSET


class Reasoning(Wire, frozen=True, kw_only=True):
    """How much a reasoning model thinks."""

    effort: str | UnsetType | None = UNSET
    """minimal, low, medium, high or xhigh."""


class TracingConfig(Wire, frozen=True, kw_only=True):
    """Where the service files its trace."""

    workflow_name: str | UnsetType | None = UNSET
    group_id: str | UnsetType | None = UNSET
    metadata: Any = UNSET


class TokenLimits(Wire, frozen=True, kw_only=True):
    """Budgets of a truncation."""

    post_instructions: int | UnsetType = UNSET
    """Tokens for everything after instructions and tools."""


class RetentionRatio(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="retention_ratio"
):
    """Truncation that keeps a share of the budget, so that caches live longer."""

    retention_ratio: float
    token_limits: TokenLimits | UnsetType | None = UNSET


class Prompt(Wire, frozen=True, kw_only=True):
    """A prompt stored at the service."""

    id: str
    version: str | UnsetType | None = UNSET
    variables: dict[str, Any] | UnsetType | None = UNSET


# -- tools -------------------------------------------------------------------------------


class FunctionTool(Wire, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function the client runs."""

    name: str
    description: str | UnsetType | None = UNSET
    parameters: Any = UNSET
    """JSON Schema of the arguments."""


class McpToolFilter(Wire, frozen=True, kw_only=True):
    """A choice among the tools of an MCP server."""

    tool_names: list[str] | UnsetType | None = UNSET
    read_only: bool | UnsetType | None = UNSET


class McpApprovalFilter(Wire, frozen=True, kw_only=True):
    """Which tools of an MCP server need approval, and which do not."""

    always: McpToolFilter | UnsetType | None = UNSET
    never: McpToolFilter | UnsetType | None = UNSET


class McpTool(Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """An MCP server whose tools the service runs."""

    server_label: str
    server_url: str | UnsetType | None = UNSET
    connector_id: str | UnsetType | None = UNSET
    tunnel_id: str | UnsetType | None = UNSET
    authorization: str | UnsetType | None = UNSET
    headers: dict[str, str] | UnsetType | None = UNSET
    allowed_tools: list[str] | McpToolFilter | UnsetType | None = UNSET
    require_approval: str | McpApprovalFilter | UnsetType | None = UNSET
    server_description: str | UnsetType | None = UNSET
    allowed_callers: list[str] | UnsetType | None = UNSET
    defer_loading: bool | UnsetType | None = UNSET

    @override
    def __repr__(self) -> str:
        """As of any other type, but without what is secret."""
        secrets = ("authorization", "headers")
        hidden = {name: "***" for name in secrets if getattr(self, name)}
        return msgspec.Struct.__repr__(msgspec.structs.replace(self, **hidden))


Tool: TypeAlias = FunctionTool | McpTool | UnknownObject


class ToolChoiceFunction(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="function"
):
    """One function, which must be called."""

    name: str


class ToolChoiceMcp(Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """One MCP server, a tool of which must be called."""

    server_label: str
    name: str | UnsetType | None = UNSET


ToolChoice: TypeAlias = str | ToolChoiceFunction | ToolChoiceMcp
"""``auto``, ``none``, ``required``, or one tool."""


class RealtimeSession(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="realtime"
):
    """A conversation session: its effective settings, or the part of them to change."""

    object: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    output_modalities: list[str] | UnsetType = UNSET
    """``["audio"]`` or ``["text"]``."""
    instructions: str | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    """1 to 4096, or ``"inf"``."""
    tracing: str | TracingConfig | UnsetType | None = UNSET
    truncation: str | RetentionRatio | UnsetType = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    expires_at: int | UnsetType = UNSET
    """Seconds since the epoch."""
    reasoning: Reasoning | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    audio: AudioConfig | UnsetType = UNSET
    include: list[str] | UnsetType | None = UNSET


class TranscriptionSession(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="transcription"
):
    """A session that only listens: its settings, or the part of them to change."""

    object: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    """Seconds since the epoch."""
    audio: TranscriptionAudioConfig | UnsetType = UNSET
    include: list[str] | UnsetType | None = UNSET


SessionConfig: TypeAlias = RealtimeSession | TranscriptionSession


# -- contents ----------------------------------------------------------------------------


class InputText(Wire, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    """Text of a user or system message."""

    text: str


class InputAudio(Wire, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """Audio of a user message; the transcript is not shown to the model."""

    audio: bytes | UnsetType | None = UNSET
    """In the session's input format."""
    transcript: str | UnsetType | None = UNSET


class InputImage(Wire, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    """Picture of a user message."""

    image_url: str | UnsetType | None = UNSET
    """A ``data:`` URL of a PNG or JPEG."""
    detail: str | UnsetType | None = UNSET
    """auto, low or high."""


class OutputText(Wire, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    """Text of an assistant message."""

    text: str


class OutputAudio(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="output_audio"
):
    """Audio of an assistant message."""

    audio: bytes | UnsetType | None = UNSET
    """In the session's output format; only shown when the item is retrieved."""
    transcript: str | UnsetType | None = UNSET


class TextPart(Wire, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Text, as content part events name it."""

    text: str


class AudioPart(Wire, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Audio, as content part events name it."""

    transcript: str | UnsetType | None = UNSET
    audio: bytes | UnsetType | None = UNSET
    format: str | UnsetType | None = UNSET


Part: TypeAlias = TextPart | AudioPart | UnknownObject

ContentPart: TypeAlias = (
    InputText
    | InputAudio
    | InputImage
    | OutputText
    | OutputAudio
    | TextPart
    | AudioPart
    | UnknownObject
)

# -- items -------------------------------------------------------------------------------


class MessageItem(Wire, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """What somebody said: the user, the assistant, or the system."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    """completed, incomplete or in_progress."""
    role: str
    content: list[ContentPart]
    phase: str | UnsetType | None = UNSET
    """``commentary`` or ``final_answer``, from reasoning models."""


class FunctionCallItem(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="function_call"
):
    """A call of a function that the client runs."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    name: str
    call_id: str | UnsetType | None = UNSET
    arguments: str
    """JSON text; as long as it streams, a beginning of it."""


class FunctionCallOutputItem(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What a function gave back."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    call_id: str
    output: str


class McpToolDescription(Wire, frozen=True, kw_only=True):
    """A tool as its MCP server describes it."""

    name: str
    description: str | UnsetType | None = UNSET
    input_schema: Any
    annotations: Any = UNSET


class McpListToolsItem(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp_list_tools"
):
    """The tools an MCP server offers."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    server_label: str
    tools: list[McpToolDescription]


class McpProtocolError(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="protocol_error"
):
    """An MCP server that broke its protocol."""

    code: int
    message: str


class McpToolExecutionError(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="tool_execution_error"
):
    """An MCP tool that failed."""

    message: str


class McpHttpError(Wire, frozen=True, kw_only=True, tag_field="type", tag="http_error"):
    """An MCP server that answered with an HTTP error."""

    code: int
    message: str


McpError: TypeAlias = McpProtocolError | McpToolExecutionError | McpHttpError


class McpCallItem(Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    """A call of an MCP tool, run by the service."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | UnsetType | None = UNSET
    output: str | UnsetType | None = UNSET
    error: McpError | UnsetType | None = UNSET


class McpApprovalRequestItem(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"
):
    """The service asks whether it may call an MCP tool."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    server_label: str
    name: str
    arguments: str


class McpApprovalResponseItem(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_response"
):
    """The client allows or refuses a call of an MCP tool."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    approval_request_id: str
    approve: bool
    reason: str | UnsetType | None = UNSET


class ItemReference(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="item_reference"
):
    """An item of the conversation, by its id; only in ``response.create``."""

    id: str


Item: TypeAlias = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpListToolsItem
    | McpCallItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
    | UnknownObject
)

InputItem: TypeAlias = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpListToolsItem
    | McpCallItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
    | ItemReference
    | UnknownObject
)

# -- responses ---------------------------------------------------------------------------


class ResponseAudioOutput(Wire, frozen=True, kw_only=True):
    """Voice and format of one response."""

    format: AudioFormat | UnsetType = UNSET
    voice: str | VoiceId | UnsetType = UNSET


class ResponseAudio(Wire, frozen=True, kw_only=True):
    """Audio of one response."""

    output: ResponseAudioOutput | UnsetType = UNSET


class ResponseConfig(Wire, frozen=True, kw_only=True):
    """What one response shall do otherwise than the session says."""

    conversation: str | UnsetType = UNSET
    """``auto``, or ``none`` for a response beside the conversation."""
    input: list[InputItem] | UnsetType = UNSET
    """The whole context of the response, instead of the conversation."""
    instructions: str | UnsetType | None = UNSET
    """None, which clients in the field send: as the session says (unverified)."""
    output_modalities: list[str] | UnsetType = UNSET
    audio: ResponseAudio | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET
    """Up to 16 pairs, echoed in ``response.created`` and ``response.done``."""


class StatusError(Wire, frozen=True, kw_only=True):
    """Why a response failed."""

    type: str | UnsetType | None = UNSET
    code: str | UnsetType | None = UNSET
    message: str | UnsetType | None = UNSET


class StatusDetails(Wire, frozen=True, kw_only=True):
    """Why a response ended as it did."""

    type: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET
    """turn_detected, client_cancelled, max_output_tokens or content_filter."""
    error: StatusError | UnsetType | None = UNSET


class Response(Wire, frozen=True, kw_only=True):
    """One answer of the model: items, status, usage."""

    object: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    """in_progress, completed, cancelled, incomplete or failed."""
    status_details: StatusDetails | UnsetType | None = UNSET
    output: list[Item] | UnsetType = UNSET
    conversation_id: str | UnsetType | None = UNSET
    """None for a response beside the conversation."""
    output_modalities: list[str] | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType | None = UNSET
    audio: ResponseAudio | UnsetType | None = UNSET
    usage: Usage | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


# -- what is left ------------------------------------------------------------------------


class Conversation(Wire, frozen=True, kw_only=True):
    """The conversation, by its id."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET


class ErrorDetail(Wire, frozen=True, kw_only=True):
    """What the peer refused, and why."""

    type: str
    code: str | UnsetType | None = UNSET
    message: str
    param: str | UnsetType | None = UNSET
    """Dotted path of the offending field."""
    event_id: str | UnsetType | None = UNSET
    """Of the offending client event."""


class TranscriptionError(Wire, frozen=True, kw_only=True):
    """Why the user's audio could not be transcribed."""

    type: str | UnsetType | None = UNSET
    code: str | UnsetType | None = UNSET
    message: str | UnsetType | None = UNSET
    param: str | UnsetType | None = UNSET


class LogProb(Wire, frozen=True, kw_only=True):
    """Logarithmic probability of a transcribed token."""

    token: str
    logprob: float
    bytes: list[int]


class TranscriptionLanguage(Wire, frozen=True, kw_only=True):
    """A language that was heard."""

    code: str


class RateLimit(Wire, frozen=True, kw_only=True):
    """What is left of a rate limit."""

    name: str | UnsetType = UNSET
    """``tokens`` or ``requests``."""
    limit: int | UnsetType = UNSET
    remaining: int | UnsetType = UNSET
    reset_seconds: float | UnsetType = UNSET
