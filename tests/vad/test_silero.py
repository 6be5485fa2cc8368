"""The network, against its own makers' file run by onnxruntime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
from rtnb.vad import SileroVad
from rtnb.vad.silero import HOP, SAMPLE_RATE, SHAPES, WEIGHTS, provenance

CLOSE = 1e-5


def speech():
    """All examples in one, 16 seconds with pauses."""
    clip = Clip.silence(0.5, SAMPLE_RATE)
    for name in EXAMPLES:
        clip = clip + Clip.example(name) + Clip.silence(0.3, SAMPLE_RATE)
    return clip.samples


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_the_makers_network(oracle, name):
    samples = Clip.example(name).samples
    assert np.abs(SileroVad().probabilities(samples) - oracle(samples)).max() < CLOSE


def test_it_is_the_makers_network_hop_by_hop(oracle):
    samples = speech()
    stream = SileroVad().stream()
    hops = [
        stream.push(hop) for hop in np.split(samples, range(HOP, len(samples), HOP))
    ]
    assert np.abs(np.concatenate(hops) - oracle(samples)).max() < CLOSE


@pytest.mark.parametrize("level", [1e-4, 1.0])
def test_it_is_the_makers_network_for_noise(oracle, rng, level):
    samples = (level * rng.uniform(-1, 1, 32_000)).astype(np.float32)
    assert np.abs(SileroVad().probabilities(samples) - oracle(samples)).max() < CLOSE


@pytest.mark.parametrize("size", [1, 100, 511, 512, 513, 1600, 10_000])
def test_chunks_do_not_matter(size):
    samples = speech()[:48_000]
    stream = SileroVad().stream()
    cuts = range(size, len(samples), size)
    chunked = np.concatenate([stream.push(chunk) for chunk in np.split(samples, cuts)])
    whole = SileroVad().probabilities(samples)
    assert chunked.shape == (len(samples) // HOP,)
    assert np.array_equal(chunked, whole)


@given(cuts=st.lists(st.integers(0, 48_000), max_size=200))
@settings(max_examples=25)
def test_no_cut_changes_a_bit(cuts):
    samples = speech()[:48_000]
    stream = SileroVad().stream()
    chunks = np.split(samples, sorted(cuts))
    chunked = np.concatenate([stream.push(chunk) for chunk in chunks])
    assert np.array_equal(chunked, SileroVad().probabilities(samples))


def test_it_says_who_it_is():
    vad = SileroVad()
    assert (vad.name, vad.hop, vad.sample_rate) == ("silero", HOP, SAMPLE_RATE)
    assert provenance()["release"].startswith(f"silero-vad {vad.version}.")


def test_a_long_recording_is_heard_in_parts():
    samples = np.tile(speech(), 2)
    stream = SileroVad().stream()
    hops = len(samples) // HOP
    assert hops > 512
    once = SileroVad().probabilities(samples)
    later = np.concatenate(
        [stream.push(samples[:100_000]), stream.push(samples[100_000:])]
    )
    assert np.array_equal(once, later)


def test_speech_is_told_from_silence_and_noise(rng):
    spoken = SileroVad().probabilities(speech())
    assert np.mean(spoken > 0.5) > 0.7
    for other in (np.zeros(32_000), 0.1 * rng.standard_normal(32_000).clip(-3, 3)):
        assert SileroVad().probabilities(other.astype(np.float32)).max() < 0.4


def test_streams_do_not_disturb_each_other():
    samples = speech()[:16_000]
    vad = SileroVad()
    one, other = vad.stream(), vad.stream()
    heard = []
    for hop in np.split(samples, range(HOP, len(samples), HOP)):
        heard.append(one.push(hop))
        other.push(hop[::-1])
    assert np.array_equal(np.concatenate(heard), vad.probabilities(samples))


@pytest.mark.parametrize("count", [0, 1, 511])
def test_less_than_a_hop_has_no_probability(count):
    found = SileroVad().probabilities(np.zeros(count, np.float32))
    assert found.shape == (0,)
    assert found.dtype == np.float32


def test_the_weights_are_loaded_once():
    assert SileroVad()._network is SileroVad()._network


def test_the_weights_say_where_they_come_from():
    record = provenance()
    assert record["source"] == "silero_vad_16k_op15.onnx"
    assert record["release"] == "silero-vad 6.2.3"
    assert len(record["sha256"]) == 64
    assert "MIT" in record["licence"]
    assert record["command"].startswith("python -m rtnb.vad.convert --release 6.2.3")


def test_the_weights_are_plain_float32():
    with np.load(WEIGHTS) as weights:
        assert {*weights} == {*SHAPES, "provenance"}
        assert {weights[name].dtype.name for name in SHAPES} == {"float32"}
