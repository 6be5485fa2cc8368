"""Recordings made without a session: of a clip, by the law, or of recorded frames."""

from __future__ import annotations

import json

from rtnb.protocol import events as ev
from rtnb.protocol.codec import client_event, decode_server, encode
from rtnb.recording import Manifest, Recorder, Recording
from rtnb.vad import ServerVad, SpeechStarted, StreamingVad
from tests.session.server import SESSION, Server, merge, user_item

CHUNK = 2400
RATE = 24_000


class Maker:
    """Writes down what a test says, at the pace of the audio."""

    def __init__(self, path, *, settings=SESSION, model="gpt-realtime-2.1", start=0):
        self.position = start
        self.late_s = 0.0
        self.recorder = Recorder(
            path,
            manifest=Manifest(
                provider="openai", model=model, settings=settings, appended=start
            ),
            now=lambda: self.position / RATE + self.late_s,
            forget=lambda: None,
        )

    def hear(self, samples):
        for start in range(0, len(samples), CHUNK):
            chunk = samples[start : start + CHUNK]
            at = self.position
            self.position += len(chunk)
            self.sent(ev.InputAudioBufferAppend(audio=b"\0\0" * len(chunk)))
            self.recorder.hear(at, chunk)

    def sent(self, event):
        self._observe("sent", event)

    def received(self, event):
        if isinstance(event, dict):
            event = decode_server(json.dumps(event))
        self._observe("received", event)

    def _observe(self, direction, event):
        now = self.position / RATE + self.late_s
        self.recorder.observe(direction, event, now, appended=self.position)

    def finish(self, *, after_s=5.0):
        """End so long after the last audio."""
        self.late_s += after_s
        self.recorder.note("test.over")
        self.recorder.stop()
        return Recording(self.recorder.path)


class LawServer:
    """A server in a few lines: it decides by the law and says so in the recording."""

    def __init__(self, maker, detection=None):
        self.maker = maker
        self.ears = StreamingVad(detection or ServerVad())
        self.on = True
        self.items = 0
        self.settings = SESSION
        self.speaking = None
        self._say = Server()

    def hear(self, samples):
        for start in range(0, len(samples), CHUNK):
            chunk = samples[start : start + CHUNK]
            self.maker.hear(chunk)
            marks = self.ears.push(chunk)
            if not self.on:
                self.ears.reset_segment()
                continue
            for mark in marks:
                self._mark(mark)

    def _mark(self, mark):
        if isinstance(mark, SpeechStarted):
            self.items += 1
            self.speaking = f"item_{self.items}"
            self._tell(self._say.started(self.speaking, mark.audio_start_ms))
            return
        self._tell(self._say.stopped(self.speaking, mark.audio_end_ms))
        self._committed(self.speaking)
        self.speaking = None

    def commit(self):
        self.maker.sent(ev.InputAudioBufferCommit(event_id=f"c{self.maker.position}"))
        if self.speaking is None:
            self.items += 1
        self._committed(self.speaking or f"item_{self.items}")
        self.speaking = None
        self.ears.reset_segment()

    def clear(self):
        self.maker.sent(ev.InputAudioBufferClear(event_id=f"x{self.maker.position}"))
        self._tell(self._say.event("input_audio_buffer.cleared"))
        self.speaking = None
        self.ears.reset_segment()

    def configure(self, detection):
        wire = None if detection is None else json.loads(encode(detection.filled()))
        patch = {"audio": {"input": {"turn_detection": wire}}}
        update = {"type": "session.update", "session": {"type": "realtime", **patch}}
        self.maker.sent(client_event({**update, "event_id": f"u{self.maker.position}"}))
        self.settings = merge(self.settings, patch)
        self._tell(self._say.event("session.updated", session=self.settings))
        self.on = detection is not None
        if detection is None:
            self.speaking = None
            self.ears.reset_segment()
        else:
            self.ears.settings = detection

    def _committed(self, item_id):
        fields = {"previous_item_id": None, "item_id": item_id}
        self._tell(self._say.event("input_audio_buffer.committed", **fields))
        fields = {"previous_item_id": None, "item": user_item(item_id)}
        self._tell(self._say.event("conversation.item.added", **fields))

    def _tell(self, deliver):
        self.maker.received(json.loads(deliver.message))


def of_frames(path, frames, samples, *, shift_ms=0):
    """A recording of the service's own frames, with the audio it was sent.

    What it was sent is shortened in the frames, so it comes from `samples`, and each
    mark is put after the audio that it tells of.
    """
    received = [frame["data"] for frame in frames if frame["direction"] == "received"]
    maker = Maker(path, settings=received[0]["session"], model="gpt-realtime")
    for frame in frames[1:]:
        data = dict(frame["data"])
        if data["type"] == "input_audio_buffer.append":
            continue
        if frame["direction"] == "sent":
            maker.sent(client_event({**data, "event_id": "sent_1"}))
            continue
        for name, lead in (("audio_start_ms", 400), ("audio_end_ms", 20)):
            if name in data:
                until = (data[name] + lead) * RATE // 1000
                maker.hear(samples[maker.position : until])
                data[name] += shift_ms
        maker.received(data)
    maker.hear(samples[maker.position :])
    return maker.finish()
