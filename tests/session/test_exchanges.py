"""Editing the conversation: each event of ours and the server's answer to it."""

from __future__ import annotations

import pytest

from rtnb.errors import ConfigError, ConnectionLost, ServerError
from rtnb.protocol import events as ev
from rtnb.transport import Drop
from tests.session.server import Server

PATIENCE_S = 10
ITEM = {"type": "message", "role": "user", "status": "completed", "content": []}


class Editable(Server):
    """Does as it is told."""

    def on_conversation_item_delete(self, event):
        yield self.event("conversation.item.deleted", item_id=event["item_id"])

    def on_conversation_item_truncate(self, event):
        told = {name: event[name] for name in ("item_id", "content_index")}
        yield self.event(
            "conversation.item.truncated", audio_end_ms=event["audio_end_ms"], **told
        )

    def on_input_audio_buffer_clear(self, event):
        yield self.event("input_audio_buffer.cleared")


@pytest.fixture
def server():
    return Editable()


@pytest.fixture
def session(server, open_session):
    return open_session(server)


def test_items_are_created_where_they_shall_be(session, server):
    first = session.create("one")
    assert (first.text, session.conversation) == ("one", [first])
    system = ev.MessageItem(role="system", content=[ev.InputText(text="Be brief.")])
    assert session.create(system, after="root").text == "Be brief."
    assert server.last("conversation.item.create")["previous_item_id"] == "root"
    session.create({"type": "message", "role": "user", "content": []}, after=first)
    assert server.last("conversation.item.create")["previous_item_id"] == first.id
    assert session.turns == []


def test_an_item_may_have_an_id_of_its_own(session):
    item = ev.MessageItem(id="mine", role="user", content=[ev.InputText(text="x")])
    assert session.create(item).id == "mine"


def test_an_item_is_deleted(session):
    item = session.create("one")
    session.delete(item)
    assert session.conversation == []


def test_sound_is_retrieved(session):
    item = session.create("one")
    assert session.retrieve(item).duration == pytest.approx(0.05)
    assert session.retrieve(item.id).sample_rate == 24_000


def test_an_answer_is_cut_where_it_was_heard(session):
    turn = session.say("hello").wait(PATIENCE_S)
    session.truncate(turn.items[-1], 200)
    assert turn.heard == "Hello"


def test_the_input_is_cleared(session, server):
    session.clear()
    assert server.types() == ["input_audio_buffer.clear"]
    with pytest.raises(ConfigError, match="'input' or 'output'"):
        session.clear("both")


@pytest.mark.parametrize(
    ("event", "use"),
    [
        ("conversation.item.create", lambda session: session.create("x")),
        ("conversation.item.retrieve", lambda session: session.retrieve("x")),
        ("conversation.item.delete", lambda session: session.delete("x")),
        ("conversation.item.truncate", lambda session: session.truncate("x", 1)),
        ("input_audio_buffer.clear", lambda session: session.clear()),
        ("output_audio_buffer.clear", lambda session: session.clear("output")),
    ],
)
def test_what_the_server_refuses_is_raised(session, server, event, use):
    server.refusals[event] = {"message": "not so", "code": "c"}
    with pytest.raises(ServerError, match="not so"):
        use(session)
    assert session.say("hello").wait(PATIENCE_S).status == "done"


def test_an_answer_that_does_not_come(session):
    with pytest.raises(TimeoutError, match=r"OutputAudioBufferClear within 0\.05 s"):
        session.clear("output", timeout=0.05)


def test_a_connection_that_is_lost_meanwhile(session, server):
    server.on_conversation_item_delete = lambda event: [Drop()]
    with pytest.raises(ConnectionLost):
        session.delete("x")


def test_news_of_another_item_is_no_answer(session, server):
    server.on_conversation_item_delete = lambda event: [
        server.event("conversation.item.deleted", item_id="another"),
        server.event("conversation.item.retrieved", item={**ITEM, "id": "x"}),
    ]
    with pytest.raises(TimeoutError):
        session.delete("x", timeout=0.05)
