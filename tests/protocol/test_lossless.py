"""Between a JSON object and a typed one: what is not known is kept."""

import json
from copy import deepcopy

import msgspec
import pytest
from msgspec import UNSET

from rtnb.protocol import events as ev
from rtnb.protocol.codec import decode_server, encode, server_event
from rtnb.protocol.lossless import extras, is_plain, read, to_dict
from tests.protocol.samples import SERVER_SAMPLES


def round_trip(raw):
    """The event of a server's JSON, and what it is written as."""
    event = decode_server(json.dumps(raw))
    assert json.loads(encode(event)) == to_dict(event)
    return event, to_dict(event)


def test_unknown_fields_survive_at_every_depth():
    raw = {
        "type": "response.done",
        "event_id": "e",
        "a": None,
        "response": {
            "b": [1],
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "c": {"d": 1},
                    "content": [{"type": "output_text", "text": "hi", "e": "f"}],
                },
            ],
            "audio": {"output": {"format": {"type": "audio/pcm", "g": 1}, "h": 2}},
            "usage": {**msgspec.to_builtins(ev.Usage()), "i": {"j": 1}},
        },
    }
    event, written = round_trip(raw)
    (item,) = event.response.output
    assert written == raw
    assert extras(event) == {"a": None}
    assert extras(item) == {"c": {"d": 1}}
    assert extras(item.content[0]) == {"e": "f"}
    assert extras(event.response.usage) == {"i": {"j": 1}}


def test_settings_of_turn_detection_keep_their_extras():
    detection = {"type": "server_vad", "threshold": 0.5, "mood": "calm"}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    raw = {"type": "session.updated", "session": session}
    event, written = round_trip(raw)
    assert event.session.audio.input.turn_detection == ev.ServerVad(threshold=0.5)
    assert written == raw


def test_null_and_absent_are_two_things():
    session = {"type": "realtime", "prompt": None, "audio": {"input": {}}}
    event, written = round_trip({"type": "session.created", "session": session})
    assert event.session.prompt is None
    assert event.session.tracing is UNSET
    assert written["session"] == session


def test_an_unknown_item_leaves_its_event_known():
    song = {"type": "song", "notes": [1]}
    message = {"type": "message", "role": "assistant", "content": [song]}
    raw = {"type": "response.done", "response": {"id": "r", "output": [song, message]}}
    event, written = round_trip(raw)
    assert event.response.id == "r"
    assert event.response.output == [
        ev.UnknownObject(raw=song),
        ev.MessageItem(role="assistant", content=[ev.UnknownObject(raw=song)]),
    ]
    assert written == raw


def test_an_unknown_part_leaves_its_event_known():
    part = {"type": "smell", "of": "roses"}
    raw = {**to_dict(SERVER_SAMPLES["response.content_part.added"][0]), "part": part}
    event, written = round_trip(raw)
    assert event.part == ev.UnknownObject(raw=part)
    assert written == raw


@pytest.mark.parametrize(
    ("session", "typed", "aside"),
    [
        ({"model": 7}, ev.RealtimeSession(), {"model": 7}),
        ({"tools": None, "id": "s"}, ev.RealtimeSession(id="s"), {"tools": None}),
        ({"truncation": {"type": "new"}}, ev.RealtimeSession(), {"truncation": ...}),
        (
            {"truncation": {"type": "new", "retention_ratio": 0.5}},
            ev.RealtimeSession(),
            {"truncation": ...},
        ),
        ({"audio": ["new"]}, ev.RealtimeSession(), {"audio": ["new"]}),
    ],
)
def test_a_field_that_cannot_be_read_is_laid_aside(session, typed, aside):
    raw = {"type": "session.created", "session": {"type": "realtime", **session}}
    event, written = round_trip(raw)
    assert event.session == typed
    assert extras(event.session).keys() == aside.keys()
    assert written == raw


def test_impossible_turn_detection_is_laid_aside():
    settings = {
        "format": {"type": "audio/opus"},
        "turn_detection": {"type": "server_vad", "threshold": 1.5},
        "transcription": None,
    }
    session = {"type": "realtime", "audio": {"input": settings}}
    event, written = round_trip({"type": "session.created", "session": session})
    assert event.session.audio.input == ev.AudioInput(transcription=None)
    assert extras(event.session.audio.input).keys() == {"format", "turn_detection"}
    assert written["session"] == session


def test_null_token_counts_are_laid_aside():
    usage = {"total_tokens": 5, "input_tokens": None, "input_token_details": None}
    event, written = round_trip({"type": "response.done", "response": {"usage": usage}})
    assert event.response.usage == ev.Usage(total_tokens=5)
    assert extras(ev.Usage().input_token_details) == {}
    assert written["response"]["usage"].items() >= usage.items()


def test_a_field_inside_one_laid_aside_goes_with_it():
    call = {"type": "mcp_call", "server_label": "s", "name": "n", "arguments": "{}"}
    failed = {**call, "error": {"type": "http_error", "code": "x", "message": 7}}
    raw = {"type": "conversation.item.added", "item": failed}
    event, written = round_trip(raw)
    assert event.item == msgspec.convert(call, ev.McpCallItem)
    assert extras(event.item) == {"error": failed["error"]}
    assert written == raw


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon"},
        {"type": "session.created", "session": {"type": "new"}},
        {"type": "response.content_part.added", "part": None},
        {"type": "error", "error": "oh"},
    ],
)
def test_an_event_without_what_makes_it_is_unknown(raw):
    event, written = round_trip(raw)
    assert event == ev.UnknownEvent(raw["type"], raw)
    assert written == raw


def test_too_much_nonsense_makes_an_event_unknown():
    raw = {"type": "response.done", "response": {"output": [{"type": "song"}] * 100}}
    event, written = round_trip(raw)
    assert isinstance(event, ev.UnknownEvent)
    assert written == raw


def test_reading_leaves_the_json_alone():
    raw = {"type": "response.done", "response": {"id": 7, "output": [{"type": "song"}]}}
    before = deepcopy(raw)
    server_event(raw)
    assert raw == before


def test_a_replaced_object_has_no_extras():
    event = decode_server('{"type":"input_audio_buffer.cleared","mood":"calm"}')
    changed = msgspec.structs.replace(event, event_id="e")
    assert extras(changed) == {}
    assert extras(event) == {"mood": "calm"}


def test_an_object_with_extras_is_not_plain():
    cleared = ev.InputAudioBufferCleared
    assert is_plain(read({"type": "input_audio_buffer.cleared"}, cleared))
    raw = {"type": "input_audio_buffer.cleared", "mood": "calm"}
    assert not is_plain(read(raw, cleared))
    assert not is_plain(ev.MessageItem(role="user", content=[ev.UnknownObject(raw={})]))


def test_an_event_without_what_makes_it_cannot_be_read():
    assert read({"type": "error"}, ev.Error) is None
