"""The server machine against frames recorded from the real service.

Given what the client sent and the words that were answered, it must send the same event
types in the same order with the same fields.
"""

import json

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine

NOW = 1_785_214_048.0
TRANSCRIPTION = "conversation.item.input_audio_transcription."
CALL = "response.function_call_arguments.done"
WORDS = ("response.output_audio_transcript.done", "response.output_text.done")


class Service:
    """A machine whose engine answers from a recording."""

    def __init__(self, frames):
        received = [f["data"] for f in frames if f["direction"] == "received"]
        self.answers = [e for e in received if e["type"] in (CALL, *WORDS)]
        self.heard = [
            e["transcript"]
            for e in received
            if e["type"] == f"{TRANSCRIPTION}completed"
        ]
        self.machine = ServerMachine(model="gpt-realtime", now=NOW, seed=1)
        self.events = []
        self.calls = {}
        self._serve()

    def receive(self, event):
        item = event.get("item", {})
        if "call_id" in item:
            event = {**event, "item": {**item, "call_id": self.calls[item["call_id"]]}}
        self.machine.receive(json.dumps(event), NOW)
        self._serve()

    def hear(self, samples):
        for start in range(0, len(samples), 2400):
            self.machine.append_audio(samples[start : start + 2400], NOW)
            self._serve()

    def _serve(self):
        self.events += [to_dict(event) for event in self.machine.take_events()]
        for effect in self.machine.take_effects():
            match effect:
                case effects.Respond(response_id):
                    self._answer(response_id)
                case effects.Recognise(item_id):
                    self.machine.transcribed(item_id, self.heard.pop(0), NOW)
            self.events += [to_dict(event) for event in self.machine.take_events()]

    def _answer(self, response_id):
        answer = self.answers.pop(0)
        if answer["type"] == CALL:
            arguments = json.loads(answer["arguments"])
            self.machine.call(response_id, answer["name"], arguments, NOW)
            called = [to_dict(event) for event in self.machine.take_events()]
            self.events += called
            self.calls[answer["call_id"]] = called[-1]["item"]["call_id"]
        else:
            text = answer.get("transcript", answer.get("text"))
            for word in text.replace(" ", "\n ").split("\n"):
                self.machine.write(response_id, word, NOW)
            if "transcript" in answer:
                self.machine.play(response_id, np.zeros(6000, np.float32), NOW)
        self.machine.finish(response_id, NOW)


def folded(types):
    """One of each run: how many deltas there are is the model's business."""
    out = []
    for kind in types:
        if not out or out[-1] != kind:
            out.append(kind)
    return out


def conversation(events):
    """Event types in order, without what runs asynchronously beside them.

    Transcripts arrive when they are ready; words and sound of an answer interleave as
    they are made; the rate limit report was missing once in the recordings.
    """
    kinds = [event["type"] for event in events]
    kinds = [k for k in kinds if not k.startswith(TRANSCRIPTION)]
    kinds = [k for k in kinds if k != "rate_limits.updated"]
    first_deltas = []
    for kind in kinds:
        if kind.endswith(".delta") and kind in first_deltas:
            continue
        first_deltas = [*first_deltas, kind] if kind.endswith(".delta") else []
        yield kind


def paths(value, prefix=""):
    """Every key of a nested object, as dotted paths; lists by their first member."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{prefix}{key}"
            if key not in ("parameters", "metadata"):
                yield from paths(inner, f"{prefix}{key}.")
    elif isinstance(value, list) and value:
        yield from paths(value[0], f"{prefix}[].")


def fields_by_type(events):
    fields = {}
    for event in events:
        fields.setdefault(event["type"], set()).update(paths(event))
    return fields


def compare(frames, service):
    recorded = [f["data"] for f in frames if f["direction"] == "received"]
    assert list(conversation(service.events)) == list(conversation(recorded))
    ours, theirs = fields_by_type(service.events), fields_by_type(recorded)
    for kind, fields in theirs.items():
        assert ours[kind] == fields, kind


@pytest.mark.parametrize("name", ["text-in-audio-out", "tool-call-round"])
def test_typed_turns(hosted_frames, name):
    frames = hosted_frames(name)
    service = Service(frames)
    for frame in frames:
        if frame["direction"] == "sent":
            service.receive(frame["data"])
    compare(frames, service)


@pytest.fixture(scope="module")
def clip(shared_data):
    data = (shared_data / "hosted" / "clip-24khz.pcm").read_bytes()
    return Clip.from_pcm16(data, SAMPLE_RATE)


def test_three_spoken_turns(hosted_frames, clip):
    """The law of the hosted ``server_vad``: all six marks, to the millisecond."""
    frames = hosted_frames("three-server-vad-turns")
    service = Service(frames)
    for frame in frames:
        if frame["direction"] == "sent" and frame["data"]["type"] == "session.update":
            service.receive(frame["data"])
    for _ in range(3):
        service.hear((clip + Clip.silence(2.0)).samples)
    compare(frames, service)
    marks = [
        event.get("audio_start_ms", event.get("audio_end_ms"))
        for event in service.events
        if event["type"].startswith("input_audio_buffer.speech_")
    ]
    assert marks == [1460, 4256, 8948, 11744, 16436, 19232]
    tokens = [
        event["response"]["usage"]["input_token_details"]["audio_tokens"]
        for event in service.events
        if event["type"] == "response.done"
    ]
    assert tokens[0] == 27
