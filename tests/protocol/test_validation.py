"""The strict reading of what a client sends: every refusal has its code and its place."""

import json

import pytest
from hypothesis import given, settings

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.codec import to_dict
from rtnb.protocol.validation import parse_client_event, validate_session
from tests.protocol.mutations import mutated

SUPPORTED_EVENTS = (
    "'session.update', 'input_audio_buffer.append', 'input_audio_buffer.commit', "
    "'input_audio_buffer.clear', 'output_audio_buffer.clear', "
    "'conversation.item.create', 'conversation.item.retrieve', "
    "'conversation.item.truncate', 'conversation.item.delete', 'response.create', and "
    "'response.cancel'"
)


def refusal_of(message):
    with pytest.raises(ServerError) as refusal:
        parse_client_event(message)
    return refusal.value


def session_update(**session):
    session = {"type": "realtime", **session}
    return {"type": "session.update", "event_id": "mine", "session": session}


def turn_detection(**fields):
    return session_update(audio={"input": {"turn_detection": fields}})


# -- what is accepted --------------------------------------------------------------------


def test_an_event_comes_with_what_was_sent():
    sent = session_update(instructions="", audio={"input": {"turn_detection": None}})
    event, raw = parse_client_event(json.dumps(sent))
    assert event.session.audio.input.turn_detection is None
    assert raw == sent


@pytest.mark.parametrize("event_id", [{}, {"event_id": "mine"}])
def test_an_append_comes_without_its_audio(event_id):
    sent = {"type": "input_audio_buffer.append", **event_id, "audio": "AAEC"}
    event, raw = parse_client_event(json.dumps(sent).encode())
    assert event == ev.InputAudioBufferAppend(**event_id, audio=b"\0\1\2")
    assert raw == {"type": "input_audio_buffer.append", **event_id}


def test_everything_that_was_recorded_is_accepted(hosted_frames):
    for name in ("text-in-audio-out", "three-server-vad-turns", "tool-call-round"):
        for frame in hosted_frames(name):
            if frame["direction"] == "sent":
                event, _ = parse_client_event(json.dumps(frame["data"]))
                assert to_dict(event) == frame["data"]
            elif "session" in frame["data"]:
                session = validate_session(frame["data"]["session"])
                assert to_dict(session) == frame["data"]["session"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mcp_approval_response", "approval_request_id": "i", "approve": True},
        {"type": "function_call_output", "call_id": "c", "output": ""},
        {"type": "function_call", "name": "f", "arguments": "{}"},
    ],
)
def test_items_are_accepted_as_clients_send_them(item):
    sent = {
        "type": "conversation.item.create",
        "previous_item_id": "root",
        "item": item,
    }
    event, _ = parse_client_event(json.dumps(sent))
    assert to_dict(event) == sent


# -- what is no event --------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", ["", "{", b"\xff", '{"type":"\\ud800"}', "\ud800", "[" * 990 + "]" * 990]
)
def test_what_is_not_json_is_refused(message):
    error = refusal_of(message)
    assert error.message == "Invalid event: failed to parse JSON value"
    assert (error.type, error.code) == ("invalid_request_error", "invalid_json")
    assert error.param is error.event_id is None


@pytest.mark.parametrize(("message", "kind"), [("[]", "array"), ("1.5", "number")])
def test_what_is_no_object_is_refused(message, kind):
    error = refusal_of(message)
    assert error.message == f"Invalid event: expected object, got {kind}"
    assert error.code == "invalid_event"


def test_a_missing_type_is_refused():
    error = refusal_of('{"event_id": "mine"}')
    assert error.message == "The 'type' field is missing."
    assert (error.code, error.param) == ("invalid_event", None)
    assert error.event_id == "mine"


def test_an_unknown_type_is_refused():
    error = refusal_of('{"type": "response.sing", "event_id": "mine"}')
    assert error.message == (
        f"Invalid value: 'response.sing'. Supported values are: {SUPPORTED_EVENTS}."
    )
    assert (error.code, error.param) == ("invalid_value", "type")
    assert error.event_id == "mine"


def test_a_server_event_is_refused():
    assert refusal_of('{"type": "session.created"}').code == "invalid_value"


# -- fields ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": {}}, "session.type"),
        ({"type": "session.update", "session": {"modalities": []}}, "session.type"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "conversation.item.delete"}, "item_id"),
        ({"type": "conversation.item.create", "item": {}}, "item.type"),
        (
            {"type": "conversation.item.create", "item": {"type": "message"}},
            "item.role",
        ),
        (
            turn_detection(threshold=0.5),
            "session.audio.input.turn_detection.type",
        ),
        (session_update(tools=[{"type": "function"}]), "session.tools[0].name"),
        (session_update(tool_choice={"type": "function"}), "session.tool_choice.name"),
        (
            session_update(audio={"output": {"voice": {}}}),
            "session.audio.output.voice.id",
        ),
    ],
)
def test_a_missing_field_is_refused(document, param):
    error = refusal_of(json.dumps(document))
    assert error.message == f"Missing required parameter: '{param}'."
    assert (error.code, error.param) == ("missing_required_parameter", param)


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"type": "response.cancel", "reason": "bored"}, "reason"),
        (session_update(modalities=["text"]), "session.modalities"),
        (session_update(temperature=0.8), "session.temperature"),
        (
            turn_detection(type="semantic_vad", threshold=0.5),
            "session.audio.input.turn_detection.threshold",
        ),
        (
            session_update(
                audio={"input": {"format": {"type": "audio/pcmu", "rate": 1}}}
            ),
            "session.audio.input.format.rate",
        ),
        (session_update(audio={"type": "x"}), "session.audio.type"),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "instructions": "no"},
            },
            "session.instructions",
        ),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "audio": {"output": {}}},
            },
            "session.audio.output",
        ),
    ],
)
def test_an_unknown_field_is_refused(document, param):
    error = refusal_of(json.dumps(document))
    assert error.message == f"Unknown parameter: '{param}'."
    assert (error.code, error.param) == ("unknown_parameter", param)


@pytest.mark.parametrize(
    ("document", "param", "complaint"),
    [
        ({"type": 7}, "type", "expected string, got integer"),
        ({"type": "response.cancel", "event_id": None}, "event_id", "string, got null"),
        ({"type": "session.update", "session": []}, "session", "object, got array"),
        (
            turn_detection(type="server_vad", create_response=None),
            "session.audio.input.turn_detection.create_response",
            "expected boolean, got null",
        ),
        (
            turn_detection(type="server_vad", idle_timeout_ms="x"),
            "session.audio.input.turn_detection.idle_timeout_ms",
            "expected integer or null, got string",
        ),
        (
            turn_detection(type="server_vad", threshold=True),
            "session.audio.input.turn_detection.threshold",
            "expected number, got boolean",
        ),
        (
            turn_detection(type="server_vad", prefix_padding_ms=300.5),
            "session.audio.input.turn_detection.prefix_padding_ms",
            "expected integer, got number",
        ),
        (
            session_update(audio={"output": {"voice": 3}}),
            "session.audio.output.voice",
            "expected string or object, got integer",
        ),
        (session_update(tools={}), "session.tools", "expected array, got object"),
        (
            session_update(tools=["look_up"]),
            "session.tools[0]",
            "expected object, got string",
        ),
        (
            {"type": "input_audio_buffer.append", "audio": None},
            "audio",
            "expected string, got null",
        ),
    ],
)
def test_a_field_of_another_type_is_refused(document, param, complaint):
    error = refusal_of(json.dumps(document))
    assert error.message.startswith(f"Invalid type for '{param}': expected ")
    assert error.message.endswith(complaint)
    assert (error.code, error.param) == ("invalid_type", param)


@pytest.mark.parametrize(
    ("document", "param", "supported"),
    [
        (
            {"type": "session.update", "session": {"type": "bogus"}},
            "session.type",
            "'realtime' and 'transcription'",
        ),
        (
            turn_detection(type="bogus"),
            "session.audio.input.turn_detection.type",
            "'server_vad' and 'semantic_vad'",
        ),
        (
            session_update(audio={"input": {"format": {"type": "bogus"}}}),
            "session.audio.input.format.type",
            "'audio/pcm', 'audio/pcmu', and 'audio/pcma'",
        ),
        (
            session_update(truncation={"type": "bogus"}),
            "session.truncation.type",
            "'retention_ratio'",
        ),
    ],
)
def test_an_unknown_kind_of_object_is_refused(document, param, supported):
    error = refusal_of(json.dumps(document))
    wanted = f"Invalid value: 'bogus'. Supported values are: {supported}."
    assert error.message == wanted
    assert (error.code, error.param) == ("invalid_value", param)


@pytest.mark.parametrize("text", ["A", "AA?=", "AAEC\n", "ä"])
def test_audio_that_is_not_base64_is_refused(text):
    sent = {"type": "input_audio_buffer.append", "event_id": "mine", "audio": text}
    error = refusal_of(json.dumps(sent))
    assert error.message == "Invalid 'audio': expected base64-encoded audio."
    assert (error.code, error.param) == ("invalid_value", "audio")
    assert error.event_id == "mine"


def test_audio_of_an_item_that_is_not_base64_is_refused():
    content = [{"type": "input_audio", "audio": "?"}]
    item = {"type": "message", "role": "user", "content": content}
    error = refusal_of(json.dumps({"type": "conversation.item.create", "item": item}))
    assert (error.code, error.param) == ("invalid_value", "item.content[0].audio")


def test_an_event_id_of_another_type_is_not_repeated():
    assert refusal_of('{"type": "response.cancel", "event_id": 7}').event_id is None


# -- sessions ----------------------------------------------------------------------------


def test_a_session_is_typed_by_its_type():
    assert validate_session({"type": "realtime"}) == ev.RealtimeSession()
    assert validate_session({"type": "transcription"}) == ev.TranscriptionSession()


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "speed": 1}, "unknown_parameter", "session.speed"),
        (
            {"type": "realtime", "audio": {"output": {"speed": 9}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
    ],
)
def test_a_session_is_refused_at_its_place(session, code, param):
    with pytest.raises(ServerError) as refusal:
        validate_session(session)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert refusal.value.type == "invalid_request_error"


# -- whatever comes ----------------------------------------------------------------------


def attempt(message):
    """What the strict reading gives, or how it refuses."""
    try:
        return parse_client_event(message)
    except ServerError as error:
        return error


@given(mutated())
@settings(max_examples=400)
def test_mutated_events_are_typed_or_refused(document):
    match attempt(json.dumps(document)):
        case ServerError() as error:
            assert error.type == "invalid_request_error"
            assert error.code
        case event, raw:
            assert to_dict(event) == document
            assert raw.items() <= document.items()
