from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import EnvelopePyramid, envelope
from rtnb.errors import AudioFormatError


def noise(count):
    return np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)


def slowly(samples, bins):
    """Written as the definition says."""
    edges = [i * len(samples) // bins for i in range(bins + 1)]
    parts = [samples[a : max(b, a + 1)] for a, b in pairwise(edges)]
    return [part.min() for part in parts], [part.max() for part in parts]


@given(count=st.integers(1, 500), bins=st.integers(1, 700))
def test_an_envelope_is_its_definition(count, bins):
    samples = noise(count)
    low, high = envelope(samples, bins)
    expected_low, expected_high = slowly(samples, bins)
    assert low.tolist() == expected_low
    assert high.tolist() == expected_high


@st.composite
def stretches(draw):
    count = draw(st.sampled_from([1, 63, 64, 65, 4096, 5000, 40_000, 300_000]))
    start = draw(st.integers(0, count - 1))
    stop = draw(st.integers(start + 1, count))
    return count, start, stop, draw(st.integers(1, 1200))


@given(stretches())
def test_a_view_loses_no_peak_and_invents_none(stretch):
    count, start, stop, bins = stretch
    samples = noise(count)
    low, high = EnvelopePyramid(samples).view(start, stop, bins)
    exact_low, exact_high = envelope(samples[start:stop], bins)
    assert low.shape == high.shape == (bins,)
    assert (low <= exact_low).all()
    assert (high >= exact_high).all()
    margin = (stop - start) / bins / 4
    for i in (0, bins // 2, bins - 1):
        first = max(0, int(start + i * (stop - start) / bins - margin) - 1)
        last = int(start + (i + 1) * (stop - start) / bins + margin) + 2
        assert samples[first:last].min() <= low[i]
        assert samples[first:last].max() >= high[i]


@given(stretches())
def test_a_close_view_is_exact(stretch):
    count, start, stop, bins = stretch
    samples = noise(count)
    stop = min(stop, start + bins * 255)
    low, high = EnvelopePyramid(samples).view(start, stop, bins)
    exact_low, exact_high = envelope(samples[start:stop], bins)
    assert np.array_equal(low, exact_low)
    assert np.array_equal(high, exact_high)


@pytest.mark.parametrize("at", [0, 1, 4095, 123_456, 999_999])
def test_one_click_is_seen_from_afar(at):
    samples = np.zeros(1_000_000, np.float32)
    samples[at] = -0.5
    low, high = EnvelopePyramid(samples).view(0, 1_000_000, 100)
    seen = np.flatnonzero(low == -0.5)
    assert at // 10_000 in seen
    assert len(seen) <= 2
    assert not high.any()


def test_a_whole_recording_is_read_from_few_buckets():
    pyramid = EnvelopePyramid(np.zeros(1_000_000, np.float32))
    width, low, high = pyramid._level(1_000_000 / 100)
    assert width == 512
    assert len(low) == len(high) == -(-1_000_000 // 512)


def test_a_pyramid_knows_its_length():
    assert len(EnvelopePyramid(noise(100))) == 100


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5), (0, 11)])
def test_a_stretch_outside_is_refused(start, stop):
    with pytest.raises(AudioFormatError, match="not a stretch of 10 samples"):
        EnvelopePyramid(noise(10)).view(start, stop, 4)


def test_nothing_cannot_be_drawn():
    with pytest.raises(AudioFormatError, match="0 bins"):
        envelope(noise(10), 0)
    with pytest.raises(AudioFormatError, match="not a stretch of 0 samples"):
        envelope(np.zeros(0, np.float32), 4)
    with pytest.raises(AudioFormatError, match="not a stretch of 0 samples"):
        EnvelopePyramid(np.zeros(0, np.float32))
