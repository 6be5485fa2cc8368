"""A session with the real gateway, recorded while it is held."""

from __future__ import annotations

import pytest

from rtnb.audio import Clip
from rtnb.local import start_gateway
from rtnb.recording import Recording
from rtnb.session import Session
from rtnb.session.connect import embedded_endpoint
from rtnb.vad import ServerVad, speech_probability

PATIENCE_S = 60
QUESTION = Clip.example("austen-0880")
LONGER = Clip.example("austen-0870")


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway(responder="tests.session.answers:answer")
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime-mini")) as opened:
        yield opened


def speak(session, clip):
    return session.send_audio(clip, realtime=False).wait(PATIENCE_S)


def test_a_recorded_session_opens_as_it_was(session, path):
    with session.record(path):
        speak(session, QUESTION)
        session.say("hello").wait(PATIENCE_S)
        session.configure(
            turn_detection=ServerVad(threshold=0.7, silence_duration_ms=500)
        )
        speak(session, LONGER)
    recording = Recording(path)
    assert recording.notes == ()
    spoken = [turn for turn in session.turns if turn.segments]
    assert [(t.audio_start_ms, t.audio_end_ms) for t in recording.turns] == [
        (s.audio_start_ms, s.audio_end_ms) for turn in spoken for s in turn.segments
    ]
    assert [turn.text for turn in recording.turns] == [turn.text for turn in spoken]
    assert recording.cost == session.cost
    assert recording.usage == session.usage
    assert not recording.billed
    report = recording.check_replica()
    assert report.agree, str(report)
    assert len(report.checks) == 2 * len(recording.turns)
    assert len(speech_probability(recording, cache=False)) >= len(recording.probability)
    for turn in session.turns:
        assert any(
            answer.to_pcm16() == turn.audio.to_pcm16()
            for answer in recording.answers.values()
        )


def test_a_recording_may_begin_late(session, path):
    for _ in range(2):
        speak(session, QUESTION)
    with session.record(path):
        speak(session, LONGER)
    recording = Recording(path)
    assert recording.first_sample > 2 * 2.9 * 24_000
    assert recording.start_ms <= recording.turns[0].audio_start_ms + 300
    report = recording.check_replica()
    assert report.agree, str(report)


def test_by_hand_nothing_would_be_detected(session, path):
    session.configure(turn_detection=None)
    with session.record(path):
        speak(session, QUESTION)
    recording = Recording(path)
    (turn,) = recording.turns
    assert (turn.ended, turn.audio_start_ms) == ("hand", 0)
    assert turn.audio_end_ms == round(1000 * QUESTION.duration)
    found = recording.replay_turns(ServerVad())
    assert [change.kind for change in found.changes] == ["same"]
    assert str(recording.check_replica()) == "There are no marks to compare."


def test_noise_reduction_is_noted(session, path):
    note = "noise reduction was on"
    with session.record(path):
        session.configure(noise_reduction="near_field")
        speak(session, QUESTION)
    assert any(note in each for each in Recording(path).check_replica().notes)
    again = path.with_name("again")
    with session.record(again):
        speak(session, QUESTION)
    assert any(note in each for each in Recording(again).check_replica().notes)
