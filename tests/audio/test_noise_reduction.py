import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import Clip, NoiseReducer, rms_dbfs
from rtnb.vad import add_noise, segment, speech_probability

SPEECH = (
    Clip.silence(1.0, 16_000) + Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
).resample(24_000)
QUIET = slice(6_000, 20_000)


def reduced(samples, field="near_field"):
    reduce = NoiseReducer(field)
    return np.concatenate((reduce(samples), reduce.flush()))


def snr_db(samples):
    """Of what is left of the speech, to all else."""
    clean = SPEECH.samples.astype(np.float64)
    gain = samples @ clean / (clean @ clean)
    rest = samples - gain * clean
    return 10 * np.log10(gain**2 * (clean @ clean) / (rest @ rest))


@pytest.mark.parametrize(("field", "least"), [("near_field", 11), ("far_field", 15)])
@pytest.mark.parametrize("color", ["white", "pink"])
def test_steady_noise_is_turned_down(field, least, color):
    noisy = add_noise(SPEECH, 10, 1, color=color).samples
    quiet = reduced(noisy, field)
    assert rms_dbfs(quiet[QUIET]) < rms_dbfs(noisy[QUIET]) - least


@pytest.mark.parametrize(("color", "better"), [("white", 5), ("pink", 3)])
def test_speech_gains_on_noise(color, better):
    noisy = add_noise(SPEECH, 10, 1, color=color).samples
    assert snr_db(reduced(noisy)) > snr_db(noisy) + better


def test_speech_without_noise_stays():
    assert snr_db(reduced(SPEECH.samples)) > 20


def test_turns_are_still_found():
    noisy = add_noise(SPEECH, 5, 1)
    heard = segment(speech_probability(Clip(reduced(noisy.samples), 24_000)))
    (turn,) = segment(speech_probability(SPEECH))
    assert heard[0].audio_start_ms == pytest.approx(turn.audio_start_ms, abs=150)
    assert heard[-1].audio_end_ms == pytest.approx(turn.audio_end_ms, abs=300)


@given(cuts=st.lists(st.integers(0, 9_000), max_size=8), length=st.integers(0, 9_000))
def test_chunks_change_nothing_and_nothing_is_lost(cuts, length):
    samples = SPEECH.samples[20_000 : 20_000 + length]
    reduce = NoiseReducer("far_field")
    pieces = [reduce(piece) for piece in np.split(samples, sorted(cuts))]
    pieces.append(reduce.flush())
    whole = np.concatenate(pieces)
    assert len(whole) == length
    np.testing.assert_array_equal(whole, reduced(samples, "far_field"))


def test_it_withholds_no_more_than_a_frame():
    reduce = NoiseReducer("near_field")
    given = len(reduce(SPEECH.samples))
    assert 0 <= len(SPEECH) - given <= 0.032 * 24_000


def test_what_it_knows_of_the_noise_outlives_a_flush():
    rng = np.random.default_rng(0)
    hiss = rng.normal(0, 0.01, 24_000).astype(np.float32)
    reduce = NoiseReducer("far_field")
    reduce(hiss)
    reduce.flush()
    again = np.concatenate((reduce(hiss), reduce.flush()))
    assert len(again) == len(hiss)
    assert rms_dbfs(again[:4_000]) < rms_dbfs(hiss) - 14


def test_digital_silence_stays_silent():
    assert not reduced(np.zeros(24_000, np.float32)).any()
