"""Responses: asked for in every way, ended in every way."""

import base64
import itertools
import json

import numpy as np
import pytest

from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE
from tests.protocol.wire import NOW, TONE, Wire, error_of, types

REASONING = "gpt-realtime-2.1"


@pytest.fixture
def wire():
    return Wire()


def done_of(events):
    """The response of the last ``response.done``."""
    return [e["response"] for e in events if e["type"] == "response.done"][-1]


def wanted(wire):
    """What the engine was last asked for."""
    asked = wire.machine.take_effects()
    return [one for one in asked if isinstance(one, effects.Respond)][-1]


def finish(wire, response_id):
    wire.machine.finish(response_id, wire.now)
    return wire.read()


def text_item(text, **fields):
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **fields}


# -- beside each other -----------------------------------------------------------------


def test_several_beside_the_conversation_and_one_in_it(wire):
    first = wire.respond()
    beside = [wire.respond(conversation="none", metadata={"n": str(n)}) for n in "abc"]
    assert wire.machine.active_response_id == first
    for response_id in [*beside[::-1], first]:
        wire.machine.write(response_id, response_id, wire.now)
    for response_id in [beside[1], first, beside[2], beside[0]]:
        done = done_of(finish(wire, response_id))
        assert done["output"][0]["content"][0]["transcript"] == response_id
        in_conversation = response_id == first
        assert (done["conversation_id"] is not None) is in_conversation
    assert wire.machine.active_response_id is None


def test_one_beside_the_conversation_is_cancelled_by_its_id(wire):
    first = wire.respond()
    beside = wire.respond(conversation="none")
    done = done_of(wire.send("response.cancel", response_id=beside))
    assert (done["id"], done["status"]) == (beside, "cancelled")
    assert wire.machine.is_active(first)


def test_a_bare_cancel_leaves_what_is_beside_the_conversation(wire):
    beside = wire.respond(conversation="none")
    error = error_of(wire.send("response.cancel"))
    assert error["code"] == "response_cancel_not_active"
    assert wire.machine.is_active(beside)


@pytest.mark.parametrize("response_id", ["resp_x", None])
def test_what_is_not_active_cannot_be_cancelled(wire, response_id):
    given = {} if response_id is None else {"response_id": response_id}
    error = error_of(wire.send("response.cancel", event_id="mine", **given))
    assert error["message"] == "Cancellation failed: no active response found"
    assert error["event_id"] == "mine"


def test_an_item_beside_the_conversation_is_not_to_be_had(wire):
    response_id = wire.respond(conversation="none")
    wire.machine.play(response_id, TONE, wire.now)
    item_id = wire.read()[0]["item"]["id"]
    given = {"item_id": item_id, "content_index": 0, "audio_end_ms": 10}
    error = error_of(wire.send("conversation.item.truncate", **given))
    assert error["code"] == "item_truncate_invalid_item_id"


# -- what it reads ---------------------------------------------------------------------


def test_custom_input_stands_instead_of_the_conversation(wire):
    wire.user("hello", id="a")
    wire.user("gone", id="b")
    wire.send("conversation.item.delete", item_id="b")
    references = [{"type": "item_reference", "id": name} for name in "ba"]
    given = [*references, text_item("Classify.", id="a")]
    wire.respond(conversation="none", input=given)
    asked = wanted(wire)
    assert [item.content[0].text for item in asked.items] == [
        "gone",
        "hello",
        "Classify.",
    ]
    current = wire.machine.current(asked.items)
    assert current[-1].content[0].text == "Classify."
    assert wire.machine.user_text(asked.user_item_id) == "Classify."


def test_custom_input_is_forgotten_with_its_response(wire):
    response_id = wire.respond(conversation="none", input=[text_item("x")])
    item_id = wanted(wire).user_item_id
    finish(wire, response_id)
    assert wire.machine.user_text(item_id) is None
    error = error_of(wire.send("conversation.item.retrieve", item_id=item_id))
    assert error["code"] == "item_retrieve_invalid_item_id"


def test_empty_input_is_an_empty_context(wire):
    wire.user("hello")
    wire.respond(input=[], instructions="", conversation="none")
    assert wanted(wire).items == ()


def test_a_reference_to_what_never_was_is_refused(wire):
    references = [{"type": "item_reference", "id": "item_x"}]
    given = {"input": [text_item("x"), *references]}
    error = error_of(wire.send("response.create", response=given))
    assert error["param"] == "response.input[1].id"
    assert error["code"] == "item_retrieve_invalid_item_id"
    assert wire.machine.active_response_id is None


def test_sound_in_custom_input_is_recognised(wire):
    audio = base64.b64encode(bytes(9600)).decode()
    sound = {"type": "input_audio", "audio": audio}
    item = {"type": "message", "role": "user", "content": [sound]}
    wire.respond(conversation="none", input=[item])
    asked = wire.machine.take_effects()
    recognised = next(one for one in asked if isinstance(one, effects.Recognise))
    wire.machine.transcribed(recognised.item_id, "hello", wire.now)
    assert asked[-1].user_item_id == recognised.item_id
    assert asked[-1].heard_ms == 200
    assert wire.machine.user_text(recognised.item_id) == "hello"


# -- what it is like -------------------------------------------------------------------


def test_a_response_has_settings_of_its_own(wire):
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    wire.configure(tools=[tool], tool_choice="required", instructions="Be brief.")
    own = {
        "instructions": "",
        "tools": [],
        "tool_choice": "none",
        "output_modalities": ["text"],
        "max_output_tokens": 7,
        "metadata": {"topic": "x"},
    }
    [created] = wire.send("response.create", response=own)
    asked = wanted(wire)
    assert (asked.instructions, asked.tools, asked.tool_choice) == ("", (), "none")
    assert asked.modality == "text"
    response = created["response"]
    assert response["output_modalities"] == ["text"]
    assert response["max_output_tokens"] == 7
    assert response["metadata"] == {"topic": "x"}
    finish(wire, response["id"])
    wire.respond()
    assert wanted(wire).instructions == "Be brief."
    assert wanted_choice(wire) == "required"


def test_a_response_without_instructions_of_its_own_has_those_of_the_session(wire):
    wire.configure(instructions="Be brief.")
    wire.respond(instructions=None)
    assert wanted(wire).instructions == "Be brief."


def wanted_choice(wire):
    wire.send("response.cancel")
    wire.respond()
    return wanted(wire).tool_choice


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "name": "f"},
        "auto",
        "none",
        "required",
    ],
)
def test_every_form_of_tool_choice(wire, choice):
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    [created] = wire.send(
        "response.create", response={"tools": [tool], "tool_choice": choice}
    )
    assert created["type"] == "response.created"
    asked = wanted(wire).tool_choice
    if isinstance(choice, str):
        assert asked == choice
    else:
        assert asked.name == choice["name"]


def test_a_voice_and_a_format_for_one_response(wire):
    output = {"voice": "cedar", "format": {"type": "audio/pcmu"}}
    response_id = wire.respond(audio={"output": output})
    assert wanted(wire).voice == "cedar"
    wire.machine.play(response_id, TONE, wire.now)
    events = finish(wire, response_id)
    assert done_of(events)["audio"]["output"] == {
        "format": {"type": "audio/pcmu"},
        "voice": "cedar",
    }
    deltas = [e for e in events if e["type"] == "response.output_audio.delta"]
    assert sum(len(base64.b64decode(e["delta"])) for e in deltas) == 8000


def test_the_voice_of_the_conversation_is_fixed_by_its_first_sound(wire):
    wire.answer(audio={"output": {"voice": "cedar"}})
    ask = {"audio": {"output": {"voice": "ash"}}}
    error = error_of(wire.send("response.create", response=ask))
    assert error["code"] == "cannot_update_voice"
    wire.answer(audio={"output": {"voice": "cedar"}})
    wire.answer(conversation="none", audio={"output": {"voice": "ash"}})


def test_the_voice_is_fixed_while_the_first_answer_is_spoken(wire):
    response_id = wire.respond()
    wire.machine.play(response_id, TONE, wire.now)
    wire.read()
    error = error_of(wire.configure(audio={"output": {"voice": "ash"}}))
    assert error["code"] == "cannot_update_voice"


def test_sound_beside_the_conversation_fixes_no_voice(wire):
    wire.answer(conversation="none")
    [updated] = wire.configure(audio={"output": {"voice": "ash"}})
    assert updated["session"]["audio"]["output"]["voice"] == "ash"


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-realtime-1.5"])
@pytest.mark.parametrize(
    "option", [{"reasoning": {"effort": "low"}}, {"parallel_tool_calls": True}]
)
def test_only_models_that_reason_are_told_how(model, option):
    wire = Wire(model=model)
    message = "Unsupported option for this model."
    for events in (
        wire.configure(**option),
        wire.send("response.create", response=option),
    ):
        assert error_of(events)["message"] == message
        assert error_of(events)["param"].endswith(next(iter(option)))


def test_a_model_that_reasons_says_how_it_does():
    wire = Wire(model=REASONING)
    session = wire.created["session"]
    assert session["reasoning"] == {"effort": "low"}
    assert session["parallel_tool_calls"] is True
    [updated] = wire.configure(reasoning={"effort": "high"})
    assert updated["session"]["reasoning"] == {"effort": "high"}
    wire.respond(reasoning={"effort": "minimal"}, parallel_tool_calls=False)


def test_phases_of_a_model_that_reasons():
    wire = Wire(model=REASONING)
    response_id = wire.respond()
    wire.machine.write(response_id, "Let me see.", wire.now)
    wire.machine.call(response_id, "look", {}, wire.now)
    wire.machine.write(response_id, "It is here.", wire.now)
    output = done_of(finish(wire, response_id))["output"]
    assert [item.get("phase") for item in output] == [
        "commentary",
        None,
        "final_answer",
    ]


def test_other_models_have_no_phases(wire):
    assert "phase" not in done_of(wire.answer())["output"][0]


# -- calls -----------------------------------------------------------------------------


def test_calls_in_parallel(wire):
    response_id = wire.respond()
    for city in ("Rome", "Oslo"):
        assert wire.machine.call(response_id, "weather", {"city": city}, wire.now)
    events = finish(wire, response_id)
    calls = [e for e in events if e["type"].endswith("arguments.done")]
    assert [e["output_index"] for e in calls] == [0, 1]
    assert len({e["call_id"] for e in calls}) == 2
    output = done_of(events)["output"]
    assert [json.loads(item["arguments"])["city"] for item in output] == [
        "Rome",
        "Oslo",
    ]
    for call in calls:
        item = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": "1",
        }
        assert len(wire.send("conversation.item.create", item=item)) == 2
    wire.answer()


def test_one_call_where_calls_are_not_to_be_parallel():
    wire = Wire(model=REASONING)
    response_id = wire.respond(parallel_tool_calls=False)
    assert not wire.machine.call(response_id, "f", {}, wire.now)
    done = done_of(wire.read())
    assert (done["status"], len(done["output"])) == ("completed", 1)
    assert effects.StopResponding(response_id) in wire.machine.take_effects()


# -- how it ends -----------------------------------------------------------------------


def test_the_limit_is_exact(wire):
    for limit in (1, 4, 9, 33):
        wire.send("response.cancel")
        wire.read()
        response_id = wire.respond(max_output_tokens=limit)
        on = True
        while on:
            on = wire.machine.write(response_id, "word ", wire.now)
            on = on and wire.machine.play(response_id, TONE[:1000], wire.now)
        events = wire.read()
        done = done_of(events)
        assert done["status"] == "incomplete"
        assert done["status_details"] == {
            "type": "incomplete",
            "reason": "max_output_tokens",
        }
        assert done["usage"]["output_tokens"] <= limit
        assert all(item["status"] == "incomplete" for item in done["output"])
        sound = [e for e in events if e["type"] == "response.output_audio.delta"]
        spoken = sum(len(base64.b64decode(e["delta"])) for e in sound) / 48
        details = done["usage"]["output_token_details"]
        assert details["audio_tokens"] == np.ceil(spoken / 50)


def test_what_fits_exactly_is_complete(wire):
    response_id = wire.respond(max_output_tokens=20)
    assert wire.machine.play(response_id, TONE, wire.now)
    assert done_of(finish(wire, response_id))["status"] == "completed"


def test_a_call_beyond_the_limit_is_incomplete(wire):
    response_id = wire.respond(max_output_tokens=4)
    assert not wire.machine.call(response_id, "f", {"text": "many words " * 9}, NOW)
    events = wire.read()
    done = done_of(events)
    [item] = done["output"]
    assert (done["status"], item["status"]) == ("incomplete", "incomplete")
    deltas = [e["delta"] for e in events if e["type"].endswith("arguments.delta")]
    assert "".join(deltas) == item["arguments"]
    assert done["usage"]["output_tokens"] <= 4


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (None, "server_error"),
        ("rate_limit_exceeded", "rate_limit_error"),
        ("insufficient_quota", "insufficient_quota"),
        ("model_not_found", "invalid_request_error"),
    ],
)
def test_every_cause_of_failure(wire, code, kind):
    response_id = wire.respond()
    wire.machine.fail(response_id, "No.", wire.now, code=code)
    events = wire.read()
    assert types(events) == ["response.done", "rate_limits.updated"]
    done = done_of(events)
    assert done["status"] == "failed"
    error = {"type": kind, "code": code, "message": "No."}
    assert done["status_details"] == {"type": "failed", "error": error}
    assert done["output"] == []
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] == usage["output_tokens"] == 0


@pytest.mark.parametrize("part", ["", "text", "audio", "call"])
def test_a_cancelled_answer_closes_what_was_open_and_nothing_else(wire, part):
    response_id = wire.respond()
    if part == "text":
        wire.machine.write(response_id, "Once", wire.now)
    elif part == "audio":
        wire.machine.play(response_id, TONE, wire.now)
    elif part == "call":
        wire.machine.call(response_id, "f", {}, wire.now)
    wire.read()
    events = types(wire.send("response.cancel"))
    assert ("response.output_audio.done" in events) is (part in ("text", "audio"))
    assert events[-2:] == ["response.done", "rate_limits.updated"]
    assert len(events) == (7 if part in ("text", "audio") else 2)


# -- what it costs ---------------------------------------------------------------------


def identities(usage):
    details, out = usage["input_token_details"], usage["output_token_details"]
    cached = details["cached_tokens_details"]
    kinds = ("text_tokens", "audio_tokens", "image_tokens")
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] == sum(details[kind] for kind in kinds)
    assert usage["output_tokens"] == out["text_tokens"] + out["audio_tokens"]
    assert details["cached_tokens"] == sum(cached[kind] for kind in kinds)
    assert details["cached_tokens"] % 64 == 0
    assert all(cached[kind] <= details[kind] for kind in kinds)


def test_the_identities_of_usage(wire):
    for turn in range(6):
        wire.user("word " * 30)
        wire.machine.append_audio(np.zeros(SAMPLE_RATE, np.float32), wire.now)
        wire.send("input_audio_buffer.commit")
        if turn == 3:
            wire.configure(instructions="Other ones.")
        identities(
            done_of(wire.answer("Yes, and so on.", TONE[: 1000 * turn + 1]))["usage"]
        )
    beside = done_of(wire.answer(conversation="none", input=[]))
    identities(beside["usage"])


def remaining(events):
    [limits] = [e["rate_limits"] for e in events if e["type"] == "rate_limits.updated"]
    [tokens] = limits
    assert tokens["name"] == "tokens"
    used = tokens["limit"] - tokens["remaining"]
    assert tokens["reset_seconds"] == round(used / tokens["limit"] * 60, 3)
    return tokens["remaining"]


def test_the_budget_is_spent_and_refills(wire):
    events = wire.answer()
    spent = done_of(events)["usage"]["total_tokens"]
    assert remaining(events) == 40_000 - spent
    wire.now += 60
    events = wire.answer()
    assert remaining(events) == 40_000 - done_of(events)["usage"]["total_tokens"]


def test_what_others_may_write_is_set_aside_until_they_end(wire):
    wire.configure(instructions="")
    other = wire.respond(conversation="none", max_output_tokens=1000)
    events = wire.answer()
    spent = done_of(events)["usage"]["total_tokens"]
    assert remaining(events) == 40_000 - spent - 1000
    assert remaining(finish(wire, other)) == 40_000 - spent


def test_every_outcome_reports_the_budget_once(wire):
    ways = [
        lambda r: wire.machine.finish(r, wire.now),
        lambda r: wire.machine.fail(r, "No.", wire.now),
        lambda r: wire.machine.cancel(wire.now),
        lambda r: wire.machine.play(r, np.tile(TONE, 3), wire.now),
    ]
    for end, conversation in itertools.product(ways, ["auto"]):
        response_id = wire.respond(conversation=conversation, max_output_tokens=9)
        end(response_id)
        assert types(wire.read())[-2:] == ["response.done", "rate_limits.updated"]
