import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import AudioFormatError
from rtnb.vad import (
    ServerVad,
    SpeechStarted,
    SpeechStopped,
    StreamingVad,
    segment,
    speech_probability,
)
from rtnb.vad.streaming import KEPT_HOPS


def spoken(rate=24_000):
    silence = Clip.silence(0.5, 16_000)
    return (silence + Clip.example("austen-0880") + silence).resample(rate)


def chunked(samples, size):
    return np.split(samples, range(size, len(samples), size))


def hear(ears, samples, size):
    return [event for chunk in chunked(samples, size) for event in ears.push(chunk)]


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_any_rate_hears_the_same_turn(rate):
    events = hear(StreamingVad(sample_rate=rate), spoken(rate).samples, rate // 50)
    assert [type(event) for event in events] == [SpeechStarted, SpeechStopped]
    started, stopped = events
    assert started.audio_start_ms == pytest.approx(468, abs=64)
    assert stopped.audio_end_ms == pytest.approx(3584, abs=64)


@pytest.mark.parametrize("size", [7, 480, 960, 2401, 10**6])
def test_live_is_the_same_as_offline(size):
    clip = spoken()
    ears = StreamingVad(ServerVad(threshold=0.4, silence_duration_ms=100))
    started, stopped = hear(ears, clip.samples, size)
    probability = speech_probability(clip)
    (turn,) = segment(probability, ears.settings)
    assert (started.audio_start_ms, started.hop) == (
        turn.audio_start_ms,
        turn.started_hop,
    )
    assert (stopped.audio_end_ms, stopped.hop) == (turn.audio_end_ms, turn.stopped_hop)
    heard = ears.take_probabilities()
    assert np.array_equal(heard, probability.p[: len(heard)])
    assert len(probability) - 1 <= ears.hops <= len(probability)


def test_a_hop_is_decided_once_four_milliseconds_have_passed():
    ears = StreamingVad()
    ears.push(np.zeros(768 + 96 - 3, np.float32))
    assert ears.hops == 0
    ears.push(np.zeros(3, np.float32))
    assert ears.hops == 1


def test_probabilities_are_taken_once():
    ears = StreamingVad(sample_rate=16_000)
    ears.push(np.zeros(5 * 512, np.float32))
    taken = ears.take_probabilities()
    assert taken.shape == (5,)
    assert taken.dtype == np.float32
    assert ears.take_probabilities().shape == (0,)
    ears.push(np.zeros(512, np.float32))
    assert ears.take_probabilities().shape == (1,)
    assert ears.hops == 6


def test_no_more_than_an_hour_is_kept():
    ears = StreamingVad()
    ears._untaken.extend([0.0] * (KEPT_HOPS + 1))
    assert len(ears.take_probabilities()) == KEPT_HOPS == 3600 * 16_000 // 512


def test_settings_may_change_while_it_listens():
    clip = spoken()
    ears = StreamingVad(ServerVad(threshold=1.0))
    half = len(clip) // 2
    assert hear(ears, clip.samples[:half], 480) == []
    ears.settings = ServerVad(threshold=0.5)
    assert ears.detector.settings is ears.settings
    events = hear(ears, clip.samples[half:], 480)
    assert [type(event) for event in events] == [SpeechStarted, SpeechStopped]
    assert events[0].hop == pytest.approx(half / 768, abs=2)


def test_the_turn_can_be_ended_by_hand():
    clip = spoken()
    ears = StreamingVad()
    half = len(clip) // 2
    hear(ears, clip.samples[:half], 480)
    assert ears.detector.active
    ears.detector.reset_segment()
    assert not ears.detector.active


def test_a_rate_that_cannot_be_heard_is_refused():
    with pytest.raises(AudioFormatError, match="outside 4000 to 192000"):
        StreamingVad(sample_rate=1)
