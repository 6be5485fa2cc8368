"""A server machine and a client machine that talk to each other."""

from __future__ import annotations

import base64
import json
from collections import deque

import numpy as np

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.client import ClientMachine
from rtnb.protocol.codec import client_event, encode, to_dict
from rtnb.protocol.events import McpToolDescription
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine, TranscriptionMachine

NOW = 1_785_214_048.0
CLAUSE = np.full(SAMPLE_RATE // 4, 0.25, np.float32)
"""What the engine's voice makes of anything: 250 ms."""


def sound(name, seconds="1"):
    """A sample of speech or so many seconds of silence, as PCM16 at 24 kHz."""
    clip = (
        Clip.silence(float(seconds))
        if name == "silence"
        else Clip.example(name).resample(SAMPLE_RATE)
    )
    return clip.resample(SAMPLE_RATE).to_pcm16()


def appends(data):
    """Events that append audio, 100 ms each."""
    for start in range(0, len(data), 4800):
        piece = base64.b64encode(data[start : start + 4800]).decode()
        yield {"type": "input_audio_buffer.append", "audio": piece}


class Machines:
    """Both machines of the protocol, one's events being the other's messages.

    With `engine` false, what the server wants of it is left in `effects`.
    """

    def __init__(self, model="gpt-realtime", *, transcribes=False, engine=True):
        self.effects = []
        self._has_engine = engine
        self.now = NOW
        self.server = (
            TranscriptionMachine(now=NOW, seed=1)
            if transcribes
            else ServerMachine(model=model, now=NOW, seed=1)
        )
        self.client = ClientMachine()
        self.said = []
        self._events = deque()
        self._wanted = []
        self._recognised = deque()
        self._listing = deque()
        self._called = deque()
        self._closed = None
        self.pump()

    def send(self, event):
        self.send_text(self.client.send(client_event(event), self.now))

    def send_text(self, text):
        self.server.receive(text, self.now)
        self.pump()

    def append(self, *what):
        for event in appends(sound(*what)):
            self.send(event)

    def wait(self, seconds):
        self.now += seconds
        self.server.tick(self.now)
        self.pump()

    def engine(self, label, verb, arguments):
        match verb:
            case "hear":
                item_id = self._recognised.popleft()
                self.server.transcribed(item_id, json.loads(arguments), self.now)
            case "offer":
                tool = McpToolDescription(name=arguments, input_schema={})
                self.server.mcp_listed(self._listing.popleft(), [tool], self.now)
            case "unlisted":
                message = json.loads(arguments)
                self.server.mcp_failed(self._listing.popleft(), message, self.now)
            case "result":
                result = json.loads(arguments)
                self.server.mcp_called(self._called.popleft(), result, self.now)
            case _:
                self._answer(self._response(label), verb, arguments)
        self.pump()

    def _response(self, label):
        return next(
            one for one in reversed(self._wanted) if label in (None, one.instructions)
        )

    def _answer(self, wanted, verb, arguments):
        response_id = wanted.response_id
        match verb:
            case "say":
                text = json.loads(arguments)
                on = self.server.write(response_id, text, self.now)
                if on and wanted.modality == "audio":
                    self.server.play(response_id, CLAUSE, self.now)
            case "call":
                name, _, given = arguments.partition(" ")
                self.server.call(response_id, name, json.loads(given), self.now)
            case "fail":
                code, _, message = arguments.partition(" ")
                self.server.fail(response_id, json.loads(message), self.now, code=code)
            case "finish":
                self.server.finish(response_id, self.now)

    def pump(self):
        for event in self.server.take_events():
            self.client.receive(encode(event), self.now)
            said = json.loads(encode(event))
            self._events.append(said)
            self.said.append(said)
        wanted = self.server.take_effects()
        if not self._has_engine:
            self.effects += wanted
            return
        for effect in wanted:
            match effect:
                case effects.Respond():
                    self._wanted.append(effect)
                case effects.Recognise(item_id):
                    self._recognised.append(item_id)
                case effects.Forget(item_id) if item_id in self._recognised:
                    self._recognised.remove(item_id)
                case effects.ListMcpTools(item_id):
                    self._listing.append(item_id)
                case effects.CallMcpTool(item_id):
                    self._called.append(item_id)
                case effects.Hangup(code):
                    self._closed = code

    def take(self, *, wait):
        return self._events.popleft() if self._events else None

    def hung_up(self):
        return self._closed

    def agree(self):
        """What both know of the conversation is the same."""
        told = [item.id for item in self.client.conversation]
        kept = [entry.item for entry in self.server._items.entries]
        assert told == [item.id for item in kept]
        for item in kept:
            state = self.client.items[item.id]
            if state.status is not None:
                assert state.status == item.status
        assert self.client.effective == to_dict(self.server.session)
        active = self.client.active_response
        made = getattr(self.server, "active_response_id", None)
        assert (active.id if active else None) == made
        assert self.client.ignored_count == 0
        assert not self.client.unknown
