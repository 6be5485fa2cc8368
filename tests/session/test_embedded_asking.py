"""Questions, pictures, tools and edits with the real gateway and its script."""

from __future__ import annotations

import asyncio

import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure

from rtnb.audio import Clip
from rtnb.errors import ServerError
from rtnb.local import start_gateway
from rtnb.session import Session
from rtnb.session.connect import embedded_endpoint

PATIENCE_S = 60


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway()
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime-2.1")) as opened:
        opened.configure(output_modalities="text")
        yield opened


def light(room: str, level: int = 100) -> str:
    """Turn on the light in a room."""
    return f"{level} percent in the {room}"


def test_questions_beside_an_answer(session):
    story = session.say("wait a moment")
    asked = [session.ask([f"what is {n} plus three?"]) for n in (1, 2, 3)]
    assert [turn.wait(PATIENCE_S).text for turn in asked] == [
        "1 plus 3 is 4.",
        "2 plus 3 is 5.",
        "3 plus 3 is 6.",
    ]
    assert not story.done
    session.cancel()
    assert story.wait(PATIENCE_S).status == "cancelled"


def test_a_question_reads_the_conversation(session):
    session.say("what is two plus two?").wait(PATIENCE_S)
    before = len(session.conversation)
    turn = session.ask("what did you say?", metadata={"for": "test"}).wait(PATIENCE_S)
    assert turn.text == "2 plus 2 is 4."
    assert turn.responses[0].metadata["for"] == "test"
    assert len(session.conversation) == before


def test_a_question_refers_to_a_turn(session):
    session.say("what is two plus two?").wait(PATIENCE_S)
    second = session.say("what is two plus three?").wait(PATIENCE_S)
    session.say("hello").wait(PATIENCE_S)
    turn = session.ask([second, "what did I say?"]).wait(PATIENCE_S)
    assert turn.text == "You said: what is two plus three."


def test_a_reference_to_nothing_is_refused(session):
    turn = session.ask([{"type": "item_reference", "id": "item_none"}])
    with pytest.raises(ServerError, match="item_none"):
        turn.wait(PATIENCE_S)


def test_a_spoken_question(session):
    clip = Clip.example("austen-0880")
    turn = session.ask([clip], output_modalities="audio", voice="marin")
    assert turn.wait(PATIENCE_S).audio.duration > 0.5


def test_a_function_answers_a_question(session):
    turn = session.ask(["light in the kitchen please"], tools=[light]).wait(PATIENCE_S)
    assert turn.text.startswith("The tool light says: 100 percent in the kitchen")
    assert [call.status for call in turn.tool_calls] == ["done"]


def test_pictures_are_seen(session):
    blue = np.full((480, 640, 3), (30, 80, 220), np.uint8)
    assert session.show(blue, "What is this?").wait(PATIENCE_S).text == (
        "I see an image of 640 by 480 pixels, mostly blue."
    )
    quiet = session.show(PIL.Image.new("RGB", (4000, 2), "red")).wait(PATIENCE_S)
    assert (quiet.text, quiet.responses) == ("", ())
    assert session.respond().wait(PATIENCE_S).text == (
        "I see an image of 2048 by 1 pixels, mostly red."
    )


def test_what_a_function_draws_is_seen(session):
    def plot():
        """Plot something."""
        figure = Figure(figsize=(2, 1), dpi=100)
        figure.subplots().plot([1, 2, 3])
        return figure

    session.configure(tools=[plot])
    turn = session.say("plot it").wait(PATIENCE_S)
    assert (
        turn.text == "The tool plot shows an image of 200 by 100 pixels, mostly white."
    )
    assert len(turn.responses) == 2


def test_the_conversation_is_edited(session):
    turn = session.say("hello").wait(PATIENCE_S)
    session.configure(output_modalities="audio")
    spoken = session.say("what is two plus three?").wait(PATIENCE_S)
    whole = session.retrieve(spoken.items[-1])
    assert whole.duration == pytest.approx(spoken.audio.duration)
    session.truncate(spoken.items[-1], 500)
    assert len(spoken.heard) < len(spoken.text)
    with pytest.raises(ServerError):
        session.truncate(spoken.items[-1], 500_000)
    for item in turn.items:
        session.delete(item)
    first = session.create("I was here first.", after="root")
    assert [item.id for item in session.conversation] == [
        first.id,
        *[item.id for item in spoken.items],
    ]
    session.clear()
    with pytest.raises(ServerError, match="WebRTC"):
        session.clear("output")
    with pytest.raises(ServerError, match="does not exist"):
        session.delete(turn.items[0] if turn.items else "item_gone")


def test_tools_run_side_by_side(session):
    together = asyncio.Event()
    running = []

    async def left() -> str:
        """First of two."""
        return await meet("left")

    async def right() -> str:
        """Second of two."""
        return await meet("right")

    async def meet(name):
        running.append(name)
        if len(running) == 2:
            together.set()
        await together.wait()
        return name

    session.configure(tools=[left, right])
    turn = session.say("left and right").wait(PATIENCE_S)
    assert {call.output for call in turn.tool_calls} == {"left", "right"}
    assert len(turn.responses) == 2
