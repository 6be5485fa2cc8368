"""What a client may send, as far as types do not say it: ranges, words, lengths."""

import json

import pytest

from rtnb.errors import ServerError
from rtnb.protocol.rules import CONNECTORS, EFFORTS, MAX_APPEND_BYTES, VOICES
from rtnb.protocol.validation import parse_client_event
from tests.protocol.samples import PNG_URI

DETECTION = "session.audio.input.turn_detection"


def nested(path, value):
    """An object in which `value` stands at the dotted path."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def with_type(document, path, kind):
    """The object at the path gets a ``type``."""
    inner = document
    for name in path.split("."):
        inner = inner[name]
    inner["type"] = kind
    return document


def session_update(path, value, *kinds):
    """A ``session.update`` that sets one value; `kinds` are (path, type) pairs."""
    document = {"type": "session.update", **nested(path, value)}
    for where, kind in (("session", "realtime"), *kinds):
        with_type(document, where, kind)
    return document


def vad(field, value, kind="server_vad"):
    return session_update(f"{DETECTION}.{field}", value, (DETECTION, kind))


def create_item(**item):
    return {"type": "conversation.item.create", "item": item}


def message(role, *content):
    return create_item(type="message", role=role, content=list(content))


def response_create(**response):
    return {"type": "response.create", "response": response}


def truncate(**fields):
    where = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 0, **fields}
    return {"type": "conversation.item.truncate", **where}


def refusal_of(document):
    with pytest.raises(ServerError) as refusal:
        parse_client_event(json.dumps(document))
    return refusal.value


FORMAT = "session.audio.input.format"
TRUNCATION = "session.truncation"
RATIO = (TRUNCATION, "retention_ratio")
MCP = {"type": "mcp", "server_label": "docs"}

ALLOWED = [
    vad("threshold", 0),
    vad("threshold", 1),
    vad("prefix_padding_ms", 0),
    vad("silence_duration_ms", 0),
    vad("idle_timeout_ms", 5000),
    vad("idle_timeout_ms", 30000),
    vad("idle_timeout_ms", None),
    vad("eagerness", "auto", "semantic_vad"),
    session_update(DETECTION, None),
    session_update(f"{FORMAT}.rate", 24000, (FORMAT, "audio/pcm")),
    session_update("session.audio.output.speed", 0.25),
    session_update("session.audio.output.speed", 1.5),
    session_update("session.audio.output.voice", {"id": "voice_1"}),
    session_update("session.max_output_tokens", 1),
    session_update("session.max_output_tokens", 4096),
    session_update("session.max_output_tokens", "inf"),
    session_update("session.model", "gpt-realtime-9"),
    session_update("session.audio.input.noise_reduction.strength", 1),
    session_update(f"{TRUNCATION}.retention_ratio", 1, RATIO),
    session_update("session.include", None),
    session_update("session.tracing", None),
    *(session_update("session.audio.output.voice", voice) for voice in VOICES),
    *(session_update("session.reasoning.effort", effort) for effort in EFFORTS),
    response_create(metadata={f"{n:064}": "x" * 512 for n in range(16)}),
    response_create(metadata=None),
    truncate(audio_end_ms=0),
    message("user", {"type": "input_text", "text": "hi"}),
    message("user", {"type": "input_audio", "audio": "AAAA"}),
    message("user", {"type": "input_image", "image_url": PNG_URI, "detail": "low"}),
    message("assistant", {"type": "output_text", "text": "hi"}),
    message("system", {"type": "input_text", "text": "hi"}),
    {"type": "response.cancel", "event_id": "x" * 512},
]


@pytest.mark.parametrize("document", ALLOWED)
def test_what_is_in_range_is_accepted(document):
    event, raw = parse_client_event(json.dumps(document))
    assert event
    assert raw == document


def between(path, low, high, got):
    return f"Invalid '{path}': must be between {low} and {high}, got {got}."


def at_least_zero(path, got):
    return f"Invalid '{path}': must be at least 0, got {got}."


VALUES = [
    (vad("threshold", 1.5), f"{DETECTION}.threshold", (0, 1, 1.5)),
    (vad("threshold", -0.1), f"{DETECTION}.threshold", (0, 1, -0.1)),
    (vad("idle_timeout_ms", 4999), f"{DETECTION}.idle_timeout_ms", (5000, 30000, 4999)),
    (
        vad("idle_timeout_ms", 30001),
        f"{DETECTION}.idle_timeout_ms",
        (5000, 30000, 30001),
    ),
    (
        session_update("session.audio.output.speed", 2),
        "session.audio.output.speed",
        (0.25, 1.5, 2),
    ),
    (
        session_update("session.audio.input.noise_reduction.strength", 1.5),
        "session.audio.input.noise_reduction.strength",
        (0, 1, 1.5),
    ),
    (
        session_update(f"{TRUNCATION}.retention_ratio", -1, RATIO),
        f"{TRUNCATION}.retention_ratio",
        (0, 1, -1),
    ),
    (
        session_update("session.max_output_tokens", 0),
        "session.max_output_tokens",
        (1, 4096, 0),
    ),
    (
        response_create(max_output_tokens=4097),
        "response.max_output_tokens",
        (1, 4096, 4097),
    ),
]


@pytest.mark.parametrize(("document", "param", "facts"), VALUES)
def test_a_value_out_of_its_range_is_refused(document, param, facts):
    error = refusal_of(document)
    assert (error.code, error.param) == ("invalid_value", param)
    assert error.message == between(param, *facts)


@pytest.mark.parametrize(
    ("document", "param", "got"),
    [
        (vad("prefix_padding_ms", -1), f"{DETECTION}.prefix_padding_ms", -1),
        (vad("silence_duration_ms", -5), f"{DETECTION}.silence_duration_ms", -5),
        (truncate(audio_end_ms=-1), "audio_end_ms", -1),
        (truncate(content_index=-1), "content_index", -1),
    ],
)
def test_a_negative_time_or_index_is_refused(document, param, got):
    error = refusal_of(document)
    assert (error.code, error.param) == ("invalid_value", param)
    assert error.message == at_least_zero(param, got)


@pytest.mark.parametrize(
    ("document", "param", "supported"),
    [
        (
            session_update("session.audio.input.transcription.delay", "bogus"),
            "session.audio.input.transcription.delay",
            "'minimal', 'low', 'medium', 'high', and 'xhigh'",
        ),
        (
            session_update("session.audio.input.noise_reduction.type", "bogus"),
            "session.audio.input.noise_reduction.type",
            "'near_field' and 'far_field'",
        ),
        (
            session_update("session.audio.output.voice", "bogus"),
            "session.audio.output.voice",
            "'alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse', "
            "'marin', and 'cedar'",
        ),
        (
            response_create(audio={"output": {"voice": "bogus"}}),
            "response.audio.output.voice",
            "'alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse', "
            "'marin', and 'cedar'",
        ),
        (session_update("session.tracing", "bogus"), "session.tracing", "'auto'"),
        (
            session_update("session.object", "bogus"),
            "session.object",
            "'realtime.session'",
        ),
        (
            session_update("session.tools", [{**MCP, "connector_id": "bogus"}]),
            "session.tools[0].connector_id",
            f"{', '.join(map(repr, CONNECTORS[:-1]))}, and {CONNECTORS[-1]!r}",
        ),
        (
            session_update("session.tools", [{**MCP, "allowed_callers": ["bogus"]}]),
            "session.tools[0].allowed_callers[0]",
            "'direct' and 'programmatic'",
        ),
        (message("bogus"), "item.role", "'user', 'assistant', and 'system'"),
        (
            create_item(type="function_call", name="f", arguments="", status="bogus"),
            "item.status",
            "'completed', 'incomplete', and 'in_progress'",
        ),
    ],
)
def test_a_word_that_is_not_supported_is_refused(document, param, supported):
    error = refusal_of(document)
    assert (error.code, error.param) == ("invalid_value", param)
    wanted = f"Invalid value: 'bogus'. Supported values are: {supported}."
    assert error.message == wanted


def test_the_only_rate_is_24_khz():
    error = refusal_of(session_update(f"{FORMAT}.rate", 16000, (FORMAT, "audio/pcm")))
    assert error.param == f"{FORMAT}.rate"
    assert error.message == "Invalid value: 16000. Supported values are: 24000."


@pytest.mark.parametrize("modalities", [["text", "audio"], []])
def test_there_is_one_modality(modalities):
    error = refusal_of(session_update("session.output_modalities", modalities))
    assert (error.code, error.param) == ("invalid_value", "session.output_modalities")
    assert error.message == (
        f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and "
        "['audio']."
    )


@pytest.mark.parametrize(
    ("role", "kind", "supported"),
    [
        ("user", "output_text", "'input_text', 'input_audio', and 'input_image'"),
        ("assistant", "input_text", "'output_text' and 'output_audio'"),
        ("system", "output_text", "'input_text'"),
        ("assistant", "text", "'output_text' and 'output_audio'"),
    ],
)
def test_a_role_has_its_own_contents(role, kind, supported):
    good = {"type": "input_text" if role != "assistant" else "output_text", "text": "a"}
    error = refusal_of(message(role, good, {"type": kind, "text": "hi"}))
    assert (error.code, error.param) == ("invalid_value", "item.content[1].type")
    wanted = f"Invalid value: '{kind}'. Supported values are: {supported}."
    assert error.message == wanted


def append(size):
    return '{"type":"input_audio_buffer.append","audio":"' + "AAAA" * (size // 3) + '"}'


def test_an_append_holds_at_most_15_mib():
    event, _ = parse_client_event(append(MAX_APPEND_BYTES))
    assert len(event.audio) == MAX_APPEND_BYTES
    with pytest.raises(ServerError) as refusal:
        parse_client_event(append(MAX_APPEND_BYTES + 3))
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "audio")
    assert refusal.value.message == (
        "Invalid 'audio': must be at most 15728640 bytes (15 MiB) of audio in one "
        "event, got 15728643."
    )


@pytest.mark.parametrize(
    "document",
    [
        {"type": "response.cancel", "event_id": "x" * 513},
        {"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "x" * 513},
    ],
)
def test_an_event_id_has_at_most_512_characters(document):
    error = refusal_of(document)
    assert (error.code, error.param) == ("string_above_max_length", "event_id")
    assert error.message == (
        "Invalid 'event_id': string too long. Expected a string with maximum length "
        "512, but got a string with length 513 instead."
    )


@pytest.mark.parametrize(
    ("metadata", "code", "param"),
    [
        (dict.fromkeys(map(str, range(17)), ""), "object_above_max_properties", ""),
        ({"k" * 65: ""}, "string_above_max_length", ""),
        ({"k": "v" * 513}, "string_above_max_length", ".k"),
        ({"k": 7}, "invalid_type", ".k"),
    ],
)
def test_metadata_is_small(metadata, code, param):
    error = refusal_of(response_create(metadata=metadata))
    assert (error.code, error.param) == (code, f"response.metadata{param}")
