"""What a model is given of a conversation that is too long for it."""

import json

import numpy as np
import pytest

from rtnb.protocol import events as ev
from rtnb.protocol.server import ServerMachine, effects
from rtnb.protocol.server.context import LARGE, SMALL, facts_of
from rtnb.usage import estimate_text_tokens
from tests.protocol.samples import PNG_URI

NOW = 1_785_000_000.0


class Conversation:
    """A machine and what it said, for one message after the other."""

    def __init__(self, model="gpt-realtime", **session):
        self.machine = ServerMachine(model=model, now=NOW, seed=1)
        self.send(type="session.update", session={"type": "realtime", **session})

    def send(self, **event):
        self.machine.receive(json.dumps(event), NOW)
        return self.machine.take_events()

    def say(self, item_id, text):
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "id": item_id, "content": content}
        self.send(type="conversation.item.create", item=item)

    def ask(self, **response):
        """Ask for an answer, finish it; what the engine was given, and the usage."""
        events = self.send(type="response.create", response=response)
        errors = [event for event in events if isinstance(event, ev.Error)]
        if errors:
            return errors[0].error, None
        (wanted,) = [
            effect
            for effect in self.machine.take_effects()
            if isinstance(effect, effects.Respond)
        ]
        self.machine.finish(wanted.response_id, NOW)
        (done,) = [
            event
            for event in self.machine.take_events()
            if isinstance(event, ev.ResponseDone)
        ]
        return [item.id for item in wanted.items], done.response.usage


def words(tokens):
    """A text that counts for exactly so many tokens."""
    text = " ".join(["one"] * (tokens - 2))
    assert estimate_text_tokens(text) == tokens
    return text


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ("gpt-realtime-2.1-mini", LARGE),
        ("gpt-realtime-2", LARGE),
        ("gpt-realtime", SMALL),
        ("gpt-realtime-mini", SMALL),
        ("something-else", SMALL),
    ],
)
def test_a_model_reads_so_much(model, facts):
    assert facts_of(model) == facts


def test_the_oldest_go_when_it_is_too_much():
    talk = Conversation(instructions="")
    for name in "abc":
        talk.say(name, words(10_000))
    items, usage = talk.ask()
    assert items == ["b", "c"]
    assert usage.input_tokens == 20_000
    assert talk.send(type="conversation.item.retrieve", item_id="a")[0].item.id == "a"


def test_what_just_fits_is_read():
    talk = Conversation(instructions="")
    talk.say("a", words(SMALL.input - 1_000))
    talk.say("b", words(1_000))
    assert talk.ask()[0] == ["a", "b"]
    talk.say("c", words(3))
    assert talk.ask()[0] == ["b", "c"]


def test_instructions_count_too():
    talk = Conversation(instructions=words(20_000))
    talk.say("a", words(5_000))
    talk.say("b", words(5_000))
    assert talk.ask()[0] == ["b"]


def test_a_retention_ratio_leaves_room_so_that_the_cache_lives_on():
    ratio = {"type": "retention_ratio", "retention_ratio": 0.5}
    talk = Conversation(instructions="", truncation=ratio)
    for name in "abcdef":
        talk.say(name, words(5_000))
    assert talk.ask()[0] == ["e", "f"]
    talk.say("g", words(5_000))
    items, usage = talk.ask()
    assert items == ["e", "f", "g"]
    assert usage.input_token_details.cached_tokens == 10_000 // 64 * 64


def test_the_budget_after_instructions_may_be_smaller():
    limits = {"post_instructions": 10_000}
    ratio = {"type": "retention_ratio", "retention_ratio": 1.0, "token_limits": limits}
    talk = Conversation(instructions=words(1_000), truncation=ratio)
    for name in "abc":
        talk.say(name, words(4_000))
    assert talk.ask()[0] == ["b", "c"]


def test_without_truncation_it_is_refused_and_goes_on_when_items_are_deleted():
    talk = Conversation(instructions="", truncation="disabled")
    talk.say("a", words(20_000))
    talk.say("b", words(20_000))
    error, _ = talk.ask()
    assert error.code == "context_length_exceeded"
    assert "40000 tokens" in error.message
    talk.send(type="conversation.item.delete", item_id="a")
    assert talk.ask()[0] == ["b"]


def test_instructions_that_are_too_long_are_refused():
    talk = Conversation(instructions=words(SMALL.input + 1))
    talk.say("a", words(3))
    assert talk.ask()[0].code == "context_length_exceeded"


def test_the_newest_is_read_however_long_it_is():
    talk = Conversation(instructions="")
    talk.say("a", words(100))
    talk.say("b", words(SMALL.input + 5))
    assert talk.ask()[0] == ["b"]


def test_the_output_of_a_function_goes_with_its_call():
    talk = Conversation(instructions="")
    call = {"type": "function_call", "id": "call", "call_id": "c1", "name": "f"}
    talk.send(
        type="conversation.item.create", item={**call, "arguments": words(20_000)}
    )
    output = {"type": "function_call_output", "id": "out", "call_id": "c1"}
    talk.send(type="conversation.item.create", item={**output, "output": words(5_000)})
    talk.say("a", words(9_000))
    assert talk.ask()[0] == ["a"]


def test_beside_the_conversation_nothing_is_left_out_for_good():
    talk = Conversation(instructions="")
    for name in "abc":
        talk.say(name, words(10_000))
    items, _ = talk.ask(conversation="none", instructions=words(9_000))
    assert items == ["c"]
    items, _ = talk.ask()
    assert items == ["b", "c"]


def test_images_count_as_images():
    talk = Conversation(instructions="")
    picture = {"type": "input_image", "image_url": PNG_URI}
    for name, detail in (("a", "low"), ("b", "auto")):
        item = {"type": "message", "role": "user", "id": name}
        content = [{**picture, "detail": detail}]
        talk.send(type="conversation.item.create", item={**item, "content": content})
    _, usage = talk.ask()
    details = usage.input_token_details
    assert (details.text_tokens, details.image_tokens) == (0, 85 + 255)
    assert usage.input_tokens == usage.total_tokens == 340
    _, usage = talk.ask()
    cached = usage.input_token_details.cached_tokens_details
    assert (cached.image_tokens, cached.text_tokens) == (320, 0)


def test_the_identities_of_usage_hold_for_any_mixture():
    talk = Conversation(instructions=words(50))
    talk.machine.append_audio(np.zeros(24_000 * 7, np.float32), NOW)
    talk.send(type="input_audio_buffer.commit")
    talk.machine.take_effects()
    talk.say("a", words(33))
    for _ in range(3):
        _, usage = talk.ask()
        read = usage.input_token_details
        assert (
            usage.input_tokens
            == read.text_tokens + read.audio_tokens + read.image_tokens
        )
        parts = read.cached_tokens_details
        assert (
            read.cached_tokens
            == parts.text_tokens + parts.audio_tokens + parts.image_tokens
        )
        assert read.cached_tokens % 64 == 0
        assert parts.text_tokens <= read.text_tokens
        assert parts.audio_tokens <= read.audio_tokens


@pytest.mark.parametrize(
    ("setting", "value"),
    [("reasoning", {"effort": "low"}), ("parallel_tool_calls", True)],
)
def test_only_a_reasoning_model_is_told_how_to_reason(setting, value):
    update = {"type": "realtime", setting: value}
    plain = ServerMachine(model="gpt-realtime", now=NOW)
    plain.take_events()
    message = json.dumps({"type": "session.update", "session": update})
    plain.receive(message, NOW)
    (refused,) = plain.take_events()
    assert refused.error.message == "Unsupported option for this model."
    assert refused.error.param == f"session.{setting}"
    create = json.dumps({"type": "response.create", "response": {setting: value}})
    plain.receive(create, NOW)
    assert plain.take_events()[0].error.param == f"response.{setting}"
    reasons = ServerMachine(model="gpt-realtime-2.1", now=NOW)
    reasons.take_events()
    reasons.receive(message, NOW)
    assert isinstance(reasons.take_events()[0], ev.SessionUpdated)
