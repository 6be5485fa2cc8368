"""Turns: which event belongs to which, what is asked for when, and when one is done."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.clock import InstantClock
from rtnb.errors import AudioFormatError, EngineError, ServerError
from rtnb.protocol import events as ev
from rtnb.session.turn import Segment
from rtnb.transport import Deliver
from tests.session.server import AUDIO_MS, Server

PATIENCE_S = 10
CLIP = Clip(np.full(24_000, 0.25, np.float32), 24_000)
NO_DETECTION = {"audio": {"input": {"turn_detection": None}}}
TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}


def appended(server):
    """Milliseconds of audio that the server was sent."""
    appends = [e for e in server.received if e["type"].endswith("append")]
    return sum(len(append["audio"]) * 3 // 4 // 48 for append in appends)


# -- spoken into a microphone ----------------------------------------------------------


def test_speech_begins_a_turn_and_its_answer_ends_it(open_session):
    server = Server("Hi!")
    session = open_session(server)
    server.tell(server.started("item_u", 100))
    (turn,) = session.turns
    assert (turn.kind, turn.status) == ("speech", "listening")
    assert turn.segments == (Segment(100, None),)
    server.tell(
        server.stopped("item_u", 900), *server.commit("item_u"), *server.respond(None)
    )
    turn.wait(PATIENCE_S)
    assert (turn.status, turn.text) == ("done", "Hi!")
    assert turn.segments == (Segment(100, 900),)
    assert turn.items[0].id == "item_u"


def test_speech_that_others_sent_is_asked_back(open_session, clock):
    server = Server("Hi!")
    session = open_session(server, provider="embedded", clock=clock)
    server.tell(*server.speech("item_u", 100, 900))
    turn = session.turns[0].wait(PATIENCE_S)
    assert server.types() == ["conversation.item.retrieve"]
    assert turn.input_audio.duration == pytest.approx(0.05)


def test_a_provider_is_not_asked_for_audio_that_it_alone_has(open_session):
    server = Server("Hi!")
    session = open_session(server)
    server.tell(*server.speech("item_u", 100, 900))
    assert session.turns[0].wait(PATIENCE_S).input_audio is None
    assert server.types() == []


def test_a_barge_in_cancels_one_turn_and_begins_another(open_session):
    server = Server(None, "Second.")
    session = open_session(server)
    first = session.say("tell me a long story")
    server.settle()
    server.tell(*server.speak(0, "Once upon a time there was", closed=False))
    assert first.status == "answering"
    server.tell(server.started("item_u", 500))
    second = session.turns[1]
    assert [turn.done for turn in session.turns] == [False, False]
    server.tell(
        *server.finish("cancelled", reason="turn_detected"),
        server.event(
            "conversation.item.truncated",
            item_id=first.items[-1].id,
            content_index=0,
            audio_end_ms=AUDIO_MS // 2,
        ),
        server.stopped("item_u", 900),
        *server.commit("item_u"),
        *server.respond(None),
    )
    assert first.wait(PATIENCE_S).status == "cancelled"
    assert first.text == "Once upon a time there was"
    assert first.heard == "Once upon a"
    assert second.wait(PATIENCE_S).text == "Second."


def test_a_turn_waits_for_the_transcript_of_what_was_said(open_session):
    server = Server("Hi!", **TRANSCRIBED)
    session = open_session(server)
    server.tell(*server.speech("item_u", 0, 900))
    turn = session.turns[0]
    assert not turn.done
    server.tell(server.transcript("item_u", "Hello."))
    assert turn.wait(PATIENCE_S).user_text == "Hello."
    assert turn.cost.by_kind["per_minute"] > 0


def test_but_not_for_ever(open_session, clock):
    server = Server("Hi!", **TRANSCRIBED)
    session = open_session(server, clock=clock)
    server.tell(*server.speech("item_u", 0, 900))
    clock.advance(3.0, sleepers=2)
    assert session.turns[0].wait(PATIENCE_S).user_text == ""


def test_a_failed_transcription_is_noted(open_session):
    server = Server("Hi!", **TRANSCRIBED)
    session = open_session(server)
    name = "conversation.item.input_audio_transcription.failed"
    error = {"type": "transcription_error", "code": "x", "message": "too quiet"}
    server.tell(
        *server.speech("item_u", 0, 900),
        server.event(name, item_id="item_u", content_index=0, error=error),
    )
    notes = session.turns[0].wait(PATIENCE_S).notes
    assert notes == ("what was said could not be transcribed: too quiet",)


def test_speech_that_nobody_answers_is_a_turn_too(open_session):
    quiet = {"audio": {"input": {"turn_detection": {"create_response": False}}}}
    server = Server("Hi!", **quiet)
    session = open_session(server)
    server.tell(*server.speech("item_u", 0, 900, respond=False))
    turn = session.turns[0].wait(PATIENCE_S)
    assert (turn.status, turn.text) == ("done", "")
    session.send(ev.ResponseCreate())
    server.settle()
    assert turn.wait(PATIENCE_S).text == "Hi!"
    assert len(session.turns) == 1


def test_an_answer_that_is_owed_and_never_begins(open_session, clock):
    server = Server()
    session = open_session(server, clock=clock)
    server.tell(*server.speech("item_u", 0, 900, respond=False))
    assert session.turns[0].status == "waiting"
    clock.advance(10.0)
    notes = session.turns[0].wait(PATIENCE_S).notes
    assert notes == ("no answer began within 10 s",)


def test_an_answer_that_collides_is_noted(open_session):
    server = Server()
    session = open_session(server)
    message = "Conversation already has an active response in progress: resp_1."
    error = {"type": "invalid_request_error", "message": message, "event_id": None}
    error["code"] = "conversation_already_has_active_response"
    speech = server.speech("item_u", 0, 900, respond=False)
    server.tell(*speech, server.event("error", error=error))
    assert session.turns[0].wait(PATIENCE_S).notes == (message,)


def test_a_silent_user_is_a_turn(open_session):
    server = Server("Are you there?")
    session = open_session(server)
    times = {"audio_start_ms": 1000, "audio_end_ms": 7000}
    name = "input_audio_buffer.timeout_triggered"
    server.tell(
        server.event(name, item_id="item_u", **times),
        *server.commit("item_u"),
        *server.respond(None),
    )
    turn = session.turns[0].wait(PATIENCE_S)
    assert (turn.kind, turn.segments) == ("silence", (Segment(1000, 7000),))


def test_push_to_talk_of_a_page_is_a_turn(open_session):
    server = Server("Hi!", **NO_DETECTION)
    session = open_session(server, provider="embedded")
    server.tell(*server.commit("item_u"), *server.respond(None))
    turn = session.turns[0].wait(PATIENCE_S)
    assert (turn.kind, turn.text) == ("speech", "Hi!")
    assert turn.input_audio is not None


def test_cleared_speech_is_no_message(open_session):
    server = Server()
    session = open_session(server)
    server.tell(server.started("item_u", 0), server.event("input_audio_buffer.cleared"))
    notes = session.turns[0].wait(PATIENCE_S).notes
    assert notes == ("the audio was cleared before it became a message",)


def test_events_that_come_twice_make_no_second_turn(open_session):
    server = Server("Hi!")
    session = open_session(server)
    server.tell(server.started("item_u", 0), server.started("item_u", 0))
    server.tell(server.stopped("item_u", 900), *server.commit("item_u"))
    server.tell(*server.commit("item_u"), *server.respond(None))
    assert session.turns[0].wait(PATIENCE_S).text == "Hi!"
    assert len(session.turns) == 1


def test_an_end_without_a_beginning_does_no_harm(open_session):
    server = Server()
    session = open_session(server)
    server.tell(server.stopped("item_x", 900), server.transcript("item_x", "ghost"))
    server.tell(server.event("response.done", response={"id": "resp_x"}))
    assert session.turns == []


# -- clips -----------------------------------------------------------------------------


def test_a_clip_is_sent_with_silence_enough_to_end_its_turn(open_session):
    server = Server("Hi!")
    session = open_session(server, clock=InstantClock())
    session.send_audio(CLIP)
    server.settle()
    assert appended(server) == 1000 + 200 + 500


def test_a_clip_is_paced_like_speech(open_session, clock):
    server = Server()
    session = open_session(server, clock=clock)
    turn = session.send_audio(CLIP)
    for _ in range(3):
        clock.advance(0.02)
        server.settle()
    assert appended(server) == 60
    assert turn.status == "listening"
    clock.advance(0.1)  # a late wake-up is made up for
    server.settle()
    assert appended(server) == 160


def test_speech_in_a_clip_belongs_to_its_turn_and_can_be_cut_into_several(
    open_session, clock
):
    server = Server("One.", "Two.")
    session = open_session(server, clock=clock)
    turn = session.send_audio(CLIP, realtime=False)
    server.settle()
    server.tell(*server.speech("item_1", 0, 400), *server.speech("item_2", 500, 1200))
    turn.wait(PATIENCE_S)
    assert session.turns == [turn]
    assert turn.segments == (Segment(0, 400), Segment(500, 1200))
    assert turn.text == "One. Two."
    assert turn.input_audio.duration == pytest.approx(1.1)
    assert turn.input_audio.peak == pytest.approx(0.25, abs=1e-3)


def test_the_audio_kept_from_before_a_clip_does_not_make_it_another_s(
    open_session, clock
):
    server = Server("One.", "Two.")
    session = open_session(server, clock=clock)
    first = session.send_audio(CLIP, realtime=False)
    second = session.send_audio(CLIP, realtime=False)
    server.settle()
    server.tell(*server.speech("item_1", 0, 900))
    server.tell(*server.speech("item_2", 1700 - 200, 2600))
    assert [turn.wait(PATIENCE_S).text for turn in (first, second)] == ["One.", "Two."]


def test_speech_after_the_clip_is_another_turn(open_session, clock):
    server = Server("One.", "Two.")
    session = open_session(server, clock=clock)
    turn = session.send_audio(CLIP, realtime=False)
    server.settle()
    server.tell(*server.speech("item_1", 0, 400), *server.speech("item_2", 1900, 2500))
    assert len(session.turns) == 2
    assert turn.wait(PATIENCE_S).text == "One."


def test_an_early_answer_does_not_end_a_clip_that_is_still_on_its_way(open_session):
    server = Server("One.", "Two.")
    server.on_session_update = lambda event: []
    session = open_session(server)
    turn = session.send_audio(CLIP, realtime=False)
    server.settle()
    server.tell(*server.speech("item_1", 0, 400))
    assert not turn.done
    server.tell(*server.speech("item_2", 500, 1200))
    server.tell(server.event("session.updated", session=server.settings))
    assert turn.wait(PATIENCE_S).text == "One. Two."


def test_a_clip_without_speech_says_so(open_session, clock):
    server = Server()
    session = open_session(server, clock=clock)
    turn = session.send_audio(CLIP, realtime=False)
    server.settle()
    assert not turn.done
    clock.advance(2.0, sleepers=2)
    assert turn.wait(PATIENCE_S).status == "done"
    assert turn.notes[0].startswith("the turn detector found no speech")


def test_a_server_that_refuses_even_an_empty_update_is_waited_for_alike(
    open_session, clock
):
    server = Server()
    server.refusals["session.update"] = {}
    turn = open_session(server, clock=clock).send_audio(CLIP, realtime=False)
    clock.advance(2.0, sleepers=2)
    assert turn.wait(PATIENCE_S).notes[0].startswith("the turn detector found")


def test_a_server_that_does_not_answer_at_all_is_given_up(open_session, clock):
    server = Server()
    server.on_session_update = lambda event: []
    turn = open_session(server, clock=clock).send_audio(CLIP, realtime=False)
    clock.advance(10.0)
    clock.advance(2.0)
    assert turn.wait(PATIENCE_S).notes[0].startswith("the turn detector found")


def test_speech_that_does_not_end_in_the_clip_says_so(open_session, clock):
    server = Server()
    session = open_session(server, clock=clock)
    turn = session.send_audio(CLIP, realtime=False)
    server.settle()
    server.tell(server.started("item_1", 0))
    clock.advance(2.0, sleepers=2)
    assert turn.wait(PATIENCE_S).notes[0].startswith("speech began and did not end")


def test_without_turn_detection_a_clip_is_committed_and_answered(open_session):
    server = Server("Hi!", **NO_DETECTION)
    session = open_session(server)
    turn = session.send_audio(CLIP, realtime=False).wait(PATIENCE_S)
    assert server.types() == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ]
    assert appended(server) == 1000
    assert turn.text == "Hi!"
    assert turn.input_audio.duration == pytest.approx(1.0)
    assert turn.segments == (Segment(0, 1000),)


def test_two_clips_are_sent_one_after_the_other(open_session):
    server = Server("One.", "Two.", **NO_DETECTION)
    session = open_session(server)
    first = session.send_audio(CLIP, realtime=False)
    second = session.send_audio(CLIP.slice(0, 0.5), realtime=False)
    texts = [turn.wait(PATIENCE_S).text for turn in (first, second)]
    assert texts == ["One.", "Two."]
    assert second.input_audio.duration == pytest.approx(0.5)


def test_a_commit_that_is_refused_fails_its_turn_alone(open_session):
    server = Server(**NO_DETECTION)
    session = open_session(server)
    server.refusals["input_audio_buffer.commit"] = {
        "code": "input_audio_buffer_commit_empty",
        "message": "buffer too small",
    }
    with pytest.raises(ServerError, match="too small"):
        session.commit().wait(PATIENCE_S)
    assert "response.create" not in server.types()
    assert session.say("hello").wait(PATIENCE_S).text == "Hello there."


def test_commit_ends_the_turn_that_is_being_spoken(open_session):
    server = Server("Hi!")
    session = open_session(server)
    session.send(ev.InputAudioBufferAppend(audio=b"\1\0" * 24 * 200))
    server.settle()
    server.tell(server.started("item_u", 0))
    server.on_input_audio_buffer_commit = lambda event: server.commit("item_u")
    turn = session.commit()
    assert turn is session.turns[0]
    assert turn.wait(PATIENCE_S).segments == (Segment(0, 200),)
    assert turn.text == "Hi!"


# -- sessions that were recorded from the service --------------------------------------


def replayed(open_session, path):
    """A session that sent and received what is in a recording."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    server = Server()
    server.settings = entries[0]["data"]["session"]
    server.answer = lambda message: []
    session = open_session(server, provider="openai")
    for entry in entries[1:]:
        if entry["direction"] == "sent":
            session.send(entry["data"])
        else:
            server.tell(Deliver(json.dumps(entry["data"])))
    return session


def test_the_recorded_spoken_turns(open_session, shared_data):
    path = shared_data / "hosted" / "three-server-vad-turns.jsonl"
    session = replayed(open_session, path)
    told = [(turn.kind, turn.status, turn.user_text) for turn in session.turns]
    assert told == [("speech", "done", "Hello, my name is Marcelo.")] * 3
    assert [turn.segments for turn in session.turns] == [
        (Segment(1460, 4256),),
        (Segment(8948, 11744),),
        (Segment(16436, 19232),),
    ]
    assert session.turns[0].text == "Hi Marcelo! Nice to meet you."
    assert session.turns[0].usage.total_tokens == 102
    assert session.cost.usd == pytest.approx(
        sum(turn.cost.usd for turn in session.turns)
    )


def test_the_recorded_function_call(open_session, shared_data):
    path = shared_data / "hosted" / "tool-call-round.jsonl"
    session = replayed(open_session, path)
    first, second = session.turns
    assert first.tool_calls[0].arguments == {"city": "London"}
    assert second.text == "It is foggy and 12 degrees in London."
    assert {turn.status for turn in session.turns} == {"done"}


# -- one answer at a time --------------------------------------------------------------


def test_a_second_request_waits_for_the_end_of_the_first(open_session):
    server = Server(None, "Two.")
    session = open_session(server)
    first, second = session.say("one?"), session.say("two?")
    server.settle()
    assert server.types().count("response.create") == 1
    assert [first.status, second.status] == ["answering", "waiting"]
    server.tell(*server.speak(0, "One."), *server.finish("completed"))
    assert second.wait(PATIENCE_S).text == "Two."
    assert first.text == "One."


def test_a_request_that_collides_is_made_again(open_session):
    server = Server("Mine.")
    session = open_session(server)
    server.refusals["response.create"] = {
        "code": "conversation_already_has_active_response"
    }
    turn = session.say("hello")
    server.settle()
    server.replies.insert(0, None)
    server.tell(*server.respond({"other": "x"}))
    assert not turn.done
    server.tell(*server.speak(0, "Theirs."), *server.finish("completed"))
    assert turn.wait(PATIENCE_S).text == "Mine."


def test_a_request_that_is_refused_fails_its_turn(open_session):
    server = Server()
    session = open_session(server)
    server.refusals["response.create"] = {"code": "invalid_value", "message": "bad"}
    turn, other = session.say("hello"), session.say("again")
    with pytest.raises(ServerError, match="bad"):
        turn.wait(PATIENCE_S)
    assert other.wait(PATIENCE_S).text == "Hello there."


def test_a_server_that_does_not_echo_metadata_is_understood(open_session):
    server = Server("One.", "Two.")
    server.echoes_metadata = False
    session = open_session(server)
    first, second = session.say("one?"), session.say("two?")
    assert [turn.wait(PATIENCE_S).text for turn in (first, second)] == ["One.", "Two."]


def test_an_answer_that_somebody_else_asked_for_is_a_turn(open_session):
    server = Server("Ours.", "Theirs.")
    session = open_session(server)
    session.say("hello").wait(PATIENCE_S)
    item = ev.MessageItem(role="user", content=[ev.InputText(text="psst")])
    session.send(ev.ConversationItemCreate(item=item))
    session.send(ev.ResponseCreate())
    server.settle()
    turn = session.turns[1].wait(PATIENCE_S)
    assert (turn.kind, turn.user_text, turn.text) == ("response", "psst", "Theirs.")
    session.send(ev.ResponseCreate())
    server.settle()
    assert session.turns[2].wait(PATIENCE_S).user_text == ""


def test_an_answer_beside_the_conversation_is_no_turn(open_session):
    server = Server("Aside.", "Ours.")
    session = open_session(server)
    server.tell(*server.respond({"topic": "x"}, conversation_id=None))
    assert session.turns == []
    assert session.say("hello").wait(PATIENCE_S).text == "Ours."


def test_cancel_stops_what_is_being_made_and_what_was_asked_for(open_session):
    server = Server(None, "Three.")
    session = open_session(server)
    first, second = session.say("one?"), session.say("two?")
    server.settle()
    session.cancel()
    assert first.wait(PATIENCE_S).status == "cancelled"
    assert second.wait(PATIENCE_S).status == "cancelled"
    assert session.say("three?").wait(PATIENCE_S).text == "Three."


def test_cancel_with_nothing_to_stop_is_no_error(open_session):
    server = Server()
    session = open_session(server)
    session.cancel()
    server.settle()
    assert server.received == []
    error = {"type": "x", "message": "m", "code": "response_cancel_not_active"}
    server.tell(server.event("error", error=error))
    assert session.errors == []


@pytest.mark.parametrize(
    ("provider", "kind"), [("openai", ServerError), ("embedded", EngineError)]
)
def test_an_answer_that_fails(open_session, provider, kind):
    server = Server(None)
    session = open_session(server, provider=provider)
    turn = session.say("hello")
    server.settle()
    error = {"type": "server_error", "code": None, "message": "no voice"}
    server.tell(*server.finish("failed", error=error, usage=None))
    with pytest.raises(kind, match="no voice"):
        turn.wait(PATIENCE_S)
    assert (turn.status, turn.usage) == ("failed", None)


def test_an_answer_that_is_cut_is_noted(open_session):
    server = Server(None)
    session = open_session(server)
    turn = session.say("hello")
    server.settle()
    server.tell(*server.finish("incomplete", reason="max_output_tokens"))
    assert turn.wait(PATIENCE_S).notes == (
        "the answer is incomplete: max_output_tokens",
    )


# -- tools -----------------------------------------------------------------------------


def weather(city: str) -> str:
    """Weather of a city."""
    return f"foggy in {city}"


def outputs(server):
    items = [e["item"] for e in server.received if e["type"].endswith("item.create")]
    return [item["output"] for item in items if item["type"].endswith("_output")]


def test_a_function_is_called_and_its_result_answered(open_session):
    server = Server(("weather", {"city": "Oslo"}), "It is foggy.")
    session = open_session(server)
    session.configure(tools=[weather])
    turn = session.say("weather?").wait(PATIENCE_S)
    assert outputs(server) == ["foggy in Oslo"]
    assert server.types("session.update") == [
        "conversation.item.create",
        "response.create",
        "conversation.item.create",
        "response.create",
    ]
    (call,) = turn.tool_calls
    assert (call.name, call.arguments) == ("weather", {"city": "Oslo"})
    assert call.output == "foggy in Oslo"
    assert turn.text == "It is foggy."
    assert len(turn.responses) == 2
    assert turn.usage.total_tokens == 60
    kinds = [type(item.wire).__name__ for item in turn.items]
    assert kinds == [
        "MessageItem",
        "FunctionCallItem",
        "FunctionCallOutputItem",
        "MessageItem",
    ]


def test_several_calls_are_followed_by_one_request(open_session):
    calls = [("weather", {"city": "Oslo"}), "Wait.", ("weather", {"city": "Rome"})]
    server = Server(calls, "Both are foggy.")
    session = open_session(server)
    session.configure(tools=[weather])
    turn = session.say("weather?").wait(PATIENCE_S)
    assert sorted(outputs(server)) == ["foggy in Oslo", "foggy in Rome"]
    assert len([e for e in server.received if e["type"] == "response.create"]) == 2
    assert turn.text == "Wait. Both are foggy."


def test_the_request_waits_for_the_end_of_the_response_and_all_results(open_session):
    release = threading.Event()

    def slow(name: str) -> str:
        if name == "late":
            release.wait(PATIENCE_S)
        return name

    server = Server([("slow", {"name": "now"}), ("slow", {"name": "late"}), None])
    session = open_session(server)
    session.configure(tools=[slow])
    turn = session.say("go")
    first = threading.Event()
    session.on("conversation.item.done", lambda event: outputs(server) and first.set())
    assert first.wait(PATIENCE_S)
    server.tell(*server.finish("completed"))
    assert server.types().count("response.create") == 1
    release.set()
    assert turn.wait(PATIENCE_S).text == "Hello there."
    assert outputs(server) == ["now", "late"]


def test_calls_may_be_chained(open_session):
    call = ("weather", {"city": "Oslo"})
    server = Server(call, call, "Done.")
    session = open_session(server)
    session.configure(tools=[weather])
    turn = session.say("weather?").wait(PATIENCE_S)
    assert len(turn.tool_calls) == 2
    assert turn.text == "Done."


def test_a_forced_call_is_not_forced_for_ever(open_session):
    server = Server(("weather", {"city": "Oslo"}), "Foggy.")
    session = open_session(server)
    session.configure(tools=[weather], tool_choice="required")
    session.say("weather?").wait(PATIENCE_S)
    assert server.last("response.create")["response"]["tool_choice"] == "auto"


def test_a_tool_that_raises_tells_the_model(open_session):
    def broken():
        raise ValueError("no")

    server = Server(("broken", {}), "Sorry.")
    session = open_session(server)
    session.configure(tools=[broken])
    assert session.say("go").wait(PATIENCE_S).text == "Sorry."
    assert outputs(server) == ['{"error":"ValueError: no"}']


def test_a_tool_that_never_returns_tells_the_model(open_session, clock):
    release = threading.Event()

    def hang():
        release.wait()

    server = Server(("hang", {}), "Sorry.")
    session = open_session(server, clock=clock)
    session.configure(tools=[hang])
    turn = session.say("go")
    clock.advance(30.0)
    assert turn.wait(PATIENCE_S).text == "Sorry."
    release.set()
    assert outputs(server) == ['{"error":"no result within 30 s"}']


def test_a_function_that_nobody_knows_is_refused(open_session):
    server = Server(("teleport", {}), "Sorry.")
    session = open_session(server)
    assert session.say("go").wait(PATIENCE_S).text == "Sorry."
    assert outputs(server) == [
        '{"error":"there is no function called teleport; functions: there are none"}'
    ]


def test_a_definition_without_a_function_is_for_the_user_to_answer(open_session):
    server = Server(("ask", {"who": "me"}))
    session = open_session(server)
    session.configure(tools=[ev.FunctionTool(name="ask")])
    turn = session.say("go").wait(PATIENCE_S)
    assert outputs(server) == []
    assert "the model called ask, which nobody here answers" in turn.notes[0]
    assert turn.tool_calls[0].output is None


def test_a_call_of_a_cancelled_response_is_not_followed_up(open_session):
    server = Server([("weather", {"city": "Oslo"}), None])
    session = open_session(server)
    session.configure(tools=[weather])
    turn = session.say("weather?")
    server.settle()
    session.cancel()
    assert turn.wait(PATIENCE_S).status == "cancelled"
    server.settle()
    assert server.types().count("response.create") == 1


def test_a_call_that_speech_interrupted_is_answered_but_not_followed_up(open_session):
    server = Server([("weather", {"city": "Oslo"}), None])
    session = open_session(server)
    session.configure(tools=[weather])
    turn = session.say("weather?")
    posted = threading.Event()
    session.on("conversation.item.done", lambda event: outputs(server) and posted.set())
    assert posted.wait(PATIENCE_S)
    server.tell(*server.finish("cancelled", reason="turn_detected"))
    assert turn.wait(PATIENCE_S).status == "cancelled"
    assert server.types().count("response.create") == 1


def test_a_call_that_was_cancelled_while_its_function_ran(open_session):
    release, ended = threading.Event(), threading.Event()

    def slow() -> str:
        release.wait(PATIENCE_S)
        return "late"

    server = Server(("slow", {}))
    session = open_session(server)
    session.configure(tools=[slow])
    session.on("conversation.item.done", lambda event: outputs(server) and ended.set())
    turn = session.say("go")
    server.settle()
    session.cancel()
    assert turn.wait(PATIENCE_S).status == "cancelled"
    release.set()
    assert ended.wait(PATIENCE_S)
    server.settle()
    assert server.types().count("response.create") == 1


# -- what a clip may be ----------------------------------------------------------------


def test_a_stereo_clip_of_another_rate_is_converted_and_said_so(open_session, clock):
    session = open_session(Server(), clock=clock)
    stereo = np.zeros((4410, 2), np.int16)
    turn = session.send_audio(stereo, sample_rate=44_100)
    assert turn.notes == (
        "converted int16 to float32",
        "mixed 2 channels to mono",
        "resampled 44100 Hz to 24000 Hz",
    )


@pytest.mark.parametrize(
    ("audio", "sample_rate", "reason"),
    [
        (np.array([0.0, 1.5], np.float32), 24_000, "1.5"),
        (b"\0\0\0", 24_000, "odd|3 bytes"),
        (np.zeros(480, np.float32), None, "sample rate of this ndarray"),
        (b"\0\0", None, "sample rate of this bytes"),
    ],
)
def test_what_is_no_audio_is_refused_and_the_session_goes_on(
    open_session, audio, sample_rate, reason
):
    session = open_session(Server())
    with pytest.raises(AudioFormatError, match=reason):
        session.send_audio(audio, sample_rate=sample_rate)
    assert session.say("hello").wait(PATIENCE_S).status == "done"


def test_a_message_without_detection_has_its_least_length(open_session):
    session = open_session(Server(**NO_DETECTION))
    with pytest.raises(AudioFormatError, match=r"40 ms long.*at least 100 ms"):
        session.send_audio(CLIP.slice(0, 0.04))


def test_a_file_can_be_sent(open_session, tmp_path):
    server = Server("Hi!", **NO_DETECTION)
    path = tmp_path / "question.wav"
    CLIP.save(path)
    turn = open_session(server).send_audio(path, realtime=False)
    assert turn.wait(PATIENCE_S).input_audio.duration == pytest.approx(1.0)
