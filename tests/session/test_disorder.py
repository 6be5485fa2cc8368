"""Events that come twice, late, or in any order: nothing breaks, nothing is counted twice."""

from __future__ import annotations

import json
import threading
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.protocol.client import ClientMachine
from rtnb.session.asking import told
from rtnb.session.book import Look, Post, RunTool, TurnBook
from rtnb.tools import Outcome, Tool
from tests.session.server import Server

PROPERTY = settings(max_examples=150, deadline=None)


def look_up(word: str) -> str:
    return word


def recorded():
    """What a server says in a session with a bit of everything."""
    server = Server(
        [("look_up", {"word": "a"}), ("look_up", {"word": "b"})],
        ["One.", "Two."],
        "Spoken.",
        None,
    )
    steps = [server.event("session.created", session=server.settings)]
    for key in ("0", "0"):
        steps += server.respond({"rtnb_turn": key})
    steps += server.speech("item_spoken", 100, 900)
    steps += [server.transcript("item_spoken", "Hello.")]
    steps += server.respond(None)
    steps += server.speak(0, "Once upon a time", closed=False)
    cut = {"content_index": 0, "audio_end_ms": 100}
    last = server._last_item
    steps += [server.started("item_barge", 1500)]
    steps += server.finish("cancelled", reason="turn_detected")
    steps += [server.event("conversation.item.truncated", item_id=last, **cut)]
    steps += [server.stopped("item_barge", 1900)]
    steps += server.commit("item_barge")
    steps += [server.event("conversation.item.deleted", item_id="item_spoken")]
    steps += [server.event("input_audio_buffer.cleared")]
    error = {"type": "x", "message": "m", "code": "response_cancel_not_active"}
    steps += [server.event("error", error=error)]
    return [json.loads(step.message) for step in steps]


EVENTS = recorded()
PLACES = list(range(len(EVENTS)))


class Listener:
    """A session without a connection."""

    def __init__(self):
        self.machine = ClientMachine()
        ids = count()
        self.book = TurnBook(
            self.machine,
            threading.RLock(),
            embedded=False,
            new_item_id=lambda: f"item_own_{next(ids)}",
        )
        self.book.tools = {"look_up": Tool.of(look_up)}
        self.posted = []
        self._now = 0.0
        turn, actions = self.book.told(told("hello", wire_format=None), 0.0)
        self.turn = turn
        self.do(actions)

    def do(self, actions):
        for action in actions:
            match action:
                case Post(event):
                    self.posted.append(event)
                    self.machine.send(event, self._now)
                case RunTool(_, arguments, state, call):
                    outcome = Outcome.of(arguments)
                    self.do(self.book.tool_done(state, call, outcome, self._now))
                case Look():
                    pass

    def hear(self, event):
        self._now += 0.01
        taken = self.machine.receive(json.dumps(event), self._now)
        if not self.machine.ignored:
            self.do(self.book.take(taken, self._now))

    def hear_all(self, events):
        for event in events:
            self.hear(event)
        return self

    @property
    def facts(self):
        """What must not depend on repetitions."""
        machine = self.machine
        return (
            [(item.id, item.text, item.audio_ms) for item in machine.conversation],
            {key: value.status for key, value in machine.responses.items()},
            machine.ledger.usage,
            [(turn.kind, turn.status, turn.text) for turn in self.book.turns],
            list(self.posted),
        )


CLEAN = Listener().hear_all(EVENTS)


def test_the_recorded_session_is_what_it_seems():
    turns = CLEAN.book.turns
    assert turns[0].text == "One. Two."
    assert [call.arguments for call in turns[0].tool_calls] == [
        {"word": "a"},
        {"word": "b"},
    ]
    assert turns[1].text == "Spoken."
    assert len(CLEAN.machine.conversation) == len(
        {item.id for item in CLEAN.machine.conversation}
    )


def test_two_messages_of_one_response_stay_two_items_in_their_order():
    response = CLEAN.book.turns[0].responses[-1]
    items = [CLEAN.machine.items[item_id] for item_id in response.item_ids]
    assert [item.text for item in items] == ["One.", "Two."]
    assert [item.audio_ms for item in items] == [400, 400]
    assert CLEAN.book.turns[0].audio.duration == 0.8


@PROPERTY
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVENTS) - 1), st.integers(0, len(EVENTS))),
        max_size=40,
    )
)
def test_events_that_come_again_change_nothing(again):
    """A copy of an event, anywhere after it."""
    later = sorted((max(where, which + 1), which) for which, where in again)
    stream = []
    for index in range(len(EVENTS) + 1):
        stream += [EVENTS[which] for where, which in later if where == index]
        stream += EVENTS[index : index + 1]
    heard = Listener().hear_all(stream)
    assert heard.facts == CLEAN.facts
    assert heard.machine.ignored_count >= len(again)


@PROPERTY
@given(st.permutations(PLACES), st.lists(st.sampled_from(PLACES), max_size=20))
def test_no_order_breaks_it(shuffled, again):
    listener = Listener().hear_all(EVENTS[at] for at in [*shuffled, *again])
    order = [item.id for item in listener.machine.conversation]
    assert len(order) == len(set(order))
    done = [event for event in EVENTS if event["type"] == "response.done"]
    assert listener.machine.ledger.usage.total_tokens <= 30 * len(done)
    called = [call.call_id for turn in listener.book.turns for call in turn.tool_calls]
    assert len(called) == len(set(called)) <= 2
    for turn in listener.book.turns:
        assert repr(turn)
        assert turn.audio is None or turn.audio.duration <= 1.6
        assert turn.latency is not None


@PROPERTY
@given(st.permutations(PLACES[1:]), st.integers(1, len(EVENTS)))
def test_lost_events_break_nothing_either(shuffled, kept):
    listener = Listener().hear_all(EVENTS[at] for at in [0, *shuffled[:kept]])
    listener.book.end(ConnectionError("gone"), 99.0)
    assert all(turn.done for turn in listener.book.turns)
