import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import AudioFormatError
from rtnb.vad import (
    Segment,
    ServerVad,
    SpeechProbability,
    SpeechStarted,
    TurnDetector,
    segment,
    speech_probability,
)

LEVELS = [0.0, 0.005, 0.01, 0.1, 0.3, 0.35, 0.4, 0.5, 0.65, 0.9, 1.0]
probabilities = st.one_of(st.sampled_from(LEVELS), st.floats(0, 1, width=32))
hops_ms = st.sampled_from([(512, 16_000), (160, 16_000), (256, 8_000)])
server_vads = st.builds(
    ServerVad,
    threshold=st.one_of(st.sampled_from(LEVELS), st.floats(0, 1)),
    prefix_padding_ms=st.integers(0, 2000),
    silence_duration_ms=st.integers(0, 500),
)


def live(probability, settings):
    """Segments as the streaming detector finds them."""
    detector = TurnDetector(settings, hop_ms=probability.hop_ms)
    found: list[Segment] = []
    for event in filter(None, map(detector.push, probability.p.tolist())):
        if isinstance(event, SpeechStarted):
            end_ms = len(probability) * probability.hop_ms
            found.append(Segment(event.audio_start_ms, end_ms, event.hop, None))
        else:
            started = found.pop().started_hop
            found.append(
                Segment(event.audio_start_ms, event.audio_end_ms, started, event.hop)
            )
    return found


@given(
    trace=st.lists(st.tuples(probabilities, st.integers(1, 20)), max_size=40),
    grid=hops_ms,
    settings=server_vads,
)
def test_segments_are_those_of_the_live_detector(trace, grid, settings):
    p = np.repeat(
        np.array([level for level, _ in trace], np.float32),
        np.array([count for _, count in trace], int),
    )
    probability = SpeechProbability(p, *grid)
    segments = segment(probability, settings)
    assert segments == live(probability, settings)
    assert all(each.audio_start_ms >= 0 for each in segments)


def test_a_level_that_float32_cannot_hold_is_compared_as_live():
    near = np.nextafter(np.float32(0.3), np.float32(0))  # below 0.3, 0.3f above it
    probability = SpeechProbability(np.array([0.3, near] * 3, np.float32))
    settings = ServerVad(threshold=0.3)
    assert segment(probability, settings) == live(probability, settings)
    assert [each.started_hop for each in segment(probability, settings)] == [0]


def test_segments_have_plain_numbers():
    (found,) = segment(SpeechProbability(np.ones(3, np.float32)))
    assert found == Segment(0, 96, 0, None)
    assert {type(found.audio_start_ms), type(found.started_hop)} == {int}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_each_example_is_one_turn_that_ends_after_its_words(name, rate):
    silence = Clip.silence(0.5, 16_000)
    clip = silence + Clip.example(name) + silence
    probability = speech_probability(clip.resample(rate))
    assert len(probability) == int(clip.duration / 0.032)
    (turn,) = segment(probability)
    assert turn.started_hop * 32 == pytest.approx(750, abs=50)
    assert turn.audio_end_ms == pytest.approx(1000 * clip.duration - 400, abs=150)


def test_a_higher_threshold_hears_less(rng):
    probability = SpeechProbability(rng.random(2000).astype(np.float32))
    heard = [
        sum(s.audio_end_ms - s.audio_start_ms for s in segment(probability, settings))
        for settings in (
            ServerVad(threshold=t / 10, prefix_padding_ms=0) for t in range(1, 10)
        )
    ]
    assert heard == sorted(heard, reverse=True)


def test_a_trace_has_times():
    probability = SpeechProbability(np.zeros(4, np.float32))
    assert probability.times.tolist() == [0.0, 0.032, 0.064, 0.096]
    assert probability.duration == pytest.approx(0.128)
    assert len(probability) == 4


def test_a_trace_is_for_reading():
    probability = SpeechProbability(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        probability.p[0] = 1


@pytest.mark.parametrize("p", [np.zeros(4), np.zeros((2, 2), np.float32)])
def test_a_trace_of_another_kind_is_refused(p):
    with pytest.raises(AudioFormatError, match=r"not float32 of shape \(n,\)"):
        SpeechProbability(p)


@pytest.mark.parametrize(("hop", "rate"), [(512, 22_050), (0, 16_000), (1, 16_000)])
def test_hops_of_broken_milliseconds_are_refused(hop, rate):
    with pytest.raises(AudioFormatError, match="not a whole number of milliseconds"):
        SpeechProbability(np.zeros(4, np.float32), hop, rate)
