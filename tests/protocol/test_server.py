"""The server machine, driven by hand: no network, no clock, no engine."""

import base64
import json

import pytest

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE
from tests.protocol.wire import NOW, TONE, Wire, error_of, types, vad


@pytest.fixture
def wire():
    return Wire()


def test_session_created_carries_every_default(wire):
    session = wire.created["session"]
    assert session["expires_at"] == int(NOW) + 3600
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    assert wire.created["type"] == "session.created"


def test_session_created_has_the_recorded_keys(wire, hosted_frames):
    recorded = hosted_frames("text-in-audio-out")[0]["data"]["session"]
    assert sorted(wire.created["session"]) == sorted(recorded)


def test_an_update_changes_what_it_names_and_nothing_else(wire):
    [updated] = wire.configure(instructions="Be brief.")
    before, after = wire.created["session"], updated["session"]
    assert after == {**before, "instructions": "Be brief."}


def test_what_only_the_service_uses_is_kept(wire):
    tool = {
        "type": "mcp",
        "server_label": "docs",
        "server_url": "https://mcp.example",
        "server_description": "Documents.",
        "defer_loading": True,
    }
    given = {
        "tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"a": 1}},
        "prompt": {"id": "p", "version": "2", "variables": {"name": "Ada"}},
        "tools": [tool],
    }
    session = wire.configure(**given)[0]["session"]
    assert {name: session[name] for name in given} == given
    [error] = wire.configure(tracing="auto")
    assert error["error"]["param"] == "session.tracing"


def test_the_model_of_a_connection_stays(wire):
    error = error_of(wire.configure(model="gpt-realtime-2.1", instructions="x"))
    assert error["param"] == "session.model"
    assert error["message"] == "Unsupported option for this model."
    [updated] = wire.configure(model="gpt-realtime")
    assert updated["session"] == wire.created["session"]


def test_a_model_that_nobody_chose_is_the_first_updates_to_name():
    wire = Wire(model="gpt-realtime-2.1", model_open=True)
    refused = wire.configure(model="gpt-realtime", reasoning={"effort": "high"})
    assert error_of(refused)["param"] == "session.reasoning"
    [updated] = wire.configure(model="gpt-realtime", instructions="Be brief.")
    plain = Wire().created["session"]
    changed = {name: updated["session"][name] for name in ("id", "instructions")}
    assert updated["session"] == {**plain, **changed}
    error = error_of(wire.configure(model="gpt-realtime-2.1"))
    assert error["param"] == "session.model"


def test_a_model_that_reasons_may_be_named_too():
    wire = Wire(model="gpt-realtime", model_open=True)
    wire.configure(instructions="Be brief.")
    [updated] = wire.configure(model="gpt-realtime-2", reasoning={"effort": "high"})
    assert updated["session"]["reasoning"] == {"effort": "high"}
    assert updated["session"]["parallel_tool_calls"] is True
    assert updated["session"]["instructions"] == "Be brief."


def test_an_update_is_all_or_nothing(wire):
    error = error_of(
        wire.configure(
            instructions="x", audio={"input": {"turn_detection": vad(threshold=1.5)}}
        )
    )
    assert "threshold" in error["message"]
    [updated] = wire.configure()
    assert updated["session"] == wire.created["session"]


def test_turn_detection_of_another_type_starts_from_its_defaults(wire):
    wire.configure(audio={"input": {"turn_detection": vad(threshold=0.9)}})
    semantic = {"type": "semantic_vad"}
    [updated] = wire.configure(audio={"input": {"turn_detection": semantic}})
    detection = updated["session"]["audio"]["input"]["turn_detection"]
    assert detection["eagerness"] == "auto"
    assert "threshold" not in detection


def test_turn_detection_that_was_off_starts_from_the_defaults(wire):
    wire.configure(audio={"input": {"turn_detection": None}})
    [updated] = wire.configure(audio={"input": {"turn_detection": vad(threshold=0.9)}})
    detection = updated["session"]["audio"]["input"]["turn_detection"]
    assert (detection["threshold"], detection["silence_duration_ms"]) == (0.9, 200)


def test_an_error_names_the_clients_event(wire):
    events = wire.send("response.cancel", event_id="mine")
    error = error_of(events)
    assert error["event_id"] == "mine"
    assert error["code"] == "response_cancel_not_active"
    assert error["message"].startswith("Cancellation failed")


def test_a_commit_of_40_ms_is_refused_by_its_length(wire):
    wire.configure(audio={"input": {"turn_detection": None}})
    wire.append(Clip.silence(0.04))
    error = error_of(wire.send("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "only has 40.00ms" in error["message"]


def test_push_to_talk(wire):
    wire.configure(audio={"input": {"turn_detection": None}})
    assert wire.append(Clip.silence(0.5)) == []
    events = wire.send("input_audio_buffer.commit")
    assert types(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    item_id = events[0]["item_id"]
    assert {e["item"]["id"] for e in events[1:]} == {item_id}
    kinds = [type(effect) for effect in wire.machine.take_effects()]
    assert kinds == [effects.Listen, effects.Hear, effects.Recognise]
    assert wire.machine.item_samples(item_id) == SAMPLE_RATE // 2


def test_the_ladder_of_a_spoken_answer(wire):
    wire.user("hello")
    assert types(wire.answer()) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_obfuscation_pads_to_sixteen(wire):
    deltas = [e for e in wire.answer("Hey") if "obfuscation" in e]
    assert [len(e["delta"]) + len(e["obfuscation"]) for e in deltas] == [16]


def test_an_out_of_band_answer_stays_out_of_the_conversation(wire):
    wire.user("hello")
    first = wire.respond()
    events = wire.answer(conversation="none", metadata={"topic": "x"})
    assert not any(t.startswith("conversation.item") for t in types(events))
    done = next(e for e in events if e["type"] == "response.done")["response"]
    assert done["conversation_id"] is None
    assert done["metadata"] == {"topic": "x"}
    assert wire.machine.active_response_id == first


def test_a_second_answer_is_refused_while_one_is_made(wire):
    first = wire.respond()
    error = error_of(wire.send("response.create"))
    assert error["code"] == "conversation_already_has_active_response"
    assert first in error["message"]


def test_cancel_closes_the_ladder(wire):
    response_id = wire.respond()
    wire.machine.write(response_id, "Once upon", NOW)
    wire.machine.play(response_id, TONE, NOW)
    wire.read()
    events = wire.send("response.cancel")
    assert types(events)[-2:] == ["response.done", "rate_limits.updated"]
    response = events[-2]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"]["reason"] == "client_cancelled"
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["output_token_details"]["audio_tokens"] == 20
    assert effects.StopResponding(response_id) in wire.machine.take_effects()
    assert wire.machine.write(response_id, " a time", NOW) is False
    assert wire.read() == []


def test_a_failed_answer_has_no_usage(wire):
    response_id = wire.respond()
    wire.machine.fail(response_id, "no voice", NOW)
    done = wire.read()[0]["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "no voice"
    assert done["usage"]["total_tokens"] == 0


def test_usage_counts_audio_by_the_documented_rates(wire):
    wire.configure(audio={"input": {"turn_detection": None}}, instructions="")
    wire.append(Clip.silence(2.796))
    wire.send("input_audio_buffer.commit")
    usage = wire.answer("", TONE[:12_000])[-2]["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == 27
    assert usage["output_token_details"]["audio_tokens"] == 10
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_cache_grows_in_steps_of_64(wire):
    wire.user("word " * 200)
    wire.answer()
    wire.user("and?")
    usage = wire.answer()[-2]["response"]["usage"]
    cached = usage["input_token_details"]["cached_tokens"]
    assert cached > 0
    assert cached % 64 == 0
    assert cached <= usage["input_tokens"]


def test_max_output_tokens_ends_the_answer_incomplete(wire):
    response_id = wire.respond(max_output_tokens=5)
    assert wire.machine.play(response_id, TONE, NOW) is False
    done = next(e for e in wire.read() if e["type"] == "response.done")["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"]["reason"] == "max_output_tokens"


def test_a_function_call_streams_its_arguments(wire):
    response_id = wire.respond()
    wire.machine.call(response_id, "get_weather", {"city": "London"}, NOW)
    wire.machine.finish(response_id, NOW)
    events = wire.read()
    deltas = [e for e in events if e["type"].endswith("arguments.delta")]
    [done] = [e for e in events if e["type"].endswith("arguments.done")]
    assert "".join(e["delta"] for e in deltas) == done["arguments"]
    assert json.loads(done["arguments"]) == {"city": "London"}
    assert done["name"] == "get_weather"
    output = events[-2]["response"]["output"]
    assert output[0]["call_id"] == done["call_id"]


@pytest.mark.parametrize(
    ("audio_end_ms", "message"),
    [(1001, "Audio content of 1000ms is already shorter than 1001ms"), (400, None)],
)
def test_truncate(wire, audio_end_ms, message):
    item_id = wire.answer()[0]["item"]["id"]
    [event] = wire.send(
        "conversation.item.truncate",
        item_id=item_id,
        content_index=0,
        audio_end_ms=audio_end_ms,
    )
    if message is not None:
        assert event["error"]["message"] == message
        return
    assert event["type"] == "conversation.item.truncated"
    assert wire.machine.item_samples(item_id) == 400 * 24
    [retrieved] = wire.send("conversation.item.retrieve", item_id=item_id)
    content = retrieved["item"]["content"][0]
    assert content["transcript"] == ""
    assert len(base64.b64decode(content["audio"])) == 400 * 48


def test_only_answers_in_audio_can_be_truncated(wire):
    item_id = wire.user("hello")[0]["item"]["id"]
    error = error_of(
        wire.send(
            "conversation.item.truncate",
            item_id=item_id,
            content_index=0,
            audio_end_ms=0,
        )
    )
    assert error["code"] == "unsupported_content_type"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("conversation.item.retrieve", "item_retrieve_invalid_item_id"),
        ("conversation.item.delete", "item_delete_invalid_item_id"),
    ],
)
def test_an_unknown_item_is_named(wire, event, code):
    error = error_of(wire.send(event, item_id="item_x"))
    assert error["code"] == code
    assert "item_x" in error["message"]


def test_items_go_where_they_are_told(wire):
    wire.user("second", id="b")
    [added, _] = wire.send(
        "conversation.item.create",
        previous_item_id="root",
        item={
            "id": "a",
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "first"}],
        },
    )
    assert added["previous_item_id"] is None
    wire.respond()
    [respond] = wire.machine.take_effects()
    assert [item.id for item in respond.items] == ["a", "b"]


def test_the_voice_is_frozen_by_the_first_spoken_answer(wire):
    wire.configure(audio={"output": {"voice": "cedar"}})
    wire.answer()
    error = error_of(wire.configure(audio={"output": {"voice": "ash"}}))
    assert error["code"] == "cannot_update_voice"


def test_the_session_expires_after_an_hour(wire):
    assert wire.machine.next_deadline() == NOW + 3600
    wire.machine.tick(NOW + 3600)
    assert error_of(wire.read())["code"] == "session_expired"
    [hangup] = wire.machine.take_effects()
    assert (hangup.code, "60 minutes" in hangup.reason) == (1001, True)


def test_identifiers_repeat_with_a_seed():
    one, two = Wire(seed=7), Wire(seed=7)
    assert one.created == two.created


# -- voice activity --------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken():
    return Clip.example("austen-0880").resample(SAMPLE_RATE) + Clip.silence(1.0)


def feed(wire, clip, chunk):
    events = []
    for start in range(0, len(clip.samples), chunk):
        wire.machine.append_audio(clip.samples[start : start + chunk], NOW)
        events += wire.read()
    return events


@pytest.mark.parametrize("chunk", [480, 2400, 100_000])
def test_a_spoken_turn_in_any_chunking(wire, spoken, chunk):
    events = feed(wire, spoken, chunk)
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert len({e["item_id"] for e in events[:3]}) == 1
    start, stop = events[0]["audio_start_ms"], events[1]["audio_end_ms"]
    assert wire.machine.item_samples(events[0]["item_id"]) == (stop - start) * 24
    heard = [e for e in wire.machine.take_effects() if isinstance(e, effects.Hear)]
    assert sum(len(e.samples) for e in heard) >= (stop - start) * 24


def test_create_response_off_stops_at_the_item(wire, spoken):
    wire.configure(audio={"input": {"turn_detection": vad(create_response=False)}})
    assert types(feed(wire, spoken, 2400))[-1] == "conversation.item.done"


@pytest.mark.parametrize("interrupt", [True, False])
def test_barge_in_cancels_only_when_told_to(wire, spoken, interrupt):
    detection = vad(interrupt_response=interrupt, create_response=False)
    wire.configure(audio={"input": {"turn_detection": detection}})
    response_id = wire.respond()
    wire.machine.write(response_id, "A long story", NOW)
    wire.read()
    events = feed(wire, spoken, 2400)
    assert events[0]["type"] == "input_audio_buffer.speech_started"
    done = [e for e in events if e["type"] == "response.done"]
    assert bool(done) is interrupt
    if interrupt:
        assert done[0]["response"]["status_details"]["reason"] == "turn_detected"
    assert wire.machine.is_active(response_id) is not interrupt


def test_settings_change_in_the_middle_of_speech(wire, spoken):
    half = SAMPLE_RATE
    feed(wire, Clip(spoken.samples[:half], SAMPLE_RATE), 2400)
    wire.configure(audio={"input": {"turn_detection": None}})
    rest = feed(wire, Clip(spoken.samples[half:], SAMPLE_RATE), 2400)
    assert rest == []
    assert any(isinstance(e, effects.Forget) for e in wire.machine.take_effects())


def test_a_manual_commit_ends_the_speech_early(wire, spoken):
    feed(wire, Clip(spoken.samples[: SAMPLE_RATE * 2], SAMPLE_RATE), 2400)
    events = wire.send("input_audio_buffer.commit")
    assert types(events)[0] == "input_audio_buffer.committed"
    later = feed(wire, Clip.silence(1.0), 2400)
    stopped = [e for e in later if e["type"].endswith("speech_stopped")]
    assert events[0]["item_id"] not in [e["item_id"] for e in stopped]


def test_the_idle_timeout_asks_again(wire):
    wire.configure(audio={"input": {"turn_detection": vad(idle_timeout_ms=6000)}})
    wire.answer()
    wire.machine.take_effects()
    deadline = wire.machine.next_deadline()
    assert deadline == NOW + 1.0 + 6.0
    feed(wire, Clip.silence(7.0), 2400)
    wire.machine.tick(deadline)
    events = wire.read()
    assert types(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert events[0]["audio_end_ms"] - events[0]["audio_start_ms"] == 6000


def test_transcripts_are_reported_when_asked_for(wire):
    wire.configure(
        audio={
            "input": {
                "turn_detection": None,
                "transcription": {"model": "gpt-realtime-whisper"},
            }
        }
    )
    wire.append(Clip.silence(2.2))
    item_id = wire.send("input_audio_buffer.commit")[0]["item_id"]
    wire.machine.transcribed(item_id, "hello world", NOW)
    events = wire.read()
    assert [e.get("delta") for e in events] == ["hello", " world", None]
    assert events[-1]["usage"] == {"type": "duration", "seconds": 3}
    assert wire.machine.user_text(item_id) == "hello world"


def test_a_diarizing_model_says_who_speaks_when(wire):
    transcription = {"model": "gpt-4o-transcribe-diarize"}
    wire.configure(
        audio={"input": {"turn_detection": None, "transcription": transcription}}
    )
    wire.append(Clip.silence(0.5))
    item_id = wire.send("input_audio_buffer.commit")[0]["item_id"]
    wire.machine.transcribed(item_id, "hello world", NOW)
    events = wire.read()
    kind = "conversation.item.input_audio_transcription.segment"
    [segment] = [event for event in events if event["type"] == kind]
    assert (segment["start"], segment["end"]) == (0.0, 0.5)
    assert segment["text"] == "hello world"
    assert segment["speaker"]


def test_what_cannot_be_transcribed_is_said(wire):
    wire.configure(
        audio={"input": {"turn_detection": None, "transcription": {"model": "x"}}}
    )
    wire.append(Clip.silence(0.5))
    item_id = wire.send("input_audio_buffer.commit")[0]["item_id"]
    wire.machine.transcription_failed(item_id, "no words", NOW)
    [event] = wire.read()
    assert event["type"] == "conversation.item.input_audio_transcription.failed"
    assert event["error"]["code"] == "audio_unintelligible"


@pytest.mark.parametrize("wire_format", ["audio/pcmu", "audio/pcma"])
def test_telephone_audio_in_and_out(wire, wire_format):
    shape = {"format": {"type": wire_format}}
    wire.configure(audio={"input": {**shape, "turn_detection": None}, "output": shape})
    silence = base64.b64encode(b"\xff" * 8000).decode()
    wire.send("input_audio_buffer.append", audio=silence)
    assert abs(wire.machine.samples_appended - SAMPLE_RATE) < 240
    deltas = [e for e in wire.answer() if e["type"] == "response.output_audio.delta"]
    data = b"".join(base64.b64decode(e["delta"]) for e in deltas)
    assert abs(len(data) - 8000) < 50
