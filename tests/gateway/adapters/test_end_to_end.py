"""Turns of a real session through a real gateway with models of the user's own."""

import json

import pytest
from starlette.responses import JSONResponse

import rtnb
from rtnb.errors import EngineError
from tests.gateway.adapters.servers import (
    PATIENCE_S,
    Model,
    Stalled,
    call,
    chunk,
    events,
    says,
    served,
)


@pytest.fixture
def session(tmp_path):
    """A session whose engine's parts are these models."""
    opened = []

    def connect(**urls):
        file = tmp_path / "rtnb.toml"
        file.write_text(
            "\n".join(f'[{part}]\nurl = "{url}"' for part, url in urls.items())
        )
        opened.append(rtnb.connect(models=file))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def test_a_typed_turn_with_a_tool_is_answered_aloud(session):
    asked = []

    def temperature(room: str) -> str:
        """Temperature of a room."""
        asked.append(room)
        return "21 degrees"

    wants = events(
        chunk("Let me look. "),
        chunk(calls=[call(0, "temperature", '{"room": "kit', "c")]),
        chunk(calls=[call(0, arguments='chen"}')]),
        chunk(finish="tool_calls"),
    )
    model = Model(replies=[wants, says("It is ", "21 degrees ", "there.")])
    with served(model) as url:
        with session(chat=url) as one:
            one.configure(instructions="Be brief.", tools=[temperature])
            turn = one.say("How warm is the kitchen?").wait(timeout=PATIENCE_S)
        assert turn.status == "done"
        assert asked == ["kitchen"]
        assert turn.text.endswith("It is 21 degrees there.")
        assert turn.audio.duration > 1.0
    first, second = model.requests
    assert first["model"] == "tiny"
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How warm is the kitchen?"},
    ]
    called, result = second["messages"][2:]
    assert called["content"] == "Let me look."
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {
        "room": "kitchen"
    }
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]
    assert result["content"] == "21 degrees"


def test_speaking_over_an_answer_closes_its_stream(session):
    model = Model(
        replies=[
            Stalled(events(chunk("One. Two. "), done=False)),
            says("Yes?"),
        ]
    )
    with served(model) as url, session(chat=url) as one:
        counting = one.say("Count.")
        assert model.begun.wait(PATIENCE_S)
        assert not model.gone.is_set()
        turn = one.send_audio(rtnb.Clip.example("austen-0880"), realtime=False)
        assert model.gone.wait(PATIENCE_S), "the model goes on for nobody"
        turn.wait(timeout=PATIENCE_S)
        assert (counting.status, turn.text) == ("cancelled", "Yes?")
    last = model.requests[1]["messages"][-1]
    assert (last["role"], last["content"]) == ("user", f"Count.\n{turn.user_text}")


def test_a_failure_ends_the_response_in_words(session):
    model = Model(replies=[JSONResponse({"error": {"message": "out of memory"}}, 500)])
    with served(model) as url, session(chat=url) as one:
        turn = one.say("Hello.")
        with pytest.raises(EngineError):
            turn.wait(timeout=PATIENCE_S)
        assert turn.status == "failed"
        assert "the chat model at http://127.0.0.1" in str(turn.error)
        assert "answered 500: out of memory" in str(turn.error)


def test_a_gateway_does_not_start_where_nobody_answers(session):
    with pytest.raises(EngineError, match=r"cannot be reached .*start it"):
        session(chat="http://127.0.0.1:9")
