from __future__ import annotations

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad import SpeechProbability, speech_probability
from rtnb.widgets.tuner_sound import (
    LONGEST_PIECE_S,
    MOST_BINS,
    OVERVIEW_BINS,
    Outline,
    RecordedSound,
)


def noise(seconds, rate, rng):
    return Clip(rng.uniform(-0.9, 0.9, round(seconds * rate)).astype(np.float32), rate)


def test_an_outline_loses_no_peak():
    low, high = np.array([-1.0, 0.0, -0.5], "f4"), np.array([1.0, 1e-9, 0.25], "f4")
    outline = Outline.of(0.0, 1.0, low, high)
    assert outline.low.tolist() == [-32768, 0, -16384]
    assert outline.high.tolist() == [32767, 1, 8192]


def test_the_overview_is_of_all_and_small(rng):
    clip = noise(60, 8_000, rng)
    overview = RecordedSound(clip).overview()
    assert (overview.start, overview.stop) == (0.0, 60.0)
    assert len(overview.low) == OVERVIEW_BINS
    assert sum(map(len, overview.buffers)) == 4 * OVERVIEW_BINS
    peak = max(-int(overview.low.min()), int(overview.high.max()))
    assert peak == np.ceil(clip.peak * 32768)


def test_detail_covers_what_was_asked_for(rng):
    sound = RecordedSound(noise(10, 16_000, rng))
    detail = sound.detail(2.00001, 2.10001, 50)
    assert detail.start <= 2.00001
    assert detail.stop >= 2.10001
    assert len(detail.low) == 50


def test_there_are_no_more_bins_than_samples_nor_than_may_travel(rng):
    sound = RecordedSound(noise(10, 16_000, rng))
    assert len(sound.detail(1.0, 1.001, 1000).low) == 16
    assert len(sound.detail(0.0, 10.0, 10**9).low) == MOST_BINS
    assert len(sound.detail(9.9999, 20.0, 10).low) <= 2
    assert len(sound.detail(-5.0, -1.0, 10).low) == 1


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 96_000])
def test_a_piece_is_a_part_of_what_the_api_receives(rate, rng):
    clip = Clip.example("austen-0880").resample(rate)
    clip = clip + clip
    whole = np.frombuffer(clip.resample(24_000).to_pcm16(), "<i2").astype(int)
    for start, stop in ((0.0, 0.512), (1.3333, 2.0), (2.208, 4.6), (5.5, 99.0)):
        piece = np.frombuffer(RecordedSound(clip).pcm(start, stop), "<i2")
        first = round(start * 24_000)
        expected = whole[first : first + len(piece)]
        assert np.abs(piece - expected).max() <= (0 if rate == 24_000 else 1)
        length = min(stop, clip.duration) - start
        assert len(piece) == pytest.approx(24_000 * length, abs=1)


def test_a_piece_is_bounded(rng):
    sound = RecordedSound(noise(40, 8_000, rng))
    assert len(sound.pcm(0.0, 40.0)) == 2 * 24_000 * LONGEST_PIECE_S
    assert sound.pcm(50.0, 60.0) == b""


def test_the_probability_is_found_once():
    clip = Clip.example("austen-0880")
    sound = RecordedSound(clip)
    found = sound.probability()
    assert found.p.tolist() == speech_probability(clip).p.tolist()
    assert sound.probability() is found
    assert sound.judged() == (found, 0)


def test_a_given_probability_is_used():
    given = SpeechProbability.from_array([0.5] * 30)
    assert RecordedSound(Clip.silence(1.0), probability=given).probability() is given


def test_a_probability_of_another_clip_is_refused():
    given = SpeechProbability.from_array([0.5] * 40)
    with pytest.raises(ConfigError, match=r"lasts 1.28 s, the clip 1.00 s"):
        RecordedSound(Clip.silence(1.0), probability=given)


def test_an_empty_clip_is_refused():
    with pytest.raises(AudioFormatError, match="no samples"):
        RecordedSound(Clip.silence(0.0))


def test_silence_can_be_seen():
    outline = RecordedSound(Clip.silence(1.0)).overview()
    assert not outline.low.any()
    assert not outline.high.any()
