"""Between a message on the wire and a typed event: nothing is lost, little is fatal."""

import json

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from rtnb.errors import ProtocolError
from rtnb.protocol import events as ev
from rtnb.protocol.codec import (
    MAX_DEPTH,
    audio_append,
    client_event,
    decode_client,
    decode_server,
    encode,
    extras,
    server_event,
    to_dict,
)
from tests.protocol.mutations import DOCUMENTS, holds, mutated

RECORDINGS = ["text-in-audio-out", "three-server-vad-turns", "tool-call-round"]
HEAD = '{"type":"response.output_audio.delta","event_id":"e","response_id":"r",'
TAIL = '"item_id":"i","output_index":0,"content_index":0,"delta":"AAEC"'
DELTA = ev.ResponseOutputAudioDelta(
    event_id="e",
    response_id="r",
    item_id="i",
    output_index=0,
    content_index=0,
    delta=b"\0\1\2",
)


# -- recordings --------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recorded_frame_survives(hosted_frames, name):
    for frame in hosted_frames(name):
        decode = decode_client if frame["direction"] == "sent" else decode_server
        event = decode(json.dumps(frame["data"]))
        assert not isinstance(event, ev.UnknownEvent)
        assert json.loads(encode(event)) == to_dict(event) == frame["data"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recorded_field_is_known(hosted_frames, name):
    """Nothing that the service sends is left to the extras."""

    def check(value):
        assert not isinstance(value, ev.UnknownObject)
        assert extras(value) == {}
        for field in value.__struct_fields__:
            inner = getattr(value, field)
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, msgspec.Struct):
                    check(one)

    for frame in hosted_frames(name):
        event_of = client_event if frame["direction"] == "sent" else server_event
        check(event_of(frame["data"]))


# -- audio -------------------------------------------------------------------------------


@pytest.mark.parametrize("as_sent", [str, str.encode])
def test_audio_is_bytes(as_sent):
    append = '{"type":"input_audio_buffer.append","audio":"AAEC"}'
    assert decode_client(as_sent(append)).audio == b"\0\1\2"
    assert decode_server(as_sent(HEAD + TAIL + "}")) == DELTA


def test_audio_is_written_as_base64():
    assert encode(DELTA) == HEAD + TAIL + "}"
    event = ev.InputAudioBufferAppend(event_id='"\n', audio=b"\xff" * 5)
    assert json.loads(encode(event)) == {
        "type": "input_audio_buffer.append",
        "event_id": '"\n',
        "audio": "//////8=",
    }


@pytest.mark.parametrize(
    "message",
    [
        '{"audio":"AAEC","type":"input_audio_buffer.append"}',
        '{ "audio" : "AAEC",\n "type" : "input_audio_buffer.append" }',
        '{"type":"input_audio_buffer.append","audio":"AA\\u0045C"}',
        '{"event_id":"'
        + "x" * 300
        + '","type":"input_audio_buffer.append","audio":"AAEC"}',
    ],
)
def test_audio_is_read_however_it_is_written(message):
    assert decode_client(message).audio == b"\0\1\2"


def test_an_audio_event_keeps_its_extras():
    message = HEAD + TAIL + ',"sample_rate":24000}'
    event = decode_server(message)
    assert event == DELTA
    assert extras(event) == {"sample_rate": 24000}
    assert json.loads(encode(event)) == json.loads(message)


def test_the_short_cut_takes_only_what_it_knows():
    assert audio_append('{"type":"input_audio_buffer.append","audio":"AAEC"}')
    assert (
        audio_append('{"type":"input_audio_buffer.append","audio":"AAEC","x":1}')
        is None
    )
    assert audio_append('{"type":"input_audio_buffer.append","audio":7}') is None
    assert audio_append('{"type":"input_audio_buffer.append","audio":"A"}') is None
    assert audio_append('{"type":"a","note":"input_audio_buffer.append"}') is None


@pytest.mark.parametrize("text", ["A", "AAA", "AA?=", "AA==AA", "AAEC\\n", "\\u00e4"])
def test_audio_that_is_not_base64_breaks_the_protocol(text):
    with pytest.raises(ProtocolError, match="'audio' is not base64"):
        decode_client(f'{{"type":"input_audio_buffer.append","audio":"{text}"}}')
    with pytest.raises(ProtocolError, match="'delta' is not base64"):
        decode_server((HEAD + TAIL + "}").replace("AAEC", text))


# -- what is no event --------------------------------------------------------------------


@pytest.mark.parametrize("decode", [decode_client, decode_server])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("song", "not JSON"),
        ('{"type":"error"} {}', "not JSON"),
        ('{"type":NaN}', "not JSON"),
        ('{"type":"\\ud800"}', "not JSON"),
        ('{"type":"\ud800"}', "not JSON"),
        (b'{"type":"\xff"}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"error"', "not a JSON object"),
        ("{}", "no 'type'"),
        ('{"type":null}', "no 'type'"),
        ('{"type":7}', "no 'type'"),
    ],
)
def test_what_is_no_event_breaks_the_protocol(decode, message, reason):
    with pytest.raises(ProtocolError) as refusal:
        decode(message)
    assert refusal.value.reason == reason


def test_an_error_shows_a_beginning_of_the_message():
    with pytest.raises(ProtocolError, match=r"^not JSON: xxx") as refusal:
        decode_server("x" * 1000)
    assert len(str(refusal.value)) < 250


# -- what is not known -------------------------------------------------------------------


def test_an_unknown_event_is_kept():
    raw = {"type": "response.sung", "event_id": "e", "notes": [{"pitch": 440.5}, None]}
    event = decode_server(json.dumps(raw))
    assert event == ev.UnknownEvent("response.sung", raw)
    assert json.loads(encode(event)) == to_dict(event) == raw


def test_events_of_the_other_side_are_unknown():
    assert isinstance(decode_server('{"type":"response.create"}'), ev.UnknownEvent)
    assert isinstance(decode_client('{"type":"response.done"}'), ev.UnknownEvent)


# -- whatever comes ----------------------------------------------------------------------


def read(event_of, given):
    """The event, or None where the protocol is broken."""
    try:
        return event_of(given)
    except ProtocolError:
        return None


@given(mutated())
@settings(max_examples=300)
def test_mutated_events_are_kept_or_break_the_protocol(document):
    for event_of in (client_event, server_event):
        event = read(event_of, document)
        assert event is None or holds(json.loads(encode(event)), document)


@given(st.sampled_from(DOCUMENTS).map(json.dumps), st.data())
@settings(max_examples=200)
def test_mutilated_messages_are_read_or_break_the_protocol(message, data):
    start = data.draw(st.integers(0, len(message)))
    stop = data.draw(st.integers(start, len(message)))
    message = message[:start] + data.draw(st.text(max_size=3)) + message[stop:]
    for decode in (decode_client, decode_server):
        event = read(decode, message)
        assert event is None or encode(event)


def nested(depth):
    return "[" * depth + "]" * depth


def deep(levels):
    """Messages in which lists are nested until there are `levels` in all."""
    inner = "[" * (levels - 1) + "]" * (levels - 1)
    yield f'{{"type":"response.sung","x":{inner}}}'
    yield f'{{"type":"session.created","session":7,"x":{inner}}}'
    yield f'{{"type":"input_audio_buffer.cleared","x":{inner}}}'


@pytest.mark.parametrize("message", list(deep(MAX_DEPTH)))
def test_deep_json_is_kept(message):
    assert json.loads(encode(decode_server(message))) == json.loads(message)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 990, 1000, 100_000])
def test_deeper_json_breaks_the_protocol(levels):
    for message in deep(levels):
        with pytest.raises(ProtocolError, match=r"not JSON|nested more than 128 deep"):
            decode_server(message)
