"""Whatever comes in whatever order: no exception, no dead response, the books are true.

Hypothesis drives the server machine with events that are legal and that are not, with
an engine that answers in any order, and with time; the client machine hears all of it,
some of it twice or late.
"""

from __future__ import annotations

import base64
import json

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.client import ClientMachine
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE
from tests.protocol.books import Books
from tests.protocol.samples import SERVER_SAMPLES
from tests.protocol.stage import NOW, Machines
from tests.protocol.wire import vad

SPEECH = Clip.example("austen-0880").resample(SAMPLE_RATE).samples
PCM16 = base64.b64encode(bytes(4800)).decode()

DETECTIONS = st.sampled_from(
    [
        None,
        vad(),
        vad(idle_timeout_ms=5000),
        vad(create_response=False),
        vad(interrupt_response=False, silence_duration_ms=100),
        {"type": "semantic_vad", "eagerness": "high"},
    ]
)
FORMATS = st.sampled_from(
    [{"type": f"audio/{name}"} for name in ("pcm", "pcmu", "pcma")]
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": DETECTIONS,
                        "format": FORMATS,
                        "transcription": st.sampled_from(
                            [
                                None,
                                {"model": "whisper-1"},
                                {"model": "gpt-live-transcribe"},
                            ]
                        ),
                        "noise_reduction": st.sampled_from(
                            [None, {"type": "near_field"}]
                        ),
                    },
                ),
                "output": st.fixed_dictionaries(
                    {},
                    optional={
                        "voice": st.sampled_from(["alloy", "ash"]),
                        "format": FORMATS,
                        "speed": st.sampled_from([1.0, 1.5, 9]),
                    },
                ),
            },
        ),
        "instructions": st.sampled_from(["", "Be brief."]),
        "max_output_tokens": st.sampled_from(["inf", 1, 20]),
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "truncation": st.sampled_from(
            ["auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5}]
        ),
        "reasoning": st.just({"effort": "low"}),
    },
)
PARTS = st.sampled_from(
    [
        {"type": "input_text", "text": "hello"},
        {"type": "input_audio", "audio": PCM16},
        {"type": "output_text", "text": "yes"},
        {"type": "output_audio", "transcript": "yes"},
    ]
)


class Talk(RuleBasedStateMachine):
    """A conversation in which everybody does as they please."""

    @initialize(model=st.sampled_from(["gpt-realtime", "gpt-realtime-2.1"]))
    def begin(self, model):
        self.stage = Machines(model, engine=False)
        self.books = Books()
        self.position = 0
        self.wanted = []
        self.unheard = []
        self.pauses = []
        self.drafts = []
        self.closed = False
        self.listen()

    # -- what is known of it ---------------------------------------------------------

    @property
    def server(self):
        return self.stage.server

    @property
    def last_wanted(self):
        return self.wanted[-1].response_id

    def listen(self):
        for effect in self.stage.effects:
            match effect:
                case effects.Respond():
                    self.wanted.append(effect)
                case effects.Recognise(item_id):
                    self.unheard.append(item_id)
                case effects.JudgePause():
                    self.pauses.append(effect)
                case effects.Draft():
                    self.drafts.append(effect)
                case effects.Hangup():
                    self.closed = True
        self.stage.effects.clear()
        for event in self.stage.said[self.books.read :]:
            self.books.enter(event)

    def send(self, kind, **fields):
        before = len(self.stage.said)
        self.stage.send({"type": kind, **fields})
        self.listen()
        return self.stage.said[before:]

    def some_id(self, data, ids):
        if ids and data.draw(st.integers(0, 9)):
            return data.draw(st.sampled_from(ids))
        return "item_x"

    # -- the client ------------------------------------------------------------------

    @rule(patch=SETTINGS)
    def configure(self, patch):
        said = self.send("session.update", session={"type": "realtime", **patch})
        assert [e["type"] for e in said if e["type"] in ("session.updated", "error")]

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.5]), speech=st.booleans())
    def append(self, seconds, speech):
        length = round(seconds * SAMPLE_RATE)
        samples = np.zeros(length, np.float32)
        if speech:
            indexes = np.arange(self.position, self.position + length)
            samples = np.take(SPEECH, indexes, mode="wrap")
            self.position += length
        self.server.append_audio(samples, self.stage.now)
        self.stage.pump()
        self.listen()

    @rule(audio=st.sampled_from(["", "AAA=", "!", "A" * 16, PCM16]))
    def append_bytes(self, audio):
        self.stage.send_text(
            json.dumps({"type": "input_audio_buffer.append", "audio": audio})
        )
        self.listen()

    @rule(kind=st.sampled_from(["commit", "clear"]))
    def end_audio(self, kind):
        said = self.send(f"input_audio_buffer.{kind}")
        assert said[-1]["type"] != "input_audio_buffer.append"
        assert said

    @rule(
        data=st.data(),
        role=st.sampled_from(["user", "assistant", "system"]),
        parts=st.lists(PARTS, max_size=2),
        named=st.booleans(),
    )
    def put_message(self, data, role, parts, named):
        item = {"type": "message", "role": role, "content": parts}
        if named:
            item["id"] = data.draw(st.sampled_from(["a", "b", "c"]))
        place = data.draw(st.sampled_from([None, "root", *self.books.order, "item_x"]))
        self.send("conversation.item.create", item=item, previous_item_id=place)

    @rule(data=st.data())
    def put_output(self, data):
        call_id = data.draw(st.sampled_from([*self.books.calls, "call_x"]))
        item = {"type": "function_call_output", "call_id": call_id, "output": "1"}
        items = [self.books.items[item_id] for item_id in self.books.order]
        calls = [one["call_id"] for one in items if one["type"] == "function_call"]
        said = self.send("conversation.item.create", item=item)
        assert (said[0]["type"] == "error") is (call_id not in calls)

    @rule(data=st.data(), verb=st.sampled_from(["delete", "retrieve"]))
    def one_item(self, data, verb):
        item_id = self.some_id(data, self.books.order)
        known = item_id in self.books.order
        [event] = self.send(f"conversation.item.{verb}", item_id=item_id)
        assert (event["type"] == f"conversation.item.{verb}d") is known

    @rule(data=st.data(), ms=st.integers(0, 3000), index=st.sampled_from([0, 0, 0, 1]))
    def truncate(self, data, ms, index):
        item_id = self.some_id(data, self.books.order)
        have = self.server.item_samples(item_id) * 1000 // SAMPLE_RATE
        [event] = self.send(
            "conversation.item.truncate",
            item_id=item_id,
            content_index=index,
            audio_end_ms=ms,
        )
        if event["type"] == "conversation.item.truncated":
            assert ms <= have
            assert self.server.item_samples(item_id) <= ms * SAMPLE_RATE // 1000
        else:
            assert event["type"] == "error"

    @rule(
        data=st.data(),
        conversation=st.sampled_from(["auto", "none"]),
        limit=st.sampled_from([None, 1, 9]),
        given=st.booleans(),
    )
    def respond(self, data, conversation, limit, given):
        response = {"conversation": conversation}
        if limit is not None:
            response["max_output_tokens"] = limit
        if given:
            item_id = self.some_id(data, self.books.ever)
            parts = [{"type": "input_audio", "audio": PCM16}]
            response["input"] = [
                {"type": "item_reference", "id": item_id},
                {"type": "message", "role": "user", "content": parts},
            ]
        [event] = self.send("response.create", response=response)
        if event["type"] == "error":
            assert self.books.active or given
        else:
            assert event["type"] == "response.created"

    @rule(words=st.integers(1, 5), samples=st.integers(0, 20_000), keep=st.booleans())
    def answer_at_once(self, words, samples, keep):
        said = self.send("response.create")
        if said[0]["type"] == "response.created":
            response_id = said[0]["response"]["id"]
            sound = np.full(samples, 0.1, np.float32)
            self.server.write(response_id, "word " * words, self.stage.now)
            self.server.play(response_id, sound, self.stage.now)
            if keep:
                self.server.finish(response_id, self.stage.now)
            self.stage.pump()
            self.listen()

    @precondition(lambda self: self.books.open)
    @rule(data=st.data(), bare=st.booleans())
    def cancel(self, data, bare):
        response_id = data.draw(st.sampled_from([*self.books.open, "resp_x"]))
        given = {} if bare else {"response_id": response_id}
        active = bool(self.books.active) if bare else response_id in self.books.open
        said = self.send("response.cancel", **given)
        assert (said[0]["type"] != "error") is active

    # -- the engine ------------------------------------------------------------------

    @precondition(lambda self: self.wanted)
    @rule(
        data=st.data(),
        how=st.sampled_from(
            ["write", "write", "play", "play", "call", "finish", "fail"]
        ),
        amount=st.integers(0, 40_000),
    )
    def answer(self, data, how, amount):
        response_id = data.draw(st.sampled_from([*self.books.open, self.last_wanted]))
        active = response_id in self.books.open
        on = None
        match how:
            case "write":
                on = self.server.write(
                    response_id, "word " * (amount % 9), self.stage.now
                )
            case "play":
                sound = np.full(amount, 0.1, np.float32)
                on = self.server.play(response_id, sound, self.stage.now)
            case "call":
                on = self.server.call(response_id, "f", {"n": amount}, self.stage.now)
            case "finish":
                self.server.finish(response_id, self.stage.now)
            case "fail":
                self.server.fail(response_id, "No.", self.stage.now)
        self.stage.pump()
        self.listen()
        if on is not None:
            assert on is (response_id in self.books.open)
        elif active:
            assert response_id not in self.books.open

    @precondition(lambda self: self.unheard)
    @rule(text=st.sampled_from(["", "hello world", None]))
    def hear(self, text):
        item_id = self.unheard.pop()
        if text is None:
            self.server.transcription_failed(item_id, "No.", self.stage.now)
        else:
            self.server.transcribed(item_id, text, self.stage.now)
        self.stage.pump()
        self.listen()

    @precondition(lambda self: self.pauses or self.drafts)
    @rule(probability=st.sampled_from([None, 0.0, 1.0]))
    def think(self, probability):
        if self.pauses:
            self.server.judged(self.pauses.pop(), probability, self.stage.now)
        else:
            words = [effects.HeardWord("hello", 0.0, 0.1, probability)]
            self.server.drafted(self.drafts.pop(), words, self.stage.now)
        self.stage.pump()
        self.listen()

    @rule(seconds=st.sampled_from([0.5, 7.0, 31.0, 1800.0]))
    def pass_time(self, seconds):
        self.stage.wait(seconds)
        self.listen()
        assert self.closed or self.server.next_deadline() > self.stage.now

    # -- what is always so -----------------------------------------------------------

    @invariant()
    def the_books_are_true(self):
        self.stage.agree()
        assert self.server.active_response_id == self.books.active
        kept = {entry.item.id: entry.item for entry in self.server._items.entries}
        assert list(kept) == self.books.order
        for item_id, item in kept.items():
            assert to_dict(item).get("status") == self.books.items[item_id].get(
                "status"
            )
            sent = self.books.audio_sent.get(item_id)
            if sent is not None:
                assert self.server.item_samples(item_id) <= sent

    def teardown(self):
        """No response is dead: each can be ended, and then no event is missing."""
        for wanted in self.wanted:
            self.server.finish(wanted.response_id, self.stage.now)
        self.stage.pump()
        self.listen()
        assert not self.books.open
        assert not self.books.unfinished


class Eavesdropper(RuleBasedStateMachine):
    """A client that hears events of any server in any order, twice and late."""

    def __init__(self):
        super().__init__()
        self.client = ClientMachine(max_audio_bytes=4800)
        self.heard = []
        self.now = NOW

    @rule(
        event=st.sampled_from(
            [one for each in SERVER_SAMPLES.values() for one in each]
        ),
        name=st.sampled_from(["a", "b"]),
    )
    def hear(self, event, name):
        raw = _renamed(to_dict(event), name)
        raw["event_id"] = f"event_{len(self.heard)}"
        self.heard.append(json.dumps(raw))
        self.take(self.heard[-1])

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hear_again(self, data):
        before = self.state()
        self.take(data.draw(st.sampled_from(self.heard)))
        assert self.client.ignored == "duplicate"
        assert self.state() == before

    def take(self, message):
        self.now += 0.1
        self.client.receive(message, self.now)

    def state(self):
        client = self.client
        return (
            client.effective,
            [item.id for item in client.conversation],
            {name: (item.text, item.audio_ms) for name, item in client.items.items()},
            {name: each.status for name, each in client.responses.items()},
            client.ledger.rows,
        )

    @invariant()
    def it_makes_sense(self):
        client = self.client
        order = [item.id for item in client.conversation]
        assert len(order) == len(set(order))
        assert not any(item.deleted for item in client.conversation)
        kept = sum(
            len(content.audio)
            for item in client.items.values()
            for content in item.contents.values()
        )
        assert kept <= 4800
        active = client.active_response
        assert active is None or active.done_at is None
        assert json.dumps(client.effective)


def _renamed(value, name, key=""):
    """The same with all items and responses called alike, so that events meet."""
    if isinstance(value, dict):
        return {inner: _renamed(one, name, inner) for inner, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, name, key) for one in value]
    if key in ("id", "item_id", "response_id", "previous_item_id") and value:
        return name
    return value


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=120, stateful_step_count=40)
TestEavesdropper = Eavesdropper.TestCase
TestEavesdropper.settings = settings(max_examples=100, stateful_step_count=30)
