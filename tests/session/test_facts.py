"""Timeline entries of events."""

from __future__ import annotations

from rtnb.protocol import events as ev
from rtnb.session.facts import Fact, Facts

PLACE = {"response_id": "resp_1", "output_index": 0, "content_index": 0}


def delta(item_id):
    return ev.ResponseOutputAudioDelta(item_id=item_id, delta=b"\0\0", **PLACE)


def test_of_what_comes_many_times_over_the_first_is_noted():
    facts = Facts()
    entries = [facts.of(delta(each)) for each in ("item_1", "item_1", "item_2")]
    assert [entry is not None for entry in entries] == [True, False, True]
    assert entries[0].values["item_id"] == "item_1"


def test_marks_keep_their_times():
    event = ev.InputAudioBufferSpeechStarted(audio_start_ms=100, item_id="item_1")
    name = "input_audio_buffer.speech_started"
    assert Facts().of(event) == Fact(name, {"item_id": "item_1", "audio_start_ms": 100})


def test_responses_items_and_errors_are_told_by_name():
    facts = Facts()
    response = ev.Response(id="resp_1", status="completed")
    done = facts.of(ev.ResponseDone(response=response)).values
    assert done == {"response_id": "resp_1", "status": "completed"}
    item = ev.MessageItem(id="item_1", role="user", content=[])
    assert facts.of(ev.ConversationItemAdded(item=item)).values["item_id"] == "item_1"
    error = ev.ErrorDetail(type="t", message="m")
    assert facts.of(ev.Error(error=error)).values == {"code": None, "message": "m"}


def test_what_was_said_is_not_in_it():
    event = ev.ResponseOutputTextDone(item_id="item_1", text="secret", **PLACE)
    assert "secret" not in str(Facts().of(event))


def test_unknown_events_have_their_name():
    assert Facts().of(ev.UnknownEvent("response.sung", {"notes": 7})) == Fact(
        "response.sung", {}
    )
