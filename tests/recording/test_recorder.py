"""What is said is written down as it was, and costs the session nothing."""

from __future__ import annotations

import base64
import json
import stat
import threading

import numpy as np
import pytest
import soundfile

from rtnb.errors import ConfigError, SessionClosed
from rtnb.recording import Manifest, Recorder, Recording, recorder
from rtnb.recording.folder import EVENTS, FILES, MANIFEST
from tests.session.server import AUDIO_MS, Server

APPEND = {"type": "input_audio_buffer.append"}


def sound(*values):
    """An append of samples given as 16-bit integers."""
    data = np.array(values, "<i2").tobytes()
    return {**APPEND, "audio": base64.b64encode(data).decode()}


@pytest.fixture
def alone(path):
    """A recorder without a session."""
    ticks = iter(range(1000, 2000))
    forgotten = []
    made = Recorder(
        path,
        manifest=Manifest(model="gpt-realtime-2.1"),
        now=lambda: float(next(ticks)),
        forget=lambda: forgotten.append(True),
    )
    yield made
    made.end("over")
    assert made.join()
    assert forgotten == [True]


def lines(path):
    return [json.loads(line) for line in (path / EVENTS).read_text().splitlines()]


def microphone(path):
    samples, _ = soundfile.read(path / "mic.wav", dtype="int16")
    return samples.tolist()


def test_both_directions_and_all_sound_are_written(open_session, path):
    session = open_session(Server("It is noon."))
    with session.record(path, note="all agreed") as recording:
        session.send(sound(1, 2))
        session.say("What time is it?").wait(5)
        session.send(sound(3))
        assert recording.recording
    written = lines(path)
    kinds = [(line["direction"], line["event"]["type"]) for line in written]
    assert kinds[0] == ("sent", "input_audio_buffer.append")
    assert ("sent", "response.create") in kinds
    assert ("received", "response.done") in kinds
    assert microphone(path) == [1, 2, 3]
    answer, _ = soundfile.read(path / "answer.wav", dtype="int16")
    assert answer.tolist() == [1] * 24 * AUDIO_MS
    assert "AAEAA" not in (path / EVENTS).read_text()
    assert [stat.S_IMODE(each.stat().st_mode) for each in path.iterdir()] == [0o600] * 4
    manifest = json.loads((path / MANIFEST).read_text())
    assert (manifest["note"], manifest["ending"]) == ("all agreed", "stopped")
    assert manifest["prices"]["model"] == "gpt-realtime-2.1"
    assert manifest["settings"]["audio"]["input"]["turn_detection"]["threshold"] == 0.5


def test_appends_say_where_their_sound_is(open_session, path):
    session = open_session(Server())
    session.send(sound(1, 2, 3))
    with session.record(path):
        session.send(sound(4, 5))
        session.send(sound(6))
    refs = [line["audio"] for line in lines(path) if "audio" in line]
    assert [(ref["start"], ref["samples"]) for ref in refs] == [(3, 2), (5, 1)]
    assert json.loads((path / MANIFEST).read_text())["first_sample"] == 3
    assert microphone(path) == [4, 5, 6]


def test_nothing_is_recorded_unasked_nor_afterwards(open_session, path):
    server = Server()
    session = open_session(server)
    session.send(sound(1))
    recording = session.record(path)
    recording.stop()
    recording.stop()
    session.send(sound(2))
    session.say("hello").wait(5)
    assert (lines(path), microphone(path)) == ([], [])
    assert session._recorders == ()


def test_two_recordings_may_overlap(open_session, tmp_path):
    session = open_session(Server())
    with session.record(tmp_path / "a"):
        session.send(sound(1))
        with session.record(tmp_path / "b"):
            session.send(sound(2))
    assert microphone(tmp_path / "a") == [1, 2]
    assert microphone(tmp_path / "b") == [2]


def test_the_end_of_the_session_ends_it(open_session, path):
    session = open_session(Server())
    recording = session.record(path)
    session.send(sound(7))
    session.close()
    assert not recording.recording
    assert microphone(path) == [7]
    assert json.loads((path / MANIFEST).read_text())["ending"] == (
        "the session was closed"
    )
    with pytest.raises(SessionClosed):
        session.record(path.with_name("take-2"))


def test_what_is_there_is_not_overwritten(open_session, path):
    session = open_session(Server())
    path.mkdir()
    with pytest.raises(FileExistsError):
        session.record(path)
    with pytest.raises(ConfigError):
        session.record(path / "..")
    assert session._recorders == ()


def test_without_its_audio_nothing_is_left_behind(open_session, path, monkeypatch):
    session = open_session(Server())

    def refuse(_):
        raise SessionClosed("just now")

    monkeypatch.setattr(session, "tap_input", refuse)
    with pytest.raises(SessionClosed, match="just now"):
        session.record(path)
    assert not path.exists()
    assert session._recorders == ()


def test_secrets_are_not_written(open_session, path):
    session = open_session(Server())
    tool = {
        "type": "mcp",
        "server_label": "calendar",
        "server_url": "https://calendar.example",
        "authorization": "sk-canary",
        "headers": {"X-Key": "sk-canary"},
    }
    with session.record(path):
        session.configure(tools=[tool], timeout=5)
        session.send({"type": "my.own", "api_key": "sk-canary"})
    with session.record(path.with_name("take-2")):
        pass
    for folder in (path, path.with_name("take-2")):
        everything = "".join((folder / name).read_text("latin-1") for name in FILES)
        assert "sk-canary" not in everything
        assert "sk-secret" not in everything
        assert "calendar.example" in everything


def test_what_a_peer_sends_beyond_the_protocol_is_kept(open_session, path):
    server = Server()
    session = open_session(server)
    with session.record(path):
        server.tell(server.event("response.sung", notes=7))
    assert lines(path)[-1]["event"]["notes"] == 7


def test_g711_answers_are_written_at_24_khz(open_session, path):
    server = Server(audio={"output": {"format": {"type": "audio/pcmu"}}})
    session = open_session(server)
    with session.record(path):
        session.say("hello").wait(5)
    answer, rate = soundfile.read(path / "answer.wav", dtype="float32")
    assert rate == 24_000
    sent_bytes = 2 * 24 * AUDIO_MS
    assert len(answer) == pytest.approx(3 * sent_bytes, abs=300)


# -- without a session -------------------------------------------------------------------


def test_a_late_start_and_holes_keep_every_sample_in_its_place(alone, path):
    alone.hear(5, np.array([0.5], np.float32))
    alone.hear(8, np.array([0.25, 0.25], np.float32))
    alone.hear(9, np.array([1.0, -0.5], np.float32))
    alone.stop()
    assert microphone(path) == [16384, 0, 0, 8192, 8192, -16384]
    note = next(line for line in lines(path) if line["direction"] == "noted")
    assert note["event"] == {"type": "audio.missing", "start": 6, "samples": 2}
    assert Recording(path).notes == (
        "0.00 s of input audio are missing and silent here",
    )


def test_time_and_audio_are_tied_every_second(alone, path):
    for start in range(0, 72_000, 2400):
        alone.hear(start, np.zeros(2400, np.float32))
    alone.stop()
    assert [line["heard"] for line in lines(path)] == [24_000, 48_000, 72_000]


def test_a_disk_that_takes_no_more_ends_the_recording(alone, path, caplog):
    alone.hear(0, np.zeros(10, np.float32))
    alone._microphone._file.close()
    alone._microphone._file = path.joinpath("mic.wav").open("rb", buffering=0)
    alone.hear(10, np.zeros(10, np.float32))
    assert not alone.recording
    with pytest.raises(OSError, match="ended early"):
        alone.stop()
    assert len(Recording(path).clip) == 10
    assert "could not be written" in Recording(path).manifest.ending


def test_what_a_slow_disk_cannot_take_is_counted(path, monkeypatch):
    monkeypatch.setattr(recorder, "WAITING_BYTES", 100)
    gate = threading.Event()
    monkeypatch.setattr(
        Recorder,
        "_write",
        lambda self, batch, write=Recorder._write: (gate.wait(5), write(self, batch)),
    )
    slow = Recorder(path, manifest=Manifest(), now=lambda: 0.0, forget=lambda: None)
    for _ in range(50):
        slow.note("some.thing", about="this and that")
    assert slow.dropped > 40
    monkeypatch.setattr(recorder, "WAITING_BYTES", 1000)
    gate.set()
    slow.stop()
    assert lines(path)[-1]["event"] == {"type": "queue.dropped", "events": slow.dropped}
    assert "events are missing: the disk was too slow" in Recording(path).notes
