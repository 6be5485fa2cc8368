"""What a turn tells: words, sound, times, and its text form."""

from __future__ import annotations

import base64
import json

import pytest

import rtnb.session
from rtnb.audio import Clip
from rtnb.session.turn import Latency, ToolCall, heard_text
from tests.session.server import ManualClock, Server

PATIENCE_S = 10
FOUR = "one two three four"


@pytest.mark.parametrize(
    ("audio_ms", "heard_ms", "heard"),
    [
        (1800, 0, ""),
        (1800, 100, ""),
        (1800, 300, "one"),
        (1800, 900, "one two"),
        (1800, 1799, "one two three"),
        (1800, 1800, FOUR),
        (1800, 9999, FOUR),
        (0, 0, ""),
        (0, 500, ""),
    ],
)
def test_words_are_heard_in_proportion_to_the_sound(audio_ms, heard_ms, heard):
    assert heard_text(FOUR, audio_ms=audio_ms, heard_ms=heard_ms) == heard


def test_words_are_heard_whole_and_keep_their_spaces():
    text = "so  much,\nmore"
    assert heard_text(text, audio_ms=100, heard_ms=75) == "so  much,"


def test_arguments_of_a_call_that_are_no_object_stay_text():
    assert ToolCall.of("call_1", "f", '{"a": 1}').arguments == {"a": 1}
    assert ToolCall.of("call_1", "f", "[1]").arguments == "[1]"
    assert ToolCall.of("call_1", "f", "{").arguments == "{"


def test_users_know_turns_by_one_module():
    for each in (rtnb.session.Turn, rtnb.session.Session):
        assert each.__module__ == "rtnb.session"


def test_times_are_told_in_milliseconds(open_session):
    clock = ManualClock()
    server = Server(None)
    session = open_session(server, clock=clock)
    turn = session.say("hello")
    server.settle()
    clock.advance(0.5, sleepers=0)
    server.tell(*server.speak(0, "Hi.", closed=False))
    clock.advance(1.0, sleepers=0)
    server.tell(*server.finish("completed"))
    assert turn.wait(PATIENCE_S).latency == Latency(
        stopped_to_created_ms=0.0,
        created_to_first_text_ms=500.0,
        created_to_first_audio_ms=500.0,
        stopped_to_first_audio_ms=500.0,
        total_ms=1500.0,
    )


def test_before_anything_came_there_is_nothing(open_session):
    server = Server(None)
    turn = open_session(server).say("hello")
    assert (turn.text, turn.heard, turn.audio, turn.input_audio) == ("", "", None, None)
    assert (turn.usage, turn.cost, turn.error) == (None, None, None)
    assert (turn.segments, turn.tool_calls, turn.notes) == ((), (), ())
    server.settle()
    assert turn.user_text == "hello"


def test_a_turn_says_what_it_is(open_session):
    turn = open_session(Server("x" * 60)).say("hello").wait(PATIENCE_S)
    assert repr(turn) == f"<Turn 0 done: 'hello' → '{'x' * 39}…'>"


@pytest.mark.parametrize(("kind", "loud"), [("audio/pcmu", 0x80), ("audio/pcma", 0xAA)])
def test_telephone_sound_is_decoded(open_session, kind, loud):
    both = {"format": {"type": kind}}
    server = Server(
        None, audio={"input": both | {"turn_detection": None}, "output": both}
    )
    session = open_session(server)
    turn = session.send_audio(Clip.silence(0.5), realtime=False)
    server.settle()
    place = {"response_id": server._open_response["id"], "output_index": 0}
    item = {"id": "item_a", "type": "message", "role": "assistant", "content": []}
    server.tell(server.event("response.output_item.added", item=item, **place))
    delta = base64.b64encode(bytes([loud]) * 800).decode()
    place |= {"item_id": "item_a", "content_index": 0}
    server.tell(
        server.event("response.output_audio.delta", delta=delta, **place),
        *server.finish("completed"),
    )
    turn.wait(PATIENCE_S)
    assert len(json.dumps(server.received)) < 50_000
    assert (turn.input_audio.sample_rate, turn.input_audio.duration) == (8000, 0.5)
    assert (turn.audio.sample_rate, turn.audio.duration) == (8000, 0.1)
    assert turn.audio.peak > 0.9
