"""Items: what a client may put where, and what is left of it."""

import base64

import numpy as np
import pytest

from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE
from tests.protocol.wire import TONE, Wire, error_of, types

HALF_SECOND = np.full(SAMPLE_RATE // 2, 0.25, np.float32)
PCM16 = base64.b64encode((HALF_SECOND * 32767).astype("<i2").tobytes()).decode()


@pytest.fixture
def wire():
    return Wire()


def message(*content, role="user", **fields):
    return {"type": "message", "role": role, "content": list(content), **fields}


def put(wire, item, **fields):
    return wire.send("conversation.item.create", item=item, **fields)


def order(wire):
    """Ids of the conversation, as an answer would read it."""
    wire.machine.take_effects()
    response_id = wire.respond(conversation="none")
    effects_ = wire.machine.take_effects()
    [wanted] = [one for one in effects_ if isinstance(one, effects.Respond)]
    wire.machine.finish(response_id, wire.now)
    wire.read()
    return [item.id for item in wanted.items]


def retrieved(wire, item_id):
    [event] = wire.send("conversation.item.retrieve", item_id=item_id)
    return event["item"]


ROLES = [
    message({"type": "input_text", "text": "a"}),
    message({"type": "input_text", "text": "a"}, role="system"),
    message({"type": "output_text", "text": "a"}, role="assistant"),
    {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"},
]


@pytest.mark.parametrize("item", ROLES, ids=["user", "system", "assistant", "call"])
def test_an_item_is_added_and_done_with_the_same_body(wire, item):
    added, done = put(wire, {**item, "id": "mine", "status": "incomplete"})
    assert types([added, done]) == ["conversation.item.added", "conversation.item.done"]
    assert (
        added["item"] == done["item"] == {**item, "id": "mine", "status": "completed"}
    )
    assert added["previous_item_id"] is done["previous_item_id"] is None


def test_items_go_to_the_beginning_the_middle_and_the_end(wire):
    for item_id, previous in [
        ("b", None),
        ("d", None),
        ("a", "root"),
        ("c", "b"),
    ]:
        place = {} if previous is None else {"previous_item_id": previous}
        put(wire, message(id=item_id), **place)
    assert order(wire) == ["a", "b", "c", "d"]


def test_an_unknown_place_is_refused_and_nothing_is_added(wire):
    error = error_of(put(wire, message(id="a"), previous_item_id="x", event_id="mine"))
    assert error["code"] == "item_create_invalid_previous_item_id"
    assert error["param"] == "previous_item_id"
    assert error["event_id"] == "mine"
    assert order(wire) == []


def test_an_id_that_is_taken_is_refused(wire):
    wire.user("first", id="a")
    error = error_of(wire.user("second", id="a"))
    assert error["code"] == "item_create_duplicate_item_id"
    assert retrieved(wire, "a")["content"][0]["text"] == "first"


def test_an_empty_id_is_refused(wire):
    assert error_of(wire.user("x", id=""))["param"] == "item.id"


def test_the_output_of_a_call_that_nobody_made_is_refused(wire):
    output = {"type": "function_call_output", "call_id": "call_x", "output": "1"}
    error = error_of(put(wire, output))
    assert error["code"] == "invalid_tool_call_id"
    assert error["message"] == "Tool call ID 'call_x' not found in conversation."
    assert error["param"] is None


def test_the_output_of_a_call_may_come_many_turns_later(wire):
    response_id = wire.respond()
    wire.machine.call(response_id, "slow", {}, wire.now)
    wire.machine.finish(response_id, wire.now)
    [done] = [e for e in wire.read() if e["type"].endswith("arguments.done")]
    for _ in range(3):
        wire.user("and?")
        wire.answer()
    output = {"type": "function_call_output", "call_id": done["call_id"], "output": ""}
    assert types(put(wire, output)) == [
        "conversation.item.added",
        "conversation.item.done",
    ]


def test_a_call_without_an_id_gets_one(wire):
    added, _ = put(wire, {"type": "function_call", "name": "f", "arguments": "{}"})
    assert added["item"]["call_id"].startswith("call_")


def test_assistant_sound_cannot_be_injected(wire):
    part = {"type": "output_audio", "audio": PCM16, "transcript": "hi"}
    added, _ = put(wire, message(part, role="assistant", id="a"))
    assert added["item"]["content"] == [{"type": "output_audio", "transcript": "hi"}]
    truncate = {"item_id": "a", "content_index": 0, "audio_end_ms": 1}
    error = error_of(wire.send("conversation.item.truncate", **truncate))
    assert error["code"] == "unsupported_content_type"


def test_sound_that_a_client_makes_an_item_of_comes_back(wire):
    parts = [
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": PCM16},
        {"type": "input_audio", "audio": PCM16[:400], "transcript": "tick"},
    ]
    added, _ = put(wire, message(*parts, id="a"))
    assert [part.get("audio") for part in added["item"]["content"]] == [None] * 3
    content = retrieved(wire, "a")["content"]
    assert [part.get("audio") for part in content] == [None, PCM16, PCM16[:400]]


def test_sound_without_words_is_recognised_and_not_reported(wire):
    wire.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    put(wire, message({"type": "input_audio", "audio": PCM16}, id="a"))
    wanted = [type(one) for one in wire.machine.take_effects()]
    assert wanted == [effects.Listen, effects.Hear, effects.Recognise]
    wire.machine.transcribed("a", "hello", wire.now)
    assert wire.read() == []
    assert wire.machine.user_text("a") == "hello"
    wire.machine.transcription_failed("a", "no", wire.now)
    assert wire.read() == []


@pytest.mark.parametrize("where", ["item", "input"])
def test_half_a_sample_is_refused(wire, where):
    part = {"type": "input_audio", "audio": base64.b64encode(b"abc").decode()}
    if where == "item":
        error = error_of(put(wire, message(part)))
        assert error["param"] == "item.content[0].audio"
    else:
        given = {"input": [message(part)]}
        error = error_of(wire.send("response.create", response=given))
        assert error["param"] == "response.input[0].content[0].audio"
    assert error["code"] == "invalid_value"


def test_telephone_sound_has_its_full_length(wire):
    wire.configure(audio={"input": {"format": {"type": "audio/pcmu"}}})
    audio = base64.b64encode(b"\xff" * 8000).decode()
    put(wire, message({"type": "input_audio", "audio": audio}, id="a"))
    assert wire.machine.item_samples("a") == SAMPLE_RATE


def test_text_beside_sound_counts(wire):
    wire.configure(instructions="")
    sound = {"type": "input_audio", "audio": PCM16}
    put(wire, message(sound))
    [alone] = [e for e in wire.answer() if e["type"] == "response.done"]
    wire = Wire()
    wire.configure(instructions="")
    put(wire, message({"type": "input_text", "text": "one two three"}, sound))
    [both] = [e for e in wire.answer() if e["type"] == "response.done"]
    texts = [
        done["response"]["usage"]["input_token_details"]["text_tokens"]
        for done in (alone, both)
    ]
    assert texts[1] - texts[0] == 5  # three words and two markers


def test_an_item_is_deleted_once(wire):
    wire.user("x", id="a")
    [deleted] = wire.send("conversation.item.delete", item_id="a")
    assert deleted["item_id"] == "a"
    error = error_of(wire.send("conversation.item.delete", item_id="a"))
    assert error["code"] == "item_delete_invalid_item_id"
    assert order(wire) == []


def test_an_item_is_deleted_while_it_is_written(wire):
    response_id = wire.respond()
    wire.machine.write(response_id, "Once", wire.now)
    item_id = wire.read()[0]["item"]["id"]
    wire.send("conversation.item.delete", item_id=item_id)
    wire.machine.play(response_id, TONE, wire.now)
    wire.machine.finish(response_id, wire.now)
    kinds = types(wire.read())
    assert "conversation.item.done" not in kinds
    assert kinds[-3:] == [
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert order(wire) == []


def test_an_item_is_deleted_while_it_is_recognised(wire):
    wire.configure(
        audio={"input": {"turn_detection": None, "transcription": {"model": "x"}}}
    )
    wire.machine.append_audio(HALF_SECOND, wire.now)
    item_id = wire.send("input_audio_buffer.commit")[0]["item_id"]
    wire.send("conversation.item.delete", item_id=item_id)
    wire.machine.transcribed(item_id, "hello", wire.now)
    assert wire.read() == []


def truncate(wire, item_id, audio_end_ms, content_index=0):
    return wire.send(
        "conversation.item.truncate",
        item_id=item_id,
        content_index=content_index,
        audio_end_ms=audio_end_ms,
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"item_id": "item_x"}, "item_truncate_invalid_item_id"),
        ({"item_id": "typed"}, "unsupported_content_type"),
        ({"content_index": 1}, "unsupported_content_type"),
        ({"content_index": -1}, "invalid_value"),
        ({"audio_end_ms": -1}, "invalid_value"),
        ({"audio_end_ms": 1001}, None),
    ],
)
def test_every_refusal_of_a_truncation(wire, change, code):
    wire.user("x", id="typed")
    item_id = wire.answer()[0]["item"]["id"]
    given = {"item_id": item_id, "audio_end_ms": 500, **change}
    assert error_of(truncate(wire, **given))["code"] == code
    assert wire.machine.item_samples(item_id) == SAMPLE_RATE


@pytest.mark.parametrize("audio_end_ms", [0, 10])
def test_an_answer_without_sound_yet_cannot_be_truncated(wire, audio_end_ms):
    response_id = wire.respond()
    wire.machine.write(response_id, "Once", wire.now)
    item_id = wire.read()[0]["item"]["id"]
    error = error_of(truncate(wire, item_id, audio_end_ms))
    assert error["message"] == "Only model output audio messages can be truncated"


def test_an_answer_is_truncated_while_it_is_spoken(wire):
    response_id = wire.respond()
    wire.machine.write(response_id, "Once", wire.now)
    wire.machine.play(response_id, TONE, wire.now)
    item_id = wire.read()[0]["item"]["id"]
    assert types(truncate(wire, item_id, 300)) == ["conversation.item.truncated"]
    message = "Audio content of 300ms is already shorter than 301ms"
    assert error_of(truncate(wire, item_id, 301))["message"] == message
    assert wire.machine.play(response_id, TONE, wire.now)
    wire.machine.finish(response_id, wire.now)
    [done] = [e for e in wire.read() if e["type"] == "response.done"]
    spoken = done["response"]["usage"]["output_token_details"]["audio_tokens"]
    assert spoken == 40  # what was made is billed, heard or not
    item = retrieved(wire, item_id)
    assert len(base64.b64decode(item["content"][0]["audio"])) == 300 * 48
    assert item["content"][0]["transcript"] == ""


def test_a_truncation_to_nothing(wire):
    item_id = wire.answer()[0]["item"]["id"]
    assert types(truncate(wire, item_id, 0)) == ["conversation.item.truncated"]
    assert retrieved(wire, item_id)["content"][0]["audio"] == ""
