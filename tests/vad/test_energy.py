import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.vad.energy import FLOOR_HOPS, MARGIN_DB, EnergyVad

HOP = 512


def heard(*levels_dbfs):
    """Probabilities of hops of these levels."""
    hops = [np.full(HOP, 10 ** (level / 20), np.float32) for level in levels_dbfs]
    return EnergyVad().stream().push(np.concatenate(hops))


def test_even_odds_are_at_the_margin_over_the_floor():
    p = heard(-50, -50 + MARGIN_DB, -50 + MARGIN_DB + 3, -50 + MARGIN_DB - 3)
    assert p[1:] == pytest.approx([0.5, 1 / (1 + np.e**-1), 1 / (1 + np.e)], abs=1e-4)


@pytest.mark.parametrize("level", [-90, -40, -10, 0])
def test_a_steady_sound_is_not_speech(level):
    assert heard(*[level] * 10).max() < 0.1


def test_digital_silence_is_not_speech():
    assert EnergyVad().stream().push(np.zeros(10 * HOP, np.float32)).max() < 1e-6


def test_a_whisper_over_digital_silence_is_not_speech():
    assert heard(-120, -59).max() < 0.1
    assert heard(-120, -45)[1] > 0.5


def test_the_floor_rises_after_three_seconds():
    p = heard(-50, *[-30] * FLOOR_HOPS)
    assert p[1:FLOOR_HOPS].min() > 0.9
    assert p[FLOOR_HOPS] < 0.1
    assert round(FLOOR_HOPS * 0.032, 1) == 3.0


def test_nothing_gives_nothing():
    stream = EnergyVad().stream()
    assert stream.push(np.zeros(0, np.float32)).shape == (0,)
    found = stream.push(np.zeros(511, np.float32))
    assert found.shape == (0,)
    assert found.dtype == np.float32


def test_it_finds_the_speech_of_an_example():
    clip = Clip.silence(0.5, 16_000) + Clip.example("austen-0880")
    p = EnergyVad().stream().push(clip.samples)
    assert p[:15].max() < 0.1
    assert np.mean(p[20:] > 0.5) > 0.7
