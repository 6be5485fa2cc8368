"""What a response costs where somebody says so, and how its messages end."""

import pytest

from rtnb.protocol.server import Tokens
from tests.protocol.wire import TONE, Wire


def done_of(events):
    return next(e["response"] for e in events if e["type"] == "response.done")


def answered(
    *, tokens=None, model="gpt-realtime", messages=("Let me see.",), stop=None
):
    """The response of these messages."""
    wire = Wire(model=model)
    response_id = wire.respond()
    if tokens is not None:
        wire.machine.account(response_id, tokens)
    for message in messages:
        wire.machine.next_message(response_id, wire.now)
        wire.machine.write(response_id, message, wire.now)
        wire.machine.play(response_id, TONE, wire.now)
    if stop is None:
        wire.machine.finish(response_id, wire.now)
    else:
        wire.machine.stop(response_id, stop, wire.now)
    return done_of(wire.read())


@pytest.mark.parametrize(
    ("tokens", "cached"),
    [
        (Tokens(input_text=200, input_audio=50, cached=192), (192, 0)),
        (Tokens(input_text=100, input_audio=100, cached=199), (100, 92)),
        (Tokens(input_text=10, input_audio=0, cached=500), (0, 0)),
        (Tokens(output_text=7), (0, 0)),
    ],
)
def test_usage_may_be_told_and_its_sums_hold(tokens, cached):
    usage = answered(tokens=tokens)["usage"]
    read, wrote = usage["input_token_details"], usage["output_token_details"]
    parts = [read[f"{kind}_tokens"] for kind in ("text", "audio", "image")]
    assert sum(parts) == usage["input_tokens"]
    assert sum(wrote.values()) == usage["output_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    split = read["cached_tokens_details"]
    assert (split["text_tokens"], split["audio_tokens"]) == cached
    assert read["cached_tokens"] == sum(cached)
    if tokens.input_text is not None:
        assert parts[:2] == [tokens.input_text, tokens.input_audio]
    if tokens.output_text is not None:
        assert wrote["text_tokens"] == tokens.output_text
        assert wrote["audio_tokens"] > 0


def test_what_is_not_told_is_counted():
    assert answered(tokens=Tokens())["usage"] == answered()["usage"]


@pytest.mark.parametrize(
    ("model", "phases"),
    [("gpt-realtime-2.1", ["commentary", "final_answer"]), ("gpt-realtime", [None])],
)
def test_a_model_that_reasons_makes_several_messages(model, phases):
    done = answered(model=model, messages=["Let me see.", "It rains."])
    assert [item.get("phase") for item in done["output"]] == phases
    said = [item["content"][0]["transcript"] for item in done["output"]]
    assert "".join(said) == "Let me see.It rains."


@pytest.mark.parametrize("reason", ["content_filter", "max_output_tokens"])
def test_an_answer_may_end_before_its_end(reason):
    done = answered(stop=reason)
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": reason}
    assert done["output"][0]["status"] == "incomplete"


def test_what_is_over_is_left_alone():
    wire = Wire()
    wire.machine.stop("resp_1", "content_filter", wire.now)
    wire.machine.next_message("resp_1", wire.now)
    wire.machine.account("resp_1", Tokens())
    assert not wire.read()
