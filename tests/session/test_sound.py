"""From what a user hands in to the bytes that are sent."""

from __future__ import annotations

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.protocol import events as ev
from rtnb.session.sound import wire_audio
from rtnb.vad import SemanticVad, ServerVad

CLIP = Clip(np.full(24_000, 0.5, np.float32), 24_000)


def sent(audio=CLIP, sample_rate=None, *, wire_format=None, detection=None):
    return wire_audio(audio, sample_rate, wire_format=wire_format, detection=detection)


@pytest.mark.parametrize(
    ("detection", "silence_ms"),
    [
        (None, 0),
        (ServerVad(), 200 + 500),
        (ServerVad(silence_duration_ms=900), 900 + 500),
        (SemanticVad(), 4000 + 500),
        (SemanticVad(eagerness="high"), 2000 + 500),
        (SemanticVad(eagerness="low"), 8000 + 500),
        (ev.UnknownObject(raw={"type": "azure_semantic_vad"}), 2000 + 500),
    ],
)
def test_there_is_silence_enough_to_end_the_turn(detection, silence_ms):
    sound = sent(detection=detection)
    assert len(sound.data) == (1000 + silence_ms) * 48
    assert not any(sound.data[1000 * 48 :])


def test_chunks_are_twenty_milliseconds():
    chunks = sent(CLIP.slice(0, 0.13)).chunks
    assert [len(chunk) for chunk in chunks] == [960] * 6 + [480]


def test_a_clip_of_the_right_rate_is_sent_as_it_is():
    sound = sent()
    assert sound.data == CLIP.to_pcm16()
    assert sound.notes == ()


def test_another_rate_is_resampled_and_said_so():
    sound = sent(np.zeros(16_000, np.float32), 16_000)
    assert len(sound.data) == 48_000
    assert sound.notes == ("resampled 16000 Hz to 24000 Hz",)


def test_bytes_are_pcm16():
    assert sent(CLIP.to_pcm16(), 24_000).data == CLIP.to_pcm16()


@pytest.mark.parametrize(
    ("wire_format", "half"), [(ev.AudioPcmu(), 0x8F), (ev.AudioPcma(), 0xA5)]
)
def test_a_telephone_gets_its_own_bytes(wire_format, half):
    sound = sent(wire_format=wire_format)
    assert (len(sound.data), sound.bytes_per_ms) == (8000, 8)
    assert sound.data[4000] == pytest.approx(half, abs=1)
