"""A server machine, spoken to in JSON."""

import base64
import json

import numpy as np

from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine

NOW = 1_785_214_048.0
TONE = np.full(SAMPLE_RATE, 0.25, np.float32)


class Wire:
    """Speaks JSON to a machine and reads its answers as dictionaries."""

    def __init__(self, **options):
        self.now = NOW
        options = {"model": "gpt-realtime", "now": NOW, "seed": 1, **options}
        self.machine = ServerMachine(**options)
        self.created = self.read()[0]

    def send(self, kind, **fields):
        self.machine.receive(json.dumps({"type": kind, **fields}), self.now)
        return self.read()

    def read(self):
        return [to_dict(event) for event in self.machine.take_events()]

    def configure(self, **session):
        return self.send("session.update", session={"type": "realtime", **session})

    def user(self, text, **fields):
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **fields}
        return self.send("conversation.item.create", item=item)

    def append(self, clip):
        data = base64.b64encode(clip.resample(SAMPLE_RATE).to_pcm16()).decode()
        return self.send("input_audio_buffer.append", audio=data)

    def respond(self, **response):
        """Ask for an answer; returns its id."""
        [created] = self.send("response.create", response=response)
        assert created["type"] == "response.created", created
        return created["response"]["id"]

    def answer(self, text="Hi there!", samples=TONE, **response):
        """A whole spoken answer; returns its events."""
        response_id = self.respond(**response)
        self.machine.write(response_id, text, self.now)
        if samples is not None:
            self.machine.play(response_id, samples, self.now)
        self.machine.finish(response_id, self.now)
        return self.read()


def vad(**settings):
    return {"type": "server_vad", **settings}


def types(events):
    return [event["type"] for event in events]


def error_of(events):
    [event] = events
    assert event["type"] == "error", event
    return event["error"]
