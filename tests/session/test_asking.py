"""Answers beside the conversation, answers with settings of their own, and pictures."""

from __future__ import annotations

import base64
import json

import numpy as np
import PIL.Image
import pytest

from rtnb.audio import Clip
from rtnb.errors import ConfigError, ImageFormatError, ServerError
from rtnb.protocol import events as ev
from tests.session.server import Server

PATIENCE_S = 10
NONE = {"conversation_id": None}


class Aside(Server):
    """Keeps answers beside the conversation out of it, as the service does."""

    repeats_metadata = True

    def on_response_create(self, event):
        config = event.get("response", {})
        if config.get("conversation") != "none":
            yield from super().on_response_create(event)
            return
        metadata = config["metadata"] if self.repeats_metadata else None
        for step in self.respond(metadata, **NONE):
            if not json.loads(step.message)["type"].startswith("conversation."):
                yield step


def asked(server):
    return server.last("response.create")["response"]


def test_a_question_beside_the_conversation_reads_it_and_leaves_no_trace(open_session):
    server = Aside("Hello.", "Angry.")
    session = open_session(server)
    first = session.say("hello").wait(PATIENCE_S)
    before = [item.id for item in session.conversation]
    turn = session.ask(
        "Is the user angry?", instructions="One word.", metadata={"topic": 1}
    )
    assert turn.wait(PATIENCE_S).text == "Angry."
    assert (turn.kind, turn.user_text) == ("aside", "Is the user angry?")
    config = asked(server)
    assert config["conversation"] == "none"
    assert config["metadata"] == {"topic": "1", "rtnb_turn": "1"}
    assert config["output_modalities"] == ["text"]
    assert (config["tools"], config["tool_choice"]) == ([], "none")
    assert [item.get("id") for item in config["input"]] == [*before, None]
    assert config["input"][-1]["content"] == [
        {"type": "input_text", "text": "Is the user angry?"}
    ]
    assert [item.id for item in session.conversation] == before
    assert session.turns == [first, turn]
    assert turn.usage.total_tokens == 30


def test_a_list_is_all_that_the_model_reads(open_session):
    server = Aside("Hello.", "Yes.")
    session = open_session(server)
    said = session.say("hello").wait(PATIENCE_S)
    clip = Clip(np.zeros(2400, np.float32), 24_000)
    system = ev.MessageItem(role="system", content=[ev.InputText(text="Be strict.")])
    red = PIL.Image.new("RGB", (4, 4), "red")
    own = {"type": "message", "role": "user", "content": []}
    session.ask([system, said, said.items[0], clip, "Heard?", red, own]).wait(10)
    kinds = [item["type"] for item in asked(server)["input"]]
    reference = "item_reference"
    assert kinds == ["message", *[reference] * 3, "message", "message"]
    parts = asked(server)["input"][4]["content"]
    assert [part["type"] for part in parts] == [
        "input_audio",
        "input_text",
        "input_image",
    ]
    assert len(base64.b64decode(parts[0]["audio"])) == 4800


@pytest.mark.parametrize("repeats", [True, False])
def test_several_at_once_while_the_model_talks(open_session, repeats):
    server = Aside(None, "A.", "B.", "C.")
    server.repeats_metadata = repeats
    session = open_session(server)
    talk = session.say("tell me a long story")
    server.settle()
    turns = [session.ask([word]) for word in ("a", "b", "c")]
    assert [turn.wait(PATIENCE_S).text for turn in turns] == ["A.", "B.", "C."]
    assert not talk.done


def test_a_refused_question_fails_alone(open_session):
    server = Aside()
    session = open_session(server)
    server.refusals["response.create"] = {"message": "no such item"}
    with pytest.raises(ServerError, match="no such item"):
        session.ask("really?").wait(PATIENCE_S)
    assert session.say("hello").wait(PATIENCE_S).text == "Hello there."


def test_functions_of_a_question_answer_beside_the_conversation(open_session):
    def weather(city: str) -> str:
        return f"fog in {city}"

    server = Aside([("weather", {"city": "Oslo"})], "Foggy.")
    session = open_session(server)
    turn = session.ask(["weather?"], tools=[weather]).wait(PATIENCE_S)
    assert turn.text == "Foggy."
    assert [call.output for call in turn.tool_calls] == ["fog in Oslo"]
    assert server.types().count("conversation.item.create") == 0
    assert [item["type"] for item in asked(server)["input"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_cancel_leaves_questions_alone_unless_they_are_meant(open_session):
    server = Aside(None, None)
    session = open_session(server)
    left = session.ask("think long")
    server.settle()
    session.cancel()
    server.settle()
    assert left.status == "answering"
    server.tell(*server.finish("completed"))
    assert left.wait(PATIENCE_S).status == "done"
    turn = session.ask("think long")
    server.settle()
    session.cancel(turn)
    assert turn.wait(PATIENCE_S).status == "cancelled"
    cancel = server.last("response.cancel")
    assert cancel["response_id"] == turn.responses[0].id


def test_in_the_conversation_with_settings_of_its_own(open_session):
    server = Server("Oui.")
    session = open_session(server)
    turn = session.ask("Yes?", conversation="auto", instructions="Speak French.")
    assert turn.wait(PATIENCE_S).text == "Oui."
    assert server.types() == ["conversation.item.create", "response.create"]
    assert asked(server)["instructions"] == "Speak French."
    assert "tools" not in asked(server)
    assert turn.user_text == "Yes?"


def test_respond_answers_what_nobody_answered(open_session):
    quiet = {"audio": {"input": {"turn_detection": {"create_response": False}}}}
    server = Server("Hi!", "Again.", **quiet)
    session = open_session(server)
    server.tell(*server.speech("item_u", 0, 900, respond=False))
    (spoken,) = session.turns
    assert session.respond(max_output_tokens=50).wait(PATIENCE_S) is spoken
    assert (spoken.text, asked(server)["max_output_tokens"]) == ("Hi!", 50)
    assert session.create("and this?").text == "and this?"
    again = session.respond().wait(PATIENCE_S)
    assert (again.kind, again.user_text, again.text) == (
        "request",
        "and this?",
        "Again.",
    )


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"question": " "}, "says nothing"),
        ({"question": []}, "nothing to tell"),
        ({"question": [3]}, "cannot be told a int"),
        ({"question": {"type": "message"}}, "no item of the API"),
        ({"question": "x", "conversation": "other"}, "'none', 'auto'"),
        ({"question": "x", "metadata": dict.fromkeys(range(16))}, "at most 15"),
        ({"question": "x", "metadata": {"k": "v" * 600}}, "at most 512"),
        ({"question": "x", "max_output_tokens": 5000}, "max_output_tokens"),
        ({"question": "x", "voice": 3}, "voice"),
        (
            {"question": ev.ItemReference(id="i"), "conversation": "auto"},
            "cannot be put",
        ),
    ],
)
def test_what_cannot_be_asked_is_not_sent(open_session, how, reason):
    server = Server()
    session = open_session(server)
    with pytest.raises(ConfigError, match=reason):
        session.ask(how.pop("question"), **how)
    assert server.received == []


# -- pictures --------------------------------------------------------------------------


def test_a_picture_with_a_text_is_a_turn(open_session):
    server = Server("Red.")
    session = open_session(server)
    turn = session.show(PIL.Image.new("RGB", (40, 30), "red"), "What colour?")
    assert turn.wait(PATIENCE_S).text == "Red."
    assert (turn.kind, turn.user_text) == ("image", "What colour?")
    (image,) = turn.images
    assert (image.width, image.height) == (40, 30)
    assert "[40 x 30 pixels] 'What colour?'" in repr(turn)
    content = server.last("conversation.item.create")["item"]["content"]
    assert content[0]["image_url"].startswith("data:image/png;base64,")
    assert content[0]["detail"] == "auto"


def test_a_picture_without_a_text_asks_nothing(open_session):
    server = Server()
    session = open_session(server)
    turn = session.show(np.zeros((2100, 10)), detail="low").wait(PATIENCE_S)
    assert server.types() == ["conversation.item.create"]
    assert turn.status == "done"
    assert turn.notes[0].startswith("the image was made smaller")


def test_a_picture_that_is_refused(open_session):
    server = Server()
    session = open_session(server)
    server.refusals["conversation.item.create"] = {"message": "no images here"}
    with pytest.raises(ServerError, match="no images here"):
        session.show(np.zeros((2, 2))).wait(PATIENCE_S)
    with pytest.raises(ImageFormatError, match="never fetched"):
        session.show("https://example.org/cat.png")
    with pytest.raises(ConfigError, match="detail"):
        session.show(np.zeros((2, 2)), detail="highest")
