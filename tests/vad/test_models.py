"""Every model keeps the protocol, and what is none is refused in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.vad import SileroVad, speech_model, speech_probability
from rtnb.vad.hops import HopCutter
from rtnb.vad.models import FunctionVad

NAMES = ["silero", "energy", "webrtc", "webrtc-0", "webrtc-3"]
SAMPLES = Clip.example("austen-0880").samples[:24_000]


def loudness(hop):
    return float(np.abs(hop).max())


class Steady:
    """Somebody else's model: always the same answer."""

    name, version, hop, sample_rate = "steady", "1", 80, 8_000

    def stream(self):
        return SteadyStream()


class SteadyStream:
    def __init__(self):
        self.cut = HopCutter(Steady.hop)

    def push(self, samples):
        return np.full(len(self.cut(samples)), 0.25, np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_its_model(name):
    model = speech_model(name)
    assert model.name == name
    assert model.version
    assert 1000 * model.hop % model.sample_rate == 0


def test_a_model_is_given_back():
    for model in (SileroVad(), Steady()):
        assert speech_model(model) is model


@pytest.mark.parametrize("model", [*NAMES, loudness], ids=str)
@given(cuts=st.lists(st.integers(0, len(SAMPLES)), max_size=30))
@settings(max_examples=20)
def test_chunks_never_change_a_bit(model, cuts):
    found = speech_model(model)
    stream = found.stream()
    chunks = np.split(SAMPLES, sorted(cuts))
    chunked = np.concatenate([stream.push(chunk) for chunk in chunks])
    whole = found.stream().push(SAMPLES)
    assert chunked.dtype == whole.dtype == np.float32
    assert len(whole) == len(SAMPLES) // found.hop
    assert np.array_equal(chunked, whole)


@pytest.mark.parametrize("model", [*NAMES, loudness], ids=str)
def test_probabilities_lie_between_0_and_1(model, rng):
    noise = rng.uniform(-1, 1, 16_000).astype(np.float32)
    for samples in (SAMPLES, noise, np.zeros(16_000, np.float32)):
        p = speech_model(model).stream().push(samples)
        assert 0 <= p.min() <= p.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_streams_do_not_disturb_each_other(name):
    model = speech_model(name)
    one, other = model.stream(), model.stream()
    heard = []
    for chunk in np.split(SAMPLES, 8):
        heard.append(one.push(chunk))
        other.push(chunk[::-1])
    assert np.array_equal(np.concatenate(heard), model.stream().push(SAMPLES))


def test_a_function_is_a_model():
    model = speech_model(loudness)
    assert (model.name, model.version, model.hop) == ("loudness", "", 512)
    probability = speech_probability(Clip(SAMPLES, 16_000), loudness)
    hops = SAMPLES[: len(SAMPLES) // 512 * 512].reshape(-1, 512)
    assert probability.p.tolist() == np.abs(hops).max(axis=1).tolist()
    assert probability.model == "loudness"


def test_an_object_that_can_be_called_is_a_model():
    class Judge:
        def __call__(self, hop):
            return np.float32(0.5)

    assert speech_model(Judge()).name == "Judge"
    assert FunctionVad(Judge()).stream().push(SAMPLES)[0] == 0.5


def test_a_model_of_another_rate_hears_the_sound_at_its_rate():
    probability = speech_probability(Clip.silence(1.0, 24_000), Steady())
    assert probability.p.tolist() == [0.25] * 100
    assert (probability.hop_ms, probability.duration) == (10, 1.0)


@pytest.mark.parametrize("answer", [1.5, -0.1, float("nan"), None, "loud", [0.1, 0.2]])
def test_a_function_that_gives_no_probability_is_refused(answer):
    stream = FunctionVad(lambda hop: answer).stream()
    with pytest.raises(ConfigError, match="one number from 0 to 1"):
        stream.push(SAMPLES)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="no speech model 'cilero'") as refused:
        speech_model("cilero")
    for name in (*NAMES, "silero-onnx", "silero-onnx:PATH", "function"):
        assert name in str(refused.value)


@pytest.mark.parametrize("model", [None, 7, SileroVad])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ConfigError, match="is no speech model"):
        speech_model(model)


def test_an_onnx_file_has_a_name(silero_onnx):
    model = speech_model(f"silero-onnx:{silero_onnx}")
    p = model.stream().push(SAMPLES)
    assert np.abs(p - SileroVad().probabilities(SAMPLES)).max() < 1e-5
