"""The server machine's noise reduction: on, off, and in the middle of audio."""

import json

import numpy as np

from rtnb.audio import Clip, rms_dbfs
from rtnb.protocol import events as ev
from rtnb.protocol.server import Hear, ServerMachine
from rtnb.vad import add_noise

NOW = 1_785_000_000.0
CLIP = (Clip.silence(1.0, 16_000) + Clip.example("austen-0880")).resample(24_000)
NOISY = add_noise(CLIP, 10, 1).samples


def machine(field=None):
    made = ServerMachine(model="gpt-realtime", now=NOW, seed=1)
    configure(made, turn_detection=None, noise_reduction=field)
    return made


def configure(made, *, noise_reduction, **settings):
    chosen = None if noise_reduction is None else {"type": noise_reduction}
    audio = {"input": {"noise_reduction": chosen, **settings}}
    session = {"type": "realtime", "audio": audio}
    made.receive(json.dumps({"type": "session.update", "session": session}), NOW)
    assert isinstance(made.take_events()[-1], ev.SessionUpdated)


def committed(made):
    made.commit(NOW)
    heard = [e.samples for e in made.take_effects() if isinstance(e, Hear)]
    return np.concatenate(heard)


def test_what_is_committed_is_as_long_as_what_was_said_and_quieter():
    plain, reducing = machine(), machine("far_field")
    for made in (plain, reducing):
        made.append_audio(NOISY, NOW)
    before, after = committed(plain), committed(reducing)
    np.testing.assert_array_equal(before, NOISY)
    assert len(after) == len(NOISY)
    assert rms_dbfs(after[6_000:20_000]) < rms_dbfs(before[6_000:20_000]) - 15


def test_whoever_records_hears_the_microphone_as_it_is():
    made = machine("near_field")
    for start in range(0, len(NOISY), 999):
        made.append_audio(NOISY[start : start + 999], NOW)
    taken = made.take_audio()
    np.testing.assert_array_equal(np.concatenate([s for _, s in taken]), NOISY)
    assert [position for position, _ in taken][:3] == [0, 999, 1998]
    assert made.samples_appended == len(NOISY)


def test_switching_it_off_and_on_loses_no_sample():
    made = machine("near_field")
    for number, start in enumerate(range(0, len(NOISY), 10_000)):
        made.append_audio(NOISY[start : start + 10_000], NOW)
        on = "near_field" if number % 2 else None
        configure(made, turn_detection=None, noise_reduction=on)
    assert len(committed(made)) == len(NOISY)


def test_speech_is_marked_where_it_is():
    marks = []
    for field in (None, "near_field"):
        made = machine()
        detection = {"type": "server_vad", "create_response": False}
        configure(made, noise_reduction=field, turn_detection=detection)
        made.append_audio(CLIP.samples, NOW)
        made.append_audio(np.zeros(24_000, np.float32), NOW)
        names = (ev.InputAudioBufferSpeechStarted, ev.InputAudioBufferSpeechStopped)
        events = [e for e in made.take_events() if isinstance(e, names)]
        marks.append((events[0].audio_start_ms, events[-1].audio_end_ms))
    assert np.abs(np.subtract(*marks)).max() <= 64
