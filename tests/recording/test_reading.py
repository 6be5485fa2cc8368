"""A recording opens anywhere, however it ended, and tells what the session knew."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import rtnb
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.protocol import events as ev
from rtnb.recording import Recording
from rtnb.recording.folder import EVENTS, MANIFEST
from rtnb.vad import ServerVad
from tests.recording.test_recorder import sound
from tests.session.server import AUDIO_MS, Server


@pytest.fixture
def spoken(open_session, path):
    """A session in which one turn was spoken, and its recording."""
    server = Server("It is noon.")
    session = open_session(server)
    session.configure(transcription="gpt-realtime-whisper", timeout=5)
    with session.record(path):
        for _ in range(200):
            session.send(sound(*range(480)))
        server.tell(*server.speech("item_9", 460, 1984))
        server.tell(server.transcript("item_9", "What time is it?"))
        session.configure(turn_detection=ServerVad(threshold=0.7), timeout=5)
    return session, Recording(path)


def test_it_is_a_public_name():
    assert rtnb.Recording is Recording


def test_it_tells_what_the_session_knew(spoken):
    session, recording = spoken
    (turn,) = recording.turns
    (live,) = session.turns
    assert (turn.item_id, turn.audio_start_ms, turn.audio_end_ms) == (
        "item_9",
        live.segments[0].audio_start_ms,
        live.segments[0].audio_end_ms,
    )
    assert (turn.user_text, turn.text) == (live.user_text, live.text)
    assert (turn.usage, turn.cost) == (live.usage, live.cost)
    assert (recording.usage, recording.cost) == (session.usage, session.cost)
    assert recording.model == session.model
    assert recording.billed
    assert recording.notes == ()


def test_marks_and_settings_have_their_places(spoken):
    _, recording = spoken
    marks = [(mark.kind, mark.ms, mark.item_id) for mark in recording.marks]
    assert marks == [
        ("speech_started", 460, "item_9"),
        ("speech_stopped", 1984, "item_9"),
    ]
    (first, before), (second, after) = recording.settings
    assert (first, before.threshold) == (0, 0.5)
    assert (second, after.threshold) == (96_000, 0.7)


def test_sound_is_there_in_both_directions(spoken):
    session, recording = spoken
    assert recording.microphone.name == "mic.wav"
    assert (recording.duration, recording.clip.duration) == (4.0, 4.0)
    tape = session._machine.tape.between(0, 4000)
    assert recording.clip.to_pcm16() == tape
    ((item_id, answer),) = recording.answers.items()
    assert item_id in [item.id for item in session.conversation]
    assert answer.duration == AUDIO_MS / 1000
    assert repr(recording.answers) == f"<1 answers: {item_id}>"


def test_events_are_typed_and_without_audio(spoken):
    _, recording = spoken
    appends = [
        each
        for each in recording.events
        if isinstance(each.event, ev.InputAudioBufferAppend)
    ]
    assert len(appends) == 200
    assert [appends[0].position, appends[199].position] == [0, 199 * 480]
    assert {each.event.audio for each in appends} == {b""}
    times = [each.t for each in recording.events if each.direction != "noted"]
    assert times == sorted(times)


def test_it_shows_itself(spoken):
    _, recording = spoken
    assert "4.0 s, 1 turn, url gpt-realtime-2.1, $0.0" in repr(recording)
    html = recording._repr_html_()
    assert "What time is it?" in html
    assert "0.46 s" in html


def test_what_was_said_is_never_run(open_session, path):
    server = Server("<script>alert(1)</script>")
    session = open_session(server)
    with session.record(path):
        server.tell(*server.speech("<b>", 0, 1000))
        server.tell(server.transcript("<b>", "\u202e<img src=x>"))
    html = Recording(path)._repr_html_()
    assert "<script>" not in html
    assert "<img" not in html
    assert "\u202e" not in html


def test_an_empty_recording_is_one_too(open_session, path):
    with open_session(Server()).record(path):
        pass
    recording = Recording.load(path)
    assert (recording.turns, recording.marks, recording.events) == ((), (), ())
    assert (recording.duration, len(recording.clip)) == (0, 0)
    assert "0.0 s, 0 turns" in repr(recording)


# -- damage ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 1000, 37))
def test_cut_at_any_byte_the_rest_is_there(spoken, tmp_path, cut):
    _, whole = spoken
    copy = tmp_path / "cut"
    shutil.copytree(whole.path, copy)
    events = (copy / EVENTS).read_bytes()
    (copy / EVENTS).write_bytes(events[:-cut])
    with (copy / "mic.wav").open("r+b") as file:
        file.truncate((copy / "mic.wav").stat().st_size - cut)
    recording = Recording(copy)
    gone = len(whole.events) - len(recording.events)
    assert recording.events == whole.events[: len(recording.events)]
    assert gone == events[-cut:].count(b"\n") or gone == events[-cut:-1].count(b"\n")
    assert len(recording.clip) == len(whole.clip) - (cut + 1) // 2
    assert len(whole.path.joinpath("mic.wav").read_bytes()) == 44 + 192_000


def test_what_is_damaged_is_named(spoken, path):
    lines = (path / EVENTS).read_bytes().splitlines(keepends=True)
    lines[1] = b'{"t": 1, "direction": "shouted", "event": {}}\n'
    lines[2] = b'{"t": 1, "direction": "received", "event": {"no": "type"}}\n'
    (path / EVENTS).write_bytes(b"".join(lines) + b'{"t": 9')
    recording = Recording(path)
    assert len(recording.events) == len(lines) - 2
    damaged, cut, unread = recording.notes
    assert damaged == "line 2 of the events is damaged"
    assert cut == f"line {len(lines) + 1} of the events was cut off"
    assert "cannot be read: no 'type'" in unread


def test_without_a_manifest_it_is_none(spoken, path):
    (path / MANIFEST).unlink()
    with pytest.raises(ConfigError, match=r"it has no manifest\.json: give a folder"):
        Recording(path)


def test_another_sound_file_is_refused(spoken, path):
    (path / "mic.wav").write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(AudioFormatError, match="not the WAV file that was recorded"):
        Recording(path)


def test_a_copy_without_sound_still_tells_its_events(spoken, path):
    (path / "mic.wav").unlink()
    (path / "answer.wav").unlink()
    recording = Recording(path)
    assert recording.turns[0].user_text == "What time is it?"
    assert recording.duration == 0
    with pytest.raises(FileNotFoundError):
        recording.clip  # noqa: B018 - reading it is the test


KILLED = """
import os, signal, sys
import numpy as np
from rtnb.recording import Manifest, Recorder
recorder = Recorder(sys.argv[1], manifest=Manifest(), now=lambda: 0.0, forget=print)
for number in range(40):
    recorder.hear(480 * number, np.full(480, number / 64, np.float32))
    recorder.note("number", n=number)
while (recorder.path / "events.jsonl").read_bytes().count(b"\\n") < 40:
    pass
print("ready", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_it_reads_back(path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), path],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    recording = Recording(path)
    assert len(recording.clip) == 40 * 480
    np.testing.assert_array_equal(recording.clip.samples[::480], np.arange(40) / 64)
    assert len(recording.events) == 40
    assert "it has no end: it was cut off, or still goes on" in recording.notes
