import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
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
            still = Segment(
                event.audio_start_ms,
                end_ms,
                event.hop,
                None,
                ended="end of audio",
                hop_ms=probability.hop_ms,
            )
            found.append(still)
        else:
            started = found.pop().started_hop
            over = Segment(
                event.audio_start_ms,
                event.audio_end_ms,
                started,
                event.hop,
                hop_ms=probability.hop_ms,
            )
            found.append(over)
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
    assert found == Segment(0, 96, 0, None, ended="end of audio")
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


def test_a_segment_says_when_its_events_would_have_been_sent():
    p = np.array([0.0] * 12 + [0.9] * 3 + [0.0] * 7, np.float32)
    (found,) = segment(SpeechProbability(p))
    assert (found.speech_start_ms, found.prefix_ms) == (384, 300)
    assert (found.started_at_ms, found.stopped_at_ms) == (416, 22 * 32)
    assert found.ended == "silence"
