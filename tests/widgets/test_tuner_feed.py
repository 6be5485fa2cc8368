from __future__ import annotations

import queue

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.vad import segment, speech_probability
from rtnb.widgets.tuner_feed import BIN, HOP, KEPT_S, LiveSound, Ring

WAIT_S = 5.0
RATE = 24_000


class Microphone:
    """A session as far as a tuner hears it."""

    tapped = True

    def tap_input(self, callback):
        self.says = callback
        return self.untap

    def untap(self):
        self.tapped = False


@pytest.fixture
def microphone():
    return Microphone()


@pytest.fixture
def sound(microphone):
    made = LiveSound(microphone)
    yield made
    made.close()


def speech():
    return (Clip.example("austen-0880") + Clip.silence(1.0, 16_000)).resample(RATE)


def say(microphone, clip, *, at=0, chunk=480):
    for start in range(0, len(clip), chunk):
        microphone.says(at + start, clip.samples[start : start + chunk])


def test_a_ring_keeps_the_latest_with_their_numbers():
    ring = Ring(4, np.int16, 10)
    for start in (10, 13, 16):
        ring.append(np.arange(start, start + 3, dtype=np.int16))
    assert (ring.first, ring.end) == (15, 19)
    assert ring.read(0, 99).tolist() == [15, 16, 17, 18]
    assert ring.read(16, 18).tolist() == [16, 17]
    assert ring.read(20, 30).tolist() == []
    ring.append(np.arange(19, 29, dtype=np.int16))
    assert ring.read(0, 99).tolist() == [25, 26, 27, 28]


def test_nothing_is_heard_yet(sound):
    assert (sound.start, sound.end) == (0.0, 0.0)
    assert len(sound.overview().low) == 0
    assert sound.pcm(0.0, 1.0) == b""
    assert len(sound.judged()[0]) == 0
    assert len(sound.clip_from(0)) == 0


def test_it_hears_what_a_recording_would_have_shown(sound, microphone):
    clip = speech()
    say(microphone, clip)
    found, first_hop = sound.judged()
    whole = speech_probability(clip)
    assert first_hop == 0
    assert segment(found) == segment(whole)
    assert sound.pcm(1.0, 2.0) == clip.slice(1.0, 2.0).to_pcm16()
    assert sound.end == clip.duration
    peak = max(-int(sound.overview().low.min()), int(sound.overview().high.max()))
    assert peak == pytest.approx(clip.peak * 32768, abs=2)


def test_hops_lie_where_the_server_has_them(sound, microphone):
    clip = speech()
    say(microphone, clip, at=1000)
    _, first_hop = sound.judged()
    assert first_hop == -(-1000 // HOP)
    assert sound.start * RATE == first_hop * HOP
    assert sound.clip_from(first_hop).samples[:100] == pytest.approx(
        clip.samples[first_hop * HOP - 1000 :][:100], abs=1e-4
    )


def test_silence_stands_where_chunks_were_lost(sound, microphone):
    clip = speech()
    say(microphone, clip)
    hops = len(sound.judged()[0])
    say(microphone, clip, at=len(clip) + 2 * RATE)
    assert sound.end == pytest.approx(2 * clip.duration + 2)
    assert len(sound.judged()[0]) == pytest.approx(2 * hops + 2000 / 32, abs=3)
    lost = np.frombuffer(sound.pcm(clip.duration + 0.1, clip.duration + 1.9), "<i2")
    assert not lost.any()


def test_the_oldest_is_forgotten(sound, microphone):
    minute = Clip.silence(60.0)
    for number in range(11):
        microphone.says(number * len(minute), minute.samples)
    assert sound.end == 660.0
    assert sound.start == pytest.approx(660.0 - KEPT_S, abs=0.01)
    probability, first_hop = sound.judged()
    assert probability.duration == KEPT_S
    assert first_hop * 0.032 == pytest.approx(660.0 - KEPT_S, abs=0.04)


def test_pages_are_told_what_is_new_without_gap_or_overlap(sound, microphone):
    told = queue.Queue()
    sound.begin(lambda facts, buffers: told.put((facts, buffers)))
    clip = speech()
    say(microphone, clip)
    bins, p = [], []
    while len(bins) < len(clip) // BIN:
        facts, (low, high, probability) = told.get(timeout=WAIT_S)
        assert facts["type"] == "feed"
        assert (facts["first_bin"], facts["first_hop"]) == (len(bins), len(p))
        bins += zip(
            np.frombuffer(low, "<i2").tolist(),
            np.frombuffer(high, "<i2").tolist(),
            strict=True,
        )
        p += np.frombuffer(probability, "<f4").tolist()
    outline = sound.overview()
    assert bins == list(zip(outline.low.tolist(), outline.high.tolist(), strict=True))
    assert p == sound.judged()[0].p.tolist()


def test_closing_ends_the_tap(microphone):
    made = LiveSound(microphone)
    made.begin(lambda facts, buffers: None)
    made.close()
    assert not microphone.tapped
