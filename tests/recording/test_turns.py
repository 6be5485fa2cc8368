"""What the events say about turns, whatever the server and the client do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtnb.protocol import events as ev
from rtnb.recording.turns import detection_of
from rtnb.vad import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad
from tests.recording.making import Maker
from tests.session.server import Server

SECOND = np.zeros(24_000, np.float32)


class Script(Maker):
    """A maker that says the server's lines."""

    def __init__(self, path, **settings):
        super().__init__(path, **settings)
        self._say = Server()

    def start(self, item_id, ms):
        self._tell(self._say.started(item_id, ms))

    def stop(self, item_id, ms):
        self._tell(self._say.stopped(item_id, ms))

    def committed(self, item_id):
        for each in self._say.commit(item_id):
            self._tell(each)

    def says(self, kind, **fields):
        self._tell(self._say.event(kind, **fields))

    def respond(self):
        for each in self._say.respond(None):
            self._tell(each)

    def _tell(self, deliver):
        self.received(json.loads(deliver.message))


@pytest.fixture
def script(path):
    return Script(path)


def spans(recording):
    return [
        (turn.item_id, turn.audio_start_ms, turn.audio_end_ms, turn.ended)
        for turn in recording.turns
    ]


def test_a_turn_is_what_was_committed(script):
    script.hear(SECOND)
    script.start("a", 100)
    script.stop("a", 800)
    script.committed("a")
    script.respond()
    recording = script.finish()
    assert spans(recording) == [("a", 100, 800, "server")]
    assert recording.turns[0].text == "Hello there."
    assert recording.turns[0].usage.total_tokens == 30


def test_typed_turns_keep_their_answers_to_themselves(script):
    script.hear(SECOND)
    script.start("a", 100)
    script.stop("a", 800)
    script.committed("a")
    item = ev.MessageItem(role="user", content=[ev.InputText(text="hello")])
    script.sent(ev.ConversationItemCreate(event_id="e", item=item))
    script.respond()
    assert script.finish().turns[0].entries == ()


def test_a_turn_that_began_before_the_recording_starts_with_it(path):
    script = Script(path, start=24_000)
    script.hear(SECOND)
    script.stop("a", 1800)
    script.committed("a")
    assert spans(script.finish()) == [("a", 1000, 1800, "server")]


def test_a_turn_that_goes_on_ends_with_the_audio(script):
    script.start("a", 300)
    script.hear(SECOND)
    assert spans(script.finish()) == [("a", 300, 1000, "end of audio")]


def test_a_commit_is_placed_where_it_was_sent(script):
    script.hear(SECOND)
    script.sent(ev.InputAudioBufferCommit(event_id="c"))
    script.hear(SECOND)
    script.committed("a")
    script.sent(ev.InputAudioBufferCommit(event_id="d"))
    script.committed("b")
    assert spans(script.finish()) == [("a", 0, 1000, "hand"), ("b", 1000, 2000, "hand")]


def test_a_refused_commit_is_none(script):
    script.hear(SECOND)
    script.sent(ev.InputAudioBufferCommit(event_id="c"))
    script.says("error", error={"type": "invalid", "message": "no", "event_id": "c"})
    script.hear(SECOND)
    script.sent(ev.InputAudioBufferCommit(event_id="d"))
    script.committed("a")
    recording = script.finish()
    assert spans(recording) == [("a", 0, 2000, "hand")]
    assert [(s.kind, s.position) for s in recording.steps[1:]] == [("commit", 48_000)]


def test_speech_that_was_cleared_is_no_turn(script):
    script.hear(SECOND)
    script.start("a", 100)
    script.sent(ev.InputAudioBufferClear(event_id="c"))
    script.says("input_audio_buffer.cleared")
    recording = script.finish()
    assert spans(recording) == []
    assert [(s.kind, s.position) for s in recording.steps[1:]] == [("clear", 24_000)]


def test_a_question_after_silence_is_nobodys_turn(script):
    script.hear(SECOND)
    script.says(
        "input_audio_buffer.timeout_triggered",
        audio_start_ms=0,
        audio_end_ms=900,
        item_id="a",
    )
    script.committed("a")
    recording = script.finish()
    assert spans(recording) == []
    assert len(recording.steps) == 1


def test_from_a_page_changes_are_placed_by_what_was_heard(path):
    """The page's microphone: the client sends no audio, yet some is heard."""
    script = Script(path)
    settings = {**script._say.settings}
    for start in (0, 24_000):
        script.recorder.hear(start, SECOND)
        script.sent(ev.SessionUpdate(event_id="u", session=ev.RealtimeSession()))
        script.recorder.hear(start + 24_000, SECOND[:12_000])
        threshold = 0.7 if not start else 0.8
        detection = {"type": "server_vad", "threshold": threshold}
        settings["audio"] = {"input": {"turn_detection": detection}}
        script.says("session.updated", session=settings)
        script.recorder.hear(start + 36_000, SECOND[:12_000])
    recording = script.finish()
    assert not recording.exact
    assert [at for at, _ in recording.settings] == [0, 36_000, 60_000]
    assert "one or two chunks" in recording.check_replica().notes[0]


def test_a_note_of_audio_that_is_just_being_sent_is_no_page(script):
    script.recorder.hear(0, SECOND)  # the tap may be quicker than the event's line
    script.position = 24_000
    script.sent(ev.InputAudioBufferAppend(audio=b""))
    assert script.finish().exact


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, SERVER_VAD_DEFAULTS),
        (ev.RealtimeSession(), SERVER_VAD_DEFAULTS),
    ],
)
def test_what_is_not_told_is_the_default(told, expected):
    assert detection_of(told) == expected


@pytest.mark.parametrize("detection", [None, ServerVad(threshold=0.7), SemanticVad()])
def test_what_is_told_counts(detection):
    inner = ev.AudioInput(turn_detection=detection)
    session = ev.RealtimeSession(audio=ev.AudioConfig(input=inner))
    assert detection_of(session) == detection
