"""A session: opening, settings, talking, listening, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import threading

import pytest

from rtnb.clock import InstantClock
from rtnb.errors import (
    ConfigError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    ServerError,
    SessionClosed,
    TransportError,
)
from rtnb.portal import portal
from rtnb.protocol import events as ev
from rtnb.session import Session
from rtnb.session.link import OUTBOX_MESSAGES
from rtnb.session.session import Endpoint
from rtnb.transport import Close, Deliver, Drop, MemoryTransport
from rtnb.vad import ServerVad
from tests.session.server import Server

PATIENCE_S = 10


# -- opening and ending ----------------------------------------------------------------


def test_a_session_is_open_when_it_is_there(open_session):
    session = open_session(Server())
    assert (session.id, session.model) == ("sess_1", "gpt-realtime-2.1")
    assert not session.closed
    assert session.settings.instructions == "Be brief."
    assert (session.provider, session.billed) == ("url", True)


def test_the_key_is_not_to_be_seen(open_session):
    session = open_session(Server())
    shown = f"{session!r} {session._endpoint!r} {session._endpoint}"
    assert "sk-secret" not in shown
    assert "key=***" in repr(session)
    assert "model=m" not in repr(session)


def opening_error(*script):
    async def open_(endpoint):
        return MemoryTransport(script)

    with pytest.raises(ConnectError) as error:
        Session(Endpoint("url", "ws://h/v1?api=x"), open_transport=open_, timeout=0.2)
    assert error.value.url == "ws://h/v1"
    return error.value


def test_a_session_that_is_refused_says_what_the_server_said():
    error = {"type": "invalid_request_error", "message": "Incorrect API key."}
    message = Deliver(json.dumps({"type": "error", "error": error}))
    reason = opening_error(message, Close(3000, "invalid_api_key")).reason
    assert reason.startswith("Incorrect API key.; connection lost (close code 3000)")


def test_a_session_that_never_comes():
    error = opening_error()
    assert isinstance(error, ConnectTimeout)
    assert error.reason == "no session within 0.2 s"


def test_a_connection_that_never_opens():
    async def refuse(endpoint):
        raise ConnectError(endpoint.url, "nobody there")

    async def hang(endpoint):
        await asyncio.Event().wait()

    with pytest.raises(ConnectError, match="nobody there"):
        Session(Endpoint("url", "ws://h"), open_transport=refuse)
    with pytest.raises(ConnectTimeout):
        Session(Endpoint("url", "ws://h"), open_transport=hang, timeout=0.05)


def test_closing_ends_everything_and_may_be_repeated(open_session):
    server = Server(None)
    session = open_session(server)
    turn = session.say("hello")
    session.close()
    session.close()
    assert server.transport.closed_with == (1000, "")
    assert session.closed
    with pytest.raises(SessionClosed):
        turn.wait(PATIENCE_S)
    assert turn.status == "failed"
    for use in (session.commit, session.cancel, lambda: session.say("again")):
        with pytest.raises(SessionClosed, match="the session was closed"):
            use()
    with pytest.raises(SessionClosed):
        session.configure(instructions="Sing.")


def test_both_kinds_of_with_close_it(open_session):
    with open_session(Server()) as session:
        assert not session.closed
    assert session.closed

    async def inside():
        async with open_session(Server()) as session:
            await session.say("hello")
        return session.closed

    assert asyncio.run(inside())


def test_what_was_started_for_it_alone_ends_with_it():
    ended = []
    server = Server()
    endpoint = Endpoint("embedded", "ws://h")
    session = Session(
        endpoint, open_transport=server.open, on_end=lambda: ended.append(True)
    )
    session.close()
    assert ended


@pytest.mark.parametrize(
    ("step", "code"), [(Drop(), None), (Close(1001, "maximum duration"), 1001)]
)
def test_a_lost_connection_is_told_to_everybody_who_waits(open_session, step, code):
    server = Server(None)
    session = open_session(server)
    turn = session.say("hello")
    stream = aiter(session)
    server.settle()

    async def rest():
        return [event async for event in stream]

    server.tell(step)
    with pytest.raises(ConnectionLost) as lost:
        turn.wait(PATIENCE_S)
    assert lost.value.code == code
    with pytest.raises(ConnectionLost):
        asyncio.run(rest())
    with pytest.raises(SessionClosed, match="connection lost"):
        session.say("again")
    assert "closed" in repr(session)


def test_what_was_not_sent_is_counted(open_session):
    server = Server()
    session = open_session(server)

    async def stuck(message):
        await asyncio.Event().wait()

    server.transport.send = stuck
    turns = [session.say("hello"), session.say("again")]
    portal().run(server._add([Drop()]))
    with pytest.raises(ConnectionLost) as lost:
        turns[0].wait(PATIENCE_S)
    assert lost.value.unsent == 3  # two messages and one request


def test_an_update_that_waits_learns_that_the_connection_is_lost(open_session):
    server = Server()
    server.on_session_update = lambda event: [Drop()]
    with pytest.raises(ConnectionLost):
        open_session(server).configure(instructions="Sing.")


def test_a_message_that_is_no_event_does_no_harm(open_session, caplog):
    server = Server()
    session = open_session(server)
    server.tell(Deliver("{"), Deliver("[1]"), Deliver(b"\xff"))
    assert session.say("hello").wait(PATIENCE_S).text == "Hello there."
    assert session.dropped == 3
    assert "message.unread" in caplog.text
    assert [entry.kind for entry in session.timeline].count("protocol.error") == 3


# -- settings --------------------------------------------------------------------------


def test_configure_sends_what_was_asked_and_waits_for_it(open_session):
    server = Server()
    session = open_session(server)
    session.configure(turn_detection=ServerVad(threshold=0.6), voice="af_heart")
    sent = server.last("session.update")["session"]
    assert sent == {
        "type": "realtime",
        "audio": {
            "input": {"turn_detection": {"type": "server_vad", "threshold": 0.6}},
            "output": {"voice": "af_heart"},
        },
    }
    assert session.settings.audio.input.turn_detection.threshold == 0.6
    assert session.settings.audio.input.turn_detection.silence_duration_ms == 200


def test_the_table_shows_what_the_server_altered(open_session):
    server = Server()
    session = open_session(server)
    altered = server.settings | {"instructions": "Be long."}
    server.on_session_update = lambda event: [
        server.event("session.updated", session=altered)
    ]
    session.configure(instructions="Sing.")
    rows = {row.setting: row for row in session.settings_table()}
    row = rows["instructions"]
    assert (row.requested, row.effective) == ("Sing.", "Be long.")


def test_what_cannot_be_is_not_sent(open_session):
    server = Server()
    session = open_session(server, provider="openai")
    with pytest.raises(ConfigError, match="Supported values are: 'alloy'"):
        session.configure(voice="zed")
    with pytest.raises(ConfigError, match=r"threshold is 1.5"):
        session.configure(turn_detection=ServerVad(threshold=1.5))
    assert server.received == []
    assert session.say("hello").wait(PATIENCE_S).status == "done"


def test_what_the_server_refuses_is_raised_and_the_session_goes_on(open_session):
    server = Server()
    session = open_session(server)
    server.refusals["session.update"] = {
        "code": "cannot_update_voice",
        "message": "Cannot update a conversation's voice.",
    }
    with pytest.raises(ServerError, match="Cannot update") as error:
        session.configure(voice="ash")
    assert error.value.code == "cannot_update_voice"
    assert [each.code for each in session.errors] == ["cannot_update_voice"]
    assert session.say("hello").wait(PATIENCE_S).text == "Hello there."


def test_an_update_that_is_never_answered(open_session):
    server = Server()
    server.on_session_update = lambda event: []
    with pytest.raises(TimeoutError, match=r"no session\.updated within 0\.05 s"):
        open_session(server).configure(instructions="Sing.", timeout=0.05)


def test_a_session_that_only_transcribes_has_no_such_settings(open_session):
    server = Server()
    server.settings = {"type": "transcription", "id": "sess_1"}
    session = open_session(server)
    with pytest.raises(ConfigError, match="only transcribes"):
        _ = session.settings
    assert session.model == ""


# -- talking ---------------------------------------------------------------------------


def test_say_asks_and_the_turn_has_the_answer(open_session):
    server = Server("Four.")
    session = open_session(server)
    turn = session.say("two and two?").wait(PATIENCE_S)
    assert server.types() == ["conversation.item.create", "response.create"]
    assert (turn.user_text, turn.text, turn.heard) == ("two and two?", "Four.", "Four.")
    assert (turn.index, turn.kind, turn.status) == (0, "text", "done")
    assert turn.audio.duration == pytest.approx(0.4)
    assert turn.usage.total_tokens == session.usage.total_tokens == 30
    assert turn.cost.usd == pytest.approx((20 * 4 + 10 * 24) / 1e6)
    assert session.cost == turn.cost
    assert session.turns == [turn]
    assert [item.text for item in session.conversation] == ["two and two?", "Four."]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_saying_nothing_is_refused(open_session, text):
    with pytest.raises(ConfigError, match="says nothing"):
        open_session(Server()).say(text)


def test_turns_can_be_awaited_on_any_loop(open_session):
    session = open_session(Server("One.", "Two."))

    async def both():
        first, second = session.say("one?"), session.say("two?")
        return (await second).text, (await first).text

    assert asyncio.run(both()) == ("Two.", "One.")


def test_a_turn_that_takes_too_long_goes_on(open_session):
    server = Server(None)
    session = open_session(server)
    turn = session.say("hello")
    server.settle()
    with pytest.raises(TimeoutError, match=r"turn 0 is still answering after 0\.01 s"):
        turn.wait(0.01)
    server.tell(*server.speak(0, "At last."), *server.finish("completed"))
    assert turn.wait(PATIENCE_S).text == "At last."


def test_methods_may_be_called_from_callbacks(open_session):
    session = open_session(Server("One.", "Two."))
    answered = threading.Event()
    texts = []

    def follow_up(event):
        if not texts:
            texts.append(session.say("and then?").wait(PATIENCE_S).text)
            answered.set()

    session.on("response.done", follow_up)
    session.say("first?")
    assert answered.wait(PATIENCE_S)
    assert texts == ["Two."]


def test_any_client_event_can_be_sent(open_session):
    server = Server()
    session = open_session(server)
    assert session.send(ev.ConversationItemDelete(item_id="item_9")) == "rtnb_1"
    assert session.send({"type": "response.sing", "notes": 7}) == "rtnb_2"
    assert session.send(ev.InputAudioBufferAppend(audio=b"\0\0")) is None
    server.settle()
    assert server.types() == [
        "conversation.item.delete",
        "response.sing",
        "input_audio_buffer.append",
    ]
    assert server.received[1]["notes"] == 7


def test_a_link_that_takes_nothing_is_told(open_session):
    server = Server()
    session = open_session(server)

    async def stuck(message):
        await asyncio.Event().wait()

    server.transport.send = stuck
    clear = ev.InputAudioBufferClear()
    for _ in range(OUTBOX_MESSAGES):
        session.send(clear)
    with pytest.raises(TransportError, match="too slow"):
        session.send(clear)


# -- listening -------------------------------------------------------------------------


def test_callbacks_by_name_by_class_and_for_all(open_session):
    server = Server()
    session = open_session(server)
    heard = {"name": [], "class": [], "all": []}
    done = threading.Event()
    session.on("response.created", heard["name"].append)
    session.on(ev.ResponseCreated, heard["class"].append)
    session.on("*", heard["all"].append)
    session.on(ev.ResponseDone, lambda event: done.set())
    session.say("hello").wait(PATIENCE_S)
    assert done.wait(PATIENCE_S)
    assert len(heard["name"]) == len(heard["class"]) == 1
    assert len(heard["all"]) > 5


def test_events_can_be_iterated(open_session):
    session = open_session(Server())

    async def first_three():
        stream = aiter(session)
        session.say("hello")
        return [(await anext(stream)).event_id for _ in range(3)]

    assert asyncio.run(first_three()) == ["event_3", "event_4", "event_6"]


def test_an_event_that_comes_twice_is_handed_on_once(open_session):
    server = Server()
    session = open_session(server)
    stream = aiter(session)
    twice = server.event("input_audio_buffer.cleared")
    server.tell(twice, twice, server.event("rate_limits.updated", rate_limits=[]))

    async def two():
        return [type(await anext(stream)) for _ in range(2)]

    assert asyncio.run(two()) == [ev.InputAudioBufferCleared, ev.RateLimitsUpdated]


def test_iteration_ends_with_the_session_and_after_it(open_session):
    session = open_session(Server())

    async def until_closed():
        stream = aiter(session)
        session.say("hello")
        seen = [await anext(stream)]
        await asyncio.to_thread(session.close)
        seen += [event async for event in stream]
        return seen, [event async for event in session]

    seen, after = asyncio.run(until_closed())
    assert isinstance(seen[0], ev.ConversationItemAdded)
    assert after == []


def test_the_timeline_says_what_happened_when(open_session):
    session = open_session(Server(), clock=InstantClock(start=100.0))
    session.say("hello").wait(PATIENCE_S)
    kinds = [entry.kind for entry in session.timeline]
    assert kinds[0] == "session.created"
    assert kinds[1:3] == ["conversation.item.create", "response.create"]
    assert kinds.count("response.output_audio.delta") == 1
    assert {entry.t for entry in session.timeline} == {0.0}


def test_events_are_logged_only_where_asked_and_never_the_key(open_session, caplog):
    caplog.set_level(logging.DEBUG, logger="rtnb")
    open_session(Server()).say("hello").wait(PATIENCE_S)
    assert "event.received" in caplog.text
    assert "sk-secret" not in "".join(str(vars(each)) for each in caplog.records)


def test_turns_as_a_table(open_session):
    session = open_session(Server("One."))
    session.say("one?").wait(PATIENCE_S)
    table = session.to_frame()
    assert list(table.index) == [0]
    row = table.loc[0]
    assert (row.kind, row.status, row.text) == ("text", "done", "One.")
    assert row.total_tokens == 30
    assert row.cost_usd == pytest.approx(0.00032)
    assert open_session(Server()).to_frame().empty


def test_rate_limits_are_kept(open_session):
    server = Server()
    session = open_session(server)
    limits = [{"name": "tokens", "limit": 10, "remaining": 4, "reset_seconds": 1.5}]
    server.tell(server.event("rate_limits.updated", rate_limits=limits))
    assert session.rate_limits[0].remaining == 4


def test_only_a_gateway_has_a_media_socket(open_session):
    with pytest.raises(ConfigError, match="needs a gateway"):
        open_session(Server()).media_endpoint()
