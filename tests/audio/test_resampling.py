import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import StreamingResampler, resample
from rtnb.errors import AudioFormatError

PAIRS = [
    (48_000, 24_000),
    (24_000, 16_000),
    (16_000, 24_000),
    (8_000, 24_000),
    (24_000, 8_000),
    (22_050, 24_000),
    (44_100, 24_000),
    (24_000, 48_000),
    (44_100, 16_000),
]
pairs = pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)


def stream(samples, from_rate, to_rate, cuts=()):
    resampler = StreamingResampler(from_rate, to_rate)
    pieces = [resampler(chunk) for chunk in np.split(samples, sorted(cuts))]
    return np.concatenate([*pieces, resampler.flush()])


def sine(frequency, rate, seconds=0.5, amplitude=0.5):
    time = np.arange(round(rate * seconds)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def middle(samples):
    """Without the ends, where the filter sees the silence around."""
    edge = len(samples) // 10
    return samples[edge:-edge]


def decibels(signal, noise):
    return 10 * np.log10(np.mean(np.square(signal)) / np.mean(np.square(noise)))


def noise(rng, count):
    return rng.uniform(-0.9, 0.9, count).astype(np.float32)


@given(
    pair=st.sampled_from(PAIRS),
    length=st.integers(0, 6000),
    cuts=st.lists(st.integers(0, 6000), max_size=12),
)
def test_output_is_the_same_for_any_chunks(pair, length, cuts):
    samples = noise(np.random.default_rng(length), length)
    whole = stream(samples, *pair)
    chunked = stream(samples, *pair, cuts=[min(cut, length) for cut in cuts])
    assert np.array_equal(whole, chunked)


@pairs
def test_output_is_the_same_sample_by_sample(from_rate, to_rate, rng):
    samples = noise(rng, 700)
    assert np.array_equal(
        stream(samples, from_rate, to_rate),
        stream(samples, from_rate, to_rate, cuts=range(700)),
    )


@pairs
@pytest.mark.parametrize("length", [0, 1, 2, 3, 480, 4801])
def test_each_instant_of_the_input_has_its_output(from_rate, to_rate, length):
    resampled = stream(np.zeros(length, np.float32), from_rate, to_rate)
    assert len(resampled) == -(-length * to_rate // from_rate)


@pairs
def test_a_sine_stays_where_and_what_it_was(from_rate, to_rate):
    resampled = stream(sine(1000, from_rate), from_rate, to_rate)
    expected = sine(1000, to_rate)[: len(resampled)]
    assert decibels(expected, middle(resampled) - middle(expected)) > 90


@pairs
def test_a_constant_stays_what_it_was(from_rate, to_rate):
    constant = np.full(from_rate // 4, 0.75, np.float32)
    resampled = middle(stream(constant, from_rate, to_rate))
    assert np.abs(resampled - 0.75).max() < 1e-6


@pytest.mark.parametrize(("from_rate", "to_rate"), [p for p in PAIRS if p[0] > p[1]])
@pytest.mark.parametrize("place", [1.05, 1.2, 1.4])
def test_what_the_new_rate_cannot_hold_is_gone(from_rate, to_rate, place):
    tone = sine(place * to_rate / 2, from_rate)
    resampled = middle(stream(tone, from_rate, to_rate))
    assert decibels(tone, resampled) > 80


@pairs
def test_the_passband_is_flat(from_rate, to_rate):
    frequency = 0.9 * min(from_rate, to_rate) / 2
    resampled = middle(stream(sine(frequency, from_rate), from_rate, to_rate))
    level = 20 * np.log10(np.sqrt(2) * np.sqrt(np.mean(resampled**2)) / 0.5)
    assert abs(level) < 0.1


@pairs
def test_streams_and_recordings_agree(from_rate, to_rate):
    tone = sine(700, from_rate) + sine(3100, from_rate) * 0.5
    whole = resample(tone, from_rate=from_rate, to_rate=to_rate)
    streamed = stream(tone, from_rate, to_rate)
    count = min(len(whole), len(streamed))
    difference = middle(whole[:count]) - middle(streamed[:count])
    assert abs(len(whole) - len(streamed)) <= 1
    assert decibels(whole, difference) > 80


@pairs
def test_no_more_is_withheld_than_the_delay_says(from_rate, to_rate, rng):
    resampler = StreamingResampler(from_rate, to_rate)
    count = from_rate // 2
    given_out = len(resampler(noise(rng, count)))
    withheld = count * to_rate / from_rate - given_out
    assert abs(withheld - resampler.delay * to_rate) <= 1


def test_the_delay_is_four_milliseconds_for_the_ears():
    assert StreamingResampler(24_000, 16_000).delay == 0.004


def test_equal_rates_pass_through(rng):
    resampler = StreamingResampler(24_000, 24_000)
    samples = noise(rng, 100)
    assert resampler.delay == 0.0
    assert resampler(samples) is samples
    assert resampler.flush().shape == (0,)
    assert resample(samples, from_rate=24_000, to_rate=24_000) is samples


def test_after_a_flush_another_stream_begins(rng):
    resampler = StreamingResampler(24_000, 16_000)
    samples = noise(rng, 1000)
    first = np.concatenate([resampler(samples), resampler.flush()])
    second = np.concatenate([resampler(samples), resampler.flush()])
    assert np.array_equal(first, second)


@pytest.mark.parametrize("whole", [True, False])
def test_overshoot_is_limited(whole):
    square = np.where(np.arange(2400) // 120 % 2, 1, -1).astype(np.float32)
    if whole:
        resampled = resample(square, from_rate=24_000, to_rate=16_000)
    else:
        resampled = stream(square, 24_000, 16_000)
    assert resampled.dtype == np.float32
    assert np.abs(resampled).max() == 1.0


@pytest.mark.parametrize("rates", [(0, 16_000), (24_000, 3_999), (200_000, 16_000)])
def test_an_impossible_rate_is_refused(rates):
    with pytest.raises(AudioFormatError, match="outside 4000 to 192000 Hz"):
        StreamingResampler(*rates)
    with pytest.raises(AudioFormatError, match="outside 4000 to 192000 Hz"):
        resample(np.zeros(9, np.float32), from_rate=rates[0], to_rate=rates[1])


def test_rates_with_nothing_in_common_are_refused_in_a_stream():
    with pytest.raises(AudioFormatError, match=r"24000:22051 .* rtnb\.audio\.resample"):
        StreamingResampler(22_051, 24_000)
