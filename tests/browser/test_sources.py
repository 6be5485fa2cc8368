"""Streams of ipywebrtc: one in place of the microphone, and a take that becomes a clip."""

from __future__ import annotations

import numpy as np
import pytest

from rtnb.audio import Clip
from tests.browser.conftest import SESSION

pytestmark = pytest.mark.browser

TAKE_MS = 5_000
SOURCE = """import ipywebrtc
stream = ipywebrtc.AudioStream.from_file("question.wav", playing=False)
panel = rtnb.Panel(session, source=stream)
panel"""
RECORDER = """import ipywebrtc
microphone = ipywebrtc.CameraStream(constraints={"audio": True, "video": False})
recorder = ipywebrtc.AudioRecorder(stream=microphone)
recorder"""


def test_a_stream_speaks_in_the_microphones_place(open_page, sentence):
    lab = open_page(Clip.silence(1, 16_000))
    whole = np.concatenate([clip.samples for clip in sentence])
    Clip(whole, 16_000).save(lab.lab.root / "question.wav")
    lab.show(SESSION, SOURCE)
    lab.talk.click()
    lab.page.get_by_text("Listening · connected direct").wait_for()
    lab.execute("stream.playing = True")
    lab.wait_for("ended")
    assert "ill disposed young man" in lab.value("session.turns[0].user_text")


def test_a_take_becomes_a_clip(open_page, sentence):
    lab = open_page(*sentence).open([SESSION, RECORDER])
    lab.run(0)
    lab.run(1)
    lab.execute("recorder.recording = True")
    lab.page.wait_for_timeout(TAKE_MS)
    lab.execute("recorder.recording = False")
    lab.until("recorder.audio.value")
    lab.execute("take = rtnb.Clip.from_recorder(recorder)")
    assert lab.value("take.sample_rate") == 48_000
    assert lab.value("take.duration") > 3
    lab.execute("turn = session.send_audio(take)")
    lab.until("turn.done")
    assert "young man" in lab.value("turn.user_text")
