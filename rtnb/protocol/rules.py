"""What a client may send, as far as the types of the wire do not say it.

Ranges, closed sets of words and lengths, by class and field, each as a function that
refuses what it does not allow. A refusal is a :class:`~rtnb.errors.ServerError` that
belongs into an ``error`` event.

References
----------
OpenAI Realtime API, GA interface. The wording of closed sets and of lengths is the
service's; that of ranges is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias, get_args

from rtnb.errors import ImageFormatError, ServerError
from rtnb.protocol.events import (
    CLIENT_EVENTS,
    AudioOutput,
    AudioPcm,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioTranscription,
    InputImage,
    Item,
    McpTool,
    MessageItem,
    NoiseReduction,
    RealtimeSession,
    Reasoning,
    ResponseAudioOutput,
    ResponseConfig,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    TokenLimits,
    TranscriptionSession,
)
from rtnb.protocol.images import read_image
from rtnb.protocol.requests import ExpiresAfter, SpeechRequest
from rtnb.protocol.translation import (
    TRANSLATION_CLIENT_EVENTS,
    SessionInputAudioBufferAppend,
)
from rtnb.vad.settings import IDLE_TIMEOUT_RANGE_MS, Eagerness

VOICES: Final = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)
"""Built-in voices of the Realtime API."""

SPEECH_VOICES: Final = (*VOICES, "fable", "nova", "onyx")
"""Built-in voices of the speech endpoint."""

SPEECH_CHARACTERS: Final = 4096
"""Longest text for the speech endpoint: documented."""

EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh")
"""Efforts of a reasoning model, and delays of a streaming recogniser."""

CONNECTORS: Final = (
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
)
"""MCP servers that the service itself knows."""

CONTENT_OF_ROLE: Final = {
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
    "system": ("input_text",),
}
"""Contents that a message may have, by its role."""

MAX_APPEND_BYTES: Final = 15 * 1024 * 1024
"""Most audio in one ``input_audio_buffer.append``, bytes: documented."""

MAX_EVENT_ID: Final = 512
"""Longest ``event_id`` of a client, characters: OpenAPI description."""

METADATA_PAIRS: Final = 16
METADATA_KEY: Final = 64
METADATA_VALUE: Final = 512
"""Most pairs of ``metadata``, characters of a key and of a value: documented."""

Rule: TypeAlias = Callable[[Any, str], None]
"""Refuses a value that is of the right type, given its dotted path."""


def refusal(message: str, code: str, *, param: str | None = None) -> ServerError:
    """Error for an event that breaks a rule."""
    return ServerError(
        message, type="invalid_request_error", code=code, param=param or None
    )


def refuse_value(value: Any, supported: Iterable[Any], path: str) -> NoReturn:
    """Refuse `value` because it is not one of `supported`."""
    raise refusal(
        f"Invalid value: {_quoted(value)}. Supported values are: {_listed(supported)}.",
        "invalid_value",
        param=path,
    )


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _listed(values: Iterable[Any]) -> str:
    *first, last = map(_quoted, values)
    if not first:
        return last
    comma = "," if len(first) > 1 else ""
    return f"{', '.join(first)}{comma} and {last}"


def _one_of(*supported: Any) -> Rule:
    def rule(value: Any, path: str) -> None:
        if type(value) is type(supported[0]) and value not in supported:
            refuse_value(value, supported, path)

    return rule


def _between(low: float, high: float) -> Rule:
    def rule(value: Any, path: str) -> None:
        if isinstance(value, int | float) and not low <= value <= high:
            raise refusal(
                f"Invalid '{path}': must be between {low} and {high}, got {value}.",
                "invalid_value",
                param=path,
            )

    return rule


def _at_least_zero(value: Any, path: str) -> None:
    if value < 0:
        text = f"Invalid '{path}': must be at least 0, got {value}."
        raise refusal(text, "invalid_value", param=path)


def _at_most(limit: int) -> Rule:
    def rule(value: str, path: str) -> None:
        if len(value) > limit:
            raise refusal(
                f"Invalid '{path}': string too long. Expected a string with maximum "
                f"length {limit}, but got a string with length {len(value)} instead.",
                "string_above_max_length",
                param=path,
            )

    return rule


def _not_empty(value: str, path: str) -> None:
    if not value:
        raise refusal(
            f"Invalid '{path}': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead.",
            "empty_string",
            param=path,
        )


def _at_most_15_mib(value: str, path: str) -> None:
    size = len(value) * 3 // 4 - value[-2:].count("=")
    if size > MAX_APPEND_BYTES:
        raise refusal(
            f"Invalid '{path}': must be at most {MAX_APPEND_BYTES} bytes (15 MiB) of "
            f"audio in one event, got {size}.",
            "invalid_value",
            param=path,
        )


def _one_modality(value: Any, path: str) -> None:
    if isinstance(value, list) and len(value) != 1:
        raise refusal(
            f"Invalid modalities: {value}. Supported combinations are: ['text'] and "
            "['audio'].",
            "invalid_value",
            param=path,
        )


def _small_metadata(value: Any, path: str) -> None:
    if value is None:
        return
    if len(value) > METADATA_PAIRS:
        raise refusal(
            f"Invalid '{path}': too many properties. Expected an object with at most "
            f"{METADATA_PAIRS} properties, but got an object with {len(value)} "
            "properties instead.",
            "object_above_max_properties",
            param=path,
        )
    for key, text in value.items():
        _at_most(METADATA_KEY)(key, path)
        _at_most(METADATA_VALUE)(text, f"{path}.{key}")


def _an_image(value: Any, path: str) -> None:
    try:
        read_image(value or "")
    except ImageFormatError as error:
        raise refusal(
            f"Invalid '{path}': {error}.", "invalid_value", param=path
        ) from error


def _content_of_role(item: dict[str, Any], path: str) -> None:
    supported = CONTENT_OF_ROLE[item["role"]]
    for index, part in enumerate(item["content"]):
        if part["type"] not in supported:
            refuse_value(part["type"], supported, f"{path}.content[{index}].type")


_SETTINGS: Final[dict[str, tuple[Rule, ...]]] = {
    "conversation": (_one_of("auto", "none"),),
    "include": (_one_of("item.input_audio_transcription.logprobs"),),
    "max_output_tokens": (_one_of("inf"), _between(1, 4096)),
    "metadata": (_small_metadata,),
    "output_modalities": (_one_of("text", "audio"), _one_modality),
    "tool_choice": (_one_of("none", "auto", "required"),),
    "tracing": (_one_of("auto"),),
    "truncation": (_one_of("auto", "disabled"),),
}

_ITEM: Final[dict[str, tuple[Rule, ...]]] = {
    "id": (_not_empty,),
    "object": (_one_of("realtime.item"),),
    "role": (_one_of(*CONTENT_OF_ROLE),),
    "status": (_one_of("completed", "incomplete", "in_progress"),),
}

_EVENT: Final[dict[str, tuple[Rule, ...]]] = {"event_id": (_at_most(MAX_EVENT_ID),)}

FIELD_RULES: Final[dict[type, dict[str, tuple[Rule, ...]]]] = {
    **dict.fromkeys(CLIENT_EVENTS.values(), _EVENT),
    **dict.fromkeys(TRANSLATION_CLIENT_EVENTS.values(), _EVENT),
    **dict.fromkeys(get_args(Item), _ITEM),
    AudioOutput: {"speed": (_between(0.25, 1.5),), "voice": (_one_of(*VOICES),)},
    AudioPcm: {"rate": (_one_of(24_000),)},
    ConversationItemTruncate: {
        **_EVENT,
        "audio_end_ms": (_at_least_zero,),
        "content_index": (_at_least_zero,),
    },
    ExpiresAfter: {
        "anchor": (_one_of("created_at"),),
        "seconds": (_between(10, 7200),),
    },
    InputAudioBufferAppend: {**_EVENT, "audio": (_at_most_15_mib,)},
    InputAudioTranscription: {"delay": (_one_of(*EFFORTS),)},
    InputImage: {
        "detail": (_one_of("auto", "low", "high"),),
        "image_url": (_an_image,),
    },
    McpTool: {
        "allowed_callers": (_one_of("direct", "programmatic"),),
        "connector_id": (_one_of(*CONNECTORS),),
        "require_approval": (_one_of("always", "never"),),
    },
    NoiseReduction: {
        "strength": (_between(0, 1),),
        "type": (_one_of("near_field", "far_field"),),
    },
    RealtimeSession: {**_SETTINGS, "object": (_one_of("realtime.session"),)},
    Reasoning: {"effort": (_one_of(*EFFORTS),)},
    ResponseAudioOutput: {"voice": (_one_of(*VOICES),)},
    ResponseConfig: _SETTINGS,
    RetentionRatio: {"retention_ratio": (_between(0, 1),)},
    SemanticVad: {"eagerness": (_one_of(*get_args(Eagerness)),)},
    ServerVad: {
        "idle_timeout_ms": (_between(*IDLE_TIMEOUT_RANGE_MS),),
        "prefix_padding_ms": (_at_least_zero,),
        "silence_duration_ms": (_at_least_zero,),
        "threshold": (_between(0, 1),),
    },
    SessionInputAudioBufferAppend: {**_EVENT, "audio": (_at_most_15_mib,)},
    SpeechRequest: {
        "input": (_not_empty, _at_most(SPEECH_CHARACTERS)),
        "model": (_not_empty,),
        "speed": (_between(0.25, 4),),
        "stream_format": (_one_of("audio"),),
        "voice": (_one_of(*SPEECH_VOICES),),
    },
    TokenLimits: {"post_instructions": (_at_least_zero,)},
    TranscriptionSession: {
        **_SETTINGS,
        "object": (_one_of("realtime.transcription_session"),),
    },
}
"""What each field of a class must be; a rule for strings also sees those of a list."""

OBJECT_RULES: Final[dict[type, Rule]] = {MessageItem: _content_of_role}
"""What the fields of an object must be to each other."""
