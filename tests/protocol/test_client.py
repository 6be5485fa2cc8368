"""The client machine: recorded conversations, and what a bad network does to them."""

from __future__ import annotations

import base64
import json

import pytest

from rtnb.errors import ProtocolError
from rtnb.protocol import events as ev
from rtnb.protocol.client import ClientMachine, InputTape, Mark, merged
from rtnb.protocol.codec import client_event

SESSION = {
    "type": "realtime",
    "id": "sess_1",
    "model": "gpt-realtime",
    "instructions": "Be brief.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-4o-transcribe"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
    },
}
ONE_MS = b"\1\0" * 24


def told(machine, type_, now=0.0, **fields):
    return machine.receive(json.dumps({"type": type_, **fields}), now)


def opened(**options):
    machine = ClientMachine(**options)
    told(machine, "session.created", session=SESSION)
    return machine


def message(item_id, role="user", status="completed", content=()):
    return {
        "id": item_id,
        "type": "message",
        "role": role,
        "status": status,
        "content": list(content),
    }


def added(machine, item_id, previous, **fields):
    item = message(item_id, **fields)
    told(machine, "conversation.item.added", previous_item_id=previous, item=item)


def begin_answer(machine, response_id="resp_1", item_id="item_a", now=0.0, **response):
    response = {"id": response_id, "status": "in_progress", **response}
    told(machine, "response.created", now, response=response)
    place = {"response_id": response_id, "output_index": 0}
    item = message(item_id, "assistant", "in_progress")
    told(machine, "response.output_item.added", now, item=item, **place)
    part = {"type": "audio", "transcript": ""}
    place |= {"item_id": item_id, "content_index": 0}
    told(machine, "response.content_part.added", now, part=part, **place)
    return place


def audio(ms):
    return base64.b64encode(ONE_MS * ms).decode()


def order(machine):
    return [item.id for item in machine.conversation]


# -- conversations that were had -------------------------------------------------------


def replayed(path):
    """A machine that saw a recorded session, one event a second."""
    machine = ClientMachine()
    for now, line in enumerate(path.read_text().splitlines()):
        entry = json.loads(line)
        if entry["direction"] == "sent":
            machine.send(client_event(entry["data"]), now)
        else:
            event = machine.receive(json.dumps(entry["data"]), now)
            assert not isinstance(event, ev.UnknownEvent)
    assert not machine.ignored_count
    assert not machine.refusals
    assert machine.active_response is None
    return machine


def said(machine):
    return [
        (getattr(item.wire, "role", type(item.wire).__name__), item.text)
        for item in machine.conversation
    ]


def test_the_recorded_text_turn(shared_data):
    machine = replayed(shared_data / "hosted" / "text-in-audio-out.jsonl")
    assert said(machine) == [
        ("user", "Say a short greeting."),
        ("assistant", "Hi there!"),
    ]
    assert machine.ledger.usage.total_tokens == 40
    assert machine.ledger.cost.usd == pytest.approx((16 * 4 + 9 * 16 + 15 * 64) / 1e6)
    (response,) = machine.responses.values()
    assert response.created_at < response.first_text_at < response.first_audio_at
    assert response.status == "completed"
    assert machine.conversation[1].audio[:4] == base64.b64decode("AgD9/w==")


def test_the_recorded_spoken_turns(shared_data):
    machine = replayed(shared_data / "hosted" / "three-server-vad-turns.jsonl")
    assert [text for role, text in said(machine) if role == "user"] == [
        "Hello, my name is Marcelo."
    ] * 3
    answers = [text for role, text in said(machine) if role == "assistant"]
    assert answers[0] == "Hi Marcelo! Nice to meet you."
    assert len(answers) == 3
    marks = [(mark.kind, mark.ms) for mark in machine.marks]
    assert marks == [
        ("speech_started", 1460),
        ("speech_stopped", 4256),
        ("speech_started", 8948),
        ("speech_stopped", 11744),
        ("speech_started", 16436),
        ("speech_stopped", 19232),
    ]
    assert machine.rate_limits[0].limit == 15_000_000
    assert machine.requested["audio"]["input"]["transcription"] == {
        "model": "gpt-realtime-whisper"
    }
    vad = machine.effective["audio"]["input"]["turn_detection"]
    assert vad["silence_duration_ms"] == 200


def test_the_recorded_transcriptions_are_billed_too(shared_data):
    machine = replayed(shared_data / "hosted" / "three-server-vad-turns.jsonl")
    spent = machine.ledger.cost
    assert spent.by_kind["per_minute"] == pytest.approx(3 * 3 / 60 * 0.017)
    assert len(machine.ledger) == 6


def test_the_recorded_function_call(shared_data):
    machine = replayed(shared_data / "hosted" / "tool-call-round.jsonl")
    kinds = [type(item.wire).__name__ for item in machine.conversation]
    assert kinds[-3:] == ["FunctionCallItem", "FunctionCallOutputItem", "MessageItem"]
    call = machine.conversation[-3].wire
    assert (call.name, json.loads(call.arguments)) == (
        "get_weather",
        {"city": "London"},
    )
    assert machine.conversation[-1].text == "It is foggy and 12 degrees in London."
    assert machine.ledger.usage.input_token_details.cached_tokens == 64


# -- order -----------------------------------------------------------------------------


def test_items_stand_where_added_put_them():
    machine = opened()
    added(machine, "item_1", None)
    added(machine, "item_3", "item_1")
    added(machine, "item_2", "item_1")
    assert order(machine) == ["item_1", "item_2", "item_3"]


def test_done_never_moves_an_item():
    machine = opened()
    added(machine, "item_1", None)
    added(machine, "item_2", "item_1")
    item = message("item_2")
    told(machine, "conversation.item.done", previous_item_id=None, item=item)
    assert order(machine) == ["item_1", "item_2"]


def test_an_item_that_was_never_added_is_known_but_has_no_place():
    machine = opened()
    told(machine, "conversation.item.done", item=message("item_1"))
    assert order(machine) == []
    assert machine.items["item_1"].status == "completed"


def test_null_means_the_beginning_only_where_we_asked_for_it():
    machine = opened()
    added(machine, "item_1", None)
    added(machine, "item_2", None)
    item = ev.MessageItem(role="system", content=[])
    machine.send(ev.ConversationItemCreate(previous_item_id="root", item=item), 0.0)
    added(machine, "item_0", None)
    assert order(machine) == ["item_0", "item_1", "item_2"]


def test_an_item_after_one_that_is_gone_goes_to_the_end():
    machine = opened()
    added(machine, "item_1", None)
    added(machine, "item_2", "item_1")
    told(machine, "conversation.item.deleted", item_id="item_1")
    added(machine, "item_3", "item_1")
    added(machine, "item_1", None)
    assert order(machine) == ["item_2", "item_3"]
    assert machine.items["item_1"].deleted


def test_the_legacy_name_of_added_is_understood():
    machine = opened()
    told(machine, "conversation.item.created", item=message("item_1"))
    assert order(machine) == ["item_1"]


def test_an_item_of_an_unknown_kind_has_its_place():
    machine = opened()
    item = {"id": "item_1", "type": "hologram"}
    told(machine, "conversation.item.added", previous_item_id=None, item=item)
    assert order(machine) == ["item_1"]


def test_an_item_without_an_id_is_let_pass():
    machine = opened()
    told(machine, "conversation.item.added", item={"type": "hologram"})
    assert order(machine) == []


# -- answers ---------------------------------------------------------------------------


def test_an_answer_grows_and_keeps_its_times():
    machine = opened()
    place = begin_answer(machine, now=1.0)
    assert machine.active_response.id == "resp_1"
    told(machine, "response.output_audio_transcript.delta", 2.0, delta="Hi ", **place)
    told(machine, "response.output_audio_transcript.delta", 2.5, delta="you", **place)
    told(machine, "response.output_audio.delta", 3.0, delta=audio(20), **place)
    told(machine, "response.output_audio.delta", 4.0, delta=audio(5), **place)
    item, response = machine.items["item_a"], machine.responses["resp_1"]
    assert (item.text, item.audio_ms, len(item.audio)) == ("Hi you", 25, 25 * 48)
    assert (response.created_at, response.first_text_at) == (1.0, 2.0)
    assert (response.first_audio_at, response.done_at) == (3.0, None)
    assert item.contents[0].kind == "output_audio"


def test_the_transcript_that_is_done_replaces_the_pieces():
    machine = opened()
    place = begin_answer(machine)
    told(machine, "response.output_audio_transcript.delta", delta="Hi the", **place)
    told(machine, "response.output_audio_transcript.done", transcript="Hi!", **place)
    assert machine.items["item_a"].text == "Hi!"


def test_a_text_answer():
    machine = opened()
    place = begin_answer(machine)
    part = {"type": "text", "text": "Four."}
    told(machine, "response.output_text.delta", delta="Fo", **place)
    told(machine, "response.output_text.done", text="Four.", **place)
    told(machine, "response.content_part.done", part=part, **place)
    content = machine.items["item_a"].contents[0]
    assert (content.kind, content.text, content.final) == ("output_text", "Four.", True)


def test_a_part_of_an_unknown_kind():
    machine = opened()
    place = begin_answer(machine)
    told(machine, "response.content_part.added", part={"type": "smell"}, **place)
    assert machine.items["item_a"].contents[0].kind == "smell"


def test_two_messages_in_one_answer():
    machine = opened()
    first = begin_answer(machine, item_id="item_a")
    told(machine, "response.output_audio_transcript.delta", delta="Wait.", **first)
    second = first | {"item_id": "item_b", "output_index": 1}
    item = message("item_b", "assistant", "in_progress")
    fields = {"response_id": "resp_1", "output_index": 1, "item": item}
    told(machine, "response.output_item.added", **fields)
    told(machine, "response.output_audio_transcript.delta", delta="Done.", **second)
    assert machine.responses["resp_1"].item_ids == ["item_a", "item_b"]
    texts = [machine.items[item_id].text for item_id in ("item_a", "item_b")]
    assert texts == ["Wait.", "Done."]


def test_an_answer_beside_the_conversation_is_not_the_active_one():
    machine = opened()
    begin_answer(machine, conversation_id=None, metadata={"topic": "x"})
    assert machine.active_response is None
    assert machine.responses["resp_1"].metadata == {"topic": "x"}
    assert order(machine) == []


def test_a_failed_answer():
    machine = opened()
    begin_answer(machine)
    error = {"type": "server_error", "code": None, "message": "no"}
    details = {"type": "failed", "error": error}
    response = {"id": "resp_1", "status": "failed", "status_details": details}
    told(machine, "response.done", 9.0, response=response)
    assert machine.active_response is None
    assert machine.responses["resp_1"].status == "failed"


def test_truncation_keeps_our_copy_of_the_words():
    machine = opened()
    place = begin_answer(machine)
    told(machine, "response.output_audio_transcript.delta", delta="Hi you", **place)
    fields = {"item_id": "item_a", "content_index": 0, "audio_end_ms": 120}
    told(machine, "conversation.item.truncated", **fields)
    item = message("item_a", "assistant", "incomplete", [{"type": "output_audio"}])
    told(machine, "conversation.item.retrieved", item=item)
    item = machine.items["item_a"]
    assert (item.text, item.truncated_ms, item.status) == ("Hi you", 120, "incomplete")


def test_old_audio_makes_room_for_new():
    machine = opened(max_audio_bytes=30 * 48)
    for n in (1, 2):
        place = begin_answer(machine, f"resp_{n}", f"item_{n}")
        told(machine, "response.output_audio.delta", delta=audio(20), **place)
    assert machine.items["item_1"].audio == b""
    assert machine.items["item_1"].audio_ms == 20
    assert len(machine.items["item_2"].audio) == 20 * 48
    assert machine.dropped_audio_bytes == 20 * 48


def test_a_retrieved_item_brings_its_audio_back_once():
    machine = opened()
    content = [{"type": "input_audio", "audio": audio(30), "transcript": None}]
    for _ in range(2):
        item = message("item_1", content=content)
        told(machine, "conversation.item.retrieved", item=item)
    assert machine.items["item_1"].audio_ms == 30
    assert machine.items["item_1"].audio == ONE_MS * 30


def test_telephone_audio_is_counted_at_its_own_rate():
    machine = opened()
    output = {"output": {"format": {"type": "audio/pcmu"}, "voice": "ash"}}
    place = begin_answer(machine, audio=output)
    delta = base64.b64encode(b"\xff" * 160).decode()
    told(machine, "response.output_audio.delta", delta=delta, **place)
    assert machine.items["item_a"].audio_ms == 20


# -- what the user said ----------------------------------------------------------------


def transcription(machine, kind, **fields):
    event = f"conversation.item.input_audio_transcription.{kind}"
    told(machine, event, item_id="item_1", content_index=0, **fields)


def test_a_transcript_may_come_before_its_item():
    machine = opened()
    fields = {"item_id": "item_1", "audio_start_ms": 100}
    told(machine, "input_audio_buffer.speech_started", 5.0, **fields)
    transcription(machine, "delta", delta=" Hello")
    content = [{"type": "input_audio", "transcript": None}]
    added(machine, "item_1", None, content=content)
    assert machine.conversation[0].text == "Hello"
    usage = {"type": "duration", "seconds": 3}
    transcription(machine, "completed", transcript="Hello.", usage=usage)
    transcription(machine, "delta", delta=" again")
    assert machine.conversation[0].text == "Hello."
    assert machine.ignored == "late"
    assert machine.marks[0] == Mark("speech_started", 100, "item_1", 5.0)


def test_a_failed_transcription():
    machine = opened()
    error = {"type": "transcription_error", "code": "audio_unintelligible"}
    transcription(machine, "failed", error=error)
    transcription(machine, "completed", transcript="ghost")
    content = machine.items["item_1"].contents[0]
    assert (content.failed.code, content.text) == ("audio_unintelligible", "")


def test_an_idle_timeout_leaves_a_mark():
    machine = opened()
    times = {"audio_start_ms": 13216, "audio_end_ms": 19232}
    told(machine, "input_audio_buffer.timeout_triggered", item_id="item_1", **times)
    assert machine.marks[0].kind == "timeout_triggered"


def test_the_tape_gives_back_what_was_sent():
    machine = opened()
    machine.send(ev.InputAudioBufferAppend(audio=ONE_MS * 20), 0.0)
    machine.send(ev.InputAudioBufferAppend(audio=b"\2\0" * 24 * 20), 0.0)
    assert machine.tape.end_ms == 40
    assert machine.tape.between(19, 21) == ONE_MS + b"\2\0" * 24
    assert machine.tape.between(19, 41) is None


def test_the_tape_forgets_the_oldest_and_says_so():
    tape = InputTape(limit=48 * 80)
    for n in range(10):
        tape.append(bytes([n]) * 48 * 10, 48)
    assert tape.end_ms == 100
    assert tape.between(0, 10) is None
    assert tape.between(90, 100) == b"\x09" * 480


def test_a_new_format_begins_a_new_tape():
    tape = InputTape()
    tape.append(ONE_MS * 10, 48)
    tape.append(b"\xff" * 80, 8)
    assert tape.end_ms == 20
    assert tape.between(0, 5) is None
    assert tape.between(10, 20) == b"\xff" * 80


# -- settings and refusals -------------------------------------------------------------


def update(machine, **session):
    machine.send(ev.SessionUpdate(session=ev.RealtimeSession(**session)), 0.0)


def test_what_was_asked_for_counts_once_it_is_accepted():
    machine = opened()
    update(machine, instructions="Sing.")
    assert machine.requested == {}
    told(machine, "session.updated", session=SESSION | {"instructions": "Sing."})
    assert machine.requested == {"type": "realtime", "instructions": "Sing."}
    assert machine.accepted == "rtnb_1"
    told(machine, "session.updated", session=SESSION | {"instructions": "Sing."})
    assert machine.accepted is None
    assert machine.effective["instructions"] == "Sing."


def test_what_was_refused_does_not_count_and_tells_its_cause():
    machine = opened()
    update(machine, max_output_tokens=9999)
    update(machine, instructions="Sing.")
    error = {"type": "invalid_request_error", "message": "no", "event_id": "rtnb_1"}
    told(machine, "error", 3.0, error=error)
    told(machine, "session.updated", session=SESSION)
    assert machine.requested == {"type": "realtime", "instructions": "Sing."}
    refusal = machine.refusals[0]
    assert refusal.cause.event.session.max_output_tokens == 9999
    assert (refusal.error.message, refusal.at) == ("no", 3.0)


def test_a_refused_update_is_found_without_its_event_id():
    machine = opened()
    update(machine, max_output_tokens=9999)
    fields = {"type": "invalid_request_error", "message": "no", "event_id": None}
    told(machine, "error", error=fields | {"param": "session.max_output_tokens"})
    assert machine.refusals[0].cause.event.event_id == "rtnb_1"


def test_an_error_without_a_cause():
    machine = opened()
    told(machine, "error", error={"type": "server_error", "message": "oh"})
    assert machine.refusals[0].cause is None


def test_our_events_are_named_and_remembered_but_audio_is_not():
    machine = opened()
    assert '"event_id":"rtnb_1"' in machine.send(ev.ResponseCreate(), 7.0)
    assert machine.sent("rtnb_1").at == 7.0
    machine.send(ev.ResponseCreate(event_id="mine"), 8.0)
    assert machine.sent("mine").event == ev.ResponseCreate(event_id="mine")
    append = ev.InputAudioBufferAppend(audio=ONE_MS)
    assert "event_id" not in machine.send(append, 9.0)
    assert machine.sent("rtnb_2") is None


def test_an_event_of_a_kind_we_do_not_know_can_be_sent():
    machine = opened()
    sing = ev.UnknownEvent("response.sing", {"type": "response.sing", "notes": 7})
    message = json.loads(machine.send(sing, 0.0))
    assert message == {"type": "response.sing", "notes": 7, "event_id": "rtnb_1"}


def test_fields_we_do_not_know_are_sent_on():
    machine = opened()
    raw = {"type": "response.create", "mood": "calm"}
    assert '"mood":"calm"' in machine.send(client_event(raw), 0.0)


def test_settings_are_merged_but_for_another_type():
    before = {"turn_detection": {"type": "server_vad", "threshold": 0.4}}
    more = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}
    other = {"turn_detection": {"type": "semantic_vad"}}
    assert merged(before, more)["turn_detection"]["threshold"] == 0.4
    assert merged(before, other) == other
    assert merged(before, {"turn_detection": None}) == {"turn_detection": None}


# -- a bad network ---------------------------------------------------------------------


def test_an_event_that_comes_twice_counts_once():
    machine = opened()
    place = begin_answer(machine)
    for _ in range(2):
        fields = {"event_id": "event_1", "delta": "Hi", **place}
        told(machine, "response.output_audio_transcript.delta", **fields)
    assert machine.items["item_a"].text == "Hi"
    assert (machine.ignored, machine.ignored_count) == ("duplicate", 1)


def test_what_comes_after_the_end_changes_nothing():
    machine = opened()
    place = begin_answer(machine)
    response = {"id": "resp_1", "status": "completed", "usage": {"total_tokens": 5}}
    told(machine, "response.done", 2.0, response=response)
    late = [
        ("response.output_audio.delta", {"delta": audio(1), **place}),
        ("response.output_audio_transcript.delta", {"delta": "ghost", **place}),
        ("response.output_audio_transcript.done", {"transcript": "ghost", **place}),
        ("response.output_text.delta", {"delta": "ghost", **place}),
        ("response.output_text.done", {"text": "ghost", **place}),
        (
            "response.content_part.added",
            {"part": {"type": "text", "text": "ghost"}, **place},
        ),
        (
            "response.content_part.done",
            {"part": {"type": "text", "text": "ghost"}, **place},
        ),
        ("response.created", {"response": {"id": "resp_1", "status": "in_progress"}}),
        ("response.done", {"response": response}),
    ]
    for type_, fields in late:
        told(machine, type_, 9.0, **fields)
    assert machine.ignored_count == len(late)
    item, response = machine.items["item_a"], machine.responses["resp_1"]
    assert (item.text, item.audio, response.status) == ("", b"", "completed")
    assert response.done_at == 2.0
    assert machine.ledger.usage.total_tokens == 5


def test_a_final_item_does_not_become_unfinished_again():
    machine = opened()
    added(machine, "item_1", None, status="completed")
    added(machine, "item_1", None, status="in_progress")
    assert order(machine) == ["item_1"]
    assert machine.items["item_1"].status == "completed"


def test_an_end_whose_beginning_was_lost():
    machine = opened()
    output = [message("item_a", "assistant", "completed")]
    response = {"id": "resp_1", "status": "completed", "output": output}
    told(machine, "response.done", 4.0, response=response)
    assert machine.responses["resp_1"].item_ids == ["item_a"]
    assert machine.active_response is None


def test_pieces_whose_response_was_never_announced():
    machine = opened()
    place = {
        "response_id": "resp_x",
        "item_id": "item_x",
        "output_index": 0,
        "content_index": 0,
    }
    told(machine, "response.output_text.delta", delta="Hi", **place)
    told(machine, "response.output_audio.delta", delta=audio(1), **place)
    assert machine.items["item_x"].text == "Hi"


def test_unknown_events_are_kept():
    machine = opened()
    event = told(machine, "response.sung", event_id="event_1", notes=7)
    assert isinstance(event, ev.UnknownEvent)
    assert machine.unknown[0].raw["notes"] == 7


def test_what_is_no_event_leaves_the_state_alone():
    machine = opened()
    for message_ in ("{", "[]", "{}", b"\xff"):
        with pytest.raises(ProtocolError):
            machine.receive(message_, 0.0)
    assert machine.model == "gpt-realtime"


def test_before_anything_came():
    machine = ClientMachine()
    assert (machine.effective, machine.model) == ({}, None)
    told(machine, "rate_limits.updated", rate_limits=[])
    transcription(machine, "completed", transcript="Hi", usage=None)


def test_only_so_many_events_are_remembered():
    machine = opened()
    for n in range(4200):
        told(machine, "input_audio_buffer.cleared", event_id=f"event_{n}")
    told(machine, "input_audio_buffer.cleared", event_id="event_0")
    assert machine.ignored is None
    told(machine, "input_audio_buffer.cleared", event_id="event_4199")
    assert machine.ignored == "duplicate"


def put(machine, item_id, previous=None):
    raw = {"type": "conversation.item.create", "item": message(item_id)}
    if previous is not None:
        raw["previous_item_id"] = previous
    event = client_event(raw)
    return json.loads(machine.send(event, 0.0))["event_id"]


def test_an_item_that_was_deleted_may_come_again():
    machine = opened()
    added(machine, "a", None)
    told(machine, "conversation.item.deleted", item_id="a")
    put(machine, "a")
    added(machine, "a", None)
    assert order(machine) == ["a"]


def test_a_refused_item_takes_no_place():
    machine = opened()
    added(machine, "a", None)
    event_id = put(machine, "a", "root")
    told(machine, "error", error={"type": "x", "message": "", "event_id": event_id})
    added(machine, "b", None)
    assert order(machine) == ["a", "b"]
